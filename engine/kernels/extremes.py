"""Extreme designs without what an interior-point method leaves in directions that an optimum does not use.

On its way x s = mu I, with the slack s = I - N, N = -grad f / f: a direction of slack s_i keeps the power mu / s_i.
Mixes of factors take the root of it, which vanishes no faster than the root of the gap. At an optimum either the power
or the slack of a direction is zero, so the one that is smaller near it goes.
"""

import numpy as np

from ..accelerate import bare, kernel
from ..lanes import LANES, get, lane_zeros, put, where_less
from .block import load_draw, new_block, power_slope, transmit_powers, weighted_crb
from .cleaning import evaluate, from_covariance, leading, total_of, wanted_items


@bare
def _empty_where_slack(values, beams, normal, value, certainty):
    """Set to 0 the values of the orthogonal beams whose slack exceeds `certainty` times their share of power."""
    n = beams.shape[0] // 2
    total = total_of(values)
    for i in range(beams.shape[1]):
        pull = 0.0 * total
        for r in range(n):
            x = 0.0 * total
            y = 0.0 * total
            for c in range(n):
                p = get(normal, r, c)
                q = get(normal, n + r, c)
                u = get(beams, c, i)
                v = get(beams, n + c, i)
                x += p * u - q * v
                y += p * v + q * u
            pull += get(beams, r, i) * x + get(beams, n + r, i) * y
        power = get(values, i, i)
        slack = 1.0 - pull / (value * power)
        put(values, where_less(certainty * power, slack * total, 0.0, power), i, i)


@bare
def _load(x, b, w, lane, work):
    count = x.shape[2]
    for i in range(count):
        for k in range(count):
            work[i, k, lane] = x[b, w, i, k].real
            work[count + i, k, lane] = x[b, w, i, k].imag


@kernel
def settled_covariances(draws, rho, x, wanted, certainty):
    """Covariances (batch, rho, n, n) without their directions of slack, at unit trace; 0 where none is wanted.

    A direction goes if its slack exceeds `certainty` times its share of the power.
    """
    count = x.shape[2]
    out = np.zeros_like(x)
    block = new_block(draws, count)
    work = lane_zeros(2 * count, count)
    gram = lane_zeros(2 * count, count)
    beams = lane_zeros(2 * count, count)
    weight = lane_zeros(1, 1)
    items = wanted_items(wanted)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        for lane in range(LANES):
            b, w = items[first + min(lane, used - 1)]
            load_draw(block, draws, b, lane)
            weight[0, 0, lane] = rho[w]
            _load(x, b, w, lane, work)
        value = evaluate(block, get(weight, 0, 0), work)
        from_covariance(work, gram, beams)
        _empty_where_slack(gram, beams, block.normal, value, certainty)
        leading(gram, beams, 0.0, total_of(gram), work)
        for lane in range(used):
            b, w = items[first + lane]
            for i in range(count):
                for k in range(count):
                    out[b, w, i, k] = complex(work[i, k, lane], work[count + i, k, lane])
    return out


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
