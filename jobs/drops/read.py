"""Read a file of draws, whatever its format, and hold it against the limits of the scenario."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .arrays import read_matlab, read_netcdf
from .found import Drops
from .table import read_table

_READERS = {
    read_table: (".csv", ".tsv", ".txt", ".dat"),
    read_netcdf: (".nc", ".nc4", ".netcdf", ".cdf", ".h5", ".hdf5"),
    read_matlab: (".mat",),
}


@dataclass(frozen=True)
class _Limits:
    """What a number may be: those of `engine.Scenario`."""

    low: float
    high: float
    words: str
    low_is_out: bool = False


_PLACE = _Limits(-1e7, 1e7, "from -1e7 to 1e7 m")
_RCS = _Limits(0.0, 1e15, "above 0 and at most 1e15 m2", low_is_out=True)
_TURN = 2.0 * math.pi + 0.005  # as people round it
_ANGLE = _Limits(-_TURN, _TURN, "from -360 to 360 deg (-2 pi to 2 pi rad)")
_LIMITS = {
    "ue_position": _PLACE,
    "target_position": _PLACE,
    "ue_orientation": _ANGLE,
    "ue_downtilt": _ANGLE,
    "ue_slant": _ANGLE,
    "ue_rcs": _RCS,
    "target_rcs": _RCS,
}
_PLACES = ("ue_position", "target_position")
_ANY = _Limits(-np.finfo(np.float64).max, np.finfo(np.float64).max, "finite")


def read_drops(path: Path, ignored: Collection[str] = ()) -> Drops:
    """Read a file of draws.

    `path`: ``.csv`` (``.tsv``, ``.txt``, ``.dat``) with headings like ``ue_x_m``, ``target1_rcs_m2`` (targets from 1)
    or ``phase_bistatic0_rad`` (paths from 0); or ``.nc`` or ``.mat`` with the cube's own variables, such as a cube.
    `ignored`: its columns or variables to pass over. Result: within the scenario's limits, in the file's order. Raises
    ValueError, in one line: what is wrong, and where.
    """
    try:
        stamp = path.stat()
        return _read(path, frozenset(ignored), stamp.st_mtime_ns, stamp.st_size)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


@lru_cache(maxsize=4)
def _read(path: Path, ignored: frozenset[str], _time: int, _size: int) -> Drops:
    reader = next((reader for reader, names in _READERS.items() if path.suffix.lower() in names), None)
    if reader is None:
        raise ValueError("no format of a file of draws; give .csv (.tsv, .txt, .dat), .nc or .mat")
    drops = reader(path, ignored)
    for variable in drops.arrays:
        _check_limits(drops, variable)
    _check_dimensions(drops)
    return drops


def _check_dimensions(drops: Drops) -> None:
    """Refuse the UE in the plane and targets in space, or the reverse."""
    numbers = {name: drops.arrays[name].shape[-1] for name in _PLACES if name in drops.arrays}
    if len(set(numbers.values())) > 1:
        said = ", ".join(f"{count} numbers in {drops.heading(name)} ..." for name, count in numbers.items())
        raise ValueError(f"positions have {said}; give all of them the same count")


def _check_limits(drops: Drops, variable: str) -> None:
    values, limits = drops.arrays[variable], _LIMITS.get(variable, _ANY)
    good = (values >= limits.low) & (values <= limits.high)
    if limits.low_is_out:
        good &= values > limits.low
    if not good.all():
        where, value = drops.cell(variable, tuple(np.argwhere(~good)[0].tolist()))
        raise ValueError(f"{where}: {value:.10g} is refused; it should be {limits.words}")
