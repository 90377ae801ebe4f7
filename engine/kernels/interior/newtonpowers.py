"""Extreme powers on fixed codewords to the last digits: Newton's method, from where another method ended.

Where the optimum is unique it is so among the codewords in use, and few steps find it. Where many powers make the same
covariance, their analytic centre is taken. Test: tests/engine/beamforming/test_mixes.py.
"""

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.problems import load_items
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import cholesky_lanes, solve_lanes
from .curvature import curvature_work
from .powers import (
    evaluate_powers,
    factored,
    move,
    new_power_state,
    room,
    second_derivatives,
    solve_for_step,
    unload_unit_sum,
)

NEWTON_STEPS = 3
_CENTRED_MU = 1e-8
_CENTRING_STEPS = 40
_CENTRED_SHARE = 1e-2  # of equal powers at the start


@inlined
def _load_mixed(evaluation, draws, chosen, rho, powers, weight, share, p):
    """Put items (weight, draw) into the lanes, and into p their powers, with a share of equal powers mixed in."""
    n = powers.shape[2]
    load_items(evaluation.problem, draws, chosen, rho, weight)
    for lane in range(LANES):
        w, b = chosen[min(lane, len(chosen) - 1)]
        for i in range(n):
            p[i, 0, lane] = (1.0 - share) * powers[b, w, i] + share / n


@unmanaged
def _newton_step(n, point, system, d):
    """Newton's step d among the codewords that have power; 1 in the lanes in which these keep some."""
    for i in range(n):
        empty = where_less(0.0, get(point.p, i, 0), 0.0, 1.0)
        g = get(point.normal, i, 0)
        for k in range(i + 1):
            b = get(system, i, k) - g * get(point.normal, k, 0)
            out = where_less(0.0, empty, 1.0, where_less(0.0, get(point.p, k, 0), 0.0, 1.0))
            put(system, where_less(0.0, out, 1.0 if i == k else 0.0, b), i, k)
        put(d, where_less(0.0, empty, 0.0, g - 1.0), i, 0)
    fine = cholesky_lanes(system, n)
    solve_lanes(system, n, d)
    for i in range(n):
        after = get(point.p, i, 0) + get(d, i, 0)
        fine = where_less(0.0, get(point.p, i, 0), where_less(0.0, after, fine, 0.0), fine)
    return fine


@kernel
def refined_powers(draws, rho, powers, wanted):
    """Optimal powers (batch, rho, n) of unit sum among the codewords that have power, from close by: Newton's method.

    Returns powers and the iterate before, (batch, rho, n), and where every step could be taken, (batch, rho): where
    second derivatives are positive, so that the optimum is unique, and powers stay positive.
    """
    n = powers.shape[2]
    out, before = powers.copy(), powers.copy()
    refined = np.zeros(wanted.shape, np.bool_)
    items = np.argwhere(wanted.T)
    evaluation = new_evaluation(draws, n)
    bending = curvature_work(evaluation, True)
    state = new_power_state(n, bending.forms.shape[0])
    point, step = state.point, state.step
    last_but_one, failures = lane_zeros(n, 1), lane_zeros(1, 1)
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        _load_mixed(evaluation, draws, items[first : first + used], rho, powers, weight, 0.0, point.p)
        put(failures, 0.0, 0, 0)
        for _ in range(NEWTON_STEPS):
            value, _ = evaluate_powers(evaluation, get(weight, 0, 0), point)
            second_derivatives(evaluation, get(weight, 0, 0), value, bending, step.system)
            fine = where_less(value, np.inf, _newton_step(n, point, step.system, step.d), 0.0)
            put(failures, get(failures, 0, 0) + where_less(0.0, fine, 0.0, 1.0), 0, 0)
            for i in range(n):
                put(last_but_one, get(point.p, i, 0), i, 0)
                put(point.p, get(point.p, i, 0) + where_less(0.0, fine, get(step.d, i, 0), 0.0), i, 0)
        for lane in range(used):
            w, b = items[first + lane]
            if failures[0, 0, lane] == 0.0:
                refined[b, w] = True
                unload_unit_sum(point.p, lane, out[b, w])
                unload_unit_sum(last_but_one, lane, before[b, w])
    return out, before, refined


@kernel
def centred_powers(draws, rho, powers, wanted):
    """Powers (batch, rho, n) of unit sum in the middle of the optimal ones, from close by, where these are many.

    They minimise log f + sum p - mu sum log p by Newton's method, and tend to the analytic centre of the optima with
    mu. Returns those of the last mu, and those of one ten times as large.
    """
    n = powers.shape[2]
    out, before = powers.copy(), powers.copy()
    items = np.argwhere(wanted.T)
    evaluation = new_evaluation(draws, n)
    bending = curvature_work(evaluation, True)
    state = new_power_state(n, bending.forms.shape[0])
    point, step = state.point, state.step
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        _load_mixed(evaluation, draws, items[first : first + used], rho, powers, weight, _CENTRED_SHARE, point.p)
        step.correction[:] = 0.0
        for steps in range(2 * _CENTRING_STEPS):
            mu = 10.0 * _CENTRED_MU if steps < _CENTRING_STEPS else _CENTRED_MU
            value, _ = evaluate_powers(evaluation, get(weight, 0, 0), point)
            second_derivatives(evaluation, get(weight, 0, 0), value, bending, step.system)
            for i in range(n):
                put(point.s, mu / get(point.p, i, 0), i, 0)
            fine = where_less(value, np.inf, factored(n, point, step.system), 0.0)
            solve_for_step(n, everywhere(mu), point, step)
            move(point.p, where_less(0.0, fine, room(point.p, step.d), 0.0), step.d)
            if steps == _CENTRING_STEPS - 1:
                for lane in range(used):
                    w, b = items[first + lane]
                    unload_unit_sum(point.p, lane, before[b, w])
        for lane in range(used):
            w, b = items[first + lane]
            unload_unit_sum(point.p, lane, out[b, w])
    return out, before
