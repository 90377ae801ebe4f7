"""Data on stdout: what every command answers with."""

import io
import json
import math
import sys
from typing import Any

from .printable import lines


def print_result(data: dict[str, Any] | list[Any], as_json: bool, text: str) -> None:
    """Write a command's answer on stdout, as JSON (null where there is no finite number) or as its text."""
    sys.stdout.write((json.dumps(_plain(data), sort_keys=True) if as_json else lines(text)).rstrip("\n") + "\n")
    sys.stdout.flush()


def rendered(*parts: Any, width: int, terminal: bool = False) -> str:
    """Words and tables of rich: coloured and as wide as it is for a terminal, else plain and up to `width` wide."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=None if terminal else width, highlight=False)
    for part in parts:
        console.print(part)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _plain(value: Any) -> Any:
    """Put null where there is no finite number: JSON has no other word for it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
