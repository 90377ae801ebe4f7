"""The studies' tables for the terminal: coloured there, plain elsewhere."""

import io
import sys
from typing import Any

from crbatch.results.words import noun
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


def _conditions(result: dict[str, Any], cores: str = "one core of ") -> str:
    here = result["machine"]
    versions = ", ".join(f"{name} {here['versions'][name]}" for name in ("numpy", "numba", "cvxpy", "clarabel", "scs"))
    load = result["load_average"]
    return (
        f"{here['cpu']}, {cores}{here['cores']}, one thread; {versions}\n"
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
    return _rendered(table, *reasons, _statement_text(result["statement"]), _conditions(result), *result["files"])


def _statement_text(statement: dict[str, Any]) -> str:
    """The paper's statement on run times with its verdict."""
    ratios = ", ".join(f"{label}: {row['median']:.3g}" for label, row in statement["rows"].items())
    measured = f"\nTime of (15) over that of {ratios}." if ratios else ""
    return f"({statement['numeral']}) {statement['name']}: {statement['verdict']}.{measured}"


def dispatch_text(result: dict[str, Any]) -> str:
    """Tables of `crbatch bench dispatch`: costs, simulation, model, and what follows."""
    most, growth = result["most_workers"], result["memory_growth"]
    advice = (
        f"One driver feeds up to {most:,} {noun(most, 'worker')} like this machine's with chunks of a minute; "
        "for more, split the draws into an array of jobs that need no driver.\n"
        f"The driver's memory grows by {growth:,.0f} {noun(round(growth), 'byte')} a chunk on the way, and a run keeps "
        f"{result['costs']['memory_chunk']:,.0f} of bookkeeping for each."
    )
    return _rendered(
        _dispatch_table(result["dispatch"]),
        _committing_table(result["committing"]),
        _costs_table(result["costs"]),
        _simulation_table(result["simulation"]),
        "Driver, scheduler and sleeping workers share this machine's cores: beyond the knee it stays below the model,\n"
        "which gives the driver a core of its own.",
        _model_table(result["model"]),
        advice,
        _conditions(result, "cores: "),
        *result["files"],
    )


def _dispatch_table(rows: list[dict[str, Any]]) -> Table:
    right = ("chunks", "per chunk", "driver and scheduler", "memory: first", "last")
    table = _table("empty chunks through a local cluster", ("workers",), right)
    for row in rows:
        memory = (f"{row[f'memory_{end}'] / 1e6:.1f} MB" for end in ("first", "last"))
        times = (duration(row["seconds"]), duration(row["cpu_seconds"]))
        table.add_row(str(row["workers"]), f"{row['chunks']:,}", *times, *memory)
    return table


def _committing_table(rows: list[dict[str, Any]]) -> Table:
    right = ("commit in this process", "in a worker", "driver and scheduler, each chunk")
    table = _table("chunks that commit a shard", ("draws in it",), right)
    for row in rows:
        table.add_row(str(row["draws"]), *(duration(row[f"{name}_seconds"]) for name in ("here", "worker", "cpu")))
    return table


def _costs_table(costs: dict[str, Any]) -> Table:
    rows = {
        "driver and scheduler, each chunk (one core)": costs["dispatch"],
        "journal with sync, each chunk": costs["journal"],
        "a worker's wait between chunks, at most": costs["gap"],
        "commit: each shard": costs["shard"],
        "commit: each draw": costs["shard_draw"],
        "consolidation: each shard": costs["cube_shard"],
        "consolidation: each draw": costs["cube_draw"],
        f"design (each draw has {costs['designs_per_draw']})": costs["design"],
    }
    table = _table("what the model takes from this machine", ("cost",), ("time",))
    for name, seconds in rows.items():
        table.add_row(name, duration(seconds))
    return table


def _simulation_table(rows: list[dict[str, Any]]) -> Table:
    right = ("chunks/s wanted", "predicted", "measured", "measured / predicted", "driver and scheduler")
    slots = rows[0]["slots"]
    table = _table(f"{slots} sleeping {noun(slots, 'worker')}, with the journal", ("chunk",), right)
    for row in rows:
        table.add_row(
            duration(row["chunk_seconds"]),
            *(f"{row[name]:,.0f}" for name in ("asked", "predicted", "measured")),
            f"{row['measured'] / row['predicted']:.2f}",
            duration(row["cpu_per_chunk"]),
        )
    return table


def _model_table(rows: list[dict[str, Any]]) -> Table:
    right = (
        "designs", "load at 4 s", "smallest chunk", "chunk", "chunks = shards", "load", "used", "full at", "time",
        "cube", "memory", "driver",
    )  # fmt: skip
    table = _table("the model: with chunks of 4 s or what the driver can feed", ("workers",), right)
    for row in rows:
        table.add_row(
            f"{row['workers']:,}",
            f"{row['designs']:.0e}",
            f"{100.0 * row['load_at_4_s']:,.0f} %",
            duration(row["smallest_chunk_seconds"]),
            duration(row["chunk_seconds"]),
            f"{row['chunks']:,}",
            f"{100.0 * row['load']:,.0f} %",
            f"{100.0 * row['utilisation']:.0f} %",
            f"{row['saturates_at']:,.0f}",
            duration(row["seconds"]),
            duration(row["cube_seconds"]),
            f"{row['memory'] / 1e6:,.0f} MB",
            "one" if row["driver"] else "array mode",
        )
    return table
