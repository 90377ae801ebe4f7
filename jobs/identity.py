"""What made a result: versions, and a hash of the code that decides the bytes of a shard."""

import hashlib
import json
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
    waiting = {path.relative_to(home) for path in (home / _WORK).glob("*.py")}
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= _imported(home, path) - found
    return sorted(path.as_posix() for path in found)


def _imported(home: Path, path: Path) -> set[Path]:
    """Files of ours that one of them imports, with the packages that they are in."""
    found: set[Path] = set()
    for dots, module, names in _IMPORT.findall((home / path).read_text(encoding="utf-8")):
        above = ["crbatch", *path.parts][: len(path.parts) + 1 - len(dots)] if dots else []
        place = [*above, *module.split(".")] if module else above
        if place[0] == "crbatch":
            for name in ("", *re.findall(r"\w+", names)):
                found |= _files(home, Path(*place[1:], name))
    return found


def _files(home: Path, module: Path) -> set[Path]:
    """Its own file, if it is a module, and those of the packages around it."""
    wanted = [module.with_suffix(".py"), *(place / "__init__.py" for place in (module, *module.parents))]
    return {path for path in wanted if (home / path).is_file()}
