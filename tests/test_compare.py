"""Two cubes beside each other."""

import json
from pathlib import Path

import numpy as np
import pytest
from cube_cases import cube_of
from job_cases import crbatch, run_tiny, tiny_job

from jobs.compare import job_differences
from results.accessor import open_cube
from results.compare import compare
from results.errors import ResultsError


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("compare")
    run_tiny(home / "a", tiny_job(draws={"count": 8}))
    run_tiny(home / "b", tiny_job(draws={"count": 6}, scenario={"power_dbm": -10.0}))
    run_tiny(home / "c", tiny_job(draws={"seed": 1}))
    return [home / name for name in "abc"]


def test_ten_times_the_power_is_a_root_of_ten_of_the_bound(folders: list[Path]) -> None:
    with open_cube(folders[0]) as a, open_cube(folders[1]) as b:
        found = compare(a, b).sel(rho=0.4)
        np.testing.assert_allclose(found["ratio"], np.sqrt(0.1), rtol=2e-6)
        assert (found["used"] == 6).all()
        expected = np.median(np.sqrt(a["crb_bp"].sel(scheme="apa", rho=0.4)[:6]))
        assert found["a"].sel(scheme="apa").item() == pytest.approx(expected)
        assert job_differences(a, b) == {"draws.count": (8, 6), "scenario.power_dbm": (-20.0, -10.0)}


def test_the_same_cube_differs_by_nothing(folders: list[Path]) -> None:
    with open_cube(folders[0]) as a:
        found = compare(a, a, "crb_ms")
        assert (found["ratio"] == 1.0).all()
        assert (found["largest"] == 0.0).all()


def test_other_draws_have_no_ratios(folders: list[Path]) -> None:
    with open_cube(folders[0]) as a, open_cube(folders[2]) as c:
        found = compare(a, c)
        assert "ratio" not in found
        assert (found["a_lower"] <= found["a"]).all()


def test_a_draw_that_one_cube_lacks_is_left_out() -> None:
    values = np.arange(1.0, 6.0)
    a = cube_of(values, status=np.array([0, 4, 1, 0, 0])[:, None, None])
    b = cube_of(4.0 * values, status=np.array([0, 1, 0, 4, 3])[:, None, None])
    found = compare(a, b)
    assert found["used"].item() == 2
    assert found["ratio"].item() == 2.0


def test_nothing_in_common_is_told() -> None:
    a = cube_of([1.0, 2.0])
    with pytest.raises(ResultsError, match="no scheme in common"):
        compare(a, cube_of([1.0, 2.0], scheme=("apa",)))
    with pytest.raises(ResultsError, match="sweeps nothing, the other targets"):
        compare(a, a.expand_dims(targets=[1, 2]))


def test_the_command(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert crbatch(monkeypatch, "compare", folders[0], folders[1] / "cube.nc", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["common_draws"] is True
    assert found["job"]["scenario.power_dbm"] == [-20.0, -10.0]
    assert len(found["rows"]) == 3 * 4 * 3
    assert crbatch(monkeypatch, "compare", folders[0], folders[2]) == 0
    assert "side by side" in capsys.readouterr().out
    assert crbatch(monkeypatch, "compare", folders[0], tmp_path / "none") == 2
    assert "no such file or folder" in capsys.readouterr().err
