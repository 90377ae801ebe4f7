"""The measured claims against numbers put in by hand, and once against the engine's."""

import json
from functools import cache

import numpy as np
import pytest

from engine import SCHEMES, DrawModel, Scenario, design, sample
from results.claims import (
    Claim,
    at_first_point,
    claims_json,
    claims_text,
    label_of,
    nearest_weights,
    section_claims,
)
from results.schema import make_dataset

RHO = [0.0, 0.25, 0.5, 0.75, 1.0]
DRAWS = 4
NAMES = [
    "WCRB is best",
    "WVM against FDB-WBF",
    "WVM against FDB-WBF (aligned)",
    "WVM against CPA-WBF",
    "BP bound grows with K",
    "MS bound grows with K",
    "APA is flat",
    "FDB beats CPA",
]
# Objectives of a cube in which every claim holds.
HOLDING = {
    "fdb-wcrb": 1.0,
    "fdb-wbf": 1.2,
    "fdb-wvm": 1.1,
    "fdb-wbf-aligned": 1.15,
    "cpa-wcrb": 2.0,
    "cpa-wbf": 2.4,
    "cpa-wvm": 2.2,
    "apa": 3.0,
}


@cache
def paper_cube():
    """Four draws of the paper's scenario by every scheme, with two and three targets."""
    parts = []
    for targets in (2, 3):
        scenario = Scenario().with_targets(targets)
        parts.append(design(scenario, sample(scenario, DrawModel(), 2025, 0, DRAWS), SCHEMES, RHO))
    names = {"crb_bp": "f8", "crb_ms": "f8", "objective": "f8", "gap": "f8", "status": "i1"}
    arrays = {name: np.stack([getattr(part, name) for part in parts]).astype(kind) for name, kind in names.items()}
    return make_dataset(
        arrays, scheme=SCHEMES, rho=RHO, draw=np.arange(DRAWS), sweep={"targets": [2, 3]}, attrs={"job": "{}"}
    )


def made_cube(objectives=HOLDING, growth=1.5, sweep=None):
    """A cube of constant objectives, both bounds equal to them; per target more, they grow by a factor."""
    sweep = {"targets": [2, 3]} if sweep is None else sweep
    shape = (*map(len, sweep.values()), DRAWS, len(objectives), len(RHO))
    value = np.broadcast_to(np.array(list(objectives.values()))[:, None], shape).copy()
    if "targets" in sweep:
        axis = list(sweep).index("targets")
        steps = growth ** np.arange(len(sweep["targets"]))
        value *= steps.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
    arrays = {name: value.copy() for name in ("crb_bp", "crb_ms", "objective")}
    arrays["gap"] = np.zeros(shape)
    arrays["status"] = np.zeros(shape, np.int8)
    return make_dataset(
        arrays, scheme=list(objectives), rho=RHO, draw=np.arange(DRAWS), sweep=sweep, attrs={"job": "{}"}
    )


def claim_of(cube, name):
    return next(claim for claim in section_claims(cube) if claim.name == name)


def test_claims_come_always_and_in_order():
    for cube in (made_cube(), made_cube({"apa": 1.0}, sweep={})):
        assert [claim.name for claim in section_claims(cube)] == NAMES


def test_all_hold_where_all_should():
    assert {claim.name: claim.holds for claim in section_claims(made_cube())} == dict.fromkeys(NAMES, True)


def test_measured_ratios():
    claims = {claim.name: claim.measured for claim in section_claims(made_cube())}
    assert claims["WCRB is best"]["FDB-WBF"]["smallest"] == pytest.approx(1.2)
    assert claims["WCRB is best"]["APA"]["largest"] == pytest.approx(1.5)
    assert claims["WVM against CPA-WBF"]["WBF / WVM, K = 2"]["median"] == pytest.approx(2.4 / 2.2)
    assert claims["BP bound grows with K"]["APA, K = 3 / 2"]["rho = 0.5"] == pytest.approx(1.5)
    assert claims["FDB beats CPA"]["WVM, K = 3"]["median"] == pytest.approx(2.0)
    assert claims["APA is flat"]["over FDB-WCRB, K = 2"]["median"] == pytest.approx(3.0)


def test_a_better_design_than_wcrb_breaks_the_claim():
    cube = made_cube()
    cube["objective"].loc[{"targets": 3, "draw": 1, "scheme": "cpa-wvm", "rho": 0.5}] = 0.999 * 2.0 * 1.5
    claim = claim_of(cube, "WCRB is best")
    assert claim.holds is False
    assert claim.measured["CPA-WVM"]["smallest"] == pytest.approx(0.999)
    assert claim.measured["FDB-WVM"]["smallest"] == pytest.approx(1.1)


def test_within_the_certificate_it_is_a_tie():
    cube = made_cube()
    cube["objective"].loc[{"scheme": "fdb-wvm", "rho": 0.5}] *= (1.0 - 1e-7) / 1.1
    assert claim_of(cube, "WCRB is best").holds is False
    cube["gap"].loc[{"scheme": "fdb-wcrb", "rho": 0.25, "draw": 0}] = 2e-7
    assert claim_of(cube, "WCRB is best").holds is True


@pytest.mark.parametrize(
    ("name", "value"), [("status", 1), ("status", 3), ("objective", np.inf), ("objective", np.nan)]
)
def test_what_cannot_be_published_is_left_out_and_counted(name, value):
    cube = made_cube()
    # The value would break the claim if it entered.
    cube["objective"].loc[{"draw": 2, "scheme": "fdb-wbf", "rho": 0.5}] = 0.5
    assert claim_of(cube, "WCRB is best").holds is False
    cube[name].loc[{"draw": 2, "scheme": "fdb-wbf", "rho": 0.5}] = value
    claim = claim_of(cube, "WCRB is best")
    assert claim.holds is True
    assert claim.measured["FDB-WBF"]["used"] == 2 * DRAWS * len(RHO) - 2
    assert claim.measured["FDB-WBF"]["left out"] == 2
    assert claim.measured["FDB-WVM"]["left out"] == 0


def test_ties_do_not_win():
    cube = made_cube(dict.fromkeys(HOLDING, 1.0), growth=1.0)
    cube["gap"][:] = 5e-7
    rising = np.arange(len(HOLDING)) * 5e-8
    for name in ("objective", "crb_bp", "crb_ms"):
        for sign in (1.0, -1.0):
            cube[name][:] = (1.0 + sign * rising)[:, None] * np.array([1.0, 1.0 + 1e-7])[:, None, None, None]
            verdicts = {claim.name: claim.holds for claim in section_claims(cube)}
            assert verdicts == dict.fromkeys(NAMES, False) | {"WCRB is best": True, "APA is flat": True}


def test_the_gap_of_ones_own_beams_makes_no_ties():
    cube = made_cube(HOLDING | {"custom": 1.3})
    cube["gap"].loc[{"scheme": "custom"}] = 0.3
    cube["objective"].loc[{"scheme": "fdb-wvm", "rho": 0.5, "draw": 0}] = 0.9
    assert claim_of(cube, "WCRB is best").holds is False


def test_nothing_to_compare_is_no_answer():
    cube = made_cube()
    cube["status"][:] = 1
    for claim in section_claims(cube):
        assert claim.holds is None
        assert "No finite, certified values" in claim.note


def test_wvm_is_compared_away_from_the_extremes():
    cube = made_cube()
    cube["objective"].loc[{"scheme": "fdb-wbf", "rho": [0.0, 1.0]}] = 1e-3
    row = claim_of(cube, "WVM against FDB-WBF").measured["WBF / WVM, K = 3"]
    assert row["smallest"] == pytest.approx(1.2 / 1.1)
    assert row["used"] == DRAWS * 3
    assert row["share won"] == 1.0


def test_wvm_may_lose_with_one_number_of_targets():
    cube = made_cube()
    cube["objective"].loc[{"scheme": "fdb-wbf", "targets": 3, "draw": [0, 1, 2]}] = 1.5
    claim = claim_of(cube, "WVM against FDB-WBF")
    assert claim.holds is False
    assert claim.measured["WBF / WVM, K = 2"]["share won"] == 1.0
    assert claim.measured["WBF / WVM, K = 3"]["share won"] == 0.25
    assert claim_of(cube, "WVM against FDB-WBF (aligned)").holds is True


@pytest.mark.parametrize(("factor", "words"), [("sqrt", "principal square root"), ("eigen", "eigenvectors")])
def test_the_factor_of_the_job_is_named(factor, words):
    cube = made_cube()
    cube.attrs["job"] = json.dumps({"design": {"wbf_factor": factor}})
    assert words in claim_of(cube, "WVM against FDB-WBF").note


def test_growth_is_told_for_either_bound():
    cube = made_cube()
    cube["crb_bp"].loc[{"scheme": "apa", "targets": 3, "rho": 1.0}] = 0.5 * 3.0
    assert claim_of(cube, "MS bound grows with K").holds is True
    claim = claim_of(cube, "BP bound grows with K")
    assert claim.holds is False
    assert claim.measured["APA, K = 3 / 2"] == pytest.approx(
        {"rho = 0": 1.5, "rho = 0.5": 1.5, "rho = 1": 0.5, "used": 3 * DRAWS, "left out": 0}
    )


def test_growth_goes_from_each_number_of_targets_to_the_next():
    claim = claim_of(made_cube({"apa": 1.0}, sweep={"targets": [3, 1, 2]}), "MS bound grows with K")
    assert list(claim.measured) == ["APA, K = 2 / 1", "APA, K = 3 / 2"]
    # File order 3, 1, 2 has values 1, 1.5, 2.25.
    assert claim.measured["APA, K = 2 / 1"]["rho = 0"] == pytest.approx(1.5)
    assert claim.measured["APA, K = 3 / 2"]["rho = 0"] == pytest.approx(1 / 2.25)


def test_growth_takes_medians_of_the_draws_that_both_have():
    cube = made_cube({"apa": 1.0})
    cube["crb_bp"].loc[{"targets": 2}] = np.array([1.0, 2.0, 3.0, np.inf])[:, None, None]
    cube["crb_bp"].loc[{"targets": 3}] = np.array([np.nan, 8.0, 12.0, 1.0])[:, None, None]
    row = claim_of(cube, "BP bound grows with K").measured["APA, K = 3 / 2"]
    assert row["rho = 0"] == pytest.approx(10.0 / 2.5)
    assert (row["used"], row["left out"]) == (6, 6)


def test_flat_is_meant_exactly():
    cube = made_cube()
    assert claim_of(cube, "APA is flat").measured["BP along rho"]["largest"] == 1.0
    cube["crb_ms"].loc[{"scheme": "apa", "draw": 3, "rho": 0.5}] *= 1.0 + 1e-14
    assert claim_of(cube, "APA is flat").holds is False


def test_fdb_against_cpa_is_judged_at_every_rho():
    cube = made_cube()
    cube["objective"].loc[{"scheme": "cpa-wcrb", "rho": 0.75, "draw": [0, 1]}] = 0.1
    assert claim_of(cube, "FDB beats CPA").holds is True  # the median of four draws is still above
    cube["objective"].loc[{"scheme": "cpa-wcrb", "rho": 0.75, "draw": 2}] = 0.1
    assert claim_of(cube, "FDB beats CPA").holds is False


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("WCRB is best", "fdb-wcrb"),
        ("WVM against FDB-WBF", "fdb-wbf"),
        ("BP bound grows with K", "targets"),
        ("FDB beats CPA", "cpa"),
    ],
)
def test_what_is_missing_is_said(name, word):
    claim = claim_of(made_cube({"apa": 1.0}, sweep={}), name)
    assert (claim.holds, claim.measured) == (None, {})
    assert claim.note.startswith("Not applicable: needs")
    assert word in claim.note
    assert claim_of(made_cube({"fdb-wcrb": 1.0}), "APA is flat").holds is None


def test_of_other_swept_keys_the_first_value_is_taken_and_said():
    cube = made_cube(sweep={"tx_antennas": [8, 16], "targets": [2, 3]})
    cube["objective"].loc[{"tx_antennas": 16}] = np.nan
    assert at_first_point(cube)[1] == "tx_antennas = 8"
    for claim in section_claims(cube):
        assert claim.holds is True
        assert "At tx_antennas = 8, the first point of the sweep." in claim.note


def test_nearest_weights():
    assert nearest_weights(RHO) == [0, 2, 4]
    assert nearest_weights([0.9, 0.1, 0.45]) == [1, 2, 0]
    assert nearest_weights([0.3]) == [0]


def test_labels_differ():
    labels = {label_of(scheme) for scheme in (*SCHEMES, "custom")}
    assert len(labels) == len(SCHEMES) + 1
    assert {"FDB-WBF (aligned)", "APA", "Custom"} < labels


def test_text_is_a_table_that_fits():
    text = claims_text(section_claims(made_cube()))
    assert max(map(len, text.splitlines())) <= 110
    assert "WVM against FDB-WBF: holds" in text
    row = next(line for line in text.splitlines() if line.startswith("  CPA-WCRB, K = 3 / 2"))
    assert row.split()[-5:] == ["1.5000", "1.5000", "1.5000", "12", "0"]


def test_text_says_what_cannot_be_told():
    text = claims_text([Claim("A", "b.", "c", {"row": {"median": np.nan, "used": 0}}, None, "d.")])
    assert text.splitlines()[0] == "A: cannot tell"
    assert text.splitlines()[3].split() == ["row", "-", "0"]


def test_json_is_strict():
    claims = [Claim("A", "b.", "c", {"row": {"median": np.nan, "used": 3}}, False)]
    document = json.loads(json.dumps(claims_json(claims), allow_nan=False))
    assert document == [
        {
            "name": "A",
            "statement": "b.",
            "quantity": "c",
            "measured": {"row": {"median": None, "used": 3}},
            "holds": False,
            "note": "",
        }
    ]


def test_of_the_engine_wcrb_is_best_and_apa_flat():
    claims = {claim.name: claim for claim in section_claims(paper_cube())}
    assert claims["WCRB is best"].holds is True
    assert claims["APA is flat"].holds is True
    for claim in claims.values():
        assert claim.holds is not None
        assert sum(row["left out"] for row in claim.measured.values()) == 0


def test_of_the_engine_ratios_are_those_of_the_cube():
    cube = paper_cube()
    values = cube["objective"].values
    wbf, wvm = values[1, :, SCHEMES.index("fdb-wbf"), 1:-1], values[1, :, SCHEMES.index("fdb-wvm"), 1:-1]
    row = claim_of(cube, "WVM against FDB-WBF").measured["WBF / WVM, K = 3"]
    assert row["median"] == pytest.approx(np.median(wbf / wvm), rel=1e-12)
    assert row["share won"] == np.mean(wbf > wvm)
    bound = np.median(cube["crb_ms"].values[:, :, SCHEMES.index("cpa-wcrb"), 2], axis=1)
    row = claim_of(cube, "MS bound grows with K").measured["CPA-WCRB, K = 3 / 2"]
    assert row["rho = 0.5"] == pytest.approx(bound[1] / bound[0], rel=1e-12)
