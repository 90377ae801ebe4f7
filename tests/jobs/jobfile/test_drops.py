"""Draws from a file: read as they stand, checked, part of the job's identity, in the place of what would be drawn."""

import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch import sample
from crbatch.jobs.chunk.draws import draws_of, training_draws
from crbatch.jobs.chunk.evaluate import evaluate
from crbatch.jobs.drops import read_drops
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobError, JobFile, load_job
from job_cases import crbatch, run_tiny, tiny_job
from scipy.io import savemat

CSV = """ue_x_m, ue_y_m,ue_orientation_deg,target1_rcs_m2,target2_rcs_m2
-5,20,110,100,50
-4.5,19,90,10,20
3,18,-45,1e2,7.5

1,22,180,1,1
"""
HEAD = """schema = 1
name = "filed"
[scenario]
target_positions_m = [[-10, 15], [5, 15]]
subcarriers = 16
tx_antennas = 8
[design]
schemes = ["fdb-wcrb", "apa"]
rho = [0.5]
"""


def filed(folder: Path, draws: str = "", text: str = CSV, more: str = "") -> JobFile:
    (folder / "drops.csv").write_text(text)
    (folder / "filed.toml").write_text(f'{HEAD}{more}[draws]\nfile = "drops.csv"\n{draws}')
    return load_job(folder / "filed.toml")


def test_a_table_is_read_as_it_stands(tmp_path: Path) -> None:
    job = filed(tmp_path)
    assert job.draws.count == 4  # all of them
    found = draws_of(job, job.scenario, 1, 3)
    np.testing.assert_array_equal(found.ue_position, [[-4.5, 19.0], [3.0, 18.0]])
    np.testing.assert_allclose(found.ue_orientation, [math.pi / 2, -math.pi / 4], rtol=1e-15)
    np.testing.assert_array_equal(found.target_rcs, [[10.0, 20.0], [100.0, 7.5]])
    # What the table lacks is drawn as without it.
    drawn = sample(job.scenario, job.draws, job.draws.seed, 1, 3)
    np.testing.assert_array_equal(found.phase_bistatic, drawn.phase_bistatic)
    np.testing.assert_array_equal(found.target_position, drawn.target_position)
    assert len(np.unique(found.phase_bistatic)) == 6


def test_columns_may_stand_in_any_order_and_fewer_targets_are_the_first(tmp_path: Path) -> None:
    text = (
        "phase_bistatic2_rad,target2_y_m,target2_x_m,phase_bistatic0_rad,target1_x_m,target1_y_m,phase_bistatic1_rad\n"
    )
    job = filed(tmp_path, text=text + "0.2,15,5,0.0,-10,14,0.1\n")
    found = draws_of(job, job.scenario.with_targets(1), 0, 1)
    np.testing.assert_array_equal(found.target_position, [[[-10.0, 14.0]]])
    np.testing.assert_array_equal(found.phase_bistatic, [[0.0, 0.1]])


@pytest.mark.slow("starts a cluster")
def test_a_run_of_a_file_is_that_of_its_draws(tmp_path: Path) -> None:
    job = filed(tmp_path)
    run_tiny(tmp_path / "x", job, chunk=3)
    run_tiny(tmp_path / "y", job, cluster="local", workers=2, chunk=1)
    assert (tmp_path / "x" / "cube.nc").read_bytes() == (tmp_path / "y" / "cube.nc").read_bytes()
    assert (tmp_path / "x" / "draws.csv").read_text() == CSV
    assert verify(RunDirectory(tmp_path / "x"))["draws"] == 4
    with xr.open_dataset(tmp_path / "x" / "cube.nc") as cube:
        np.testing.assert_array_equal(cube["ue_position"].values[:, 0], [-5.0, -4.5, 3.0, 1.0])
        # A cube is a file of draws itself: the same bounds come out again.
        document = (tmp_path / "filed.toml").read_text().replace("drops.csv", "x/cube.nc")
        (tmp_path / "again.toml").write_text(document)
        again = evaluate(load_job(tmp_path / "again.toml"), 0, 4)
        for name in ("crb_bp", "crb_ms", "phase_monostatic", "target_rcs"):
            np.testing.assert_array_equal(again[name].values, cube[name].values)


def test_a_run_keeps_to_its_ignored_columns(tmp_path: Path) -> None:
    text = "".join(f"{line},LOS\n" if line else "\n" for line in CSV.splitlines()).replace("LOS", "link", 1)
    with pytest.raises(JobError, match=r"column 6 \('link'\) is unknown"):
        filed(tmp_path, text=text)
    job = filed(tmp_path, 'ignore_columns = ["link"]\n', text)
    run_tiny(tmp_path / "x", job, report=True)
    assert verify(RunDirectory(tmp_path / "x"))["draws"] == 4
    bounds = evaluate(job, 0, 4)["crb_bp"].values
    np.testing.assert_array_equal(evaluate(filed(tmp_path), 0, 4)["crb_bp"].values, bounds)
    with pytest.raises(JobError, match=r"draws\.ignore_columns: there is no file"):
        load_without_file(tmp_path)


def load_without_file(folder: Path) -> JobFile:
    text = (folder / "filed.toml").read_text().replace('file = "drops.csv"', 'ignore_columns = ["x"]')
    (folder / "filed.toml").write_text(text)
    return load_job(folder / "filed.toml")


def test_a_file_of_matlab_is_one_of_draws_too(tmp_path: Path) -> None:
    savemat(tmp_path / "drops.mat", {"ue_position": np.array([[-5.0, 20.0], [3.0, 18.0]])})
    (tmp_path / "filed.toml").write_text(f'{HEAD}[draws]\nfile = "drops.mat"\n')
    job = load_job(tmp_path / "filed.toml")
    run_tiny(tmp_path / "x", job)
    assert verify(RunDirectory(tmp_path / "x"))["draws"] == 2
    assert (tmp_path / "x" / "draws.mat").read_bytes() == (tmp_path / "drops.mat").read_bytes()


def test_the_bytes_of_the_file_are_part_of_the_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    job = filed(tmp_path)
    key = job.key()
    run_tiny(tmp_path / "x", job)
    assert load_job(tmp_path / "x" / "job.toml").key() == key
    assert filed(tmp_path, text=CSV.replace("7.5", "7.6")).key() != key
    assert crbatch(monkeypatch, "run", tmp_path / "filed.toml", "-o", tmp_path / "x", "--no-report") == 6
    assert "other bytes of a file" in capsys.readouterr().err


def test_the_report_says_what_is_from_the_file(tmp_path: Path) -> None:
    run_tiny(tmp_path / "x", filed(tmp_path), report=True)
    page = (tmp_path / "x" / "report" / "report.html").read_text()
    assert "From draws.csv" in page
    assert "UE position, UE orientation, RCS" in page


@pytest.mark.slow("trains many designs")
def test_the_last_draws_of_a_file_train(tmp_path: Path) -> None:
    job = filed(tmp_path, more='knowledge = "average"\ntraining_draws = 2\n')
    assert job.draws.count == 2
    np.testing.assert_array_equal(training_draws(job, job.scenario).ue_position, [[3.0, 18.0], [1.0, 22.0]])
    first = evaluate(job, 0, 2)
    other = filed(tmp_path, more='knowledge = "average"\ntraining_draws = 2\n', text=CSV.replace("1,22", "2.5,21"))
    assert (evaluate(other, 0, 2)["crb_bp"].sel(scheme="fdb-wcrb") != first["crb_bp"].sel(scheme="fdb-wcrb")).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ue_x_m,ue_w_m\n1,2\n", "line 1: column 2 ('ue_w_m') is unknown; there are ue_x_m, ue_y_m"),
        ("ue_x_m,ue_z_m\n1,2\n", "line 1: ue_y_m is missing beside ue_x_m"),
        ("ue_x_m,ue_x_m\n1,2\n", "columns 1 (ue_x_m) and 2 (ue_x_m) say the same"),
        ("ue_x_m,ue_y_m\n1\n", "line 2 has 1 cell for 2 headings"),
        ("ue_x_m,ue_y_m\n1,2\n1,far\n", "line 3, column 2 (ue_y_m): 'far' is refused; it should be a number"),
        ("ue_x_m,ue_y_m\n1,nan\n", "line 2, column 2 (ue_y_m): 'nan' is refused; it should be a number"),
        ("ue_rcs_m2\n1\n0\n", "line 3, column 1 (ue_rcs_m2): 0 is refused; it should be above 0"),
        ("ue_x_m\n1\n", "ue_y_m is missing beside ue_x_m"),
        ("target2_rcs_m2\n1\n", "target1_rcs_m2 is missing beside target2_rcs_m2"),
        ("target0_rcs_m2,target1_rcs_m2\n1,1\n", "targets count from 1"),
        ("ue_x_m,ue_y_m\n", "no draws below the headings"),
        ("", "no headings; the first line should have some of ue_x_m, "),
    ],
)
def test_a_faulty_table_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(JobError) as caught:
        filed(tmp_path, text=text)
    assert f"draws.file: {tmp_path / 'drops.csv'}" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("draws", "more", "text", "message"),
    [
        ("count = 5\n", "", CSV, "has 4 draws, and 5 are asked for; lower draws.count to 4"),
        (
            "count = 3\n",
            'knowledge = "average"\ntraining_draws = 2\n',
            CSV,
            "3 and 2 training draws are asked for; lower draws.count to 2",
        ),
        ('rcs = "swerling1"\n', "", CSV, "has target1_rcs_m2, which draws.rcs says too"),
        ('ue_orientation = "uniform"\n', "", CSV, "which draws.ue_orientation says too"),
        ("", "", "target1_rcs_m2\n1\n", "has 1 target (in target1_rcs_m2 ...); the scenario has 2"),
        ("", "", "phase_bistatic0_rad\n1\n", "has 1 path (in phase_bistatic0_rad ...); the scenario has 3"),
        ("", "[sweep]\nue_orientation_deg = [1, 2]\n", CSV, "a sweep of ue_orientation_deg would not change"),
        ("", "", "ue_x_m,ue_y_m\n-5,20\n5,15\n", "the UE and target 2 at the same point in line 3"),
        ("", "", "ue_x_m,ue_y_m\n0,0\n", "the BS and the UE at the same point in line 2"),
        (
            "count = 1\nuntil = { metric = 'crb_bp', relative_error = 0.1, max = 9 }\n",
            "",
            CSV,
            "and 9 are asked for; lower draws.until.max to 4",
        ),
        (
            "",
            'knowledge = "average"\n',
            CSV,
            "1 and 256 training draws are asked for; lower design.training_draws (to 3 at",
        ),
        (
            "",
            'knowledge = "average"\n',
            "ue_rcs_m2\n1\n",
            "has 1 draw, and 1 and 256 training draws are asked for; give",
        ),
    ],
)
def test_a_table_that_does_not_fit_the_job_is_refused(
    tmp_path: Path, draws: str, more: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    filed(tmp_path, draws, text, more)
    assert crbatch(monkeypatch, "run", tmp_path / "filed.toml", "-o", tmp_path / "x", "--no-report") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "draws.file" in error
    assert message in error
    assert not (tmp_path / "x").exists()


def test_netcdf_is_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "drops.nc"
    xr.Dataset({"ue_rcs": (("draw",), [1.0], {"units": "dBsm"})}).to_netcdf(path)
    with pytest.raises(ValueError, match="ue_rcs is in dBsm; it should be in m2"):
        read_drops(path)
    xr.Dataset({"ue_position": (("draw", "axis"), [[1.0, 2.0]])}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ValueError, match="select one point"):
        read_drops(tmp_path / "other.nc")
    (tmp_path / "none.nc").write_text("nothing")
    with pytest.raises(ValueError, match="no NetCDF file that can be read"):
        read_drops(tmp_path / "none.nc")
    filed(tmp_path).files["draws.file"].unlink()
    with pytest.raises(JobError, match="no file"):
        load_job(tmp_path / "filed.toml")


def test_jobs_without_a_file_draw_as_ever() -> None:
    job = tiny_job()
    found, drawn = draws_of(job, job.scenario, 2, 5), sample(job.scenario, job.draws, job.draws.seed, 2, 5)
    np.testing.assert_array_equal(found.phase_bistatic, drawn.phase_bistatic)
