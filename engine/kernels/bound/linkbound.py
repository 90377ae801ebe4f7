"""The weighted bound of a link and its gradient, for eight designs side by side (see `efim` for G and E).

The gradient of a bound is -sum_r v_r^H dG v_r = -tr dG P, where v_r is the response of all parameters to the one that
is bounded, and P = sum_r v_r v_r^H. BP bounds two, so P comes from their responses; MS bounds all angles and delays,
so their part of P is E^-2, and no response is needed.
"""

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, put, where_less
from .efim import KINDS, factor_positions, relative_phase, responses


@inlined
def _moments_of_responses(work, rows):
    """P from few responses."""
    n = work.gains.shape[1]
    inner = work.efim.shape[0]
    size = n + inner
    for i in range(inner):
        for j in range(i + 1):
            x = everywhere(0.0)
            for r in range(rows):
                x += get(work.vectors, n + i, r) * get(work.vectors, n + j, r)
            put(work.rest_moments, x, i, j)
            put(work.rest_moments, x, j, i)
    for k in range(n):
        for i in range(inner):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(rows):
                z = get(work.vectors, n + i, r)
                x += get(work.vectors, k, r) * z
                y += get(work.vectors, size + k, r) * z
            put(work.mixed_moments, x, k, i)
            put(work.mixed_moments, y, n + k, i)
        for h in range(k + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(rows):
                a = get(work.vectors, k, r)
                b = get(work.vectors, size + k, r)
                c = get(work.vectors, h, r)
                d = get(work.vectors, size + h, r)
                x += a * c + b * d
                y += b * c - a * d
            put(work.gain_moments, x, k, h)
            put(work.gain_moments, y, n + k, h)


@inlined
def _invert(work):
    """E^-1 into work.half, from its factor, and its trace; the factor stays."""
    m = work.triangle.shape[0]
    total = everywhere(0.0)
    for c in range(m):
        for i in range(c, m):
            x = everywhere(0.0)
            if i == c:
                x = everywhere(1.0)
            for k in range(c, i):
                x -= get(work.triangle, i, k) * get(work.half, k, c)
            put(work.half, x * get(work.triangle, i, i), i, c)
    for i in range(m):
        for j in range(i + 1):
            x = everywhere(0.0)
            for k in range(i, m):
                x += get(work.half, k, i) * get(work.half, k, j)
            put(work.half, x, i, j)  # read no more: later rows start below
        total += get(work.half, i, i)
    for i in range(m):
        for j in range(i):
            put(work.half, get(work.half, i, j), j, i)
    return total


@inlined
def _moments_of_all(work):
    """P where every angle and delay is bounded: E^-2 for these, W E^-2 and W E^-2 W^H for gains, W their response.

    E^-1 is in work.half; W goes where the gains' part of responses is else.
    """
    n = work.gains.shape[1]
    inner = work.efim.shape[0]
    size = n + inner
    for i in range(0, inner, 2):
        for j in range(0, i + 1, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for k in range(inner):
                a = get(work.half, i, k)
                b = get(work.half, i + 1, k)
                c = get(work.half, j, k)
                d = get(work.half, j + 1, k)
                p += a * c
                q += a * d
                r += b * c
                s += b * d
            put(work.rest_moments, p, i, j)
            put(work.rest_moments, p, j, i)
            put(work.rest_moments, q, i, j + 1)
            put(work.rest_moments, q, j + 1, i)
            put(work.rest_moments, r, i + 1, j)
            put(work.rest_moments, r, j, i + 1)
            put(work.rest_moments, s, i + 1, j + 1)
            put(work.rest_moments, s, j + 1, i + 1)
    for i in range(inner):
        for k in range(n - 1, -1, -1):
            x = -get(work.gains, n + i, k)
            y = get(work.gains, size + n + i, k)
            for h in range(k + 1, n):
                a = get(work.gains, h, k)
                b = -get(work.gains, size + h, k)
                c = get(work.vectors, h, i)
                d = get(work.vectors, size + h, i)
                x -= a * c - b * d
                y -= a * d + b * c
            scale = get(work.gains, k, k)
            put(work.vectors, x * scale, k, i)
            put(work.vectors, y * scale, size + k, i)
    for k in range(n):
        for i in range(0, inner, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for j in range(inner):
                x = get(work.vectors, k, j)
                y = get(work.vectors, size + k, j)
                a = get(work.rest_moments, j, i)
                b = get(work.rest_moments, j, i + 1)
                p += x * a
                q += y * a
                r += x * b
                s += y * b
            put(work.mixed_moments, p, k, i)
            put(work.mixed_moments, q, n + k, i)
            put(work.mixed_moments, r, k, i + 1)
            put(work.mixed_moments, s, n + k, i + 1)
        for h in range(k + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(inner):
                a = get(work.mixed_moments, k, i)
                b = get(work.mixed_moments, n + k, i)
                c = get(work.vectors, h, i)
                d = get(work.vectors, size + h, i)
                x += a * c + b * d
                y += b * c - a * d
            put(work.gain_moments, x, k, h)
            put(work.gain_moments, y, n + k, h)


@inlined
def _add_gradient(link, work, weight, gr, gi):
    """Gamma -= weight Phi^H (weights o P) Phi, gathered by transmit columns; rows of path k and columns of h <= k."""
    n = link.phasor.shape[0]
    for k in range(n):
        for h in range(k + 1):
            aa, ad, da, dd = _pair_sums(link, work, k, h)
            real, imag = relative_phase(link.phasor, k, h)
            _take(gr, gi, k, h, weight, real, imag, aa)
            _take(gr, gi, k, n + h, weight, real, imag, ad)
            _take(gr, gi, n + k, h, weight, real, imag, da)
            _take(gr, gi, n + k, n + h, weight, real, imag, dd)


@inlined
def _pair_sums(link, work, k, h):
    """P of paths k and h with its weights, summed over what shares a transmit column, for each pair of columns."""
    n = link.phasor.shape[0]
    rest, mixed, gains, weights = work.rest_moments, work.mixed_moments, work.gain_moments, link.weights
    zero = everywhere(0.0)
    aar = get(weights, k, h) * get(gains, k, h)
    aai = get(weights, k, h) * get(gains, n + k, h)
    adr, dar = zero, zero
    departure_k, departure_h = (link.fold[1] - 1) * n + k, (link.fold[1] - 1) * n + h
    for s in range(2, KINDS):  # arrival and delay: transmit column a, like the gain
        i, j = (link.fold[s] - 1) * n + k, (link.fold[s] - 1) * n + h
        w = get(weights, k, s * n + h)
        aar += w * get(mixed, k, j)
        aai += w * get(mixed, n + k, j)
        w = get(weights, s * n + k, h)
        aar += w * get(mixed, h, i)
        aai -= w * get(mixed, n + h, i)
        for t in range(2, KINDS):
            aar += get(weights, s * n + k, t * n + h) * get(rest, i, (link.fold[t] - 1) * n + h)
        adr += get(weights, s * n + k, n + h) * get(rest, i, departure_h)
        dar += get(weights, n + k, s * n + h) * get(rest, departure_k, j)
    w = get(weights, k, n + h)
    adr += w * get(mixed, k, departure_h)
    adi = w * get(mixed, n + k, departure_h)
    w = get(weights, n + k, h)
    dar += w * get(mixed, h, departure_k)
    dai = -(w * get(mixed, n + h, departure_k))
    ddr = get(weights, n + k, n + h) * get(rest, departure_k, departure_h)
    return (aar, aai), (adr, adi), (dar, dai), (ddr, zero)


@unmanaged
def _take(gr, gi, r, s, weight, real, imag, sums):
    """Gamma_rs -= weight sums, turned back by the phase between the paths; nothing where there is no weight."""
    x, y = sums
    p = x * real + y * imag
    q = y * real - x * imag
    put(gr, get(gr, r, s) - where_less(0.0, weight, weight * p, 0.0), r, s)
    put(gi, get(gi, r, s) - where_less(0.0, weight, weight * q, 0.0), r, s)


@unmanaged
def link_crb(link, bound_rows, weight, sr, si, gr, gi, work):
    """Weighted bound of one link, inf where it does not exist; its gradient is added to Gamma = gr + j gi.

    `weight` may differ from lane to lane; where it is 0, nothing is added, and the bound is 0. Of S and Gamma only
    rows of a path k and columns of a path h <= k are read and written.
    """
    fine = factor_positions(link, sr, si, work)
    total = everywhere(0.0)
    if bound_rows < work.triangle.shape[0]:
        total = responses(link, work, bound_rows)
        _moments_of_responses(work, bound_rows)
    else:
        total = _invert(work)
        _moments_of_all(work)
    _add_gradient(link, work, weight, gr, gi)
    total = where_less(0.0, fine, weight * total, np.inf)
    return where_less(0.0, weight, total, 0.0)
