"""Workers as SLURM jobs, and the loop that replaces those that were lost."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .batch import alive, cancel, check_folder, template
from .errors import ClusterError
from .leaving import at_stop
from .profiles import SlurmProfile
from .security import Keys, run_keys
from .settings import QUIET

if TYPE_CHECKING:
    from distributed import Client

_LOOK_SECONDS = 10.0
_REPLACED_PER_WORKER = 20  # a job that always fails at once must not be submitted for ever
_LOCAL = "127.0.0.1:0"


@contextmanager
def slurm_client(
    profile: SlurmProfile,
    workers: int | None,
    folder: Path,
    name: str,
    on_jobs: Callable[[Sequence[str]], None] | None,
) -> Iterator[Client]:
    """Open a scheduler in this process and worker jobs in the queue; jobs that are lost are replaced.

    Parameters are those of `connect.connect`. The client has no workers until the queue has started one. Raises
    ClusterError if jobs cannot be submitted, or too many were lost.
    """
    from distributed import Client

    check_folder(folder)
    (folder / "logs").mkdir(exist_ok=True)
    with ExitStack() as stack:
        cluster = stack.enter_context(_cluster(profile, folder, name))
        client = stack.enter_context(Client(cluster))
        keeper = _Keeper(cluster, workers or profile.workers, on_jobs)
        stack.enter_context(at_stop(lambda: cancel(keeper.jobs())))
        cluster.sync(keeper.look)
        task = cluster.sync(keeper.begin)
        stack.callback(cluster.loop.add_callback, task.cancel)
        try:
            yield client
        except ClusterError as error:
            raise keeper.problem or error from error


@contextmanager
def _cluster(profile: SlurmProfile, folder: Path, name: str) -> Iterator[Any]:
    """A scheduler that has no workers yet, and fresh keys."""
    import dask

    from .scheduler import scheduler_options

    with ExitStack() as stack:
        keys = stack.enter_context(run_keys(folder))
        stack.enter_context(dask.config.set(QUIET))
        try:
            cluster = stack.enter_context(
                _cluster_class(profile.shared_filesystem, keys.key.parent)(
                    **_job_options(profile, name, folder, keys),
                    security=keys.security(),
                    protocol="tls://",
                    interface=profile.interface or None,
                    scheduler_options={**scheduler_options(), "dashboard_address": _LOCAL, "dashboard": False},
                    silence_logs=logging.CRITICAL,
                )
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ClusterError(f"the scheduler did not start: {error}") from error
        yield cluster


def _job_options(profile: SlurmProfile, name: str, folder: Path, keys: Keys) -> dict[str, Any]:
    """Options of a worker job, which brings its keys in its script where it cannot read those of the run's folder."""
    options: dict[str, Any] = template(profile, name, folder / "logs")
    options["worker_extra_args"] += ["--dashboard-address", _LOCAL, "--no-dashboard"]
    if not profile.shared_filesystem:
        options["job_script_prologue"] += [
            "umask 077",
            *(f'cat >"$scratch/{path.name}" <<"END"\n{path.read_text()}END' for path in (keys.certificate, keys.key)),
        ]
    return options


def _cluster_class(shared_filesystem: bool, scripts: Path) -> Any:
    from dask_jobqueue.slurm import SLURMCluster, SLURMJob
    from distributed.security import Security

    class PrivateJob(SLURMJob):
        """A job whose script nobody else can read on its way to the queue."""

        @contextmanager
        def job_file(self) -> Iterator[str]:
            descriptor, path = tempfile.mkstemp(suffix=".sh", dir=scripts)  # mode 0600
            try:
                with os.fdopen(descriptor, "w") as file:
                    file.write(self.job_script())  # type: ignore[no-untyped-call]
                yield path
            finally:
                os.unlink(path)

    class PrivateCluster(SLURMCluster):
        """A cluster of such jobs, none of which is named like one before it."""

        job_cls = PrivateJob

        def new_worker_spec(self) -> Any:
            made = super().new_worker_spec()  # type: ignore[no-untyped-call]
            self._i += 1  # Dask opens nothing under the name of a job that it still knows
            return made

        def _get_worker_security(self, security: Security) -> Security:
            if shared_filesystem:
                return security  # files that workers can read
            certificate, key = '"$scratch"/certificate.pem', '"$scratch"/key.pem'
            return Security(tls_ca_file=certificate, tls_worker_cert=certificate, tls_worker_key=key)

    return PrivateCluster


class _Keeper:
    """Compares the jobs that are wanted with those that are alive, and replaces the others."""

    def __init__(self, cluster: Any, wanted: int, on_jobs: Callable[[Sequence[str]], None] | None) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._on_jobs = on_jobs
        self._known: set[str] = set()
        self._replaced = -wanted  # the first ones replace nothing
        self.problem: ClusterError | None = None

    async def begin(self) -> asyncio.Task[None]:
        """Look again and again, in the cluster's own event loop."""
        return asyncio.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        while self.problem is None:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except ClusterError as error:
                # The queue may be full or away for a while; with no job left there is nothing to wait for.
                if not self._cluster.workers or self._replaced > _REPLACED_PER_WORKER * self._wanted:
                    self.problem = error
        await self._cluster.scheduler.close()  # whoever waits for results is told so

    async def look(self) -> None:
        """Replace the jobs that are gone.

        Raises ClusterError if the queue refuses jobs, or too many were lost.
        """
        jobs = {name: worker.job_id for name, worker in self._cluster.workers.items()}
        living = await asyncio.to_thread(alive, [job for job in jobs.values() if job])
        for name, job in jobs.items():
            if job not in living:
                self._cluster.worker_spec.pop(name, None)
        missing = self._wanted - len(self._cluster.worker_spec)
        if not missing:
            return
        self._replaced += missing
        if self._replaced > _REPLACED_PER_WORKER * self._wanted:
            raise ClusterError(f"{self._replaced} worker jobs were lost; see their logs")
        while len(self._cluster.worker_spec) < self._wanted:
            self._cluster.worker_spec.update(self._cluster.new_worker_spec())
        try:
            await self._cluster._correct_state()
        except RuntimeError as error:
            raise ClusterError(f"sbatch refuses worker jobs: {' '.join(str(error).split())}") from error
        fresh = set(self.jobs()) - self._known
        self._known |= fresh
        if fresh and self._on_jobs is not None:
            self._on_jobs(sorted(fresh))

    def jobs(self) -> list[str]:
        """Numbers of the jobs that there are."""
        return [worker.job_id for worker in tuple(self._cluster.workers.values()) if worker.job_id]
