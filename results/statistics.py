"""Statistics of a cube over its draws, with intervals that hold at any sample size.

Every function takes a cube and the name of one of its variables and returns a labelled dataset with the swept
keys, ``scheme`` and ``rho`` left. Two rules hold throughout.

- Bounds in m2 (rad2, s2) are taken as root bounds in m (rad, s) unless ``root=False``.
- No draw is dropped in silence. A draw counts where its design is certified, of closed form, or where the bound is
  infinite whatever one sends; infinite bounds count as infinite. Every result has the number of draws behind it
  (``used``), how many of those are infinite, and how many were left out as ``uncertified``, ``failed`` or
  ``undefined`` (the variable has no value there, like a gap where nothing is optimised).

One scheme at one point of the sweep is in memory at a time, so that a cube opened from its file may be larger.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from .errors import ResultsError
from .estimates import Array, quantile_of_sorted, share_with_limits, tail_index
from .points import scheme_place
from .samples import COUNTED, Sample, check, gather, has_root, sample_of, slab_sample, unit_of
from .schema import VARIABLES

_LIMITS = ("value", "lower", "upper")


def _levels(q: ArrayLike) -> Array:
    levels = np.atleast_1d(np.asarray(q, np.float64))
    if not ((levels >= 0.0) & (levels <= 1.0)).all():
        raise ResultsError("quantiles lie in [0, 1]")
    return levels


def _quantiles(sample: Sample, levels: Array, confidence: float) -> dict[str, NDArray[Any]]:
    """Value, lower and upper limit at every level, on a last axis."""
    used = sample.counts["used"]
    parts = [quantile_of_sorted(sample.values, used, float(level), confidence) for level in levels]
    return {name: np.stack(part, axis=-1) for name, part in zip(_LIMITS, zip(*parts, strict=True), strict=True)}


def _of_samples(
    cube: xr.Dataset, metric: str, root: bool, function: Callable[[Sample], dict[str, NDArray[Any]]], **axis: Array
) -> xr.Dataset:
    """Apply a function to the sample of every slab, and add the counts; `axis` labels what it adds as its last."""

    def of_slab(slab: xr.Dataset) -> dict[str, NDArray[Any]]:
        sample = slab_sample(slab, metric, root)
        return function(sample) | sample.counts

    return gather(cube[[metric, "status"]], metric, of_slab, list(axis)).assign_coords(axis)


def quantile(
    cube: xr.Dataset, metric: str, q: ArrayLike = 0.5, *, confidence: float = 0.95, root: bool = True
) -> xr.Dataset:
    """Quantiles over the draws with exact confidence intervals.

    The interval runs between two order statistics. How many of n draws lie below the true quantile is binomial
    whatever the distribution, so the coverage is at least `confidence` for heavy tails and infinite values too.

    Parameters
    ----------
    cube
        As `results.schema` has it.
    metric
        Variable with a value for each draw, scheme and rho, like ``crb_bp``.
    q
        One or more levels in [0, 1].
    confidence
        Of each interval by itself.
    root
        Whether to take the root of bounds in m2, rad2 or s2.

    Returns
    -------
    xarray.Dataset
        value, lower, upper with the dimensions left and ``quantile``; and the counts. Where there are too few
        draws for a limit, it is -inf or inf.

    Raises
    ------
    ResultsError
        If the variable is not of that kind, or a number is out of range.

    Notes
    -----
    The value is NumPy's method "averaged_inverted_cdf": the usual median at q = 0.5. For the intervals see
    H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed., section 7.1.
    """
    check(cube, metric, confidence)
    levels = _levels(q)
    out = _of_samples(cube, metric, root, lambda sample: _quantiles(sample, levels, confidence), quantile=levels)
    return _described(out, _words(metric, root), unit_of(metric, root), confidence=confidence, metric=metric)


def _mean_of(sample: Sample, width: float) -> dict[str, NDArray[Any]]:
    """Mean, standard error, limits so many errors away, and what the tail says of them."""
    values, used, infinite = sample.values, sample.counts["used"], sample.counts["infinite"]
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        average = np.where(known, values, 0.0).sum(axis=-1) / used
        spread = np.where(known, values - average[..., None], 0.0)
        error = np.sqrt((spread**2).sum(axis=-1) / (used - 1) / used)
    average = np.where(used > 0, average, np.nan)
    error = np.where((infinite > 0) & (used > 0), np.inf, np.where(used > 1, error, np.nan))
    index, surely = tail_index(values, used)
    trust = np.select([(infinite > 0) | (surely <= 1.0), surely <= 2.0], [2, 1], 0)
    with np.errstate(invalid="ignore"):
        limits = {"lower": average - width * error, "upper": average + width * error}
    return {
        "value": average,
        "standard_error": error,
        **limits,
        "tail_index": index,
        "trust": np.where(used > 0, trust, 2).astype(np.int8),
    }


def mean(cube: xr.Dataset, metric: str, *, confidence: float = 0.95, root: bool = True) -> xr.Dataset:
    """Mean over the draws with its standard error, beside the tail index that says whether they mean anything.

    Parameters
    ----------
    cube, metric, root
        As for `quantile`.
    confidence
        Of the interval, which holds in the limit of many draws and only where the variance exists.

    Returns
    -------
    xarray.Dataset
        value, standard_error, lower, upper; tail_index (Hill) and trust: 0 the mean can be quoted; 1 the variance
        may not exist, so that the interval is too short; 2 the mean itself may not exist. And the counts.

    Raises
    ------
    ResultsError
        As for `quantile`.

    Notes
    -----
    A tail P(X > x) ~ x^-a has a mean for a > 1 and a variance for a > 2. `trust` compares these with the lower end of
    the 95 % interval of B. M. Hill's estimator (Ann. Statist. 3, 1163, 1975) on the largest 2 % of the draws.
    """
    check(cube, metric, confidence)
    width = float(ndtri(0.5 + 0.5 * confidence))
    out = _of_samples(cube, metric, root, lambda sample: _mean_of(sample, width))
    out["tail_index"].attrs = {"long_name": "Hill's tail index of the largest values", "units": "1"}
    out["trust"].attrs = {
        "long_name": "whether the mean can be quoted",
        "flag_values": np.array([0, 1, 2], np.int8),
        "flag_meanings": "sound no_variance no_mean",
    }
    return _described(out, _words(metric, root), unit_of(metric, root), confidence=confidence, metric=metric)


def outage(
    cube: xr.Dataset, metric: str, threshold: ArrayLike, *, confidence: float = 0.95, root: bool = True
) -> xr.Dataset:
    """Probability that a bound exceeds a threshold, with exact (Clopper-Pearson) intervals.

    Parameters
    ----------
    cube, metric, confidence, root
        As for `quantile`.
    threshold
        One or more, in the unit of the (root) variable: m for crb_bp.

    Returns
    -------
    xarray.Dataset
        value, lower, upper with the dimensions left and ``threshold``; and the counts.

    Raises
    ------
    ResultsError
        As for `quantile`.
    """
    check(cube, metric, confidence)
    limits = np.atleast_1d(np.asarray(threshold, np.float64))

    def shares(sample: Sample) -> dict[str, NDArray[Any]]:
        above = np.stack([(sample.values > limit).sum(axis=-1) for limit in limits], axis=-1)
        found = share_with_limits(above, sample.counts["used"][..., None], confidence)
        return dict(zip(_LIMITS, found, strict=True))

    out = _of_samples(cube, metric, root, shares, threshold=limits)
    out["threshold"].attrs = {"units": unit_of(metric, root)}
    return _described(out, f"probability that {metric} is above the threshold", "1", confidence=confidence)


def cdf(cube: xr.Dataset, metric: str, points: ArrayLike, *, confidence: float = 0.95, root: bool = True) -> xr.Dataset:
    """Empirical distribution function with a band that holds at all points together.

    Parameters
    ----------
    cube, metric, root
        As for `quantile`.
    points
        Where to evaluate, in the unit of the (root) variable.
    confidence
        That the true function lies in the band everywhere.

    Returns
    -------
    xarray.Dataset
        value, lower, upper with the dimensions left and ``point``; and the counts. Infinite bounds keep the
        function below 1.

    Raises
    ------
    ResultsError
        As for `quantile`.

    Notes
    -----
    The band is that of Dvoretzky, Kiefer and Wolfowitz with P. Massart's constant (Ann. Probab. 18, 1269, 1990).
    """
    check(cube, metric, confidence)
    places = np.atleast_1d(np.asarray(points, np.float64))

    def band(sample: Sample) -> dict[str, NDArray[Any]]:
        below = np.stack([(sample.values <= place).sum(axis=-1) for place in places], axis=-1)
        used = sample.counts["used"][..., None]
        with np.errstate(invalid="ignore", divide="ignore"):
            value = below / used
            reach = np.sqrt(np.log(2.0 / (1.0 - confidence)) / (2.0 * used))
            return {"value": value, "lower": np.maximum(value - reach, 0.0), "upper": np.minimum(value + reach, 1.0)}

    out = _of_samples(cube, metric, root, band, point=places)
    out["point"].attrs = {"units": unit_of(metric, root)}
    return _described(out, f"share of draws with {metric} at most this", "1", confidence=confidence)


def paired(
    cube: xr.Dataset, metric: str, reference: str, q: ArrayLike = 0.5, *, confidence: float = 0.95, root: bool = True
) -> xr.Dataset:
    """Ratios of every scheme to a reference, draw by draw.

    All schemes see the same draws, so a ratio is far better known than the ratio of two medians.

    Parameters
    ----------
    cube, metric, q, confidence, root
        As for `quantile`.
    reference
        The scheme to compare with.

    Returns
    -------
    xarray.Dataset
        value, lower, upper of the ratio, with ``quantile``; better, the share of draws in which the scheme's bound
        is the smaller one, with better_lower and better_upper; and the counts, of draws that both schemes have. Of
        two infinite bounds there is no ratio: those are ``undefined``.

    Raises
    ------
    ResultsError
        As for `quantile`, or if there is no such scheme.
    """
    check(cube, metric, confidence)
    levels = _levels(q)
    both = cube[[metric, "status"]]
    base = both.isel(scheme=scheme_place(cube, reference), drop=True)

    def of_slab(slab: xr.Dataset) -> dict[str, NDArray[Any]]:
        point = {dim: slab[dim].values for dim in base["status"].dims if dim not in ("draw", "rho")}
        other = base.sel(point).load()
        power = 0.5 if root and has_root(metric) else 1.0
        top, bottom = slab[metric].transpose("rho", ..., "draw"), other[metric].transpose("rho", ..., "draw")
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = (top.values / bottom.values) ** power
        good = other["status"].isin(COUNTED)
        status = slab["status"].where(good, other["status"]).transpose("rho", "draw").values
        sample = sample_of(ratio, status, root=False)
        won = share_with_limits((sample.values < 1.0).sum(axis=-1), sample.counts["used"], confidence)
        shares = dict(zip(("better", "better_lower", "better_upper"), won, strict=True))
        return _quantiles(sample, levels, confidence) | shares | sample.counts

    out = gather(both, metric, of_slab, ["quantile"]).assign_coords(quantile=levels)
    words = f"{metric} over that of {reference}, draw by draw"
    return _described(out, words, "1", confidence=confidence, reference=reference)


def _words(metric: str, root: bool) -> str:
    words = VARIABLES[metric].long_name if metric in VARIABLES else metric
    return f"root of the {words}" if root and has_root(metric) else words


def _described(out: xr.Dataset, words: str, units: str, **attrs: Any) -> xr.Dataset:
    for name in {*_LIMITS, "standard_error"} & set(out.data_vars):
        out[name].attrs = {"long_name": words, "units": units}
    return out.assign_attrs(attrs)
