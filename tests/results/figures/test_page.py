"""The report's page: its numbers are the cube's, names are data, nothing is fetched, nothing is hidden."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from crbatch.results import page
from crbatch.results.accessor import open_cube
from cube_cases import cube_of
from job_cases import crbatch, run_tiny, tiny_job
from pages import Reader, render

RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page") / "run"
    run_tiny(place, tiny_job(sweep={"targets": [1, 2]}, draws={"count": 37}), report=True)
    return place


def test_a_run_leaves_a_page_that_needs_no_network(folder: Path) -> None:
    text = (folder / "report" / "report.html").read_text()
    reader = Reader(text)
    links = [value for _, attrs in reader.tags for name, value in attrs.items() if name in ("src", "href")]
    assert links
    places = {f"#{attrs['id']}" for _, attrs in reader.tags if "id" in attrs}
    assert all(value is not None and (value.startswith("data:") or value in places) for value in links)
    assert "@import" not in text
    pictures = [attrs for tag, attrs in reader.tags if tag == "img"]
    assert len(pictures) == 6
    assert all(attrs.get("alt") for attrs in pictures)
    assert len(text) < 6e6


def test_its_table_has_the_cubes_numbers(folder: Path) -> None:
    with open_cube(folder) as cube:
        data = json.loads(re.search(r'id="data">(.*?)</script>', (folder / "report" / "report.html").read_text())[1])
        for metric in ("crb_bp", "crb_ms"):
            roots = np.sqrt(cube[metric].values)[..., 1:]  # (targets, draw, scheme, rho); finite above rho = 0
            expected = np.quantile(roots, data["levels"], axis=1, method="averaged_inverted_cdf")
            found = np.array(data["quantiles"][metric], dtype=float)[:, :, 1:]
            np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, rtol=2e-6)
        rows = list(page._rows(cube, {m: page.quantile(cube, m, page._LEVELS) for m in page.METRICS}))
        assert len(rows) == 2 * 4 * 3
        row = next(row for row in rows if (row["point"], row["scheme"], row["rho"]) == ("1", "APA", "0.4"))
        values = np.sqrt(cube["crb_bp"].sel(targets=2, scheme="apa", rho=0.4).values)
        assert row["cells"][1][2] == pytest.approx(np.median(values))
        assert row["cells"][1][0] == page.length(float(np.median(values)))


def test_names_are_data() -> None:
    cube = cube_of(RNG.random(200) + 1.0, scheme=("<script>alert(1)</script>",))
    cube.attrs["job"] = json.dumps({"name": "</title><img src=x onerror=alert(2)>"})
    text = render(cube, what=[("<b>x</b>", "a & b")], tables={"<i>": [("</dl>", "<svg onload=1>")]})
    reader = Reader(text)
    assert "img" not in [tag for tag, _ in reader.tags]
    assert "<script>alert" not in text.lower()
    assert "<svg onload" not in text
    assert "a &amp; b" in text


def test_infinite_missing_and_lost_draws_are_told() -> None:
    status = np.where(np.arange(60) < 10, 2, np.where(np.arange(60) < 15, 1, 0))[:, None, None]
    values = np.where(np.arange(60) < 10, np.inf, 1.0 + RNG.random(60))
    text = render(cube_of(values, status=status))
    assert "55 draws, 10 of them infinite, 5 left out" in text
    assert "5 designs have no certificate" in text
    assert "infinite" in text
    assert "60 draws are few" in text


def test_heavy_tails_are_told() -> None:
    cube = cube_of(RNG.pareto(0.7, 5000) + 1.0)
    assert any("Do not quote the mean" in words and "may not exist" in words for words in _warnings(cube))
    assert not any("mean" in words for words in _warnings(cube_of(RNG.random(5000) + 1.0)))


def test_hardly_any_spread_is_told() -> None:
    assert any("hardly move" in words for words in _warnings(cube_of(1.0 + 1e-3 * RNG.random(500))))


def _warnings(cube):  # type: ignore[no-untyped-def]
    return page.warnings(cube, {m: page.quantile(cube, m, page._LEVELS) for m in page.METRICS})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0951234, "9.512 cm"), (0.00123, "1.23 mm"), (12.0, "12 m"), (4e3, "4 km"), (np.inf, "infinite")],
)
def test_lengths_are_read_with_ease(value: float, text: str) -> None:
    assert page.length(value) == text


def test_a_page_holds_no_more_than_it_can() -> None:
    cube = cube_of(RNG.random((3, 1, 200)) + 1.0, rho=tuple(np.linspace(0, 1, 200)))
    kept = page._that_fits(cube.expand_dims(power_dbm=np.arange(500.0)))
    assert kept.sizes["power_dbm"] * kept.sizes["rho"] <= page._MOST_CELLS
    assert kept["power_dbm"].values[[0, -1]].tolist() == [0.0, 499.0]
    words = page._left_out(cube.expand_dims(power_dbm=np.arange(500.0)), kept)
    assert words[0].startswith(f"Of 500 values of power_dbm this page holds {kept.sizes['power_dbm']};")


def test_the_command_names_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert crbatch(monkeypatch, "report", folder) == 0
    assert "report.html" in capsys.readouterr().out
    assert (folder / "report" / "quantiles-crb_bp.csv").is_file()
