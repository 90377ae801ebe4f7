"""The one place that sets the kernels' flags and where compiled kernels are kept.

Kernels are plain ``njit`` loops: no parallel loops (workers are processes, one thread each), no Python
objects, no GIL. Numba's on-disk cache does not notice an edit in another file than the function's own, so
its folder is named by a hash of every source that kernels are made of and the versions that shape the machine
code, and its files by Numba's settings, the CPU and the signature. The cache holds pickles: see `kernelfolder`.
Test: test_kernelfiles.
"""

import hashlib
import platform
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding

from .kernelfiles import KernelCache, KernelFiles
from .kernelstore import KernelStore, usual_root
from .numbasettings import settings

_KERNELS = Path(__file__).parent.parent  # kernels import nothing else of ours: an edit elsewhere needs no compilation


def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(_KERNELS.rglob("*.py")):
        digest.update(path.relative_to(_KERNELS).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cache_folder() -> Path:
    """Node-local folder of the compiled kernels for exactly these sources and versions."""
    key = "|".join(
        (
            _source_hash(),
            numba.__version__,
            llvmlite.__version__,
            np.__version__,
            platform.python_version(),
            str(sys.flags.optimize),  # Numba's own code has assertions
        )
    )
    return usual_root() / f"crbatch-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


#: Where compiled kernels are kept.
store = KernelStore(cache_folder())


def _complete_file() -> str:
    told = "|".join((settings(), binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()))
    return f"complete.{hashlib.sha256(told.encode()).hexdigest()[:24]}"


def is_compiled() -> bool:
    """Whether all kernels of exactly these sources, versions and settings were compiled for this CPU before."""
    return store.read(_complete_file()) is not None


def note_compiled() -> None:
    """Note that all kernels are compiled."""
    store.write(_complete_file(), b"")


# Division by zero gives inf or nan as IEEE says, which the callers test; an exception would end a whole batch.
# No fastmath, not even reordering of sums: LLVM guards vector loops by the distance of the arrays' addresses, so
# a reordered sum would come out differently from one memory layout to the next.
_flags: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_njit: Any = numba.njit
_jit = _njit(**_flags)
_unmanaged = _njit(_nrt=False, **_flags)

# A loop that is written apart for the reader, but compiled as a piece of its caller: Numba compiles a callee of its
# own with all that it calls, as often as there are callers above it. Not to be called from Python.
inlined = _njit(inline="always", **_flags)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function of numbers and arrays, and keep what was compiled."""
    return _keep(_jit(function))


def unmanaged(function: Callable[..., Any]) -> Any:
    """Compile a kernel that neither makes nor returns arrays: no references to any are counted in it.

    With arrays in tuples that took a tenth of the time of an evaluation.
    """
    return _keep(_unmanaged(function))


@lru_cache
def _digest_of(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _keep(dispatcher: Any) -> Any:
    function = dispatcher.py_func
    stamp = (_digest_of(function.__code__.co_filename), settings())
    files = KernelFiles(store, f"{function.__module__}.{function.__qualname__}", stamp)
    dispatcher._cache = KernelCache(function, files)
    return dispatcher
