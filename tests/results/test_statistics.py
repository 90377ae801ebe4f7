"""Statistics: equal to NumPy's and SciPy's on small cubes, exact with infinite bounds, intervals that cover."""

import numpy as np
import pytest
from crbatch.results import estimates, statistics
from crbatch.results.errors import ResultsError
from cube_cases import cube_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

RNG = np.random.default_rng(5)
SAMPLES = st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40)


@given(SAMPLES, st.floats(0.0, 1.0))
def test_quantiles_are_numpys(values: list[float], q: float) -> None:
    cube = cube_of(values)
    found = statistics.quantile(cube, "crb_bp", q, root=False)
    # Only levels that are not within rounding of a step.
    if abs(q * len(values) - round(q * len(values))) > 1e-6 or q in (0.0, 0.5, 1.0):
        expected = np.quantile(values, q, method="averaged_inverted_cdf")
        assert found["value"].item() == pytest.approx(expected, rel=1e-12)
    assert found["lower"].item() <= found["value"].item() <= found["upper"].item()


def test_roots_are_taken_of_squares() -> None:
    cube = cube_of([4.0, 9.0, 16.0])
    found = statistics.quantile(cube, "crb_bp")
    assert found["value"].item() == 3.0
    assert found["value"].attrs["units"] == "m"
    assert statistics.quantile(cube, "crb_bp", root=False)["value"].attrs["units"] == "m2"


@pytest.mark.parametrize("n", [1, 2, 5, 6, 11, 100, 1001])
@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
def test_limits_are_the_tightest_that_cover(n: int, level: float, confidence: float) -> None:
    low, high = (int(rank) for rank in estimates.order_limits(n, level, confidence))
    half = 0.5 * (1.0 - confidence)
    below = stats.binom(n, level)
    # P(quantile < X_(low)) = P(fewer than low draws lie below it)
    half *= 1.0 + 1e-12  # equality up to rounding
    assert below.cdf(low - 1) <= half < below.cdf(low)
    assert below.sf(high - 1) <= half < below.sf(high - 2)


@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("n", [40, 201])
def test_quantile_intervals_cover(level: float, n: int) -> None:
    trials = 4000
    values = np.exp(2.0 * RNG.standard_normal((trials, n)))  # heavy: the variance of a mean says little
    cube = cube_of(values.T[:, None, :], rho=tuple(np.linspace(0, 1, trials)))
    found = statistics.quantile(cube, "crb_bp", level, root=False)
    truth = np.exp(2.0 * stats.norm.ppf(level))
    inside = ((found["lower"] <= truth) & (truth <= found["upper"])).values.mean()
    low, high = estimates.order_limits(n, level, 0.95)
    exact = stats.binom.cdf(high - 1, n, level) - stats.binom.cdf(low - 1, n, level)
    assert exact >= 0.95
    assert abs(inside - exact) < 4.0 * np.sqrt(exact * (1.0 - exact) / trials)


def test_an_infinite_bound_counts_and_is_exact() -> None:
    cube = cube_of([np.inf, 1.0, np.inf, 4.0, 9.0], status=np.array([2, 0, 2, 0, 4])[:, None, None])
    found = statistics.quantile(cube, "crb_bp", [0.0, 0.5, 0.6, 0.61, 1.0])
    np.testing.assert_array_equal(found["value"].values.ravel(), [1.0, 3.0, np.inf, np.inf, np.inf])
    assert found["used"].item() == 5
    assert found["infinite"].item() == 2
    average = statistics.mean(cube, "crb_bp")
    assert average["value"].item() == np.inf
    assert average["trust"].item() == 2
    distribution = statistics.cdf(cube, "crb_bp", [0.5, 1.0, 3.0, 1e9])
    np.testing.assert_allclose(distribution["value"].values.ravel(), [0.0, 0.2, 0.6, 0.6])


def test_all_infinite_is_infinite() -> None:
    found = statistics.quantile(cube_of(np.full(30, np.inf), status=2), "crb_bp")
    assert found["value"].item() == found["upper"].item() == found["lower"].item() == np.inf


def test_nothing_is_dropped_in_silence() -> None:
    status = np.array([0, 1, 3, 4, -1, 0])[:, None, None]
    cube = cube_of([1.0, 100.0, np.nan, 4.0, np.nan, np.nan], status=status)
    found = statistics.quantile(cube, "crb_bp")
    counts = {name: found[name].item() for name in ("used", "infinite", "uncertified", "failed", "undefined")}
    assert counts == {"used": 2, "infinite": 0, "uncertified": 1, "failed": 2, "undefined": 1}
    assert found["value"].item() == 1.5


def test_nothing_left_is_nan() -> None:
    found = statistics.quantile(cube_of([1.0, 2.0], status=1), "crb_bp")
    assert np.isnan(found["value"].item())
    assert found["used"].item() == 0


@given(SAMPLES.filter(lambda values: len(values) > 1))
def test_means_are_scipys(values: list[float]) -> None:
    found = statistics.mean(cube_of(values), "crb_bp", root=False)
    assert found["value"].item() == pytest.approx(np.mean(values), rel=1e-12)
    assert found["standard_error"].item() == pytest.approx(stats.sem(values), rel=1e-9, abs=1e-12 * max(values))


@pytest.mark.parametrize(("index", "trust"), [(0.6, 2), (1.5, 1), (6.0, 0)])
def test_the_tail_index_tells_which_means_exist(index: float, trust: int) -> None:
    found = statistics.mean(cube_of(RNG.pareto(index, 20000) + 1.0), "crb_bp", root=False)
    assert found["tail_index"].item() == pytest.approx(index, rel=0.25)
    assert found["trust"].item() == trust


def test_mean_intervals_cover_where_the_variance_exists() -> None:
    trials, n = 4000, 400
    cube = cube_of(RNG.exponential(size=(n, 1, trials)), rho=tuple(np.linspace(0, 1, trials)))
    found = statistics.mean(cube, "crb_bp", root=False)
    inside = ((found["lower"] <= 1.0) & (found["upper"] >= 1.0)).values.mean()
    assert 0.935 < inside < 0.965


def test_outage_is_clopper_pearson() -> None:
    values = RNG.exponential(size=60)
    found = statistics.outage(cube_of(values**2), "crb_bp", [0.0, 0.7, 99.0])
    for place, limit in enumerate((0.0, 0.7, 99.0)):
        hits = int((values > limit).sum())
        interval = stats.binomtest(hits, 60).proportion_ci(0.95, "exact")
        assert found["value"].values.ravel()[place] == pytest.approx(hits / 60)
        assert found["lower"].values.ravel()[place] == pytest.approx(interval.low)
        assert found["upper"].values.ravel()[place] == pytest.approx(interval.high)


def test_the_band_of_the_distribution_covers_everywhere() -> None:
    trials, n = 2000, 100
    cube = cube_of(RNG.random((n, 1, trials)) + 1e-12, rho=tuple(np.linspace(0, 1, trials)))
    points = np.linspace(0.0, 1.0, 201)
    found = statistics.cdf(cube, "crb_bp", points, root=False)
    inside = ((found["lower"] <= points) & (points <= found["upper"])).all("point").values.mean()
    assert 0.94 < inside <= 1.0
    exact = stats.ecdf(cube["crb_bp"].values[:, 0, 0]).cdf.evaluate(points)
    np.testing.assert_allclose(found["value"].values[0, 0], exact)


def test_pairs_are_compared_draw_by_draw() -> None:
    base = RNG.exponential(size=50) + 0.1
    other = base * np.where(np.arange(50) < 40, 4.0, 0.25)
    cube = cube_of(np.stack((base, other), axis=1)[:, :, None], scheme=("a", "b"))
    cube["crb_bp"][3, 0, 0] = np.inf
    cube["crb_bp"][4, :, 0] = np.inf
    cube["status"][5, 0, 0] = 1
    found = statistics.paired(cube, "crb_bp", "a", [0.5]).sel(scheme="b")
    assert found["value"].item() == 2.0
    assert found["used"].item() == 48
    assert found["undefined"].item() == 1
    assert found["uncertified"].item() == 1
    assert found["better"].item() == pytest.approx(11 / 48)
    assert (statistics.paired(cube, "crb_bp", "a").sel(scheme="a")["value"] == 1.0).all()


def test_what_cannot_be_asked_is_refused() -> None:
    cube = cube_of([1.0])
    with pytest.raises(ResultsError, match="crb_bp, crb_ms"):
        statistics.quantile(cube, "crb")
    with pytest.raises(ResultsError, match=r"\[0, 1\]"):
        statistics.quantile(cube, "crb_bp", 95)
    with pytest.raises(ResultsError, match="confidence"):
        statistics.quantile(cube, "crb_bp", confidence=95)
    with pytest.raises(ResultsError, match="no scheme"):
        statistics.paired(cube, "crb_bp", "apa")
