"""Units that were mixed up show in ratios: one line on stderr, and the work goes on."""

from pathlib import Path
from typing import Any

import pytest
from crbatch.jobs.jobfile.doubts import doubts
from crbatch.jobs.jobfile.packaged import packaged_jobs
from crbatch.jobs.jobfile.schema import load_job
from job_cases import crbatch, tiny_job, write_job

NOTHING: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("scenario", "keys"),
    [
        ({"bandwidth_hz": 120.0}, ["bandwidth_hz"]),  # MHz
        ({"bandwidth_hz": 120e3}, ["bandwidth_hz"]),  # kHz
        ({"subcarriers": 1}, ["bandwidth_hz"]),
        ({"carrier_hz": 28.0, "bandwidth_hz": 0.12}, ["bandwidth_hz", "carrier_hz"]),  # GHz
        ({"ue_position_m": [-0.005, 0.02], "target_positions_m": [[0.005, 0.015]]}, ["carrier_hz"]),  # km
        ({"noise_psd_dbm_hz": -203.855}, ["noise_psd_dbm_hz"]),  # dBW/Hz
        ({"noise_psd_dbm_hz": -113.855}, ["noise_psd_dbm_hz"]),  # dBm/MHz
        ({"rx_array": {"kind": "ula", "antennas": 16, "spacing": 0.00535}}, ["rx_array.spacing"]),  # m
        ({"ue_array": {"kind": "uca", "antennas": 8, "radius": 0.01}}, ["ue_array.radius"]),  # m
        ({"tx_array": {"kind": "ula", "antennas": 16, "spacing": 0.1}}, []),
        ({"bandwidth_hz": 1e6}, []),
        ({"bandwidth_hz": 400e6}, []),
        ({"carrier_hz": 400e6, "ue_position_m": [-2.5, 10.0]}, []),
        ({"ue_position_m": [-0.25, 1.0], "target_positions_m": [[0.25, 0.75]]}, []),
        ({"ue_position_m": [-5000.0, 20000.0]}, []),
    ],
)
def test_ratios_that_no_system_has(scenario: dict[str, Any], keys: list[str]) -> None:
    found = doubts(tiny_job(scenario={"subcarriers": 1024} | scenario))
    assert [line.partition(" = ")[0] for line in found] == [f"scenario.{key}" for key in keys]
    assert all(len(line.splitlines()) == 1 for line in found)


def test_swept_points_are_looked_at_once() -> None:
    found = doubts(tiny_job(sweep={"bandwidth_hz": [1e8, 100.0, 400.0]}))
    assert len(found) == 1
    assert "scenario.bandwidth_hz = 100 leaves 1.56 Hz between 64 subcarriers, and real systems have 250 Hz" in found[0]


@pytest.mark.parametrize("name", packaged_jobs())
def test_packaged_jobs_leave_no_doubt(name: str) -> None:
    assert doubts(load_job(name)) == []


def test_a_doubt_is_said_once_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(tmp_path, scenario={"bandwidth_hz": 120.0}, draws={"count": 1})
    for words in (("plan", job), ("run", job, "-o", tmp_path / "out", "--cluster", "none", "--no-report")):
        crbatch(monkeypatch, *words)
        captured = capsys.readouterr()
        assert captured.err.count("crbatch: warning: ") == 1
        assert "crbatch: warning: scenario.bandwidth_hz = 120 leaves 1.88 Hz between 64 subcarriers" in captured.err
        assert captured.out.splitlines()
    assert (tmp_path / "out" / "cube.nc").is_file()
