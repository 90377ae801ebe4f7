"""The doctor's findings for the terminal: coloured there, plain elsewhere."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from crbatch.results.words import counted
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..terminal.output import rendered
from .lines import Line

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor_text(lines: Sequence[Line]) -> str:
    """Everything that was checked, part by part, with advice below what needs it, and the verdict at the end."""
    shown: list[Any] = []
    for part in dict.fromkeys(line.part for line in lines):
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for line in (line for line in lines if line.part == part):
            said = Text(line.found)
            if line.advice:
                said.append(f"\n-> {line.advice}", style="italic")
            table.add_row(Text(line.state, style=_COLOURS[line.state]), line.check, said)
        shown += [Text(part, style="bold"), Padding(table, (0, 0, 0, 2))]
    return rendered(*shown, verdict(lines), width=150, terminal=sys.stdout.isatty())


def verdict(lines: Sequence[Line]) -> str:
    """One sentence."""
    counts = Counter(line.state for line in lines)
    warnings, problems = counted(counts["warning"], "warning"), counted(counts["problem"], "problem")
    if counts["problem"]:
        return f"{problems}, {warnings}: a run would fail, or be open to others; do first what stands at the arrows."
    if counts["warning"]:
        return f"no problem, {warnings}: a run works; the arrows say what would make it better."
    return f"all {len(lines)} checks are ok: ready to run."
