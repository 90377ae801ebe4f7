"""Trade-off fronts against brute force, on made and on computed designs."""

import numpy as np
import pytest
import xarray as xr
from crbatch.results import fronts
from crbatch.results.errors import ResultsError
from cube_cases import cube_of
from hypothesis import given
from hypothesis import strategies as st
from job_cases import run_tiny, tiny_job

RNG = np.random.default_rng(6)
POINTS = st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0.01, 2.0)), min_size=1, max_size=12)


@given(POINTS)
def test_dominated_points_are_those_that_another_beats_in_both(points: list[tuple[float, float]]) -> None:
    expected = [any(a < c and b < d for a, b in points) for c, d in points]
    assert fronts.dominated(np.array(points), tolerance=0.0).tolist() == expected


def test_infinite_points_are_dominated_and_missing_ones_are_not() -> None:
    points = np.array([[1.0, 1.0], [np.inf, 2.0], [np.inf, 0.5], [np.nan, 9.0]])
    assert fronts.dominated(points).tolist() == [False, True, False, False]


@given(POINTS)
def test_hypervolume_is_the_share_of_the_box(points: list[tuple[float, float]]) -> None:
    grid = (np.arange(400) + 0.5) / 400
    covered = np.zeros((400, 400), bool)
    for a, b in points:
        covered |= (grid[:, None] > a) & (grid > b)
    found = fronts.hypervolume(np.array(points), np.ones(2))
    assert found == pytest.approx(covered.mean(), abs=0.006)


def test_hypervolume_leaves_out_what_is_missing() -> None:
    points = np.array([[np.nan, 0.1], [0.5, 0.5], [np.inf, 0.1], [0.75, 0.25]])
    assert fronts.hypervolume(points, np.ones(2)) == pytest.approx(0.25 + 0.25 * 0.25)


def test_front_is_the_curve_of_medians() -> None:
    bp, ms = RNG.exponential(size=(2, 51, 2, 3))
    cube = cube_of(bp, ms, scheme=("fdb-wcrb", "apa"), rho=(0.0, 0.5, 1.0))
    found = fronts.front(cube, "apa")
    np.testing.assert_allclose(found["bp"], np.median(np.sqrt(bp[:, 1]), axis=0))
    np.testing.assert_allclose(found["ms"], np.median(np.sqrt(ms[:, 1]), axis=0))
    assert (found["ms_lower"] < found["ms"]).all()
    assert (found["ms_upper"] > found["ms"]).all()
    with pytest.raises(ResultsError, match="no scheme"):
        fronts.front(cube, "cpa-wcrb")


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("fronts") / "run"
    rho = {"start": 0.0, "stop": 1.0, "num": 9}
    run_tiny(folder, tiny_job(design={"rho": rho, "schemes": ["fdb-wcrb", "cpa-wcrb", "fdb-wvm", "apa"]}))
    with xr.open_dataset(folder / "cube.nc") as cube:
        return cube.load()


def test_the_best_scheme_wastes_nothing_and_no_scheme_less(computed: xr.Dataset) -> None:
    loss = fronts.power_loss(computed)
    assert loss.sel(scheme="fdb-wcrb", rho=slice(0.1, 0.9)).max() < 1e-5
    assert (loss >= 0.0).all()
    # Along a bound of all weight the loss is at least what the objective says.
    for scheme in ("cpa-wcrb", "apa"):
        one = computed.sel(scheme=scheme)
        ratio = 10.0 * np.log10(one["objective"] / computed["objective"].sel(scheme="fdb-wcrb"))
        assert (loss.sel(scheme=scheme) <= ratio + 1e-5).all()
        assert loss.sel(scheme=scheme).min() > 0.01


def test_loss_is_power(computed: xr.Dataset) -> None:
    worse = computed.copy(deep=True)
    for name in ("crb_bp", "crb_ms"):
        worse[name].loc[{"scheme": "apa"}] *= 2.0  # half the power
    change = fronts.power_loss(worse) - fronts.power_loss(computed)
    np.testing.assert_allclose(change.sel(scheme="apa"), 10.0 * np.log10(2.0))


def test_hypervolume_ranks_the_schemes(computed: xr.Dataset) -> None:
    found = fronts.hypervolumes(computed)
    assert (found.sel(scheme="fdb-wcrb") > found.sel(scheme="cpa-wcrb")).all()
    assert (found.sel(scheme="fdb-wcrb") >= found.sel(scheme="fdb-wvm") - 1e-9).all()
    assert (found.sel(scheme="apa") == 0.0).all()
