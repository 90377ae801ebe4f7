"""Files of draws that hold the cube's own variables as arrays: NetCDF, such as a cube, and MATLAB."""

import math
from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from crbatch.results.schema import DRAW_VARIABLES, VARIABLES
from crbatch.results.sizes import check_sizes
from numpy.typing import NDArray

from .found import Array, Drops, Raw
from .netcdf import from_hdf5, from_netcdf, hdf5_sizes, netcdf_sizes, reading

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
    with reading("NetCDF"):
        sizes = netcdf_sizes(path, _KNOWN)
    wanted = _wanted(path, sizes, ignored)
    with reading("NetCDF"):
        raw = from_netcdf(path, wanted)
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
    with reading("MATLAB", "; write it with save -v7"):
        if is_hdf5:
            sizes = hdf5_sizes(path, _KNOWN)
        else:
            sizes = {name: 8 * prod(shape) for name, shape, _ in whosmat(path) if not name.startswith("__")}
    wanted = _wanted(path, sizes, ignored)
    with reading("MATLAB", "; write it with save -v7"):
        if is_hdf5:  # which has the dimensions in reverse order
            arrays = {name: one.values.T for name, one in from_hdf5(path, wanted).items()}
        else:
            found = loadmat(path, variable_names=wanted)
            arrays = {name: np.asarray(found[name]) for name in wanted}
    return _drops({name: Raw(_as_vector(name, values)) for name, values in arrays.items()})


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
