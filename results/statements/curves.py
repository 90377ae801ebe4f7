"""Trade-off curves compared as the reference paper draws them: at an equal root bound of one link.

A curve is that of one scheme in one draw, its points the weights. Two curves are read at nine levels, evenly spaced on
a logarithmic axis inside the range of the one bound that both reach, on straight lines between points in the logarithms
of both root bounds; where a curve takes a level more than once, its best point counts. Two curves can cross at an equal
weight and not at an equal bound.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from ..estimates import Array, median_with_limits
from ..points import good
from ..schemes import scheme_of

PLACES = 9  # levels at 1/10, ..., 9/10 of the common range
LEAST_WEIGHTS = 5  # of a curve that can be compared
_LEAST = 1e-6  # relative: no curve is known better
_LINKS = {"BP": ("crb_bp", "crb_ms"), "MS": ("crb_ms", "crb_bp")}


@dataclass(frozen=True)
class Gap:
    """How far one scheme's curves lie above another's, at an equal bound.

    What the interpolation leaves open of it is the median over the draws of how far both curves move when every second
    weight is left out; and of how far the line of a WCRB curve is from the tangents at its points, below which no beams
    of the family get, and from the chords in the bounds themselves, above which none need be.
    """

    logs: Array  # of the ratio of the other root bounds, (draw, place); NaN where the two have no level in common
    rough: Array  # the same from every second weight
    blur: Array  # what the interpolation leaves open, (place,); inf where it cannot be told

    @property
    def mean(self) -> Array:
        """Mean of the logarithms along the curve, (draw,)."""
        mean: Array = self.logs.mean(axis=1)
        return mean

    def growth_to(self, more: "Gap") -> tuple[Array, float]:
        """How much larger the mean of another gap is in each draw, (draw,), and what the interpolation leaves open."""
        growth = more.mean - self.mean
        change = np.abs(more.rough.mean(axis=1) - self.rough.mean(axis=1) - growth)
        change[np.isnan(change) & ~np.isnan(growth)] = np.inf
        return growth, float(median_with_limits(change)[0])


class Curves:
    """The curves of all schemes in every draw.

    `cube`: one point of the sweep in memory, with crb_bp, crb_ms, status and, for what certified gaps leave open, gap;
    designs without a certificate are no points.
    """

    def __init__(self, cube: xr.Dataset) -> None:
        ordered = cube.sortby("rho").transpose("draw", "scheme", "rho", ...)
        self._schemes = [str(name) for name in ordered["scheme"].values]
        self._rho = ordered["rho"].values
        fine = good(ordered).values
        self._bounds = {name: np.where(fine, ordered[name].values, np.nan) for name in _LINKS["BP"]}
        gaps = np.where(fine, ordered["gap"].values, np.nan) if "gap" in ordered else np.array(np.nan)
        self._certified = float(np.fmax.reduce(gaps[np.isfinite(gaps)], initial=_LEAST))

    @property
    def weights(self) -> int:
        """How many points a curve has."""
        return int(self._rho.size)

    def gap(self, top: str, bottom: str, link: str) -> Gap:
        """How far the curves of `top` lie above those of `bottom`, at an equal root bound of a link, BP or MS."""
        (x, y), (u, v) = (self._logs(scheme, link) for scheme in (top, bottom))
        levels = _levels(_finite(x, y), _finite(u, v))
        above, below = _best_at(x, y, levels), _best_at(u, v, levels)
        kept = np.union1d(np.arange(0, self.weights, 2), [self.weights - 1])  # every second point, and the last
        thin_above, thin_below = _best_at(x[:, kept], y[:, kept], levels), _best_at(u[:, kept], v[:, kept], levels)
        change = np.abs(thin_above - above) + np.abs(thin_below - below)  # the two may cancel by luck
        change[np.isnan(change) & ~np.isnan(above - below)] = np.inf  # the fewer points do not reach as far
        blur = median_with_limits(change.T)[0]
        for scheme, line in ((top, above), (bottom, below)):
            if scheme_of(scheme)[1:] == ("wcrb", None, None):
                chords = _log_root(_best_at(*self._pair(scheme, link), np.exp(2.0 * levels)))  # mixes reach them
                reach = np.maximum(line - self._tangents_at(scheme, link, levels), chords - line)
                blur = np.maximum(blur, median_with_limits(reach.T)[0])
        return Gap(above - below, thin_above - thin_below, self._certified + blur)

    def _logs(self, scheme: str, link: str) -> tuple[Array, Array]:
        """Logarithms of both root bounds of a scheme, (draw, rho): of the link, and of the other one."""
        own, other = map(_log_root, self._pair(scheme, link))
        return own, other

    def _pair(self, scheme: str, link: str) -> tuple[Array, Array]:
        """Both bounds of a scheme, (draw, rho): of the link, and of the other one."""
        own, other = (self._bounds[name][:, self._schemes.index(scheme)] for name in _LINKS[link])
        return own, other

    def _tangents_at(self, scheme: str, link: str, levels: Array) -> Array:
        """The highest of the lines rho crb_bp + (1 - rho) crb_ms = f*(rho) at each level, as a log root bound."""
        own, other = self._pair(scheme, link)
        weight = self._rho if link == "BP" else 1.0 - self._rho
        highest = np.full(levels.shape, np.nan)
        for i in np.flatnonzero(weight < 1.0):
            least = (weight[i] * own[:, i] if weight[i] > 0.0 else 0.0) + (1.0 - weight[i]) * other[:, i]
            line = (least[:, None] - weight[i] * np.exp(2.0 * levels)) / (1.0 - weight[i])
            highest = np.fmax(highest, np.where(np.isfinite(line), line, np.nan))
        return _log_root(highest)


def _log_root(bounds: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: Array = 0.5 * np.log(bounds)
    return logs


def _finite(x: Array, y: Array) -> Array:
    return np.where(np.isfinite(x) & np.isfinite(y), x, np.nan)


def _levels(x: Array, u: Array) -> Array:
    """Levels inside what both curves reach, (draw, place); NaN where that is nothing."""
    low = np.maximum(np.fmin.reduce(x, axis=1), np.fmin.reduce(u, axis=1))
    high = np.minimum(np.fmax.reduce(x, axis=1), np.fmax.reduce(u, axis=1))
    share = np.arange(1, PLACES + 1) / (PLACES + 1)
    levels = low[:, None] + share * (high - low)[:, None]
    return np.where((high >= low)[:, None], levels, np.nan)


def _best_at(x: Array, y: Array, levels: Array) -> Array:
    """The smallest y of the curves (draw, point) where x takes each level (draw, place); NaN where it does not."""
    best = np.full(levels.shape, np.inf)
    for i in range(x.shape[1] - 1):
        a, b, c, d = (column[:, None] for column in (x[:, i], x[:, i + 1], y[:, i], y[:, i + 1]))
        with np.errstate(invalid="ignore", divide="ignore"):
            inside = (levels >= np.minimum(a, b)) & (levels <= np.maximum(a, b)) & np.isfinite(a + b + c + d)
            share = np.where(a == b, 0.0, (levels - a) / (b - a))
            here = np.where(a == b, np.minimum(c, d), c + share * (d - c))
        best = np.where(inside, np.minimum(best, here), best)
    return np.where(np.isinf(best), np.nan, best)
