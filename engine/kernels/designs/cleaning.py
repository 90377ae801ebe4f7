"""From a solver's points to designs with a certificate, eight side by side.

The certificate of DESIGN fact 3: f is convex and of degree -1, so for any V of full power
f* >= f(V)^2 / (P lambda_max(-grad f(V))), and the relative gap P lambda_max(-grad f(V)) / f(V) - 1 is at least
f(V)/f* - 1. With power on fixed codewords, lambda_max becomes max_i -df/dp_i. No solver is trusted: everything is
computed from the cleaned design.
"""

import numpy as np

from ..bound.block import certified, load_draw, new_block, reduced_gradient, transmit_covariance, weighted_crb
from ..bound.powers import power_slope, transmit_powers
from ..descent.polar import unfold
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, root, where_less
from ..linalg.eigen import eigen_hermitian_lanes, eigen_space, largest_hermitian

# Directions that an optimum leaves empty keep a trace of power; the lowest rank that stays certified is taken.
_RANK_CUTS = (1e-4, 1e-7)
_CLOSE = 1.0 + 2e-6  # where the largest eigenvalue is to be expected, at most
NO_POINTS = np.zeros((0, 0, 0))  # where covariances are given
_TARGET = 0.98  # of the tolerance: what the test of a cut admits may differ from the gap by rounding


@unmanaged
def _gap(value, normal, work, v, p):
    """Certified gap of a covariance of unit trace, from the objective and its negative gradient."""
    count = normal.shape[1]
    scale = 1.0 / value
    for i in range(2 * count):
        for k in range(count):
            put(work, scale * get(normal, i, k), i, k)
    gap = largest_hermitian(work, count, 1.0, _CLOSE, v, p) - 1.0
    gap = where_less(gap, 0.0, 0.0, gap)  # below 0 is rounding
    return where_less(value, np.inf, gap, np.inf)


@unmanaged
def evaluate(block, rho, x):
    """Objective at a covariance; its negative gradient goes to block.normal."""
    transmit_covariance(block, x)
    value = weighted_crb(block, rho)
    reduced_gradient(block, block.normal)
    return value


@unmanaged
def _take(chosen, source, out):
    """Copy a matrix in the lanes that are chosen."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            put(out, where_less(0.0, chosen, get(source, i, k), get(out, i, k)), i, k)


@unmanaged
def _from_factor(factor, columns, gram, turns, beams):
    """The columns of a factor Z turned until they are orthogonal; their squared lengths, on the diagonal of gram."""
    count = beams.shape[0] // 2
    for c in range(columns):
        for e in range(c + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(count):
                a = get(factor, i * columns + c, 0)
                b = get(factor, (count + i) * columns + c, 0)
                p = get(factor, i * columns + e, 0)
                q = get(factor, (count + i) * columns + e, 0)
                x += a * p + b * q
                y += a * q - b * p
            put(gram, x, c, e)
            put(gram, x, e, c)
            put(gram, -y, columns + e, c)
            put(gram, y, columns + c, e)
        put(gram, 0.0, columns + c, c)
    eigen_hermitian_lanes(gram, turns, columns)
    for i in range(count):
        for e in range(columns):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for c in range(columns):
                a = get(factor, i * columns + c, 0)
                b = get(factor, (count + i) * columns + c, 0)
                p = get(turns, c, e)
                q = get(turns, columns + c, e)
                x += a * p - b * q
                y += a * q + b * p
            put(beams, x, i, e)
            put(beams, y, count + i, e)


@unmanaged
def from_covariance(x, gram, beams):
    """Eigenvectors of a covariance, as long as the roots of the eigenvalues, which come on the diagonal of gram."""
    count = x.shape[1]
    _take(everywhere(1.0), x, gram)
    eigen_hermitian_lanes(gram, beams, count)
    for i in range(count):
        value = get(gram, i, i)
        length = root(where_less(0.0, value, value, 0.0))
        for r in range(2 * count):
            put(beams, length * get(beams, r, i), r, i)


@unmanaged
def leading(values, beams, cut, total, out):
    """Covariance of unit trace from the orthogonal beams whose squared lengths, the values, exceed cut * total."""
    n = beams.shape[0] // 2
    kept = everywhere(0.0)
    for i in range(beams.shape[1]):
        kept += where_less(cut * total, get(values, i, i), get(values, i, i), 0.0)
    scale = where_less(0.0, kept, 1.0 / kept, 0.0)
    for r in range(n):
        for c in range(r + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(beams.shape[1]):
                w = where_less(cut * total, get(values, i, i), scale, 0.0)
                a = get(beams, r, i)
                b = get(beams, n + r, i)
                p = get(beams, c, i)
                q = get(beams, n + c, i)
                x += w * (a * p + b * q)
                y += w * (b * p - a * q)
            put(out, x, r, c)
            put(out, x, c, r)
            put(out, y, n + r, c)
            put(out, -y, n + c, r)
    for r in range(n):
        put(out, 0.0, n + r, r)


@unmanaged
def total_of(values):
    """Sum of the values on a diagonal."""
    total = everywhere(0.0)
    for i in range(values.shape[1]):
        total += get(values, i, i)
    return total


@unmanaged
def _has_between(values, low, high, wanted):
    """Whether an eigenvalue lies in (low, high] in any of the lanes that are wanted."""
    found = everywhere(0.0)
    for i in range(values.shape[1]):
        inside = where_less(low, get(values, i, i), wanted, 0.0)
        found = where_less(high, get(values, i, i), found, found + inside)
    return largest_lane(found) > 0.0


@inlined
def _clean(block, rho, x, values, beams, slim, normal, tolerance, threshold, spare, v, p):
    """Replace x by the cleaned covariance of lowest rank that keeps the certificate.

    Returns the objective there; its negative gradient goes to normal.
    """
    total = total_of(values)
    pending = everywhere(1.0)
    value = everywhere(np.inf)
    before = np.inf
    for cut in _RANK_CUTS:
        if not _has_between(values, cut * total, before * total, pending):
            continue  # this cut leaves what the last one left
        before = cut
        leading(values, beams, cut, total, slim)
        found = evaluate(block, rho, slim)
        fine = certified(block, found, everywhere(1.0), beams.shape[0] // 2, _TARGET * tolerance)
        fine = where_less(found, np.inf, fine, 0.0)
        fine = where_less(0.0, fine, pending, 0.0)
        _take(fine, slim, x)
        _take(fine, block.normal, normal)
        value = where_less(0.0, fine, found, value)
        pending = where_less(0.0, fine, 0.0, pending)
        if largest_lane(pending) == 0.0:
            return value
    leading(values, beams, threshold, total, slim)
    lowest = everywhere(np.inf)
    for i in range(beams.shape[1]):
        lowest = where_less(get(values, i, i), lowest, get(values, i, i), lowest)
    # Where nothing falls below the threshold x stays as it is: eigenvectors are not exact enough close to an edge.
    emptied = where_less(lowest, threshold * total, pending, 0.0)
    found = evaluate(block, rho, slim)
    fine = certified(block, found, everywhere(1.0), beams.shape[0] // 2, tolerance)
    fine = where_less(0.0, emptied, where_less(found, np.inf, fine, 0.0), 0.0)
    _take(fine, slim, x)
    _take(fine, block.normal, normal)
    value = where_less(0.0, fine, found, value)
    pending = where_less(0.0, fine, 0.0, pending)
    if largest_lane(pending) == 0.0:
        return value
    # Some optima lie on the edge of where f exists, and have no certificate without the last trace of power there.
    gap = _gap(found, block.normal, spare, v, p)
    found = evaluate(block, rho, x)
    better = where_less(gap, _gap(found, block.normal, spare, v, p), emptied, 0.0)
    better = where_less(0.0, pending, better, 0.0)
    _take(pending, block.normal, normal)
    value = where_less(0.0, pending, found, value)
    if largest_lane(better) == 0.0:
        return value
    found = evaluate(block, rho, slim)
    _take(better, slim, x)
    _take(better, block.normal, normal)
    return where_less(0.0, better, found, value)


@kernel
def wanted_items(wanted):
    """Draws and weights that are wanted, in such an order that a lane can keep its draw from one weight to the next."""
    batch, weights = wanted.shape
    items = np.empty((wanted.sum(), 2), np.int64)
    count = 0
    for first in range(0, batch, LANES):
        for w in range(weights):
            for b in range(first, min(first + LANES, batch)):
                if wanted[b, w]:
                    items[count, 0] = b
                    items[count, 1] = w
                    count += 1
    return items


@kernel
def certified_covariances(draws, rho, x, points, columns, wanted, clean, tolerance, threshold):
    """Certified gaps of reduced covariances of unit trace.

    Parameters
    ----------
    draws
        `block.Draws` of the batch.
    rho
        Weights.
    x
        Covariances (batch, rho, n, n), in place cleaned if `clean`.
    points, columns
        Factors in `polar` form to make x from, (batch, rho, unknowns), and their columns; with 0 columns x is given.
    wanted
        Of which, (batch, rho).
    clean
        Whether to clean; covariances from factors always are.
    tolerance, threshold
        Gap that a lower rank may have; share of power below which a direction is dropped in any case.

    Returns
    -------
    Gaps (batch, rho): NaN where none is wanted, inf where the FIM is singular.
    """
    batch, weights, count, _ = x.shape
    gaps = np.full((batch, weights), np.nan)
    block = new_block(draws, count)
    width = columns if columns > 0 else count
    gram = lane_zeros(2 * width, width)
    turns = lane_zeros(2 * width, width)
    beams = lane_zeros(2 * count, width)
    point = lane_zeros(points.shape[2], 1)
    factor = lane_zeros(2 * count * columns, 1)
    slim = lane_zeros(2 * count, count)
    normal = lane_zeros(2 * count, count)
    spare = lane_zeros(2 * count, count)
    work = lane_zeros(2 * count, count)
    v, p = eigen_space(2 * count)
    weight = lane_zeros(2, 1)
    loaded = np.full(LANES, -1, np.int64)
    items = wanted_items(wanted)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        for lane in range(LANES):
            b, w = items[first + min(lane, used - 1)]  # lanes without an item repeat the last one
            if loaded[lane] != b:
                load_draw(block, draws, b, lane)
                loaded[lane] = b
            weight[0, 0, lane] = rho[w]
            if columns > 0:
                for i in range(points.shape[2]):
                    point[i, 0, lane] = points[b, w, i]
                continue
            for i in range(count):
                for k in range(count):
                    work[i, k, lane] = x[b, w, i, k].real
                    work[count + i, k, lane] = x[b, w, i, k].imag
        if columns > 0:
            unfold(point, columns, factor)
            _from_factor(factor, columns, gram, turns, beams)
            leading(gram, beams, -1.0, total_of(gram), work)
        elif clean:
            from_covariance(work, gram, beams)
        value = everywhere(np.inf)
        if clean or columns > 0:
            value = _clean(block, get(weight, 0, 0), work, gram, beams, slim, normal, tolerance, threshold, spare, v, p)
        else:
            value = evaluate(block, get(weight, 0, 0), work)
            _take(everywhere(1.0), block.normal, normal)
        put(weight, _gap(value, normal, slim, v, p), 1, 0)
        for lane in range(used):
            b, w = items[first + lane]
            gaps[b, w] = weight[1, 0, lane]
            if clean or columns > 0:
                for i in range(count):
                    for k in range(count):
                        x[b, w, i, k] = complex(work[i, k, lane], work[count + i, k, lane])
    return gaps


@kernel
def clean_rows(powers, threshold):
    """Rows of powers without those below threshold of their sum, at unit sum."""
    out = np.zeros_like(powers)
    for b in range(powers.shape[0]):
        total = 0.0
        for i in range(powers.shape[1]):
            total += powers[b, i]
        kept = 0.0
        for i in range(powers.shape[1]):
            if powers[b, i] >= threshold * total:
                out[b, i] = powers[b, i]
                kept += powers[b, i]
        out[b] /= kept
    return out


@kernel
def certified_powers(draws, rho, powers, wanted):
    """Certified gaps of codeword powers (batch, rho, n) of unit sum, like `certified_covariances`."""
    batch, weights, count = powers.shape
    gaps = np.full((batch, weights), np.nan)
    block = new_block(draws, count)
    weight = lane_zeros(2, 1)
    loaded = np.full(LANES, -1, np.int64)
    items = wanted_items(wanted)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        for lane in range(LANES):
            b, w = items[first + min(lane, used - 1)]
            if loaded[lane] != b:
                load_draw(block, draws, b, lane)
                loaded[lane] = b
            weight[0, 0, lane] = rho[w]
            for i in range(count):
                block.powers[i, 0, lane] = powers[b, w, i]
        transmit_powers(block, block.powers)
        value = weighted_crb(block, get(weight, 0, 0))
        steepest = everywhere(-np.inf)
        for i in range(count):
            slope = -power_slope(block, i)
            steepest = where_less(steepest, slope, slope, steepest)
        gap = steepest / value - 1.0
        gap = where_less(gap, 0.0, 0.0, gap)
        put(weight, where_less(value, np.inf, gap, np.inf), 1, 0)
        for lane in range(used):
            b, w = items[first + lane]
            gaps[b, w] = weight[1, 0, lane]
    return gaps
