"""Stopping by precision in jobs: the same draws however the run went, continued and changed without loss."""

import json
from pathlib import Path

import pytest
import xarray as xr
from crbatch.jobs.driver.status import status
from crbatch.jobs.errors import DamagedData, IncompleteRun
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder import until
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile, load_job
from crbatch.results.precision import each_look, relative_error
from job_cases import QUIET, crbatch, run_tiny, tiny_job, write_job
from pydantic import ValidationError

DISC = {"kind": "disc", "centre_m": [-5, 20], "radius_m": 3}
DESIGN = {"schemes": ["apa", "fdb-wcrb"], "rho": [0.5, 1.0]}
UNTIL = {"metric": "crb_bp", "relative_error": 0.05, "max": 1000}


def job(count: int = 20, until: dict[str, object] | None = None, **more: object) -> JobFile:
    draws = {"count": count, "until": UNTIL | (until or {}), "ue_position": DISC}
    return tiny_job(draws=draws, design=DESIGN, scenario={"tx_antennas": 8, "subcarriers": 16}, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("until") / "x"
    assert run_tiny(folder, job()).summary["precision"]["reached"]
    return folder


def test_it_stops_at_the_first_look_that_is_precise_enough(whole: Path) -> None:
    looks = job().draws.until.looks()
    assert looks == (20, 40, 80, 160, 320, 640, 1000)
    with xr.open_dataset(whole / "cube.nc") as cube:
        count = cube.sizes["draw"]
        assert count in looks[1:-1]
        each = each_look(0.95, len(looks))
        errors = {
            n: relative_error(cube.isel(draw=slice(0, n)), "crb_bp", confidence=each).max().item()
            for n in looks[: looks.index(count) + 1]
        }
        assert json.loads(cube.attrs["job"])["draws"]["count"] == count
    assert errors.pop(count) <= 0.05
    assert min(errors.values()) > 0.05


@pytest.mark.slow("starts clusters")
@pytest.mark.parametrize("options", [{"chunk": 7}, {"cluster": "local", "workers": 2, "chunk": 11}])
def test_the_cube_is_the_same_however_it_is_cut(whole: Path, tmp_path: Path, options: dict[str, object]) -> None:
    run_tiny(tmp_path / "y", job(), **options)
    assert (tmp_path / "y" / "cube.nc").read_bytes() == (whole / "cube.nc").read_bytes()


def test_run_again_does_nothing_and_verify_is_content(whole: Path) -> None:
    stamp = (whole / "cube.nc").stat().st_mtime_ns
    again = run_tiny(whole, job())
    assert again.nothing_left
    assert again.summary["precision"]["reached"]
    assert (whole / "cube.nc").stat().st_mtime_ns == stamp
    assert verify(RunDirectory(whole))["draws"] == again.summary["precision"]["draws"]
    assert status(RunDirectory(whole))["state"] == "done"


@pytest.mark.slow("many runs")
def test_a_run_that_ended_early_goes_on(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    looks = []
    original = until.worst_error

    def look(*args: object) -> object:
        looks.append(args[1])
        return original(*args) if len(looks) < 2 else die()

    monkeypatch.setattr(until, "worst_error", look)
    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path / "y", job())
    assert looks == [20, 40]
    assert load_job(tmp_path / "y" / "job.toml").draws.count == 40
    monkeypatch.undo()
    run_tiny(tmp_path / "y", job())
    assert (tmp_path / "y" / "cube.nc").read_bytes() == (whole / "cube.nc").read_bytes()


@pytest.mark.slow("many runs")
def test_another_wish_continues_with_the_same_draws(tmp_path: Path) -> None:
    folder = RunDirectory(tmp_path / "x")
    first = run_tiny(folder.path, job()).summary["precision"]
    shards = {path.name for path in folder.shards.iterdir()}
    finer = run_tiny(folder.path, job(until={"relative_error": 0.03})).summary["precision"]
    assert finer["draws"] > first["draws"]
    assert shards < {path.name for path in folder.shards.iterdir()}
    coarser = run_tiny(folder.path, job(until={"relative_error": 0.5})).summary["precision"]
    assert coarser["draws"] < first["draws"]
    with xr.open_dataset(folder.cube) as cube:
        assert cube.sizes["draw"] == coarser["draws"]
    folder.claim()
    folder.prepare(job(), QUIET)
    with pytest.raises(IncompleteRun, match="another number of draws"):
        folder.complete_cube()
    with pytest.raises(DamagedData, match=r"draws\.seed"):
        folder.prepare(tiny_job(draws={"seed": 7}), QUIET)


def test_the_most_draws_may_not_be_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    path = write_job(tmp_path, draws={"count": 4, "until": UNTIL | {"max": 5}, "ue_position": DISC}, design=DESIGN)
    assert crbatch(monkeypatch, "run", path, "-o", tmp_path / "x", "--cluster", "none", "--no-report") == 0
    assert "NOT as precise as asked for" in capsys.readouterr().out
    assert crbatch(monkeypatch, "status", tmp_path / "x", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["precision"]["draws"] == 5
    assert found["precision"]["relative_error"] is None  # too few draws for an interval
    assert crbatch(monkeypatch, "plan", path) == 0
    assert "up to 5 draws, until the median of the root of crb_bp" in capsys.readouterr().out
    assert crbatch(monkeypatch, "report", tmp_path / "x") == 0
    assert "NOT as precise as asked for" in (tmp_path / "x" / "report" / "report.html").read_text()


def test_an_array_has_nobody_to_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    path = write_job(tmp_path, draws={"until": UNTIL})
    assert crbatch(monkeypatch, "submit", path, "-o", tmp_path / "x", "--array", "--dry-run") == 2
    assert "draws.until" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        ({"count": 50, "until": UNTIL | {"first": 20}}, "50 is none of the numbers of draws at which until looks"),
        ({"count": 2000, "until": UNTIL}, "1000 is less than the 2000 draws"),
        ({"until": UNTIL | {"metric": "gap"}}, "metric"),
        ({"until": UNTIL | {"relative_error": 0.0}}, "relative_error"),
        ({"until": UNTIL | {"statistic": "mode"}}, "statistic"),
        ({"until": {"metric": "crb_bp", "max": 10}}, "relative_error"),
    ],
)
def test_impossible_wishes_are_refused(draws: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        tiny_job(draws=draws)
    assert tiny_job(draws={"count": 640, "until": UNTIL | {"first": 20}}).draws.count == 640


def test_how_many_draws_is_no_part_of_the_identity() -> None:
    assert job().key() == job(until={"relative_error": 0.1}).key() == job(count=40).key()
    plain = tiny_job(draws={"ue_position": DISC}, design=DESIGN, scenario={"tx_antennas": 8, "subcarriers": 16})
    assert job().key() == plain.key()
