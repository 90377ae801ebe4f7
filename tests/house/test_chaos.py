"""Five seeded schedules of faults; `python tests/support/chaos.py` does as many as one likes."""

from pathlib import Path

import chaos
import pytest


@pytest.mark.system
@pytest.mark.timeout(1200)
def test_five_schedules(tmp_path: Path) -> None:
    chaos.run_schedules(5, 101, tmp_path)
