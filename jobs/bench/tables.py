"""The studies' tables for the terminal: coloured there, plain elsewhere."""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import xarray as xr
from crbatch.results.words import noun
from rich import box
from rich.table import Table

from ..terminal.output import rendered
from . import antennas, dispatch, speed

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]  # by heading: what a column shows of a row


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
    return rendered(*parts, _conditions(result), width=400).strip()


def speed_text(result: dict[str, Any]) -> str:
    """Tables of `crbatch bench speed`."""
    parts: list[Table | str] = []
    for name in dict.fromkeys(row["set"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["set"] == name]
        parts += [_speed_table(speed.SETS[name], rows), _quality_table(rows)]
    return _shown(result, *parts, _headlines_table(result["headlines"]))


def antennas_text(result: dict[str, Any]) -> str:
    """Table of `crbatch bench antennas`."""
    reasons = [f"{row['label']}: {row['missing']}" for row in result["rows"] if row["missing"]]
    return _shown(result, _antennas_table(result), *reasons, _statement_text(result["statement"]))


def dispatch_text(result: dict[str, Any]) -> str:
    """Tables of `crbatch bench dispatch`: costs, simulation, model, and what follows."""
    most, growth = result["most_workers"], result["memory_growth"]
    return _shown(
        result,
        _dispatch_table(result["dispatch"]),
        _committing_table(result["committing"]),
        _costs_table(result["costs"]),
        _simulation_table(result["simulation"]),
        "Driver, scheduler and sleeping workers share this machine's cores: beyond the knee it stays below the model,\n"
        "which gives the driver a core of its own.",
        _model_table(result["model"]),
        f"One driver feeds up to {most:,} {noun(most, 'worker')} like this machine's with chunks of a minute; "
        "for more, split the draws into an array of jobs that need no driver.\n"
        f"The driver's memory grows by {growth:,.0f} {noun(round(growth), 'byte')} a chunk on the way, and a run keeps "
        f"{result['costs']['memory_chunk']:,.0f} of bookkeeping for each.",
    )


def _shown(result: dict[str, Any], *parts: Table | str) -> str:
    """A study's tables, and where it was measured and lies; lines as long as they need where nobody wraps them."""
    return rendered(*parts, _conditions(result), *result["files"], width=180, terminal=sys.stdout.isatty())


def _conditions(result: dict[str, Any]) -> str:
    here = result["machine"]
    versions = ", ".join(f"{name} {here['versions'][name]}" for name in ("numpy", "numba", "cvxpy", "clarabel", "scs"))
    load = result["load_average"]
    return (
        f"{here['cpu']}, {here['cores']} cores, one thread each; {versions}\n"
        f"load average {load['before'][0]:g} before, {load['after'][0]:g} after"
    )


def duration(seconds: float) -> str:
    """Seconds in a unit that suits them, three digits."""
    if not seconds > 0.0:
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def _value(key: str, form: str = "") -> Callable[[Row], str]:
    return lambda row: format(row[key], form)


def _time(key: str) -> Callable[[Row], str]:
    return lambda row: duration(row[key])


def _table(title: str | None, rows: Sequence[Row], columns: Columns, words: int = 1) -> Table:
    """A table of a few columns of words, then of numbers."""
    table = Table(title=title, box=box.SIMPLE, title_justify="left", padding=(0, 1))
    for i, heading in enumerate(columns):
        table.add_column(heading, justify="left" if i < words else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(show(row) for show in columns.values()))
    return table


def _side_by_side(rows: list[dict[str, Any]]) -> Table:
    """Seconds per design and their ratio to ours, a pair of columns for each set of draws."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    table = _table(None, [], {"": str})
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


def _speed_table(title: str, rows: list[dict[str, Any]]) -> Table:
    columns: Columns = {
        "method": _value("label"),
        "designs/s/core": _value("designs_per_second", ",.4g"),
        "s/design: median": _time("seconds"),
        "quartiles": lambda row: " - ".join(map(duration, row["seconds_quartiles"])),
        "x ours": _value("times_ours", ",.4g"),
        "first call": _time("first_call_seconds"),
    }
    return _table(f"{title}: time", rows, columns)


def _quality_table(rows: list[dict[str, Any]]) -> Table:
    columns: Columns = {
        "method": _value("label"),
        "set-up, build": _time("build_seconds"),
        "compile": _time("compile_seconds"),
        "solve": _time("solve_seconds"),
        "judged": _value("judged"),
        "failed": _value("failures"),
        "<= 1e-6": lambda row: f"{100.0 * row['certified_share']:.4g} %",
        "gap: median": _value("median_gap", ".1e"),
        "worst": _value("worst_gap", ".1e"),
        "f / ours - 1": _value("objective_difference", ".0e"),
    }
    return _table("where the time goes, and what comes out", rows, columns)


def _headlines_table(headlines: list[dict[str, Any]]) -> Table:
    def target(key: str) -> Callable[[Row], str]:
        return lambda row: "" if row["reached"] is None else f"{'<=' if row['at_most'] else '>='} {row[key]:,g}"

    columns: Columns = {
        "draws": _value("set"),
        "ratio": _value("ratio"),
        "median": _value("value", ",.4g"),
        "quartiles": lambda row: " - ".join(f"{value:,.4g}" for value in row["quartiles"]),
        "must be": target("must"),
        "aim": target("aim"),
        "": lambda row: {True: "reached", False: "missed", None: ""}[row["reached"]],
    }
    return _table("ratios, round by round", headlines, columns, words=2)


def _antennas_table(result: dict[str, Any]) -> Table:
    def at_size(i: int) -> Callable[[Row], str]:
        return lambda row: duration(row["seconds"][i])

    columns: Columns = {
        "method": _value("label"),
        **{str(size): at_size(i) for i, size in enumerate(result["sizes"])},
        "slope": lambda row: f"{row['slope']:.2f}" if row["slope"] == row["slope"] else "-",
        "failed": _value("failures"),
    }
    return _table("time per design or FIM against transmit antennas", result["rows"], columns)


def _statement_text(statement: dict[str, Any]) -> str:
    """The paper's statement on run times with its verdict."""
    ratios = ", ".join(f"{label}: {row['median']:.3g}" for label, row in statement["rows"].items())
    measured = f"\nTime of (15) over that of {ratios}." if ratios else ""
    return f"({statement['numeral']}) {statement['name']}: {statement['verdict']}.{measured}"


def _dispatch_table(rows: list[dict[str, Any]]) -> Table:
    columns: Columns = {
        "workers": _value("workers"),
        "chunks": _value("chunks", ","),
        "per chunk": _time("seconds"),
        "driver and scheduler": _time("cpu_seconds"),
        "memory: first": lambda row: f"{row['memory_first'] / 1e6:.1f} MB",
        "last": lambda row: f"{row['memory_last'] / 1e6:.1f} MB",
    }
    return _table("empty chunks through a local cluster", rows, columns)


def _committing_table(rows: list[dict[str, Any]]) -> Table:
    columns: Columns = {
        "draws in it": _value("draws"),
        "commit in this process": _time("here_seconds"),
        "in a worker": _time("worker_seconds"),
        "driver and scheduler, each chunk": _time("cpu_seconds"),
    }
    return _table("chunks that commit a shard", rows, columns)


def _costs_table(costs: dict[str, Any]) -> Table:
    names = {
        "dispatch": "driver and scheduler, each chunk (one core)",
        "journal": "journal with sync, each chunk",
        "gap": "a worker's wait between chunks, at most",
        "shard": "commit: each shard",
        "shard_draw": "commit: each draw",
        "cube_shard": "consolidation: each shard",
        "cube_draw": "consolidation: each draw",
        "design": f"design (each draw has {costs['designs_per_draw']})",
    }
    rows = [{"cost": text, "time": costs[name]} for name, text in names.items()]
    return _table("what the model takes from this machine", rows, {"cost": _value("cost"), "time": _time("time")})


def _simulation_table(rows: list[dict[str, Any]]) -> Table:
    columns: Columns = {
        "chunk": _time("chunk_seconds"),
        "chunks/s wanted": _value("asked", ",.0f"),
        "predicted": _value("predicted", ",.0f"),
        "measured": _value("measured", ",.0f"),
        "measured / predicted": lambda row: f"{row['measured'] / row['predicted']:.2f}",
        "driver and scheduler": _time("cpu_per_chunk"),
    }
    slots = rows[0]["slots"]
    return _table(f"{slots} sleeping {noun(slots, 'worker')}, with the journal", rows, columns)


def _model_table(rows: list[dict[str, Any]]) -> Table:
    columns: Columns = {
        "workers": _value("workers", ","),
        "designs": _value("designs", ".0e"),
        "load at 4 s": lambda row: f"{100.0 * row['load_at_4_s']:,.0f} %",
        "smallest chunk": _time("smallest_chunk_seconds"),
        "chunk": _time("chunk_seconds"),
        "chunks = shards": _value("chunks", ","),
        "load": lambda row: f"{100.0 * row['load']:,.0f} %",
        "used": lambda row: f"{100.0 * row['utilisation']:.0f} %",
        "full at": _value("saturates_at", ",.0f"),
        "time": _time("seconds"),
        "cube": _time("cube_seconds"),
        "memory": lambda row: f"{row['memory'] / 1e6:,.0f} MB",
        "driver": lambda row: "one" if row["driver"] else "array mode",
    }
    return _table("the model: with chunks of 4 s or what the driver can feed", rows, columns)
