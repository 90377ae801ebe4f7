"""The one place that sets Numba's flags and where compiled kernels are kept.

Kernels are plain ``njit`` loops: no parallel loops (workers are processes, one thread each), no Python
objects, no GIL. Numba's on-disk cache does not notice an edit in another file than the function's own, so
its folder is named by a hash of every source that kernels are made of and the versions that shape the machine
code. The cache holds pickles: the folder is private to the user.
"""

import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Vector code is written out (see `lanes`), so LLVM's costlier passes take a fifth of the compile time for nothing.
os.environ.setdefault("NUMBA_OPT", "1")

import llvmlite
import numba
import numpy as np

from .kernelfiles import KernelFiles

_ROOT = Path(__file__).parent
# All that kernels import (a test holds them to it): an edit anywhere else needs no compilation.
_KERNEL_SOURCES = ("accelerate.py", "kernelfiles.py", "lanes.py", "kernels/**/*.py")


def source_hash(patterns: Iterable[str] = ("**/*.py",)) -> str:
    """Hash of the engine's source files, all or those of some patterns, by path and content (hex, 64 digits)."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in _ROOT.glob(pattern)}):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.stat()
    if info.st_uid != os.getuid() or stat.S_IMODE(info.st_mode) & 0o022:
        return Path(tempfile.mkdtemp(prefix="crbatch-numba-"))  # someone else's: never load pickles from it
    return path


def cache_folder() -> Path:
    """Private, node-local folder of the compiled kernels for exactly these sources and versions."""
    key = "|".join(
        (
            source_hash(_KERNEL_SOURCES),
            numba.__version__,
            llvmlite.__version__,
            np.__version__,
            platform.python_version(),
        )
    )
    base = os.environ.get("NUMBA_CACHE_DIR")
    root = Path(base) if base else _private_folder(Path(tempfile.gettempdir()) / f"crbatch-{os.getuid()}")
    return _private_folder(root / f"crbatch-{hashlib.sha256(key.encode()).hexdigest()[:16]}")


def is_compiled() -> bool:
    """Whether kernels of exactly these sources and versions were compiled on this machine before."""
    return any(Path(numba.config.CACHE_DIR).rglob("*.nbc"))  # type: ignore[attr-defined]


numba.config.CACHE_DIR = str(cache_folder())  # type: ignore[attr-defined]

# Division by zero gives inf or nan as IEEE says, which the callers test; an exception would end a whole batch.
# No fastmath, not even reordering of sums: LLVM guards vector loops by the distance of the arrays' addresses, so
# a reordered sum would come out differently from one memory layout to the next.
_flags: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_njit: Any = numba.njit
_jit = _njit(cache=True, **_flags)
_bare = _njit(cache=True, _nrt=False, **_flags)

# A loop that is written apart for the reader, but compiled as a piece of its caller: Numba compiles a callee of its
# own with all that it calls, as often as there are callers above it. Not to be called from Python.
piece = _njit(inline="always", **_flags)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of numbers and arrays, and keep what was compiled."""
    return _keep(_jit(function))


def bare(function: Callable[..., Any]) -> Any:
    """Compile a kernel that neither makes nor returns arrays: no references to any are counted in it.

    With arrays in tuples that took a tenth of the time of an evaluation.
    """
    return _keep(_bare(function))


def _keep(dispatcher: Any) -> Any:
    cache = dispatcher._cache
    files = KernelFiles(Path(cache.cache_path), cache._impl.filename_base, cache._impl.locator.get_source_stamp())
    cache._cache_file = files
    return dispatcher
