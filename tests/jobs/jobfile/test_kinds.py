"""Commands that are given the wrong kind of thing say what it is and what would be right."""

import os
from pathlib import Path

import pytest
import xarray as xr
from crbatch.jobs.errors import Exit
from crbatch.jobs.jobfile.kinds import Kind, kind_of
from job_cases import crbatch, digests, run_tiny, tiny_job, write_job

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of everything: a finished run and one that has only begun, a job file and its kin."""
    here = tmp_path_factory.mktemp("kinds")
    run_tiny(here / "run", tiny_job(draws={"count": 1}))
    (here / "begun").mkdir()
    (here / "begun" / "job.toml").write_text((here / "run" / "job.toml").read_text())
    (here / "folder").mkdir()
    (here / "cube.nc").write_bytes((here / "run" / "cube.nc").read_bytes())
    xr.Dataset({"ue_rcs": (("draw",), [1.0])}).to_netcdf(here / "drops.nc", format="NETCDF3_CLASSIC")
    write_job(here)
    (here / "slurm.toml").write_text('kind = "slurm"\nworkers = 1\n')
    (here / "broken.toml").write_text("schema = ")
    (here / "drops.csv").write_text("ue_rcs_m2\n1\n")
    (here / "beams.npy").write_bytes(b"\x93NUMPY\x01\x00")
    return here


def test_kinds(place: Path) -> None:
    expected = {
        "run": Kind.RUN,
        "begun": Kind.RUN,
        "folder": Kind.FOLDER,
        "cube.nc": Kind.NETCDF,
        "drops.nc": Kind.NETCDF,
        "tiny.toml": Kind.JOB,
        "slurm.toml": Kind.PROFILE,
        "broken.toml": Kind.FILE,
        "drops.csv": Kind.FILE,
        "nowhere": Kind.NOTHING,
    }
    assert {name: kind_of(place / name) for name in expected} == expected


def test_a_pipe_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """As in `crbatch plan <(make-job)`."""
    read, write = os.pipe()
    os.write(write, write_job(tmp_path).read_bytes())
    os.close(write)
    assert crbatch(monkeypatch, "plan", f"/dev/fd/{read}") == 0
    os.close(read)
    assert capsys.readouterr().out.startswith("tiny: ")


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("job", "says"),
    [
        ("run", "the folder of a run, not a job file; give {run}/job.toml -o {run} to continue it, or look at it with"),
        ("folder", "a folder, not a job file; give one (TOML) or a packaged job: see crbatch jobs"),
        ("cube.nc", "a NetCDF file, not a job file; give one (TOML) or a packaged job"),
        ("run/cube.nc", "a NetCDF file, not a job file; give {run}/job.toml, that of its run"),
        ("slurm.toml", "a cluster profile, not a job file; give it with --cluster"),
        ("broken.toml", "not TOML: "),
        ("drops.csv", "no job file, which would be TOML (Expected "),
        ("beams.npy", "no UTF-8 text, and so no job file"),
        ("nowhere", "no such file; give a job file's path or a packaged job"),
    ],
)
def test_in_place_of_a_job_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: str, job: str, says: str
) -> None:
    assert_refused(place, monkeypatch, capsys, (command, place / job), f"{place / job}: {says}")


@pytest.mark.parametrize("command", ["report", "status", "verify", "replay", "stop"])
@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("tiny.toml", "a job file, not the folder of a run; give that folder, or make one: crbatch run "),
        ("run/cube.nc", "a NetCDF file in the folder of a run; give {run}"),
        ("run/job.toml", "a job file in the folder of a run; give {run}"),
        ("drops.csv", "a file, not the folder of a run; give that"),
        ("slurm.toml", "a cluster profile, not the folder of a run; give that"),
        ("nowhere", "no such folder; give that of a run"),
    ],
)
def test_in_place_of_the_folder_of_a_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: str, folder: str, says: str
) -> None:
    words = (command, place / folder, *(("--draw", 0) if command == "replay" else ()))
    assert_refused(place, monkeypatch, capsys, words, f"{place / folder}: {says}")


def test_a_packaged_job_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.chdir(tmp_path)
    says = "smoke: no such folder, but a packaged job; give the folder of its run, or make one: crbatch run smoke"
    assert_refused(tmp_path, monkeypatch, capsys, ("status", "smoke"), says)


@pytest.mark.parametrize(
    ("cube", "says"),
    [
        ("tiny.toml", "a job file, not a cube; give one, or the folder of a finished run"),
        ("drops.csv", "a file, not a cube"),
        ("drops.nc", "a NetCDF file, but no cube that can be read"),
        ("begun", "the folder of a run that has no cube yet; crbatch status {here}/begun says how far it is"),
        ("folder", "a folder without cube.nc; give that of a finished run"),
        ("nowhere", "no such file or folder; give a cube"),
    ],
)
def test_in_place_of_a_cube(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, cube: str, says: str
) -> None:
    for words in (("compare", place / cube, place / "run"), ("compare", place / "cube.nc", place / cube)):
        assert_refused(place, monkeypatch, capsys, words, f"{place / cube}: {says}")


@pytest.mark.parametrize(
    ("profile", "says"),
    [("tiny.toml", "a job file"), ("run", "the folder of a run"), ("folder", "a folder"), ("cube.nc", "a NetCDF file")],
)
def test_in_place_of_a_profile(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, profile: str, says: str
) -> None:
    words = ("run", place / "tiny.toml", "-o", place / "new", "--cluster", place / profile)
    assert_refused(place, monkeypatch, capsys, words, f"--cluster: {place / profile}: {says}, not a cluster profile")


def assert_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, words: tuple[object, ...], says: str
) -> None:
    before = digests(place)
    assert crbatch(monkeypatch, *words) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("crbatch: " + says.format(run=place / "run", here=place))
    assert digests(place) == before
