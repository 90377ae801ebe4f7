"""Files of draws that hold the cube's own variables as arrays: NetCDF, such as a cube, and MATLAB."""

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import netCDF4
import numpy as np
from crbatch.results.schema import DRAW_VARIABLES, VARIABLES
from crbatch.results.sizes import check_sizes, sizes_in
from crbatch.results.words import in_short
from numpy.typing import NDArray

from .classic import classic_sizes, from_classic, is_classic
from .found import Array, Drops, Raw

_KNOWN = {name: VARIABLES[name] for name in DRAW_VARIABLES}
_OURS = ", ".join(_KNOWN)
_NAMED = 8  # foreign variables in a message
_DEGREES = ("deg", "degree", "degrees")
_HDF5 = b"\x89HDF\r\n\x1a\n"
_HEADER = 512  # bytes that MATLAB puts before HDF5


def read_netcdf(path: Path, ignored: Collection[str]) -> Drops:
    """Read the draws of a NetCDF file, such as a cube.

    `path`: variables as in the cube, with their dimensions, in SI units, or in degrees where the file says so.
    `ignored`: variables to pass over. Result: in the file's order. Raises ValueError, naming the variable and what is
    wrong with it.
    """
    classic = is_classic(path)
    with _reading("NetCDF"):
        sizes = classic_sizes(path) if classic else _hdf5_sizes(path)
    wanted = _wanted(path, sizes, ignored)
    with _reading("NetCDF"):
        raw = from_classic(path, wanted) if classic else _from_hdf5(path, wanted)
    return _drops(raw)


def read_matlab(path: Path, ignored: Collection[str]) -> Drops:
    """Read the draws of a MATLAB file, of any version.

    `path`: variables named as in the cube, in SI units, the draw along the first dimension. `ignored`: variables to
    pass over. Result: in the file's order. Raises ValueError, naming the variable and what is wrong with it.
    """
    from scipy.io import loadmat, whosmat  # 0.1 s, which few need

    with path.open("rb") as file:
        head = file.read(_HEADER + len(_HDF5))
    is_hdf5 = _HDF5 in (head[: len(_HDF5)], head[_HEADER:])  # version 7.3
    with _reading("MATLAB", "; write it with save -v7"):
        if is_hdf5:
            sizes = _hdf5_sizes(path)
        else:
            sizes = {name: 8 * prod(shape) for name, shape, _ in whosmat(path) if not name.startswith("__")}
    wanted = _wanted(path, sizes, ignored)
    with _reading("MATLAB", "; write it with save -v7"):
        if is_hdf5:  # which has the dimensions in reverse order
            arrays = {name: one.values.T for name, one in _from_hdf5(path, wanted).items()}
        else:
            found = loadmat(path, variable_names=wanted)
            arrays = {name: np.asarray(found[name]) for name in wanted}
    return _drops({name: Raw(_as_vector(name, values)) for name, values in arrays.items()})


@contextmanager
def _reading(kind: str, advice: str = "") -> Iterator[None]:
    """Say in one line what the libraries make of bytes that are not theirs, which may be any exception."""
    try:
        with catch_warnings(action="error"):  # such as of a scale that is no number, which would not be applied
            yield
    except Exception as error:
        reason = getattr(error, "strerror", None) or in_short(error)
        raise ValueError(f"no {kind} file that can be read ({reason}){advice}") from None


def _hdf5_sizes(path: Path) -> dict[str, int]:
    """Bytes of what could be draws: neither coordinates nor single numbers."""
    sizes = sizes_in(path, tuple(_KNOWN))  # before it is opened here
    with netCDF4.Dataset(path) as file:
        return {name: size for name, size in sizes.items() if name not in file.dimensions}


def _from_hdf5(path: Path, names: Collection[str]) -> dict[str, Raw]:
    # Not by xarray, which makes dates of what is in "days since ...", and loses the unit on the way.
    with netCDF4.Dataset(path) as file:
        return {name: Raw(_values(file[name]), file[name].dimensions, _units(file[name])) for name in names}


def _values(variable: "netCDF4.Variable[Any]") -> NDArray[Any]:
    """The numbers of a variable, NaN where they are missing."""
    if "MATLAB_empty" in variable.ncattrs():  # its numbers are the sizes
        return np.empty((0,) * variable.ndim)
    values = variable[...]
    return np.ma.filled(values.astype(np.float64), np.nan) if np.ma.isMaskedArray(values) else np.asarray(values)


def _units(variable: "netCDF4.Variable[Any]") -> str | None:
    return str(variable.getncattr("units")) if "units" in variable.ncattrs() else None


def _wanted(path: Path, sizes: Mapping[str, int], ignored: Collection[str]) -> list[str]:
    """Names of draws among a file's variables; those that are no part of a cube, or never written, are refused."""
    lost = set(ignored) - set(sizes)
    if lost:
        raise ValueError(f"no variable {min(lost)!r}, which draws.ignore_columns names; correct that")
    others = [name for name in sizes if not {name} & {*VARIABLES, *_KNOWN, *ignored}]
    if others:
        said = ", ".join(map(repr, others[:_NAMED]))
        advice = "leave the others out, or name them in draws.ignore_columns"
        raise ValueError(f"unknown variables {said}; there are {_OURS}; {advice}")
    wanted = [name for name in _KNOWN if name in sizes and name not in ignored]
    if not wanted:
        raise ValueError(f"has none of {_OURS}")
    check_sizes(path, {name: sizes[name] for name in wanted})
    return wanted


def _as_vector(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """MATLAB has no vectors: one number a draw is a row or a column."""
    single = _KNOWN[name].dims == ("draw",) and values.ndim == 2 and 1 in values.shape
    return values.ravel() if single else values


def _drops(raw: Mapping[str, Raw]) -> Drops:
    arrays = {name: _checked(name, one) for name, one in raw.items()}
    sizes = {name: len(values) for name, values in arrays.items()}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{size} of {name}" for name, size in sizes.items())
        raise ValueError(f"there are {said}; give as many draws of each, along the first dimension")
    return Drops(arrays)


def _checked(name: str, raw: Raw) -> Array:
    """A variable in SI units, with the cube's dimensions."""
    known, values = _KNOWN[name], raw.values
    if values.size == 0:
        raise ValueError(f"{name} is empty; leave it out, or give a draw")
    placed = known.dims[-1] == "xy"
    in_space = (*known.dims[:-1], "xyz") if placed else known.dims
    if raw.dims not in (None, known.dims, in_space):
        raise ValueError(
            f"{name} has dimensions {raw.dims}; it should have {known.dims} (of a cube with a sweep, select one point)"
        )
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {values.dtype}; it should be real numbers")
    if values.ndim != len(known.dims) or (placed and values.shape[-1] not in (2, 3)):
        right = ", ".join("2" if dim == "xy" else f"{dim}s" for dim in known.dims)
        space = f", or ({right[:-1]}3) in space" if placed else ""
        raise ValueError(f"{name} is of shape {values.shape}; it should be ({right}){space}")
    units = raw.units or known.units
    in_degrees = known.units == "rad" and units in _DEGREES
    if units != known.units and not in_degrees:
        raise ValueError(f"{name} is in {units}; it should be in {known.units}")
    return np.ascontiguousarray(values, np.float64) * (math.pi / 180.0 if in_degrees else 1.0)
