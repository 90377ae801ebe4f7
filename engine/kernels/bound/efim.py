"""The bound of a link and its gradient, for eight designs side by side, at a cost that knows neither M nor M_T.

Every derivative of a channel is a sum of products of a gain, a delay factor and two steering columns, so with the
phase of each path taken out of S = B^H V B the complex Gram matrix of the derivatives is a Hadamard product

    G[(s, k), (t, l)] = weights[(s, k), (t, l)] T[tx(s, k), tx(t, l)],   T = Phi S Phi^H,

of real, constant weights with entries of T. Kinds s: 0 the complex gain, 1 theta_B (transmit derivative column),
2 theta_U (receive derivative column), 3 the delay; k the path. For MS one angle is both ends': kinds 1 and 2 fold
into one parameter. A complex Cholesky factorisation that stops after the K+1 gains leaves the equivalent FIM (14)
of angles and delays, E = Re(Schur complement). BP goes on to positions with E_w = T^T E T, whitened at the APA
point; MS needs no Jacobian, since CRB_MS = tr E^-1 once angles and delays are measured in metres.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import cholesky_lanes, hermitian_cholesky

KINDS = 4


class LinkLanes(NamedTuple):
    """One link of eight draws; the last axis is the lane.

    weights (4 n, 4 n), phasor (n, 2), fold (4: parameter kind of each kind of term), transform (3 n, m) and rows
    (reported, m), both with no entries for MS.
    """

    weights: np.ndarray
    phasor: np.ndarray
    fold: np.ndarray
    transform: np.ndarray
    rows: np.ndarray


class LinkWork(NamedTuple):
    """Buffers for one link; what they hold is said where they are filled."""

    turned: np.ndarray  # T, real and imaginary parts: (2 * 2n, 2n)
    gains: np.ndarray  # leading columns of the complex Cholesky factor: (2 * size, n)
    efim: np.ndarray  # E, symmetric
    half: np.ndarray
    triangle: np.ndarray  # Cholesky factor of E_w
    vectors: np.ndarray  # v_r: (2 * size, rows)
    column: np.ndarray
    rest_moments: np.ndarray  # P of angles and delays, symmetric; of gains with these; of gains, lower triangle
    mixed_moments: np.ndarray
    gain_moments: np.ndarray


@kernel
def link_work(link, rows):
    """Buffers for a link of which `rows` bounds are wanted."""
    n = link.phasor.shape[0]
    size = (1 + link.fold[3]) * n
    inner = size - n
    m = link.transform.shape[1] if link.transform.shape[0] > 0 else inner
    return LinkWork(
        lane_zeros(4 * n, 2 * n),
        lane_zeros(2 * size, n),
        lane_zeros(inner, inner),
        lane_zeros(inner, m),
        lane_zeros(m, m),
        lane_zeros(2 * size, rows),
        lane_zeros(m, 2),
        lane_zeros(inner, inner),
        lane_zeros(2 * n, inner),
        lane_zeros(2 * n, n),
    )


@unmanaged
def relative_phase(phasor, k, h):
    """Real and imaginary part of the phase of path k against path h."""
    a = get(phasor, k, 0)
    b = get(phasor, k, 1)
    c = get(phasor, h, 0)
    d = get(phasor, h, 1)
    return a * c + b * d, b * c - a * d


@unmanaged
def turn(link, sr, si, turned):
    """T = Phi S Phi^H for rows of a path k and columns of a path h <= k."""
    n = link.phasor.shape[0]
    for k in range(n):
        for h in range(k + 1):
            real, imag = relative_phase(link.phasor, k, h)
            for r in (k, n + k):
                for s in (h, n + h):
                    x = get(sr, r, s)
                    y = get(si, r, s)
                    u = x * real - y * imag
                    v = x * imag + y * real
                    put(turned, u, r, s)
                    put(turned, v, 2 * n + r, s)
                    put(turned, u, s, r)
                    put(turned, -v, 2 * n + s, r)


@unmanaged
def gram_of_gains(link, turned, gains):
    """Columns of the gains in G, of all parameters: real parts above, imaginary parts below."""
    n = link.phasor.shape[0]
    size = (1 + link.fold[3]) * n
    for s in range(KINDS):
        first = link.fold[s] * n
        more = s > 0 and link.fold[s] == link.fold[s - 1]
        tx = n if s == 1 else 0
        for k in range(n):
            for h in range(k + 1 if s == 0 else n):
                w = get(link.weights, s * n + k, h)
                x = w * get(turned, tx + k, h)
                y = w * get(turned, 2 * n + tx + k, h)
                i = first + k
                put(gains, get(gains, i, h) + x if more else x, i, h)
                put(gains, get(gains, size + i, h) + y if more else y, size + i, h)


@unmanaged
def gram_of_rest(link, turned, efim):
    """Re G of angles and delays: lower triangle."""
    n = link.phasor.shape[0]
    for s in range(1, KINDS):
        row = (link.fold[s] - 1) * n
        tx = n if s == 1 else 0
        for t in range(1, s + 1):
            column = (link.fold[t] - 1) * n
            ty = n if t == 1 else 0
            folded = row == column and s != t
            more = link.fold[s] == link.fold[s - 1] or link.fold[t] == link.fold[t - 1]
            for k in range(n):
                for h in range(k + 1 if s == t else n):
                    x = get(link.weights, s * n + k, t * n + h) * get(turned, tx + k, ty + h)
                    i = row + k
                    j = column + h
                    if folded and k == h:
                        x += x
                    if j > i:
                        i, j = j, i
                    put(efim, get(efim, i, j) + x if more else x, i, j)


@inlined
def _eliminate_gains(gains, efim, n):
    """Factor the gains' block of G in place and take their share off E; 0 where a pivot is not positive."""
    size = n + efim.shape[0]
    fine = hermitian_cholesky(gains, size, n)
    for i in range(efim.shape[0]):
        for j in range(i + 1):
            x = get(efim, i, j)
            for k in range(n):
                x -= get(gains, n + i, k) * get(gains, n + j, k)
                x -= get(gains, size + n + i, k) * get(gains, size + n + j, k)
            put(efim, x, i, j)
            put(efim, x, j, i)
    return fine


@unmanaged
def equivalent_fim(link, sr, si, work):
    """E of angles and delays into work.efim; 1 in the lanes in which the gains are identifiable, else 0."""
    turn(link, sr, si, work.turned)
    gram_of_gains(link, work.turned, work.gains)
    gram_of_rest(link, work.turned, work.efim)
    return _eliminate_gains(work.gains, work.efim, link.phasor.shape[0])


@unmanaged
def to_positions(transform, efim, half, out):
    """Lower triangle of T^T E T; its size is even."""
    inner, m = transform.shape[:2]
    for i in range(inner):
        for b in range(0, m, 2):
            x = get(efim, i, 0) * get(transform, 0, b)
            y = get(efim, i, 0) * get(transform, 0, b + 1)
            for j in range(1, inner):
                e = get(efim, i, j)
                x += e * get(transform, j, b)
                y += e * get(transform, j, b + 1)
            put(half, x, i, b)
            put(half, y, i, b + 1)
    for a in range(0, m, 2):
        for b in range(0, a + 1, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for i in range(inner):
                c = get(transform, i, a)
                d = get(transform, i, a + 1)
                e = get(half, i, b)
                f = get(half, i, b + 1)
                p += c * e
                q += c * f
                r += d * e
                s += d * f
            put(out, p, a, b)
            put(out, r, a + 1, b)
            put(out, s, a + 1, b + 1)
            if a != b:
                put(out, q, a, b + 1)


@unmanaged
def factor_positions(link, sr, si, work):
    """Cholesky factor of the whitened position EFIM into work.triangle; 0 in the lanes without one."""
    fine = equivalent_fim(link, sr, si, work)
    m = work.triangle.shape[0]
    if link.transform.shape[0] > 0:
        to_positions(link.transform, work.efim, work.half, work.triangle)
    else:
        for i in range(m):
            for j in range(i + 1):
                put(work.triangle, get(work.efim, i, j), i, j)
    return where_less(0.0, cholesky_lanes(work.triangle, m), fine, 0.0)


@unmanaged
def half_solved(link, work, row):
    """L^-1 F_row into work.column, and its squared length, the bound of parameter `row`."""
    m = work.triangle.shape[0]
    whitened = link.transform.shape[0] > 0
    # Rows of F are zero before this column: nuisance parameters were whitened first.
    first = m - 1 - row if whitened else row
    total = everywhere(0.0)
    for i in range(first):
        put(work.column, 0.0, i, 0)
    for i in range(first, m):
        x = everywhere(0.0)
        if whitened:
            x = get(link.rows, row, i)
        elif i == row:
            x = everywhere(1.0)
        for k in range(first, i):
            x -= get(work.triangle, i, k) * get(work.column, k, 0)
        x *= get(work.triangle, i, i)
        put(work.column, x, i, 0)
        total += x * x
    return total


@unmanaged
def response(link, work, row):
    """v_row: the response of all channel parameters to parameter `row`."""
    m = work.triangle.shape[0]
    for i in range(m - 1, -1, -1):
        x = get(work.column, i, 0)
        for k in range(i + 1, m):
            x -= get(work.triangle, k, i) * get(work.column, k, 1)
        put(work.column, x * get(work.triangle, i, i), i, 1)
    n = link.phasor.shape[0]
    inner = work.efim.shape[0]
    size = n + inner
    for i in range(inner):
        if link.transform.shape[0] > 0:
            x = everywhere(0.0)
            for a in range(m):
                x += get(link.transform, i, a) * get(work.column, a, 1)
        else:
            x = get(work.column, i, 1)
        put(work.vectors, x, n + i, row)
    for k in range(n - 1, -1, -1):
        x = everywhere(0.0)
        y = everywhere(0.0)
        for i in range(inner):
            z = get(work.vectors, n + i, row)
            x -= get(work.gains, n + i, k) * z
            y += get(work.gains, size + n + i, k) * z
        for h in range(k + 1, n):
            a = get(work.gains, h, k)
            b = -get(work.gains, size + h, k)
            c = get(work.vectors, h, row)
            d = get(work.vectors, size + h, row)
            x -= a * c - b * d
            y -= a * d + b * c
        scale = get(work.gains, k, k)
        put(work.vectors, x * scale, k, row)
        put(work.vectors, y * scale, size + k, row)


@unmanaged
def responses(link, work, rows):
    """v_r of the leading parameters into work.vectors, and the sum of their bounds."""
    total = everywhere(0.0)
    for row in range(rows):
        total += half_solved(link, work, row)
        response(link, work, row)
    return total
