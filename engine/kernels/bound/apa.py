"""What is known of a draw before any design: FIMs at the APA point whiten BP and say what is identifiable.

Tests: test_identifiability and test_scales, against 50 digits.
"""

from typing import NamedTuple

import numpy as np

from ..dense.reduced import whiten
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, root, where_less
from ..linalg.eigen import eigen_space, largest_eigenvalue
from .efim import (
    equivalent_fim,
    factor_positions,
    gram_of_gains,
    gram_of_rest,
    rephase,
    response,
    solve_forward,
    to_positions,
)
from .objective import new_evaluation
from .powers import transmit_powers
from .problems import load_matrix, load_problems, load_vector

_UNIT_ROUNDOFF = 2.0**-53
# Two paths of which less than this share differs cannot be told apart; it is some times the rounding of a pivot.
_COINCIDENT = 256.0 * _UNIT_ROUNDOFF


@unmanaged
def _from_band_edge(gain_columns, efim, n, middle):
    """Count frequencies from the band's edge again, as (6) does: D_delay -= j middle D_gain, in Re G and in G."""
    inner = efim.shape[0]
    size = n + inner
    delays = inner - n
    for k in range(n):
        for j in range(inner):
            x = get(efim, max(delays + k, j), min(delays + k, j))
            if j < delays:
                x -= middle * get(gain_columns, size + n + j, k)
                put(efim, x, delays + k, j)
            elif j - delays <= k:
                h = j - delays
                x -= middle * (get(gain_columns, size + n + j, k) + get(gain_columns, size + n + delays + k, h))
                x += middle * middle * get(gain_columns, max(k, h), min(k, h))
                put(efim, x, delays + k, j)
    for k in range(n):
        for h in range(n):
            i, j = max(k, h), min(k, h)
            real = get(gain_columns, i, j)
            imag = get(gain_columns, size + i, j) if h <= k else -get(gain_columns, size + i, j)
            row = n + delays + k
            put(gain_columns, get(gain_columns, row, h) + middle * imag, row, h)
            put(gain_columns, get(gain_columns, size + row, h) - middle * real, size + row, h)


@unmanaged
def position_fim(link, jacobian, middle, sr, si, buffers, out):
    """Lower triangle of the position FIM, gains included, from S: parameters [positions, Re gains, Im gains].

    out is (m + 2 n, m + 2 n, lane), jacobian (inner, m, lane), S (qn, qn, lane); middle is the angular frequency of the
    middle of the band, in the unit of the delays.
    """
    n = link.phasor.shape[0]
    inner, m = jacobian.shape[:2]
    size = n + inner
    rephase(link, sr, si, buffers.rephased)
    gram_of_gains(link, buffers.rephased, buffers.gain_columns)
    gram_of_rest(link, buffers.rephased, buffers.efim)
    _from_band_edge(buffers.gain_columns, buffers.efim, n, middle)
    for i in range(inner):
        for j in range(i):
            put(buffers.efim, get(buffers.efim, i, j), j, i)
    to_positions(jacobian, buffers.efim, buffers.efim_transform, out)
    for k in range(n):
        for a in range(m):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(inner):
                t = get(jacobian, i, a)
                x += t * get(buffers.gain_columns, n + i, k)
                y -= t * get(buffers.gain_columns, size + n + i, k)
            put(out, x, m + k, a)
            put(out, y, m + n + k, a)
        for h in range(n):
            i, j = max(k, h), min(k, h)
            x = get(buffers.gain_columns, i, j)
            y = get(buffers.gain_columns, size + i, j)
            if h <= k:
                put(out, x, m + k, m + h)
                put(out, x, m + n + k, m + n + h)
                put(out, y, m + n + k, m + h)
            else:
                put(out, -y, m + n + k, m + h)


@unmanaged
def _smallest_unit_eigenvalue(fim, p, v, q):
    """Smallest eigenvalue after scaling to unit diagonal, 0 where a parameter has no information."""
    informed = everywhere(1.0)
    for i in range(p):
        d = get(fim, i, i)
        informed = where_less(0.0, d, informed, 0.0)
        put(q, 1.0 / root(where_less(0.0, d, d, 1.0)), i, 0)
    for i in range(p):
        for j in range(i + 1):
            put(fim, -get(fim, i, j) * get(q, i, 0) * get(q, j, 0), i, j)
    smallest = -largest_eigenvalue(fim, p, v, q)
    smallest = where_less(smallest, 0.0, 0.0, smallest)
    return where_less(0.0, informed, smallest, 0.0)


@unmanaged
def _rounding(link, diagonal, buffers):
    """Relative rounding error to expect of bounds and gaps.

    Entries of G carry relative errors of one unit roundoff u (of sqrt(G_ii G_jj)). With v_a the responses to
    orthonormal directions of the whitened positions, v_a^H G v_a = 1, so u sum_ia G_ii |v_ia|^2 estimates the
    relative error of what follows from it. diagonal (size, 1, lane) is that of G; buffers.triangle holds the factor
    of the position EFIM.
    """
    size = diagonal.shape[0]
    m = buffers.triangle.shape[0]
    total = everywhere(0.0)
    for a in range(m):
        for i in range(m):
            put(buffers.forward, 0.0, i, 0)
        put(buffers.forward, 1.0, a, 0)
        column = a % buffers.responses.shape[1]
        response(link, buffers, column)
        for i in range(size):
            x = get(buffers.responses, i, column)
            y = get(buffers.responses, size + i, column)
            total += get(diagonal, i, 0) * (x * x + y * y)
    return _UNIT_ROUNDOFF * total


@unmanaged
def bound_blur(link, row, bound, diagonal, doubt, buffers):
    """Relative rounding error to expect of the bound of parameter `row`, whose L^-1 F_row is in buffers.forward.

    With v its response, v^H G v is the bound: errors of entries of G move it by u sum_i q_i as above, with
    q_i = G_ii |v_i|^2 / bound. An error doubt_i of a whole derivative, where the cosine of its angle nearly vanishes,
    moves it by 2 doubt_i sqrt(q_i), and never by more than q_i, as if there were no such parameter.
    """
    n = link.phasor.shape[0]
    size = diagonal.shape[0]
    column = row % buffers.responses.shape[1]
    response(link, buffers, column)
    total = everywhere(0.0)
    for i in range(size):
        x = get(buffers.responses, i, column)
        y = get(buffers.responses, size + i, column)
        total += get(diagonal, i, 0) * (x * x + y * y)
    doubted = everywhere(0.0)
    for i in range(doubt.shape[0]):
        x = get(buffers.responses, n + i, column)
        share = get(diagonal, n + i, 0) * x * x / bound
        moved = 2.0 * get(doubt, i, 0) * root(share)
        doubted += where_less(moved, share, moved, share)
    return _UNIT_ROUNDOFF * total / bound + doubted


@unmanaged
def gram_diagonal(link, sr, si, buffers, diagonal):
    """Diagonal of G into diagonal (size, 1, lane), at S."""
    n = link.phasor.shape[0]
    rephase(link, sr, si, buffers.rephased)
    gram_of_gains(link, buffers.rephased, buffers.gain_columns)
    gram_of_rest(link, buffers.rephased, buffers.efim)
    for k in range(n):
        put(diagonal, get(buffers.gain_columns, k, k), k, 0)
    for i in range(diagonal.shape[0] - n):
        put(diagonal, get(buffers.efim, i, i), n + i, 0)


@unmanaged
def told_apart(gain_columns, diagonal, fine):
    """`fine`, and 0 in the lanes in which two paths coincide, from the factor of the gains' block of G."""
    for k in range(gain_columns.shape[1]):  # what of a path's response is not in those of the paths before it
        pivot = get(gain_columns, k, k)
        own = 1.0 / (pivot * pivot * get(diagonal, k, 0))
        fine = where_less(_COINCIDENT, own, fine, 0.0)
    return fine


@unmanaged
def _look(link, rows, sr, si, buffers, diagonal, doubt, out):
    """Rounding, bounds and their own rounding at S: out[1:] = [rounding, bounds, blur of each bound]."""
    gram_diagonal(link, sr, si, buffers, diagonal)
    fine = factor_positions(link, sr, si, everywhere(1.0), buffers)
    fine = told_apart(buffers.gain_columns, diagonal, fine)
    put(out, where_less(0.0, fine, _rounding(link, diagonal, buffers), np.inf), 1, 0)
    for row in range(rows):
        bound = solve_forward(link, buffers, row)
        put(out, where_less(0.0, fine, bound, np.inf), 2 + row, 0)
        blur = bound_blur(link, row, bound, diagonal, doubt, buffers)
        put(out, where_less(0.0, fine, blur, np.inf), 2 + rows + row, 0)


@kernel
def _whiten_lane(lanes, link, b, jacobian, known, efim, lane):
    """Transform, rows and prior of draw b of a link from its E at the APA point; into its lane, too.

    jacobian (inner, m) takes positions to angles and delays; known (m,) is the diagonal of J0 for these.
    """
    found, whitened, fine = whiten(np.ascontiguousarray(efim[:, :, lane]), jacobian, known)
    transform, rows, prior = link.transform[b], link.rows[b], link.prior[b]
    if fine:
        transform[:] = whitened
        rows[:] = found
    else:
        transform[:] = 0.0
        rows[:] = 0.0
    for i in range(prior.shape[0]):
        for k in range(prior.shape[0]):
            total = 0.0
            for a in range(prior.shape[0]):
                total += rows[a, i] * known[a] * rows[a, k]
            prior[i, k] = total
    load_matrix(lanes.transform, lane, transform)
    load_matrix(lanes.rows, lane, rows)
    load_matrix(lanes.prior, lane, prior)


class Geometry(NamedTuple):
    """What is known of a link before any design."""

    jacobian: np.ndarray  # from positions to angles and delays: (batch, inner, m)
    doubt: np.ndarray  # relative rounding of the derivatives by each angle: (batch, inner - n)
    known: np.ndarray  # diagonal of J0 for the positions: (m,)


class _LinkAtApa(NamedTuple):
    """What `at_apa` needs of one link in lanes."""

    jacobian: np.ndarray  # from positions to angles and delays: (inner, m)
    doubt: np.ndarray  # of angles: (inner - n, 1)
    diagonal: np.ndarray  # of G: (size, 1)
    found: np.ndarray  # smallest eigenvalue, rounding, bounds, blur of each: (2 + 2 m, 1)


@inlined
def _new_link(buffers):
    n, inner, m = buffers.gain_columns.shape[1], buffers.efim.shape[0], buffers.triangle.shape[0]
    found = lane_zeros(2 + 2 * m, 1)
    return _LinkAtApa(lane_zeros(inner, m), lane_zeros(inner - n, 1), lane_zeros(n + inner, 1), found)


@unmanaged
def _unload_link(found, first, used, smallest, rounding, bounds, blur):
    """Take what was found of one link out of its lanes, into rows first.. of (batch,) and (batch, parameters)."""
    rows = found.shape[0] // 2 - 1
    for lane in range(used):
        smallest[first + lane] = found[0, 0, lane]
        rounding[first + lane] = found[1, 0, lane]
        for row in range(rows):
            bounds[first + lane, row] = found[2 + row, 0, lane]
            blur[first + lane, row] = found[2 + rows + row, 0, lane]


@inlined
def _elongation(link, jacobian, known, middle, sr, si, buffers, space):
    """Smallest eigenvalue of the position FIM, gains included, after scaling to unit diagonal."""
    fim, v, q = space
    m, n = jacobian.shape[1], link.phasor.shape[0]
    position_fim(link, jacobian, middle, sr, si, buffers, fim)
    for i in range(m):
        put(fim, get(fim, i, i) + known[i], i, i)
    return _smallest_unit_eigenvalue(fim, m + 2 * n, v, q)


@kernel
def at_apa(problems, powers, bistatic, monostatic, middle):
    """Whiten BP (transform, rows and prior of problems.bistatic are filled in) and look at both links at the APA point.

    powers (batch, qn) are of unit sum; bistatic and monostatic are `Geometry` of the links; middle is that of
    `position_fim` for (BP, MS). Returns, each with a first axis for (BP, MS), the smallest eigenvalue (2, batch), the
    rounding (2, batch), and (2, batch, parameters) the bounds of all parameters and their own relative rounding, NaN
    beyond the last.
    """
    batch = len(powers)
    evaluation = new_evaluation(problems, 0)
    problem, sr, si = evaluation.problem, evaluation.sr, evaluation.si
    bp, ms = _new_link(evaluation.bistatic), _new_link(evaluation.monostatic)
    m = max(bp.jacobian.shape[1], ms.jacobian.shape[1])
    smallest = np.zeros((2, batch))
    rounding = np.full((2, batch), np.inf)
    bounds = np.full((2, batch, m), np.nan)
    blur = np.full((2, batch, m), np.nan)
    size = m + 2 * problem.coupling.shape[1]
    fim = lane_zeros(size, size)
    v, q = eigen_space(size)
    for first in range(0, batch, LANES):
        used = min(LANES, batch - first)
        load_problems(problem, problems, first, used)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            load_vector(evaluation.powers, lane, powers[b])
            load_matrix(bp.jacobian, lane, bistatic.jacobian[b])
            load_matrix(ms.jacobian, lane, monostatic.jacobian[b])
            load_vector(bp.doubt, lane, bistatic.doubt[b])
            load_vector(ms.doubt, lane, monostatic.doubt[b])
        transmit_powers(problem, evaluation.powers, sr, si)
        link, buffers = problem.bistatic, evaluation.bistatic
        put(bp.found, _elongation(link, bp.jacobian, bistatic.known, middle[0], sr, si, buffers, (fim, v, q)), 0, 0)
        equivalent_fim(link, sr, si, buffers)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            _whiten_lane(link, problems.bistatic, b, bistatic.jacobian[b], bistatic.known, buffers.efim, lane)
        _look(link, bp.jacobian.shape[1], sr, si, buffers, bp.diagonal, bp.doubt, bp.found)
        _unload_link(bp.found, first, used, smallest[0], rounding[0], bounds[0], blur[0])
        link, buffers = problem.monostatic, evaluation.monostatic
        put(ms.found, _elongation(link, ms.jacobian, monostatic.known, middle[1], sr, si, buffers, (fim, v, q)), 0, 0)
        _look(link, ms.jacobian.shape[1], sr, si, buffers, ms.diagonal, ms.doubt, ms.found)
        _unload_link(ms.found, first, used, smallest[1], rounding[1], bounds[1], blur[1])
    return smallest, rounding, bounds, blur
