"""What made a result: versions, a hash of the engine's sources, and that all packages are one installation."""

import hashlib
import json
import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from .errors import EnvironmentProblem

PACKAGES = ("engine", "jobs", "cluster", "results")
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
    home = Path(__file__).resolve().parent.parent
    for package in PACKAGES:
        spec = find_spec(package)
        places = list(spec.submodule_search_locations or ()) if spec else []
        origin = spec.origin if spec and spec.origin else (places[0] if places else "nowhere")
        if not places or Path(places[0]).resolve().parent != home:
            raise EnvironmentProblem(
                f"the package {package!r} comes from {origin}, not from {home}; "
                "rename that file or folder, or start from another one"
            )


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
    from engine.accelerate import source_hash

    parts = [json.dumps(versions(), sort_keys=True), source_hash()]
    parts += [(Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8") for name in _WORK]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
