"""An interior-point method for designs of full dimension, eight draws in step: about ten steps, whatever the antennas.

F(x) = log f(x) + tr x is convex over positive definite x (f is convex and of degree -1), and tr x = 1 at its minimum.
With a slack s for the bound of the certificate, the optimum is where

    s = I - N(x), N = -grad f / f,    x s = mu I,    mu -> 0,

and each step solves the linearised equations in the direction of Helmberg, Rendl, Vanderbei and Wolkowicz (HRVW/KSH/M,
taken in the slack), with Mehrotra's predictor and corrector: with y = x^-1,

    B d + (s d y + y d s) / 2 = sigma mu y - (I - N) - correction.

B, the second derivative of log f, is computed where a curve begins or a step came out short, and kept up to date from
the changes of N in between (BFGS): f is so nearly quadratic along the way that this costs hardly any steps.
Test: tests/engine/beamforming/test_interior.py.
"""

import numpy as np

from ..bound.certificate import covariance_is_certified
from ..bound.objective import new_evaluation
from ..bound.powers import balance
from ..bound.problems import load_items, load_powers
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, where_less
from ..linalg.lanemat import hermitian_inverse, mirror, times_lanes, trace, trace_of_product
from .centring import first_mu
from .curvature import curvature_work
from .record import APART, FIRST_GOAL, clear, note, unless_stale
from .step import advance, evaluate_covariance, new_state, renew_curvature, update_curvature

_EQUAL = 1e-3  # share of equal eigenvalues that keeps the start inside
# A step goes to 1 / clearance of the way to the boundary at most. On a bold way curvature is computed anew only after a
# step of less than 0.6; on the others at every step: some optima lie on the edge of where f exists (a path without
# power), and close to it no model of f holds for long. Brisk ways fail once in some hundred times there, careful ones
# hardly ever.
BOLD, BRISK, CAREFUL = 1.05, 1.6, 4.0
_SHORT = 0.6
_MOST_BOLD, _MOST_OTHERS = 30, 100  # evaluations
_NEXT_GOAL = 0.1  # times the goal that was reached
_SETTLED = 1e-5  # gap from which on a way may end without having reached its end


@inlined
def _start_at_balance(evaluation, rho, n, x):
    """Begin at balanced codeword powers: x = (1 - share) R diag(p) R^T + share I / n."""
    mix, powers = evaluation.problem.mix, evaluation.powers
    balance(evaluation, rho, powers)
    for i in range(n):
        for k in range(i + 1):
            total = everywhere(0.0)
            for j in range(i, n):  # mix is upper triangular
                total += get(mix, i, j) * get(powers, j, 0) * get(mix, k, j)
            total *= 1.0 - _EQUAL
            if i == k:
                total += _EQUAL / n
            put(x, total, i, k)
            put(x, total, k, i)
            put(x, 0.0, n + i, k)
            put(x, 0.0, n + k, i)
    if evaluation.problem.mix_imag.shape[0] > 0:
        _add_imaginary_start(mix, evaluation.problem.mix_imag, powers, 1.0 - _EQUAL, x)


@unmanaged
def _add_imaginary_start(mix, mix_imag, powers, share, x):
    """Add what the imaginary part of R makes of share R diag(p) R^H."""
    n = mix.shape[0]
    for i in range(n):
        for k in range(i + 1):
            re = everywhere(0.0)
            im = everywhere(0.0)
            for j in range(i, n):
                p = share * get(powers, j, 0)
                re += p * get(mix_imag, i, j) * get(mix_imag, k, j)
                im += p * (get(mix_imag, i, j) * get(mix, k, j) - get(mix, i, j) * get(mix_imag, k, j))
            re += get(x, i, k)
            put(x, re, i, k)
            put(x, re, k, i)
            put(x, im, n + i, k)
            put(x, -im, n + k, i)


@unmanaged
def _first_slack(n, point, product):
    """Slack mu x^-1, with mu from the spread of N, sqrt(tr x N^2 - 1), since tr x N is 1 at any x."""
    mirror(point.normal, n)
    times_lanes(point.x, point.normal, n, product)
    spread = trace_of_product(product, point.normal, n) - 1.0
    mu = first_mu(spread, n)
    for i in range(2 * n):
        for k in range(n):
            put(point.s, mu * get(point.y, i, k), i, k)


@kernel
def interior_designs(draws, powers, rho, wanted, clearance, tolerance):
    """Designs where they are wanted, each from where its draw begins.

    Parameters
    ----------
    draws
        `problems.ProblemArrays` of the batch.
    powers
        Codeword powers to begin with, (batch, n), of unit sum.
    rho
        Weights.
    wanted
        Of which draws and weights, (batch, rho).
    clearance
        `BOLD`, `BRISK` or `CAREFUL`: the slower, the less often it fails.
    tolerance
        Certified gap at which to stop.

    Returns
    -------
    x (batch, rho, n, n) of unit trace, the best point wherever there is one of a gap below `FIRST_GOAL`, else 0;
    before, like x, a point of a gap at least `APART` / 10 times as large, 0 where there is none; evaluations
    (batch, rho), 0 where nothing was wanted.
    """
    batch, n, _ = draws.mix.shape
    x = np.zeros((batch, rho.size, n, n), np.complex128)
    before = np.zeros((batch, rho.size, n, n), np.complex128)
    evaluations = np.zeros((batch, rho.size), np.int64)
    items = np.argwhere(wanted.T)  # weight by weight: designs for one weight take about the same time
    evaluation = new_evaluation(draws, n)
    state = new_state(n)
    record = state.record
    bending = curvature_work(evaluation, False)
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(evaluation.problem, draws, items[first : first + used], rho, weight)
        load_powers(evaluation.powers, powers, items[first : first + used])
        _start_at_balance(evaluation, get(weight, 0, 0), n, state.point.x)
        _follow_path(evaluation, get(weight, 0, 0), clearance, tolerance, state, bending)
        for lane in range(used):
            w, b = items[first + lane]
            evaluations[b, w] = int(record.spent[0, 0, lane])
            if record.gaps[0, 0, lane] < np.inf:
                unload_unit_trace(record.best, n, lane, x[b, w])
            if record.gaps[2, 0, lane] < np.inf:
                unload_unit_trace(record.before, n, lane, before[b, w])
    return x, before, evaluations


@unmanaged
def _note_best(n, tolerance, going, state):
    """Keep x in the lanes in which it reaches the goal, and set the next one; 1 where that was the tolerance."""
    through = everywhere(0.0)
    pending = going
    goal, found = get(state.goal, 0, 0), everywhere(np.inf)
    while largest_lane(pending) > 0.0:
        level = (1.0 + goal) / trace(state.point.x, n)  # tr x is its power
        fine = covariance_is_certified(state.point.normal, level, state.buffers.factored)
        reached = where_less(0.0, pending, fine, 0.0)
        last = where_less(tolerance, goal, 0.0, reached)
        found = where_less(0.0, reached, goal, found)
        after = where_less(tolerance, _NEXT_GOAL * goal, _NEXT_GOAL * goal, tolerance)
        goal = where_less(0.0, reached, after, goal)
        through += last
        pending = reached - last
    put(state.goal, goal, 0, 0)
    better = where_less(found, np.inf, 1.0, 0.0)
    apart = where_less(APART * found, 1.001 * get(state.record.gaps, 1, 0), better, 0.0)
    note(state.point.x, found, better, apart, state.record)
    return through


@inlined
def _follow_path(evaluation, rho, clearance, tolerance, state, bending):
    """Take steps in every lane until all are certified or broken down; a lane that is through stays where it is.

    Gaps in the record are goals that were reached: upper bounds, within a factor of ten.
    """
    n = evaluation.problem.mix.shape[0]
    point = state.point
    bold = clearance == BOLD
    renew_below = _SHORT if bold else np.inf
    clear(state.record)
    put(state.goal, FIRST_GOAL if tolerance < FIRST_GOAL else tolerance, 0, 0)
    going = everywhere(1.0)
    length = everywhere(0.0)
    for steps in range(_MOST_BOLD if bold else _MOST_OTHERS):
        value = evaluate_covariance(evaluation, rho, point)
        going = where_less(value, np.inf, going, 0.0)
        put(state.record.spent, get(state.record.spent, 0, 0) + going, 0, 0)
        going -= _note_best(n, tolerance, going, state)
        going = unless_stale(_SETTLED, going, state.record)
        going = where_less(0.0, hermitian_inverse(point.x, n, state.buffers.factored, point.y), going, 0.0)
        if largest_lane(going) == 0.0:
            return
        if steps == 0:
            _first_slack(n, point, state.buffers.pair)
        update_curvature(point.slopes, state.curvature)
        renew = where_less(length, renew_below, going, 0.0)
        if largest_lane(renew) > 0.0:
            renew_curvature(evaluation, rho, value, renew, state, bending)
        length = advance(n, clearance, going, state)


@unmanaged
def unload_unit_trace(x, n, lane, out):
    """Take a lane's covariance out, scaled to unit trace."""
    total = 0.0
    for i in range(n):
        total += x[i, i, lane]
    for i in range(n):
        for k in range(n):
            out[i, k] = complex(x[i, k, lane] / total, x[n + i, k, lane] / total)
