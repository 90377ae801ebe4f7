"""What made a result: versions, and a hash of the code that decides the bytes of a shard."""

import hashlib
import json
import os
import platform
import re
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What a published number depends on, besides our own sources.
_LIBRARIES = ("numpy", "numba", "llvmlite", "cvxpy", "clarabel", "xarray", "netCDF4")

_HOME = Path(__file__).parent.parent  # where the four packages are
_WORK = "jobs/chunk"  # what a chunk's bytes come from, with all that it imports

# An import statement of ours: to parse every file takes 0.2 s of each process.
_IMPORT = re.compile(r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)", re.MULTILINE)


@lru_cache
def versions() -> dict[str, str]:
    """Versions of crbatch, Python and the libraries behind the numbers."""
    found = {"python": platform.python_version()}
    for library in ("crbatch", *_LIBRARIES):
        try:
            found[library.lower()] = version(library)
        except PackageNotFoundError:
            found[library.lower()] = "not installed"
    return found


@lru_cache
def code_key() -> str:
    """Identity of the code behind the numbers: versions, and all sources that a chunk's work imports (sha256)."""
    parts = [json.dumps(versions(), sort_keys=True)]
    for name in sources(_HOME):
        parts += [name, (_HOME / name).read_text(encoding="utf-8")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def sources(home: Path) -> list[str]:
    """Files that the work of a chunk consists of, below the folder of the packages: found by import statements alone.

    Nothing is imported for it, and imports inside functions count as well.
    """
    waiting = {f"{_WORK}/{path.name}".removesuffix(".py") for path in (home / _WORK).glob("*.py")}
    seen: set[str] = set()
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for file in (f"{module}.py", f"{module}/__init__.py"):
            if os.path.isfile(home / file):
                found.add(file)
                waiting |= _imported(home, file) - seen
    return sorted(found)


def _imported(home: Path, file: str) -> set[str]:
    """Modules of ours, or names in them, that one file imports, and the packages that it is in; as paths."""
    place = file.split("/")
    found = {"/".join(place[:depth]) for depth in range(1, len(place))}
    for dots, module, names in _IMPORT.findall((home / file).read_text(encoding="utf-8")):
        above = ["crbatch", *place][: len(place) + 1 - len(dots)] if dots else []
        whole = [*above, *str(module).split(".")] if module else above
        if whole[0] == "crbatch":
            found |= {"/".join((*whole[1:], name)) for name in re.findall(r"\w+", names)} | {"/".join(whole[1:])}
    return found
