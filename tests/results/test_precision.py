"""Precision of a statistic, and stopping by it: intervals that still cover, the worst place, nothing overlooked."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch.results import precision, statistics
from crbatch.results.errors import ResultsError
from crbatch.results.shards import commit_shard, covering, list_shards
from cube_cases import cube_of

RNG = np.random.default_rng(8)


def test_it_is_the_larger_half_of_the_interval() -> None:
    values = RNG.exponential(size=200)
    found = precision.relative_error(cube_of(values), "crb_bp", 0.9, confidence=0.9).item()
    table = statistics.quantile(cube_of(values), "crb_bp", 0.9, confidence=0.9)
    value, lower, upper = (table[name].item() for name in ("value", "lower", "upper"))
    assert found == pytest.approx(max(upper / value - 1.0, 1.0 - lower / value), rel=1e-14)
    average = statistics.mean(cube_of(values), "crb_bp", confidence=0.9)
    assert average["trust"] == 0
    assert precision.relative_error(cube_of(values), "crb_bp", "mean", confidence=0.9).item() == pytest.approx(
        1.6448536269514722 * average["standard_error"].item() / average["value"].item(), rel=1e-12
    )


@pytest.mark.parametrize(
    ("values", "status", "statistic", "expected"),
    [
        (np.full(50, np.inf), 2, "median", 0.0),  # surely infinite
        (np.full(50, 3.0), 0, "median", 0.0),
        (np.r_[np.ones(30), np.full(20, np.inf)], 0, "median", np.inf),  # finite or not? 30 of 50 do not tell
        (np.r_[np.ones(24), np.full(26, np.inf)], 0, "median", np.inf),
        (np.arange(1.0, 4.0), 0, "median", np.inf),  # too few for a limit
        (1.0 / RNG.random(4000) ** 1.5, 0, "mean", np.inf),  # no variance, so no interval
        (np.r_[np.ones(49), np.inf], 0, "mean", np.inf),
        (np.ones(50), 1, "median", np.nan),  # nothing certified: nothing to know
    ],
)
def test_special_cases(values: np.ndarray, status: int, statistic: str, expected: float) -> None:
    found = precision.relative_error(cube_of(values, status=status), "crb_bp", statistic, confidence=0.99)
    np.testing.assert_array_equal(found.item(), expected)


def test_an_unknown_statistic_is_refused() -> None:
    with pytest.raises(ResultsError, match="mode"):
        precision.relative_error(cube_of(np.ones(5)), "crb_bp", "mode")


def stopped(values: np.ndarray, looks: list[int], wanted: float, each: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the median, (trial,), at the look that ends each trial of values (trial, draw)."""
    lower, upper = np.full(len(values), np.nan), np.full(len(values), np.nan)
    going = np.ones(len(values), bool)
    rho = tuple(np.linspace(0, 1, len(values)))
    for look in looks:
        cube = cube_of(values[:, :look].T[:, None, :], rho=rho)
        table = statistics.quantile(cube, "crb_bp", confidence=each).squeeze(("scheme", "quantile"))
        error = precision.relative_error(cube, "crb_bp", confidence=each).values[0]
        ends = going & ((error <= wanted) | (look == looks[-1]))
        lower[ends], upper[ends] = table["lower"].values[ends], table["upper"].values[ends]
        going &= ~ends
    return lower, upper


@pytest.mark.slow("coverage over many runs")
@pytest.mark.parametrize("kind", ["two groups", "heavy", "even"])
def test_intervals_of_a_run_that_stops_when_they_are_short_cover(kind: str) -> None:
    trials, looks = 3000, [50, 100, 200, 400, 800]
    shape = (trials, looks[-1])
    groups = np.where(RNG.random(shape) < 0.5, 1.0, 3.0)
    # Two groups of the same size: where one has the majority by chance, the median looks precise, and is not.
    roots = {
        "two groups": groups + 0.1 * RNG.standard_normal(shape),
        "heavy": RNG.random(shape) ** (-1.0 / 0.6),
        "even": 1.0 + RNG.random(shape),
    }[kind]
    truth = {"two groups": 2.0, "heavy": 0.5 ** (-1.0 / 0.6), "even": 1.5}[kind]

    def coverage(each: float) -> float:
        lower, upper = stopped(roots**2, looks, 0.1, each)
        return float(((lower <= truth) & (truth <= upper)).mean())

    assert coverage(precision.each_look(0.95, len(looks))) >= 0.95
    if kind == "two groups":
        assert coverage(0.95) < 0.92  # why each look has its share of the error probability


def test_the_worst_place_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schemes, rho, draws = ("fdb-wcrb", "apa", "cpa-wcrb"), (0.0, 0.5, 1.0), 120
    values = RNG.exponential(size=(draws, 3, 3))
    values[:, 1, 2] = np.exp(3.0 * RNG.standard_normal(draws))
    cube = cube_of(values, scheme=schemes, rho=rho)
    for start, stop in ((0, 30), (20, 70), (70, 120)):
        commit_shard(cube.isel(draw=slice(start, stop)), tmp_path, start, stop)
    cover, missing = covering(list_shards(tmp_path), 100)
    assert not missing
    expected = precision.relative_error(cube.isel(draw=slice(0, 100)), "crb_bp", confidence=1.0 - 0.05 / 2)
    found = precision.worst_error(cover, 100, "crb_bp", "median", 0.95, (50, 100))
    assert found.draws == 100
    assert found.relative_error == expected.max().item()
    assert found.at == {"scheme": "apa", "rho": 1.0}
    monkeypatch.setattr(precision, "_BYTES", 1)  # one scheme at a time
    assert precision.worst_error(cover, 100, "crb_bp", "median", 0.95, (50, 100)) == found


def test_where_nothing_counts_there_is_nothing_to_know(tmp_path: Path) -> None:
    cube: xr.Dataset = cube_of(np.ones(10), status=1)
    commit_shard(cube, tmp_path, 0, 10)
    cover, _ = covering(list_shards(tmp_path), 10)
    assert precision.worst_error(cover, 10, "crb_bp", "median", 0.95, (10,)) == precision.Precision(10, 0.0, {})
