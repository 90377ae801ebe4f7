"""The values of a cube that a statistic is of, one scheme at one point of the sweep at a time.

A draw counts where its design is certified, of closed form, or where the bound is infinite whatever one sends.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import ResultsError
from .estimates import Array
from .schema import STATUS, VARIABLES

# Statuses whose values enter.
COUNTED = [STATUS[word] for word in ("certified", "closed_form", "unidentifiable")]
_ROOTS = {"m2": "m", "rad2": "rad", "s2": "s"}


class Sample(NamedTuple):
    """The values of one scheme at one point of the sweep, and how many of its draws count.

    `values`, (rho, ..., draw), ascend along the draws: finite ones, then infinite, then NaN for those left out.
    `counts`, (rho, ...) each, are by the names below.
    """

    values: Array
    counts: dict[str, NDArray[np.int64]]


_COUNT_NAMES = {
    "used": "draws behind the figure",
    "infinite": "of those, draws with an infinite bound",
    "uncertified": "draws left out, whose design has no certificate",
    "failed": "draws left out, which could not be computed",
    "undefined": "draws left out, for which the variable is not defined",
}


def check(cube: xr.Dataset, metric: str, confidence: float) -> None:
    """Refuse what there is no statistic of.

    Raises
    ------
    ResultsError
        If the variable is not one for each design, the confidence is none, or there are no draws.
    """
    if metric not in cube.data_vars or not {"draw", "scheme", "rho"} <= set(cube[metric].dims):
        known = [str(n) for n, v in cube.data_vars.items() if {"draw", "scheme", "rho"} <= set(v.dims)]
        raise ResultsError(f"{metric!r} has no value for each draw, scheme and rho; there are {', '.join(known)}")
    if not 0.0 < confidence < 1.0:
        raise ResultsError(f"confidence = {confidence:g} is no probability; give one between 0 and 1, like 0.95")
    if cube.sizes["draw"] == 0:
        raise ResultsError("the cube has no draws")


def unit_of(metric: str, root: bool = True) -> str:
    """Unit of a variable, or of its root."""
    units = VARIABLES[metric].units if metric in VARIABLES else "1"
    return _ROOTS.get(units, units) if root else units


def has_root(metric: str) -> bool:
    """Whether a variable is a square, of which the root is read."""
    return metric in VARIABLES and VARIABLES[metric].units in _ROOTS


def sample_of(values: Array, status: NDArray[Any], root: bool) -> Sample:
    """Sort values (rho, ..., draw) of one scheme by whether and how they count, by their status (rho, [...,] draw)."""
    lacking = (1,) * (values.ndim - status.ndim)
    status = np.broadcast_to(status.reshape(*status.shape[:-1], *lacking, status.shape[-1]), values.shape)
    good = np.isin(status, COUNTED)
    kept = np.where(good, values, np.nan)
    known = ~np.isnan(kept)
    found = {
        "used": known,
        "infinite": np.isposinf(kept),
        "uncertified": status == STATUS["uncertified"],
        "failed": np.isin(status, [STATUS["failed"], STATUS["not_computed"]]),
        "undefined": good & ~known,
    }
    counts = {name: where.sum(axis=-1) for name, where in found.items()}
    return Sample(np.sort(np.sqrt(kept) if root else kept, axis=-1), counts)


def slabs(cube: xr.Dataset) -> Iterator[xr.Dataset]:
    """Every scheme at every point of the sweep, read into memory one after the other."""
    outer = [dim for dim in cube["status"].dims if dim not in ("draw", "rho")]
    for index in np.ndindex(*(cube.sizes[dim] for dim in outer)):
        yield cube.isel(dict(zip(outer, index, strict=True))).load()


def gather(
    cube: xr.Dataset, metric: str, function: Callable[[xr.Dataset], dict[str, NDArray[Any]]], new_dims: Sequence[str]
) -> xr.Dataset:
    """Apply a function to every slab; its arrays have axes (rho, the variable's own, then new_dims or none of them)."""
    outer = [str(dim) for dim in cube["status"].dims if dim not in ("draw", "rho")]
    inner = ["rho", *(str(dim) for dim in cube[metric].dims if dim not in (*outer, "draw", "rho"))]
    found = [function(slab) for slab in slabs(cube)]
    data = {}
    for name, first in found[0].items():
        values = np.stack([one[name] for one in found]).reshape(*(cube.sizes[dim] for dim in outer), *first.shape)
        data[name] = ((*outer, *inner, *new_dims)[: values.ndim], values)
    coords = {dim: cube[dim] for dim in (*outer, *inner) if dim in cube.coords}
    out = xr.Dataset(data, coords=coords)
    for name, words in _COUNT_NAMES.items():
        if name in out:
            out[name].attrs = {"long_name": words, "units": "1"}
    return out


def slab_sample(slab: xr.Dataset, metric: str, root: bool) -> Sample:
    """Sort the values of a slab."""
    values, status = slab[metric].transpose("rho", ..., "draw").values, slab["status"].transpose("rho", "draw").values
    return sample_of(values, status, root and has_root(metric))
