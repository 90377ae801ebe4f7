"""NetCDF and HDF5 files that may be anything: what they hold, and the numbers; in one line what they are not."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import netCDF4
import numpy as np
from crbatch.results.sizes import sizes_in
from crbatch.results.words import in_short
from numpy.typing import NDArray

from .classic import classic_sizes, from_classic, is_classic
from .found import Raw


@contextmanager
def reading(kind: str, advice: str = "") -> Iterator[None]:
    """Say in one line what the libraries make of bytes that are not theirs, which may be any exception."""
    try:
        with catch_warnings(action="error"):  # such as of a scale that is no number, which would not be applied
            yield
    except Exception as error:
        reason = getattr(error, "strerror", None) or in_short(error)
        raise ValueError(f"no {kind} file that can be read ({reason}){advice}") from None


def netcdf_sizes(path: Path, known: Collection[str]) -> dict[str, int]:
    """Bytes of the variables of a file of any format: neither coordinates nor single numbers; `known` will be read."""
    return classic_sizes(path) if is_classic(path) else hdf5_sizes(path, known)


def from_netcdf(path: Path, names: Collection[str]) -> dict[str, Raw]:
    """Some variables of a file of any format, NaN where numbers are missing."""
    return from_classic(path, names) if is_classic(path) else from_hdf5(path, names)


def hdf5_sizes(path: Path, known: Collection[str]) -> dict[str, int]:
    """`netcdf_sizes` of a file that is HDF5, as MATLAB's are too."""
    sizes = sizes_in(path, tuple(known))  # before it is opened here
    with netCDF4.Dataset(path) as file:
        return {name: size for name, size in sizes.items() if name not in file.dimensions}


def from_hdf5(path: Path, names: Collection[str]) -> dict[str, Raw]:
    """`from_netcdf` of a file that is HDF5."""
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
