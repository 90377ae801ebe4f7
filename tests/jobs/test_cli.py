"""Commands and options: what they print, where, and how they end."""

import json
import math
import os
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from crbatch.jobs.errors import Exit
from crbatch.jobs.jobfile.packaged import packaged_jobs
from crbatch.jobs.jobfile.schema import load_job
from job_cases import DOCUMENT, crbatch, digests, write_job

Captured = pytest.CaptureFixture[str]
SCRIPT = Path(sysconfig.get_path("scripts")) / "crbatch"
ON_AXIS = {"target_positions_m": [[10, 0], [5, 15]]}


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


def answer(monkeypatch: pytest.MonkeyPatch, capsys: Captured, *words: object) -> Any:
    """Run a command with --json: nothing but strict JSON on stdout, nothing on stderr."""
    capsys.readouterr()
    assert crbatch(monkeypatch, *words, "--json") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out, parse_constant=refuse)


def shell(*words: object, cwd: Path, path: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user does."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [str(SCRIPT), *map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def test_every_command_in_json_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """On a job with infinite bounds, for which JSON has no word. A run's second time changes no byte."""
    job, out = write_job(tmp_path, scenario=DOCUMENT["scenario"] | ON_AXIS), tmp_path / "out"
    run = ("run", job, "-o", out, "--cluster", "none", "--no-report")
    plan = answer(monkeypatch, capsys, "plan", job, "--chunk", 4, "--workers", 3)
    assert (plan["designs"], plan["chunks"], plan["workers"]) == (72, 2, 3)
    assert not out.exists()
    first = answer(monkeypatch, capsys, *run)
    assert first["nothing_left"] is False
    assert first["timings"].keys() == {"start_up", "computing", "evaluation", "overhead", "consolidation"}
    assert first["designs"] == 72 == sum(first[key] for key in ("certified", "closed_form", "unidentifiable"))
    before = digests(out)
    assert answer(monkeypatch, capsys, *run)["nothing_left"] is True
    replayed = answer(monkeypatch, capsys, "replay", out, "--draw", 5)
    assert replayed["identical"] is True
    assert replayed["designs"][0]["objective"] is None
    assert answer(monkeypatch, capsys, "verify", out)["draws"] == 6
    assert set(answer(monkeypatch, capsys, "jobs")) == set(packaged_jobs())
    assert digests(out) == before
    for words, says in (
        (run, "nothing was left to do"),
        (("plan", job), "72 designs (6 draws x 1 point of the sweep x 4 schemes x 3 weights)"),
        (("replay", out, "--draw", 5), "draw 5: identical to the cube, bit for bit"),
        (("verify", out), "the cube are intact, 6 draws complete"),
        (("jobs",), "paper   "),
    ):
        assert crbatch(monkeypatch, *words) == 0
        assert says in capsys.readouterr().out
    assert digests(out) == before


def test_progress_is_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    words = ("run", write_job(tmp_path), "-o", tmp_path / "out", "--cluster", "none", "--no-report")
    assert crbatch(monkeypatch, *words) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].startswith(f"{tmp_path / 'out'}: done in ")
    assert captured.out.splitlines()[-1] == f"  cube: {tmp_path / 'out' / 'cube.nc'}"
    assert "draws: 6 of 6" in captured.err
    assert "\x1b" not in captured.out + captured.err


def test_without_a_folder_the_jobs_name_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert crbatch(monkeypatch, "run", write_job(tmp_path, draws={"count": 1}), "--no-report") == 0
    assert (tmp_path / "tiny" / "cube.nc").is_file()


@pytest.mark.slow("makes reports")
def test_report_does_not_count_as_left_to_do_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    job, out = write_job(tmp_path, draws={"count": 1}), tmp_path / "out"
    assert answer(monkeypatch, capsys, "run", job, "-o", out, "--no-report")["nothing_left"] is False
    files = answer(monkeypatch, capsys, "report", out)["files"]
    assert {Path(name).suffix for name in files} == {".png", ".pdf", ".svg", ".txt", ".json", ".csv", ".html"}
    assert all(Path(name).stat().st_size > 0 for name in files)
    before = digests(out)
    assert answer(monkeypatch, capsys, "run", job, "-o", out)["nothing_left"] is True
    assert answer(monkeypatch, capsys, "report", out)["files"] == files  # the same bytes again
    assert digests(out) == before


@pytest.mark.parametrize("name", ["template", *packaged_jobs()])
def test_init_writes_a_job_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "mine.toml"
    assert crbatch(monkeypatch, "init", path, "--from", name) == 0
    assert load_job(path).name == ("example" if name == "template" else name)
    path.write_text("mine")
    assert crbatch(monkeypatch, "init", path) == 2
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("init", "{here}/no/such/folder/job.toml"), "cannot be written"),
        (("init", "{here}/x.toml", "--from", "papr"), "no packaged job 'papr'"),
        (("run", "{here}/nowhere.toml"), "no such file"),
        (("run", "{here}"), "a folder, not a job file; give one"),
        (("plan", "papr"), "packaged job"),
        (("run", "{job}", "-o", "{out}", "--cluster", "slrum"), "no cluster profile 'slrum'; there are local, none"),
        (("run", "{job}", "-o", "{job}"), "not a folder; choose another with -o"),
        (("run", "{job}", "-o", "/proc/nowhere"), "choose another with -o"),
        (("run", "{job}", "-o", "{job}/below"), "choose another with -o"),
    ],
)
def test_usage_problems_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, words: tuple[str, ...], says: str
) -> None:
    job = write_job(tmp_path)
    before = digests(tmp_path)
    places = {"here": tmp_path, "job": job, "out": tmp_path / "out"}
    assert crbatch(monkeypatch, *(word.format(**places) for word in words)) == Exit.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("crbatch: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert digests(tmp_path) == before


@pytest.mark.parametrize(
    ("table", "key", "value", "says"),
    [
        ("scenario", "bandwith_hz", 1e8, 'scenario.bandwith_hz: unknown key; did you mean "bandwidth_hz"?'),
        ("scenario", "bandwidth_hz", -1.0, "scenario.bandwidth_hz: -1.0 is refused; it should be greater than 0"),
        ("scenario", "ue_position_m", [math.nan, 20.0], "scenario.ue_position_m"),
        ("scenario", "ue_position_m", [0.0, 0.0], "same point"),
        ("scenario", "target_positions_m", [[5.0, 15.0], [5.0, 15.0]], "same point"),
        ("scenario", "slots", 5, "scenario.slots: fdb-wbf mixes beamformers of 6 columns"),
        ("design", "rho", [0.5, 1.5], "design.rho.1: 1.5 is refused; it should be less than or equal to 1"),
        ("design", "rho", [-0.1], "design.rho.0"),
        ("design", "schemes", ["fdb"], "design.schemes.0"),
        ("sweep", "targets", [3], "sweep.targets"),
        ("draws", "count", 0, "draws.count: 0 is refused"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_bad_job_files_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured,
    command: str, table: str, key: str, value: object, says: str,
) -> None:  # fmt: skip
    import tomli_w

    path = tmp_path / "bad.toml"
    path.write_text(tomli_w.dumps(DOCUMENT | {table: DOCUMENT.get(table, {}) | {key: value}}))
    folder = ("-o", tmp_path / "out") if command == "run" else ()
    assert crbatch(monkeypatch, command, path, *folder) == Exit.USAGE
    said = capsys.readouterr().err
    assert said.startswith(f"crbatch: {path}: ")
    assert said.count("\n") == 1
    assert says in said
    assert [entry.name for entry in tmp_path.iterdir()] == ["bad.toml"]


@pytest.mark.parametrize(
    "words", [("frobnicate",), ("run",), ("run", "smoke", "--workers", "0"), ("plan", "smoke", "--chunk", "0"),
              ("replay", "x", "--draw", "-1"), ("run", "smoke", "--bogus")], ids=" ".join
)  # fmt: skip
def test_wrong_words_are_usage(monkeypatch: pytest.MonkeyPatch, capsys: Captured, words: tuple[str, ...]) -> None:
    assert crbatch(monkeypatch, *words) == Exit.USAGE
    assert "Usage: crbatch" in capsys.readouterr().err


def test_folders_of_other_things_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    job, out = write_job(tmp_path), tmp_path / "thesis"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    for words in (("run", job, "-o", out), ("verify", out), ("report", out), ("replay", out, "--draw", 0)):
        assert crbatch(monkeypatch, *words) == Exit.DAMAGED
        assert capsys.readouterr().err.count("\n") == 1
    assert digests(out).keys() == {"thesis.tex"}


@pytest.mark.parametrize(
    ("scenario", "link"),
    [
        ({"target_positions_m": []}, "crb_bp"),
        ({"tx_antennas": 1}, "crb_bp"),
        (ON_AXIS, "crb_ms"),
        ({"target_positions_m": [[-2.5, 10], [5, 15]]}, "crb_bp"),
    ],
    ids=["no targets", "one antenna", "target on the axis", "target on the BS-UE segment"],
)
def test_unidentifiable_is_accepted_and_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenario: dict[str, Any], link: str
) -> None:
    """Every scheme says so where the bound weighs; where it does not, all is as usual. Exit code 0."""
    job = write_job(tmp_path, scenario=scenario, draws={"count": 2})
    assert crbatch(monkeypatch, "run", job, "-o", tmp_path / "out", "--cluster", "none", "--no-report") == 0
    with xr.open_dataset(tmp_path / "out" / "cube.nc") as cube:
        lost, fine = (1.0, 0.0) if link == "crb_bp" else (0.0, 1.0)
        assert (cube["status"].sel(rho=[lost, 0.4]) == 2).all()
        assert math.inf == cube[link].sel(scheme="apa").min()
        assert math.inf == cube["objective"].sel(rho=[lost, 0.4]).min()
        assert (cube["status"].sel(rho=fine, scheme=["fdb-wcrb", "cpa-wcrb"]) == 0).all()
        assert (cube["status"].sel(rho=fine, scheme=["fdb-wbf", "apa"]) == 4).all()


def test_help_and_version(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert crbatch(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"crbatch {version('crbatch')}\n"
    assert crbatch(monkeypatch, "-h") == 0
    text = capsys.readouterr().out
    commands = ("run", "plan", "jobs", "init", "report", "replay", "verify")
    for word in (*commands, "Exit codes"):
        assert word in text
    for command in commands:
        assert crbatch(monkeypatch, command, "--help") == 0
        assert f"Usage: crbatch {command}" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from crbatch.jobs.cli.app import main; sys.argv = ['crbatch', '--help']\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )
    environment = os.environ
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded
    assert not loaded & {"numpy", "numba", "xarray", "netCDF4", "matplotlib", "distributed", "cvxpy", "pydantic"}


@pytest.mark.slow("starts a cluster")
def test_users_own_modules_do_not_matter(tmp_path: Path) -> None:
    """Nor to the workers: a folder with one's own jobs.py and results/ is where results are wanted."""
    (tmp_path / "jobs.py").write_text("raise SystemExit('not yours')")
    for package in ("results", "engine", "cluster"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('not yours')")
    write_job(tmp_path)
    done = shell("run", "tiny.toml", "--cluster", "local", "--workers", 1, "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tiny" / "cube.nc").is_file()
