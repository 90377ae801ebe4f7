"""What a file of draws holds, and where in the file it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Raw:
    """A variable as a file has it; dimensions and unit where the file says them."""

    values: NDArray[Any]
    dims: tuple[str, ...] | None = None
    units: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of a table that is one of ours."""

    number: int  # where it stands, from 1
    heading: str
    variable: str  # which of `engine.Draws`
    place: tuple[int, ...]  # where in it behind the draw
    factor: float  # to SI

    def __str__(self) -> str:
        return f"{self.number} ({self.heading})"


@dataclass(frozen=True, eq=False)
class Drops:
    """What a file says of its draws."""

    arrays: Mapping[str, Array]  # by names of `engine.Draws`, which may be some of them, in SI; the first axis: draws
    columns: tuple[Column, ...] = ()  # of a table
    lines: tuple[int, ...] = ()  # of a table, for each draw

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
