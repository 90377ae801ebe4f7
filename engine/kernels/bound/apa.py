"""What is known of a draw before any design: FIMs at the APA point whiten BP and say what is identifiable."""

import numpy as np

from ..dense.reduced import whiten
from ..jit.accelerate import kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, root, where_less
from ..linalg.eigen import eigen_space, largest_eigenvalue
from .block import load_draw, new_block
from .efim import (
    equivalent_fim,
    factor_positions,
    gram_of_gains,
    gram_of_rest,
    half_solved,
    response,
    to_positions,
    turn,
)
from .powers import transmit_powers

_UNIT_ROUNDOFF = 2.0**-53
# Two paths of which less than this share differs cannot be told apart; it is some times the rounding of a pivot.
_COINCIDENT = 256.0 * _UNIT_ROUNDOFF


@unmanaged
def _from_band_edge(gains, efim, n, middle):
    """Count frequencies from the band's edge again, as (6) does: D_delay -= j middle D_gain, in E and in G."""
    inner = efim.shape[0]
    size = n + inner
    delays = inner - n
    for k in range(n):
        for j in range(inner):
            x = get(efim, max(delays + k, j), min(delays + k, j))
            if j < delays:
                x -= middle * get(gains, size + n + j, k)
                put(efim, x, delays + k, j)
            elif j - delays <= k:
                h = j - delays
                x -= middle * (get(gains, size + n + j, k) + get(gains, size + n + delays + k, h))
                x += middle * middle * get(gains, max(k, h), min(k, h))
                put(efim, x, delays + k, j)
    for k in range(n):
        for h in range(n):
            i, j = max(k, h), min(k, h)
            real = get(gains, i, j)
            imag = get(gains, size + i, j) if h <= k else -get(gains, size + i, j)
            row = n + delays + k
            put(gains, get(gains, row, h) + middle * imag, row, h)
            put(gains, get(gains, size + row, h) - middle * real, size + row, h)


@unmanaged
def position_fim(link, jacobian, middle, sr, si, work, out):
    """Lower triangle of the position FIM, gains included, from S: parameters [positions, Re gains, Im gains].

    jacobian (3 n, m, lane) of BP, or (2 n, m, lane) of MS; middle is the angular frequency of the middle of the
    band, in the unit of the delays.
    """
    n = link.phasor.shape[0]
    inner, m = jacobian.shape[:2]
    size = n + inner
    turn(link, sr, si, work.turned)
    gram_of_gains(link, work.turned, work.gains)
    gram_of_rest(link, work.turned, work.efim)
    _from_band_edge(work.gains, work.efim, n, middle)
    for i in range(inner):
        for j in range(i):
            put(work.efim, get(work.efim, i, j), j, i)
    to_positions(jacobian, work.efim, work.half, out)
    for k in range(n):
        for a in range(m):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(inner):
                t = get(jacobian, i, a)
                x += t * get(work.gains, n + i, k)
                y -= t * get(work.gains, size + n + i, k)
            put(out, x, m + k, a)
            put(out, y, m + n + k, a)
        for h in range(n):
            i, j = max(k, h), min(k, h)
            x = get(work.gains, i, j)
            y = get(work.gains, size + i, j)
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
def _rounding(link, diagonal, work):
    """Relative rounding error to expect of bounds and gaps.

    Entries of G carry relative errors of one unit roundoff u (of sqrt(G_ii G_jj)). With v_a the responses to
    orthonormal directions of the whitened positions, v_a^H G v_a = 1, so u sum_ia G_ii |v_ia|^2 estimates the
    relative error of what follows from it. diagonal (size, 1, lane) is that of G; work.triangle holds the factor
    of the position EFIM.
    """
    size = diagonal.shape[0]
    m = work.triangle.shape[0]
    total = everywhere(0.0)
    for a in range(m):
        for i in range(m):
            put(work.column, 0.0, i, 0)
        put(work.column, 1.0, a, 0)
        column = a % work.vectors.shape[1]
        response(link, work, column)
        for i in range(size):
            x = get(work.vectors, i, column)
            y = get(work.vectors, size + i, column)
            total += get(diagonal, i, 0) * (x * x + y * y)
    return _UNIT_ROUNDOFF * total


@unmanaged
def _blur(link, row, bound, diagonal, doubt, work):
    """Relative rounding error to expect of the bound of parameter `row`, whose L^-1 F_row is in work.column.

    With v its response, v^H G v is the bound: errors of entries of G move it by u sum_i q_i as above, with
    q_i = G_ii |v_i|^2 / bound. An error doubt_i of a whole derivative, where the cosine of its angle nearly vanishes,
    moves it by 2 doubt_i sqrt(q_i), and never by more than q_i, as if there were no such parameter.
    """
    n = link.phasor.shape[0]
    size = diagonal.shape[0]
    column = row % work.vectors.shape[1]
    response(link, work, column)
    total = everywhere(0.0)
    for i in range(size):
        x = get(work.vectors, i, column)
        y = get(work.vectors, size + i, column)
        total += get(diagonal, i, 0) * (x * x + y * y)
    doubted = everywhere(0.0)
    for i in range(doubt.shape[0]):
        x = get(work.vectors, n + i, column)
        share = get(diagonal, n + i, 0) * x * x / bound
        moved = 2.0 * get(doubt, i, 0) * root(share)
        doubted += where_less(moved, share, moved, share)
    return _UNIT_ROUNDOFF * total / bound + doubted


@unmanaged
def _link_at_apa(link, rows, block, work, diagonal, doubt, out):
    """Rounding, bounds and their own rounding at the APA point: out = [rounding, bounds, blur of each bound]."""
    n = link.phasor.shape[0]
    size = diagonal.shape[0]
    turn(link, block.sr, block.si, work.turned)
    gram_of_gains(link, work.turned, work.gains)
    gram_of_rest(link, work.turned, work.efim)
    for k in range(n):
        put(diagonal, get(work.gains, k, k), k, 0)
    for i in range(size - n):
        put(diagonal, get(work.efim, i, i), n + i, 0)
    fine = factor_positions(link, block.sr, block.si, work)
    for k in range(n):  # what of a path's response is not in those of the paths before it
        pivot = get(work.gains, k, k)
        own = 1.0 / (pivot * pivot * get(diagonal, k, 0))
        fine = where_less(_COINCIDENT, own, fine, 0.0)
    put(out, where_less(0.0, fine, _rounding(link, diagonal, work), np.inf), 0, 0)
    for row in range(rows):
        bound = half_solved(link, work, row)
        put(out, where_less(0.0, fine, bound, np.inf), 1 + row, 0)
        blur = _blur(link, row, bound, diagonal, doubt, work)
        put(out, where_less(0.0, fine, blur, np.inf), 1 + rows + row, 0)


@kernel
def _whiten_lane(link, jacobian, work, draws_link, b, lane):
    """T and F of one draw from its E at the APA point, into its lane and among those of all draws."""
    inner, m = jacobian.shape
    efim = np.zeros((inner, inner))
    for i in range(inner):
        for j in range(inner):
            efim[i, j] = work.efim[i, j, lane]
    factor, turned, fine = whiten(efim, jacobian)
    if not fine:
        factor[:] = 0.0
        turned[:] = 0.0
    for a in range(m):
        for i in range(inner):
            link.transform[i, a, lane] = turned[i, a]
            draws_link.transform[b, i, a] = turned[i, a]
        for r in range(m):
            link.rows[r, a, lane] = factor[r, a]
            draws_link.rows[b, r, a] = factor[r, a]


@kernel
def at_apa(draws, powers, bistatic_jacobian, monostatic_jacobian, middle, doubts):
    """Whiten BP (draws.bistatic.transform and rows are filled in) and look at both links at the APA point.

    powers (batch, 2n) are of unit sum; middle is that of `position_fim` for (BP, MS); doubts (batch, 2, n) those of
    `geometry.derivative_doubts`. Returns, each with a first axis for (BP, MS), the smallest eigenvalue (2, batch), the
    rounding (2, batch), and (2, batch, parameters) the bounds of all parameters and their own relative rounding, NaN
    beyond the last.
    """
    batch, count = powers.shape
    n = count // 2
    sizes = (bistatic_jacobian.shape[2], count)
    smallest = np.zeros((2, batch))
    rounding = np.full((2, batch), np.inf)
    bounds = np.full((2, batch, sizes[0]), np.nan)
    blur = np.full((2, batch, sizes[0]), np.nan)
    block = new_block(draws, count)
    z = lane_zeros(count, 1)
    jacobians = (lane_zeros(3 * n, sizes[0]), lane_zeros(2 * n, count))
    full = lane_zeros(sizes[0] + count, sizes[0] + count)
    v, q = eigen_space(sizes[0] + count)
    diagonals = (lane_zeros(4 * n, 1), lane_zeros(3 * n, 1))
    doubt = (lane_zeros(2 * n, 1), lane_zeros(n, 1))
    out = lane_zeros(1 + 2 * sizes[0], 1)
    for first in range(0, batch, LANES):
        used = min(LANES, batch - first)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            load_draw(block, draws, b, lane)
            for i in range(count):
                z[i, 0, lane] = powers[b, i]
            jacobians[0][:, :, lane] = bistatic_jacobian[b]
            jacobians[1][:, :, lane] = monostatic_jacobian[b]
            for k in range(n):
                doubt[0][k, 0, lane] = doubt[1][k, 0, lane] = doubts[b, 0, k]
                doubt[0][n + k, 0, lane] = doubts[b, 1, k]
        transmit_powers(block, z)
        # BP: E, then T and F.
        position_fim(block.bistatic, jacobians[0], middle[0], block.sr, block.si, block.bistatic_work, full)
        put(out, _smallest_unit_eigenvalue(full, sizes[0] + count, v, q), 0, 0)
        for lane in range(used):
            smallest[0, first + lane] = out[0, 0, lane]
        equivalent_fim(block.bistatic, block.sr, block.si, block.bistatic_work)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            _whiten_lane(block.bistatic, bistatic_jacobian[b], block.bistatic_work, draws.bistatic, b, lane)
        _link_at_apa(block.bistatic, sizes[0], block, block.bistatic_work, diagonals[0], doubt[0], out)
        _keep(out, sizes[0], first, used, rounding[0], bounds[0], blur[0])
        position_fim(block.monostatic, jacobians[1], middle[1], block.sr, block.si, block.monostatic_work, full)
        put(out, _smallest_unit_eigenvalue(full, 2 * count, v, q), 0, 0)
        for lane in range(used):
            smallest[1, first + lane] = out[0, 0, lane]
        _link_at_apa(block.monostatic, count, block, block.monostatic_work, diagonals[1], doubt[1], out)
        _keep(out, count, first, used, rounding[1], bounds[1], blur[1])
    return smallest, rounding, bounds, blur


@unmanaged
def _keep(out, rows, first, used, rounding, bounds, blur):
    for lane in range(used):
        rounding[first + lane] = out[0, 0, lane]
        for row in range(rows):
            bounds[first + lane, row] = out[1 + row, 0, lane]
            blur[first + lane, row] = out[1 + rows + row, 0, lane]
