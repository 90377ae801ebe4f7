"""Estimates from samples, with intervals that hold at any sample size; the draws are the last axis."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrik, betainccinv, betaincinv

Array = NDArray[np.float64]

# Share of the largest values that Hill's estimator looks at, and how many at least.
_TAIL_SHARE, _TAIL_LEAST = 0.02, 20


def quantile_of_sorted(
    values: Array, used: NDArray[np.int64], level: float, confidence: float
) -> tuple[Array, Array, Array]:
    """Quantile and its limits; values ascend along the last axis, of which the first `used` (...) count."""
    low, high = order_limits(used, level, confidence)
    place = used * level
    whole = np.abs(place - np.round(place)) < 1e-9 * np.maximum(used, 1)
    first = np.where(whole, np.round(place), np.ceil(place)).astype(np.int64)
    one, other = _ranked(values, used, np.maximum(first, 1)), _ranked(values, used, np.maximum(first, 1) + 1)
    # Two infinite neighbours have no mean by rounding: take it only where they differ.
    between = whole & (first >= 1) & (first < used) & (one != other)
    value = np.where(between, 0.5 * one + 0.5 * other, one)
    lower = np.where(low < 1, -np.inf, _ranked(values, used, np.maximum(low, 1)))
    upper = np.where(high > used, np.inf, _ranked(values, used, np.minimum(high, np.maximum(used, 1))))
    empty = used == 0
    return tuple(np.where(empty, np.nan, array) for array in (value, lower, upper))  # type: ignore[return-value]


def median_with_limits(values: Array) -> tuple[Array, Array, Array]:
    """Median over the last axis and its exact 95 % interval; NaN is left out."""
    used = (~np.isnan(values)).sum(axis=-1)
    return quantile_of_sorted(np.sort(values, axis=-1), used, 0.5, 0.95)


def order_limits(n: ArrayLike, level: float, confidence: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ranks (from 1) of the order statistics between which a quantile lies with at least this confidence.

    Equal tails: each limit fails with at most half of what is left. Rank 0 or n + 1 where there is none.
    """
    count = np.asarray(n, np.int64)
    half = 0.5 * (1.0 - confidence)
    if level in (0.0, 1.0):  # the ends of the support: no order statistic lies beyond them with certainty
        return (np.zeros_like(count), np.ones_like(count)) if level == 0.0 else (count, count + 1)
    low = _lower_rank(count, level, half)
    high = count + 1 - _lower_rank(count, 1.0 - level, half)  # the same seen from the other end
    return low, high


def _lower_rank(n: NDArray[np.int64], level: float, half: float) -> NDArray[np.int64]:
    """Largest l with P(B <= l - 1) <= half up to rounding, B binomial; `scipy.stats` would take 0.6 s to import."""
    half *= 1.0 + 1e-12
    rank = np.asarray(bdtrik(half, np.maximum(n, 1), level))
    rank = np.ceil(np.where(np.isnan(rank), np.round(n * level), rank))  # it gives up within 1e-300 of 0 or 1
    rank = np.where((rank > 0) & (bdtr(rank - 1.0, n, level) > half), rank - 1.0, rank)
    return np.where(bdtr(rank, n, level) <= half, rank + 1.0, rank).astype(np.int64)


def _ranked(values: Array, used: NDArray[np.int64], rank: NDArray[np.int64]) -> Array:
    """The order statistics of these ranks (...), from 1."""
    place = np.clip(rank - 1, 0, np.maximum(used - 1, 0))
    return np.take_along_axis(values, place[..., None], axis=-1)[..., 0]


def tail_index(values: Array, used: NDArray[np.int64]) -> tuple[Array, Array]:
    """Hill's tail index of values ascending along the last axis, and the lower end of its 95 % interval.

    Values have to be positive for a tail to be seen; both are inf where there is none, and NaN below 2 draws.
    """
    shape = used.shape
    flat, counts = values.reshape(-1, values.shape[-1]), used.ravel()
    index = np.full(counts.size, np.nan)
    surely = np.full(counts.size, np.nan)
    for i, n in enumerate(counts.tolist()):
        row = flat[i, :n]
        row = row[np.isfinite(row) & (row > 0.0)]
        k = min(max(_TAIL_LEAST, int(_TAIL_SHARE * row.size)), row.size - 1)
        if k < 1:
            continue
        mean_log = float(np.log(row[-k:] / row[-k - 1]).mean())
        index[i] = 1.0 / mean_log if mean_log > 0.0 else np.inf
        surely[i] = index[i] / (1.0 + 1.959964 / np.sqrt(k))
    return index.reshape(shape), surely.reshape(shape)


def share_with_limits(hits: ArrayLike, of: ArrayLike, confidence: float) -> tuple[Array, Array, Array]:
    """A share and its Clopper-Pearson interval; NaN, 0 and 1 of nothing."""
    k, n = np.broadcast_arrays(np.asarray(hits, np.float64), np.asarray(of, np.float64))
    half = 0.5 * (1.0 - confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(n > 0, k / n, np.nan)
        lower = np.where(k > 0, betaincinv(np.maximum(k, 0.5), n - k + 1.0, half), 0.0)
        upper = np.where(k < n, betainccinv(k + 1.0, np.maximum(n - k, 0.5), half), 1.0)
    return share, lower, upper
