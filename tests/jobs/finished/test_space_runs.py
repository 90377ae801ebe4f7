"""Runs in space: their cubes, checks and reports; what both observations tell, in every cube."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crbatch import Draws, Scenario, design
from crbatch.jobs.chunk.evaluate import evaluate, failed, sizes_of
from crbatch.jobs.finished.check import replay, verify
from crbatch.jobs.finished.compare import compare_cubes
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.results.schema import DRAW_VARIABLES
from job_cases import DROPS, run_tiny, tiny_job

SPACE: dict[str, Any] = {
    "bs_position_m": [0, 0, 8],
    "bs_downtilt_deg": 10,
    "ue_position_m": [-5, 20, 1.5],
    "target_positions_m": [[-10, 15, 1], [5, 15, 4]],
    "tx_array": {"kind": "upa", "rows": 3, "columns": 4},
    "ue_array": {"kind": "upa", "rows": 2, "columns": 2},
}
BOXES: dict[str, Any] = {
    "count": 5,
    "ue_position": {"kind": "box", "x_m": [-15, 15], "y_m": [5, 25], "z_m": 1.5},
    "target_positions": {"kind": "box", "x_m": [-15, 15], "y_m": [5, 25], "z_m": [1, 4]},
    "ue_orientation": "uniform-3d",
}


def space_job(**changes: Any) -> Any:
    return tiny_job(**({"scenario": SPACE | {"subcarriers": 64}, "draws": BOXES} | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = tmp_path_factory.mktemp("space")
    run_tiny(path, space_job(output={"keep": ["power"]}), report=True)
    return RunDirectory(path)


def test_draws_have_three_coordinates_and_all_of_the_attitude(folder: RunDirectory) -> None:
    with xr.open_dataset(folder.cube) as cube:
        assert cube["ue_position"].dims == ("draw", "xyz")
        assert cube["target_position"].dims == ("draw", "target", "xyz")
        assert "xy" not in cube.dims
        assert (cube["ue_position"][:, 2] == 1.5).all()
        assert (np.abs(cube["ue_downtilt"]) > 0).all()
        assert (np.abs(cube["ue_slant"]) > 0).all()
        assert cube.sizes["codeword"] == 9
        # From the draws as the cube has them, the same bounds.
        draws = Draws(**{name: cube[name].values for name in DRAW_VARIABLES})
        job = folder.job()
        again = design(job.scenario, draws, job.design.schemes, job.design.rho)
        for name in ("crb_bp", "crb_ms", "crb_bp_fused", "crb_ms_fused"):
            np.testing.assert_array_equal(getattr(again, name), cube[name])


def test_checks_hold(folder: RunDirectory) -> None:
    assert verify(folder, every=True)["draws_replayed"] == 5
    assert replay(folder, 3)["identical"]
    assert compare_cubes(folder.path, folder.path)


def test_plane_cubes_have_what_they_had() -> None:
    plane = evaluate(tiny_job(draws=DROPS), 0, 2)
    assert plane["ue_position"].dims == ("draw", "xy")
    assert not {"ue_downtilt", "ue_slant"} & set(plane)
    assert (plane["crb_bp_fused"] < plane["crb_bp"]).all()
    assert (plane["crb_ms_fused"] < plane["crb_ms"]).all()


def test_draws_that_failed_have_the_same_variables() -> None:
    for job in (space_job(), tiny_job()):
        one, other = evaluate(job, 0, 2), failed(job, 0, 2)
        assert {name: (array.dims, array.shape) for name, array in one.items()} == {
            name: (array.dims, array.shape) for name, array in other.items()
        }
    assert sizes_of(space_job())["codeword"] == 9


def test_report_shows_space_and_leaves_the_papers_statements_out(folder: RunDirectory) -> None:
    names = {path.name for path in folder.report.iterdir()}
    assert {"places.svg", "fusion.svg", "beampatterns.svg", "quantiles-crb_bp_fused.csv"} <= names
    assert not {"claims.txt", "claims.json"} & names
    text = folder.page.read_text(encoding="utf-8")
    assert "at a height of 8 m, downtilt 10 degrees" in text
    assert "transmit 3 x 4, UE's 2 x 2" in text or "transmit 3 x 4, UE&#39;s 2 x 2" in text
    assert "statements, judged" not in text
    assert "at the UE" in text.partition("Beampatterns of the first draw along the azimuth")[2][:60]
    assert "What both observations tell together" in text


def test_report_says_what_is_known_and_blocked(tmp_path: Path) -> None:
    known = {"known": ["clock"], "prior": {"ue_position_m": 2.0}, "line_of_sight": False}
    run_tiny(tmp_path, tiny_job(scenario=known, draws={"count": 2}), report=True)
    text = RunDirectory(tmp_path).page.read_text(encoding="utf-8")
    assert "<dt>Known to the UE</dt><dd>clock</dd>" in text
    assert "<dt>Prior</dt><dd>ue_position_m = 2</dd>" in text
    assert "blocked for the UE" in text
    assert not (tmp_path / "report" / "places.svg").exists()  # all at one point


def test_what_is_known_beforehand_can_be_swept() -> None:
    job = tiny_job(sweep={"prior": {"clock_s": [1e-6, 1e-10]}, "prior.ue_position_m": [1.0]})
    assert list(job.sweep) == ["prior.clock_s", "prior.ue_position_m"]
    priors = [scenario.prior for _, scenario in job.sweep_points()]
    assert [prior.clock_s for prior in priors] == [1e-6, 1e-10]
    assert all(prior.ue_position_m == 1.0 for prior in priors)
    assert Scenario(prior={"clock_s": 1e-10, "ue_position_m": 1.0}).prior == priors[1]
    found = evaluate(job, 0, 1)
    assert found["crb_bp"].dims[:2] == ("prior.clock_s", "prior.ue_position_m")
    assert (found["crb_bp"][1] < found["crb_bp"][0]).all()
