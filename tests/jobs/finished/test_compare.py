"""Two cubes beside each other."""

import json
import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.errors import DamagedData, Exit
from crbatch.jobs.finished.compare import compare_cubes, job_differences
from crbatch.results.accessor import open_cube
from crbatch.results.compare import compare
from crbatch.results.errors import ResultsError
from cube_cases import cube_of
from job_cases import crbatch, run_tiny, tiny_job


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


@pytest.mark.timeout(60)
def test_many_draws_take_time_in_proportion() -> None:
    """Their indices are looked up, not searched for: 100,000 of them took minutes."""
    cube = cube_of(np.random.default_rng(3).uniform(1.0, 2.0, 100_000))
    assert compare(cube, cube)["ratio"].item() == 1.0


def bent(folder: Path, path: Path, **attrs: str) -> Path:
    """A run's cube with other attributes or labels."""
    with xr.open_dataset(folder / "cube.nc", engine="netcdf4") as cube:
        cube.load()
    if "scheme" in attrs:
        cube = cube.assign_coords(scheme=("scheme", [attrs.pop("scheme"), *cube["scheme"].values[1:]]))
    cube.assign_attrs(attrs).to_netcdf(path, engine="netcdf4")
    return path


def test_a_runs_cube_is_held_against_its_journal(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(folders[0], tmp_path / "copy"))
    data = bytearray((copy / "cube.nc").read_bytes())
    data[-200] ^= 1
    (copy / "cube.nc").write_bytes(data)
    assert crbatch(monkeypatch, "compare", folders[0], copy) == Exit.DAMAGED
    reason = "its bytes are not those that the journal records; run the job again"
    assert capsys.readouterr().err == f"crbatch: {copy}/cube.nc: {reason}\n"


@pytest.mark.parametrize("job", ["{", "[]", "[" * 2_000, '{"a": ' + "1" * 5_000 + "}", "null"])
def test_cubes_with_damaged_jobs(folders: list[Path], tmp_path: Path, job: str) -> None:
    path = bent(folders[0], tmp_path / "x.nc", job=job)
    with pytest.raises(DamagedData, match="a cube that cannot be read") as error:
        compare_cubes(folders[0], path)
    assert len(str(error.value).splitlines()) == 1


def test_cubes_that_are_cut_short_or_hardly_written(folders: list[Path], tmp_path: Path) -> None:
    whole = (folders[0] / "cube.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[:-1_000])
    with netCDF4.Dataset(tmp_path / "sparse.nc", "w") as file:
        for name, size in (("draw", 10**9), ("scheme", 1), ("rho", 1)):
            file.createDimension(name, size)
        file.createVariable("draw", "i8", ("draw",), chunksizes=(10**6,))
        file.createVariable("crb_bp", "f8", ("draw", "scheme", "rho"), chunksizes=(10**6, 1, 1))
    for name, says in (("cut.nc", "cannot be read"), ("sparse.nc", "draw takes 8e.09 bytes .* never written")):
        with pytest.raises(DamagedData, match=says):
            compare_cubes(tmp_path / name, folders[0])


def test_labels_and_jobs_reach_no_terminal_raw(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    label = "\x1b]0;title\a\nred"
    path = bent(folders[0], tmp_path / "x.nc", scheme=label, job=json.dumps({"a\x1b[1m": "\r\n"}))
    assert crbatch(monkeypatch, "compare", path, path) == 0
    said = capsys.readouterr().out
    assert "\\x1b]0;title\\x07\\nred" in said
    assert all(line.isprintable() for line in said.splitlines())
    assert crbatch(monkeypatch, "compare", folders[0], path) == 0
    assert "a\\x1b[1m: None in A, \\r\\n in B" in capsys.readouterr().out
