"""One step of the interior-point method of `interior`, for eight designs of full dimension side by side."""

from typing import NamedTuple

import numpy as np

from ..bound.objective import covariance_objective
from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import hermitian_cholesky, hermitian_part, inner, times_lanes, trace_of_product
from ..linalg.tiles import solve, symmetric_times, tiled_cholesky
from .curvature import add_curvature, coordinate, coordinates, matrix_of

LEAST_SIGMA, LARGEST_SIGMA = 1e-4, 0.5
_BISECTIONS = 5


class Space(NamedTuple):
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


@inlined
def new_space(n):
    """Buffers for covariances of n dimensions."""
    size = n * n
    return Space(
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


@unmanaged
def _symmetric_product(a, b, c, n, space, out):
    """Hermitian part of a b c."""
    times_lanes(a, b, n, space.half)
    times_lanes(space.half, c, n, space.product)
    hermitian_part(space.product, n, out)


@unmanaged
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


@unmanaged
def _product(s, a, b, y, c, d, n):
    """Real and imaginary part of s_ab y_cd."""
    p = get(s, a, b)
    q = get(s, n + a, b)
    u = get(y, c, d)
    v = get(y, n + c, d)
    return p * u - q * v, p * v + q * u


@unmanaged
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


@inlined
def evaluate(evaluation, rho, space):
    """Value of f at x; N, lower triangle, and its coordinates."""
    n = evaluation.problem.mix.shape[0]
    value = covariance_objective(evaluation, rho, space.x)
    gradient = evaluation.negative_gradient
    share = 1.0 / value
    for i in range(n):
        for k in range(i + 1):
            put(space.normal, share * get(gradient, i, k), i, k)
            put(space.normal, share * get(gradient, n + i, k), n + i, k)
    coordinates(space.normal, n, space.slopes)
    return value


@unmanaged
def update_curvature(size, space):
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


@inlined
def renew_curvature(evaluation, rho, value, renew, space, bending):
    """Compute B anew in the lanes to renew; a copy goes to the system."""
    space.system[:] = 0.0
    add_curvature(evaluation, rho, value, bending, space.system)
    for i in range(space.slopes.shape[0]):
        g = get(space.slopes, i, 0)
        for k in range(i + 1):
            fresh = get(space.system, i, k) - g * get(space.slopes, k, 0)
            b = where_less(0.0, renew, fresh, get(space.bend, i, k))
            put(space.bend, b, i, k)
            put(space.system, b, i, k)


@unmanaged
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


@unmanaged
def _move(a, length, d, n):
    """Go along d where there is a length; where there is none, d may be no number."""
    for i in range(2 * n):
        for k in range(n):
            put(a, get(a, i, k) + where_less(0.0, length, length * get(d, i, k), 0.0), i, k)


@unmanaged
def advance(n, clearance, going, space):
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
