"""Plans: chunks that cover exactly what is missing, and estimates of the right size."""

from pathlib import Path

import pytest
import xarray as xr
from crbatch.jobs.chunk import task
from crbatch.jobs.driver import cost
from crbatch.jobs.driver.plan import make_plan, text
from crbatch.jobs.jobfile.schema import JobFile
from crbatch.results.words import duration_text, size_text
from hypothesis import given
from hypothesis import strategies as st
from job_cases import run_tiny, tiny_job


@given(
    gaps=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=5),
    chunk=st.integers(1, 50) | st.none(),
    workers=st.integers(1, 64),
)
def test_chunks_cover_what_is_missing_once_and_in_order(
    gaps: list[tuple[int, int]], chunk: int | None, workers: int
) -> None:
    missing, at = [], 0
    for skip, length in gaps:
        missing.append((at + skip, at + skip + length))
        at += skip + length
    plan = make_plan(tiny_job(draws={"count": max(at, 1)}), missing, chunk, workers)
    planned = [draw for start, stop in plan.chunks for draw in range(start, stop)]
    assert planned == [draw for start, stop in missing for draw in range(start, stop)]
    assert all(0 < stop - start <= plan.chunk for start, stop in plan.chunks)
    assert chunk in (None, plan.chunk)


def test_without_missing_ranges_all_draws_are_planned() -> None:
    assert make_plan(tiny_job(draws={"count": 20}), chunk=7).chunks == ((0, 7), (7, 14), (14, 20))


@pytest.mark.parametrize("workers", [1, 2, 16, 300])
@pytest.mark.parametrize("count", [1, 1000, 100_000])
def test_chunks_are_worth_their_overhead_and_end_together(count: int, workers: int) -> None:
    """From 0.5 to 4 s, not more than half of what each worker has left; longer where many workers ask for them."""
    seconds = 0.01
    plan = make_plan(tiny_job(draws={"count": count}), workers=workers, draw_seconds=seconds)
    left = count
    for start, stop in plan.chunks:
        least = max(0.5, min(0.012 * workers, seconds * count / workers))
        assert seconds * (stop - start) <= min(4.0, max(least, seconds * left / (2 * workers))) + seconds
        assert seconds * (stop - start) >= min(0.5, seconds * left)
        left -= stop - start
    assert left == 0


@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("count", [1, 100, 100_000])
def test_chunks_that_are_shared_out_beforehand_are_even(count: int, workers: int) -> None:
    plan = make_plan(tiny_job(draws={"count": count}), workers=workers, even=True)
    assert len(plan.chunks) >= min(count, 4 * workers)
    assert {stop - start for start, stop in plan.chunks[:-1]} <= {plan.chunk}
    assert plan.core_hours * 3600 * plan.chunk / count < 5


def test_designs_and_cost_are_proportional() -> None:
    one = make_plan(tiny_job(draws={"count": 10}))
    ten = make_plan(tiny_job(draws={"count": 100}))
    swept = make_plan(tiny_job(draws={"count": 10}, sweep={"power_dbm": [-30, -20], "slots": [8, 16, 24]}))
    assert (one.designs, ten.designs, swept.designs) == (120, 1200, 720)
    assert swept.points == 6
    assert ten.core_hours == pytest.approx(10 * one.core_hours)
    assert swept.core_hours == pytest.approx(6 * one.core_hours)
    assert ten.bytes == 10 * one.bytes
    assert swept.bytes == 6 * one.bytes


def test_cost_grows_with_targets_and_with_what_is_optimised() -> None:
    few, many = (make_plan(tiny_job(sweep={"targets": [k]})).core_hours for k in (1, 2))
    assert few < many
    cheap = make_plan(tiny_job(design={"schemes": ["apa"]})).core_hours
    assert cheap < make_plan(tiny_job(design={"schemes": ["cpa-wcrb"]})).core_hours < many


@pytest.mark.parametrize("keep", [[], ["covariance"], ["covariance", "beamformers", "power"]])
@pytest.mark.parametrize("sweep", [{}, {"targets": [1, 2]}])
def test_bytes_are_those_of_the_cubes_arrays(tmp_path: Path, keep: list[str], sweep: dict[str, list[int]]) -> None:
    job = tiny_job(output={"keep": keep}, sweep=sweep, draws={"count": 2})
    run_tiny(tmp_path / "run", job)
    with xr.open_dataset(tmp_path / "run" / "cube.nc") as cube:
        assert make_plan(job).bytes == sum(array.nbytes for array in cube.data_vars.values())


def test_a_job_without_targets_has_a_plan() -> None:
    plan = make_plan(tiny_job(scenario={"target_positions_m": []}))
    assert plan.designs == 72
    assert plan.bytes > 0


def test_chunks_follow_from_what_a_draw_takes() -> None:
    job = tiny_job(draws={"count": 10_000})
    assert make_plan(job, draw_seconds=2.0).chunk == 2  # four seconds' work
    assert make_plan(job, draw_seconds=1e-9, workers=5).chunks == ((0, 4096), (4096, 8192), (8192, 10_000))
    assert make_plan(job, draw_seconds=2.0).core_hours == pytest.approx(20_000 / 3600)


def test_pilot_measures_the_draws_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling until it has lasted long enough, whatever it took to load; never past the range."""
    clock, seen = [0.0], []

    def slow(job: JobFile, start: int, stop: int) -> None:
        seen.append((start, stop))
        clock[0] += 9.0 if len(seen) in (1, 5) else 0.004 * (stop - start)

    monkeypatch.setattr(task, "evaluate", slow)
    monkeypatch.setattr(task.time, "perf_counter", lambda: clock[0])
    assert task.pilot(tiny_job(), [(7, 1007)]) == pytest.approx(0.004)
    assert seen == [(7, 8), (7, 8), (7, 15), (7, 23), (7, 39), (7, 39)]
    seen.clear()
    assert task.pilot(tiny_job(), [(3, 6), (8, 99)]) == pytest.approx(0.004)
    assert seen == [(3, 4), (3, 4)]  # a short job is no place for a long pilot


PLACES = [
    [-10, 15], [5, 15], [0, 17], [8, 9], [-7, 12], [3, 20], [11, 18], [-3, 8], [13, 8], [-13, 20], [2, 11], [9, 22],
    [-12, 9], [6, 6], [-2, 23], [14, 14], [-9, 24], [4, 17.5], [-14, 13], [1, 7],
]  # fmt: skip
MIXED = {"schemes": ["fdb-wcrb", "cpa-wcrb", "fdb-wvm", "apa"], "rho": [0.0, 0.25, 0.5, 0.75, 1.0]}
# Microseconds of one core a draw, with one weight solved where no mix is asked for: targets, antennas, what.
MEASURED = [
    (0, 16, ("fdb-wcrb", 0.5), 19), (0, 1024, MIXED, 38), (1, 4, ("fdb-wcrb", 0.5), 44), (1, 16, MIXED, 137),
    (1, 1024, ("cpa-wcrb", 0.5), 28), (2, 16, ("fdb-wcrb", 0.5), 65), (2, 64, ("fdb-wcrb", 1.0), 196),
    (2, 1024, MIXED, 407), (3, 16, ("fdb-wcrb", 0.5), 80), (3, 1024, ("fdb-wcrb", 0.5), 101), (6, 4, MIXED, 27_900),
    (6, 16, ("fdb-wcrb", 0.5), 771), (6, 16, ("cpa-wcrb", 0.5), 553), (6, 1024, ("fdb-wcrb", 0.5), 8463),
    (6, 1024, MIXED, 24602), (8, 4, ("fdb-wcrb", 1.0), 39_600), (8, 16, ("fdb-wcrb", 0.5), 1127),
    (8, 64, ("fdb-wcrb", 1.0), 13086), (8, 1024, ("cpa-wcrb", 0.5), 548), (8, 1024, ("fdb-wcrb", 0.5), 29182),
    (12, 16, ("fdb-wcrb", 0.5), 6412), (12, 16, ("cpa-wcrb", 0.5), 4758), (12, 16, MIXED, 365949),
    (16, 16, ("fdb-wcrb", 0.5), 28512), (20, 16, ("fdb-wcrb", 0.5), 70023), (20, 16, ("cpa-wcrb", 0.5), 26927),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "antennas", "what", "microseconds"), MEASURED, ids=str)
def test_a_draw_takes_about_what_was_measured(
    targets: int, antennas: int, what: dict[str, object] | tuple[str, float], microseconds: float
) -> None:
    design = what if isinstance(what, dict) else {"schemes": [what[0]], "rho": [what[1]]}
    scenario = {"target_positions_m": PLACES[:targets], "tx_antennas": antennas, "slots": 64}
    planned = 1e6 * make_plan(tiny_job(scenario=scenario, design=design)).draw_seconds
    assert 1 / 3 < planned / microseconds < 3


@pytest.mark.parametrize(
    ("schemes", "rho", "fdb", "cpa"),
    [
        (["fdb-wcrb", "apa"], [0.5], {0.5}, set()),
        (["fdb-wcrb", "cpa-wbf"], [0.5], {0.5}, {0.0, 0.5, 1.0}),
        (["fdb-wvm"], [0.2, 1.0], {0.0, 0.2, 1.0}, set()),
        (["fdb-wbf-aligned", "cpa-wcrb"], [0.3], {0.0, 0.3, 1.0}, {0.3}),
        (["apa"], [0.3], set(), set()),
    ],
)
def test_extremes_are_solved_for_mixes_alone(
    schemes: list[str], rho: list[float], fdb: set[float], cpa: set[float]
) -> None:
    job = tiny_job(design={"schemes": schemes, "rho": rho})
    assert (cost.solved_weights(job, "fdb"), cost.solved_weights(job, "cpa")) == (fdb, cpa)


def test_training_is_planned_in_every_process() -> None:
    """README: 21 s for both families, 1,000 training draws that move, eleven weights; 0.2 s at one weight and place."""
    moving = {"ue_position": {"kind": "disc", "centre_m": [-5, 20], "radius_m": 3}, "count": 100}
    scenario = {"target_positions_m": PLACES[:3]}
    design = {
        "schemes": ["fdb-wcrb", "cpa-wcrb"], "rho": {"start": 0, "stop": 1, "num": 11}, "knowledge": ["average"],
        "training_draws": 1000,
    }  # fmt: skip
    job = tiny_job(scenario=scenario, draws=moving, design=design)
    one, four = make_plan(job), make_plan(job, workers=4)
    assert 21 / 4 < one.training_seconds < 21 * 3
    assert four.core_hours - one.core_hours == pytest.approx(4 * one.training_seconds / 3600)
    still = make_plan(tiny_job(scenario=scenario, design=design | {"rho": [0.5]}))
    assert 0.2 / 3 < still.training_seconds < 0.2 * 5
    assert make_plan(tiny_job(design=design | {"knowledge": ["nominal"]})).training_seconds == 0.0
    more = tiny_job(scenario=scenario | {"tx_antennas": 128}, draws=moving, design=design)
    assert make_plan(more).training_seconds > 50 * one.training_seconds
    assert "of which training takes about" in text(job, one.summary(), 1)


def test_estimates_are_shared_by_nothing_that_is_not_made() -> None:
    """Beams that are shared by all draws cost a draw its bounds alone; estimators cost far more than designs."""
    genie, nominal = (
        make_plan(tiny_job(design={"knowledge": [word]})).draw_seconds for word in ("per-draw", "nominal")
    )
    assert nominal < genie / 2
    errors = make_plan(tiny_job(output={"keep": ["errors"]}, design={"schemes": ["fdb-wcrb"], "rho": [0.5]}))
    assert errors.draw_seconds == pytest.approx(4.7e-3, rel=0.3)


def test_plans_speak_in_units_that_suit() -> None:
    job = tiny_job(draws={"count": 100_000_000})
    lines = text(job, make_plan(job).summary(), 2).splitlines()
    assert " h of one core" in lines[2]
    assert lines[3].endswith(" GB")
    job = tiny_job(draws={"count": 1}, design={"schemes": ["apa"], "rho": [0.5]})
    said = text(job, make_plan(job).summary(), 2)
    assert "1 design (1 draw x 1 point of the sweep x 1 scheme x 1 weight)" in said
    assert "1 chunk of up to 1 draw" in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (5e-5, "under 0.05 s"), (0.3, "0.3 s"), (8.24, "8.2 s"), (18.3, "18 s"), (114, "114 s"),
     (130, "2.17 min"), (7199, "120 min"), (7300, "2.03 h"), (178_000, "49.4 h"), (1e7, "116 days")],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    assert duration_text(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (322, "322 B"), (16_500, "16.5 kB"), (181e6, "181 MB"), (1.8e12, "1.8 TB")]
)
def test_sizes(count: float, said: str) -> None:
    assert size_text(count) == said
