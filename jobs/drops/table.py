"""Tables of draws as text, as spreadsheets, pandas, NumPy and R write them.

Cells end at semicolons, tabs, commas, bars or blanks, whichever of these the headings have first; a spreadsheet may
say it in a line ``sep=;``. Blank lines and lines that begin with # are passed over, empty cells at a line's end too.
"""

import csv
import re
from array import array
from collections.abc import Collection, Iterator, Sequence
from io import StringIO
from itertools import chain
from pathlib import Path
from reprlib import repr as short

import numpy as np
from crbatch.results.words import counted

from .columns import OURS, find_columns
from .found import Array, Column, Drops

_SEPARATORS = ";\t,| "
# What pandas and R call their column of row numbers.
_INDEX = ("", "Unnamed: 0")
# Python's float() takes 1_0, nan, inf and digits of any script as well. Possessive, so that no cell takes long.
NUMBER = re.compile(r"[+-]?+(\d++(\.\d*+)?+|\.\d++)([eE][+-]?+\d++)?+", re.ASCII)
Line = tuple[int, str]  # its number, from 1, and its text
Row = tuple[int, list[str]]  # number of the line, and cells


def read_table(path: Path, ignored: Collection[str]) -> Drops:
    """Read a table of draws.

    `path`: text in UTF-8: a line of headings (see `columns`), which may be a comment as NumPy writes it, and a line a
    draw. `ignored`: headings of columns to pass over. Result: in the file's order. Raises ValueError, naming line,
    column and heading.
    """
    line, headings, rows = _parts(text_of(path))
    index = headings[0] in _INDEX and headings[0] not in ignored
    try:
        columns = find_columns(list(enumerate(headings, 1))[index:], ignored)
    except ValueError as error:
        raise ValueError(f"line {line}: {error}") from None
    values, lines = array("d"), array("q")
    for line, cells in rows:
        if index:
            _check_index(line, cells[0], len(lines))
        lines.append(line)
        values.extend(_number(line, column, cells[column.number - 1]) for column in columns)
    if not lines:
        raise ValueError("no draws below the headings")
    numbers = np.frombuffer(values, np.float64).reshape(len(lines), len(columns))
    return Drops(_assembled(columns, numbers), columns, tuple(lines))


def text_of(path: Path) -> str:
    """The text of a file; a ValueError names the first line that is none."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is no UTF-8 text; save it as UTF-8") from None


def _parts(text: str) -> tuple[int, list[str], Iterator[Row]]:
    """Line of the headings, the headings, and the rows below them."""
    numbered = enumerate(StringIO(text, newline=None), 1)
    lines: Iterator[Line] = ((number, line.rstrip("\n")) for number, line in numbered if line.strip())
    first = next(lines, (1, ""))
    said = re.match(r'"?sep=([;\t,| ])["\s;,|]*$', first[1], re.IGNORECASE)
    lines = lines if said else chain([first], lines)
    head, comment = (1, ""), None
    for head in lines:
        if not _is_comment(head):
            break
        head, comment = (1, ""), head
    mark = said[1] if said else separator_of(head[1])
    headings = _trimmed(cells_of(head, mark))
    if headings and all(map(NUMBER.fullmatch, headings)):  # NumPy makes a comment of the headings
        if comment is None:
            raise ValueError(f"line {head[0]} has numbers in place of headings; there are {OURS}")
        lines = chain([head], lines)
        head = (comment[0], comment[1].strip().lstrip("# "))
        headings = _trimmed(cells_of(head, said[1] if said else separator_of(head[1])))
    if not any(headings):
        raise ValueError(f"no headings; the first line should have some of {OURS}")
    cut = ((line[0], cells_of(line, mark)) for line in lines if not _is_comment(line))
    return head[0], headings, (_row(line, cells, headings) for line, cells in cut if any(cells))


def _is_comment(line: Line) -> bool:
    return line[1].lstrip().startswith("#")


def separator_of(text: str) -> str:
    """What cells end at, by a line of them."""
    return next((mark for mark in _SEPARATORS if mark in text.strip(" ")), ",")


def cells_of(line: Line, separator: str) -> list[str]:
    """Cells of a line."""
    number, text = line
    try:
        cells = next(csv.reader([text.strip(" ")], delimiter=separator, skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise ValueError(f"line {number} cannot be cut into cells ({error}); correct its quotes") from None
    return [cell.strip() for cell in cells]


def _trimmed(cells: list[str], least: int = 0) -> list[str]:
    """Without empty cells at the end, but with some number of cells."""
    while len(cells) > least and not cells[-1]:
        cells.pop()
    return cells


def _row(line: int, cells: list[str], headings: Sequence[str]) -> Row:
    """A row with a cell for each heading."""
    cells = _trimmed(cells, len(headings))
    if len(cells) != len(headings):
        reason = f"line {line} has {counted(len(cells), 'cell')} for {counted(len(headings), 'heading')}"
        whole = len(cells) > len(headings) and all(re.fullmatch("[+-]?[0-9]+", cell) for cell in cells)
        raise ValueError(f"{reason}; write decimals with a point" if whole else f"{reason}; give one for each")
    return line, cells


def _check_index(line: int, cell: str, row: int) -> None:
    """Refuse a column without a heading unless it counts the rows, from 0 as pandas does or from 1 as R does."""
    if cell not in (str(row), str(row + 1)):
        raise ValueError(f"line {line}, column 1 has no heading and, with {short(cell)}, is no index 0, 1, 2; name it")


def _number(line: int, column: Column, cell: str) -> float:
    if NUMBER.fullmatch(cell):
        return float(cell)
    reason = "is refused; it should be a number"
    if "," in cell and set(cell) <= set("0123456789+-.,eE' "):
        reason = "has a comma; write decimals with a point, and thousands without a mark"
    raise ValueError(f"line {line}, column {column}: {short(cell)} {reason}")


def _assembled(columns: Sequence[Column], numbers: Array) -> dict[str, Array]:
    """Variables from their columns, in SI units."""
    arrays = {}
    for variable in dict.fromkeys(column.variable for column in columns):
        places = [column.place for column in columns if column.variable == variable]
        arrays[variable] = np.empty((len(numbers), *(max(axis) + 1 for axis in zip(*places, strict=True))))
    for n, column in enumerate(columns):
        where: tuple[slice | int, ...] = (slice(None), *column.place)
        arrays[column.variable][where] = numbers[:, n] * column.factor
    return arrays
