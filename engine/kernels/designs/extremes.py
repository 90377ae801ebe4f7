"""Extreme designs without what an interior-point method leaves in directions that an optimum does not use.

On its way x s = mu I, with the slack s = I - N, N = -grad f / f: a direction of slack s_i keeps the power mu / s_i.
Mixes of factors take the root of it, which vanishes no faster than the root of the gap. At an optimum either the power
or the slack of a direction is zero: a power that is below its slack, and has been falling with mu, goes.
Test: test_mixes.
"""

import numpy as np

from ..bound.objective import covariance_objective, new_evaluation
from ..bound.powers import power_objective
from ..bound.problems import load_designs, load_items, load_points, unload_designs, wanted_items
from ..jit.accelerate import kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import quadratic_form_lanes
from .cleaning import from_covariance, leading, new_beams, power_of

SHRUNK = 3.0  # by how much the power of a direction that becomes empty falls at least, while the gap falls tenfold


@unmanaged
def _empty_where_slack(beams, gradient, value, before, certainty):
    """Set to 0 the squared lengths of the beams that an optimum leaves empty; how many are left.

    Their slack exceeds `certainty` times their share of the power, which has shrunk along the way, from `before` on.
    gradient is -grad f, and value f, at the covariance that they make.
    """
    total = power_of(beams)
    left = everywhere(0.0)
    for i in range(beams.gram.shape[1]):
        power = get(beams.gram, i, i)
        slack = 1.0 - quadratic_form_lanes(gradient, beams.columns, i) / (value * power)
        shrunk = where_less(SHRUNK * power, quadratic_form_lanes(before, beams.columns, i) / power, 1.0, 0.0)
        empty = where_less(certainty * power, slack * total, shrunk, 0.0)
        put(beams.gram, where_less(0.0, empty, 0.0, power), i, i)
        left += where_less(0.0, empty, 0.0, where_less(0.0, power, 1.0, 0.0))
    return left


@unmanaged
def _keep_largest(values, count, larger):
    """Set to 0 all but the `count` largest values on a diagonal; larger (n, 1) says how many exceed each."""
    size = values.shape[1]
    for i in range(size):
        above = everywhere(0.0)
        for k in range(size):
            above += where_less(get(values, i, i), get(values, k, k), 1.0, 0.0)
        put(larger, above, i, 0)
    for i in range(size):
        put(values, where_less(get(larger, i, 0), count - 0.5, get(values, i, i), 0.0), i, i)


@kernel
def settled_covariances(problems, rho, x, before, wanted, certain):
    """Covariances (batch, rho, n, n) without the directions that an optimum leaves empty, at unit trace.

    Parameters
    ----------
    problems, rho
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
    n = x.shape[2]
    out = (np.zeros_like(x), np.zeros_like(x), np.zeros_like(x))
    evaluation = new_evaluation(problems, n)
    point, earlier, settled = lane_zeros(2 * n, n), lane_zeros(2 * n, n), lane_zeros(2 * n, n)
    beams = new_beams(n, n)
    larger = lane_zeros(n, 1)
    weight, rank = lane_zeros(1, 1), lane_zeros(1, 1)
    lanes, items = evaluation.problem, wanted_items(wanted)
    for first in range(0, len(items), LANES):
        eight = items[first : first + LANES]
        load_items(lanes, problems, eight, rho, weight)
        load_designs(point, x, eight)
        load_designs(earlier, before, eight)
        value = covariance_objective(evaluation, get(weight, 0, 0), everywhere(1.0), point)
        for part in range(2):
            from_covariance(point, beams)
            certainty = 1.0 if part == 0 else certain
            left = _empty_where_slack(beams, evaluation.negative_gradient, value, earlier, certainty)
            if part == 0:
                put(rank, left, 0, 0)
            leading(beams, 0.0, power_of(beams), settled)
            unload_designs(settled, eight, out[part])
        from_covariance(earlier, beams)
        _keep_largest(beams.gram, get(rank, 0, 0), larger)
        leading(beams, 0.0, power_of(beams), settled)
        unload_designs(settled, eight, out[2])
    return out


@kernel
def covariance_slopes(problems, rho, x, wanted):
    """N = -grad f / f at covariances (batch, rho, n, n) of unit trace; no numbers where none is wanted or f is inf."""
    n = x.shape[2]
    out = np.full(x.shape, complex(np.nan, np.nan))
    evaluation = new_evaluation(problems, n)
    point = lane_zeros(2 * n, n)
    weight, found = lane_zeros(1, 1), lane_zeros(1, 1)
    lanes, items = evaluation.problem, wanted_items(wanted)
    for first in range(0, len(items), LANES):
        eight = items[first : first + LANES]
        load_items(lanes, problems, eight, rho, weight)
        load_designs(point, x, eight)
        put(found, covariance_objective(evaluation, get(weight, 0, 0), everywhere(1.0), point), 0, 0)
        gradient = evaluation.negative_gradient
        for lane in range(len(eight)):
            w, b = eight[lane]
            value = found[0, 0, lane]
            if value < np.inf:
                for i in range(n):
                    for k in range(n):
                        real, imag = gradient[i, k, lane], gradient[n + i, k, lane]
                        out[b, w, i, k] = complex(real / value, imag / value)
    return out


@kernel
def power_slopes(problems, rho, powers, wanted):
    """N_i = -(df/dp_i) / f at codeword powers (batch, rho, n) of unit sum, like `covariance_slopes`."""
    out = np.full(powers.shape, np.nan)
    evaluation = new_evaluation(problems, powers.shape[2])
    weight, found = lane_zeros(1, 1), lane_zeros(1, 1)
    lanes, items = evaluation.problem, wanted_items(wanted)
    for first in range(0, len(items), LANES):
        eight = items[first : first + LANES]
        load_items(lanes, problems, eight, rho, weight)
        load_points(evaluation.powers, powers, eight)
        put(found, power_objective(evaluation, get(weight, 0, 0), evaluation.powers), 0, 0)
        for lane in range(len(eight)):
            w, b = eight[lane]
            if found[0, 0, lane] < np.inf:
                for i in range(powers.shape[2]):
                    out[b, w, i] = -evaluation.slopes[i, 0, lane] / found[0, 0, lane]
    return out
