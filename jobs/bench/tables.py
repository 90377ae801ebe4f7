"""The studies' tables for the terminal: coloured there, plain elsewhere."""

import io
import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from .speed import LABELS, SETS


def _rendered(*parts: Table | str) -> str:
    """What a console would show; lines as long as they need where nobody wraps them."""
    terminal = sys.stdout.isatty()
    width = None if terminal else 180
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width, highlight=False)
    for part in parts:
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def duration(seconds: float) -> str:
    """Seconds in a unit that suits them, three digits."""
    if not seconds > 0.0:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _conditions(result: dict[str, Any]) -> str:
    here = result["machine"]
    versions = ", ".join(f"{name} {here['versions'][name]}" for name in ("numpy", "numba", "cvxpy", "clarabel", "scs"))
    load = result["load_average"]
    return (
        f"{here['cpu']}, one core of {here['cores']}, one thread; {versions}\n"
        f"load average {load['before'][0]:g} before, {load['after'][0]:g} after"
    )


def speed_text(result: dict[str, Any]) -> str:
    """Tables of `crbatch bench speed`."""
    parts: list[Table | str] = []
    for name, title in SETS.items():
        rows = [row for row in result["rows"] if row["set"] == name]
        parts += [_speed_table(title, rows), _quality_table(rows)]
    parts += [_headlines_table(result["headlines"]), _conditions(result), *result["files"]]
    return _rendered(*parts)


def _table(title: str | None, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    """A table of columns of words, then of numbers."""
    table = Table(title=title, box=box.SIMPLE, title_justify="left", padding=(0, 1))
    for column in left + right:
        table.add_column(column, justify="left" if column in left else "right", no_wrap=True)
    return table


def _speed_table(title: str, rows: list[dict[str, Any]]) -> Table:
    right = ("designs/s/core", "s/design: median", "quartiles", "x ours", "first call")
    table = _table(f"{title}: time", ("method",), right)
    for row in rows:
        table.add_row(
            LABELS[row["method"]],
            f"{row['designs_per_second']:,.4g}",
            duration(row["seconds"]),
            " - ".join(map(duration, row["seconds_quartiles"])),
            f"{row['times_ours']:,.4g}",
            duration(row["first_call_seconds"]),
        )
    return table


def _quality_table(rows: list[dict[str, Any]]) -> Table:
    right = ("set-up, build", "compile", "solve", "judged", "failed", "<= 1e-6", "gap: median", "worst", "f / ours - 1")
    table = _table("where the time goes, and what comes out", ("method",), right)
    for row in rows:
        table.add_row(
            LABELS[row["method"]],
            *(duration(row[f"{part}_seconds"]) for part in ("build", "compile", "solve")),
            str(row["judged"]),
            str(row["failures"]),
            f"{100.0 * row['certified_share']:.4g} %",
            f"{row['median_gap']:.1e}",
            f"{row['worst_gap']:.1e}",
            f"{row['objective_difference']:.0e}",
        )
    return table


def _headlines_table(headlines: list[dict[str, Any]]) -> Table:
    table = _table("ratios, round by round", ("draws", "ratio"), ("median", "quartiles", "must be", "aim", ""))
    for line in headlines:
        sign = "<=" if line["at_most"] else ">="
        low, high = line["quartiles"]
        known = line["reached"] is not None
        table.add_row(
            line["set"],
            line["ratio"],
            f"{line['value']:,.4g}",
            f"{low:,.4g} - {high:,.4g}",
            f"{sign} {line['must']:,g}" if known else "",
            f"{sign} {line['aim']:,g}" if known else "",
            {True: "reached", False: "missed", None: ""}[line["reached"]],
        )
    return table


def antennas_text(result: dict[str, Any]) -> str:
    """Table of `crbatch bench antennas`."""
    sizes = tuple(map(str, result["sizes"]))
    table = _table("time per design or FIM against transmit antennas", ("method",), (*sizes, "slope", "failed"))
    for row in result["rows"]:
        slope = row["slope"]
        table.add_row(
            row["label"],
            *(duration(value) for value in row["seconds"]),
            f"{slope:.2f}" if slope == slope else "-",
            str(row["failures"]),
        )
    reasons = [f"{row['label']}: {row['missing']}" for row in result["rows"] if row["missing"]]
    return _rendered(table, *reasons, _conditions(result), *result["files"])
