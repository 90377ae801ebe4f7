"""From a cluster profile to a Dask client.

Importing this module does not import Dask, so its pins can be set before anything reads them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClusterError
from .local import local_client
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
from .security import refuse_plain_tcp
from .settings import private_configuration
from .slurm import slurm_client
from .ssh import ssh_client
from .threads import WORKER_ENVIRONMENT, environment

if TYPE_CHECKING:
    from distributed import Client

_ANSWER_SECONDS = "20s"
OnJobs = Callable[[Sequence[str]], None]


@contextmanager
def connect(
    profile: Profile | str,
    workers: int | None = None,
    *,
    folder: Path | None = None,
    name: str = "run",
    insecure_tcp: bool = False,
    on_jobs: OnJobs | None = None,
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
    if not isinstance(profile, AddressProfile):
        _silence()
    # The variables are there for as long as the cluster lives: a worker that replaces a dead one inherits them as well,
    # and a value from the user's shell would win over the one in Dask's configuration.
    with private_configuration(), environment(WORKER_ENVIRONMENT):
        with _client(profile, workers, folder, name, insecure_tcp, on_jobs) as client:
            yield client


def _client(
    profile: Profile, workers: int | None, folder: Path | None, name: str, insecure_tcp: bool, on_jobs: OnJobs | None
) -> AbstractContextManager[Client]:
    match profile:
        case LocalProfile():
            return local_client(profile, workers)
        case AddressProfile():
            return _existing_client(profile, insecure_tcp)
        case SshProfile():
            return ssh_client(profile, workers, _needed(folder))
        case SlurmProfile():
            return slurm_client(profile, workers, _needed(folder), name, on_jobs)
    raise ClusterError(
        f'a profile of kind "{profile.kind}" is for `crbatch submit --dry-run`, which prints its scripts'
    )


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
