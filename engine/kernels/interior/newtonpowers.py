"""Extreme powers on fixed codewords to the last digits: Newton's method, from where another method ended.

Where the optimum is unique it is so among the codewords in use, and few steps find it. Where many powers make the same
covariance, their analytic centre is taken.
"""

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.problems import load_items
from ..jit.accelerate import inlined, kernel
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import cholesky_lanes
from .curvature import add_curvature, curvature_work
from .powers import evaluate, factored, new_space, room, solve_for_step

NEWTON_STEPS = 3
_CENTRED_MU = 1e-8
_CENTRING_STEPS = 40
_CENTRED_SHARE = 1e-2  # of equal powers at the start


@inlined
def _load(evaluation, draws, chosen, rho, powers, weight, share, space):
    """Put items (weight, draw) and their powers into the lanes, with a share of equal powers mixed in."""
    n = powers.shape[2]
    load_items(evaluation.problem, draws, chosen, rho, weight)
    for lane in range(LANES):
        w, b = chosen[min(lane, len(chosen) - 1)]
        for i in range(n):
            space.p[i, 0, lane] = (1.0 - share) * powers[b, w, i] + share / n


@inlined
def _unload(p, lane, out):
    """Keep a lane's powers, at unit sum."""
    out[:] = p[:, 0, lane] / p[:, 0, lane].sum()


@inlined
def _newton_step(n, space):
    """Newton's step among the codewords that have power, into d; 1 in the lanes in which it stays positive."""
    for i in range(n):
        empty = where_less(0.0, get(space.p, i, 0), 0.0, 1.0)
        g = get(space.normal, i, 0)
        for k in range(i + 1):
            b = get(space.system, i, k) - g * get(space.normal, k, 0)
            out = where_less(0.0, empty, 1.0, where_less(0.0, get(space.p, k, 0), 0.0, 1.0))
            put(space.system, where_less(0.0, out, 1.0 if i == k else 0.0, b), i, k)
        put(space.correction, where_less(0.0, empty, 0.0, g - 1.0), i, 0)
    fine = cholesky_lanes(space.system, n)
    for i in range(n):
        x = get(space.correction, i, 0)
        for k in range(i):
            x -= get(space.system, i, k) * get(space.d, k, 0)
        put(space.d, x * get(space.system, i, i), i, 0)
    for i in range(n - 1, -1, -1):
        x = get(space.d, i, 0)
        for k in range(i + 1, n):
            x -= get(space.system, k, i) * get(space.d, k, 0)
        put(space.d, x * get(space.system, i, i), i, 0)
        after = get(space.p, i, 0) + get(space.d, i, 0)
        fine = where_less(0.0, get(space.p, i, 0), where_less(0.0, after, fine, 0.0), fine)
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
    space = new_space(n, bending.forms.shape[0])
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        _load(evaluation, draws, items[first : first + used], rho, powers, weight, 0.0, space)
        put(space.stale, 0.0, 0, 0)
        for _ in range(NEWTON_STEPS):
            value, _ = evaluate(evaluation, get(weight, 0, 0), space)
            space.system[:] = 0.0
            add_curvature(evaluation, get(weight, 0, 0), value, bending, space.system)
            fine = where_less(value, np.inf, _newton_step(n, space), 0.0)
            put(space.stale, get(space.stale, 0, 0) + where_less(0.0, fine, 0.0, 1.0), 0, 0)
            for i in range(n):
                put(space.before, get(space.p, i, 0), i, 0)
                put(space.p, get(space.p, i, 0) + where_less(0.0, fine, get(space.d, i, 0), 0.0), i, 0)
        for lane in range(used):
            w, b = items[first + lane]
            if space.stale[0, 0, lane] == 0.0:
                refined[b, w] = True
                _unload(space.p, lane, out[b, w])
                _unload(space.before, lane, before[b, w])
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
    space = new_space(n, bending.forms.shape[0])
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        _load(evaluation, draws, items[first : first + used], rho, powers, weight, _CENTRED_SHARE, space)
        space.correction[:] = 0.0
        for turn in range(2 * _CENTRING_STEPS):
            mu = 10.0 * _CENTRED_MU if turn < _CENTRING_STEPS else _CENTRED_MU
            value, _ = evaluate(evaluation, get(weight, 0, 0), space)
            space.system[:] = 0.0
            add_curvature(evaluation, get(weight, 0, 0), value, bending, space.system)
            for i in range(n):
                put(space.s, mu / get(space.p, i, 0), i, 0)
            fine = where_less(value, np.inf, factored(n, space), 0.0)
            solve_for_step(n, everywhere(mu), space)
            length = where_less(0.0, fine, room(space.p, space.d), 0.0)
            for i in range(n):
                step = where_less(0.0, length, length * get(space.d, i, 0), 0.0)
                put(space.p, get(space.p, i, 0) + step, i, 0)
            if turn == _CENTRING_STEPS - 1:
                for lane in range(used):
                    w, b = items[first + lane]
                    _unload(space.p, lane, before[b, w])
        for lane in range(used):
            w, b = items[first + lane]
            _unload(space.p, lane, out[b, w])
    return out, before
