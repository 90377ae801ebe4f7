"""A run from its start to its end: what is finished, what is computed, the cube, the report. Again, it goes on."""

import time
from dataclasses import dataclass, replace
from typing import Any

from crbatch.cluster.profiles import MOST_WORKERS, Profile, load_profile
from crbatch.cluster.scratch import remove_left
from crbatch.engine.warm import STAND_IN_PREFIX
from crbatch.results.shards import Shard, covering

from ..chunk.task import pilot, warm_up
from ..errors import DamagedData, Exit, UsageProblem
from ..finished.reasons import reasons
from ..finished.tally import tally
from ..folder.lock import hold
from ..folder.rundir import RunDirectory
from ..folder.timings import timings
from ..folder.until import as_precise, last_look
from ..jobfile.schema import JobFile
from ..terminal.interrupt import draining, unbroken
from ..terminal.progress import Progress
from .chunks import compute_chunks, note_plan
from .consolidation import consolidate
from .ending import ending_noted, told_to_drain
from .plan import make_plan
from .workers import Place, by_default, cores_of, fitting, opened, refuse_compiling


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    exit: Exit  # DONE; SOME_UNCERTIFIED also where some draws failed, or none is identifiable
    nothing_left: bool  # all was there already
    summary: dict[str, Any]  # figures for the user, fit for JSON


@dataclass(frozen=True)
class _Wish:
    """What the user asks for beside the job: a cluster, workers, draws in a chunk; None to choose."""

    profile: Profile | None
    workers: int | None
    chunk: int | None
    insecure_tcp: bool


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

    `cluster`: a profile or the name of one; None to choose between "none" and "local" by the plan. `workers`: worker
    processes or jobs in place of the profile's. `chunk`: draws in a chunk; chosen by default. `report`: whether to make
    figures. `insecure_tcp`: as in `Place`. Raises CommandError as the exit codes say.
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
        profile = load_profile(cluster) if isinstance(cluster, str) else cluster
        return _go_on(folder, mine, _Wish(profile, workers, chunk, insecure_tcp), report, progress)


def _go_on(folder: RunDirectory, job: JobFile, wish: _Wish, report: bool, progress: Progress) -> Outcome:
    begun, since = time.perf_counter(), time.time()
    progress.say("looking for finished draws")
    shards = folder.finished(job, progress)
    folder.mend_journal(shards)
    if not folder.cube_is_current(job):
        job = as_precise(folder, job, shards)
    made = bool(covering(shards, job.draws.count)[1])
    if made:
        job, shards = _compute_missing(folder, job, shards, wish, progress)
    if made or not folder.cube_is_current(job):
        made = True
        consolidate(job, folder, covering(shards, job.draws.count)[0], progress)
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


def _compute_missing(
    folder: RunDirectory, job: JobFile, shards: list[Shard], wish: _Wish, progress: Progress
) -> tuple[JobFile, list[Shard]]:
    """Compute the draws that no shard has, and as many more as the job's precision takes."""
    progress.say("loading the kernels (compiled once per version: up to a minute)")
    refuse_compiling()
    remove_left(STAND_IN_PREFIX)
    warm_up()  # once, before workers start: they then load what was compiled
    _, missing = covering(shards, job.draws.count)
    draw_seconds = pilot(job, missing)
    place = Place(wish.profile or by_default(job, missing, draw_seconds), wish.workers, wish.insecure_tcp)
    wanted = wish.workers or cores_of(wish.profile)
    place, cores = fitting(place, wanted, wish.profile is not None, progress.say)
    plan = make_plan(job, missing, wish.chunk, cores, draw_seconds)
    if place.profile.kind == "local" and job.draws.until is None:  # later plans may have more chunks
        place = replace(place, workers=place.workers or min(cores, len(plan.chunks)))
    note_plan(job, folder, plan, place)
    with opened(place, folder, job.name) as client:
        while True:
            shards = shards + compute_chunks(job, folder, plan, place, client, progress)
            job = as_precise(folder, job, shards)
            _, missing = covering(shards, job.draws.count)
            if draining() or not missing:
                break
            plan = make_plan(job, missing, wish.chunk, cores, draw_seconds)
            note_plan(job, folder, plan, place)
    if missing:
        raise told_to_drain(folder, missing)
    return job, shards
