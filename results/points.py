"""Which points of a cube are spoken of first: weights, a point of the sweep, designs that may be published."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from .errors import ResultsError
from .schema import STATUS
from .words import said


def nearest_weights(rho: ArrayLike) -> list[int]:
    """Places of the weights nearest to 0, 0.5 and 1, in this order, each at most once."""
    grid = np.asarray(rho, np.float64)
    return list(dict.fromkeys(int(np.argmin(np.abs(grid - wanted))) for wanted in (0.0, 0.5, 1.0)))


def swept_keys(cube: xr.Dataset) -> list[str]:
    """Swept keys of a cube, in order."""
    return [str(dim) for dim in cube["status"].dims if dim not in ("draw", "scheme", "rho")]


def scheme_place(cube: xr.Dataset, scheme: str) -> int:
    """Place of a scheme in a cube.

    Raises ResultsError if there is no such scheme.
    """
    schemes = [str(name) for name in cube["scheme"].values]
    if scheme not in schemes:
        raise ResultsError(f"no scheme {scheme!r}; there are {', '.join(schemes)}")
    return schemes.index(scheme)


def at_first_point(cube: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Take the first value of every swept key but ``targets``, and say which that is."""
    others = [name for name in swept_keys(cube) if name != "targets"]
    first = cube.isel(dict.fromkeys(others, 0))
    return first, ", ".join(f"{name} = {said(first[name].item())}" for name in others)


def at_one_point(cube: xr.Dataset) -> tuple[xr.Dataset, str]:
    """Take the first value of every swept key, of ``targets`` the last, and say which that is."""
    first, where = at_first_point(cube)
    if "targets" in first["status"].dims:
        first = first.isel(targets=-1)
        where = ", ".join(filter(None, [where, f"targets = {first['targets'].item():g}"]))
    return first, where


def good(cube: xr.Dataset) -> xr.DataArray:
    """Where a design may be published, by its status."""
    return cube["status"].isin([STATUS["certified"], STATUS["closed_form"]])
