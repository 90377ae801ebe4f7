"""What made a result: versions, a hash of the engine's sources, and that all packages are one installation."""

import hashlib
import json
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from crbatch import foreign_package

from .errors import EnvironmentProblem

# What a published number depends on, besides the engine's own sources.
_LIBRARIES = ("numpy", "numba", "llvmlite", "cvxpy", "clarabel", "xarray", "netCDF4")

# Modules of a chunk's own work.
_WORK = (
    "draws",
    "drops/arrays",
    "drops/classic",
    "drops/columns",
    "drops/read",
    "drops/table",
    "evaluate",
    "knowledge",
)


def check_one_place() -> None:
    """Refuse to run when a user's folder shadows one of our packages.

    Raises
    ------
    EnvironmentProblem
        Naming the foreign file.
    """
    if problem := foreign_package():
        raise EnvironmentProblem(problem)


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
    """Identity of the code behind the numbers: versions, engine sources, and the chunk's own work (sha256)."""
    from crbatch.engine.kernels.jit.accelerate import source_hash

    parts = [json.dumps(versions(), sort_keys=True), source_hash()]
    parts += [(Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8") for name in _WORK]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
