"""A run from job file to report: plan, dispatch, commit, consolidate. Running it again continues it."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from crbatch.cluster import batch
from crbatch.cluster.connect import connect, usable_cores
from crbatch.cluster.dispatch import Failure, Poison, describe_workers, dispatch, prepare_workers
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.profiles import MOST_WORKERS, Profile, load_profile
from crbatch.cluster.scratch import remove_left
from crbatch.cluster.walltime import seconds_left
from crbatch.engine.beamforming.schemes import check_slots
from crbatch.engine.errors import DesignError
from crbatch.engine.warm import STAND_IN_PREFIX
from crbatch.results.cube import write_cube
from crbatch.results.errors import DamagedData as DamagedShard
from crbatch.results.shards import Shard, commit_bytes, covering

from ..chunk.beams import load_beams
from ..chunk.draws import check_draws
from ..chunk.task import Chunk, compute, flag_as_failed, halves, pilot, warm_up
from ..errors import CommandError, DamagedData, EnvironmentProblem, Exit, UsageProblem
from ..finished.reasons import reasons
from ..finished.tally import tally
from ..folder.lock import hold
from ..folder.precise import as_precise, last_look
from ..folder.rundir import RunDirectory, write_plan
from ..folder.timings import timings
from ..identity import code_key, versions
from ..jobfile.schema import JobFile
from ..terminal.interrupt import draining, rest_if_stopping, unbroken
from ..terminal.progress import Progress
from .ending import ending_noted, told_to_drain
from .plan import Plan, make_plan
from .room import local_workers, refuse_compiling
from .watch import Watch

_IN_PROCESS_SECONDS = 5.0
_LAST_SECONDS = 8.0  # before walltime, for ending in order
REFERENCE = (
    "Y. Zhang, H. Chen, P. Zheng, B. Ning, H. Wymeersch, T. Y. Al-Naffouri, Optimized Beamforming for Joint "
    "Bistatic Positioning and Monostatic Sensing, IEEE ICC Workshops 2025, doi 10.1109/ICCWorkshops67674.2025.11162149"
)


class _NoTimeLeft(Exception):
    """The batch job is about to end."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    exit
        DONE; SOME_UNCERTIFIED also where some draws failed, or none is identifiable.
    nothing_left
        Whether all was there already.
    summary
        Figures for the user, fit for JSON.
    """

    exit: Exit
    nothing_left: bool
    summary: dict[str, Any]


def check_job(job: JobFile, source: str) -> None:
    """Refuse a job that no engine call could do, before anything is written.

    Raises
    ------
    UsageProblem
        Naming the file and the key.
    """
    try:
        for _, scenario in job.sweep_points():
            check_slots(scenario, job.design.schemes, job.design.wbf_factor)
        if job.custom_path is not None:
            from crbatch.engine.beamforming.schemes import design
            from crbatch.engine.draws import fixed_draw

            scenario = job.sweep_points()[0][1]
            design(scenario, fixed_draw(scenario), ["apa"], job.design.rho, custom=load_beams(job))
        check_draws(job)
    except DesignError as error:
        key = "design.custom" if "custom" in str(error) else "scenario.slots"
        raise UsageProblem(f"{source}: {key}: {error}") from None


def run(
    job: JobFile,
    folder: RunDirectory,
    *,
    cluster: Profile | str | None,
    workers: int | None,
    chunk: int | None,
    report: bool,
    progress: Progress,
    insecure_tcp: bool = False,
) -> Outcome:
    """Do what is left of a job.

    Parameters
    ----------
    job, folder
        What to compute and where to.
    cluster
        A profile or the name of one; None to choose between "none" and "local" by the plan.
    workers, chunk
        Worker processes or jobs, and draws in a chunk; the profile's and chosen by default.
    report
        Whether to make figures.
    progress
        Tells the user.
    insecure_tcp
        Whether a scheduler may be reached without encryption over a network.

    Returns
    -------
    Outcome
        With the exit code.

    Raises
    ------
    CommandError
        As the exit codes say.
    """
    if workers is not None and workers > MOST_WORKERS:
        raise UsageProblem(f"--workers: {workers} is refused; there are {MOST_WORKERS} at most")
    folder.claim()
    with hold(folder.path, progress), ending_noted(folder):
        with unbroken():
            folder.prepare(job, progress)
        mine = folder.written_job()
        if mine.key() != job.key():
            raise DamagedData(f"{folder.path}: its job is not the one given; something else writes there")
        return _run(folder, mine, cluster, workers, chunk, report, progress, insecure_tcp)


def _run(
    folder: RunDirectory,
    job: JobFile,
    cluster: Profile | str | None,
    workers: int | None,
    chunk: int | None,
    report: bool,
    progress: Progress,
    insecure_tcp: bool,
) -> Outcome:
    begun, since = time.perf_counter(), time.time()
    progress.say("looking for finished draws")
    shards = folder.finished(job, progress)
    folder.mend_journal(shards)
    if not folder.cube_is_current(job):
        job = as_precise(folder, job, shards)
    cover, missing = covering(shards, job.draws.count)
    made = bool(missing)
    if missing:
        progress.say("loading the kernels (compiled once per version: up to a minute)")
        refuse_compiling()
        remove_left(STAND_IN_PREFIX)
        warm_up()  # once, before workers start: they then load what was compiled
        profile = _profile(cluster) if cluster is not None else None
        cores = workers or cores_of(profile)
        draw_seconds = pilot(job, missing)
        place = Place(profile or _profile(_chosen(job, missing, draw_seconds)), workers, insecure_tcp)
        if place.profile.kind == "local":
            fit = local_workers(cores, profile is None, progress.say)
            place = replace(place, workers=workers and fit) if fit else replace(place, profile=_profile("none"))
            cores = max(fit, 1)
        plan = make_plan(job, missing, chunk, cores, draw_seconds)
        if place.profile.kind == "local" and job.draws.until is None:  # later plans may have more chunks
            place = replace(place, workers=place.workers or min(cores, len(plan.chunks)))
        plan = _begin(job, folder, plan, place)
        with _cluster(place, folder, job.name) as client:
            while True:
                shards += _compute(job, folder, plan, place, client, progress)
                job = as_precise(folder, job, shards)
                cover, missing = covering(shards, job.draws.count)
                if draining() or not missing:
                    break
                plan = _begin(job, folder, make_plan(job, missing, chunk, cores, draw_seconds), place)
        if missing:
            raise told_to_drain(folder, missing)
    if made or not folder.cube_is_current(job):
        made = True
        _consolidate(job, folder, cover, progress)
    if report and not folder.report_is_current():
        made = True
        progress.say("drawing figures")
        from ..finished.report import write_report  # Matplotlib, only where figures are wanted

        write_report(folder, job)
    summary = {
        "folder": str(folder.path),
        "seconds": round(time.perf_counter() - begun, 2),
        **(counts := tally(folder.cube)),
        "reasons": reasons(job, folder.cube) if counts["unidentifiable"] else [],
        "timings": timings(folder.journal.all(), since),
        **last_look(folder, job),
    }
    if made:
        folder.journal.write("end", **summary)
    bad = summary["uncertified"] + summary["failed"] or summary["unidentifiable"] == summary["designs"]
    return Outcome(Exit.SOME_UNCERTIFIED if bad else Exit.DONE, not made, summary)


@dataclass(frozen=True)
class Place:
    """Where chunks are computed.

    Attributes
    ----------
    profile
        The cluster.
    workers
        Worker processes or jobs in place of the profile's.
    insecure_tcp
        Whether a scheduler may be reached without encryption over a network.
    """

    profile: Profile
    workers: int | None
    insecure_tcp: bool

    @property
    def sees_folder(self) -> bool:
        """Whether workers commit shards themselves."""
        return getattr(self.profile, "shared_filesystem", True)


def _profile(cluster: Profile | str) -> Profile:
    try:
        return load_profile(cluster) if isinstance(cluster, str) else cluster
    except ClusterError as error:
        raise UsageProblem(f"--cluster: {error}") from None


def cores_of(profile: Profile | None) -> int:
    """Worker processes that a profile asks for."""
    wanted = (getattr(profile, "workers", None) or 0) * getattr(profile, "cores", 1)
    return wanted or usable_cores()


def _chosen(job: JobFile, missing: list[tuple[int, int]], draw_seconds: float) -> str:
    """Without a wish: in this process if that takes seconds, else on all cores."""
    draws = sum(stop - start for start, stop in missing)
    if job.draws.until is not None:  # at most
        draws += job.draws.until.max - job.draws.count
    return "none" if draws * draw_seconds < _IN_PROCESS_SECONDS else "local"


def _begin(job: JobFile, folder: RunDirectory, plan: Plan, place: Place) -> Plan:
    """Note a plan that is about to be carried out."""
    if job.files and not place.sees_folder:
        key = next(iter(job.files))
        raise UsageProblem(f"{key}: its file has to be seen by the workers, which share no file system")
    write_plan(folder.path / "plan.json", {**plan.summary(), "job_key": job.key(), "code_key": code_key()})
    folder.journal.write(
        "start",
        cluster=place.profile.kind,
        workers=place.workers,
        chunks=len(plan.chunks),
        chunk=plan.chunk,
        draw_seconds=round(plan.draw_seconds, 9),
        chunk_seconds=round(_chunk_seconds(plan), 3),
        job=job.canonical(),
        job_key=job.key(),
        versions=versions(),
    )
    return plan


def _compute(
    job: JobFile, folder: RunDirectory, plan: Plan, place: Place, client: Any, progress: Progress
) -> list[Shard]:
    """Dispatch the chunks that are missing; return their shards."""
    text = None if place.sees_folder else job.to_toml()
    items = [Chunk(str(folder.path.resolve()), a, b, job.key(), code_key(), text) for a, b in plan.chunks]
    shards = []
    done = job.draws.count - sum(b - a for a, b in plan.chunks)
    with progress.bar("draws", job.draws.count, done) as advance:
        poison = Poison(halves, fatal=(CommandError, OSError, MemoryError))
        watch = Watch(_chunk_seconds(plan), progress.say, lambda: describe_workers(client))

        def look_up() -> None:
            _look_up()
            watch.look()

        finished = dispatch(client, compute, _until_draining(items), poison=poison, on_pause=look_up)
        with closing(finished), suppress(_NoTimeLeft):  # on an error, what is out is cancelled at once
            for chunk, result in finished:
                rest_if_stopping()
                watch.finished()
                receipt = _committed(job, folder, chunk, result)
                folder.journal.write("chunk", **receipt)
                shards.append(_shard(folder, receipt))
                advance(chunk.stop - chunk.start)
                if _out_of_time():
                    break
    return shards


def _chunk_seconds(plan: Plan) -> float:
    """What a worker should take for its first chunk."""
    return plan.chunk * plan.draw_seconds + plan.training_seconds


def _until_draining(items: list[Chunk]) -> Iterator[Chunk]:
    for item in items:
        if draining():
            return
        yield item


def _out_of_time() -> bool:
    """Whether what is still out could no longer be waited for."""
    return draining() and seconds_left() < _LAST_SECONDS


def _look_up() -> None:
    """While nothing arrives: look at the clock."""
    if _out_of_time():
        raise _NoTimeLeft


def _committed(job: JobFile, folder: RunDirectory, chunk: Chunk, result: dict[str, Any] | Failure) -> dict[str, Any]:
    """The receipt of a chunk whose shard lies in the run's folder, whoever has to put it there."""
    if isinstance(result, Failure):
        return flag_as_failed(job, chunk, result.reason)
    content = result.pop("content", None)
    if content is not None:
        commit_bytes(content, folder.shards, result["start"], result["stop"], result["sha256"])
        result["bytes"] = len(content)
    return result


def _shard(folder: RunDirectory, receipt: dict[str, Any]) -> Shard:
    start, stop, digest = receipt["start"], receipt["stop"], receipt["sha256"]
    return Shard(start, stop, digest, folder.shards / f"draws-{start:08d}-{stop:08d}-{digest}.nc")


@contextmanager
def _cluster(place: Place, folder: RunDirectory, name: str) -> Iterator[Any]:
    begun = time.perf_counter()
    if place.profile.kind == "slurm":
        _cancel_orphans(folder)

    def note_jobs(ids: Sequence[str]) -> None:
        folder.journal.write("jobs", system=place.profile.kind, role="workers", ids=list(ids))

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
    try:
        batch.cancel("slurm", batch.alive("slurm", ids))
    except ClusterError as error:
        raise EnvironmentProblem(str(error)) from error


def _consolidate(job: JobFile, folder: RunDirectory, cover: list[tuple[Shard, int, int]], progress: Progress) -> None:
    started = time.perf_counter()
    with progress.bar("consolidating", job.draws.count) as advance:
        done = 0

        def on_block(stop: int, _: int) -> None:
            nonlocal done
            advance(stop - done)
            done = stop

        try:
            digest = write_cube(cover, folder.cube, job.draws.count, cube_attrs(job), on_block)
        except DamagedShard as error:
            raise DamagedData(f"{error}; run the same command again, which computes it anew") from None
    seconds = round(time.perf_counter() - started, 3)
    folder.journal.write("cube", sha256=digest, job=job.canonical(), seconds=seconds)


def cube_attrs(job: JobFile) -> dict[str, str]:
    """Global attributes of the cube: what was computed, from what, by what."""
    return {
        "Conventions": "CF-1.11",
        "title": f"Cramer-Rao bounds and certified beam designs: {job.name}",
        "source": f"crbatch {versions()['crbatch']}",
        "references": REFERENCE,
        "job": job.canonical(),
        "job_sha256": hashlib.sha256(job.canonical().encode()).hexdigest(),
        "seed": str(job.draws.seed),
        "versions": json.dumps(versions(), sort_keys=True),
    }
