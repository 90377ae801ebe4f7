"""Extreme designs without what an interior-point method leaves in directions that an optimum does not use.

On its way x s = mu I, with the slack s = I - N, N = -grad f / f: a direction of slack s_i keeps the power mu / s_i.
Mixes of factors take the root of it, which vanishes no faster than the root of the gap. At an optimum either the power
or the slack of a direction is zero: a power that is below its slack, and has been falling with mu, goes.
"""

import numpy as np

from ..bound.block import load_draw, new_block, weighted_crb
from ..bound.powers import power_slope, transmit_powers
from ..jit.accelerate import kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from .cleaning import evaluate, from_covariance, leading, total_of, wanted_items

SHRUNK = 3.0  # by how much the power of a direction that becomes empty falls at least, while the gap falls tenfold


@unmanaged
def _along(matrix, beams, i):
    """b^H M b of the beam b in column i and a Hermitian M."""
    n = beams.shape[0] // 2
    total = everywhere(0.0)
    for r in range(n):
        x = everywhere(0.0)
        y = everywhere(0.0)
        for c in range(n):
            p = get(matrix, r, c)
            q = get(matrix, n + r, c)
            u = get(beams, c, i)
            v = get(beams, n + c, i)
            x += p * u - q * v
            y += p * v + q * u
        total += get(beams, r, i) * x + get(beams, n + r, i) * y
    return total


@unmanaged
def _empty_where_slack(values, beams, normal, value, before, certainty):
    """Set to 0 the values of the orthogonal beams that an optimum leaves empty; how many are left.

    Their slack exceeds `certainty` times their share of the power, which has shrunk along the way, from `before` on.
    """
    total = total_of(values)
    left = everywhere(0.0)
    for i in range(beams.shape[1]):
        power = get(values, i, i)
        slack = 1.0 - _along(normal, beams, i) / (value * power)
        shrunk = where_less(SHRUNK * power, _along(before, beams, i) / power, 1.0, 0.0)
        empty = where_less(certainty * power, slack * total, shrunk, 0.0)
        put(values, where_less(0.0, empty, 0.0, power), i, i)
        left += where_less(0.0, empty, 0.0, where_less(0.0, power, 1.0, 0.0))
    return left


@unmanaged
def _keep_largest(values, count):
    """Set to 0 all but the `count` largest values on a diagonal."""
    size = values.shape[1]
    for i in range(size):  # how many are larger; in the imaginary part, which is not read
        above = everywhere(0.0)
        for k in range(size):
            above += where_less(get(values, i, i), get(values, k, k), 1.0, 0.0)
        put(values, above, size + i, i)
    for i in range(size):
        put(values, where_less(get(values, size + i, i), count - 0.5, get(values, i, i), 0.0), i, i)


@unmanaged
def _load(x, b, w, lane, work):
    count = x.shape[2]
    for i in range(count):
        for k in range(count):
            work[i, k, lane] = x[b, w, i, k].real
            work[count + i, k, lane] = x[b, w, i, k].imag


@kernel
def settled_covariances(draws, rho, x, before, wanted, certain):
    """Covariances (batch, rho, n, n) without the directions that an optimum leaves empty, at unit trace.

    Parameters
    ----------
    draws, rho
        As for `cleaning.certified_covariances`.
    x, before
        Two points on the way to the optimum, (batch, rho, n, n), the first of the smaller gap.
    wanted
        Of which, (batch, rho); the others stay 0.
    certain
        Ratio of slack and power from which on there is no doubt that a direction is empty.

    Returns
    -------
    x without its empty directions; without those that are empty beyond doubt; and `before`, of the rank of the first.
    """
    count = x.shape[2]
    out = (np.zeros_like(x), np.zeros_like(x), np.zeros_like(x))
    block = new_block(draws, count)
    work = lane_zeros(2 * count, count)
    earlier = lane_zeros(2 * count, count)
    gram = lane_zeros(2 * count, count)
    beams = lane_zeros(2 * count, count)
    weight = lane_zeros(2, 1)
    items = wanted_items(wanted)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        for lane in range(LANES):
            b, w = items[first + min(lane, used - 1)]
            load_draw(block, draws, b, lane)
            weight[0, 0, lane] = rho[w]
            _load(x, b, w, lane, work)
            _load(before, b, w, lane, earlier)
        value = evaluate(block, get(weight, 0, 0), work)
        for part in range(2):
            from_covariance(work, gram, beams)
            certainty = 1.0 if part == 0 else certain
            left = _empty_where_slack(gram, beams, block.normal, value, earlier, certainty)
            if part == 0:
                put(weight, left, 1, 0)
            leading(gram, beams, 0.0, total_of(gram), block.tested)
            _unload(block.tested, items, first, used, out[part])
        from_covariance(earlier, gram, beams)
        _keep_largest(gram, get(weight, 1, 0))
        leading(gram, beams, 0.0, total_of(gram), block.tested)
        _unload(block.tested, items, first, used, out[2])
    return out


@unmanaged
def _unload(work, items, first, used, out):
    count = out.shape[2]
    for lane in range(used):
        b, w = items[first + lane]
        for i in range(count):
            for k in range(count):
                out[b, w, i, k] = complex(work[i, k, lane], work[count + i, k, lane])


@kernel
def covariance_slopes(draws, rho, x, wanted):
    """N = -grad f / f at covariances (batch, rho, n, n) of unit trace; no numbers where none is wanted or f is inf."""
    count = x.shape[2]
    out = np.full(x.shape, complex(np.nan, np.nan))
    block = new_block(draws, count)
    work = lane_zeros(2 * count, count)
    weight = lane_zeros(2, 1)
    items = wanted_items(wanted)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        for lane in range(LANES):
            b, w = items[first + min(lane, used - 1)]
            load_draw(block, draws, b, lane)
            weight[0, 0, lane] = rho[w]
            _load(x, b, w, lane, work)
        put(weight, evaluate(block, get(weight, 0, 0), work), 1, 0)
        for lane in range(used):
            b, w = items[first + lane]
            value = weight[1, 0, lane]
            if value < np.inf:
                for i in range(count):
                    for k in range(count):
                        real, imag = block.normal[i, k, lane], block.normal[count + i, k, lane]
                        out[b, w, i, k] = complex(real / value, imag / value)
    return out


@kernel
def power_slopes(draws, rho, powers, wanted):
    """N_i = -(df/dp_i) / f at codeword powers (batch, rho, n) of unit sum, like `covariance_slopes`."""
    count = powers.shape[2]
    out = np.full(powers.shape, np.nan)
    block = new_block(draws, count)
    weight = lane_zeros(2, 1)
    slope = lane_zeros(count, 1)
    items = wanted_items(wanted)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        for lane in range(LANES):
            b, w = items[first + min(lane, used - 1)]
            load_draw(block, draws, b, lane)
            weight[0, 0, lane] = rho[w]
            for i in range(count):
                block.powers[i, 0, lane] = powers[b, w, i]
        transmit_powers(block, block.powers)
        put(weight, weighted_crb(block, get(weight, 0, 0)), 1, 0)
        for i in range(count):
            put(slope, -power_slope(block, i), i, 0)
        for lane in range(used):
            b, w = items[first + lane]
            if weight[1, 0, lane] < np.inf:
                for i in range(count):
                    out[b, w, i] = slope[i, 0, lane] / weight[1, 0, lane]
    return out
