"""The last digits of a design: interior-point steps (`interiorstep`) that begin where another method ended.

A design of small gap has its range and, by 1 - N there, the slack of the directions outside it. In its eigenvectors x
and s are set up such that x s = mu I, with mu about the gap; from there few bold steps go all the way, since the range
is right and Newton's method does the rest.
"""

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.problems import load_covariance, load_items
from ..jit.accelerate import inlined, kernel
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.eigen import eigen_hermitian_lanes
from ..linalg.lanemat import copy_where, hermitian_inverse
from .covariances import keep
from .curvature import curvature_work
from .step import advance, evaluate, new_space, renew_curvature

_MU = 1e-6
_BLEND = 1e-9  # share of equal eigenvalues with which f exists at a design of any rank
_CLEARANCE = 1.02
_STEPS = 6
EVALUATIONS = _STEPS + 2


@inlined
def _start(evaluation, rho, n, space):
    """Set x and s up around the design in x."""
    for i in range(2 * n):
        for k in range(n):
            x = (1.0 - _BLEND) * get(space.x, i, k)
            put(space.x, x + _BLEND / n if i == k else x, i, k)
            put(space.trial, get(space.x, i, k), i, k)
    evaluate(evaluation, rho, space)
    for i in range(n):
        for k in range(i):
            put(space.normal, get(space.normal, i, k), k, i)
            put(space.normal, -get(space.normal, n + i, k), n + k, i)
    eigen_hermitian_lanes(space.trial, space.half, n)
    for i in range(2 * n):
        for k in range(n):
            put(space.x, 0.0, i, k)
            put(space.s, 0.0, i, k)
    for e in range(n):
        pull = everywhere(0.0)
        for i in range(n):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for k in range(n):
                p = get(space.normal, i, k)
                q = get(space.normal, n + i, k)
                u = get(space.half, k, e)
                v = get(space.half, n + k, e)
                x += p * u - q * v
                y += p * v + q * u
            pull += get(space.half, i, e) * x + get(space.half, n + i, e) * y
        power = get(space.trial, e, e)
        power = where_less(_BLEND / n, power, power, _BLEND / n)
        slack = 1.0 - pull
        slack = where_less(_MU, slack * power, slack, _MU / power)
        power = where_less(_MU, slack * power, power, _MU / slack)
        for i in range(n):
            for k in range(n):
                a = get(space.half, i, e)
                b = get(space.half, n + i, e)
                p = get(space.half, k, e)
                q = get(space.half, n + k, e)
                x = a * p + b * q
                y = b * p - a * q
                put(space.x, get(space.x, i, k) + power * x, i, k)
                put(space.x, get(space.x, n + i, k) + power * y, n + i, k)
                put(space.s, get(space.s, i, k) + slack * x, i, k)
                put(space.s, get(space.s, n + i, k) + slack * y, n + i, k)


@kernel
def finished_designs(draws, start, rho, wanted):
    """Designs that begin at others of small gap, (batch, rho, n, n), where they are wanted.

    Returns x and before (batch, rho, n, n), of unit trace: the last two points; 0 where a step could not be taken.
    """
    n = start.shape[2]
    x, before = np.zeros_like(start), np.zeros_like(start)
    items = np.argwhere(wanted.T)  # weight by weight, as in `interior`
    evaluation = new_evaluation(draws, n)
    space = new_space(n)
    bending = curvature_work(evaluation, False)
    weight = lane_zeros(2, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(evaluation.problem, draws, items[first : first + used], rho, weight)
        for lane in range(LANES):
            w, b = items[first + min(lane, used - 1)]
            load_covariance(space.x, lane, start[b, w])
        _start(evaluation, get(weight, 0, 0), n, space)
        going = everywhere(1.0)
        for turn in range(_STEPS + 1):
            value = evaluate(evaluation, get(weight, 0, 0), space)
            going = where_less(value, np.inf, going, 0.0)
            going = where_less(0.0, hermitian_inverse(space.x, n, space.trial, space.y), going, 0.0)
            if turn < _STEPS:
                renew_curvature(evaluation, get(weight, 0, 0), value, everywhere(1.0), space, bending)
                copy_where(going, space.x, space.before)
                length = advance(n, _CLEARANCE, going, space)
                going = where_less(0.0, length, going, 0.0)
        put(weight, going, 1, 0)
        for lane in range(used):
            w, b = items[first + lane]
            if weight[1, 0, lane] > 0.0:
                keep(space.x, n, lane, x[b, w])
                keep(space.before, n, lane, before[b, w])
    return x, before
