"""An interior-point method for designs of full dimension, eight draws in step: about ten steps, whatever the antennas.

F(x) = log f(x) + tr x is convex over positive definite x (f is convex and of degree -1), and tr x = 1 at its minimum.
With a slack s for the bound of the certificate, the optimum is where

    s = I - N(x), N = -grad f / f,    x s = mu I,    mu -> 0,

and each step solves the linearised equations in the direction of Helmberg, Rendl, Vanderbei and Wolkowicz (HRVW/KSH/M,
taken in the slack), with Mehrotra's predictor and corrector: with y = x^-1,

    B d + (s d y + y d s) / 2 = sigma mu y - (I - N) - correction.

B, the second derivative of log f, is computed where a curve begins or a step came out short, and kept up to date from
the changes of N in between (BFGS): f is so nearly quadratic along the way that this costs hardly any steps.
"""

import numpy as np

from ..bound.certificate import covariance_is_certified
from ..bound.objective import new_evaluation
from ..bound.powers import balance
from ..bound.problems import load_items, load_powers
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, root, where_less
from ..linalg.lanemat import copy_where, hermitian_inverse, times_lanes, trace, trace_of_product
from .curvature import curvature_work
from .step import advance, evaluate, new_space, renew_curvature, update_curvature

_EQUAL = 1e-3  # share of equal eigenvalues that keeps the start inside
FIRST_MU = 0.8  # times the spread of N at the start, which is about the gap there
LEAST_MU = 1e-4
# A step goes to 1 / clearance of the way to the boundary at most. On a bold way curvature is computed anew only after a
# step of less than 0.6; on the others at every step: some optima lie on the edge of where f exists (a path without
# power), and close to it no model of f holds for long. Brisk ways fail once in some hundred times there, careful ones
# hardly ever.
BOLD, BRISK, CAREFUL = 1.05, 1.6, 4.0
_SHORT = 0.6
_MOST_BOLD, _MOST_OTHERS = 30, 100  # evaluations
FIRST_GOAL = 1e-2  # gap from which on a lane's best point is kept, to be improved by
_NEXT_GOAL = 0.1
APART = 100.0  # least ratio of the goals of the best point and the one kept from before
_SETTLED = 1e-5  # gap from which on a way may end without having reached its end
STALE = 8.0  # evaluations without a better point, after which rounding does not allow one


@inlined
def _start(evaluation, rho, n, space):
    """Begin at balanced codeword powers: x = (1 - share) R diag(p) R^T + share I / n."""
    mix, powers = evaluation.problem.mix, evaluation.powers
    balance(evaluation, rho, powers)
    for i in range(n):
        for k in range(i + 1):
            x = everywhere(0.0)
            for j in range(i, n):  # mix is upper triangular
                x += get(mix, i, j) * get(powers, j, 0) * get(mix, k, j)
            x *= 1.0 - _EQUAL
            if i == k:
                x += _EQUAL / n
            put(space.x, x, i, k)
            put(space.x, x, k, i)
            put(space.x, 0.0, n + i, k)
            put(space.x, 0.0, n + k, i)


@inlined
def _first_slack(n, space):
    """Slack mu x^-1, with mu from the spread of N, sqrt(tr x N^2 - 1): at an optimum N is the identity where x is.

    tr x N is 1 at any x.
    """
    for i in range(n):
        for k in range(i):
            put(space.normal, get(space.normal, i, k), k, i)
            put(space.normal, -get(space.normal, n + i, k), n + k, i)
    times_lanes(space.x, space.normal, n, space.half)
    spread = trace_of_product(space.half, space.normal, n) - 1.0
    mu = (FIRST_MU / n) * root(where_less(0.0, spread, spread, 0.0))
    mu = where_less(LEAST_MU, mu, mu, LEAST_MU)
    for i in range(2 * n):
        for k in range(n):
            put(space.s, mu * get(space.y, i, k), i, k)


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
    space = new_space(n)
    bending = curvature_work(evaluation, False)
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(evaluation.problem, draws, items[first : first + used], rho, weight)
        load_powers(evaluation.powers, powers, items[first : first + used])
        _start(evaluation, get(weight, 0, 0), n, space)
        _follow(evaluation, get(weight, 0, 0), clearance, tolerance, space, bending)
        for lane in range(used):
            w, b = items[first + lane]
            evaluations[b, w] = int(space.spent[0, 0, lane])
            if space.goals[0, 0, lane] < np.inf:
                keep(space.best, n, lane, x[b, w])
            if space.goals[2, 0, lane] < np.inf:
                keep(space.before, n, lane, before[b, w])
    return x, before, evaluations


@unmanaged
def _note_best(n, tolerance, going, space):
    """Keep x in the lanes in which it reaches the goal, and set the next one; 1 where that was the tolerance."""
    through = everywhere(0.0)
    pending = going
    goal, found = get(space.goal, 0, 0), everywhere(np.inf)
    while largest_lane(pending) > 0.0:
        level = (1.0 + goal) / trace(space.x, n)  # of tr x = 1 in place of the power
        fine = covariance_is_certified(space.normal, level, space.trial)
        reached = where_less(0.0, pending, fine, 0.0)
        last = where_less(tolerance, goal, 0.0, reached)
        found = where_less(0.0, reached, goal, found)
        after = where_less(tolerance, _NEXT_GOAL * goal, _NEXT_GOAL * goal, tolerance)
        goal = where_less(0.0, reached, after, goal)
        through += last
        pending = reached - last
    put(space.goal, goal, 0, 0)
    best, recent = get(space.goals, 0, 0), get(space.goals, 1, 0)
    better = where_less(found, np.inf, 1.0, 0.0)
    apart = where_less(APART * found, 1.001 * recent, better, 0.0)
    copy_where(apart, space.recent, space.before)
    copy_where(apart, space.x, space.recent)
    copy_where(better, space.x, space.best)
    put(space.goals, where_less(0.0, apart, recent, get(space.goals, 2, 0)), 2, 0)
    put(space.goals, where_less(0.0, apart, found, recent), 1, 0)
    put(space.goals, where_less(0.0, better, found, best), 0, 0)
    put(space.stale, where_less(0.0, better, 0.0, get(space.stale, 0, 0) + 1.0), 0, 0)
    return through


@inlined
def _follow(evaluation, rho, clearance, tolerance, space, bending):
    """Take steps in every lane until all are certified or broken down; a lane that is through stays where it is."""
    n = evaluation.problem.mix.shape[0]
    bold = clearance == BOLD
    renew_below = _SHORT if bold else np.inf
    put(space.spent, 0.0, 0, 0)
    put(space.stale, 0.0, 0, 0)
    put(space.goals, np.inf, 0, 0)
    put(space.goals, np.inf, 1, 0)
    put(space.goals, np.inf, 2, 0)
    put(space.goal, FIRST_GOAL if tolerance < FIRST_GOAL else tolerance, 0, 0)
    going = everywhere(1.0)
    length = everywhere(0.0)
    for turn in range(_MOST_BOLD if bold else _MOST_OTHERS):
        value = evaluate(evaluation, rho, space)
        going = where_less(value, np.inf, going, 0.0)
        put(space.spent, get(space.spent, 0, 0) + going, 0, 0)
        going -= _note_best(n, tolerance, going, space)
        stale = where_less(get(space.goals, 0, 0), _SETTLED, get(space.stale, 0, 0), 0.0)
        going = where_less(STALE, stale, 0.0, going)
        going = where_less(0.0, hermitian_inverse(space.x, n, space.trial, space.y), going, 0.0)
        if largest_lane(going) == 0.0:
            return
        if turn == 0:
            _first_slack(n, space)
        update_curvature(n * n, space)
        renew = where_less(length, renew_below, going, 0.0)
        if largest_lane(renew) > 0.0:
            renew_curvature(evaluation, rho, value, renew, space, bending)
        for i in range(n * n):
            put(space.last, get(space.slopes, i, 0), i, 0)
        length = advance(n, clearance, going, space)


@unmanaged
def keep(x, n, lane, out):
    """Keep a lane's covariance, scaled to unit trace."""
    total = 0.0
    for i in range(n):
        total += x[i, i, lane]
    for i in range(n):
        for k in range(n):
            out[i, k] = complex(x[i, k, lane] / total, x[n + i, k, lane] / total)
