"""Where things are in the repository, for tests that look at it."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
GOLDEN = {entry["name"]: entry for entry in json.loads((ROOT / "tests" / "golden" / "golden.json").read_text())}
