"""A cluster that looks large: few processes with many threads, for tasks that sleep instead of computing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def simulated(slots: int, processes: int = 2) -> Iterator[Client]:
    """Open a cluster on this machine for so many sleeping tasks at a time.

    Scheduler and connections are those of a real one, so this shows where they give in. Never for real chunks: NetCDF
    is not thread-safe.

    Parameters
    ----------
    slots
        Tasks at a time, at least one for each process.
    processes
        Worker processes; the slots are spread over them.

    Yields
    ------
    Client
        For `cluster.dispatch.dispatch`.
    """
    import dask
    from distributed import Client, LocalCluster

    from .scratch import scratch_folder
    from .security import run_keys
    from .threads import start_tracker

    start_tracker()
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    with (
        scratch_folder("crbatch-cluster-") as folder,
        run_keys(folder) as keys,
        dask.config.set({**settings, "temporary-directory": str(folder)}),
        LocalCluster(
            n_workers=processes,
            threads_per_worker=max(1, slots // processes),
            host="127.0.0.1",
            protocol="tls://",
            security=keys.security(),
            memory_limit=0,
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
