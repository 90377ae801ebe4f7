"""The judged statements in words: as text, and one line for each point of a sweep."""

import textwrap
from collections.abc import Sequence

import numpy as np
import xarray as xr

from ..estimates import median_with_limits
from ..points import good, swept_keys
from ..words import said
from .judge import judged_at_points
from .verdicts import FAILS, HOLDS, IN_PART, Statement

_WIDTH = 118
_COUNTS = ("above", "below", "used", "left out")
_MARKS = {HOLDS: "yes", IN_PART: "part", FAILS: "no"}
_MOST_POINTS = 64
Table = tuple[list[str], list[list[str]]]


def as_text(statements: Sequence[Statement]) -> str:
    """Tables of all statements as plain text."""
    return "\n\n".join(_text_of(one) for one in statements) + "\n"


def title_of(one: Statement) -> str:
    """Numeral and name, as in "(i) BP: strong beams toward the UE"."""
    return f"({one.numeral}) {one.name}"


def _text_of(one: Statement) -> str:
    lines = [f"{title_of(one)}: {one.verdict.upper() if one.verdict == FAILS else one.verdict}"]
    lines += textwrap.wrap(one.statement, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    if one.rows:
        header, rows = table_of(one)
        lines += [f"  {line}" for line in _aligned(header, rows)]
        lines += textwrap.wrap(f"({one.quantity})", _WIDTH, initial_indent="  ", subsequent_indent="  ")
    lines += textwrap.wrap(one.note, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def table_of(one: Statement) -> Table:
    """Header and rows of a statement's numbers, each with its verdict."""
    columns = list(dict.fromkeys(column for row in one.rows.values() for column in row.numbers))
    rows = [
        [label, *(_cell(column, row.numbers.get(column, np.nan)) for column in columns), row.verdict]
        for label, row in one.rows.items()
    ]
    return ["", *columns, "verdict"], rows


def _cell(column: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:.0f}" if column in _COUNTS else f"{value:.4f}"


def _aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 or header[i] == "verdict" else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (header, *rows)
    ]


def verdict_table(cube: xr.Dataset) -> Table | None:
    """Which statements hold at which point of the sweep, with the bounds there.

    Result: header and rows: swept keys, ``targets`` apart; the statements; then, at the largest number of targets, the
    median root bounds of equal powers and of the extremes of fdb-wcrb, and how far the UE's beam is above that toward
    the strongest target for BP. None where nothing but ``targets`` is swept, or too many points are.
    """
    keys = [key for key in swept_keys(cube) if key != "targets"]
    if not keys or np.prod([cube.sizes[key] for key in keys]) > _MOST_POINTS:
        return None
    rows, header = [], [*keys]
    for values, statements, point in judged_at_points(cube):
        shown = _bounds(point) | _ue_over(statements[0])
        # No cube of draws has run times.
        verdicts = {f"({one.numeral})": _MARKS.get(one.verdict, "-") for one in statements if one.numeral != "ix"}
        header = [*keys, *verdicts, *shown]
        rows.append([*map(said, values), *verdicts.values(), *shown.values()])
    return header, rows


def table_text(table: Table) -> str:
    """A table of verdicts as plain text."""
    return "\n".join(_aligned(*table)) + "\n"


def _bounds(point: xr.Dataset) -> dict[str, str]:
    """Median root bounds, cm, at the largest number of targets."""
    last = point.isel(targets=int(np.argmax(point["targets"].values))) if "targets" in point.dims else point
    known = last["scheme"].values.tolist()
    wanted = {
        "BP APA (cm)": ("apa", 0.0, "crb_bp"),
        "MS APA (cm)": ("apa", 0.0, "crb_ms"),
        "BP FDB (cm)": ("fdb-wcrb", 1.0, "crb_bp"),
        "MS FDB (cm)": ("fdb-wcrb", 0.0, "crb_ms"),
    }
    shown = {}
    for name, (scheme, rho, bound) in wanted.items():
        if scheme in known and rho in last["rho"].values:
            one = last.sel(scheme=scheme, rho=rho)
            median = float(median_with_limits(one[bound].where(good(one)).values)[0])
            shown[name] = "-" if np.isnan(median) else f"{100.0 * np.sqrt(median):.4g}"
    return shown


def _ue_over(strong: Statement) -> dict[str, str]:
    """How far the UE's beam is above that toward the strongest target, dB, in BP; of the largest number of targets."""
    found: dict[str, str] = {}
    for label, row in strong.rows.items():
        over = row.numbers["UE over"]
        found[f"UE over T, {label.partition('-')[0]} (dB)"] = "-" if np.isnan(over) else f"{over:+.1f}"
    return found
