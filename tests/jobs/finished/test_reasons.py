"""A run says why designs are unidentifiable, and which mixes are not known well enough."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.errors import Exit
from job_cases import crbatch, write_job

ALONE = "bistatic: UE position and clock bias cannot be told apart"
Captured = pytest.CaptureFixture[str]


def test_a_job_without_an_identifiable_draw_says_so_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    job = write_job(tmp_path, scenario={"target_positions_m": []}, draws={"count": 3}, design={"rho": [0.5, 1.0]})
    out = tmp_path / "out"
    assert crbatch(monkeypatch, "run", job, "-o", out, "--cluster", "none") == Exit.SOME_UNCERTIFIED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{out}: NO DRAW IS IDENTIFIABLE")
    assert f"  unidentifiable: {ALONE} (3 draws, first draw 0)" in lines
    assert not any(line.startswith("  optimised by") for line in lines)
    assert ALONE in (out / "report" / "report.html").read_text()
    assert crbatch(monkeypatch, "replay", out, "--draw", 1) == 0
    assert ALONE in capsys.readouterr().out.splitlines()
    assert crbatch(monkeypatch, "run", job, "-o", out, "--json") == Exit.SOME_UNCERTIFIED
    assert json.loads(capsys.readouterr().out)["reasons"] == [f"{ALONE} (3 draws, first draw 0)"]


def test_reasons_name_the_point_of_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    job = write_job(tmp_path, draws={"count": 2}, design={"rho": [0.5]}, sweep={"targets": [2, 0]})
    assert crbatch(monkeypatch, "run", job, "-o", tmp_path / "out", "--cluster", "none", "--no-report") == 0
    said = capsys.readouterr().out
    assert f"  unidentifiable: {ALONE} (2 draws, first draw 0 at targets = 0)" in said.splitlines()
    assert "NO DRAW IS IDENTIFIABLE" not in said


def test_nothing_is_said_where_all_is_identifiable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    job = write_job(tmp_path, draws={"count": 2}, design={"rho": [0.5]})
    assert crbatch(monkeypatch, "run", job, "-o", tmp_path / "out", "--cluster", "none", "--no-report") == 0
    said = capsys.readouterr().out
    assert "unidentifiable:" not in said
    assert "mix_error" not in said


def test_mixes_that_are_not_known_well_enough_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr("crbatch.engine.beamforming.mixes._LEAST", 1e-3)
    job = write_job(tmp_path, draws={"count": 2}, design={"rho": [0.0, 0.5], "schemes": ["fdb-wbf", "cpa-wvm"]})
    out = tmp_path / "out"
    assert crbatch(monkeypatch, "run", job, "-o", out, "--cluster", "none", "--no-report") == Exit.SOME_UNCERTIFIED
    line = "  4 of the uncertified are mixes whose extremes are not known well enough (mix_error up to 1.0e-03)"
    assert line in capsys.readouterr().out.splitlines()
    with xr.open_dataset(out / "cube.nc") as cube:
        np.testing.assert_array_equal(cube["status"].values[..., 1], 1)
        assert (cube["status"].values[..., 0] == 4).all()
