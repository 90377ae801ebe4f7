"""`bench dispatch`: the model against a literal twin, and a small run of the command. Nothing is timed."""

import heapq
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.bench import dispatch, laps
from crbatch.jobs.bench.dispatch import line
from crbatch.jobs.bench.laps import Lap, Laps, growth
from crbatch.jobs.bench.model import LONGEST, SHARE, Costs, forecast, most_workers, rate, smallest_chunk
from crbatch.jobs.bench.simulated import empty_chunk
from crbatch.jobs.errors import Exit
from job_cases import crbatch, digests

COSTS = Costs(
    dispatch=0.003, journal=0.001, gap=0.01, shard=0.2, shard_draw=1e-4, cube_shard=0.05, cube_draw=1e-4,
    design=2e-5, designs_per_draw=100, memory=2e8, memory_chunk=1e3,
)  # fmt: skip
SMALL = (
    "--chunks",
    8,
    "--max-workers",
    2,
    "--slots",
    4,
    "--seconds",
    0,
    "--appends",
    3,
    "--draws",
    4,
    "--commits",
    3,
    "--json",
)


def simulate(workers: int, period: float, driver: float, chunks: int) -> float:
    """Seconds of a run, event by event: workers in parallel, and one driver that takes one receipt at a time."""
    free = [0.0] * workers
    driver_free = 0.0
    for _ in range(chunks):
        done = heapq.heappop(free) + period
        driver_free = max(driver_free, done) + driver
        # With one chunk waiting at each worker, it goes on at once unless the driver is behind by more than that.
        heapq.heappush(free, max(done, driver_free - period))
    return driver_free


@pytest.mark.parametrize("workers", [1, 10, 100, 1000])
@pytest.mark.parametrize("period", [0.5, 4.0, 20.0])
def test_rate_is_that_of_a_run_event_by_event(workers: int, period: float) -> None:
    chunks = 200 * workers
    measured = chunks / simulate(workers, period, COSTS.driver, chunks)
    assert measured == pytest.approx(rate(workers, period, COSTS.driver), rel=0.05)


def test_forecast_by_hand() -> None:
    """1e6 designs of 20 us are 20 s; in chunks of 1 s (500 draws) that a worker commits in 0.25 s."""
    found = forecast(COSTS, 4, 1e6, 1.0)
    assert found.chunks == 20
    assert found.load == pytest.approx(4 * 0.004 / 1.26)
    assert found.seconds == pytest.approx(5 * 1.26)
    assert found.utilisation == pytest.approx(20.0 / (4 * 5 * 1.26))
    assert found.saturates_at == pytest.approx(1.26 / 0.004)
    assert found.memory == pytest.approx(2e8 + 20 * 1e3)
    assert found.cube_seconds == pytest.approx(20 * 0.05 + 1e4 * 1e-4)


def test_saturated_driver_sets_the_pace() -> None:
    found = forecast(COSTS, 10_000, 1e9, 1.0)
    assert found.load > 1.0
    assert found.seconds == pytest.approx(20_000 * 0.004)
    assert forecast(COSTS, 20_000, 1e9, 1.0).seconds == pytest.approx(found.seconds)
    assert found.saturates_at < 10_000


def test_more_workers_than_chunks_do_nothing() -> None:
    assert forecast(COSTS, 100, 1e6, 10.0).utilisation == pytest.approx(20.0 / (100 * 10.71), rel=1e-9)


@pytest.mark.parametrize("workers", [1, 10, 100, 1_000, 10_000])
def test_smallest_chunk_keeps_the_driver_below_its_share(workers: int) -> None:
    chunk = smallest_chunk(COSTS, workers)
    found = forecast(COSTS, workers, 1e12, chunk)
    assert found.load <= SHARE
    assert (COSTS.shard + COSTS.gap) / chunk <= 0.05 + 1e-12
    if workers >= 1000:
        assert forecast(COSTS, workers, 1e12, 0.8 * chunk).load > SHARE


def test_beyond_the_most_workers_the_smallest_chunk_is_too_long() -> None:
    most = most_workers(COSTS)
    assert smallest_chunk(COSTS, most) <= LONGEST < smallest_chunk(COSTS, most + 1)
    rows = {(row["workers"], row["designs"]): row for row in dispatch.model_rows(COSTS)}
    assert len(rows) == 8
    assert rows[1000, 1e9]["driver"]
    assert not rows[10_000, 1e9]["driver"]
    assert most_workers(replace(COSTS, dispatch=1e-4, journal=0.0)) > 10_000


def test_line_through_two_sizes() -> None:
    assert line([10, 110], [0.3, 0.5]) == pytest.approx((0.28, 0.002))
    assert line([10, 110], [0.5, 0.3]) == (pytest.approx(0.3), 0.0)  # noise: a larger shard was quicker
    assert line([10, 20], [0.1, 0.3])[0] == 0.0


def test_growth_of_memory_is_that_of_the_second_half() -> None:
    flat = Lap(1.0, 1.0, 1.0, [1e6, 5e6, 5e6], [])
    leaking = Lap(1.0, 1.0, 1.0, [1e6, 5e6, 5e6 + 1000.0 * 50], [])
    assert growth({(1, 25): leaking, (1, 100): flat, (2, 100): flat, (4, 100): leaking}) == 0.0
    assert growth({(1, 100): leaking}) == pytest.approx(1000.0)


def test_receipts_are_as_large_as_real_ones() -> None:
    assert 250 <= len(json.dumps(empty_chunk(12345))) <= 350


@pytest.mark.slow("starts clusters")
def test_command_measures_fits_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(laps, "SIMULATED", (0.01, 0.02))
    out = tmp_path / "out"
    assert crbatch(monkeypatch, "bench", "dispatch", "-o", out, *SMALL) == Exit.DONE
    captured = capsys.readouterr()
    assert captured.err == ""
    result = json.loads(captured.out)
    assert [(row["workers"], row["chunks"]) for row in result["dispatch"]] == [(1, 2), (1, 8), (2, 2), (2, 8)]
    assert all(row["seconds"] > 0.0 for row in result["dispatch"])
    costs = Costs(**result["costs"])
    assert min(costs.dispatch, costs.journal, costs.gap, costs.design, costs.memory) > 0.0
    assert costs.designs_per_draw == 147
    assert 200.0 < costs.memory_chunk < 5000.0
    assert [row["asked"] for row in result["simulation"]] == [400.0, 200.0]
    assert all(row["measured"] > 0.0 for row in result["simulation"])
    assert len(result["model"]) == 8
    assert result["most_workers"] == most_workers(costs)
    with xr.open_dataset(out / "bench.nc") as cube:
        assert cube["wall"].dims == ("workers", "chunks")
        assert cube["memory"].dims == ("workers", "chunks", "progress")
        assert cube["commit"].sizes == {"shard_draws": 2, "repeat": 20}
        assert (cube["worker_commit"] > 0.0).all()
        assert cube["worker_commit"].sizes == {"shard_draws": 2, "chunk": 3}
        assert cube["journal"].size == 3
        assert np.isfinite(cube["consolidation"]).all()
        assert cube.attrs["cost_dispatch"] == pytest.approx(costs.dispatch)
        assert cube.attrs["cpu_model"]
    kinds = {".nc", ".json", ".png", ".pdf", ".svg"}
    assert {path.suffix for path in out.iterdir()} == kinds  # no shards or journals are left


def test_text_says_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = {(n, c): Lap(1e-2 / n, 1e-2 / n, 4e-3, [2e8] * 3, []) for n in (1, 2) for c in (2, 8)}
    made = Laps(empty, {size: Lap(0.1, 0.1, 5e-3, [2e8], [0.05, 0.06]) for size in (1, 4)})
    monkeypatch.setattr(dispatch, "measure_dispatch", lambda *_: made)
    monkeypatch.setattr(dispatch, "measure_simulation", lambda *_: {0.5: Lap(1e-2, 1e-2, 4e-3, [2e8], [])})
    assert crbatch(monkeypatch, "bench", "dispatch", "-o", tmp_path / "out", *SMALL[:-1]) == Exit.DONE
    text = capsys.readouterr().out
    for says in (
        "empty chunks through a local cluster",
        "4 sleeping workers",
        "array mode",
        "One driver feeds up to",
    ):
        assert says in text
    assert "\x1b" not in text
    assert crbatch(monkeypatch, "bench", "table", tmp_path / "out") == Exit.DONE
    table = capsys.readouterr().out
    for says in ("| driver and scheduler, each chunk (one core)", "| workers | designs", "| commit: each shard"):
        assert says in table


def test_foreign_folder_is_refused_untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    before = digests(tmp_path)
    assert crbatch(monkeypatch, "bench", "dispatch", "-o", tmp_path, *SMALL) == Exit.DAMAGED
    assert digests(tmp_path) == before
