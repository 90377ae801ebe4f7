"""Statements (iv) to (viii) of the reference paper: trade-off curves, compared at an equal root bound."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import xarray as xr

from ..estimates import median_with_limits
from ..points import good
from ..schemes import FAMILIES, label_of, scheme_of, wbf_schemes
from .curves import LEAST_WEIGHTS, PLACES, Curves, Gap
from .verdicts import FAILS, HOLDS, IN_PART, UNKNOWN, Row, Statement, counts, single, summed_up

_CLOSE = 1.05  # ratio of root bounds, in the mean along a curve, that is still called close
_OVER_PLACES = f"in the mean along the curve (median, interval) and over its {PLACES} places (smallest to below)"
_CURVES_MISSING = f"needs {{}}, at {LEAST_WEIGHTS} weights or more and in 6 draws or more"


def trades_off(parts: Mapping[str, xr.Dataset], schemes: Sequence[str]) -> Statement:
    """(iv): every scheme but APA trades one bound for the other."""
    rows = {}
    for suffix, part in parts.items():
        if not {0.0, 1.0} <= set(part["rho"].values.tolist()):
            continue
        for scheme in schemes:
            if scheme_of(scheme).rule is None:
                continue
            ends = part.sel(scheme=scheme, rho=[0.0, 1.0]).transpose(..., "draw", "rho")
            fine = np.asarray(good(ends).values).all(axis=1, keepdims=True)
            for name, link, worse in (("crb_bp", "BP", 0), ("crb_ms", "MS", 1)):
                values = np.where(fine, np.sqrt(ends[name].values), np.nan)
                with np.errstate(invalid="ignore"):
                    rows[f"{label_of(scheme)}, {link}{suffix}"] = single(values[:, worse] / values[:, 1 - worse])
    return summed_up(
        "iv",
        "Every scheme but APA trades off",
        "With every scheme but APA, a better bound of one link costs the other.",
        "root bound at the other link's optimum / at its own",
        rows,
        "Infinite where the other link's optimum says nothing of this one.",
        "needs rho = 0 and 1 and a scheme other than apa",
    )


def fdb_beats_cpa(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    """(v): FDB is better than CPA."""
    pairs = [(f"cpa-{method}", f"fdb-{method}", method.upper()) for method in ("wcrb", "wbf", "wvm")]
    return summed_up(
        "v",
        "FDB is better than CPA",
        "Fully digital beams have smaller bounds than powers on a codebook.",
        f"root bound of CPA / of FDB, at an equal bound of the link named, {_OVER_PLACES}",
        _gap_rows(curves, schemes, pairs, _better),
        "",
        _CURVES_MISSING.format("an fdb scheme and its cpa twin"),
    )


def wcrb_best(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    """(vi): WCRB is the best of its family."""
    pairs = [
        (name, f"{family}-wcrb", label_of(name))
        for family in FAMILIES
        for name in (*wbf_schemes(schemes, family), f"{family}-wvm")
    ]
    return summed_up(
        "vi",
        "WCRB is the best of its family",
        "The weighted-sum CRB design has the smallest bounds of all methods of its family.",
        f"root bound / that of WCRB, at an equal bound of the link named, {_OVER_PLACES}",
        _gap_rows(curves, schemes, pairs, _not_worse),
        "Holds where it is nowhere beaten by more than the interpolation leaves open.",
        _CURVES_MISSING.format("fdb-wcrb or cpa-wcrb and another method of its family"),
    )


def wvm_beats_wbf(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    """(vii a): WVM is better than WBF."""
    rows = _gap_rows(curves, schemes, _wbf_pairs(schemes), _better)
    return summed_up(
        "vii a",
        "WVM is better than WBF",
        "Mixing covariances gives smaller bounds than mixing beamformers.",
        f"root bound of WBF / of WVM, at an equal bound of the link named, {_OVER_PLACES}",
        rows,
        _about_factors(rows),
        _CURVES_MISSING.format("a WBF scheme and the WVM of its family"),
    )


def _about_factors(rows: Mapping[str, Row]) -> str:
    """In one sentence, what the factor has to do with it; that of CPA, codewords times root powers, is not open."""
    by_scheme: dict[str, set[str]] = {}
    for label, row in rows.items():
        if label.startswith("FDB") and row.verdict != UNKNOWN:
            by_scheme.setdefault(label.partition(", ")[0], set()).add(row.verdict)
    always = [name for name, found in by_scheme.items() if found == {HOLDS}]
    others = [name for name in by_scheme if name not in always]
    if not always or not others:
        return "The factor of V that WBF mixes is left open by the paper."
    return (
        "The paper leaves open which factor of V WBF mixes, and the ordering is a matter of that: WVM is better than "
        f"{_listed(always)} in every row, than {_listed(others)} not in every one."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def wvm_close(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    """(vii b): WVM is close to the weak Pareto boundary."""
    pairs = [(f"{family}-wvm", f"{family}-wcrb", f"{family.upper()}-WVM") for family in FAMILIES]
    return summed_up(
        "vii b",
        "WVM is close to the weak Pareto boundary",
        "The bounds of mixed covariances are close to the boundary of what beams of their family can reach.",
        f"root bound of WVM / of WCRB, at an equal bound of the link named, {_OVER_PLACES}",
        _gap_rows(curves, schemes, pairs, _close),
        f"Close: at most {100.0 * (_CLOSE - 1.0):.0f} % above it in the mean along the curve.",
        _CURVES_MISSING.format("WVM and WCRB of a family"),
    )


def gap_grows(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    """(viii): the gap between WBF and WVM grows with the number of targets."""
    rows = {}
    for (_, fewer), (suffix, more) in pairwise(curves.items()):
        for wbf, wvm, label in _wbf_pairs(schemes):
            for link in ("BP", "MS"):
                if _comparable(fewer, schemes, wbf, wvm):
                    growth, blur = fewer.gap(wbf, wvm, link).growth_to(more.gap(wbf, wvm, link))
                    rows[f"{label}, equal {link}{suffix}"] = single(np.exp(growth), float(np.exp(blur)))
    return summed_up(
        "viii",
        "The gap between WBF and WVM grows with K",
        "The gap between WBF and WVM grows with the number of targets.",
        "gap with more targets / with fewer in the same draw, a gap being root bound of WBF / of WVM in the mean along "
        "the curve, at an equal bound of the link named",
        rows,
        "",
        _CURVES_MISSING.format("a WBF scheme, the WVM of its family and a sweep of targets"),
    )


def _wbf_pairs(schemes: Sequence[str]) -> list[tuple[str, str, str]]:
    """WBF schemes, the WVM that each is held against, and a label."""
    return [(wbf, f"{f}-wvm", label_of(wbf)) for f in FAMILIES for wbf in wbf_schemes(schemes, f)]


def _comparable(curves: Curves, schemes: Sequence[str], *pair: str) -> bool:
    return set(pair) <= set(schemes) and curves.weights >= LEAST_WEIGHTS


def _gap_rows(
    curves: Mapping[str, Curves],
    schemes: Sequence[str],
    pairs: Iterable[tuple[str, str, str]],
    judge: Callable[[Mapping[str, float]], str],
) -> dict[str, Row]:
    """Compare pairs of schemes at equal BP and at equal MS bounds, for each number of targets."""
    rows = {}
    for top, bottom, label in pairs:
        for suffix, one in curves.items():
            if _comparable(one, schemes, top, bottom):
                for link in ("BP", "MS"):
                    gap = one.gap(top, bottom, link)
                    numbers = _numbers(gap)
                    known = np.isfinite(numbers["lower"] + numbers["upper"]) and np.isfinite(gap.blur).any()
                    rows[f"{label}, equal {link}{suffix}"] = Row(numbers, judge(numbers) if known else UNKNOWN)
    return rows


def _numbers(gap: Gap) -> dict[str, float]:
    """Ratios of a gap, and at how many places it is above or below 1 beyond its interval and the interpolation."""
    median, lower, upper = (float(np.exp(value)) for value in median_with_limits(gap.mean))
    lower = lower if lower > 0.0 else -np.inf  # too few draws for a limit
    middle, low, high = median_with_limits(gap.logs.T)
    return {
        "median": median,
        "lower": lower,
        "upper": upper,
        "smallest": float(np.exp(np.fmin.reduce(middle))),
        "largest": float(np.exp(np.fmax.reduce(middle))),
        "above": int(np.sum(low > gap.blur)),
        "below": int(np.sum(high < -gap.blur)),
    } | counts(gap.mean)


def _better(numbers: Mapping[str, float]) -> str:
    """Above at most places, and nowhere below."""
    if numbers["above"] == 0:
        return FAILS
    return HOLDS if numbers["below"] == 0 and numbers["above"] > PLACES / 2 else IN_PART


def _not_worse(numbers: Mapping[str, float]) -> str:
    if numbers["below"] == 0:
        return HOLDS
    return IN_PART if numbers["above"] > 0 else FAILS


def _close(numbers: Mapping[str, float]) -> str:
    return HOLDS if numbers["upper"] <= _CLOSE else FAILS
