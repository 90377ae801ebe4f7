"""The interior-point method of `interior` for power on fixed codewords: the same with vectors in place of matrices.

Each step solves B d + (s / p) d = sigma mu / p - (1 - N) - correction, with N_i = -(df/dp_i) / f and the second
derivative B of log f computed anew, since it costs little over so few unknowns.
"""

from typing import NamedTuple

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.powers import balance, power_objective
from ..bound.problems import load_items, load_powers
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, root, where_less
from ..linalg.lanemat import cholesky_lanes
from .covariances import APART, FIRST_GOAL, FIRST_MU, LEAST_MU, STALE
from .curvature import add_curvature, curvature_work
from .step import LARGEST_SIGMA, LEAST_SIGMA

_MOST = 60  # evaluations
_CLEARANCE = 1.5  # a step goes to 2/3 of the way to the boundary at most
_EQUAL = 1e-3  # share of equal powers that keeps the start inside


class Space(NamedTuple):
    """State and buffers, (codewords, 1, lane) but for the system."""

    p: np.ndarray
    best: np.ndarray  # as in `interior`
    recent: np.ndarray
    before: np.ndarray
    s: np.ndarray
    normal: np.ndarray  # N
    d: np.ndarray  # step of p
    ds: np.ndarray  # step of s
    correction: np.ndarray
    system: np.ndarray
    gaps: np.ndarray  # those of best, recent and before
    stale: np.ndarray  # evaluations without a better point
    spent: np.ndarray  # evaluations


@inlined
def new_space(n, size):
    """Buffers for powers on n codewords; size is that of the system, in whole tiles."""
    return Space(
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(n, 1),
        lane_zeros(size, size),
        lane_zeros(3, 1),
        lane_zeros(1, 1),
        lane_zeros(1, 1),
    )


@unmanaged
def evaluate(evaluation, rho, space):
    """Value of f, N, and 1 + the gap, the largest N times the power."""
    value = power_objective(evaluation, rho, space.p)
    total = everywhere(0.0)
    steepest = everywhere(-np.inf)
    for i in range(space.p.shape[0]):
        slope = -get(evaluation.slopes, i, 0) / value
        put(space.normal, slope, i, 0)
        total += get(space.p, i, 0)
        steepest = where_less(steepest, slope, slope, steepest)
    return value, total * steepest


@unmanaged
def solve_for_step(n, sigma_mu, space):
    """Steps d and ds for a target p s = sigma mu."""
    for i in range(n):
        target = (sigma_mu - get(space.correction, i, 0)) / get(space.p, i, 0)
        put(space.ds, target - get(space.s, i, 0), i, 0)
        x = target + get(space.normal, i, 0) - 1.0
        for k in range(i):
            x -= get(space.system, i, k) * get(space.d, k, 0)
        put(space.d, x * get(space.system, i, i), i, 0)
    for i in range(n - 1, -1, -1):
        x = get(space.d, i, 0)
        for k in range(i + 1, n):
            x -= get(space.system, k, i) * get(space.d, k, 0)
        put(space.d, x * get(space.system, i, i), i, 0)
    for i in range(n):
        ratio = get(space.s, i, 0) / get(space.p, i, 0)
        put(space.ds, get(space.ds, i, 0) - ratio * get(space.d, i, 0), i, 0)


@unmanaged
def room(a, d):
    """How far along d the positive a may go: at most 1, and 1 / clearance of the way to the boundary."""
    length = everywhere(1.0)
    for i in range(a.shape[0]):
        limit = -get(a, i, 0) / (_CLEARANCE * get(d, i, 0))
        limit = where_less(get(d, i, 0), 0.0, limit, 1.0)
        length = where_less(limit, length, limit, length)
    return length


@unmanaged
def factored(n, space):
    """Factor B + diag(s / p), B being in the system; 0 where that breaks down."""
    for i in range(n):
        g = get(space.normal, i, 0)
        for k in range(i + 1):
            put(space.system, get(space.system, i, k) - g * get(space.normal, k, 0), i, k)
        put(space.system, get(space.system, i, i) + get(space.s, i, 0) / get(space.p, i, 0), i, i)
    return cholesky_lanes(space.system, n)


@inlined
def _advance(n, going, space):
    """One step with predictor and corrector of the lanes that go on; B is in the system."""
    product = everywhere(0.0)
    for i in range(n):
        product += get(space.p, i, 0) * get(space.s, i, 0)
    fine = where_less(0.0, factored(n, space), going, 0.0)
    mu = product / (1.0 * n)
    space.correction[:] = 0.0
    solve_for_step(n, everywhere(0.0), space)
    a = room(space.p, space.d)
    b = room(space.s, space.ds)
    ahead = everywhere(0.0)
    for i in range(n):
        ahead += (get(space.p, i, 0) + a * get(space.d, i, 0)) * (get(space.s, i, 0) + b * get(space.ds, i, 0))
        put(space.correction, get(space.d, i, 0) * get(space.ds, i, 0), i, 0)
    share = where_less(0.0, ahead, ahead / product, 0.0)
    sigma = share * share * share
    sigma = where_less(sigma, LARGEST_SIGMA, sigma, LARGEST_SIGMA)
    sigma = where_less(LEAST_SIGMA, sigma, sigma, LEAST_SIGMA)
    solve_for_step(n, sigma * mu, space)
    a = where_less(0.0, fine, room(space.p, space.d), 0.0)
    b = where_less(0.0, fine, room(space.s, space.ds), 0.0)
    for i in range(n):
        put(space.p, get(space.p, i, 0) + where_less(0.0, a, a * get(space.d, i, 0), 0.0), i, 0)
        put(space.s, get(space.s, i, 0) + where_less(0.0, b, b * get(space.ds, i, 0), 0.0), i, 0)


@inlined
def _start(evaluation, rho, n, space):
    """Balanced codeword powers and a slack of mu / p (see `interior`)."""
    balance(evaluation, rho, evaluation.powers)
    for i in range(n):
        put(space.p, (1.0 - _EQUAL) * get(evaluation.powers, i, 0) + _EQUAL / n, i, 0)


@inlined
def _first_slack(n, space):
    spread = everywhere(-1.0)
    for i in range(n):
        spread += get(space.p, i, 0) * get(space.normal, i, 0) * get(space.normal, i, 0)
    mu = (FIRST_MU / n) * root(where_less(0.0, spread, spread, 0.0))
    mu = where_less(LEAST_MU, mu, mu, LEAST_MU)
    for i in range(n):
        put(space.s, mu / get(space.p, i, 0), i, 0)


@unmanaged
def _note_best(gap, going, space):
    """Keep p in the lanes in which its gap is smaller than before."""
    best, recent = get(space.gaps, 0, 0), get(space.gaps, 1, 0)
    better = where_less(gap, best, going, 0.0)
    apart = where_less(APART * gap, recent, better, 0.0)
    for i in range(space.p.shape[0]):
        put(space.before, where_less(0.0, apart, get(space.recent, i, 0), get(space.before, i, 0)), i, 0)
        put(space.recent, where_less(0.0, apart, get(space.p, i, 0), get(space.recent, i, 0)), i, 0)
        put(space.best, where_less(0.0, better, get(space.p, i, 0), get(space.best, i, 0)), i, 0)
    put(space.gaps, where_less(0.0, apart, recent, get(space.gaps, 2, 0)), 2, 0)
    put(space.gaps, where_less(0.0, apart, gap, recent), 1, 0)
    put(space.gaps, where_less(0.0, better, gap, best), 0, 0)
    put(space.stale, where_less(0.0, better, 0.0, get(space.stale, 0, 0) + 1.0), 0, 0)


@inlined
def _follow(evaluation, rho, tolerance, space, bending):
    """Take steps in every lane until all are certified or broken down; a lane that is through stays where it is."""
    n = evaluation.problem.mix.shape[0]
    put(space.stale, 0.0, 0, 0)
    for i in range(3):
        put(space.gaps, np.inf, i, 0)
    put(space.spent, 0.0, 0, 0)
    going = everywhere(1.0)
    for turn in range(_MOST):
        value, level = evaluate(evaluation, rho, space)
        going = where_less(value, np.inf, going, 0.0)
        put(space.spent, get(space.spent, 0, 0) + going, 0, 0)
        _note_best(level - 1.0, going, space)
        going = where_less(level, 1.0 + tolerance, 0.0, going)
        settled = where_less(get(space.gaps, 0, 0), FIRST_GOAL, get(space.stale, 0, 0), 0.0)
        going = where_less(STALE, settled, 0.0, going)
        if largest_lane(going) == 0.0:
            return
        if turn == 0:
            _first_slack(n, space)
        space.system[:] = 0.0
        add_curvature(evaluation, rho, value, bending, space.system)
        _advance(n, going, space)


@kernel
def interior_powers(draws, powers, rho, wanted, tolerance):
    """Codeword powers where they are wanted; the arguments are those of `interior.interior_designs`.

    Returns
    -------
    powers (batch, rho, n) of unit sum, the best ones, 0 where there are none; before, like powers, of a gap at least
    `APART` times as large, 0 where there are none; evaluations (batch, rho), 0 where nothing was wanted.
    """
    batch, n = powers.shape
    out = np.zeros((batch, rho.size, n))
    before = np.zeros((batch, rho.size, n))
    evaluations = np.zeros((batch, rho.size), np.int64)
    items = np.argwhere(wanted.T)  # weight by weight: designs for one weight take about the same time
    evaluation = new_evaluation(draws, n)
    bending = curvature_work(evaluation, True)
    space = new_space(n, bending.forms.shape[0])
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(evaluation.problem, draws, items[first : first + used], rho, weight)
        load_powers(evaluation.powers, powers, items[first : first + used])
        _start(evaluation, get(weight, 0, 0), n, space)
        _follow(evaluation, get(weight, 0, 0), tolerance, space, bending)
        for lane in range(used):
            w, b = items[first + lane]
            evaluations[b, w] = int(space.spent[0, 0, lane])
            if space.gaps[0, 0, lane] < np.inf:
                out[b, w] = space.best[:, 0, lane] / space.best[:, 0, lane].sum()
            if space.gaps[2, 0, lane] < np.inf:
                before[b, w] = space.before[:, 0, lane] / space.before[:, 0, lane].sum()
    return out, before, evaluations
