"""What every process that computes starts with."""

from collections.abc import Mapping
from types import MappingProxyType

#: One thread per process: parallelism comes from processes, and sums keep one order.
THREAD_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }
)

# Whoever is ended by a signal leaves semaphores, which are tidied up; the user need not know.
_NO_LEAKS = "ignore:resource_tracker"

#: What a worker process starts with: the pins; no HDF5 locks, which fail on some shared file systems and
#: which files written once do not need; and no module taken from the folder that the user happens to be in.
WORKER_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {**THREAD_VARIABLES, "HDF5_USE_FILE_LOCKING": "FALSE", "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": _NO_LEAKS}
)
