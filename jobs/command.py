"""The command `crbatch`, from before anything of ours is imported: whether it will be ours.

Folders on PYTHONPATH come before our own, so somebody's jobs.py there would run in place of ours. This file's own
name is less likely to be taken: it is installed beside the packages, as crbatch.py (see pyproject.toml).
"""

import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("engine", "jobs", "cluster", "results")


def foreign_package() -> str:
    """What is wrong with the first of our packages that is another's; empty if all are ours. Nothing is imported."""
    origins, homes = {}, {}
    for package in PACKAGES:
        spec = find_spec(package)
        places = list(spec.submodule_search_locations or ()) if spec else []
        homes[package] = Path(places[0]).resolve().parent if places else None
        origins[package] = spec.origin if spec and spec.origin else (places[0] if places else "nowhere")
    home = Counter(place for place in homes.values() if place).most_common(1)[0][0]
    for package, place in homes.items():
        if place != home:
            return (
                f"the package {package!r} comes from {origins[package]}, not from {home}; "
                "rename that file or folder, or start from another one"
            )
    return ""


def main() -> None:
    """Run the command, or say in one line whose package is in its way."""
    if problem := foreign_package():
        sys.stderr.write(f"crbatch: {problem}\n")
        sys.exit(5)  # Exit.ENVIRONMENT
    from jobs.__main__ import main as command

    command()


# In workers as well: they import this file when they start, before they import Dask.
if not foreign_package():
    from cluster.settings import shield

    shield()

if __name__ == "__main__":
    main()
