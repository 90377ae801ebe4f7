"""The trade-off claims of the reference paper's Section IV-C, measured on a cube: reported, never asserted.

Every number is a ratio (unit 1) of bounds or objectives (m2). Only finite values of certified and closed-form
designs enter; each row of a claim says how many did and how many were left out.
"""

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from .schema import STATUS_FLAGS

# Statuses of a design that may be published.
_GOOD_STATUS = [value for value, word in STATUS_FLAGS.items() if word in ("certified", "closed_form")]
# Ratios nearer to 1 than this are ties, however small the certified gaps are.
_ROUNDING = 1e-12
_FAMILIES = {
    "fdb-wcrb": ("fdb-wbf", "fdb-wbf-aligned", "fdb-wvm", "custom"),
    "cpa-wcrb": ("cpa-wbf", "cpa-wvm", "apa"),
}
_WBF_PAIRS = (("fdb-wbf", "fdb-wvm"), ("fdb-wbf-aligned", "fdb-wvm"), ("cpa-wbf", "cpa-wvm"))
_VARIABLES = ["objective", "crb_bp", "crb_ms", "gap", "status"]
_FACTORS = {
    "sqrt": "the principal square root of V",
    "eigen": "eigenvectors times root eigenvalues",
}

Row = dict[str, float]


@dataclass(frozen=True)
class Claim:
    """One statement of the paper beside what the cube says of it.

    Attributes
    ----------
    name, statement
        Short name, and what the paper says.
    quantity
        What the ratios are of, in words; they are dimensionless, and 1 is where both sides are equal.
    measured
        Row label -> column -> number. Columns ``smallest``, ``median``, ``largest`` and ``rho = ...`` are ratios;
        ``used`` and ``left out`` are counts of values.
    holds
        Whether the numbers agree with the statement; None where the cube cannot tell.
    note
        How to read it, or why the cube cannot tell.
    """

    name: str
    statement: str
    quantity: str
    measured: Mapping[str, Row]
    holds: bool | None
    note: str = ""


def label_of(scheme: str) -> str:
    """Name of a scheme as it is printed."""
    special = {"fdb-wbf-aligned": "FDB-WBF (aligned)", "custom": "Custom"}
    name, _, knowledge = scheme.partition("@")
    return special.get(name, name.upper()) + (f" ({knowledge})" if knowledge else "")


def is_ratio(column: str) -> bool:
    """Whether a column of `Claim.measured` holds a ratio (not a share or a count)."""
    return column in ("smallest", "median", "largest") or column.startswith("rho = ")


def nearest_weights(rho: ArrayLike) -> list[int]:
    """Places of the weights nearest to 0, 0.5 and 1, in this order, each at most once."""
    grid = np.asarray(rho, np.float64)
    return list(dict.fromkeys(int(np.argmin(np.abs(grid - wanted))) for wanted in (0.0, 0.5, 1.0)))


def at_first_point(cube: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Take the first value of every swept key but ``targets``, and say which that is."""
    others = [str(d) for d in cube["objective"].dims if d not in ("targets", "draw", "scheme", "rho")]
    first = cube.isel(dict.fromkeys(others, 0))
    return first, ", ".join(f"{name} = {first[name].item():g}" for name in others)


def good(cube: xr.Dataset) -> xr.DataArray:
    """Where a design may be published, by its status."""
    return cube["status"].isin(_GOOD_STATUS)


def section_claims(cube: xr.Dataset) -> list[Claim]:
    """Measure every claim on a cube.

    Parameters
    ----------
    cube
        As `results.schema` has it. Of a swept key other than ``targets`` the first value is taken.

    Returns
    -------
    list of Claim
        Always the same claims in the same order; one that the cube cannot answer says so.
    """
    first, where = at_first_point(cube[_VARIABLES])
    first = first.compute()  # read once, not per claim
    tie = _tie(first)
    claims = [
        _wcrb_best(first, tie),
        *(_wvm_against(first, wbf, wvm, tie) for wbf, wvm in _WBF_PAIRS),
        _growth(first, "crb_bp", "BP", tie),
        _growth(first, "crb_ms", "MS", tie),
        _apa_flat(first),
        _fdb_beats_cpa(first, tie),
    ]
    if not where:
        return claims
    return [replace(claim, note=f"{claim.note} At {where}, the first point of the sweep.") for claim in claims]


def _tie(cube: xr.Dataset) -> float:
    """Largest certified gap: designs whose objectives differ relatively by less are not told apart."""
    certified = good(cube) & (cube["scheme"] != "custom")  # whose gap says how bad it is
    return float(np.fmax.reduce(cube["gap"].where(certified).values, axis=None, initial=_ROUNDING))


def _wcrb_best(cube: xr.Dataset, tie: float) -> Claim:
    measured = {}
    for best, others in _FAMILIES.items():
        for other in _present(cube, best, others):
            top, bottom, ok = _pair(cube, other, best)
            measured[label_of(other)] = _spread(top, bottom, ok)
    return _claim(
        "WCRB is best",
        "The weighted-sum CRB design has the smallest objective of its family at every rho.",
        "objective / that of WCRB, over draws and rho",
        measured,
        lambda row: row["smallest"] >= 1.0 - tie,
        note=f"Certified to {tie:.1e}: a ratio nearer to 1 than that is a tie, here and below.",
        missing="needs fdb-wcrb or cpa-wcrb and another scheme of its family",
    )


def _wvm_against(cube: xr.Dataset, wbf: str, wvm: str, tie: float) -> Claim:
    measured = {}
    if _present(cube, wbf, (wvm,)):
        # At rho = 0 and 1 both are the same extreme, so there is nothing to compare.
        inner = cube.isel(rho=(cube["rho"].values > 0.0) & (cube["rho"].values < 1.0))
        for suffix, point in _by_targets(inner):
            top, bottom, ok = _pair(point, wbf, wvm)
            row = _spread(top, bottom, ok)
            ratio = (top / bottom).values[ok.values]
            row["share won"] = float(np.mean(ratio > 1.0 + tie)) if ratio.size else np.nan
            measured[f"WBF / WVM{suffix}"] = row
    return _claim(
        f"WVM against {label_of(wbf)}",
        f"{label_of(wvm)} has a smaller objective than {label_of(wbf)}, in the median.",
        "objective of WBF / of WVM, over draws and 0 < rho < 1",
        measured,
        lambda row: row["median"] > 1.0 + tie,
        note=f"The paper says WVM beats WBF; this depends on the factor mixed, here {_factor(cube, wbf)}. "
        "Share won: of (draw, rho), by WVM.",
        missing=f"needs {wbf} and {wvm} at some 0 < rho < 1",
    )


def _factor(cube: xr.Dataset, wbf: str) -> str:
    """In words, the factor W of V that a WBF scheme mixes."""
    if wbf == "cpa-wbf":
        return "codewords times root powers"
    if wbf == "fdb-wbf-aligned":
        return "the square root, one extreme turned onto the other"
    job = json.loads(cube.attrs.get("job", "{}"))
    return _FACTORS[job.get("design", {}).get("wbf_factor", "sqrt")]


def _growth(cube: xr.Dataset, variable: str, link: str, tie: float) -> Claim:
    measured = {}
    counts = sorted(cube["targets"].values.tolist()) if "targets" in cube["objective"].dims else []
    for fewer, more in pairwise(counts):
        for scheme in cube["scheme"].values.tolist():
            label = f"{label_of(scheme)}, K = {more:g} / {fewer:g}"
            measured[label] = _growth_row(cube.sel(scheme=scheme), variable, fewer, more)
    return _claim(
        f"{link} bound grows with K",
        f"The {link} bound grows with the number of targets.",
        f"median CRB_{link} with more targets / with fewer",
        measured,
        lambda row: not any(value <= 1.0 + tie for column, value in row.items() if is_ratio(column)),
        note="Medians over the draws that both have.",
        missing="needs a sweep over two or more values of targets",
    )


def _growth_row(scheme: xr.Dataset, variable: str, fewer: float, more: float) -> Row:
    row: Row = {}
    used = total = 0
    for place in nearest_weights(scheme["rho"].values):
        point = scheme.isel(rho=place)
        low, high = point.sel(targets=fewer), point.sel(targets=more)
        ok = good(low) & good(high) & np.isfinite(low[variable]) & np.isfinite(high[variable])
        row[f"rho = {point['rho'].item():g}"] = _ratio_of_medians(high[variable], low[variable], ok)
        used, total = used + int(ok.sum()), total + ok.size
    return {**row, "used": used, "left out": total - used}


def _apa_flat(cube: xr.Dataset) -> Claim:
    measured = {}
    if "apa" in cube["scheme"].values:
        apa = cube.sel(scheme="apa")
        for variable, link in (("crb_bp", "BP"), ("crb_ms", "MS")):
            measured[f"{link} along rho"] = _along_rho(apa, variable)
    claim = _claim(
        "APA is flat",
        "The bounds of equal powers do not depend on rho.",
        "largest / smallest bound; objective / that of FDB-WCRB",
        measured,
        lambda row: row["largest"] == 1.0,
        note="Flat by construction. The rows against FDB-WCRB say what the missing design costs.",
        missing="needs apa",
    )
    if claim.holds is None or not _present(cube, "apa", ("fdb-wcrb",)):
        return claim
    rows = {f"over FDB-WCRB{suffix}": _spread(*_pair(point, "apa", "fdb-wcrb")) for suffix, point in _by_targets(cube)}
    return replace(claim, measured={**claim.measured, **rows})


def _along_rho(apa: xr.Dataset, variable: str) -> Row:
    """Spread over draws of (largest bound over rho) / (smallest bound over rho)."""
    ok = good(apa) & np.isfinite(apa[variable])
    values = apa[variable].where(ok)
    kept = ok.any("rho")
    row = _spread(values.max("rho").where(kept), values.min("rho").where(kept), kept)
    used = int(ok.sum())
    return {**row, "used": used, "left out": ok.size - used}


def _fdb_beats_cpa(cube: xr.Dataset, tie: float) -> Claim:
    measured = {}
    for method in ("wcrb", "wbf", "wvm"):
        fdb, cpa = f"fdb-{method}", f"cpa-{method}"
        if _present(cube, fdb, (cpa,)):
            for suffix, point in _by_targets(cube):
                label = f"{method.upper()}{suffix}"
                measured[label] = _median_spread(*_pair(point, cpa, fdb))
    return _claim(
        "FDB beats CPA",
        "Fully digital beams have a smaller objective than powers on a codebook at every rho.",
        "median objective of CPA / of FDB, along rho",
        measured,
        lambda row: row["smallest"] > 1.0 + tie,
        note="Medians over the draws that both have, at each rho.",
        missing="needs an fdb scheme and its cpa twin",
    )


def _claim(
    name: str,
    statement: str,
    quantity: str,
    measured: Mapping[str, Row],
    holds: Callable[[Row], bool],
    *,
    note: str,
    missing: str,
) -> Claim:
    """Build a claim that holds if every row with numbers in it does; None if no row has any."""
    rows = [row for row in measured.values() if any(np.isfinite(v) for c, v in row.items() if is_ratio(c))]
    if not measured:
        return Claim(name, statement, quantity, {}, None, f"Not applicable: {missing}.")
    if not rows:
        return Claim(name, statement, quantity, measured, None, "No finite, certified values to compare.")
    return Claim(name, statement, quantity, measured, all(holds(row) for row in rows), note)


def _present(cube: xr.Dataset, scheme: str, others: Sequence[str]) -> list[str]:
    """Those of the others that are in the cube, if the scheme is."""
    known = cube["scheme"].values.tolist()
    return [other for other in others if other in known] if scheme in known else []


def _by_targets(cube: xr.Dataset) -> list[tuple[str, xr.Dataset]]:
    """Split a cube by number of targets, each with what to add to a label; the cube itself if not swept."""
    if "targets" not in cube["objective"].dims:
        return [("", cube)]
    return [(f", K = {k:g}", cube.sel(targets=k)) for k in cube["targets"].values.tolist()]


def _pair(cube: xr.Dataset, top: str, bottom: str) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """Objectives of two schemes, and where both may be compared."""
    a, b = cube.sel(scheme=top, drop=True), cube.sel(scheme=bottom, drop=True)
    ok = good(a) & good(b) & np.isfinite(a["objective"]) & np.isfinite(b["objective"])
    return a["objective"], b["objective"], ok


def _spread(top: xr.DataArray, bottom: xr.DataArray, ok: xr.DataArray) -> Row:
    return _row((top / bottom).transpose(*ok.dims).values[ok.values], int(ok.sum()), ok.size)


def _median_spread(top: xr.DataArray, bottom: xr.DataArray, ok: xr.DataArray) -> Row:
    """Spread along rho of the ratio of medians over draws."""
    ratios = np.array(
        [_ratio_of_medians(top.isel(rho=i), bottom.isel(rho=i), ok.isel(rho=i)) for i in range(top.sizes["rho"])]
    )
    return _row(ratios[np.isfinite(ratios)], int(ok.sum()), ok.size)


def _row(ratios: NDArray[np.float64], used: int, total: int) -> Row:
    numbers = [f(ratios) if ratios.size else np.nan for f in (np.min, np.median, np.max)]
    smallest, median, largest = (float(number) for number in numbers)
    return {
        "smallest": smallest,
        "median": median,
        "largest": largest,
        "used": used,
        "left out": total - used,
    }


def _ratio_of_medians(top: xr.DataArray, bottom: xr.DataArray, ok: xr.DataArray) -> float:
    keep = ok.values
    return float(np.median(top.values[keep]) / np.median(bottom.values[keep])) if keep.any() else np.nan


def claims_text(claims: Sequence[Claim]) -> str:
    """Tables of the claims as plain text, at most 110 columns wide."""
    return "\n\n".join(_text_of(claim) for claim in claims) + "\n"


def _text_of(claim: Claim) -> str:
    verdict = {True: "holds", False: "DOES NOT HOLD", None: "cannot tell"}[claim.holds]
    lines = [f"{claim.name}: {verdict}"]
    lines += textwrap.wrap(claim.statement, 108, initial_indent="  ", subsequent_indent="  ")
    if claim.measured:
        width = max(len(label) for label in claim.measured)
        columns = list(dict.fromkeys(column for row in claim.measured.values() for column in row))
        lines.append(f"  {'':{width}}" + "".join(f"{column:>11}" for column in columns))
        for label, row in claim.measured.items():
            lines.append(f"  {label:{width}}" + "".join(_cell(column, row.get(column)) for column in columns))
        lines.append(f"  ({claim.quantity})")
    lines += textwrap.wrap(claim.note, 108, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def _cell(column: str, value: float | None) -> str:
    if value is None or not np.isfinite(value):
        return f"{'-':>11}"
    return f"{value:11.4f}" if is_ratio(column) or column == "share won" else f"{value:11.0f}"


def claims_json(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Plain lists and dictionaries for a JSON document; None for a number that does not exist."""
    return [
        {
            **asdict(claim),
            "measured": {
                label: {column: value if np.isfinite(value) else None for column, value in row.items()}
                for label, row in claim.measured.items()
            },
        }
        for claim in claims
    ]
