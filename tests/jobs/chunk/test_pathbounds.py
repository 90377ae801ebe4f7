"""Bounds of paths in the cube are those of the library at the designs."""

from pathlib import Path

import numpy as np
import pytest
from crbatch import bistatic_link, fixed_draw, monostatic_link, path_bounds
from crbatch.results.accessor import open_cube
from job_cases import digests, run_tiny, tiny_job

NAMES = ("crb_aod", "crb_aoa", "crb_delay_bistatic", "crb_aod_monostatic", "crb_delay_monostatic")


@pytest.mark.parametrize("blocked", [False, True])
def test_a_cube_keeps_bounds_of_paths(tmp_path: Path, blocked: bool) -> None:
    job = tiny_job(
        output={"keep": ["paths", "covariance"]},
        design={"schemes": ["fdb-wcrb", "apa"], "rho": [0.0, 0.5]},
        scenario={"subcarriers": 8, "line_of_sight": not blocked, "known": ["clock"]},
    )
    run_tiny(tmp_path / "a", job, chunk=6)
    run_tiny(tmp_path / "b", job, chunk=4)
    assert digests(tmp_path / "a")["cube.nc"] == digests(tmp_path / "b")["cube.nc"]
    seen = slice(1 if blocked else 0, None)
    with open_cube(tmp_path / "a") as cube:
        scenario = next(scenario for _, scenario in job.sweep_points())
        for draw in (0, int(cube.sizes["draw"]) - 1):
            one = cube.isel(draw=draw)
            draws = fixed_draw(scenario, one["phase_bistatic"].values, one["phase_monostatic"].values)
            for scheme, rho in (("fdb-wcrb", 0.0), ("apa", 0.5)):
                here = one.sel(scheme=scheme, rho=rho)
                v = here["covariance"].values @ [1.0, 1j]
                bp, ms = (path_bounds(link(scenario, draws), v) for link in (bistatic_link, monostatic_link))
                expected = (bp.aod, bp.aoa, bp.delay, ms.aod, ms.delay)
                for name, values in zip(NAMES, expected, strict=True):
                    own = slice(None) if name.endswith("monostatic") else seen
                    np.testing.assert_allclose(here[name].values[own], np.ravel(values), rtol=1e-6)
        assert np.isnan(cube["crb_aod"].isel(path=0)).all() == blocked
        assert cube["crb_aoa"].attrs["units"] == "rad2"
