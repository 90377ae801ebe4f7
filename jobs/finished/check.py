"""Checks of a finished run: replay of one draw bit for bit, and verification of bytes and certificates."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.beamforming.certificate import certified_gap, certified_mean_gap
from crbatch.engine.beamforming.problem import build_problem
from crbatch.engine.beamforming.scheme import Scheme
from crbatch.engine.crb import link_bounds
from crbatch.engine.draws import fixed_draw
from crbatch.engine.links import bistatic_link, monostatic_link
from crbatch.engine.scenario import Scenario
from crbatch.engine.status import Status
from crbatch.results.cube import check_cube
from crbatch.results.errors import DamagedData as DamagedShard
from crbatch.results.shards import Shard, check_content, covering, list_shards, shard_attrs
from numpy.typing import NDArray

from ..chunk.draws import training_draws
from ..chunk.evaluate import design_draws, evaluate
from ..chunk.knowledge import shared_designs
from ..errors import DamagedData, UsageProblem
from ..folder.rundir import RunDirectory
from ..identity import code_key
from ..jobfile.schema import JobFile
from ..terminal.progress import Progress
from .reasons import draw_reasons

_SAMPLE = 4
_REPLAYED_TOGETHER = 64
# The explicit path sums over subcarriers in another order; near-singular FIMs magnify the difference.
_BOUND_TOLERANCE = 1e-6


def replay(folder: RunDirectory, draw: int) -> dict[str, Any]:
    """Compute one draw again, alone, and compare it with the cube bit for bit.

    `folder`: a finished run. `draw`: its index. Result: draw, whether it is identical, which variables differ, its
    bounds, and why some are unidentifiable. Raises UsageProblem if there is no such draw.
    """
    job = folder.job()
    if not 0 <= draw < job.draws.count:
        raise UsageProblem(f"{folder.path}: no draw {draw}; there are 0 to {job.draws.count - 1}")
    again = evaluate(job, draw, draw + 1)
    with xr.open_dataset(folder.complete_cube()) as cube:
        different = _different(again, cube.isel(draw=slice(draw, draw + 1)).load())
    lost = (again["status"] == Status.UNIDENTIFIABLE).any()
    points = range(len(job.sweep_points())) if lost else ()
    return {
        "draw": draw,
        "identical": not different,
        "different": different,
        "designs": _rows(again),
        "reasons": list(dict.fromkeys(reason for point in points for reason in draw_reasons(job, point, draw))),
    }


def _different(again: xr.Dataset, stored: xr.Dataset) -> list[str]:
    """Variables that are not the same bit for bit, or that only one of two datasets has."""
    different = [
        str(name)
        for name in again.data_vars
        if name in stored
        and np.ascontiguousarray(again[name].values).tobytes() != np.ascontiguousarray(stored[name].values).tobytes()
    ]
    return different + sorted(str(name) for name in set(stored.data_vars) ^ set(again.data_vars))


def _rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """One row for each design of a dataset of one draw."""
    designs = data[["crb_bp", "crb_ms", "objective", "gap", "status", "rank"]].isel(draw=0, drop=True)
    frame = designs.to_dataframe(dim_order=list(designs["crb_bp"].dims)).reset_index()
    frame["status"] = [Status(value).name.lower() for value in frame["status"]]
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def verify(folder: RunDirectory, *, every: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """Check a finished run: bytes and labels of shards and cube, completeness, replay and certificates of a sample.

    The sample's designs are certified from scratch: FIMs by the explicit sum over subcarriers, bounds by
    inverting them, the gap on the full M_T x M_T cone.

    `every`: whether to replay every draw, which takes as long as the run did on one core. Result: figures of what was
    checked. Raises IncompleteRun if draws are missing; DamagedData, naming the file or draw that is not what it should
    be.
    """
    job = folder.written_job()
    folder.complete_cube()
    shards = list_shards(folder.shards)
    _check_bytes(folder, job, shards)
    _check_cube(folder, job, shards)
    step = max(1, job.draws.count // _SAMPLE)
    shared_by = set(job.design.knowledge) - {"per-draw"}
    points = [(scenario, knowledge) for _, scenario in job.sweep_points() for knowledge in shared_by]
    shared = [gap for scenario, knowledge in points for gap in _gaps_of_shared(folder, job, scenario, knowledge)]
    sample = _could_be_computed(folder.cube, range(0, job.draws.count, step))
    replayed = _could_be_computed(folder.cube, range(job.draws.count)) if every else sample
    with (progress or Progress(quiet=True)).bar("replaying", len(replayed)) as advance:
        for start, stop in _ranges(replayed):
            _replay_for_certain(folder, job, start, stop)
            advance(stop - start)
    own = [gap for draw in sample for gap in _gaps_of_draw(folder, job, draw)]
    return {
        "shards": len(shards),
        "draws": job.draws.count,
        "draws_replayed": len(replayed),
        "designs_recomputed": len(own),
        "largest_gap": max((*shared, *own), default=0.0),
    }


def _ranges(draws: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of draws that follow each other, up to a number that is quick to compute."""
    start = 0
    for at in range(1, len(draws) + 1):
        if at == len(draws) or draws[at] != draws[at - 1] + 1 or at - start == _REPLAYED_TOGETHER:
            yield draws[start], draws[at - 1] + 1
            start = at


def _replay_for_certain(folder: RunDirectory, job: JobFile, start: int, stop: int) -> None:
    """Refuse a cube of which a draw comes out otherwise."""
    again = evaluate(job, start, stop)
    with xr.open_dataset(folder.cube) as cube:
        stored = cube.isel(draw=slice(start, stop)).load()
    for n in range(stop - start):
        different = _different(again.isel(draw=slice(n, n + 1)), stored.isel(draw=slice(n, n + 1)))
        if different:
            raise DamagedData(
                f"{folder.cube}: draw {start + n} comes out otherwise when computed again ({', '.join(different)}); "
                "delete the cube and the shard that holds it, then run the job again"
            )


def _could_be_computed(cube: Path, draws: range) -> list[int]:
    """Those of some draws that are not flagged as failed from end to end: there would be nothing to replay."""
    with xr.open_dataset(cube) as data:
        status = data["status"].sel(draw=list(draws)).transpose("draw", ...).values
    failed = (status == Status.FAILED).reshape(len(draws), -1).all(axis=1)
    return [draw for draw, lost in zip(draws, failed, strict=True) if not lost]


def _check_bytes(folder: RunDirectory, job: JobFile, shards: list[Shard]) -> None:
    """Name everything that is not what was written, or of something else."""
    damaged = []
    for shard in shards:
        try:
            attrs = shard_attrs(shard)
            check_content(shard, job.coordinates())
            if (attrs.get("job_key"), attrs.get("code_key")) != (job.key(), code_key()):
                raise DamagedShard(f"{shard.path}: of another job, or another version")
        except DamagedShard as error:
            damaged.append(f"{error}; delete it")
    lines = folder.journal.damaged()
    if lines:
        damaged.append(f"{folder.journal.path}: line {', '.join(map(str, lines))} is not what was written")
    if damaged:
        raise DamagedData(f"{'; '.join(damaged)}; then run the job again")


def _check_cube(folder: RunDirectory, job: JobFile, shards: list[Shard]) -> None:
    """Hold the cube against its shards."""
    cover, missing = covering(shards, job.draws.count)
    if missing:
        raise DamagedData(f"{folder.shards}: the cube is there, but the shards of draws {missing} are not")
    try:
        check_cube(cover, folder.cube, job.draws.count)
    except DamagedShard as error:
        raise DamagedData(f"{error}; delete it, then run the job again") from None


def _gaps_of_draw(folder: RunDirectory, job: JobFile, draw: int) -> Iterator[float]:
    """Certify a draw's optimised designs again by the slow path: their gaps, 0 where it is not this draw's own."""
    for _, scenario in job.sweep_points():
        draws, designs = design_draws(job, scenario, draw, draw + 1)
        links = (bistatic_link(scenario, draws), monostatic_link(scenario, draws))
        problem = build_problem(scenario, draws)
        for rho in _some_weights(designs.rho):
            for scheme in designs.schemes:
                s, r = designs.index(scheme, rho)
                if designs.status[0, s, r] != Status.CERTIFIED:
                    continue
                v = designs.beam_covariance(scheme, rho)
                bp, ms = (link_bounds(link, v, "explicit").position[0] for link in links)
                found = (rho * bp if rho > 0.0 else 0.0) + ((1.0 - rho) * ms if rho < 1.0 else 0.0)
                if not abs(found / designs.objective[0, s, r] - 1.0) <= _BOUND_TOLERANCE:
                    raise DamagedData(
                        f"{folder.cube}: draw {draw}, {scheme}, rho = {rho:g}: the explicit sum gives "
                        f"{found:.9e} m2, not {designs.objective[0, s, r]:.9e}"
                    )
                gap = 0.0
                if _covariance_of_draw(job, scheme):
                    gap = float(certified_gap(problem, v, rho, "full")[0])
                yield _holding(folder, job, f"draw {draw}, {scheme}, rho = {rho:g}", gap)


def _covariance_of_draw(job: JobFile, label: str) -> bool:
    """Whether the gap is that of this draw, over all covariances."""
    scheme = Scheme.parse(label)
    return scheme.family == "fdb" and scheme.knowledge is None and "per-draw" in job.design.knowledge


def _gaps_of_shared(folder: RunDirectory, job: JobFile, scenario: Scenario, knowledge: str) -> Iterator[float]:
    """Certify again the beams of one point of the sweep that serve all draws, by the slow path: their gaps."""
    shared = shared_designs(job, scenario, knowledge)
    draws = fixed_draw(scenario) if knowledge == "nominal" else training_draws(job, scenario)
    problem = build_problem(scenario, draws)
    for rho in _some_weights(shared.rho):
        r = shared.rho.tolist().index(rho)
        for s, scheme in enumerate(shared.schemes):
            if Scheme.parse(scheme).family == "fdb" and shared.status[s, r] == Status.CERTIFIED:
                v = shared.covariance[s, r]
                average = knowledge == "average"
                gap = certified_mean_gap(problem, v, rho) if average else certified_gap(problem, v, rho, "full")[0]
                yield _holding(folder, job, f"{scheme} of {knowledge} knowledge, rho = {rho:g}", float(gap))


def _some_weights(rho: NDArray[np.float64]) -> list[float]:
    """The first, a middle and the last one."""
    return [float(rho[n]) for n in sorted({0, len(rho) // 2, len(rho) - 1})]


def _holding(folder: RunDirectory, job: JobFile, place: str, gap: float) -> float:
    """A gap that is within the job's tolerance."""
    if not gap <= job.design.gap_tolerance * 1.01:
        raise DamagedData(f"{folder.cube}: {place}: the certificate does not hold ({gap:.2e})")
    return gap
