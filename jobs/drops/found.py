"""What a file of draws holds, and where in the file it stands."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Column:
    """A column of a table that is one of ours.

    Attributes
    ----------
    number, heading
        Where it stands, from 1, and what it is called there.
    variable, place
        Which of `engine.Draws`, and where in it behind the draw.
    factor
        To SI.
    """

    number: int
    heading: str
    variable: str
    place: tuple[int, ...]
    factor: float

    def __str__(self) -> str:
        return f"{self.number} ({self.heading})"


@dataclass(frozen=True, eq=False)
class Drops:
    """What a file says of its draws.

    Attributes
    ----------
    arrays
        By names of `engine.Draws`, which may be some of them, in SI units; the first axis is the draw.
    columns, lines
        Of a table: its columns, and the line of each draw.
    """

    arrays: Mapping[str, Array]
    columns: tuple[Column, ...] = ()
    lines: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def row(self, draw: int) -> str:
        """Where a draw stands in the file."""
        return f"line {self.lines[draw]}" if self.lines else f"draw {draw}"

    def heading(self, variable: str) -> str:
        """What the file calls a variable, by its first column."""
        return next((column.heading for column in self.columns if column.variable == variable), variable)

    def cell(self, variable: str, index: tuple[int, ...]) -> tuple[str, float]:
        """Where a number stands in the file, and the number in the file's unit."""
        value = float(self.arrays[variable][index])
        for column in self.columns:
            if (column.variable, column.place) == (variable, index[1:]):
                return f"{self.row(index[0])}, column {column}", value / column.factor
        return f"{self.row(index[0])}: {variable}", value
