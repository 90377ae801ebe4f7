"""From a cluster profile to a Dask client.

Importing this module does not import Dask, so its pins can be set before anything reads them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClusterError
from .leaving import at_stop
from .machine import usable_cores
from .needs import fitting_workers, memory_limit
from .profiles import (
    MOST_WORKERS,
    AddressProfile,
    LocalProfile,
    NoCluster,
    Profile,
    SlurmProfile,
    SshProfile,
    load_profile,
)
from .scratch import scratch_folder
from .security import refuse_plain_tcp, run_keys
from .settings import private_configuration
from .threads import THREAD_VARIABLES, WORKER_ENVIRONMENT, environment, start_tracker

if TYPE_CHECKING:
    from distributed import Client, Worker, WorkerPlugin

__all__ = ["THREAD_VARIABLES", "WORKER_ENVIRONMENT", "connect", "usable_cores"]

# Nothing is shown of a run but by its own commands: Dask's pages can also retire workers, and have no lock.
_QUIET: Mapping[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
# No result is kept in a worker, so nothing could be spilled, and a paused worker would wait for ever.
_NEVER_PAUSE: Mapping[str, bool] = {f"distributed.worker.memory.{step}": False for step in ("target", "spill", "pause")}
_ANSWER_SECONDS = "20s"


@contextmanager
def connect(
    profile: Profile | str,
    workers: int | None = None,
    *,
    folder: Path | None = None,
    name: str = "run",
    insecure_tcp: bool = False,
    on_jobs: Callable[[Sequence[str]], None] | None = None,
) -> Iterator[Client | None]:
    """Open the cluster of a profile, and close what was started for it at the end of the block.

    Parameters
    ----------
    profile
        A profile, or what `load_profile` finds one by.
    workers
        Number of worker processes (local, ssh: of each host) or jobs (slurm) in place of the profile's.
    folder
        Folder of the run that workers can see: job logs and, for as long as it lasts, its keys.
    name
        What batch jobs are named after.
    insecure_tcp
        Whether an address without encryption is accepted.
    on_jobs
        Told the numbers of batch jobs as they are submitted, from another thread.

    Yields
    ------
    Client or None
        What `cluster.dispatch.dispatch` takes as its first argument.

    Raises
    ------
    ClusterError
        If there is no such profile, it is of a kind that is not run from here, the number of workers is not
        positive, or the workers do not start.
    """
    if isinstance(profile, str):
        profile = load_profile(profile)
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise ClusterError(f"{workers} workers cannot work; give a number from 1 to {MOST_WORKERS}")
    if isinstance(profile, NoCluster):
        yield None
        return
    if isinstance(profile, LocalProfile | SlurmProfile):
        _silence()
    with ExitStack() as stack:
        stack.enter_context(private_configuration())
        # For as long as the cluster lives: a worker that replaces a dead one inherits it as well, and a
        # value from the user's shell would win over the one in Dask's configuration.
        stack.enter_context(environment(WORKER_ENVIRONMENT))
        match profile:
            case LocalProfile():
                client = _local_client(profile, workers)
            case AddressProfile():
                client = _existing_client(profile, insecure_tcp)
            case SshProfile():
                client = _ssh_client(profile, workers, _needed(folder))
            case SlurmProfile():
                from .slurm import slurm_client

                client = slurm_client(profile, workers, _needed(folder), name, on_jobs)
            case _:
                raise ClusterError(
                    f'a profile of kind "{profile.kind}" is for `crbatch submit --dry-run`, which prints its scripts'
                )
        yield stack.enter_context(client)


def _silence() -> None:
    """Keep Dask's log off the screen for good: connections of an interrupted run may break after its cluster is closed.

    Of our own clusters only; `silence_logs` would end with them.
    """
    import distributed  # noqa: F401  (which adds the handlers)

    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)


def _needed(folder: Path | None) -> Path:
    if folder is None:
        raise ClusterError("workers elsewhere need the folder of a run that they can see")
    return folder.resolve()


@contextmanager
def _local_client(profile: LocalProfile, workers: int | None) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    from .scheduler import scheduler_options

    count = fitting_workers(workers or profile.workers or usable_cores())
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder("crbatch-cluster-"))
        # Every user of this machine can connect to a port of its loopback.
        keys = stack.enter_context(run_keys(folder))
        settings = {
            **_QUIET,
            **_NEVER_PAUSE,
            "temporary-directory": str(folder),
            "distributed.worker.multiprocessing-method": "spawn",  # a fork would copy locks and loaded libraries
        }
        stack.enter_context(dask.config.set(settings))
        start_tracker()
        try:
            cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                host="127.0.0.1",
                protocol="tls://",
                security=keys.security(),
                dashboard_address=None,
                # A free port instead of Dask's fixed one.
                scheduler_kwargs={**scheduler_options(), "dashboard_address": "127.0.0.1:0"},
                memory_limit=memory_limit(count),
                silence_logs=logging.CRITICAL,
            )
            stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster))
            client.register_plugin(_deaf_to_interrupts())
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(f"{count} local workers did not start: {_root_cause(error)}") from error
        yield client


def _root_cause(error: BaseException) -> str:
    """What was at the bottom of an error, in one line, and what a script has to do if that was its own."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    said = " ".join(f"{type(error).__name__}: {error}".split())
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script and "__main__" not in Path(script).read_text("utf-8", errors="replace"):
        return f'{said} ({script} has to connect under `if __name__ == "__main__":`, as workers import it, too)'
    return f"{said} (what the worker said stands above)" if "Nanny failed" in said else said


@contextmanager
def _existing_client(profile: AddressProfile, insecure_tcp: bool) -> Iterator[Client]:
    from distributed import Client
    from distributed.security import Security

    if not insecure_tcp:
        refuse_plain_tcp(profile.address)
    security = None
    if profile.tls_ca:
        for name in ("tls_ca", "tls_cert", "tls_key"):
            if not os.access(getattr(profile, name), os.R_OK):
                raise ClusterError(f"{name}: {getattr(profile, name)}: no readable file")
        security = Security(
            require_encryption=True,
            tls_ca_file=profile.tls_ca,
            tls_client_cert=profile.tls_cert,
            tls_client_key=profile.tls_key,
        )
    try:  # nobody's default: one that fails to connect would stay it, and what others compute would wait for it
        client = Client(profile.address, security=security, timeout=_ANSWER_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:  # the last: TLS without certificates
        raise ClusterError(f"{profile.address}: no Dask scheduler answers there: {error}") from error
    with client:
        if not client.nthreads():
            raise ClusterError(f"{profile.address}: this scheduler has no workers; start some first")
        yield client


@contextmanager
def _ssh_client(profile: SshProfile, workers: int | None, folder: Path) -> Iterator[Client]:
    import dask
    from distributed import Client, SSHCluster

    with ExitStack() as stack:
        keys = stack.enter_context(run_keys(folder))
        # Processes over ssh inherit this configuration, so the keys' paths, and not the keys, are on command lines.
        settings = {
            **_QUIET,
            "distributed.comm.require-encryption": True,
            "distributed.comm.tls.ca-file": str(keys.certificate),
            **{
                f"distributed.comm.tls.{role}.{part}": str(path)
                for role in ("client", "scheduler", "worker")
                for part, path in (("cert", keys.certificate), ("key", keys.key))
            },
            "distributed.scheduler.allowed-failures": 0,
        }
        stack.enter_context(dask.config.set(settings))
        try:
            cluster = SSHCluster(
                [profile.hosts[0], *profile.hosts],
                scheduler_options={"protocol": "tls", "dashboard": False, "dashboard_address": "127.0.0.1:0"},
                worker_options={
                    "nthreads": 1,
                    "n_workers": workers or profile.workers,
                    "protocol": "tls",
                    "memory_limit": "0",  # a share of the host's, however small, would pause or end a worker
                },
                remote_python=profile.python or None,
                security=keys.security(),
            )
            stack.enter_context(cluster)
            stack.enter_context(at_stop(cluster.close))
            client = stack.enter_context(Client(cluster))
        except ImportError as error:
            raise ClusterError(f"ssh needs the package asyncssh beside crbatch: {error}") from error
        except Exception as error:  # asyncssh has many, of no common kind
            raise ClusterError(f"no cluster over ssh on {', '.join(profile.hosts)}: {error}") from error
        yield client


def _deaf_to_interrupts() -> WorkerPlugin:
    from distributed import WorkerPlugin

    class DeafToInterrupts(WorkerPlugin):
        """Ctrl-C reaches every process of the terminal; this one answers it and closes its workers."""

        def setup(self, worker: Worker) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return DeafToInterrupts()
