"""The statements in words, on the page and along a sweep; and the one on run times, from a benchmark's cube."""

import json

import numpy as np
import pytest
import xarray as xr
from crbatch.results.statements.judge import judged, judged_times
from crbatch.results.statements.text import as_text, table_of, table_text, verdict_table
from crbatch.results.statements.verdicts import FAILS, HOLDS, IN_PART, UNKNOWN, as_plain, summed_up
from cube_cases import made_cube, paper_cube
from pages import Reader, render

NUMERALS = ["i", "ii", "iii", "iv", "v", "vi", "vii a", "vii b", "viii", "ix"]


def many(cube, draws=8):
    """The same draws more often, so that medians have intervals."""
    return cube.isel(draw=np.arange(draws) % cube.sizes["draw"]).assign_coords(draw=np.arange(draws))


def test_text_has_every_statement_its_verdict_and_its_numbers():
    found = judged(many(paper_cube()))
    text = as_text(found)
    assert [one.numeral for one in found] == NUMERALS
    for one, part in zip(found, text.split("\n\n"), strict=True):
        assert part.startswith(f"({one.numeral}) {one.name}: ")
        assert one.verdict in part.splitlines()[0].lower()
        header, rows = table_of(one)
        assert header[-1] == "verdict"
        assert [row[0] for row in rows] == list(one.rows)
        for label, row in one.rows.items():
            (line,) = [line for line in part.splitlines() if line.startswith(f"  {label}  ")]
            assert line.endswith(row.verdict)
            first = next(iter(row.numbers.values()))
            assert (f"{first:.4f}" if np.isfinite(first) else str(first)) in line
    assert max(map(len, text.splitlines())) < 140


def test_json_has_no_numbers_that_json_lacks():
    document = as_plain(judged(many(made_cube())))
    text = json.dumps(document, allow_nan=False)
    again = json.loads(text)
    assert [one["numeral"] for one in again] == NUMERALS
    assert {one["verdict"] for one in again} <= {HOLDS, IN_PART, FAILS, UNKNOWN}
    row = next(one for one in again if one["numeral"] == "iv")["rows"]["FDB-WCRB, BP, K = 2"]
    assert row == {"median": 1.0, "lower": 1.0, "upper": 1.0, "used": 8, "left out": 0, "verdict": FAILS}


def test_the_page_has_every_statement_with_its_table():
    cube = many(paper_cube())
    found = judged(cube)
    reader = Reader(render(cube, statements=found))
    words = " ".join(reader.words)
    for one in found:
        assert f"({one.numeral}) {one.name}" in words
    identifiers = [attrs["id"] for _, attrs in reader.tags if str(attrs.get("id", "")).startswith("statement-")]
    assert identifiers == [f"statement-{i}" for i in range(1, 11)]
    assert sum(tag == "th" and attrs.get("scope") == "row" for tag, attrs in reader.tags) == sum(
        len(one.rows) for one in found
    )
    assert {str(attrs.get("class")) for tag, attrs in reader.tags if tag == "b"} >= {"holds", "cannot-tell"}


def test_verdicts_along_a_sweep_are_those_of_its_points():
    cube = paper_cube(8, tuple(np.linspace(0.0, 1.0, 11).tolist()))
    other = cube.copy(deep=True)
    other["crb_ms"].loc[{"scheme": ["cpa-wcrb", "cpa-wbf", "cpa-wvm"]}] /= 4.0
    swept = xr.concat([cube, other], xr.DataArray([-20.0, -10.0], dims="power_dbm", name="power_dbm"))
    header, rows = verdict_table(swept)
    assert header[0] == "power_dbm"
    assert [row[0] for row in rows] == ["-20", "-10"]
    marks = {HOLDS: "yes", IN_PART: "part", FAILS: "no", UNKNOWN: "-"}
    for row, point in zip(rows, (cube, other), strict=True):
        verdicts = [marks[one.verdict] for one in judged(point)][:-1]
        assert row[1:10] == verdicts
        at = dict(zip(header, row, strict=True))
        apa = point.isel(targets=1).sel(scheme="apa", rho=0.0)
        assert float(at["BP APA (cm)"]) == pytest.approx(100.0 * np.sqrt(np.median(apa["crb_bp"])), rel=1e-3)
        best = point.isel(targets=1).sel(scheme="fdb-wcrb", rho=0.0)
        assert float(at["MS FDB (cm)"]) == pytest.approx(100.0 * np.sqrt(np.median(best["crb_ms"])), rel=1e-3)
        gain = point.isel(targets=1).sel(scheme="cpa-wcrb", rho=1.0)["beam_gain"].values
        over = np.median(10.0 * np.log10(gain[:, 0] / gain[:, 1:].max(axis=1)))
        assert at["UE over T, CPA (dB)"] == f"{over:+.1f}"
    assert [row[header.index("(v)")] for row in rows] == ["yes", "no"]
    text = table_text((header, rows))
    assert all(cell in text for row in (header, *rows) for cell in row)
    assert judged(swept)[0].note.endswith("At power_dbm = -20, the first point of the sweep.")
    reader = Reader(render(swept, statements=judged(swept), verdicts=(header, rows)))
    assert "At each point of the sweep" in reader.words


def test_no_table_where_nothing_else_is_swept_or_too_much_is():
    assert verdict_table(paper_cube()) is None
    assert verdict_table(made_cube({"apa": 1.0}, sweep={"tx_antennas": list(range(1, 66))})) is None


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([HOLDS, HOLDS, UNKNOWN], HOLDS),
        ([FAILS, UNKNOWN], FAILS),
        ([HOLDS, FAILS], IN_PART),
        ([IN_PART, IN_PART], IN_PART),
        ([UNKNOWN], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_rows_are_summed_up(verdicts, expected):
    from crbatch.results.statements.verdicts import Row

    rows = {str(i): Row({}, verdict) for i, verdict in enumerate(verdicts)}
    one = summed_up("i", "a", "b", "c", rows, "note", "needs something")
    assert one.verdict == expected
    assert ("needs something" in one.note) == (expected == UNKNOWN)


def bench(**seconds):
    """A cube of run times at two sizes, three repeats."""
    names = list(seconds)
    values = np.array([np.broadcast_to(np.asarray(seconds[name], float), (2, 3)) for name in names])
    dims = ("algorithm", "tx_antennas", "repeat")
    return xr.Dataset({"seconds": (dims, values)}, {"algorithm": names, "tx_antennas": [8, 16]})


def test_run_times_are_judged_by_all_repeats():
    times = {
        "sdp-full": [1.0, 1.1, 1.2],
        "sdp-wvm": [0.4, 0.5, 1.05],
        "closed": 1e-5,
        "sdp-wbf": [[9, 8, 7], [np.nan] * 3],
    }
    found = judged_times(bench(**{name.replace("_", "-"): value for name, value in times.items()}))
    assert found.verdict == IN_PART
    assert {label: row.verdict for label, row in found.rows.items()} == {
        "(18) lifted, 8 antennas": FAILS,
        "(19), 8 antennas": IN_PART,
        "(19), 16 antennas": IN_PART,
        "closed forms of (18), (19), 8 antennas": HOLDS,
        "closed forms of (18), (19), 16 antennas": HOLDS,
    }
    assert dict(found.rows["(19), 8 antennas"].numbers) == pytest.approx(
        {"median": 1.1 / 0.5, "lower": 1.0 / 1.05, "upper": 1.2 / 0.4}
    )
    assert judged_times(bench(**{"sdp-full": np.nan, "sdp-wvm": 1.0, "closed": 1.0, "sdp-wbf": 1.0})).verdict == UNKNOWN
