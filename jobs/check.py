"""Checks of a finished run: replay of one draw bit for bit, and verification of bytes and certificates."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine import Scenario, Status, build_problem, certified_gap, certified_mean_gap, fixed_draw
from engine.crb import link_bounds
from engine.links import bistatic_link, monostatic_link
from results.errors import DamagedData as DamagedShard
from results.shards import Shard, covering, list_shards, verify_shard

from .beams import load_beams
from .draws import training_draws
from .errors import DamagedData, UsageProblem
from .evaluate import design_draws, evaluate
from .jobfile import JobFile
from .knowledge import shared_designs
from .reasons import draw_reasons
from .rundir import RunDirectory

_SAMPLE = 4
# The explicit path sums over subcarriers in another order; near-singular FIMs magnify the difference.
_BOUND_TOLERANCE = 1e-6


def replay(folder: RunDirectory, draw: int) -> dict[str, Any]:
    """Compute one draw again, alone, and compare it with the cube bit for bit.

    Parameters
    ----------
    folder
        A finished run.
    draw
        Its index.

    Returns
    -------
    dict
        draw, whether it is identical, which variables differ, its bounds, and why some are unidentifiable.

    Raises
    ------
    UsageProblem
        If there is no such draw.
    """
    job = folder.job()
    if not 0 <= draw < job.draws.count:
        raise UsageProblem(f"{folder.path}: no draw {draw}; there are 0 to {job.draws.count - 1}")
    again = evaluate(job, draw, draw + 1)
    with xr.open_dataset(folder.complete_cube()) as cube:
        stored = cube.isel(draw=slice(draw, draw + 1)).load()
    different = [
        str(name)
        for name in again.data_vars
        if np.ascontiguousarray(again[name].values).tobytes() != np.ascontiguousarray(stored[name].values).tobytes()
    ]
    missing = sorted(str(name) for name in set(stored.data_vars) ^ set(again.data_vars))
    return {
        "draw": draw,
        "identical": not different and not missing,
        "different": different + missing,
        "designs": _rows(again),
        "reasons": _reasons(job, draw) if (again["status"] == Status.UNIDENTIFIABLE).any() else [],
    }


def _reasons(job: JobFile, draw: int) -> list[str]:
    """What cannot be told apart in a draw, at any point of the sweep."""
    found = [reason for point in range(len(job.sweep_points())) for reason in draw_reasons(job, point, draw)]
    return list(dict.fromkeys(found))


def _rows(data: xr.Dataset) -> list[dict[str, Any]]:
    """One row for each design of a dataset of one draw."""
    frame = data[["crb_bp", "crb_ms", "objective", "gap", "status", "rank"]].isel(draw=0)
    flat = frame.stack(design=frame["crb_bp"].dims)
    rows = []
    for n in range(flat.sizes["design"]):
        one = flat.isel(design=n)
        row: dict[str, Any] = {str(dim): one.coords[dim].item() for dim in frame["crb_bp"].dims}
        row |= {str(name): one[name].item() for name in one.data_vars}
        row["status"] = Status(row["status"]).name.lower()
        rows.append(row)
    return rows


def verify(folder: RunDirectory) -> dict[str, Any]:
    """Check a finished run: bytes of shards and cube, completeness, replay and certificates of a sample.

    The sample's designs are certified from scratch: FIMs by the explicit sum over subcarriers, bounds by
    inverting them, the gap on the full M_T x M_T cone.

    Parameters
    ----------
    folder
        A run.

    Returns
    -------
    dict
        Figures of what was checked.

    Raises
    ------
    IncompleteRun
        If draws are missing.
    DamagedData
        Naming the file or draw that is not what it should be.
    """
    job = folder.job()
    folder.complete_cube()
    shards = list_shards(folder.shards)
    _check_bytes(folder, shards)
    _, missing = covering(shards, job.draws.count)
    if missing:
        raise DamagedData(f"{folder.shards}: the cube is there, but the shards of draws {missing} are not")
    step = max(1, job.draws.count // _SAMPLE)
    checked = 0
    largest = 0.0
    for _, scenario in job.sweep_points():
        for knowledge in set(job.design.knowledge) - {"per-draw"}:
            largest = max(largest, _certify_shared(folder, job, scenario, knowledge))
    sample_of = _could_be_computed(folder.cube, range(0, job.draws.count, step))
    for draw in sample_of:
        result = replay(folder, draw)
        if not result["identical"]:
            raise DamagedData(
                f"{folder.cube}: draw {draw} comes out otherwise when computed again ({', '.join(result['different'])})"
            )
        count, gap = _certify(folder, draw)
        checked += count
        largest = max(largest, gap)
    return {
        "shards": len(shards),
        "draws": job.draws.count,
        "draws_replayed": len(sample_of),
        "designs_recomputed": checked,
        "largest_gap": largest,
    }


def _could_be_computed(cube: Path, draws: range) -> list[int]:
    """Those of some draws that are not flagged as failed from end to end: there would be nothing to replay."""
    with xr.open_dataset(cube) as data:
        status = data["status"].sel(draw=list(draws)).transpose("draw", ...).values
    failed = (status == Status.FAILED).reshape(len(draws), -1).all(axis=1)
    return [draw for draw, lost in zip(draws, failed, strict=True) if not lost]


def _check_bytes(folder: RunDirectory, shards: list[Shard]) -> None:
    """Name everything whose bytes are not those that were written."""
    damaged = []
    for shard in shards:
        try:
            verify_shard(shard)
        except DamagedShard as error:
            damaged.append(f"{error}; delete it")
    lines = folder.journal.damaged()
    if lines:
        damaged.append(f"{folder.journal.path}: line {', '.join(map(str, lines))} is not what was written")
    if damaged:
        raise DamagedData(f"{'; '.join(damaged)}; then run the job again")


def _certify(folder: RunDirectory, draw: int) -> tuple[int, float]:
    """Certify a draw's optimised designs again by the slow path: how many, and their largest gap."""
    job = folder.job()
    checked, largest = 0, 0.0
    for _, scenario in job.sweep_points():
        draws, designs = design_draws(job, scenario, draw, draw + 1, load_beams(job))
        links = (bistatic_link(scenario, draws), monostatic_link(scenario, draws))
        problem = build_problem(scenario, draws)
        for rho in _some_weights(designs.rho):
            for scheme in designs.schemes:
                own = "per-draw" in job.design.knowledge and "@" not in scheme  # the gap is that of this draw
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
                if scheme.startswith("fdb") and own:
                    gap = float(certified_gap(problem, v, rho, "full")[0])
                    largest = max(largest, _holding(folder, job, f"draw {draw}, {scheme}, rho = {rho:g}", gap))
                checked += 1
    return checked, largest


def _certify_shared(folder: RunDirectory, job: JobFile, scenario: Scenario, knowledge: str) -> float:
    """Certify again the beams of one point of the sweep that serve all draws, by the slow path: their largest gap."""
    shared = shared_designs(job, scenario, knowledge)
    draws = fixed_draw(scenario) if knowledge == "nominal" else training_draws(job, scenario)
    problem = build_problem(scenario, draws)
    largest = 0.0
    for rho in _some_weights(shared.rho):
        for s, scheme in enumerate(shared.schemes):
            r = shared.rho.tolist().index(rho)
            if scheme.startswith("fdb") and shared.status[s, r] == Status.CERTIFIED:
                v = shared.covariance[s, r]
                average = knowledge == "average"
                gap = certified_mean_gap(problem, v, rho) if average else certified_gap(problem, v, rho, "full")[0]
                place = f"{scheme} of {knowledge} knowledge, rho = {rho:g}"
                largest = max(largest, _holding(folder, job, place, float(gap)))
    return largest


def _some_weights(rho: NDArray[np.float64]) -> list[float]:
    """The first, a middle and the last one."""
    return [float(rho[n]) for n in sorted({0, len(rho) // 2, len(rho) - 1})]


def _holding(folder: RunDirectory, job: JobFile, place: str, gap: float) -> float:
    """A gap that is within the job's tolerance."""
    if not gap <= job.design.gap_tolerance * 1.01:
        raise DamagedData(f"{folder.cube}: {place}: the certificate does not hold ({gap:.2e})")
    return gap
