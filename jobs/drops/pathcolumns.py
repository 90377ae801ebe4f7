"""Paths in a file of our own: a row for each path of each link of each draw, as CSV or NetCDF.

NetCDF has the columns as variables along one dimension `row`, and 0 and 1 for the links. Numbers are written so that
they read back exactly.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from reprlib import repr as short
from typing import Any

import netCDF4
import numpy as np
from crbatch.engine.channel import channel_of
from crbatch.engine.draws import Draws
from crbatch.engine.rays import Rays
from crbatch.engine.scenario import Scenario
from crbatch.engine.unknowns import bistatic_paths, monostatic_paths
from crbatch.results.sizes import check_sizes

from .found import Array
from .netcdf import from_netcdf, netcdf_sizes, reading
from .pathfile import PathFile
from .table import NUMBER, cells_of, separator_of, text_of

_LINKS = ("bistatic", "monostatic")
_RAY = ("aod_rad", "aoa_rad", "delay_s", "gain_re", "gain_im")
_ELEVATIONS = ("aod_elevation_rad", "aoa_elevation_rad")
_POINT = ("x_m", "y_m", "z_m")
_SAID = ("phase_rad", "rcs_m2")
_UE = {
    "ue_position": ("ue_x_m", "ue_y_m", "ue_z_m"),
    "ue_orientation": ("ue_orientation_rad",),
    "ue_downtilt": ("ue_downtilt_rad",),
    "ue_slant": ("ue_slant_rad",),
}
_KNOWN = (
    "draw",
    "link",
    "path",
    *_RAY,
    *_ELEVATIONS,
    *_POINT,
    *_SAID,
    *(name for each in _UE.values() for name in each),
)
_NEEDED = ("draw", "link", "aod_rad", "delay_s", "gain_re", "gain_im")
_IN_SPACE = (*_ELEVATIONS, "z_m", "ue_z_m", "ue_downtilt_rad", "ue_slant_rad")


def write_paths(path: str | Path, scenario: Scenario, draws: Draws) -> None:
    """Write the paths of draws as a file that a job takes as `[draws] paths`, and `read_paths`.

    What is read back makes the same designs and bounds, bit by bit.

    Parameters
    ----------
    path
        ``.csv`` or ``.nc``.
    scenario, draws
        What is fixed and what was drawn.

    Raises
    ------
    ScenarioError
        If scenario and draws do not fit each other.
    ValueError
        If the file's name ends in something else.
    """
    path, columns = Path(path), _columns(scenario, draws)
    if path.suffix == ".nc":
        _write_netcdf(path, columns)
    elif path.suffix == ".csv":
        _write_csv(path, columns)
    else:
        raise ValueError(f"{path}: no format of a file of paths; give .csv or .nc")


def _columns(scenario: Scenario, draws: Draws) -> dict[str, Array]:
    """Rows of both links of every draw; NaN where there is nothing to say."""
    channel, dims, located = channel_of(scenario, draws), scenario.dimensions, scenario.targets + 1
    batch, everyone = channel.aod.shape
    nothing = np.full((batch, everyone), np.nan)
    points = np.full((batch, everyone, dims), np.nan)
    points[:, :located] = draws.places
    rcs = nothing.copy()
    rcs[:, :located] = np.concatenate((draws.ue_rcs[:, None], draws.target_rcs), axis=1)
    parts: list[dict[str, Array]] = []
    for link, own in enumerate(
        (bistatic_paths(scenario, channel.nuisances), monostatic_paths(scenario, channel.nuisances))
    ):
        delay = (channel.delay_bistatic, channel.delay_monostatic)[link]
        gain = (channel.gain_bistatic, channel.gain_monostatic)[link]
        phase = nothing.copy()
        phase[:, :located] = (draws.phase_bistatic, draws.phase_monostatic)[link]
        rows: dict[str, Any] = {
            "draw": np.repeat(np.arange(batch)[:, None], everyone, axis=1),
            "link": np.full((batch, everyone), link),
            "path": np.tile(np.arange(everyone), (batch, 1)),
            "aod_rad": channel.aod,
            "aod_elevation_rad": channel.aod_elevation,
            "aoa_rad": nothing if link else channel.aoa,
            "aoa_elevation_rad": nothing if link else channel.aoa_elevation,
            "delay_s": delay,
            "gain_re": gain.real,
            "gain_im": gain.imag,
            **{name: points[:, :, c] for c, name in enumerate(_POINT[:dims])},
            "phase_rad": phase,
            "rcs_m2": rcs if link else nothing,
        }
        for variable, names in _UE.items():
            values = getattr(draws, variable).reshape(batch, -1)
            for c, name in enumerate(names[: values.shape[1]]):
                rows[name] = np.repeat(values[:, c : c + 1], everyone, axis=1)
        parts.append(
            {name: values[:, list(own)] for name, values in rows.items() if dims == 3 or name not in _IN_SPACE}
        )
    return {name: np.concatenate([part[name] for part in parts], axis=1).ravel() for name in parts[0]}


def _write_csv(path: Path, columns: Mapping[str, Array]) -> None:
    def cell(name: str, value: float) -> str:
        if name == "link":
            return _LINKS[int(value)]
        return str(int(value)) if name in ("draw", "path") else "" if np.isnan(value) else repr(float(value))

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in zip(*columns.values(), strict=True):
            writer.writerow([cell(name, value) for name, value in zip(columns, row, strict=True)])


def _write_netcdf(path: Path, columns: Mapping[str, Array]) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("row", len(columns["draw"]))
        for name, values in columns.items():
            whole = name in ("draw", "link", "path")
            variable = file.createVariable(name, "i8" if whole else "f8", ("row",))
            variable[:] = values


@dataclass(frozen=True)
class _Table:
    """Columns of a file, NaN where a cell is empty, and where each row stands in it."""

    columns: Mapping[str, Array]
    rows: Sequence[str]


def read_path_table(path: Path) -> PathFile:
    """Read a CSV file of paths; a ValueError says the line and what is wrong in it."""
    lines = [(n, text) for n, text in enumerate(StringIO(text_of(path)), 1) if text.strip() and text[0] != "#"]
    if not lines:
        raise ValueError(f"no headings; the first line should have some of {', '.join(_KNOWN)}")
    mark = separator_of(lines[0][1].strip())
    names = cells_of((lines[0][0], lines[0][1].strip()), mark)
    _check_names(names)
    values: dict[str, list[float]] = {name: [] for name in names}
    for number, text in lines[1:]:
        cells = cells_of((number, text.rstrip("\n")), mark)
        if len(cells) != len(names):
            raise ValueError(f"line {number} has {len(cells)} cells for {len(names)} headings; give one for each")
        for name, cell in zip(names, cells, strict=True):
            values[name].append(_number(number, name, cell))
    columns = {name: np.array(each) for name, each in values.items()}
    return _file_of(_Table(columns, [f"line {number}" for number, _ in lines[1:]]))


def _number(line: int, name: str, cell: str) -> float:
    if name == "link":
        if cell not in _LINKS:
            raise ValueError(f"line {line}, column link: {short(cell)} is refused; it should be {' or '.join(_LINKS)}")
        return float(_LINKS.index(cell))
    if not cell:
        return np.nan
    if not NUMBER.fullmatch(cell):
        raise ValueError(f"line {line}, column {name}: {short(cell)} is refused; it should be a number, or empty")
    return float(cell)


def read_path_netcdf(path: Path) -> PathFile:
    """Read a NetCDF file of paths; a ValueError says what is wrong in it."""
    with reading("NetCDF"):
        held = netcdf_sizes(path, _KNOWN)
        check_sizes(path, held)
    names = list(held)
    _check_names(names)
    with reading("NetCDF"):
        found = {name: np.asarray(raw.values, np.float64) for name, raw in from_netcdf(path, names).items()}
    sizes = {values.shape for values in found.values()}
    if len(sizes) > 1 or len(next(iter(sizes))) != 1:
        raise ValueError("its variables differ in shape; give all of them one dimension, the row")
    return _file_of(_Table(found, [f"row {row}" for row in range(next(iter(sizes))[0])]))


def _check_names(names: Sequence[str]) -> None:
    unknown = next((name for name in names if name not in _KNOWN), None)
    if unknown is not None:
        raise ValueError(f"column {short(unknown)} is unknown; there are {', '.join(_KNOWN)}")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(f"column {twice} is there twice; delete one of them")
    lost = next((name for name in _NEEDED if name not in names), None)
    if lost is not None:
        raise ValueError(f"column {lost} is missing; there have to be {', '.join(_NEEDED)}")


def _file_of(table: _Table) -> PathFile:
    columns, dims = table.columns, 3 if any(name in table.columns for name in _IN_SPACE) else 2
    if not len(table.rows):
        raise ValueError("no paths below the headings")
    nothing = np.full(len(table.rows), np.nan)
    draw, link = columns["draw"], columns["link"]
    _check_cells(table)
    count = int(draw.max()) + 1
    lost = sorted(set(range(min(count, len(draw) + 1))) - set(draw[link == 0.0].tolist()))
    if lost:
        raise ValueError(f"draw {lost[0]} has no bistatic paths; draws count from 0 without gaps")

    def part(names: Sequence[str], own: Array, blank: Array = nothing) -> Array:
        return np.stack([columns.get(name, blank)[own] for name in names], axis=1)

    rays: tuple[list[Rays], list[Rays]] = ([], [])
    order = np.argsort(draw, kind="stable")
    each = np.split(order, np.searchsorted(draw[order], np.arange(1, count)))
    zero = np.zeros(len(table.rows))
    for rows in each:
        for side, found in enumerate(rays):
            own = rows[link[rows] == side]
            found.append(
                Rays(
                    part(("aod_rad", "aod_elevation_rad")[: dims - 1], own, zero),
                    np.nan_to_num(part(("aoa_rad", "aoa_elevation_rad")[: dims - 1], own, zero)),
                    columns["delay_s"][own],
                    columns["gain_re"][own] + 1j * columns["gain_im"][own],
                    part(_POINT[:dims], own),
                    *part(_SAID, own).T,
                )
            )
    first = np.array([rows[0] for rows in each])
    ue = {name: part(heads[: dims if len(heads) > 1 else 1], first) for name, heads in _UE.items()}
    ue = {name: values if name == "ue_position" else values[:, 0] for name, values in ue.items()}
    said = {name: values for name, values in ue.items() if not np.isnan(values).any()}
    return PathFile(tuple(rays[0]), tuple(rays[1]) if (link == 1.0).any() else None, said)


def _check_cells(table: _Table) -> None:
    """Refuse rows with cells that are missing, or no draw."""
    columns = table.columns
    draw = columns["draw"]
    bad = ~((draw >= 0) & (draw < 10**8) & (draw == np.floor(draw)))
    if bad.any():
        raise ValueError(f"{table.rows[int(np.argmax(bad))]}, column draw: give a whole number from 0 on")
    for name in (*_NEEDED, "aoa_rad"):
        missing = np.isnan(columns.get(name, np.full(len(draw), np.nan)))
        if name == "aoa_rad":
            missing &= columns["link"] == 0.0
        if missing.any():
            raise ValueError(f"{table.rows[int(np.argmax(missing))]}, column {name}: there is no number; give it")
