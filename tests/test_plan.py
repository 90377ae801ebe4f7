"""Plans: chunks that cover exactly what is missing, and estimates of the right size."""

from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from job_cases import run_tiny, tiny_job

from jobs import task
from jobs.jobfile import DEFAULT_SCHEMES, JobFile
from jobs.plan import make_plan
from jobs.progress import Progress


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


@pytest.mark.parametrize(("targets", "low", "high"), [(3, 0.004, 0.04), (12, 1.0, 15.0), (20, 2.0, 30.0)])
def test_estimates_know_the_number_of_targets(targets: int, low: float, high: float) -> None:
    """Eight draws of all schemes and weights took 0.02, 4.4 and 7.6 s of one core."""
    places = tuple((float(x), 20.0) for x in range(1, targets + 1))
    job = tiny_job(
        scenario={"target_positions_m": places, "slots": 64},
        draws={"count": 8},
        design={"schemes": list(DEFAULT_SCHEMES), "rho": {"start": 0.0, "stop": 1.0, "num": 21}},
    )
    assert low < 3600.0 * make_plan(job).core_hours < high


def test_one_inner_weight_without_a_mix_needs_no_extremes() -> None:
    def seconds(**design: Any) -> float:
        return make_plan(tiny_job(draws={"count": 100}, design=design)).core_hours

    alone = seconds(schemes=["fdb-wcrb"], rho=[0.5])
    assert seconds(schemes=["fdb-wcrb", "fdb-wvm"], rho=[0.5]) > 1.5 * alone
    assert seconds(schemes=["fdb-wcrb"], rho=[1.0]) > 1.2 * alone


def test_training_takes_its_time() -> None:
    few, many = (
        make_plan(tiny_job(design={"knowledge": "average", "training_draws": count})).core_hours for count in (10, 1000)
    )
    assert many > few + 0.5 * (990 * 1e-4) / 3600.0


def test_a_resumed_bar_starts_where_the_run_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """60 of 100 were done before; 20 more took 10 s, so that the last 20 take 10 s more."""
    now = iter([0.0, 10.0, 60.0])
    monkeypatch.setattr("jobs.progress.time.monotonic", lambda: next(now))
    monkeypatch.setattr("jobs.progress._LINE_SECONDS", 5.0)
    with Progress().bar("draws", 100, 60) as advance:
        advance(20)
    assert capsys.readouterr().err == "draws: 80 of 100, 10 s, 10 s left\n"
