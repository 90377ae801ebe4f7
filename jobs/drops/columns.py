"""Headings of a table of draws: which variable each one is a part of, and in which unit."""

import math
import re
from collections.abc import Collection, Sequence
from itertools import product
from reprlib import repr as short

from .found import Column

_DEGREE = math.pi / 180.0
_NAMED = 8  # unknown columns in a message
# Variable, component, factor to SI; {} counts targets from 1, and paths from 0.
_HEADINGS: dict[str, tuple[str, tuple[int, ...], float]] = {
    "ue_x_m": ("ue_position", (0,), 1.0),
    "ue_y_m": ("ue_position", (1,), 1.0),
    "ue_z_m": ("ue_position", (2,), 1.0),
    "ue_orientation_deg": ("ue_orientation", (), _DEGREE),
    "ue_orientation_rad": ("ue_orientation", (), 1.0),
    "ue_downtilt_deg": ("ue_downtilt", (), _DEGREE),
    "ue_downtilt_rad": ("ue_downtilt", (), 1.0),
    "ue_slant_deg": ("ue_slant", (), _DEGREE),
    "ue_slant_rad": ("ue_slant", (), 1.0),
    "ue_rcs_m2": ("ue_rcs", (), 1.0),
    "target{}_x_m": ("target_position", (0,), 1.0),
    "target{}_y_m": ("target_position", (1,), 1.0),
    "target{}_z_m": ("target_position", (2,), 1.0),
    "target{}_rcs_m2": ("target_rcs", (), 1.0),
    "phase_bistatic{}_deg": ("phase_bistatic", (), _DEGREE),
    "phase_bistatic{}_rad": ("phase_bistatic", (), 1.0),
    "phase_monostatic{}_deg": ("phase_monostatic", (), _DEGREE),
    "phase_monostatic{}_rad": ("phase_monostatic", (), 1.0),
}
OURS = (
    f"{', '.join(_HEADINGS).replace('target{}', 'target1').replace('{}', '0')} and so on (targets from 1, paths from 0)"
)


def find_columns(headings: Sequence[tuple[int, str]], ignored: Collection[str]) -> tuple[Column, ...]:
    """Find our columns among a table's headings.

    `headings`: number of each column, from 1, and what it is called. `ignored`: headings to pass over. Result: in the
    table's order, at least one; every variable is there as a whole or not at all. Raises ValueError, naming columns
    that are unknown, missing or there twice.
    """
    lost = set(ignored) - {name for _, name in headings}
    if lost:
        raise ValueError(f"no column {short(min(lost))}, which draws.ignore_columns names; correct that")
    found = {(number, name): _column(number, name) for number, name in headings if name not in ignored}
    columns = tuple(column for column in found.values() if column is not None)
    if len(columns) < max(len(found), 1):
        raise ValueError(_unknown([heading for heading, column in found.items() if column is None]))
    _check_whole(columns)
    return columns


def _column(number: int, name: str) -> Column | None:
    numbered = re.fullmatch(r"(target|phase_bistatic|phase_monostatic)([0-9]{1,4})_([a-z0-9_]+)", name)
    known = _HEADINGS.get(f"{numbered[1]}{{}}_{numbered[3]}" if numbered else name)
    if known is None or "{" in name:
        return None
    variable, place, factor = known
    if numbered:
        entity = int(numbered[2]) - (numbered[1] == "target")
        if entity < 0:
            raise ValueError(f"column {number} ({name}): targets count from 1; correct the headings")
        place = (entity, *place)
    return Column(number, name, variable, place, factor)


def _unknown(columns: Sequence[tuple[int, str]]) -> str:
    nameless = [number for number, name in columns if not name]
    if nameless:
        return f"column {nameless[0]} has no heading; name it or delete it; there are {OURS}"
    if not columns:
        return f"no columns are left; there are {OURS}"
    said = " and ".join(f"{number} ({short(name)})" for number, name in columns[:_NAMED])
    words = f"columns {said} are unknown" if len(columns) > 1 else f"column {said} is unknown"
    return f"{words}; there are {OURS}; delete the others, or name them in draws.ignore_columns"


def _check_whole(columns: Sequence[Column]) -> None:
    """Refuse what is said twice, and variables of which a part is missing."""
    parts: dict[str, dict[tuple[int, ...], Column]] = {}
    for column in columns:
        there = parts.setdefault(column.variable, {})
        if column.place in there:
            raise ValueError(f"columns {there[column.place]} and {column} say the same; delete one of them")
        there[column.place] = column
    for variable, there in parts.items():
        sizes = [max(axis) + 1 for axis in zip(*there, strict=True)]
        if variable.endswith("_position"):
            sizes[-1] = max(2, sizes[-1])
        for place in product(*map(range, sizes)):
            if place not in there:
                beside = next(iter(there.values())).heading
                raise ValueError(f"{_heading(variable, place, beside)} is missing beside {beside}")


def _heading(variable: str, place: tuple[int, ...], beside: str) -> str:
    """The heading of one part of a variable, in the unit of another part."""
    unit = beside.rpartition("_")[2]
    for pattern, (name, component, _) in _HEADINGS.items():
        if name == variable and place[len(place) - len(component) :] == component and pattern.endswith(f"_{unit}"):
            return pattern.format(place[0] + pattern.startswith("target"))
    raise AssertionError(variable)
