"""The accessor answers as the functions behind it do; tables survive CSV."""

import csv
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch.results import fronts, statistics
from crbatch.results.accessor import open_cube, write_csv
from crbatch.results.errors import ResultsError
from cube_cases import cube_of
from job_cases import run_tiny, tiny_job


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("accessor") / "run"
    run_tiny(place, tiny_job(sweep={"tx_antennas": [8, 16]}))
    return place


def test_one_line_for_each_question(folder: Path) -> None:
    with open_cube(folder) as cube:
        xr.testing.assert_identical(cube.crb.quantile([0.5, 0.9]), statistics.quantile(cube, "crb_bp", [0.5, 0.9]))
        xr.testing.assert_identical(cube.crb.outage(0.1, "crb_ms"), statistics.outage(cube, "crb_ms", 0.1))
        xr.testing.assert_identical(cube.crb.front("apa"), fronts.front(cube, "apa"))
        xr.testing.assert_identical(cube.crb.paired("apa"), statistics.paired(cube, "crb_bp", "apa"))
        median = cube.crb.median()["value"]
        assert median.dims == ("tx_antennas", "scheme", "rho")
        expected = np.sqrt(cube["crb_bp"]).median("draw")
        np.testing.assert_allclose(median.sel(rho=0.4), expected.sel(rho=0.4), rtol=1e-12)
        assert cube.crb.mean()["trust"].dtype == np.int8
        assert cube.crb.cdf([0.1])["value"].sizes["point"] == 1
        assert 0.0 <= cube.crb.power_loss().min() < 1e-5
        assert cube.crb.hypervolumes().dims == ("tx_antennas", "draw", "scheme")


def test_it_says_what_it_is(folder: Path) -> None:
    with open_cube(folder / "cube.nc") as cube:
        text, page = repr(cube.crb), cube.crb._repr_html_()
    for word in ("tiny", "tx_antennas", "8, 16", "fdb-wcrb", "certified"):
        assert word in text
        assert word in page


def test_other_datasets_are_refused() -> None:
    with pytest.raises(ResultsError, match="no cube"):
        _ = xr.Dataset().crb


def test_statistics_read_a_cube_without_loading_it(folder: Path) -> None:
    with open_cube(folder) as cube, open_cube(folder) as chunked:
        lazy = chunked.chunk({"draw": 2})
        xr.testing.assert_equal(lazy.crb.median(), cube.crb.median())
        assert lazy["crb_bp"].chunks is not None


def test_tables_survive_csv(tmp_path: Path) -> None:
    table = statistics.quantile(cube_of([1.0, 2.0, 1.0 / 3.0]), "crb_bp", [0.25, 0.5])
    write_csv(table, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["value [m]"]) for row in rows] == table["value"].values.ravel().tolist()
    assert rows[0]["scheme"] == "fdb-wcrb"
    assert rows[0]["used"] == "3"
    with pytest.raises(ResultsError, match="statistic"):
        write_csv(cube_of([1.0]), tmp_path / "u.csv")
