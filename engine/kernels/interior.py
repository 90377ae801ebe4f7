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

from typing import NamedTuple

import numpy as np

from ..accelerate import bare, kernel, piece
from ..lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, root, where_less
from .block import balance, load_items, new_block, reduced_gradient, transmit_covariance, weighted_crb
from .curvature import add_curvature, coordinate, coordinates, curvature_work, matrix_of
from .packs import (
    hermitian_cholesky,
    hermitian_inverse,
    hermitian_part,
    inner,
    times,
    trace,
    trace_of_product,
)
from .tiles import solve, symmetric_times, tiled_cholesky

_EQUAL = 1e-3  # share of equal eigenvalues that keeps the start inside
FIRST_MU = 0.8  # times the spread of N at the start, which is about the gap there
LEAST_SIGMA, LARGEST_SIGMA = 1e-4, 0.5
LEAST_MU = 1e-4
_BISECTIONS = 5
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


class _Space(NamedTuple):
    """State and buffers; matrices are (2 n, n, lane), real part above, vectors of coordinates (n^2, 1, lane)."""

    x: np.ndarray
    best: np.ndarray  # x of the smallest gap so far
    recent: np.ndarray  # x where the gap last fell to 1 / APART of that where it did so before
    before: np.ndarray
    s: np.ndarray
    y: np.ndarray  # x^-1
    normal: np.ndarray  # N
    d: np.ndarray  # step of x
    ds: np.ndarray  # step of s
    product: np.ndarray
    half: np.ndarray
    trial: np.ndarray
    target: np.ndarray  # right hand side as a matrix
    correction: np.ndarray
    slopes: np.ndarray  # coordinates of N
    last: np.ndarray  # the same at the point before
    step: np.ndarray
    image: np.ndarray  # B times the step
    unknown: np.ndarray
    bend: np.ndarray  # B, (n^2, n^2 + 1)
    system: np.ndarray
    goal: np.ndarray  # the gap to reach next
    goals: np.ndarray  # upper bounds on the gaps of best, recent and before, within a factor of ten
    stale: np.ndarray  # evaluations without a better point
    spent: np.ndarray  # evaluations


@piece
def _new_space(n):
    size = n * n
    return _Space(
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(2 * n, n),
        lane_zeros(size, 1),
        lane_zeros(size, 1),
        lane_zeros(size, 1),
        lane_zeros(size, 1),
        lane_zeros(size, 1),
        lane_zeros(size, size + 1),
        lane_zeros(size, size + 1),
        lane_zeros(1, 1),
        lane_zeros(3, 1),
        lane_zeros(1, 1),
        lane_zeros(1, 1),
    )


@bare
def _symmetric_product(a, b, c, n, space, out):
    """Hermitian part of a b c."""
    times(a, b, n, space.half)
    times(space.half, c, n, space.product)
    hermitian_part(space.product, n, out)


@bare
def _add_scaling(s, y, n, out):
    """Lower triangle of out += D -> (s D y + y D s) / 2 in coordinates: Re tr E s E' y."""
    half = 0.5
    root_half = 0.7071067811865476
    for j in range(n):
        for i in range(j, n):
            row = coordinate(i, j, n)
            for h in range(j + 1):
                for k in range(h, n if h < j else i + 1):
                    column = coordinate(k, h, n)
                    # s_jk y_hi, s_jh y_ki, s_ik y_hj, s_ih y_kj
                    pr, pi = _product(s, j, k, y, h, i, n)
                    if h == k and j == i:
                        put(out, get(out, row, column) + pr, row, column)
                        continue
                    if h == k:
                        rr, ri = _product(s, i, k, y, k, j, n)
                        put(out, get(out, row, column) + root_half * (pr + rr), row, column)
                        put(out, get(out, row + 1, column) - root_half * (pi - ri), row + 1, column)
                        continue
                    qr, qi = _product(s, j, h, y, k, i, n)
                    if i == j:
                        put(out, get(out, row, column) + root_half * (pr + qr), row, column)
                        put(out, get(out, row, column + 1) - root_half * (pi - qi), row, column + 1)
                        continue
                    rr, ri = _product(s, i, k, y, h, j, n)
                    tr, ti = _product(s, i, h, y, k, j, n)
                    put(out, get(out, row, column) + half * (pr + qr + rr + tr), row, column)
                    put(out, get(out, row, column + 1) - half * (pi - qi + ri - ti), row, column + 1)
                    put(out, get(out, row + 1, column) - half * (pi + qi - ri - ti), row + 1, column)
                    put(out, get(out, row + 1, column + 1) - half * (pr - qr - rr + tr), row + 1, column + 1)


@bare
def _product(s, a, b, y, c, d, n):
    """Real and imaginary part of s_ab y_cd."""
    p = get(s, a, b)
    q = get(s, n + a, b)
    u = get(y, c, d)
    v = get(y, n + c, d)
    return p * u - q * v, p * v + q * u


@bare
def _room(a, d, n, clearance, trial):
    """How far along d the positive definite a may go: at most 1, and 1 / clearance of the way to the boundary."""
    low = everywhere(0.0)
    high = everywhere(clearance)
    length = high
    for _ in range(_BISECTIONS + 1):
        for i in range(n):
            for k in range(i + 1):
                put(trial, get(a, i, k) + length * get(d, i, k), i, k)
                put(trial, get(a, n + i, k) + length * get(d, n + i, k), n + i, k)
        inside = hermitian_cholesky(trial, n, n)
        low = where_less(0.0, inside, length, low)
        high = where_less(0.0, inside, high, length)
        length = 0.5 * (low + high)
    return low / clearance


@piece
def _evaluate(block, rho, space):
    """Value of f at x; N and its coordinates."""
    n = block.mix.shape[0]
    transmit_covariance(block, space.x)
    value = weighted_crb(block, rho)
    reduced_gradient(block, space.normal)
    share = 1.0 / value
    for i in range(n):
        for k in range(i + 1):
            put(space.normal, share * get(space.normal, i, k), i, k)
            put(space.normal, share * get(space.normal, n + i, k), n + i, k)
    coordinates(space.normal, n, space.slopes)
    return value


@bare
def _update_curvature(size, space):
    """Bring B up to date from the last step and the change of N; a copy goes to the system."""
    symmetric_times(space.bend, size, space.step, space.image)
    for i in range(size):  # the gradient of log f is -N
        put(space.last, get(space.last, i, 0) - get(space.slopes, i, 0), i, 0)
    along = inner(space.step, space.last)
    curved = inner(space.step, space.image)
    good = where_less(1e-3 * curved, along, 1.0, 0.0)
    good = where_less(0.0, curved, good, 0.0)
    gain = where_less(0.0, good, 1.0 / along, 0.0)
    loss = where_less(0.0, good, 1.0 / curved, 0.0)
    for i in range(size):
        u = gain * get(space.last, i, 0)
        v = loss * get(space.image, i, 0)
        for k in range(i + 1):
            b = get(space.bend, i, k) + u * get(space.last, k, 0) - v * get(space.image, k, 0)
            put(space.bend, b, i, k)
            put(space.system, b, i, k)


@piece
def _renew_curvature(block, rho, value, renew, space, bending):
    """Compute B anew in the lanes to renew; a copy goes to the system."""
    space.system[:] = 0.0
    add_curvature(block, rho, value, bending, space.system)
    for i in range(space.slopes.shape[0]):
        g = get(space.slopes, i, 0)
        for k in range(i + 1):
            fresh = get(space.system, i, k) - g * get(space.slopes, k, 0)
            b = where_less(0.0, renew, fresh, get(space.bend, i, k))
            put(space.bend, b, i, k)
            put(space.system, b, i, k)


@bare
def _solve_for_step(n, sigma_mu, space):
    """Steps d and ds for a target x s = sigma mu I."""
    for i in range(n):
        for k in range(i + 1):
            for part in range(2):
                r = part * n + i
                t = sigma_mu * get(space.y, r, k) + get(space.normal, r, k)
                if i == k and part == 0:
                    t -= 1.0
                t -= get(space.correction, r, k)
                put(space.target, t, r, k)
    coordinates(space.target, n, space.unknown)
    solve(space.system, n * n, space.unknown)
    matrix_of(space.unknown, n, space.d)
    _symmetric_product(space.s, space.d, space.y, n, space, space.ds)
    for i in range(2 * n):
        for k in range(n):
            t = sigma_mu * get(space.y, i, k) - get(space.s, i, k) - get(space.ds, i, k)
            t -= get(space.correction, i, k)
            put(space.ds, t, i, k)


@bare
def _move(a, length, d, n):
    """Go along d where there is a length; where there is none, d may be no number."""
    for i in range(2 * n):
        for k in range(n):
            put(a, get(a, i, k) + where_less(0.0, length, length * get(d, i, k), 0.0), i, k)


@bare
def _advance(n, clearance, going, space):
    """One step of the lanes that go on, B and y being up to date; the shorter of its two lengths."""
    size = n * n
    _add_scaling(space.s, space.y, n, space.system)
    fine = where_less(0.0, tiled_cholesky(space.system, size), going, 0.0)
    mu = trace_of_product(space.x, space.s, n) / (1.0 * n)
    space.correction[:] = 0.0
    _solve_for_step(n, everywhere(0.0), space)
    p = _room(space.x, space.d, n, clearance, space.trial)
    q = _room(space.s, space.ds, n, clearance, space.trial)
    ahead = trace_of_product(space.x, space.s, n)
    ahead += p * trace_of_product(space.d, space.s, n) + q * trace_of_product(space.x, space.ds, n)
    ahead += p * q * trace_of_product(space.d, space.ds, n)
    share = where_less(0.0, ahead, ahead / (mu * n), 0.0)
    sigma = share * share * share
    sigma = where_less(sigma, LARGEST_SIGMA, sigma, LARGEST_SIGMA)
    sigma = where_less(LEAST_SIGMA, sigma, sigma, LEAST_SIGMA)
    _symmetric_product(space.ds, space.d, space.y, n, space, space.correction)
    _solve_for_step(n, sigma * mu, space)
    p = where_less(0.0, fine, _room(space.x, space.d, n, clearance, space.trial), 0.0)
    q = where_less(0.0, fine, _room(space.s, space.ds, n, clearance, space.trial), 0.0)
    for i in range(size):
        put(space.step, where_less(0.0, p, p * get(space.unknown, i, 0), 0.0), i, 0)
    _move(space.x, p, space.d, n)
    _move(space.s, q, space.ds, n)
    return where_less(p, q, p, q)


@piece
def _start(block, rho, n, space):
    """Begin at balanced codeword powers: x = (1 - share) R diag(p) R^T + share I / n."""
    balance(block, rho)
    for i in range(n):
        for k in range(i + 1):
            x = everywhere(0.0)
            for j in range(i, n):  # mix is upper triangular
                x += get(block.mix, i, j) * get(block.powers, j, 0) * get(block.mix, k, j)
            x *= 1.0 - _EQUAL
            if i == k:
                x += _EQUAL / n
            put(space.x, x, i, k)
            put(space.x, x, k, i)
            put(space.x, 0.0, n + i, k)
            put(space.x, 0.0, n + k, i)


@piece
def _first_slack(n, space):
    """Slack mu x^-1, with mu from the spread of N, sqrt(tr x N^2 - 1): at an optimum N is the identity where x is.

    tr x N is 1 at any x.
    """
    for i in range(n):
        for k in range(i):
            put(space.normal, get(space.normal, i, k), k, i)
            put(space.normal, -get(space.normal, n + i, k), n + k, i)
    times(space.x, space.normal, n, space.half)
    spread = trace_of_product(space.half, space.normal, n) - 1.0
    mu = (FIRST_MU / n) * root(where_less(0.0, spread, spread, 0.0))
    mu = where_less(LEAST_MU, mu, mu, LEAST_MU)
    for i in range(2 * n):
        for k in range(n):
            put(space.s, mu * get(space.y, i, k), i, k)


@piece
def _certified(n, tolerance, space):
    """1 in the lanes in which the gap is below the tolerance: (1 + tolerance) / tr x - N is positive definite."""
    level = (1.0 + tolerance) / trace(space.x, n)
    for i in range(n):
        for k in range(i + 1):
            put(space.trial, -get(space.normal, i, k), i, k)
            put(space.trial, -get(space.normal, n + i, k), n + i, k)
        put(space.trial, level - get(space.normal, i, i), i, i)
    return hermitian_cholesky(space.trial, n, n)


@kernel
def interior_designs(draws, powers, rho, wanted, clearance, tolerance):
    """Designs where they are wanted, each from where its draw begins.

    Parameters
    ----------
    draws
        `block.Draws` of the batch.
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
    block = new_block(draws, n)
    space = _new_space(n)
    bending = curvature_work(block, False)
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(block, draws, items[first : first + used], rho, powers, weight)
        _start(block, get(weight, 0, 0), n, space)
        _follow(block, get(weight, 0, 0), clearance, tolerance, space, bending)
        for lane in range(used):
            w, b = items[first + lane]
            evaluations[b, w] = int(space.spent[0, 0, lane])
            if space.goals[0, 0, lane] < np.inf:
                _keep(space.best, n, lane, x[b, w])
            if space.goals[2, 0, lane] < np.inf:
                _keep(space.before, n, lane, before[b, w])
    return x, before, evaluations


@bare
def _copy(chosen, source, out):
    """Copy a matrix in the lanes that are chosen."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            put(out, where_less(0.0, chosen, get(source, i, k), get(out, i, k)), i, k)


@bare
def _note_best(n, tolerance, going, space):
    """Keep x in the lanes in which it reaches the goal, and set the next one; 1 where that was the tolerance."""
    through = everywhere(0.0)
    pending = going
    goal, found = get(space.goal, 0, 0), everywhere(np.inf)
    while largest_lane(pending) > 0.0:
        reached = where_less(0.0, pending, _certified(n, goal, space), 0.0)
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
    _copy(apart, space.recent, space.before)
    _copy(apart, space.x, space.recent)
    _copy(better, space.x, space.best)
    put(space.goals, where_less(0.0, apart, recent, get(space.goals, 2, 0)), 2, 0)
    put(space.goals, where_less(0.0, apart, found, recent), 1, 0)
    put(space.goals, where_less(0.0, better, found, best), 0, 0)
    put(space.stale, where_less(0.0, better, 0.0, get(space.stale, 0, 0) + 1.0), 0, 0)
    return through


@piece
def _follow(block, rho, clearance, tolerance, space, bending):
    """Take steps in every lane until all are certified or broken down; a lane that is through stays where it is."""
    n = block.mix.shape[0]
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
        value = _evaluate(block, rho, space)
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
        _update_curvature(n * n, space)
        renew = where_less(length, renew_below, going, 0.0)
        if largest_lane(renew) > 0.0:
            _renew_curvature(block, rho, value, renew, space, bending)
        for i in range(n * n):
            put(space.last, get(space.slopes, i, 0), i, 0)
        length = _advance(n, clearance, going, space)


@piece
def _keep(x, n, lane, out):
    """Keep a lane's covariance, scaled to unit trace."""
    total = 0.0
    for i in range(n):
        total += x[i, i, lane]
    for i in range(n):
        for k in range(n):
            out[i, k] = complex(x[i, k, lane] / total, x[n + i, k, lane] / total)
