"""The command line as a user meets it: one clear line and the documented exit code for what cannot be."""

import json
import sys
from pathlib import Path

import pytest
import xarray as xr
from crbatch.jobs.cli.app import main
from crbatch.jobs.jobfile.schema import load_job

SMALL = """
schema = 1
name = "small"
[scenario]
target_positions_m = [[-10, 15], [5, 15]]
subcarriers = 64
{scenario}
[draws]
count = 2
[design]
schemes = ["fdb-wcrb", "cpa-wcrb", "fdb-wbf", "apa"]
rho = [0.0, 0.5, 1.0]
{design}
"""


def crbatch(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["crbatch", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def job_file(folder: Path, scenario: str = "", design: str = "") -> Path:
    path = folder / "job.toml"
    path.write_text(SMALL.format(scenario=scenario, design=design))
    return path


@pytest.mark.parametrize(
    ("scenario", "design", "says"),
    [
        ("bandwith_hz = 1e8", "", 'scenario.bandwith_hz: unknown key; did you mean "bandwidth_hz"?'),
        ("bandwidth_hz = -1e6", "", "scenario.bandwidth_hz"),
        ("ue_position_m = [nan, 20]", "", "scenario.ue_position_m"),
        ("ue_position_m = [5, 15]", "", "are the same point"),
        ("slots = 4", "", "scenario.slots: fdb-wbf mixes beamformers of 6 columns"),
        ("", "gap_tolerance = 2", "design.gap_tolerance"),
        ("", 'custom = "nowhere.npy"', "design.custom"),
    ],
)
def test_bad_job_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scenario: str,
    design: str,
    says: str,
) -> None:
    path = job_file(tmp_path, scenario, design)
    assert crbatch(monkeypatch, "run", path, "-o", tmp_path / "out") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "job.toml" in captured.err
    assert says in captured.err
    assert not (tmp_path / "out").exists()


def test_rho_outside_the_unit_interval(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.toml"
    path.write_text('schema = 1\nname = "x"\n[design]\nrho = [0.5, 1.5]\n')
    assert crbatch(monkeypatch, "plan", path) == 2
    assert "design.rho" in capsys.readouterr().err


def test_missing_job_unknown_profile_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crbatch(monkeypatch, "run", "papr") == 2
    assert "packaged job" in capsys.readouterr().err
    assert crbatch(monkeypatch, "run", "smoke", "--cluster", "slum", "-o", tmp_path / "o") == 2
    assert "there are local, none" in capsys.readouterr().err
    assert crbatch(monkeypatch, "verify", tmp_path) == 6
    assert "no folder of a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("scenario", "status"),
    [
        ("tx_antennas = 1", {0: {0}, 0.5: {2}, 1: {2}}),
        ("tx_antennas = 2", {0: {0}, 0.5: {0}, 1: {0}}),
    ],
)
def test_poor_arrays_are_flagged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scenario: str,
    status: dict[float, set[int]],
) -> None:
    """One antenna cannot steer, so BP is unidentifiable; two can."""
    path = job_file(tmp_path, scenario)
    assert crbatch(monkeypatch, "run", path, "-o", tmp_path / "out", "--cluster", "none", "--no-report", "--json") == 0
    assert json.loads(capsys.readouterr().out)["uncertified"] == 0
    with xr.open_dataset(tmp_path / "out" / "cube.nc") as cube:
        for rho, expected in status.items():
            assert set(cube["status"].sel(scheme="fdb-wcrb", rho=rho).values.tolist()) == expected


@pytest.mark.parametrize(
    ("targets", "link", "rho"),
    [
        ("[]", "crb_bp", 1.0),  # 5 equations for 6 unknowns
        ("[[10, 0], [5, 15]]", "crb_ms", 0.0),  # on the axis of the BS array
        ("[[-2.5, 10], [5, 15]]", "crb_bp", 1.0),  # on the segment from BS to UE
    ],
)
def test_unidentifiable_geometry_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, targets: str, link: str, rho: float
) -> None:
    path = tmp_path / "job.toml"
    path.write_text(
        f'schema = 1\nname = "x"\n[scenario]\nsubcarriers = 64\ntarget_positions_m = {targets}\n'
        '[draws]\ncount = 2\n[design]\nschemes = ["fdb-wcrb", "apa"]\nrho = [0, 0.5, 1]\n'
    )
    assert crbatch(monkeypatch, "run", path, "-o", tmp_path / "out", "--cluster", "none", "--no-report") == 0
    with xr.open_dataset(tmp_path / "out" / "cube.nc") as cube:
        assert (cube["status"].sel(rho=rho) == 2).all()
        assert (cube["status"].sel(rho=0.5) == 2).all()
        assert (cube["status"].sel(rho=1.0 - rho, scheme="fdb-wcrb") == 0).all()
        assert (cube[link].sel(scheme="apa") == float("inf")).all()


def test_commands_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From a fresh job file over plan, run, report, replay and verify; JSON parses."""
    job, out = tmp_path / "mine.toml", tmp_path / "out"
    assert crbatch(monkeypatch, "init", job) == 0
    assert crbatch(monkeypatch, "init", job) == 2
    assert load_job(job).name == "example"
    job_file(tmp_path)
    capsys.readouterr()

    def answer(*words: object) -> dict[str, object]:
        assert crbatch(monkeypatch, *words, "--json") == 0
        out: dict[str, object] = json.loads(capsys.readouterr().out)
        return out

    assert answer("jobs").keys() >= {"drops", "paper", "phases", "smoke"}
    assert answer("plan", tmp_path / "job.toml")["designs"] == 24
    assert answer("run", tmp_path / "job.toml", "-o", out, "--cluster", "none")["nothing_left"] is False
    assert answer("run", tmp_path / "job.toml", "-o", out)["nothing_left"] is True
    stems = {Path(name).stem for name in map(str, answer("report", out)["files"])}  # type: ignore[call-overload]
    assert stems >= {"beampatterns", "tradeoff", "claims", "report"}
    assert {p.suffix for p in (out / "report").glob("tradeoff*")} == {".png", ".pdf", ".svg"}
    assert answer("replay", out, "--draw", 1)["identical"] is True
    assert answer("verify", out)["draws"] == 2
    assert crbatch(monkeypatch, "replay", out, "--draw", "9") == 2
    assert crbatch(monkeypatch, "--help") == 0
    assert crbatch(monkeypatch, "--version") == 0
