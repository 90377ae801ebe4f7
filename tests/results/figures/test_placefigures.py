"""What the figures of both observations and of draws from above show, read back from the drawn artists."""

import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.chunk.evaluate import evaluate
from crbatch.results.figures.fusion import fusion
from crbatch.results.figures.places import places
from drawn import panels
from job_cases import DROPS, tiny_job

RHO = [0.0, 0.4, 1.0]


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return evaluate(tiny_job(draws=DROPS, sweep={"prior.clock_s": [1e-6, 1e-10]}), 0, 8)


def root(values: xr.DataArray) -> np.ndarray:
    return np.median(np.sqrt(values.transpose("draw", ...).values), axis=0)


def test_bounds_alone_and_together_are_medians(cube: xr.Dataset) -> None:
    ue, everything, along = panels(fusion(cube))
    one = cube.sel(scheme="fdb-wcrb")
    first = one.isel({"prior.clock_s": 0})
    names = ("crb_bp", "crb_ms_target", "crb_bp_fused")
    for line, name in zip(ue.lines, names, strict=True):
        values = first[name].isel(path=0) if name == "crb_ms_target" else first[name]
        np.testing.assert_allclose(line.get_data(), [RHO, root(values)], rtol=1e-12)
    for line, name in zip(everything.lines, ("crb_ms", "crb_ms_fused"), strict=True):
        np.testing.assert_allclose(line.get_data(), [RHO, root(first[name])], rtol=1e-12)
    middle = one.isel(rho=1)
    assert along.get_xlabel() == "prior.clock_s"
    assert along.get_xscale() == "log"
    for line, name in zip(along.lines, names, strict=True):
        values = middle[name].isel(path=0) if name == "crb_ms_target" else middle[name]
        np.testing.assert_allclose(line.get_data(), [[1e-10, 1e-6], root(values)[::-1]], rtol=1e-12)


def test_without_a_bound_there_is_nothing_to_draw(cube: xr.Dataset) -> None:
    lost = cube.isel({"prior.clock_s": 0}).map(lambda array: array * np.inf if array.name in cube else array)
    lost = lost.assign(status=cube["status"].isel({"prior.clock_s": 0}))
    assert len(panels(fusion(lost))) == 2
    assert len([axes for axes in panels(places(lost, (0.0, 0.0), 90.0)) if axes.get_title()]) == 2


def test_draws_from_above_stand_where_they_are(cube: xr.Dataset) -> None:
    figure = places(cube, (1.0, 2.0), 90.0)
    ue, targets = [axes for axes in panels(figure) if axes.get_title()]
    one = cube.sel(scheme="fdb-wcrb").isel({"prior.clock_s": 0, "rho": 1})
    points = ue.collections[0]
    np.testing.assert_array_equal(points.get_offsets(), cube["ue_position"].isel({"prior.clock_s": 0}))
    np.testing.assert_allclose(points.get_array(), np.sqrt(one["crb_bp"]), rtol=1e-12)
    points = targets.collections[0]
    assert points.get_offsets().shape == (16, 2)
    np.testing.assert_allclose(points.get_array(), np.sqrt(one["crb_ms_target"].values[:, 1:].ravel()), rtol=1e-12)
    assert ue.lines[0].get_data() == ([1.0], [2.0])
