"""The studies' tables for the terminal: coloured there, plain elsewhere."""

import io
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import xarray as xr
from crbatch.results.words import noun
from rich import box
from rich.console import Console
from rich.table import Table

from . import antennas, dispatch, speed


def _rendered(*parts: Table | str) -> str:
    """What a console would show; lines as long as they need where nobody wraps them."""
    terminal = sys.stdout.isatty()
    return _on(Console(file=io.StringIO(), force_terminal=terminal, width=None if terminal else 180), parts)


def _on(console: Console, parts: Iterable[Table | str]) -> str:
    for part in parts:
        console.print(part, highlight=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def markdown(study: str, cube: xr.Dataset) -> str:
    """The tables of a study in Markdown, those that the README shows first.

    `study`: ``speed``, ``antennas`` or ``dispatch``. `cube`: what it wrote.
    """
    match study:
        case "speed":
            result = speed.report_of(cube)
            tables = [_side_by_side(result["rows"]), _headlines_table(result["headlines"])]
        case "antennas":
            result = antennas.report_of(cube)
            tables = [_antennas_table(result)]
        case _:
            result = dispatch.report_of(cube)
            tables = [
                _costs_table(result["costs"]),
                _simulation_table(result["simulation"]),
                _model_table(result["model"]),
            ]
    parts: list[Table | str] = []
    for table in tables:
        parts += [f"{table.title}\n" if table.title else "", table, ""]
        table.title, table.box = None, box.MARKDOWN
    return _on(Console(file=io.StringIO(), width=400), [*parts, _conditions(result)]).strip()


def _side_by_side(rows: list[dict[str, Any]]) -> Table:
    """Seconds per design and their ratio to ours, a pair of columns for each set of draws."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    table = _table(None, ("",), ())
    for name in sets:
        table.add_column(speed.SETS[name].partition(" at ")[0].partition(":")[0])
        table.add_column("ratio")
    for label in dict.fromkeys(row["label"] for row in rows):
        own = {row["set"]: row for row in rows if row["label"] == label}
        cells = ((duration(own[name]["seconds"]), _ratio(own[name]["times_ours"])) for name in sets)
        table.add_row(label, *chain.from_iterable(cells))
    return table


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10.0 or value == 1.0 else f"{value:.2f}"


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
        f"{here['cpu']}, {here['cores']} cores, one thread each; {versions}\n"
        f"load average {load['before'][0]:g} before, {load['after'][0]:g} after"
    )


def speed_text(result: dict[str, Any]) -> str:
    """Tables of `crbatch bench speed`."""
    parts: list[Table | str] = []
    for name, title in speed.SETS.items():
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
            row["label"],
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
            row["label"],
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
    reasons = [f"{row['label']}: {row['missing']}" for row in result["rows"] if row["missing"]]
    statement = _statement_text(result["statement"])
    return _rendered(_antennas_table(result), *reasons, statement, _conditions(result), *result["files"])


def _antennas_table(result: dict[str, Any]) -> Table:
    sizes = tuple(map(str, result["sizes"]))
    table = _table("time per design or FIM against transmit antennas", ("method",), (*sizes, "slope", "failed"))
    for row in result["rows"]:
        slope = f"{row['slope']:.2f}" if row["slope"] == row["slope"] else "-"
        table.add_row(row["label"], *map(duration, row["seconds"]), slope, str(row["failures"]))
    return table


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
        _conditions(result),
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
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "designs": lambda row: f"{row['designs']:.0e}",
        "load at 4 s": lambda row: f"{100.0 * row['load_at_4_s']:,.0f} %",
        "smallest chunk": lambda row: duration(row["smallest_chunk_seconds"]),
        "chunk": lambda row: duration(row["chunk_seconds"]),
        "chunks = shards": lambda row: f"{row['chunks']:,}",
        "load": lambda row: f"{100.0 * row['load']:,.0f} %",
        "used": lambda row: f"{100.0 * row['utilisation']:.0f} %",
        "full at": lambda row: f"{row['saturates_at']:,.0f}",
        "time": lambda row: duration(row["seconds"]),
        "cube": lambda row: duration(row["cube_seconds"]),
        "memory": lambda row: f"{row['memory'] / 1e6:,.0f} MB",
        "driver": lambda row: "one" if row["driver"] else "array mode",
    }
    table = _table("the model: with chunks of 4 s or what the driver can feed", ("workers",), tuple(columns))
    for row in rows:
        table.add_row(f"{row['workers']:,}", *(text(row) for text in columns.values()))
    return table
