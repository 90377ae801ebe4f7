"""What every process that computes starts with."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import MappingProxyType

#: One thread per process: parallelism comes from processes, and sums keep one order.
THREAD_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA")},
        "VECLIB_MAXIMUM_THREADS": "1",
    }
)

#: What a worker process starts with: the pins; no HDF5 locks, which fail on some shared file systems and
#: which files written once do not need; and no module taken from the folder that the user happens to be in.
WORKER_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {**THREAD_VARIABLES, "HDF5_USE_FILE_LOCKING": "FALSE", "PYTHONSAFEPATH": "1"}
)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started within this block."""
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)


def start_tracker() -> None:
    """Start multiprocessing's tracker of semaphores, quiet, before it starts itself.

    It unblocks signals in the thread that starts it, and workers would not inherit that they are blocked: Ctrl-C in a
    terminal reaches them, too, while they have only begun to start. And it tells the user what it tidied up.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with environment({"PYTHONWARNINGS": "ignore:resource_tracker"}):
        resource_tracker.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
