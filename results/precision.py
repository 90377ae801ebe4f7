"""How precisely a statistic is known from the draws so far, for stopping when that is enough.

To look at the data and stop when an interval is short makes intervals fail more often than they say. So the numbers
of draws at which one looks are set beforehand, and each look's intervals have their share of the error probability:
by Bonferroni's inequality the interval that ends the run holds with the confidence asked for, whatever the
distribution and whichever look it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from .cube import Cover
from .errors import ResultsError

_BYTES = 256 * 2**20  # of values held at a time


def relative_error(
    cube: xr.Dataset, metric: str, statistic: str | float = "median", *, confidence: float = 0.95
) -> xr.DataArray:
    """Half width of a statistic's confidence interval over its value; the larger half where they differ.

    `cube`, `metric`, `confidence`: as for `results.statistics.quantile`. `statistic`: "median", "mean", or the level of
    a quantile in (0, 1). Result: by swept keys, scheme, rho: 0 where all is certain (such as an infinite median between
    infinite limits); inf where a limit is missing, or a mean is not to be trusted for its tail; NaN where no draw
    counts. Raises ResultsError as `quantile`, or for an unknown statistic.
    """
    from .statistics import mean, quantile  # SciPy: most runs compute without

    if statistic == "mean":
        table = mean(cube, metric, confidence=confidence)
    elif statistic == "median" or isinstance(statistic, float):
        level = 0.5 if statistic == "median" else statistic
        table = quantile(cube, metric, level, confidence=confidence).isel(quantile=0, drop=True)
    else:
        raise ResultsError(f'{statistic!r} is no statistic; give "median", "mean" or the level of a quantile')
    value, lower, upper = table["value"], table["lower"], table["upper"]
    with np.errstate(invalid="ignore", divide="ignore"):
        above, below = upper - value, value - lower
        half = above.where(above > below, below)
        error: xr.DataArray = half / abs(value)
    error = error.where(lower != upper, 0.0).fillna(np.inf)
    if "trust" in table:
        error = error.where(table["trust"] == 0, np.inf)
    return error.where(table["used"] > 0)


@dataclass(frozen=True)
class Precision:
    """What the first draws tell of a statistic."""

    draws: int  # how many
    relative_error: float  # the largest of all schemes, weights and points of the sweep; 0 if no draw counts anywhere
    at: dict[str, str | float]  # where that is: scheme, rho and swept keys


def each_look(confidence: float, looks: int) -> float:
    """Confidence of the intervals of one look of several, so that that of the last one taken holds."""
    return 1.0 - (1.0 - confidence) / looks


def worst_error(
    cover: Cover, draws: int, metric: str, statistic: str | float, confidence: float, among: Sequence[int]
) -> Precision:
    """Look at the first draws of a run that is still going on, and find the worst place.

    `cover`: which shard gives which draws, in draw order and complete for the first `draws`. `metric`, `statistic`: as
    for `relative_error`. `confidence`: of the interval that ends the run, over all looks. `among`: all numbers of draws
    at which one will look.
    """
    own = each_look(confidence, len(among))
    with xr.open_dataset(cover[0][0].path, engine="netcdf4") as first:
        schemes = first.sizes["scheme"]
        bytes_each = (first[metric].nbytes + first["status"].nbytes) // first.sizes["draw"] * draws // schemes
    step = max(1, _BYTES // max(1, bytes_each))
    worst = Precision(draws, 0.0, {})
    for low in range(0, schemes, step):
        part = _read(cover, draws, ["status", metric], slice(low, low + step))
        errors = relative_error(part, metric, statistic, confidence=own)
        largest = float(errors.max())
        if largest > worst.relative_error:
            place = {dim: index.values for dim, index in errors.argmax(...).items()}
            at = errors.isel(place)
            worst = Precision(draws, largest, {str(name): coord.item() for name, coord in at.coords.items()})
    return worst


def _read(cover: Cover, draws: int, names: list[str], schemes: slice) -> xr.Dataset:
    """Some variables of the first draws and some schemes."""
    parts = []
    for shard, start, stop in cover:
        if start < draws:
            with xr.open_dataset(shard.path, engine="netcdf4") as data:
                inside = slice(start - shard.start, min(stop, draws) - shard.start)
                parts.append(data[names].isel(draw=inside, scheme=schemes).load())
    return xr.concat(parts, "draw")
