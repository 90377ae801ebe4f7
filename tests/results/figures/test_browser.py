"""The report's page in a real browser, at desktop and phone width, with and without JavaScript."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from browser import Browser, browser
from crbatch.results.accessor import open_cube
from crbatch.results.page import length
from job_cases import run_tiny, tiny_job

pytestmark = pytest.mark.system

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("browser") / "run"
    run_tiny(place, tiny_job(sweep={"targets": [1, 2]}, draws={"count": 37}), report=True)
    return place


@pytest.fixture(scope="module")
def cube(folder: Path) -> Iterator[xr.Dataset]:
    with open_cube(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_opens_without_an_error_and_fits_the_window(window: Browser, folder: Path, size: tuple[int, int]) -> None:
    window.open(folder / "report" / "report.html", *size)
    assert window.console() == []
    assert window.run("return document.documentElement.scrollWidth") <= size[0]
    answer = window.run("const b = document.querySelector('#answers li').getBoundingClientRect(); return b.bottom")
    assert 0 < answer < size[1]
    assert window.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert window.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:'))") == []
    assert len(window.screenshot()) > 20_000


def _rows(window: Browser) -> list[list[str]]:
    return window.run(
        "return [...document.querySelectorAll('#quantiles tbody tr')].filter(r => r.offsetParent !== null)"
        ".map(r => [...r.cells].map(c => c.firstChild.textContent))"
    )


def test_controls_work_and_numbers_are_the_cubes(window: Browser, folder: Path, cube: xr.Dataset) -> None:
    window.open(folder / "report" / "report.html", *DESKTOP)
    window.run(
        "const s = document.getElementById('sweep-0'); s.value = 1; s.dispatchEvent(new Event('change'));"
        "const r = document.getElementById('rho'); r.value = 2; r.dispatchEvent(new Event('input'));"
        "document.getElementById('scheme-2').click()"
    )
    assert window.run("return document.getElementById('rho-value').textContent") == "1"
    rows = _rows(window)
    assert [row[0] for row in rows] == ["FDB-WCRB", "CPA-WCRB", "APA"]
    for row, scheme in zip(rows, ("fdb-wcrb", "cpa-wcrb", "apa"), strict=True):
        assert row[1:3] == ["2", "1"]
        one = cube.sel(targets=2, scheme=scheme, rho=1.0)
        for metric, cells in (("crb_bp", row[3:6]), ("crb_ms", row[6:9])):
            values = np.sqrt(one[metric].values)
            expected = np.quantile(values, [0.05, 0.5, 0.95], method="averaged_inverted_cdf")
            assert cells == [length(float(value)) for value in expected]
    curves = "return document.querySelectorAll('#tradeoff polyline').length"
    assert window.run(curves) == 3
    window.run("document.getElementById('scheme-2').click()")
    assert window.run(curves) == 4
    assert window.console() == []


def test_a_point_tells_its_numbers(window: Browser, folder: Path, cube: xr.Dataset) -> None:
    window.open(folder / "report" / "report.html", *DESKTOP)
    # The last scheme's last point: nothing is drawn over it.
    place = window.run(
        "const svg = document.getElementById('tradeoff'); svg.scrollIntoView({block: 'center'});"
        "const all = svg.querySelectorAll('.target'); const b = all[all.length - 1].getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2]"
    )
    for step in range(20):  # the end of the scrolling hides it once more
        window.move_to(place[0] + 0.1 * (step % 2), place[1])
        text = window.run("const t = document.getElementById('tip'); return t.style.visibility + t.textContent")
        if text.startswith("visible"):
            break
        time.sleep(0.05)
    assert text.startswith("visibleAPA, rho = 1")
    median = float(np.median(np.sqrt(cube["crb_bp"].sel(targets=1, scheme="apa", rho=1.0))))
    assert f"BP {length(median)}" in text


def test_it_reads_without_scripts(window: Browser, folder: Path) -> None:
    window.open(folder / "report" / "report.html", *PHONE, scripts=False)
    shown = window._devtools("DOMSnapshot.captureSnapshot", computedStyles=[])
    drawn = shown["documents"][0]["layout"]["text"]  # of what is laid out; hidden rows are not
    words = " ".join(shown["strings"][i] for i in drawn if i >= 0)
    assert "The weights nearest to 0, 0.5 and 1 are shown" in words
    assert "95 % of draws" in words
    assert "FDB-WCRB" in words
    assert "Explore" not in words  # needs scripts
    window.open(folder / "report" / "report.html", *DESKTOP)


def test_it_prints(window: Browser, folder: Path) -> None:
    window.open(folder / "report" / "report.html", *DESKTOP)
    assert window.printed().startswith(b"%PDF")
