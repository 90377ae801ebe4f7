"""The statements of the reference paper's Section IV (and III-C), judged on a cube: reported, never asserted.

Curves are compared as the paper draws them, at an equal root bound (`results.curves`); every number is a median over
the draws with its exact 95 % interval. Only designs that are certified, or of closed form over certified ones, enter;
each row says how many draws did and how many were left out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from .curves import LEAST_WEIGHTS, PLACES, Curves, Gap, median_with_limits
from .estimates import Array
from .points import at_first_point, good, swept_keys
from .schemes import label_of, wbf_schemes
from .words import said

HOLDS, IN_PART, FAILS, UNKNOWN = "holds", "holds in part", "does not hold", "cannot tell"
MOST_DRAWS = 1000  # the first ones are judged: a median of more is no better known than one has to know here
_FAMILIES = ("fdb", "cpa")
_CLOSE = 1.05  # ratio of root bounds, in the mean along a curve, that is still called close
_SAME = 1.0 + 1e-12
_VARIABLES = ["crb_bp", "crb_ms", "status"]


@dataclass(frozen=True)
class Row:
    """One comparison: its numbers by column, and what it says of the statement."""

    numbers: Mapping[str, float]
    verdict: str


@dataclass(frozen=True)
class Statement:
    """One statement of the paper beside what a cube says of it.

    Attributes
    ----------
    numeral, name, statement
        Its number here, a short name, and what the paper says.
    quantity
        What the numbers are of, in words.
    rows
        Comparisons by label.
    verdict
        holds; holds in part, where some rows do; does not hold; or cannot tell.
    note
        How to read it, or why the cube cannot tell.
    """

    numeral: str
    name: str
    statement: str
    quantity: str
    rows: Mapping[str, Row]
    verdict: str
    note: str = ""


def judged(cube: xr.Dataset) -> list[Statement]:
    """Judge every statement on a cube.

    Parameters
    ----------
    cube
        As `results.schema` has it. Of a swept key other than ``targets`` the first value is taken, of the draws the
        first `MOST_DRAWS`.

    Returns
    -------
    list of Statement
        Always the same ones in the same order; one that the cube cannot answer says so.
    """
    kept = [name for name in (*_VARIABLES, "beam_gain") if name in cube]
    first, where = at_first_point(cube[kept].isel(draw=slice(MOST_DRAWS)))
    found = _judged_at(first.load())
    if not where:
        return found
    note = f"At {where}, the first point of the sweep."
    return [replace(one, note=f"{one.note} {note}".strip()) for one in found]


def judged_at_points(cube: xr.Dataset) -> Iterator[tuple[tuple[Any, ...], list[Statement], xr.Dataset]]:
    """Judge every statement at every point of the sweep, ``targets`` apart.

    Yields the values of the swept keys, the statements, and the point's bounds in memory.
    """
    kept = cube[[name for name in (*_VARIABLES, "beam_gain") if name in cube]].isel(draw=slice(MOST_DRAWS))
    keys = [key for key in swept_keys(kept) if key != "targets"]
    for index in np.ndindex(*(kept.sizes[key] for key in keys)):
        point = kept.isel(dict(zip(keys, index, strict=True))).load()
        yield tuple(point[key].item() for key in keys), _judged_at(point), point


def _judged_at(point: xr.Dataset) -> list[Statement]:
    by_targets = _by_targets(point)
    curves = {suffix: Curves(one) for suffix, one in by_targets.items()}
    schemes = [str(name) for name in point["scheme"].values]
    return [
        _strong_ue_beam(by_targets),
        _strongest_ue_beam(by_targets),
        _apa_flat(by_targets),
        _trades_off(by_targets, schemes),
        _fdb_beats_cpa(curves, schemes),
        _wcrb_best(curves, schemes),
        _wvm_beats_wbf(curves, schemes),
        _wvm_close(curves, schemes),
        _gap_grows(curves, schemes),
        _times(),
    ]


def _by_targets(point: xr.Dataset) -> dict[str, xr.Dataset]:
    """Parts of a cube by what to add to a label, in ascending order of targets; the cube itself if not swept."""
    if "targets" not in point["status"].dims:
        return {"": point}
    counts = sorted(point["targets"].values.tolist())
    return {
        f", K = {said(k)}": point.sel(targets=k).isel(path=slice(int(k) + 1), missing_dims="ignore") for k in counts
    }


def _statement(
    numeral: str, name: str, statement: str, quantity: str, rows: Mapping[str, Row], note: str, missing: str
) -> Statement:
    """Sum up the rows: of those that tell, all, none or some may hold."""
    told = [row.verdict for row in rows.values() if row.verdict != UNKNOWN]
    if not told:
        why = f"Not applicable: {missing}." if not rows else f"Too few finite, certified values; {missing}."
        return Statement(numeral, name, statement, quantity, rows, UNKNOWN, why)
    alike = told[0] if len(set(told)) == 1 else IN_PART
    return Statement(numeral, name, statement, quantity, rows, alike, note)


# (i) to (iii): where beams point.


def _strong_ue_beam(parts: Mapping[str, xr.Dataset]) -> Statement:
    return _statement(
        "i",
        "BP: strong beams toward the UE",
        "In BP, the beams of FDB and CPA toward the UE are strong.",
        "power toward the UE, and over that toward the strongest target, dB over uniform radiation, at rho = 1",
        _gain_rows(parts, 1.0, lambda ue, over: ue),
        "Strong: more than uniform radiation sends there (0 dB). It need not be the strongest beam.",
        'needs keep = ["beam_gain"], rho = 1 and an fdb or cpa scheme',
    )


def _strongest_ue_beam(parts: Mapping[str, xr.Dataset]) -> Statement:
    return _statement(
        "ii",
        "MS: the UE's beam is the strongest",
        "In MS, the beam toward the UE is the strongest, since its RCS is the smallest.",
        "power toward the UE, and over that toward the strongest target, dB over uniform radiation, at rho = 0",
        _gain_rows(parts, 0.0, lambda ue, over: over),
        "",
        'needs keep = ["beam_gain"], rho = 0, a target and an fdb or cpa scheme',
    )


def _gain_rows(
    parts: Mapping[str, xr.Dataset], weight: float, judge: Callable[[Array, Array], Array]
) -> dict[str, Row]:
    """The UE's beam of the extreme design of each family; `judge` picks what has to be above 0 dB."""
    rows = {}
    for suffix, part in parts.items():
        if "beam_gain" not in part or weight not in part["rho"].values:
            continue
        for scheme in _one_of_each_family(part):
            one = part.sel(scheme=scheme, rho=weight)
            with np.errstate(divide="ignore"):
                level = 10.0 * np.log10(one["beam_gain"].where(good(one)).transpose("draw", "path").values)
            ue, targets = level[:, 0], level[:, 1:]
            over = ue - targets.max(axis=1) if targets.shape[1] else np.full_like(ue, np.nan)
            lower = median_with_limits(judge(ue, over))[1]
            median, low, high = (float(value) for value in median_with_limits(over))
            numbers = {"UE": float(median_with_limits(ue)[0]), "UE over": median, "lower": low, "upper": high}
            verdict = UNKNOWN if not np.isfinite(lower) else (HOLDS if lower > 0.0 else FAILS)
            rows[f"{label_of(scheme)}{suffix}{_strongest(targets)}"] = Row(numbers | _counts(ue), verdict)
    return rows


def _one_of_each_family(part: xr.Dataset) -> list[str]:
    """The scheme that gives each family's extreme designs."""
    known = part["scheme"].values.tolist()
    found = [
        [f"{family}-{method}" for method in ("wcrb", "wvm") if f"{family}-{method}" in known] for family in _FAMILIES
    ]
    return [names[0] for names in found if names]


def _strongest(targets: Array) -> str:
    """Which target's beam is the strongest in most draws, to be added to a label."""
    known = targets[np.isfinite(targets).all(axis=1)]
    if known.size == 0:
        return ""
    return f" (T{1 + int(np.bincount(known.argmax(axis=1)).argmax())})"


def _apa_flat(parts: Mapping[str, xr.Dataset]) -> Statement:
    rows = {}
    for suffix, part in parts.items():
        if "apa" in part["scheme"].values:
            apa = part.sel(scheme="apa")
            for name, words in (("beam_gain", "beams"), ("crb_bp", "BP bound"), ("crb_ms", "MS bound")):
                if name in apa:
                    values = apa[name].where(good(apa) & np.isfinite(apa[name]))
                    spread = (values.max("rho") / values.min("rho")).values
                    largest = float(np.fmax.reduce(spread, axis=None, initial=-np.inf))
                    verdict = UNKNOWN if largest == -np.inf else (HOLDS if largest <= _SAME else FAILS)
                    rows[f"{words}{suffix}"] = Row(
                        {"largest": largest} | _counts(spread.reshape(len(spread), -1)[:, 0]), verdict
                    )
    return _statement(
        "iii",
        "APA shows no difference",
        "Equal powers send the same beams in BP and MS.",
        "largest over rho / smallest over rho, the largest of all draws",
        rows,
        "By construction.",
        "needs apa",
    )


# (iv) to (viii): trade-off curves.


def _trades_off(parts: Mapping[str, xr.Dataset], schemes: Sequence[str]) -> Statement:
    rows = {}
    for suffix, part in parts.items():
        if not {0.0, 1.0} <= set(part["rho"].values.tolist()):
            continue
        for scheme in schemes:
            if scheme.partition("@")[0] in ("apa", "custom"):
                continue
            ends = part.sel(scheme=scheme, rho=[0.0, 1.0]).transpose(..., "draw", "rho")
            fine = np.asarray(good(ends).values).all(axis=1, keepdims=True)
            for name, link, worse in (("crb_bp", "BP", 0), ("crb_ms", "MS", 1)):
                values = np.where(fine, np.sqrt(ends[name].values), np.nan)
                with np.errstate(invalid="ignore"):
                    rows[f"{label_of(scheme)}, {link}{suffix}"] = _single(values[:, worse] / values[:, 1 - worse])
    return _statement(
        "iv",
        "Every scheme but APA trades off",
        "With every scheme but APA, a better bound of one link costs the other.",
        "root bound at the other link's optimum / at its own",
        rows,
        "Infinite where the other link's optimum says nothing of this one.",
        "needs rho = 0 and 1 and a scheme other than apa",
    )


def _single(ratio: Array) -> Row:
    """Judge one ratio of every draw: it is to be above 1."""
    median, lower, upper = (float(value) for value in median_with_limits(ratio))
    numbers = {"median": median, "lower": lower, "upper": upper} | _counts(ratio)
    return Row(numbers, UNKNOWN if np.isnan(median) or lower == -np.inf else (HOLDS if lower > _SAME else FAILS))


def _fdb_beats_cpa(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    pairs = [(f"cpa-{method}", f"fdb-{method}", method.upper()) for method in ("wcrb", "wbf", "wvm")]
    return _statement(
        "v",
        "FDB is better than CPA",
        "Fully digital beams have smaller bounds than powers on a codebook.",
        f"root bound of CPA / of FDB, at an equal bound of the link named, {_OVER_PLACES}",
        _gap_rows(curves, schemes, pairs, _better),
        "",
        _CURVES_MISSING.format("an fdb scheme and its cpa twin"),
    )


def _wcrb_best(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    pairs = [
        (name, f"{family}-wcrb", label_of(name))
        for family in _FAMILIES
        for name in (*wbf_schemes(schemes, family), f"{family}-wvm")
    ]
    return _statement(
        "vi",
        "WCRB is the best of its family",
        "The weighted-sum CRB design has the smallest bounds of all methods of its family.",
        f"root bound / that of WCRB, at an equal bound of the link named, {_OVER_PLACES}",
        _gap_rows(curves, schemes, pairs, _not_worse),
        "Holds where it is nowhere beaten by more than the interpolation leaves open.",
        _CURVES_MISSING.format("fdb-wcrb or cpa-wcrb and another method of its family"),
    )


def _wvm_beats_wbf(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    rows = _gap_rows(curves, schemes, _wbf_pairs(schemes), _better)
    return _statement(
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
        if label.startswith("FDB"):
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


def _wvm_close(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    pairs = [(f"{family}-wvm", f"{family}-wcrb", f"{family.upper()}-WVM") for family in _FAMILIES]
    return _statement(
        "vii b",
        "WVM is close to the weak Pareto boundary",
        "The bounds of mixed covariances are close to the boundary of what beams of their family can reach.",
        f"root bound of WVM / of WCRB, at an equal bound of the link named, {_OVER_PLACES}",
        _gap_rows(curves, schemes, pairs, _close),
        f"Close: at most {100.0 * (_CLOSE - 1.0):.0f} % above it in the mean along the curve.",
        _CURVES_MISSING.format("WVM and WCRB of a family"),
    )


def _gap_grows(curves: Mapping[str, Curves], schemes: Sequence[str]) -> Statement:
    rows = {}
    for (_, fewer), (suffix, more) in pairwise(curves.items()):
        for wbf, wvm, label in _wbf_pairs(schemes):
            for link in ("BP", "MS"):
                if _comparable(fewer, schemes, wbf, wvm):
                    growth = more.gap(wbf, wvm, link).mean - fewer.gap(wbf, wvm, link).mean
                    rows[f"{label}, equal {link}{suffix}"] = _single(np.exp(growth))
    return _statement(
        "viii",
        "The gap between WBF and WVM grows with K",
        "The gap between WBF and WVM grows with the number of targets.",
        "gap with more targets / with fewer in the same draw, a gap being root bound of WBF / of WVM in the mean along "
        "the curve, at an equal bound of the link named",
        rows,
        "",
        _CURVES_MISSING.format("a WBF scheme, the WVM of its family and a sweep of targets"),
    )


def _times(rows: Mapping[str, Row] | None = None) -> Statement:
    return _statement(
        "ix",
        "(18) and (19) take less time than (15)",
        "Section III-C: the programs of WBF and WVM take less time than that of WCRB.",
        "time of (15) / of the program named; lower and upper from the extremes of all repeats",
        rows or {},
        "(18) as the lifted program that gives its optimum; the closed forms give what (18) and (19) do.",
        "a cube of draws has no run times; crbatch bench antennas measures and judges it",
    )


_PROGRAMS = {"sdp-wbf": "(18) lifted", "sdp-wvm": "(19)", "closed": "closed forms of (18), (19)"}


def judged_times(bench: xr.Dataset) -> Statement:
    """Judge the statement on run times by a cube of ``crbatch bench antennas``.

    Parameters
    ----------
    bench
        seconds over (algorithm, tx_antennas, repeat), NaN where nothing was measured.
    """
    rows = {}
    for name, label in _PROGRAMS.items():
        for size in bench["tx_antennas"].values.tolist():
            whole, own = (bench["seconds"].sel(algorithm=one, tx_antennas=size).values for one in ("sdp-full", name))
            if np.isfinite(whole).any() and np.isfinite(own).any():
                median = float(np.nanmedian(whole) / np.nanmedian(own))
                lower, upper = float(np.nanmin(whole) / np.nanmax(own)), float(np.nanmax(whole) / np.nanmin(own))
                verdict = HOLDS if lower > 1.0 else (FAILS if upper < 1.0 else IN_PART)
                rows[f"{label}, {size} antennas"] = Row({"median": median, "lower": lower, "upper": upper}, verdict)
    return _times(rows)


_OVER_PLACES = f"in the mean along the curve (median, interval) and over its {PLACES} places (smallest to below)"
_CURVES_MISSING = f"needs {{}}, at {LEAST_WEIGHTS} weights or more and in 6 draws or more"


def _wbf_pairs(schemes: Sequence[str]) -> list[tuple[str, str, str]]:
    """WBF schemes, the WVM that each is held against, and a label."""
    return [(wbf, f"{f}-wvm", label_of(wbf)) for f in _FAMILIES for wbf in wbf_schemes(schemes, f)]


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
                    numbers = _numbers(one.gap(top, bottom, link))
                    known = np.isfinite(numbers["lower"]) and np.isfinite(numbers["upper"])
                    rows[f"{label}, equal {link}{suffix}"] = Row(numbers, judge(numbers) if known else UNKNOWN)
    return rows


def _numbers(gap: Gap) -> dict[str, float]:
    """Ratios of a gap, and at how many places it is above or below 1 beyond its interval and the interpolation."""
    median, lower, upper = (float(np.exp(value)) for value in median_with_limits(gap.mean))
    middle, low, high = median_with_limits(gap.logs.T)
    return {
        "median": median,
        "lower": lower,
        "upper": upper,
        "smallest": float(np.exp(np.fmin.reduce(middle))),
        "largest": float(np.exp(np.fmax.reduce(middle))),
        "above": int(np.sum(low > gap.blur)),
        "below": int(np.sum(high < -gap.blur)),
    } | _counts(gap.mean)


def _counts(values: Array) -> dict[str, float]:
    used = int((~np.isnan(values)).sum())
    return {"used": used, "left out": values.size - used}


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


def as_plain(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Plain lists and dictionaries for a JSON document; None for a number that does not exist or is infinite."""

    def plain(row: Row) -> dict[str, Any]:
        return {name: value if np.isfinite(value) else None for name, value in row.numbers.items()} | {
            "verdict": row.verdict
        }

    return [{**asdict(one), "rows": {label: plain(row) for label, row in one.rows.items()}} for one in statements]
