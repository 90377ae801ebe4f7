"""NetCDF files of the classic formats, by SciPy: netCDF's own library crashes on broken ones."""

from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from netCDF4 import default_fillvals

from .found import Raw

_CLASSIC = b"CDF"


def is_classic(path: Path) -> bool:
    """Whether a file is of a classic format, by its first bytes."""
    with path.open("rb") as file:
        return file.read(len(_CLASSIC)) == _CLASSIC


def classic_sizes(path: Path) -> dict[str, int]:
    """Bytes of what could be draws, as 64-bit numbers: neither coordinates nor single numbers."""
    with _opened(path) as file:
        variables = file.variables.items()
        return {name: 8 * prod(one.shape) for name, one in variables if one.shape and name not in file.dimensions}


def from_classic(path: Path, names: Collection[str]) -> dict[str, Raw]:
    """Some variables, NaN where numbers are missing."""
    found = {}
    with _opened(path) as file:
        for name in names:
            variable = file.variables[name]
            values = np.ma.asarray(variable[...])
            if values.dtype.kind == "f":
                values = np.ma.masked_equal(values, default_fillvals["f8"])
            units = getattr(variable, "units", None)
            numbers = np.ma.filled(values.astype(np.float64), np.nan) if values.dtype.kind in "fiu" else values.data
            found[name] = Raw(numbers, variable.dimensions, None if units is None else bytes(units).decode())
    return found


def _opened(path: Path) -> Any:
    from scipy.io import netcdf_file  # 0.1 s, which few need

    return netcdf_file(path, "r", mmap=False, maskandscale=True)
