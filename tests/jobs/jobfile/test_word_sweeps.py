"""Sweeps of words, such as the gain law: from the job file to the page."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch import DrawModel, Scenario, design, sample
from crbatch.jobs.jobfile.schema import JobFile, load_job
from crbatch.results.accessor import open_cube
from job_cases import crbatch, run_tiny, tiny_job

LAWS = ["radar-equation", "as-printed"]


def swept(**changes):
    return tiny_job(sweep={"gain_law": LAWS, "targets": [1, 2]}, draws={"count": 3}, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("words") / "run"
    run_tiny(place, swept(), chunk=2, report=True)
    return place


def test_its_cube_has_words_for_a_coordinate_and_each_points_numbers(folder: Path) -> None:
    with open_cube(folder) as cube:
        assert cube["gain_law"].values.tolist() == LAWS
        assert cube["status"].dims == ("gain_law", "targets", "draw", "scheme", "rho")
        assert "units" not in cube["gain_law"].attrs
        assert "gain_law  radar-equation, as-printed" in " ".join(repr(cube.crb).split("\n"))
        for law in LAWS:
            scenario = Scenario(target_positions_m=((-10.0, 15.0), (5.0, 15.0)), subcarriers=64, gain_law=law)
            found = design(scenario, sample(scenario, DrawModel(), 2025, 0, 3), ["fdb-wcrb", "apa"], [0.0, 0.4, 1.0])
            one = cube.sel(gain_law=law, targets=2, scheme=["fdb-wcrb", "apa"])
            np.testing.assert_array_equal(one["crb_ms"].values, found.crb_ms)
        assert cube.crb.median().sel(gain_law="as-printed", targets=1, scheme="apa", rho=0.4)["value"].item() > 0.0


def test_commands_know_it(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(*words: object) -> dict[str, object]:
        assert crbatch(monkeypatch, *words, "--json") == 0
        out: dict[str, object] = json.loads(capsys.readouterr().out)
        return out

    assert answer("run", folder / "job.toml", "-o", folder)["nothing_left"] is True
    assert answer("verify", folder, "--all")["draws"] == 3
    assert answer("replay", folder, "--draw", 1)["identical"] is True
    rows = answer("status", folder)["preview"]["rows"]  # type: ignore[index]
    assert {row["at"]["gain_law"] for row in rows} == set(LAWS)
    assert crbatch(monkeypatch, "status", folder) == 0
    assert "gain_law=as-printed" in capsys.readouterr().out
    assert crbatch(monkeypatch, "compare", folder, folder) == 0
    assert "gain_law = as-printed" in capsys.readouterr().out


def test_its_report_says_it(folder: Path) -> None:
    page = (folder / "report" / "report.html").read_text()
    assert '{"name":"gain_law","values":["radar-equation","as-printed"]}' in page
    assert "<td>as-printed</td>" in page
    assert "radar-equation, as-printed" in page
    text = (folder / "report" / "claims.txt").read_text()
    assert "At gain_law = radar-equation, the first point of the sweep." in text
    assert "\nradar-equation " in text
    assert "\nas-printed " in text
    table = (folder / "report" / "quantiles-crb_bp.csv").read_text()
    assert "as-printed," in table


@pytest.mark.slow("estimates many times")
def test_errors_of_estimates_along_words(tmp_path: Path) -> None:
    job = tiny_job(
        sweep={"gain_law": LAWS}, draws={"count": 3}, design={"schemes": ["apa"]}, output={"keep": ["errors"]}
    )
    run_tiny(tmp_path / "run", job, report=True)
    assert "as-printed" in (tmp_path / "run" / "report" / "estimator.svg").read_text()


def test_a_chunk_is_the_same_file_whoever_writes_it(folder: Path, tmp_path: Path) -> None:
    run_tiny(tmp_path / "again", swept(), chunk=1)
    with xr.open_dataset(tmp_path / "again" / "cube.nc") as one, xr.open_dataset(folder / "cube.nc") as other:
        xr.testing.assert_identical(one, other)
    assert (tmp_path / "again" / "cube.nc").read_bytes() == (folder / "cube.nc").read_bytes()


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ({"gain_law": ["as-print"]}, "as-printed"),
        ({"gain_law": [0.5, 1.0]}, "should be a list of words"),
        ({"gain_law": []}, "should be a list of words"),
        ({"gain_law": "as-printed"}, "should be a list of words"),
        ({"gain_law": [True]}, "should be a list of words"),
        ({"gain_law": ["as-printed", "as-printed"]}, "more than once"),
        ({"tx_antennas": ["16"]}, "should be a list of numbers"),
        ({"tx_antennas": [8, "16"]}, "should be a list of numbers"),
        ({"gain_low": ["as-printed"]}, "gain_law"),
    ],
)
def test_other_values_are_refused(sweep: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JobFile.model_validate(tiny_job().resolved() | {"sweep": sweep})


@pytest.mark.slow("runs a packaged job")
def test_the_packaged_job_of_conventions_leaves_a_table_of_all_of_them(tmp_path: Path) -> None:
    document = load_job("conventions").resolved()
    document["draws"]["count"] = 6
    document["design"]["rho"] = [0.0, 0.25, 0.5, 0.75, 1.0]
    job = JobFile.model_validate(document)
    run_tiny(tmp_path / "run", job, report=True)
    lines = (
        (tmp_path / "run" / "report" / "claims.txt").read_text().split("At each point of the sweep:\n")[1].splitlines()
    )
    choices = [tuple(line.split()[:3]) for line in lines[1:]]
    assert choices == list(product(*(job.sweep[key] for key in ("gain_law", "ue_angle", "phase_centre"))))
    ours = {place: line.split()[12:] for place, line in zip(choices, lines[1:], strict=True)}
    assert ours["radar-equation", "broadside-at-minus-phi", "array-centre"][4] == "-2.6"  # UE 5.5 dB, T1 8.2 dB
    printed = ours["as-printed", "broadside-at-minus-phi", "array-centre"]
    assert float(printed[4]) > 0.0 < float(printed[5])  # the UE's beam is the strongest in BP, too
    with open_cube(tmp_path / "run") as cube:
        for gain_law, ue_angle, phase_centre in choices[::5]:
            at = {"gain_law": gain_law, "ue_angle": ue_angle, "phase_centre": phase_centre}
            scenario = Scenario(**at)
            found = design(scenario, sample(scenario, DrawModel(), 2025, 0, 2), ["cpa-wcrb"], job.design.rho)
            one = cube["crb_bp"].sel(at).sel(targets=3, scheme=["cpa-wcrb"]).isel(draw=[0, 1])
            np.testing.assert_array_equal(one.values, found.crb_bp)
