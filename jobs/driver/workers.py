"""Where chunks are computed: which cluster, how many workers, and whether memory has room for them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from crbatch.cluster import batch
from crbatch.cluster.connect import connect
from crbatch.cluster.dispatch import prepare_workers
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.machine import usable_cores
from crbatch.cluster.needs import check_compiling, fitting_workers
from crbatch.cluster.profiles import LocalProfile, NoCluster, Profile
from crbatch.engine.warm import is_compiled

from ..chunk.task import warm_up
from ..errors import EnvironmentProblem, of_the_environment
from ..folder.rundir import RunDirectory
from ..jobfile.schema import JobFile

_IN_PROCESS_SECONDS = 5.0


@dataclass(frozen=True)
class Place:
    """Where chunks are computed."""

    profile: Profile
    workers: int | None  # worker processes or jobs in place of the profile's
    insecure_tcp: bool  # whether a scheduler may be reached without encryption over a network

    @property
    def sees_folder(self) -> bool:
        """Whether workers commit shards themselves."""
        return getattr(self.profile, "shared_filesystem", True)


def refuse_compiling() -> None:
    """Refuse to compile kernels where memory has no room for it.

    Raises EnvironmentProblem, saying how much it takes.
    """
    with of_the_environment():
        if not is_compiled():
            check_compiling()


def cores_of(profile: Profile | None) -> int:
    """Worker processes that a profile asks for."""
    wanted = (getattr(profile, "workers", None) or 0) * getattr(profile, "cores", 1)
    return wanted or usable_cores()


def by_default(job: JobFile, missing: list[tuple[int, int]], draw_seconds: float) -> Profile:
    """Without a wish: in this process if that takes seconds, else on all cores."""
    draws = sum(stop - start for start, stop in missing)
    if job.draws.until is not None:  # at most
        draws += job.draws.until.max - job.draws.count
    return NoCluster() if draws * draw_seconds < _IN_PROCESS_SECONDS else LocalProfile()


def fitting(place: Place, cores: int, wanted: bool, say: Callable[[str], None]) -> tuple[Place, int]:
    """Where and with how many processes the work is done as far as memory goes.

    `place`, `cores`: where it should be done, and with how many. `wanted`: whether somebody asked for this place.
    `say`: tells the user. Raises EnvironmentProblem if no local worker fits that was asked for.
    """
    if place.profile.kind != "local":
        return place, cores
    try:
        fit = fitting_workers(cores)
    except ClusterError as error:
        if wanted:
            raise EnvironmentProblem(str(error)) from None
        say(f"working in this process: {error}")
        return replace(place, profile=NoCluster()), 1
    if fit < cores:
        say(f"starting {fit} of {cores} local workers, as more do not fit into memory")
    return replace(place, workers=place.workers and fit), fit


@contextmanager
def opened(place: Place, folder: RunDirectory, name: str) -> Iterator[Any]:
    """Open the cluster of a place for a run, whose journal notes its batch jobs and when workers are ready."""
    begun = time.perf_counter()
    if place.profile.kind == "slurm":
        _cancel_orphans(folder)

    def note_jobs(ids: Sequence[str]) -> None:
        folder.journal.write("jobs", role="workers", ids=list(ids))

    cluster = connect(
        place.profile,
        place.workers,
        folder=folder.path,
        name=name,
        insecure_tcp=place.insecure_tcp,
        on_jobs=note_jobs,
    )
    try:
        with cluster as client:
            if client is not None and place.profile.kind == "local":
                prepare_workers(client, warm_up)
            threads = 1 if client is None else sum(client.nthreads().values())
            folder.journal.write("connected", seconds=round(time.perf_counter() - begun, 3), workers=threads)
            yield client
    except ClusterError as error:
        raise EnvironmentProblem(f"{error}; run the same command again to continue") from error


def _cancel_orphans(folder: RunDirectory) -> None:
    """Cancel worker jobs of a driver that was killed: nothing will ever give them work."""
    events = folder.journal.events("jobs")
    ids = [number for event in events if event["role"] == "workers" for number in event["ids"]]
    with of_the_environment():
        batch.cancel(batch.alive(ids))
