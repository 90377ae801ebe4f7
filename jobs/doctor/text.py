"""The doctor's findings for the terminal: coloured there, plain elsewhere."""

import io
import sys
from collections import Counter
from collections.abc import Sequence

from crbatch.results.words import counted
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .lines import Line

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}
_PLAIN_WIDTH = 150


def doctor_text(lines: Sequence[Line]) -> str:
    """Everything that was checked, part by part, with advice below what needs it, and the verdict at the end."""
    terminal = sys.stdout.isatty()
    console = Console(
        file=io.StringIO(), force_terminal=terminal, width=None if terminal else _PLAIN_WIDTH, highlight=False
    )
    for part in dict.fromkeys(line.part for line in lines):
        console.print(Text(part, style="bold"))
        table = Table.grid(padding=(0, 2))
        for _ in range(2):
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for line in (line for line in lines if line.part == part):
            said = Text(line.found)
            if line.advice:
                said.append(f"\n-> {line.advice}", style="italic")
            table.add_row(Text(line.state, style=_COLOURS[line.state]), line.check, said)
        console.print(Padding(table, (0, 0, 0, 2)))
    console.print(verdict(lines))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(row.rstrip() for row in text.splitlines())


def verdict(lines: Sequence[Line]) -> str:
    """One sentence."""
    counts = Counter(line.state for line in lines)
    warnings, problems = counted(counts["warning"], "warning"), counted(counts["problem"], "problem")
    if counts["problem"]:
        return f"{problems}, {warnings}: a run would fail, or be open to others; do first what stands at the arrows."
    if counts["warning"]:
        return f"no problem, {warnings}: a run works; the arrows say what would make it better."
    return f"all {len(lines)} checks are ok: ready to run."
