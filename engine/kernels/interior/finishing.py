"""The last digits of a design: interior-point steps (`step`) that begin where another method ended.

A design of small gap has its range and, by 1 - N there, the slack of the directions outside it. In its eigenvectors x
and s are set up such that x s = mu I, with mu about the gap; from there few bold steps go all the way, since the range
is right and Newton's method does the rest. Test: tests/engine/beamforming/test_mixes.py.
"""

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.problems import load_designs, load_items
from ..jit.accelerate import inlined, kernel
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.eigen import eigen_hermitian_lanes
from ..linalg.lanemat import copy_where, hermitian_inverse, mirror, quadratic_form_lanes
from .covariances import unload_unit_trace
from .curvature import curvature_work
from .step import advance, evaluate_covariance, new_state, renew_curvature

_MU = 1e-6
_BLEND = 1e-9  # share of equal eigenvalues with which f exists at a design of any rank
_CLEARANCE = 1.02
_STEPS = 6
EVALUATIONS = _STEPS + 2


@inlined
def _start_at_design(evaluation, rho, n, point, eigen):
    """Set x and s up around the design in x; eigen has room for two matrices, its eigenvalues and eigenvectors."""
    normal = point.normal
    diagonal, vectors = eigen
    for i in range(2 * n):
        for k in range(n):
            x = (1.0 - _BLEND) * get(point.x, i, k)
            put(point.x, x + _BLEND / n if i == k else x, i, k)
            put(diagonal, get(point.x, i, k), i, k)
    evaluate_covariance(evaluation, rho, point)
    mirror(normal, n)
    eigen_hermitian_lanes(diagonal, vectors, n)
    for i in range(2 * n):
        for k in range(n):
            put(point.x, 0.0, i, k)
            put(point.s, 0.0, i, k)
    for e in range(n):
        power = get(diagonal, e, e)
        power = where_less(_BLEND / n, power, power, _BLEND / n)
        slack = 1.0 - quadratic_form_lanes(normal, vectors, e)
        slack = where_less(_MU, slack * power, slack, _MU / power)
        power = where_less(_MU, slack * power, power, _MU / slack)
        for i in range(n):
            for k in range(n):
                a = get(vectors, i, e)
                b = get(vectors, n + i, e)
                p = get(vectors, k, e)
                q = get(vectors, n + k, e)
                x = a * p + b * q
                y = b * p - a * q
                put(point.x, get(point.x, i, k) + power * x, i, k)
                put(point.x, get(point.x, n + i, k) + power * y, n + i, k)
                put(point.s, get(point.s, i, k) + slack * x, i, k)
                put(point.s, get(point.s, n + i, k) + slack * y, n + i, k)


@kernel
def finished_designs(draws, start, rho, wanted):
    """Designs that begin at others of small gap, (batch, rho, n, n), where they are wanted.

    Returns x and before (batch, rho, n, n), of unit trace: the last two points; 0 where a step could not be taken.
    """
    n = start.shape[2]
    x, before = np.zeros_like(start), np.zeros_like(start)
    items = np.argwhere(wanted.T)  # weight by weight, as in `covariances`
    evaluation = new_evaluation(draws, n)
    state = new_state(n)
    point, last_but_one = state.point, state.record.before
    eigen = (lane_zeros(2 * n, n), lane_zeros(2 * n, n))
    bending = curvature_work(evaluation, False)
    weight, taken = lane_zeros(1, 1), lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(evaluation.problem, draws, items[first : first + used], rho, weight)
        load_designs(point.x, start, items[first : first + used])
        _start_at_design(evaluation, get(weight, 0, 0), n, point, eigen)
        going = everywhere(1.0)
        for steps in range(_STEPS + 1):
            value = evaluate_covariance(evaluation, get(weight, 0, 0), point)
            going = where_less(value, np.inf, going, 0.0)
            going = where_less(0.0, hermitian_inverse(point.x, n, state.buffers.factored, point.y), going, 0.0)
            if steps < _STEPS:
                renew_curvature(evaluation, get(weight, 0, 0), value, everywhere(1.0), state, bending)
                copy_where(going, point.x, last_but_one)
                length = advance(n, _CLEARANCE, going, state)
                going = where_less(0.0, length, going, 0.0)
        put(taken, going, 0, 0)
        for lane in range(used):
            w, b = items[first + lane]
            if taken[0, 0, lane] > 0.0:
                unload_unit_trace(point.x, n, lane, x[b, w])
                unload_unit_trace(last_but_one, n, lane, before[b, w])
    return x, before
