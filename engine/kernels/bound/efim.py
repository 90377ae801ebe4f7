"""The equivalent FIM of a link and its bounds, for eight designs side by side, at a cost that knows neither M nor M_T.

Every derivative of a channel is a sum of products of a gain, a delay factor and two steering columns, so with the
phase of each path taken out of S = B^H V B the complex Gram matrix of the derivatives is a Hadamard product

    G[(s, k), (t, l)] = weights[(s, k), (t, l)] T[tx(s, k), tx(t, l)],   T = Phi S Phi^H,

of constant weights with entries of T; they are real unless the receiver lacks symmetry. A path has q columns, the
steering vector and its derivatives along q - 1 tangents of the array's sphere of directions (1 in the plane, 2 in
space), and 2q kinds of term s: 0 the complex gain, 1..q-1 the departure along each tangent (a transmit derivative
column), then as many of the arrival (a receive derivative column), last the delay; k is the path. For MS one direction
is both ends': its kinds belong to the same parameters. A complex Cholesky factorisation that stops after the gains
leaves the equivalent FIM (14) of angles and delays, E = Re(Schur complement). BP goes on to positions with
E_w = A^T E A, where A takes positions, whitened at the APA point, to angles and delays; MS needs no Jacobian, since
CRB_MS = tr E^-1 once angles and delays are measured in metres.

What is known beforehand adds J0. At full power that is all; at power p it counts p J0 here, so that the FIM stays
linear in V and the bound of degree -1 (see `certificate`): every solver may scale V as it likes.
Twins: `dense`, in tests/engine/beamforming/test_certificate.py; tests/engine/test_crb.py.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import cholesky_lanes, hermitian_cholesky


class BoundBuffers(NamedTuple):
    """What an evaluation of one link's bound leaves behind, of eight draws.

    n paths, inner angles and delays ((2 q - 1) n, or q n for MS), size = n + inner channel parameters, m positions (for
    MS the angles and delays themselves). Where a loop goes in pairs, an odd size has one more row or column of zeros.
    """

    rephased: np.ndarray  # T, real part above, imaginary part below: (2 * qn, qn)
    gain_columns: np.ndarray  # columns of the gains in G, then, in their place, in its Cholesky factor: (2 * size, n)
    efim: np.ndarray  # Re G of angles and delays, then, in its place, E: (inner, inner)
    efim_transform: np.ndarray  # E A, A the transform: (inner, m)
    triangle: np.ndarray  # Cholesky factor of E_w: (m, m)
    forward: np.ndarray  # L^-1 F_r of the row that was solved last: (m, 1)
    whitened_response: np.ndarray  # L^-T L^-1 F_r: (m, 1)
    responses: np.ndarray  # v_r, for each bound: (2 * size, bounds)
    prior_responses: np.ndarray  # J0 times those of the whitened positions, for each bound: (m, bounds), or (0, 0)
    prior_slope: np.ndarray  # how much the bound falls as the prior's share of the power grows: (1, 1)
    inverse: np.ndarray  # E^-1, for MS: (inner, inner)
    gain_responses: np.ndarray  # W, what a gain responds to each angle and delay, for MS: (2 * n, inner)
    rest_products: np.ndarray  # P of angles and delays, symmetric: (inner, inner)
    mixed_products: np.ndarray  # P of gains with these: (2 * n, inner)
    gain_products: np.ndarray  # P of gain_columns, lower triangle: (2 * n, n)


@kernel
def new_buffers(link):
    """Buffers for a link, `problems.SeparableLanes`."""
    n = link.phasor.shape[0]
    kinds = link.parameter_of_kind.size
    inner = link.parameter_of_kind[kinds - 1] * n
    size = n + inner
    whitened = link.transform.shape[0] > 0
    m = link.transform.shape[1] if whitened else inner
    even = inner + inner % 2
    unwhitened = 0 if whitened else even
    bounds = link.bounded if whitened else inner
    known = link.prior.shape[0]
    return BoundBuffers(
        rephased=lane_zeros(kinds * n, kinds // 2 * n),
        gain_columns=lane_zeros(2 * size, n),
        efim=lane_zeros(inner, inner),
        efim_transform=lane_zeros(inner, m),
        triangle=lane_zeros(m, m),
        forward=lane_zeros(m, 1),
        whitened_response=lane_zeros(m, 1),
        responses=lane_zeros(2 * size, bounds),
        prior_responses=lane_zeros(known, bounds if known > 0 else 0),
        prior_slope=lane_zeros(1, 1),
        inverse=lane_zeros(unwhitened, unwhitened),
        gain_responses=lane_zeros(2 * n, unwhitened),
        rest_products=lane_zeros(even, even),
        mixed_products=lane_zeros(2 * n, even),
        gain_products=lane_zeros(2 * n, n),
    )


@unmanaged
def relative_phase(phasor, k, h):
    """Real and imaginary part of the phase of path k against path h, from phasors (n, 2, lane)."""
    a = get(phasor, k, 0)
    b = get(phasor, k, 1)
    c = get(phasor, h, 0)
    d = get(phasor, h, 1)
    return a * c + b * d, b * c - a * d


@unmanaged
def rephase(link, sr, si, rephased):
    """T = Phi S Phi^H, (2 * qn, qn), from S = sr + j si of all paths in rows of a path k and columns of h <= k.

    Both matrices go block by block: the steering columns of all paths, then their derivatives along each tangent.
    """
    n = link.phasor.shape[0]
    size = rephased.shape[1]
    everyone = sr.shape[0] // (size // n)
    for k in range(n):
        for h in range(k + 1):
            real, imag = relative_phase(link.phasor, k, h)
            r = link.paths[k]
            for row in range(k, size, n):
                s = link.paths[h]
                for column in range(h, size, n):
                    x = get(sr, r, s)
                    y = get(si, r, s)
                    u = x * real - y * imag
                    v = x * imag + y * real
                    put(rephased, u, row, column)
                    put(rephased, v, size + row, column)
                    put(rephased, u, column, row)
                    put(rephased, -v, size + column, row)
                    s += everyone
                r += everyone


@unmanaged
def gram_of_gains(link, rephased, gain_columns):
    """Columns of the gains in G: real parts above, imaginary parts below, (2 * size, n)."""
    n = link.phasor.shape[0]
    kind = link.parameter_of_kind
    q = kind.size // 2
    size = (1 + kind[kind.size - 1]) * n
    for s in range(kind.size):
        first = kind[s] * n
        more = s >= q and kind[s] == kind[s - q + 1]
        tx = s * n if s < q else 0
        for k in range(n):
            for h in range(k + 1 if s == 0 else n):
                w = get(link.weights, s * n + k, h)
                x = w * get(rephased, tx + k, h)
                y = w * get(rephased, q * n + tx + k, h)
                i = first + k
                put(gain_columns, get(gain_columns, i, h) + x if more else x, i, h)
                put(gain_columns, get(gain_columns, size + i, h) + y if more else y, size + i, h)
                if link.weights_imag.shape[0] > 0:
                    w = get(link.weights_imag, s * n + k, h)
                    x = get(gain_columns, i, h) - w * get(rephased, q * n + tx + k, h)
                    y = get(gain_columns, size + i, h) + w * get(rephased, tx + k, h)
                    put(gain_columns, x, i, h)
                    put(gain_columns, y, size + i, h)


@unmanaged
def gram_of_rest(link, rephased, efim):
    """Re G of angles and delays: lower triangle, (inner, inner)."""
    n = link.phasor.shape[0]
    kind = link.parameter_of_kind
    q = kind.size // 2
    for s in range(1, kind.size):
        row = (kind[s] - 1) * n
        tx = s * n if s < q else 0
        for t in range(1, s + 1):
            column = (kind[t] - 1) * n
            ty = t * n if t < q else 0
            one_parameter = row == column and s != t
            more = (s >= q and kind[s] == kind[s - q + 1]) or (t >= q and kind[t] == kind[t - q + 1])
            for k in range(n):
                for h in range(k + 1 if s == t else n):
                    x = get(link.weights, s * n + k, t * n + h) * get(rephased, tx + k, ty + h)
                    if link.weights_imag.shape[0] > 0:
                        x -= get(link.weights_imag, s * n + k, t * n + h) * get(rephased, q * n + tx + k, ty + h)
                    i = row + k
                    j = column + h
                    if one_parameter and k == h:
                        x += x
                    if j > i:
                        i, j = j, i
                    put(efim, get(efim, i, j) + x if more else x, i, j)


@inlined
def _eliminate_gains(gain_columns, efim, n):
    """Factor the gains' block of G in place and take their share off E; 0 where a pivot is not positive."""
    size = n + efim.shape[0]
    fine = hermitian_cholesky(gain_columns, size, n)
    for i in range(efim.shape[0]):
        for j in range(i + 1):
            x = get(efim, i, j)
            for k in range(n):
                x -= get(gain_columns, n + i, k) * get(gain_columns, n + j, k)
                x -= get(gain_columns, size + n + i, k) * get(gain_columns, size + n + j, k)
            put(efim, x, i, j)
            put(efim, x, j, i)
    return fine


@unmanaged
def equivalent_fim(link, sr, si, buffers):
    """E (inner, inner) into buffers.efim, from S (2n, 2n); 1 in the lanes in which gains are identifiable, else 0."""
    rephase(link, sr, si, buffers.rephased)
    gram_of_gains(link, buffers.rephased, buffers.gain_columns)
    gram_of_rest(link, buffers.rephased, buffers.efim)
    return _eliminate_gains(buffers.gain_columns, buffers.efim, link.phasor.shape[0])


@unmanaged
def to_positions(transform, efim, product, out):
    """Lower triangle of A^T E A, (m, m), for a transform A (inner, m); the product E A comes along."""
    inner, m = transform.shape[:2]
    for i in range(inner):
        for b in range(0, m - 1, 2):
            x = get(efim, i, 0) * get(transform, 0, b)
            y = get(efim, i, 0) * get(transform, 0, b + 1)
            for j in range(1, inner):
                e = get(efim, i, j)
                x += e * get(transform, j, b)
                y += e * get(transform, j, b + 1)
            put(product, x, i, b)
            put(product, y, i, b + 1)
    for a in range(0, m - 1, 2):
        for b in range(0, a + 1, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for i in range(inner):
                c = get(transform, i, a)
                d = get(transform, i, a + 1)
                e = get(product, i, b)
                f = get(product, i, b + 1)
                p += c * e
                q += c * f
                r += d * e
                s += d * f
            put(out, p, a, b)
            put(out, r, a + 1, b)
            put(out, s, a + 1, b + 1)
            if a != b:
                put(out, q, a, b + 1)
    if m % 2 != 0:
        _to_last_position(transform, efim, product, out)


@unmanaged
def _to_last_position(transform, efim, product, out):
    """The last row of A^T E A, which has no partner where m is odd."""
    inner, m = transform.shape[:2]
    last = m - 1
    for i in range(inner):
        x = everywhere(0.0)
        for j in range(inner):
            x += get(efim, i, j) * get(transform, j, last)
        put(product, x, i, last)
    for b in range(m):
        x = everywhere(0.0)
        for i in range(inner):
            x += get(transform, i, last) * get(product, i, b)
        put(out, x, last, b)


@unmanaged
def factor_positions(link, sr, si, power, buffers):
    """Cholesky factor (m, m) of E_w into buffers.triangle, from S and its power; 0 in the lanes without one."""
    fine = equivalent_fim(link, sr, si, buffers)
    m = buffers.triangle.shape[0]
    if link.transform.shape[0] > 0:
        to_positions(link.transform, buffers.efim, buffers.efim_transform, buffers.triangle)
    else:
        for i in range(m):
            for j in range(i + 1):
                put(buffers.triangle, get(buffers.efim, i, j), i, j)
    if link.prior.shape[0] > 0:
        for i in range(m):
            for j in range(i + 1):
                put(buffers.triangle, get(buffers.triangle, i, j) + power * get(link.prior, i, j), i, j)
    return where_less(0.0, cholesky_lanes(buffers.triangle, m), fine, 0.0)


@unmanaged
def solve_forward(link, buffers, row):
    """Forward substitution: L^-1 F_row into buffers.forward; its squared length is the bound of parameter `row`."""
    m = buffers.triangle.shape[0]
    whitened = link.transform.shape[0] > 0
    # Rows of F are zero before this column: nuisance parameters were whitened first.
    first = m - 1 - row if whitened else row
    total = everywhere(0.0)
    for i in range(first):
        put(buffers.forward, 0.0, i, 0)
    for i in range(first, m):
        x = everywhere(0.0)
        if whitened:
            x = get(link.rows, row, i)
        elif i == row:
            x = everywhere(1.0)
        for k in range(first, i):
            x -= get(buffers.triangle, i, k) * get(buffers.forward, k, 0)
        x *= get(buffers.triangle, i, i)
        put(buffers.forward, x, i, 0)
        total += x * x
    return total


@inlined
def put_gain_response(gain_columns, k, x, y, column, out):
    """What gain k responds, from the right hand side x + j y, once gains after k have theirs in out (2 * any, columns).

    That is back-substitution with the gains' block of the factor, whose diagonal holds reciprocals.
    """
    n = gain_columns.shape[1]
    size = gain_columns.shape[0] // 2
    imag = out.shape[0] // 2
    for h in range(k + 1, n):
        a = get(gain_columns, h, k)
        b = -get(gain_columns, size + h, k)
        c = get(out, h, column)
        d = get(out, imag + h, column)
        x -= a * c - b * d
        y -= a * d + b * c
    scale = get(gain_columns, k, k)
    put(out, x * scale, k, column)
    put(out, y * scale, imag + k, column)


@unmanaged
def response(link, buffers, row):
    """Back-substitution of buffers.forward: v, what all channel parameters respond, into column `row` of responses."""
    m = buffers.triangle.shape[0]
    for i in range(m - 1, -1, -1):
        x = get(buffers.forward, i, 0)
        for k in range(i + 1, m):
            x -= get(buffers.triangle, k, i) * get(buffers.whitened_response, k, 0)
        put(buffers.whitened_response, x * get(buffers.triangle, i, i), i, 0)
    if link.prior.shape[0] > 0:
        for a in range(m):
            x = everywhere(0.0)
            for b in range(m):
                x += get(link.prior, a, b) * get(buffers.whitened_response, b, 0)
            put(buffers.prior_responses, x, a, row)
    n = link.phasor.shape[0]
    inner = buffers.efim.shape[0]
    size = n + inner
    for i in range(inner):
        if link.transform.shape[0] > 0:
            x = everywhere(0.0)
            for a in range(m):
                x += get(link.transform, i, a) * get(buffers.whitened_response, a, 0)
        else:
            x = get(buffers.whitened_response, i, 0)
        put(buffers.responses, x, n + i, row)
    for k in range(n - 1, -1, -1):
        x = everywhere(0.0)
        y = everywhere(0.0)
        for i in range(inner):
            z = get(buffers.responses, n + i, row)
            x -= get(buffers.gain_columns, n + i, k) * z
            y += get(buffers.gain_columns, size + n + i, k) * z
        put_gain_response(buffers.gain_columns, k, x, y, row, buffers.responses)


@unmanaged
def responses(link, buffers, rows):
    """v_r of the leading parameters into buffers.responses, (2 * size, rows); returns the sum of their bounds.

    buffers.prior_slope becomes what J0 has of it, the sum of y_r^T J0 y_r of the whitened responses y_r.
    """
    total = everywhere(0.0)
    slope = everywhere(0.0)
    for row in range(rows):
        total += solve_forward(link, buffers, row)
        response(link, buffers, row)
        for a in range(buffers.prior_responses.shape[0]):
            slope += get(buffers.prior_responses, a, row) * get(buffers.whitened_response, a, 0)
    put(buffers.prior_slope, slope, 0, 0)
    return total
