"""Workers started over ssh, the first host with the scheduler beside them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ClusterError
from .leaving import at_stop
from .profiles import SshProfile
from .security import ROLES, run_keys
from .settings import QUIET
from .threads import WORKER_ENVIRONMENT

if TYPE_CHECKING:
    from distributed import Client

_START_SECONDS = 60.0
_NO_PAGES = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}


@contextmanager
def ssh_client(profile: SshProfile, workers: int | None, folder: Path) -> Iterator[Client]:
    """Start scheduler and workers on a profile's hosts, and end them with the block.

    `profile`: which hosts. `workers`: worker processes of each host in place of the profile's. `folder`: folder of the
    run, which all hosts see. Raises ClusterError if asyncssh is not installed, or anything does not start.
    """
    import dask
    from distributed import Client, SSHCluster

    with ExitStack() as stack:
        keys = stack.enter_context(run_keys(folder))
        # Processes over ssh inherit this configuration, so the keys' paths, and not the keys, are on command lines.
        settings: dict[str, Any] = {
            **QUIET,
            "distributed.comm.require-encryption": True,
            "distributed.comm.tls.ca-file": str(keys.certificate),
            "distributed.scheduler.allowed-failures": 0,
        }
        for role in ROLES:
            settings[f"distributed.comm.tls.{role}.cert"] = str(keys.certificate)
            settings[f"distributed.comm.tls.{role}.key"] = str(keys.key)
        stack.enter_context(dask.config.set(settings))
        each = workers or profile.workers
        # They inherit nothing of this process's environment.
        pins = [f"{name}={value}" for name, value in WORKER_ENVIRONMENT.items()]
        try:
            cluster = SSHCluster(
                [profile.hosts[0], *profile.hosts],
                scheduler_options={"protocol": "tls", **_NO_PAGES},
                worker_options={
                    "nthreads": 1,
                    "n_workers": each,
                    "protocol": "tls",
                    "memory_limit": "0",  # a share of the host's, however small, would pause or end a worker
                    **_NO_PAGES,
                },
                remote_python=shlex.join(["env", *pins, profile.python or sys.executable]),
                security=keys.security(),
            )
            stack.enter_context(cluster)
            stack.enter_context(at_stop(cluster.close))
            client = stack.enter_context(Client(cluster))
            client.wait_for_workers(each * len(profile.hosts), timeout=_START_SECONDS)
        except ImportError as error:
            raise ClusterError(f"ssh needs the package asyncssh beside crbatch: {error}") from error
        except Exception as error:  # asyncssh has many, of no common kind
            raise ClusterError(f"no cluster over ssh on {', '.join(profile.hosts)}: {error}") from error
        yield client
