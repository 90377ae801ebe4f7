"""A run from job file to report: plan, dispatch, commit, consolidate. Running it again continues it."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cluster.connect import connect, usable_cores
from cluster.dispatch import dispatch
from cluster.errors import ClusterError
from engine import DesignError, Solver, Status, check_slots
from results.cube import write_cube
from results.shards import Shard, covering

from .beams import load_beams
from .errors import EnvironmentProblem, Exit, UsageProblem
from .identity import check_one_place, code_key, versions
from .interrupt import deferred, stop_if_wished
from .jobfile import JobFile
from .plan import Plan, make_plan
from .progress import Progress
from .rundir import RunDirectory, write_plan
from .task import Chunk, compute, pilot, warm_up

_IN_PROCESS_SECONDS = 5.0
REFERENCE = (
    "Y. Zhang, H. Chen, P. Zheng, B. Ning, H. Wymeersch, T. Y. Al-Naffouri, Optimized Beamforming for Joint "
    "Bistatic Positioning and Monostatic Sensing, IEEE ICC Workshops 2025, doi 10.1109/ICCWorkshops67674.2025.11162149"
)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes
    ----------
    exit
        DONE, or SOME_UNCERTIFIED.
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
            check_slots(scenario, job.design.schemes)
        if job.custom_path is not None:
            from engine import design, fixed_draw

            scenario = job.sweep_points()[0][1]
            design(scenario, fixed_draw(scenario), ["apa"], job.design.rho, custom=load_beams(job))
    except DesignError as error:
        key = "design.custom" if "custom" in str(error) else "scenario.slots"
        raise UsageProblem(f"{source}: {key}: {error}") from None


def run(
    job: JobFile,
    folder: RunDirectory,
    *,
    cluster: str | None,
    workers: int | None,
    chunk: int | None,
    report: bool,
    progress: Progress,
) -> Outcome:
    """Do what is left of a job.

    Parameters
    ----------
    job, folder
        What to compute and where to.
    cluster
        "none", "local", or None to choose by the plan.
    workers, chunk
        Worker processes, and draws in a chunk; chosen by default.
    report
        Whether to make figures.
    progress
        Tells the user.

    Returns
    -------
    Outcome
        With the exit code.

    Raises
    ------
    CommandError
        As the exit codes say.
    """
    check_one_place()
    folder.prepare(job)
    job = folder.job()
    begun = time.perf_counter()
    progress.say("looking for finished draws")
    shards = folder.finished(job)
    cover, missing = covering(shards, job.draws.count)
    made = bool(missing)
    if missing:
        progress.say("loading the kernels (compiled once per version: up to a minute)")
        warm_up()  # once, before workers start: they then load what was compiled
        plan = make_plan(job, missing, chunk, workers or usable_cores(), pilot(job, missing))
        kind = cluster or _chosen(plan)
        shards += _compute(job, folder, plan, kind, workers, progress)
        cover, _ = covering(shards, job.draws.count)
    if made or not folder.cube_is_current(job):
        made = True
        _consolidate(job, folder, cover, progress)
    if report and (made or not folder.report.is_dir()):
        made = True
        progress.say("drawing figures")
        from .report import write_report  # Matplotlib, only where figures are wanted

        started = time.perf_counter()
        write_report(folder, job)
        folder.journal.write("report", seconds=round(time.perf_counter() - started, 3))
    summary = {
        "folder": str(folder.path),
        "seconds": round(time.perf_counter() - begun, 2),
        **tally(folder.cube),
    }
    if made:
        folder.journal.write("end", **summary)
    bad = summary["uncertified"] + summary["failed"]
    return Outcome(Exit.SOME_UNCERTIFIED if bad else Exit.DONE, not made, summary)


def _chosen(plan: Plan) -> str:
    """Without a wish: in this process if that takes seconds, else on all cores."""
    share = sum(stop - start for start, stop in plan.chunks) / plan.draws
    return "none" if plan.core_hours * share * 3600.0 < _IN_PROCESS_SECONDS else "local"


def _compute(
    job: JobFile, folder: RunDirectory, plan: Plan, kind: str, workers: int | None, progress: Progress
) -> list[Shard]:
    """Dispatch the chunks that are missing; return their shards."""
    write_plan(folder.path / "plan.json", {**plan.summary(), "job_key": job.key(), "code_key": code_key()})
    folder.journal.write(
        "start",
        cluster=kind,
        workers=workers,
        chunks=len(plan.chunks),
        chunk=plan.chunk,
        draw_seconds=round(plan.core_hours * 3600.0 / plan.draws, 9),
        versions=versions(),
    )
    items = [Chunk(str(folder.path.resolve()), a, b, job.key(), code_key()) for a, b in plan.chunks]
    shards = []
    total = sum(b - a for a, b in plan.chunks)
    with _cluster(kind, workers) as client, progress.bar("draws", total) as advance, deferred():
        with closing(dispatch(client, compute, items)) as finished:  # on an error, what is out is cancelled at once
            for _, receipt in finished:
                folder.journal.write("chunk", **receipt)
                start, stop, digest = receipt["start"], receipt["stop"], receipt["sha256"]
                path = folder.shards / f"draws-{start:08d}-{stop:08d}-{digest}.nc"
                shards.append(Shard(start, stop, digest, path))
                advance(stop - start)
                stop_if_wished()
    return shards


@contextmanager
def _cluster(kind: str, workers: int | None) -> Iterator[Any]:
    try:
        with connect(kind, workers) as client:
            yield client
    except ClusterError as error:
        raise EnvironmentProblem(f"{error}; run the same command again to continue") from error


def _consolidate(job: JobFile, folder: RunDirectory, cover: list[tuple[Shard, int, int]], progress: Progress) -> None:
    started = time.perf_counter()
    with progress.bar("consolidating", job.draws.count) as advance:
        done = 0

        def on_block(stop: int, _: int) -> None:
            nonlocal done
            advance(stop - done)
            done = stop

        digest = write_cube(cover, folder.cube, job.draws.count, cube_attrs(job), on_block)
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


def tally(cube: Path) -> dict[str, Any]:
    """Count the designs of a cube by status, and find its largest certified gap."""
    counts = dict.fromkeys((status.value for status in Status), 0)
    rungs = dict.fromkeys((solver.value for solver in Solver if solver != Solver.NONE), 0)
    largest = 0.0
    with xr.open_dataset(cube) as data:
        for start in range(0, data.sizes["draw"], 1024):
            part = data[["status", "gap", "solver"]].isel(draw=slice(start, start + 1024)).load()
            status = part["status"].values
            for value in counts:
                counts[value] += int(np.count_nonzero(status == value))
            for value in rungs:
                rungs[value] += int(np.count_nonzero(part["solver"].values == value))
            gaps = part["gap"].values[status == Status.CERTIFIED]
            largest = max(largest, float(gaps.max(initial=0.0)))
    named = {status.name.lower(): counts[status.value] for status in Status}
    used = {Solver(value).name.lower(): count for value, count in rungs.items()}
    return {"designs": sum(counts.values()), **named, "largest_gap": largest, "solvers": used}
