"""Worker processes on this machine, one thread each, reached over 127.0.0.1 alone; and many that only sleep."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ClusterError, in_one_line
from .machine import usable_cores
from .needs import fitting_workers, memory_limit
from .profiles import LocalProfile
from .scratch import scratch_folder
from .security import run_keys
from .settings import QUIET
from .threads import start_tracker

if TYPE_CHECKING:
    from distributed import Client, Worker, WorkerPlugin

# No result is kept in a worker, so nothing could be spilled, and a paused worker would wait for ever.
_NEVER_PAUSE: Mapping[str, bool] = {f"distributed.worker.memory.{step}": False for step in ("target", "spill", "pause")}


@contextmanager
def local_client(profile: LocalProfile, workers: int | None) -> Iterator[Client]:
    """Start as many workers as are wanted and fit, and end them with the block.

    Raises ClusterError if none fits, or they do not start.
    """
    count = fitting_workers(workers or profile.workers or usable_cores())
    with ExitStack() as stack:
        try:
            client = stack.enter_context(_cluster(count, 1, memory_limit(count)))
            client.register_plugin(_deaf_to_interrupts())
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(f"{count} local workers did not start: {_root_cause(error)}") from error
        yield client


@contextmanager
def simulated(slots: int, processes: int = 2) -> Iterator[Client]:
    """Open a cluster that looks large: few processes with many threads, for so many sleeping tasks at a time.

    Scheduler and connections are those of a real one, so this shows where they give in. Never for real chunks: NetCDF
    is not thread-safe.

    `slots`: tasks at a time, at least one for each process. `processes`: worker processes; the slots are spread over
    them. Result: for `cluster.dispatch.dispatch`.
    """
    with _cluster(processes, max(1, slots // processes), 0) as client:
        yield client


@contextmanager
def _cluster(workers: int, threads: int, memory: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    from .scheduler import scheduler_options

    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder("crbatch-cluster-"))
        # Every user of this machine can connect to a port of its loopback.
        keys = stack.enter_context(run_keys(folder))
        settings: dict[str, Any] = {
            **QUIET,
            **_NEVER_PAUSE,
            "temporary-directory": str(folder),
            "distributed.worker.multiprocessing-method": "spawn",  # a fork would copy locks and loaded libraries
        }
        stack.enter_context(dask.config.set(settings))
        start_tracker()
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=threads,
            host="127.0.0.1",
            protocol="tls://",
            security=keys.security(),
            dashboard_address=None,
            # A free port instead of Dask's fixed one.
            scheduler_kwargs={**scheduler_options(), "dashboard_address": "127.0.0.1:0"},
            memory_limit=memory,
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster))


def _root_cause(error: BaseException) -> str:
    """What was at the bottom of an error, in one line, and what a script has to do if that was its own."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    said = in_one_line(error)
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script and "__main__" not in Path(script).read_text("utf-8", errors="replace"):
        return f'{said} ({script} has to connect under `if __name__ == "__main__":`, as workers import it, too)'
    return f"{said} (what the worker said stands above)" if "Nanny failed" in said else said


def _deaf_to_interrupts() -> WorkerPlugin:
    from distributed import WorkerPlugin

    class DeafToInterrupts(WorkerPlugin):
        """Ctrl-C reaches every process of the terminal; this one answers it and closes its workers."""

        def setup(self, worker: Worker) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return DeafToInterrupts()
