"""One step of the interior-point method of `covariances`, for eight designs of full dimension side by side.

Test: tests/engine/beamforming/test_interior.py.
"""

from typing import NamedTuple

import numpy as np

from ..bound.objective import covariance_objective
from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import hermitian_cholesky, hermitian_part, inner, times_lanes, trace, trace_of_product
from ..linalg.tiles import solve, symmetric_times, tiled_cholesky, whole_tiles
from .centring import centring
from .coordinates import coordinate, coordinates, matrix_of
from .curvature import add_curvature
from .record import Record, new_record

_BISECTIONS = 5


class Point(NamedTuple):
    """Where the method is; matrices are (2 n, n, lane), real part above, vectors of coordinates (n^2, 1, lane)."""

    x: np.ndarray
    s: np.ndarray  # slack
    y: np.ndarray  # x^-1
    normal: np.ndarray  # N
    slopes: np.ndarray  # coordinates of N


class Step(NamedTuple):
    """The step to take, and what it is solved from."""

    d: np.ndarray  # of x
    ds: np.ndarray  # of s
    target: np.ndarray  # right hand side as a matrix
    correction: np.ndarray  # of the second order, in the right hand side
    coordinates: np.ndarray  # of the target, then of d, then zeros: (n^2 in whole tiles, 1)


class Curvature(NamedTuple):
    """Second derivatives B of log f, and what they are brought up to date from."""

    matrix: np.ndarray  # B, (n^2, n^2 + 1); an odd number of columns as in `curvature.CurvatureWork`
    system: np.ndarray  # B + scaling, then its factor: (n^2, n^2 + 1)
    step: np.ndarray  # coordinates of the last step of x, (n^2, 1)
    slopes_before: np.ndarray  # coordinates of N before it
    change: np.ndarray  # of the gradient of log f along it
    image: np.ndarray  # B times it


class Buffers(NamedTuple):
    """Matrices on the way to others."""

    pair: np.ndarray  # product of two
    triple: np.ndarray  # product of three
    factored: np.ndarray  # what a Cholesky factor is wanted of, then the factor


class State(NamedTuple):
    """All of the method for covariances of full dimension."""

    point: Point
    step: Step
    curvature: Curvature
    buffers: Buffers
    record: Record
    goal: np.ndarray  # the gap to reach next: (1, 1)


@inlined
def _matrix(n):
    return lane_zeros(2 * n, n)


@inlined
def _vector(n):
    return lane_zeros(n * n, 1)


@inlined
def new_state(n):
    """State for covariances (n, n)."""
    size = whole_tiles(n * n)
    return State(
        Point(_matrix(n), _matrix(n), _matrix(n), _matrix(n), _vector(n)),
        Step(_matrix(n), _matrix(n), _matrix(n), _matrix(n), lane_zeros(size, 1)),
        Curvature(
            lane_zeros(size, size + 1), lane_zeros(size, size + 1), _vector(n), _vector(n), _vector(n), _vector(n)
        ),
        Buffers(_matrix(n), _matrix(n), _matrix(n)),
        new_record(2 * n, n),
        lane_zeros(1, 1),
    )


@unmanaged
def _symmetric_product(a, b, c, n, buffers, out):
    """Hermitian part of a b c."""
    times_lanes(a, b, n, buffers.pair)
    times_lanes(buffers.pair, c, n, buffers.triple)
    hermitian_part(buffers.triple, n, out)


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
def _room(a, d, n, clearance, moved):
    """How far along d the positive definite a may go: at most 1, and 1 / clearance of the way to the boundary."""
    low = everywhere(0.0)
    high = everywhere(clearance)
    length = high
    for _ in range(_BISECTIONS + 1):
        for i in range(n):
            for k in range(i + 1):
                put(moved, get(a, i, k) + length * get(d, i, k), i, k)
                put(moved, get(a, n + i, k) + length * get(d, n + i, k), n + i, k)
        inside = hermitian_cholesky(moved, n, n)
        low = where_less(0.0, inside, length, low)
        high = where_less(0.0, inside, high, length)
        length = 0.5 * (low + high)
    return low / clearance


@inlined
def evaluate_covariance(evaluation, rho, point):
    """Value of f at x; N, in its lower triangle, and its coordinates."""
    n = evaluation.problem.mix.shape[0]
    normal = point.normal
    value = covariance_objective(evaluation, rho, trace(point.x, n), point.x)
    gradient = evaluation.negative_gradient
    share = 1.0 / value
    for i in range(n):
        for k in range(i + 1):
            put(normal, share * get(gradient, i, k), i, k)
            put(normal, share * get(gradient, n + i, k), n + i, k)
    coordinates(normal, n, point.slopes)
    return value


@unmanaged
def update_curvature(slopes, curvature):
    """Bring B up to date from the last step and the change of N, by BFGS; a copy goes to the system."""
    size = slopes.shape[0]
    symmetric_times(curvature.matrix, size, curvature.step, curvature.image)
    for i in range(size):  # the gradient of log f is -N
        put(curvature.change, get(curvature.slopes_before, i, 0) - get(slopes, i, 0), i, 0)
    along = inner(curvature.step, curvature.change)
    curved = inner(curvature.step, curvature.image)
    good = where_less(1e-3 * curved, along, 1.0, 0.0)
    good = where_less(0.0, curved, good, 0.0)
    gain = where_less(0.0, good, 1.0 / along, 0.0)
    loss = where_less(0.0, good, 1.0 / curved, 0.0)
    for i in range(size):
        u = gain * get(curvature.change, i, 0)
        v = loss * get(curvature.image, i, 0)
        for k in range(i + 1):
            b = get(curvature.matrix, i, k) + u * get(curvature.change, k, 0) - v * get(curvature.image, k, 0)
            put(curvature.matrix, b, i, k)
            put(curvature.system, b, i, k)


@inlined
def renew_curvature(evaluation, rho, value, renew, state, bending):
    """Compute B anew in the lanes to renew; a copy goes to the system."""
    slopes, matrix, system = state.point.slopes, state.curvature.matrix, state.curvature.system
    system[:] = 0.0
    add_curvature(evaluation, rho, value, bending, system)
    for i in range(slopes.shape[0]):
        g = get(slopes, i, 0)
        for k in range(i + 1):
            fresh = get(system, i, k) - g * get(slopes, k, 0)
            b = where_less(0.0, renew, fresh, get(matrix, i, k))
            put(matrix, b, i, k)
            put(system, b, i, k)


@unmanaged
def _solve_for_step(n, sigma_mu, state):
    """Steps d and ds for a target x s = sigma mu I."""
    point, step = state.point, state.step
    for i in range(n):
        for k in range(i + 1):
            for part in range(2):
                r = part * n + i
                t = sigma_mu * get(point.y, r, k) + get(point.normal, r, k)
                if i == k and part == 0:
                    t -= 1.0
                t -= get(step.correction, r, k)
                put(step.target, t, r, k)
    coordinates(step.target, n, step.coordinates)
    solve(state.curvature.system, step.coordinates.shape[0], step.coordinates)
    matrix_of(step.coordinates, n, step.d)
    _symmetric_product(point.s, step.d, point.y, n, state.buffers, step.ds)
    for i in range(2 * n):
        for k in range(n):
            t = sigma_mu * get(point.y, i, k) - get(point.s, i, k) - get(step.ds, i, k)
            t -= get(step.correction, i, k)
            put(step.ds, t, i, k)


@unmanaged
def _move(a, length, d, n):
    """Go along d where there is a length; where there is none, d may be no number."""
    for i in range(2 * n):
        for k in range(n):
            put(a, get(a, i, k) + where_less(0.0, length, length * get(d, i, k), 0.0), i, k)


@unmanaged
def advance(n, clearance, going, state):
    """One step of the lanes that go on, B and y being up to date; the shorter of its two lengths."""
    point, step, curvature, buffers = state.point, state.step, state.curvature, state.buffers
    size = n * n
    for i in range(size):
        put(curvature.slopes_before, get(point.slopes, i, 0), i, 0)
    _add_scaling(point.s, point.y, n, curvature.system)
    padded = curvature.system.shape[0]
    for i in range(size, padded):
        put(curvature.system, 1.0, i, i)
    fine = where_less(0.0, tiled_cholesky(curvature.system, padded), going, 0.0)
    mu = trace_of_product(point.x, point.s, n) / (1.0 * n)
    step.correction[:] = 0.0
    _solve_for_step(n, everywhere(0.0), state)
    p = _room(point.x, step.d, n, clearance, buffers.factored)
    q = _room(point.s, step.ds, n, clearance, buffers.factored)
    ahead = trace_of_product(point.x, point.s, n)
    ahead += p * trace_of_product(step.d, point.s, n) + q * trace_of_product(point.x, step.ds, n)
    ahead += p * q * trace_of_product(step.d, step.ds, n)
    sigma = centring(ahead, mu * n)
    _symmetric_product(step.ds, step.d, point.y, n, buffers, step.correction)
    _solve_for_step(n, sigma * mu, state)
    p = where_less(0.0, fine, _room(point.x, step.d, n, clearance, buffers.factored), 0.0)
    q = where_less(0.0, fine, _room(point.s, step.ds, n, clearance, buffers.factored), 0.0)
    for i in range(size):
        put(curvature.step, where_less(0.0, p, p * get(step.coordinates, i, 0), 0.0), i, 0)
    _move(point.x, p, step.d, n)
    _move(point.s, q, step.ds, n)
    return where_less(p, q, p, q)
