"""Draws from a file: `[draws] file`, CSV or NetCDF. What the file holds takes the place of what would be drawn."""

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from results.schema import DRAW_VARIABLES, VARIABLES

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Column:
    """Where a column of a CSV file goes."""

    variable: str
    component: int | None
    factor: float  # to SI
    entity: int | None = None  # which target or path, from 0

    @property
    def place(self) -> tuple[int, ...]:
        """Place in the variable, behind the draw."""
        return tuple(part for part in (self.entity, self.component) if part is not None)


# {} counts targets from 1, and paths from 0.
_COLUMNS = {
    "ue_x_m": _Column("ue_position", 0, 1.0),
    "ue_y_m": _Column("ue_position", 1, 1.0),
    "ue_orientation_deg": _Column("ue_orientation", None, math.pi / 180.0),
    "ue_rcs_m2": _Column("ue_rcs", None, 1.0),
    "target{}_x_m": _Column("target_position", 0, 1.0),
    "target{}_y_m": _Column("target_position", 1, 1.0),
    "target{}_rcs_m2": _Column("target_rcs", None, 1.0),
    "phase_bistatic{}_rad": _Column("phase_bistatic", None, 1.0),
    "phase_monostatic{}_rad": _Column("phase_monostatic", None, 1.0),
}


@dataclass(frozen=True, eq=False)
class Drops:
    """What a file says of its draws.

    Attributes
    ----------
    rows
        How many draws.
    arrays
        By names of `engine.Draws`, which may be some of them; the first axis is the draw.
    """

    rows: int
    arrays: Mapping[str, Array]

    def __len__(self) -> int:
        return self.rows


def read_drops(path: Path) -> Drops:
    """Read a file of draws.

    Parameters
    ----------
    path
        ``.csv`` with a header and columns like ``ue_x_m``, ``target1_rcs_m2`` (targets from 1) or
        ``phase_bistatic0_rad`` (paths from 0); or ``.nc`` with the cube's own variables, such as a cube.

    Returns
    -------
    Drops
        Finite, with positive RCS, in the file's order.

    Raises
    ------
    ValueError
        In one line: what is wrong, and where.
    """
    stamp = path.stat()
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, _time: int, _size: int) -> Drops:
    arrays = _from_csv(path) if path.suffix.lower() == ".csv" else _from_netcdf(path)
    if not arrays:
        raise ValueError(f"{path} has none of {', '.join(DRAW_VARIABLES)}")
    rows = len(next(iter(arrays.values())))
    if rows == 0:
        raise ValueError(f"{path} has no draws")
    for name, values in arrays.items():
        bad = ~np.isfinite(values)
        if name.endswith("_rcs"):
            bad |= values <= 0.0
        if bad.any():
            row = int(np.argwhere(bad)[0, 0])
            wanted = "a positive number" if name.endswith("_rcs") else "a number"
            raise ValueError(f"{path}: draw {row}: {name} is {values[row].tolist()}; it should be {wanted}")
    return Drops(rows, arrays)


def _from_netcdf(path: Path) -> dict[str, Array]:
    try:
        with xr.open_dataset(path, engine="netcdf4") as data:
            arrays = {}
            for name in DRAW_VARIABLES:
                if name not in data:
                    continue
                variable, known = data[name], VARIABLES[name]
                if variable.dims != known.dims:
                    raise ValueError(
                        f"{path}: {name} has dimensions {variable.dims}; it should have {known.dims} (of a cube with "
                        "a sweep, select one point)"
                    )
                if variable.attrs.get("units", known.units) != known.units:
                    raise ValueError(f"{path}: {name} is in {variable.attrs['units']}; it should be in {known.units}")
                arrays[name] = np.ascontiguousarray(variable.values, np.float64)
            return arrays
    except OSError as error:
        raise ValueError(f"{path} is no NetCDF file ({error.strerror or error}); give .csv or .nc") from None


def _from_csv(path: Path) -> dict[str, Array]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            rows = [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; save it as UTF-8") from None
    columns = _columns(path, header)
    table = np.empty((len(rows), len(header)))
    for n, (line, cells) in enumerate(rows):
        if len(cells) != len(header):
            raise ValueError(f"{path}: line {line} has {len(cells)} cells; the header has {len(header)}")
        for number, cell in enumerate(cells):
            try:
                table[n, number] = float(cell)
            except ValueError:
                raise ValueError(f"{path}: line {line}: {header[number]} is {cell!r}; it should be a number") from None
    return {
        name: _assembled(
            path, name, table, [(n, column) for n, column in enumerate(columns) if column.variable == name]
        )
        for name in dict.fromkeys(column.variable for column in columns)
    }


def _columns(path: Path, header: list[str]) -> list[_Column]:
    found = []
    for name in header:
        pattern = re.sub(r"^(target|phase_\w+static)[0-9]{1,4}_", r"\1{}_", name)
        if pattern not in _COLUMNS or "{" in name:
            known = ", ".join(_COLUMNS).replace("target{}", "target1").replace("{}", "0")
            raise ValueError(f"{path}: unknown column {name!r}; there are {known} and so on")
        column = _COLUMNS[pattern]
        if "{}" in pattern:
            number = int(re.findall("[0-9]+", name)[0])
            column = replace(column, entity=number - 1 if name.startswith("target") else number)
        if column in found:
            raise ValueError(f"{path}: column {name!r} is there twice")
        found.append(column)
    return found


def _assembled(path: Path, name: str, table: Array, columns: list[tuple[int, _Column]]) -> Array:
    """One variable from its columns, which have to be all of them."""
    shape = tuple(max(sizes) + 1 for sizes in zip(*(column.place for _, column in columns), strict=True))
    whole = len(columns) == math.prod(shape) and min(min(column.place, default=0) for _, column in columns) >= 0
    if not whole or (name.endswith("_position") and shape[-1] < 2):
        raise ValueError(f"{path}: columns of {name} are missing; give x and y, and each target from 1 or path from 0")
    values = np.empty((len(table), *shape))
    for number, column in columns:
        where: tuple[slice | int, ...] = (slice(None), *column.place)
        values[where] = table[:, number] * column.factor
    return values
