"""The paper's statements: every number and verdict against a plain twin, on cubes of the engine and made-up ones."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
import statements_twin
import xarray as xr
from crbatch.results.points import at_first_point, nearest_weights
from crbatch.results.schema import make_dataset
from crbatch.results.schemes import label_of
from crbatch.results.statements.judge import judged, judged_at_points
from crbatch.results.statements.verdicts import Row, Statement, as_plain
from cube_cases import RHO, made_cube, paper_cube
from hypothesis import given, settings
from hypothesis import strategies as st

NUMERALS = ["i", "ii", "iii", "iv", "v", "vi", "vii a", "vii b", "viii", "ix"]
HOLDS, PARTLY, FAILS, UNKNOWN = "holds", "holds in part", "does not hold", "cannot tell"
NUMBERS = {"bp": "BP bound", "ms": "MS bound", "gain": "beams"}
# Root bounds over those of fdb-wcrb.
FACTORS = {
    "fdb-wcrb": 1.0, "fdb-wvm": 1.005, "fdb-wbf": 1.15, "fdb-wbf-aligned": 1.1,
    "cpa-wcrb": 1.3, "cpa-wvm": 1.305, "cpa-wbf": 1.5, "apa": 2.0,
}  # fmt: skip
FDB = {name: factor for name, factor in FACTORS.items() if name.startswith("fdb")}
WBF = [name for name in FACTORS if "wbf" in name]


def front(rho, end=10.0):
    """A quarter circle from 1 to `end`: crb_bp and crb_ms of least rho crb_bp + (1 - rho) crb_ms."""
    size = np.hypot(rho, 1.0 - rho)
    return end - (end - 1.0) * rho / size, end - (end - 1.0) * (1.0 - rho) / size


def made(factors=FACTORS, *, counts=(2, 3), draws=8, weights=11, growth=1.1, scatter=0.003, antennas=None):
    """A cube in which every statement holds: scaled fronts, the ones of WBF further out with each number of targets."""
    rng = np.random.default_rng(draws)
    schemes, rho = list(factors), np.linspace(0.0, 1.0, weights)
    k = np.arange(len(counts or [0]))[:, None, None]
    root = np.array(list(factors.values())) * np.where(["wbf" in name for name in schemes], growth**k, 1.0)
    root = root * np.exp(scatter * rng.standard_normal((k.size, draws, len(schemes))))
    root = root * np.exp(0.3 * rng.standard_normal((k.size, draws, 1)))
    bp, ms = (root[..., None] ** 2 * bound for bound in front(rho))
    sizes = (*bp.shape[:3], 1, 1 + max(counts or [3]))
    gain = np.repeat(2.0 * np.exp(0.02 * rng.standard_normal(sizes)), weights, axis=3)
    gain[..., 0] *= 3.0
    for i, count in enumerate(counts or []):
        gain[i, ..., count + 1 :] = np.nan
    arrays = {"crb_bp": bp, "crb_ms": ms, "beam_gain": gain, "status": np.zeros(bp.shape)}
    if "apa" in schemes:
        for values in (bp, ms, gain):
            values[:, :, schemes.index("apa")] = values[:, :, schemes.index("apa"), :1]
    sweep = {"targets": list(counts)} if counts else {}
    if counts is None:
        arrays = {name: values[0] for name, values in arrays.items()}
    if antennas is not None:
        sweep = {"tx_antennas": antennas} | sweep
        arrays = {name: np.stack([values] * len(antennas)) for name, values in arrays.items()}
    return make_dataset(arrays, scheme=schemes, rho=rho, draw=np.arange(draws), sweep=sweep, attrs={"job": "{}"})


def scaled(cube, name, factor, **where):
    """The cube with some values of a variable multiplied."""
    cube[name].loc[where] = cube[name].loc[where] * factor
    return cube


def put(cube, name, value, **where):
    """The cube with some values of a variable replaced."""
    cube[name].loc[where] = value
    return cube


def bent(cube, scheme, ms_factor):
    """The cube with the MS bounds of a scheme multiplied along the weights."""
    return scaled(cube, "crb_ms", xr.DataArray(ms_factor, dims="rho", coords={"rho": cube["rho"]}), scheme=scheme)


def crossing():
    """WBF above WVM and WCRB at one end, and below at the other."""
    cube = made(growth=1.0)
    for scheme in WBF:
        cube = bent(cube, scheme, np.geomspace(1.5, 0.4, 11))
    return cube


def twice():
    """A curve that comes back over its own levels."""
    cube = made()
    for name in ("crb_bp", "crb_ms"):
        values = cube[name].sel(scheme="fdb-wbf").values
        cube[name].loc[{"scheme": "fdb-wbf"}] = values[..., [0, 1, 2, 6, 7, 3, 4, 5, 8, 9, 10]]
        cube[name].loc[{"scheme": "cpa-wvm"}] *= 1.0 + 0.3 * (-1.0) ** np.arange(11)
    return bent(cube, "fdb-wbf", 1.0 + 0.2 * np.sin(np.arange(11)))


def infinite():
    """A bound is infinite where its weight is zero, and in some draws elsewhere too."""
    cube = put(made(), "crb_bp", np.inf, scheme=list(FDB), rho=0.0)
    cube = put(cube, "crb_ms", np.inf, scheme="cpa-wbf", rho=1.0)
    cube = put(cube, "crb_bp", np.inf, scheme="cpa-wcrb", rho=[0.0, 1.0])
    return put(cube, "crb_bp", np.inf, scheme="fdb-wbf", rho=0.5, draw=3, targets=3)


def uncertified():
    """Designs of every status here and there, with bounds that would break everything."""
    cube = made(draws=14)
    bad = np.random.default_rng(1).random(cube["status"].shape) < 0.03
    bad[:, 3, 0] = bad[:, 4, 1] = True
    kinds = np.arange(bad.size).reshape(bad.shape) % 4
    cube["status"].values[:] = np.where(bad, np.array([1, 2, 3, -1])[kinds], np.where(kinds == 0, 4, 0))
    for name in ("crb_bp", "crb_ms", "beam_gain"):
        cube[name].values[bad] = 1e-9
    return cube


def nominal():
    """Beams made with knowledge of the mean alone, far better than the others."""
    names = {"fdb-wcrb@nominal": 0.5, "fdb-wbf@nominal": 0.4, "cpa-wvm@nominal": 0.3, "apa@nominal": 0.2, "custom": 0.1}
    return made(FACTORS | names | {"fdb-wbf:svd": 1.2, "fdb-wbf:svd@nominal": 0.1})


def straight(ratio):
    """Two lines in the logarithms, which an interpolation leaves as they are: WBF at a ratio of root bounds to WVM."""
    cube = made({"fdb-wvm": 1.0, "fdb-wbf": 1.0})
    cube["crb_bp"][:], cube["crb_ms"][:] = 10.0 ** (1.0 - cube["rho"]), 10.0 ** cube["rho"]
    return scaled(cube, "crb_ms", ratio**2, scheme="fdb-wbf")


def many_draws():
    """More draws than are judged, the last ones being far off."""
    return scaled(made({"fdb-wvm": 1.0, "fdb-wbf": 1.1}, draws=1011, weights=5), "crb_ms", 0.01, draw=slice(1000, None))


# What a cube is, how it is made, and the verdicts that it is made for.
CASES = {
    "all hold": (made, dict.fromkeys(NUMERALS[:-1], HOLDS) | {"ix": UNKNOWN}),
    "strong beams of one family": (lambda: put(made(), "beam_gain", 0.5, scheme="cpa-wcrb", path=0), {"i": PARTLY}),
    "weak beams": (lambda: put(made(), "beam_gain", 0.5, rho=1.0, path=0), {"i": FAILS, "ii": HOLDS}),
    "strongest beam of one family": (
        lambda: scaled(made(), "beam_gain", 3.5, scheme="fdb-wcrb", path=2),
        {"ii": PARTLY},
    ),
    "a target's is stronger": (lambda: scaled(made(), "beam_gain", 3.5, rho=0.0, path=2), {"i": HOLDS, "ii": FAILS}),
    "WVM has the extremes": (lambda: made(FACTORS).sel(scheme=["fdb-wvm", "apa"]), {"i": HOLDS, "v": UNKNOWN}),
    "no beams kept": (lambda: made().drop_vars("beam_gain"), {"i": UNKNOWN, "ii": UNKNOWN, "iii": HOLDS}),
    "no targets": (lambda: made(counts=(0,)), {"i": HOLDS, "ii": UNKNOWN}),
    "no targets, and some": (lambda: made(counts=(0, 1, 3)), {"ii": HOLDS, "viii": HOLDS}),
    "no sweep": (lambda: made(counts=None), {"ii": HOLDS, "vii a": HOLDS, "viii": UNKNOWN}),
    "no sweep, no targets": (lambda: made(counts=(0,)).isel(targets=0, drop=True), {"i": HOLDS, "ii": UNKNOWN}),
    "APA moves once": (lambda: scaled(made(), "crb_ms", 1 + 1e-11, scheme="apa", rho=0.5, draw=3), {"iii": PARTLY}),
    "APA rounds": (lambda: scaled(made(), "crb_ms", 1 + 1e-13, scheme="apa", rho=0.5, draw=3), {"iii": HOLDS}),
    "APA moves": (
        lambda: scaled(scaled(scaled(made(), "crb_bp", 2, rho=0.5), "crb_ms", 2, rho=0.5), "beam_gain", 2, rho=0.5),
        {"iii": FAILS},
    ),
    "no APA": (lambda: made(FDB), {"iii": UNKNOWN, "iv": HOLDS, "v": UNKNOWN, "vi": HOLDS}),
    "APA uncertified": (lambda: put(made(), "status", 1, scheme="apa"), {"iii": UNKNOWN}),
    "one does not trade off": (lambda: put(made(), "crb_bp", 4.0, scheme="cpa-wvm"), {"iv": PARTLY}),
    "none trades off": (made_cube, {"iii": HOLDS, "iv": UNKNOWN, "v": UNKNOWN}),
    "none trades off, more draws": (lambda: put(put(made(), "crb_bp", 4.0), "crb_ms", 4.0), {"iv": FAILS}),
    "CPA as good": (lambda: made(dict.fromkeys(FACTORS, 1.0), growth=1.0, scatter=0.0), {"v": FAILS, "vii a": FAILS}),
    "CPA as good with WVM": (lambda: made(FACTORS | {"cpa-wvm": 1.005}, scatter=0.0), {"v": PARTLY}),
    "CPA crosses": (lambda: bent(made(FACTORS), "cpa-wvm", np.geomspace(2.0, 0.3, 11)), {"v": PARTLY}),
    "another is best": (lambda: made(FACTORS | {"fdb-wbf": 0.8}), {"vi": PARTLY}),
    "all are better": (lambda: made(FACTORS | {"fdb-wcrb": 1.4, "cpa-wcrb": 1.9}), {"vi": FAILS}),
    "crossing curves": (crossing, {"vi": PARTLY, "vii a": PARTLY, "vii b": HOLDS}),
    "WBF as good": (lambda: made(FACTORS | dict.fromkeys(WBF, 0.9), growth=1.0), {"vii a": FAILS}),
    "WVM far off in one family": (lambda: made(FACTORS | {"cpa-wvm": 1.45}), {"vii b": PARTLY}),
    "WVM far off": (lambda: made(FACTORS | {"cpa-wvm": 1.45, "fdb-wvm": 1.1}), {"vii b": FAILS}),
    "as far as certificates tell": (lambda: straight(1 + 9e-7), {"vii a": FAILS}),
    "further than certificates tell": (lambda: straight(1 + 1.1e-6), {"vii a": HOLDS}),
    "the gap stays": (lambda: made(growth=1.0, scatter=0.0), {"viii": FAILS}),
    "the gap shrinks": (lambda: made(growth=0.97), {"viii": FAILS}),
    "the gap grows of one": (
        lambda: scaled(made(growth=0.97), "crb_ms", 2.0, scheme="fdb-wbf", targets=3),
        {"viii": PARTLY},
    ),
    "targets in another order": (lambda: made(counts=(3, 1, 2)), {"viii": PARTLY}),
    "levels taken twice": (twice, {}),
    "infinite bounds": (infinite, {"iv": HOLDS}),
    "uncertified designs": (uncertified, {"vii a": HOLDS}),
    "few draws": (lambda: made(draws=5), dict.fromkeys(NUMERALS, UNKNOWN) | {"iii": HOLDS}),
    "just enough draws": (lambda: made(draws=6), dict.fromkeys(NUMERALS[:-1], HOLDS)),
    "few weights": (lambda: made(weights=4), dict.fromkeys(NUMERALS[4:], UNKNOWN) | {"iv": HOLDS}),
    "just enough weights": (lambda: made(weights=5), dict.fromkeys(NUMERALS[4:-1], HOLDS) | {"iv": HOLDS}),
    "no extremes": (
        lambda: made().isel(rho=slice(1, -1)),
        {"i": UNKNOWN, "ii": UNKNOWN, "iv": UNKNOWN, "vii a": HOLDS},
    ),
    "weights in another order": (
        lambda: made().isel(rho=[3, 0, 10, 7, 1, 9, 2, 8, 4, 6, 5]),
        dict.fromkeys(NUMERALS[:-1], HOLDS),
    ),
    "imperfect knowledge": (nominal, {"vi": HOLDS, "vii a": HOLDS}),
    "nothing finite": (lambda: put(made(), "status", 3), dict.fromkeys(NUMERALS, UNKNOWN)),
    "another key swept": (
        lambda: put(made(antennas=[8, 16]), "crb_ms", 0.01, tx_antennas=16),
        dict.fromkeys(NUMERALS[:-1], HOLDS),
    ),
    "more draws than are judged": (many_draws, {"vii a": HOLDS}),
}


def label(numeral, key):
    """What `results` calls a row of the twin."""
    *what, last = key
    suffix = "" if last is None else f", K = {last}"
    if numeral in ("i", "ii"):
        return f"{label_of(what[0])}{suffix}"
    if numeral == "iii":
        return f"{NUMBERS[what[0]]}{suffix}"
    if numeral == "iv":
        return f"{label_of(what[0])}, {what[1].upper()}{suffix}"
    scheme = what[0].upper()
    name = {"v": scheme[4:], "vii b": scheme}.get(numeral, label_of(what[0]))
    return f"{name}, equal {what[2].upper()}{suffix}"


def agreed(cube, path):
    """Verdicts of a cube, after every number was found to be the twin's."""
    cube.to_netcdf(path)
    found, expected = judged(cube), statements_twin.statements(path)
    assert [one.numeral for one in found] == NUMERALS
    assert list(expected) == NUMERALS
    for one, (numeral, (verdict, rows)) in zip(found, expected.items(), strict=True):
        theirs = {re.sub(r" \(T\d\)$", "", name): row for name, row in one.rows.items()}
        ours = {label(numeral, key): row for key, row in rows.items()}
        assert len(ours) == len(rows)
        assert theirs.keys() == ours.keys()
        for name, (row_verdict, numbers) in ours.items():
            where = f"({numeral}) {name}"
            assert theirs[name].numbers == pytest.approx(numbers, rel=1e-9, abs=1e-9, nan_ok=True), where
            assert theirs[name].verdict == row_verdict, where
        assert one.verdict == verdict, numeral
    return dict(zip(NUMERALS, (one.verdict for one in found), strict=True))


def test_a_cube_of_the_engine(tmp_path):
    found = agreed(paper_cube(8, tuple(np.linspace(0.0, 1.0, 11))), tmp_path / "cube.nc")
    assert UNKNOWN not in list(found.values())[:-1]
    # What must hold for the engine to be right, whatever the paper says.
    assert found["iii"] == found["vi"] == HOLDS


def test_a_file_is_judged_as_the_cube_in_memory(tmp_path):
    cube = paper_cube(8, tuple(np.linspace(0.0, 1.0, 11)))
    cube.to_netcdf(tmp_path / "cube.nc")
    with xr.open_dataset(tmp_path / "cube.nc") as opened:
        assert as_plain(judged(opened)) == as_plain(judged(cube))


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow("many cubes")) if i > 5 else c for i, c in enumerate(CASES)]
)
def test_made_up_cubes(case, tmp_path):
    make, expected = CASES[case]
    found = agreed(make(), tmp_path / "cube.nc")
    assert {numeral: found[numeral] for numeral in expected} == expected


def test_every_verdict_of_every_statement_is_looked_at():
    seen = {(numeral, verdict) for _, expected in CASES.values() for numeral, verdict in expected.items()}
    assert seen == {(n, v) for n in NUMERALS[:-1] for v in (HOLDS, PARTLY, FAILS, UNKNOWN)} | {("ix", UNKNOWN)}


def test_draws_that_are_not_compared_do_not_blur(tmp_path):
    cube = made({"fdb-wcrb": 1.0, "fdb-wbf": 0.99}, draws=13, weights=5, counts=None, scatter=0.0)
    factor = np.array([1.0, 0.99**2])[:, None]
    for name, short, long in zip(("crb_bp", "crb_ms"), front(cube["rho"], 1.2), front(cube["rho"], 3.0), strict=True):
        cube[name][:6], cube[name][6:] = factor * short.values, factor * long.values
    cube = put(cube, "status", 1, scheme="fdb-wbf", draw=slice(6, None))
    assert agreed(cube, tmp_path / "cube.nc")["vi"] == FAILS


def test_a_bound_that_is_infinite_at_one_weight_only_is_not_flat(tmp_path):
    cube = put(made(), "crb_bp", np.inf, scheme="apa", rho=0.0, draw=3)
    assert agreed(cube, tmp_path / "cube.nc")["iii"] == PARTLY


@pytest.mark.slow("many curves")
@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    draws=st.integers(1, 13),
    weights=st.integers(2, 9),
    missing=st.sampled_from([0.0, 0.0, 0.1]),
    infinite=st.sampled_from([0.0, 0.0, 0.1]),
    spread=st.sampled_from([0.01, 0.3]),
)
def test_random_monotone_curves(seed, draws, weights, missing, infinite, spread):
    rng = np.random.default_rng(seed)
    schemes = ["fdb-wcrb", "fdb-wvm", "fdb-wbf", "cpa-wvm", "cpa-wcrb"]
    shape = (2, draws, len(schemes), weights)
    steps = rng.exponential(size=(2, *shape)) * (rng.random((2, *shape)) < 0.9)
    shift = spread * rng.standard_normal((2, *shape[:-1], 1))
    bp, ms = np.exp(shift + 2.0 * np.cumsum(steps, axis=-1) / weights)
    bp = bp[..., ::-1].copy()
    bp[rng.random(shape) < infinite] = np.inf
    ms[rng.random(shape) < infinite] = np.inf
    status = np.where(rng.random(shape) < missing, 1, 0)
    rho = np.concatenate(([0.0], np.sort(rng.random(weights - 2)), [1.0]))
    cube = make_dataset(
        {"crb_bp": bp, "crb_ms": ms, "status": status},
        scheme=schemes,
        rho=rho,
        draw=np.arange(draws),
        sweep={"targets": [2, 3]},
        attrs={},
    )
    with tempfile.TemporaryDirectory() as folder:
        agreed(cube, Path(folder) / "cube.nc")


# Around the numbers.


def test_statements_come_always_and_in_order():
    names = [(one.numeral, one.name) for one in judged(made())]
    assert len(set(names)) == len(names) == len(NUMERALS)
    for cube in (made_cube(), made_cube({"apa": 1.0}, sweep={}), made({"custom": 1.0}, weights=1)):
        assert [(one.numeral, one.name) for one in judged(cube)] == names


def test_the_strongest_target_is_named():
    cube = scaled(made(), "beam_gain", 1.5, path=1)
    cube = scaled(cube, "beam_gain", 2.0, path=3, targets=3, draw=slice(5), scheme="cpa-wcrb")
    for one in judged(cube)[:2]:
        names = ["FDB-WCRB, K = 2 (T1)", "CPA-WCRB, K = 2 (T1)", "FDB-WCRB, K = 3 (T1)", "CPA-WCRB, K = 3 (T3)"]
        assert list(one.rows) == names


def test_what_is_missing_is_said():
    for one in judged(made_cube({"custom": 1.0}, sweep={})):
        assert (one.verdict, one.rows) == (UNKNOWN, {})
        assert one.note.startswith("Not applicable: ")
    for one in judged(made(draws=5)):
        if one.verdict == UNKNOWN and one.rows:
            assert one.note.startswith("Too few finite, certified values; ")


def test_of_other_swept_keys_the_first_value_is_taken_and_said():
    cube = put(made(antennas=[8, 16]), "crb_ms", 0.01, tx_antennas=16)
    assert at_first_point(cube)[1] == "tx_antennas = 8"
    for one in judged(cube):
        assert one.note.endswith("At tx_antennas = 8, the first point of the sweep.")
    assert at_first_point(made())[1] == ""


def test_every_point_of_a_sweep_has_verdicts():
    cube = scaled(made(antennas=[8, 16]), "crb_bp", 0.01, tx_antennas=16, scheme="cpa-wbf")
    found = {key: (as_plain(statements), point) for key, statements, point in judged_at_points(cube)}
    assert list(found) == [(8,), (16,)]
    for (value,), (statements, point) in found.items():
        assert statements == as_plain(judged(cube.sel(tx_antennas=value, drop=True)))
        np.testing.assert_array_equal(point["crb_bp"], cube["crb_bp"].sel(tx_antennas=value))
    assert found[8,][0] != found[16,][0]
    assert [(key, as_plain(one)) for key, one, _ in judged_at_points(made())] == [((), as_plain(judged(made())))]


def test_the_cube_is_left_as_it_was():
    cube = uncertified()
    before = cube.copy(deep=True)
    judged(cube)
    xr.testing.assert_identical(cube, before)


def test_json_is_strict():
    rows = {"row": Row({"median": np.nan, "lower": -np.inf, "upper": 2.0, "used": 3}, FAILS)}
    (one,) = as_plain([Statement("i", "A", "b.", "c", rows, FAILS)])
    assert json.loads(json.dumps(one, allow_nan=False)) == {
        "numeral": "i",
        "name": "A",
        "statement": "b.",
        "quantity": "c",
        "rows": {"row": {"median": None, "lower": None, "upper": 2.0, "used": 3, "verdict": FAILS}},
        "verdict": FAILS,
        "note": "",
    }
    json.dumps(as_plain(judged(infinite())), allow_nan=False)


def test_the_note_on_factors_names_who_wins():
    note = next(one.note for one in judged(made(FACTORS | {"fdb-wbf": 0.9})) if one.numeral == "vii a")
    assert "better than FDB-WBF (aligned) in every row, than FDB-WBF not in every one" in note


def test_nearest_weights():
    assert nearest_weights(RHO) == [0, 2, 4]
    assert nearest_weights([0.9, 0.1, 0.45]) == [1, 2, 0]
    assert nearest_weights([0.3]) == [0]
