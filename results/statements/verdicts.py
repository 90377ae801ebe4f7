"""What a verdict on a statement is: rows of numbers, each with its own, summed up to one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..estimates import Array, median_with_limits

HOLDS, IN_PART, FAILS, UNKNOWN = "holds", "holds in part", "does not hold", "cannot tell"
SAME = 1.0 + 1e-12  # a ratio up to this is 1


@dataclass(frozen=True)
class Row:
    """One comparison: its numbers by column, and what it says of the statement."""

    numbers: Mapping[str, float]
    verdict: str


@dataclass(frozen=True)
class Statement:
    """One statement of the paper beside what a cube says of it."""

    numeral: str
    name: str
    statement: str  # what the paper says
    quantity: str  # what the numbers are of, in words
    rows: Mapping[str, Row]  # comparisons by label
    verdict: str  # holds; holds in part, where some rows do; does not hold; or cannot tell
    note: str = ""  # how to read it, or why the cube cannot tell


def summed_up(
    numeral: str, name: str, statement: str, quantity: str, rows: Mapping[str, Row], note: str, missing: str
) -> Statement:
    """Sum up the rows: of those that tell, all, none or some may hold."""
    told = [row.verdict for row in rows.values() if row.verdict != UNKNOWN]
    if not told:
        why = f"Not applicable: {missing}." if not rows else f"Too few finite, certified values; {missing}."
        return Statement(numeral, name, statement, quantity, rows, UNKNOWN, why)
    alike = told[0] if len(set(told)) == 1 else IN_PART
    return Statement(numeral, name, statement, quantity, rows, alike, note)


def counts(values: Array) -> dict[str, float]:
    """How many draws have a value, and how many are left out."""
    used = int((~np.isnan(values)).sum())
    return {"used": used, "left out": values.size - used}


def limits(name: str, values: Array) -> dict[str, float]:
    """Median and limits of a quantity of every draw, by columns that have its name."""
    median, lower, upper = (float(value) for value in median_with_limits(values))
    return {name: median, f"{name}, lower": lower, f"{name}, upper": upper}


def single(ratio: Array, blur: float = SAME) -> Row:
    """Judge one ratio of every draw: it is to be above 1; between 1 and `blur` it cannot be told."""
    median, lower, upper = (float(value) for value in median_with_limits(ratio))
    numbers = {"median": median, "lower": lower, "upper": upper} | counts(ratio)
    if np.isnan(median) or lower == -np.inf or SAME < lower <= blur:
        return Row(numbers, UNKNOWN)
    return Row(numbers, HOLDS if lower > SAME else FAILS)


def as_plain(statements: Sequence[Statement]) -> list[dict[str, Any]]:
    """Plain lists and dictionaries for a JSON document; None for a number that does not exist or is infinite."""

    def plain(row: Row) -> dict[str, Any]:
        return {name: value if np.isfinite(value) else None for name, value in row.numbers.items()} | {
            "verdict": row.verdict
        }

    return [{**asdict(one), "rows": {label: plain(row) for label, row in one.rows.items()}} for one in statements]
