"""From the name of a cluster profile to a Dask client.

Importing this module does not import Dask, so its pins can be set before anything reads them.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from cluster.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client, Worker, WorkerPlugin

PROFILES = ("none", "local")

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

#: What a worker process starts with: the pins; no HDF5 locks, which fail on some shared file systems and
#: which files written once do not need; and no module taken from the folder that the user happens to be in.
WORKER_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {**THREAD_VARIABLES, "HDF5_USE_FILE_LOCKING": "FALSE", "PYTHONSAFEPATH": "1"}
)


@contextmanager
def connect(kind: str, workers: int | None = None) -> Iterator[Client | None]:
    """Open the cluster of a profile, and close it with everything in it at the end of the block.

    Parameters
    ----------
    kind
        ``"none"``: no cluster, the work is done in this process. ``"local"``: worker processes of one
        thread each on this machine, reached over 127.0.0.1 alone.
    workers
        Number of worker processes; the cores this process may use by default. Ignored for ``"none"``.

    Yields
    ------
    Client or None
        What `cluster.dispatch.dispatch` takes as its first argument.

    Raises
    ------
    ClusterError
        If there is no such profile, the number of workers is not positive, or the workers do not start.
    """
    if kind not in PROFILES:
        raise ClusterError(f"no cluster profile {kind!r}; there are {', '.join(PROFILES)}")
    if workers is not None and workers < 1:
        raise ClusterError(f"{workers} workers cannot work; give a number from 1")
    if kind == "none":
        yield None
        return
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="crbatch-cluster-", ignore_cleanup_errors=True))
        # For as long as the cluster lives: a worker that replaces a dead one inherits it as well, and a
        # value from the user's shell would win over the one in Dask's configuration.
        stack.enter_context(_environment(WORKER_ENVIRONMENT))
        yield stack.enter_context(_local_client(workers or usable_cores(), folder))


def usable_cores() -> int:
    """Return the number of cores that this process may run on, which a batch system can have limited."""
    return len(os.sched_getaffinity(0))


@contextmanager
def _local_client(workers: int, folder: str) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.system import MEMORY_LIMIT

    settings = {
        "temporary-directory": folder,
        "distributed.worker.multiprocessing-method": "spawn",  # a fork would copy locks and loaded libraries
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                # A lost worker is `dispatch`'s to answer, at once. A free port instead of Dask's fixed one.
                scheduler_kwargs={"allowed_failures": 0, "dashboard_address": "127.0.0.1:0"},
                memory_limit=MEMORY_LIMIT // workers,
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster))
            client.register_plugin(_deaf_to_interrupts())
        except (OSError, RuntimeError, TimeoutError) as error:
            hint = 'a script has to connect under `if __name__ == "__main__":`'
            raise ClusterError(f"{workers} local workers did not start: {error} ({hint})") from error
        yield client


def _deaf_to_interrupts() -> WorkerPlugin:
    from distributed import WorkerPlugin

    class DeafToInterrupts(WorkerPlugin):
        """Ctrl-C reaches every process of the terminal; this one answers it and closes its workers."""

        def setup(self, worker: Worker) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return DeafToInterrupts()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
