"""The weighted bound of a link and its gradient, for eight designs side by side (see `efim` for G and E).

The gradient of a bound is -sum_r v_r^H dG v_r = -tr dG P, where v_r is the response of all parameters to the one that
is bounded, and P = sum_r v_r v_r^H. BP bounds two, so P comes from their responses; MS bounds all angles and delays,
so their part of P is E^-2, and no response is needed. Twin: `dense`, in tests/engine/beamforming/test_certificate.py;
differences in tests/engine/kernels/test_polar.py.
"""

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, put, where_less
from .efim import KINDS, factor_positions, put_gain_response, relative_phase, responses


@inlined
def _products_of_responses(buffers, rows):
    """P from few responses, columns of buffers.responses."""
    n = buffers.gain_columns.shape[1]
    inner = buffers.efim.shape[0]
    size = n + inner
    for i in range(inner):
        for j in range(i + 1):
            x = everywhere(0.0)
            for r in range(rows):
                x += get(buffers.responses, n + i, r) * get(buffers.responses, n + j, r)
            put(buffers.rest_products, x, i, j)
            put(buffers.rest_products, x, j, i)
    for k in range(n):
        for i in range(inner):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(rows):
                z = get(buffers.responses, n + i, r)
                x += get(buffers.responses, k, r) * z
                y += get(buffers.responses, size + k, r) * z
            put(buffers.mixed_products, x, k, i)
            put(buffers.mixed_products, y, n + k, i)
        for h in range(k + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(rows):
                a = get(buffers.responses, k, r)
                b = get(buffers.responses, size + k, r)
                c = get(buffers.responses, h, r)
                d = get(buffers.responses, size + h, r)
                x += a * c + b * d
                y += b * c - a * d
            put(buffers.gain_products, x, k, h)
            put(buffers.gain_products, y, n + k, h)


@inlined
def _invert(buffers):
    """E^-1 into buffers.inverse, from its factor; returns its trace. The factor stays."""
    m = buffers.triangle.shape[0]
    total = everywhere(0.0)
    for c in range(m):
        for i in range(c, m):
            x = everywhere(0.0)
            if i == c:
                x = everywhere(1.0)
            for k in range(c, i):
                x -= get(buffers.triangle, i, k) * get(buffers.inverse, k, c)
            put(buffers.inverse, x * get(buffers.triangle, i, i), i, c)
    for i in range(m):
        for j in range(i + 1):
            x = everywhere(0.0)
            for k in range(i, m):
                x += get(buffers.inverse, k, i) * get(buffers.inverse, k, j)
            put(buffers.inverse, x, i, j)  # read no more: later rows start below
        total += get(buffers.inverse, i, i)
    for i in range(m):
        for j in range(i):
            put(buffers.inverse, get(buffers.inverse, i, j), j, i)
    return total


@inlined
def _square_inverse(buffers):
    """P of angles and delays where each is bounded: E^-2, from E^-1."""
    inner = buffers.efim.shape[0]
    for i in range(0, inner, 2):
        for j in range(0, i + 1, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for k in range(inner):
                a = get(buffers.inverse, i, k)
                b = get(buffers.inverse, i + 1, k)
                c = get(buffers.inverse, j, k)
                d = get(buffers.inverse, j + 1, k)
                p += a * c
                q += a * d
                r += b * c
                s += b * d
            put(buffers.rest_products, p, i, j)
            put(buffers.rest_products, p, j, i)
            put(buffers.rest_products, q, i, j + 1)
            put(buffers.rest_products, q, j + 1, i)
            put(buffers.rest_products, r, i + 1, j)
            put(buffers.rest_products, r, j, i + 1)
            put(buffers.rest_products, s, i + 1, j + 1)
            put(buffers.rest_products, s, j + 1, i + 1)


@inlined
def _respond(buffers):
    """W, what the gains respond to each angle and delay: the gains' block of G solved for minus its other columns."""
    n = buffers.gain_columns.shape[1]
    inner = buffers.efim.shape[0]
    size = n + inner
    for i in range(inner):
        for k in range(n - 1, -1, -1):
            x = -get(buffers.gain_columns, n + i, k)
            y = get(buffers.gain_columns, size + n + i, k)
            put_gain_response(buffers.gain_columns, k, x, y, i, buffers.gain_responses)


@inlined
def _gain_products_of_inverse(buffers):
    """P of gains where every angle and delay is bounded: W E^-2, and W E^-2 W^H."""
    n = buffers.gain_columns.shape[1]
    inner = buffers.efim.shape[0]
    for k in range(n):
        for i in range(0, inner, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for j in range(inner):
                x = get(buffers.gain_responses, k, j)
                y = get(buffers.gain_responses, n + k, j)
                a = get(buffers.rest_products, j, i)
                b = get(buffers.rest_products, j, i + 1)
                p += x * a
                q += y * a
                r += x * b
                s += y * b
            put(buffers.mixed_products, p, k, i)
            put(buffers.mixed_products, q, n + k, i)
            put(buffers.mixed_products, r, k, i + 1)
            put(buffers.mixed_products, s, n + k, i + 1)
        for h in range(k + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(inner):
                a = get(buffers.mixed_products, k, i)
                b = get(buffers.mixed_products, n + k, i)
                c = get(buffers.gain_responses, h, i)
                d = get(buffers.gain_responses, n + h, i)
                x += a * c + b * d
                y += b * c - a * d
            put(buffers.gain_products, x, k, h)
            put(buffers.gain_products, y, n + k, h)


@inlined
def _add_gradient(link, buffers, weight, gr, gi):
    """Gamma -= weight Phi^H (weights o P) Phi, gathered by transmit columns; rows of path k and columns of h <= k."""
    n = link.phasor.shape[0]
    for k in range(n):
        for h in range(k + 1):
            aa, ad, da, dd = _pair_sums(link, buffers, k, h)
            real, imag = relative_phase(link.phasor, k, h)
            _add_pair(gr, gi, k, h, weight, real, imag, aa)
            _add_pair(gr, gi, k, n + h, weight, real, imag, ad)
            _add_pair(gr, gi, n + k, h, weight, real, imag, da)
            _add_pair(gr, gi, n + k, n + h, weight, real, imag, dd)


@inlined
def _pair_sums(link, buffers, k, h):
    """P of paths k and h with its weights, summed over what shares a transmit column, for each pair of columns."""
    n = link.phasor.shape[0]
    rest, mixed, gains, weights = buffers.rest_products, buffers.mixed_products, buffers.gain_products, link.weights
    kind = link.parameter_of_kind
    zero = everywhere(0.0)
    aar = get(weights, k, h) * get(gains, k, h)
    aai = get(weights, k, h) * get(gains, n + k, h)
    adr, dar = zero, zero
    departure_k, departure_h = (kind[1] - 1) * n + k, (kind[1] - 1) * n + h
    for s in range(2, KINDS):  # arrival and delay: transmit column a, like the gain
        i, j = (kind[s] - 1) * n + k, (kind[s] - 1) * n + h
        w = get(weights, k, s * n + h)
        aar += w * get(mixed, k, j)
        aai += w * get(mixed, n + k, j)
        w = get(weights, s * n + k, h)
        aar += w * get(mixed, h, i)
        aai -= w * get(mixed, n + h, i)
        for t in range(2, KINDS):
            aar += get(weights, s * n + k, t * n + h) * get(rest, i, (kind[t] - 1) * n + h)
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
def _add_pair(gr, gi, r, s, weight, real, imag, sums):
    """Gamma_rs -= weight sums, with the phase between the paths again; nothing where there is no weight."""
    x, y = sums
    p = x * real + y * imag
    q = y * real - x * imag
    put(gr, get(gr, r, s) - where_less(0.0, weight, weight * p, 0.0), r, s)
    put(gi, get(gi, r, s) - where_less(0.0, weight, weight * q, 0.0), r, s)


@unmanaged
def link_crb(link, bound_rows, weight, sr, si, gr, gi, buffers):
    """Weighted bound of one link, inf where it does not exist; its gradient is added to Gamma = gr + j gi.

    S = sr + j si and Gamma are (2n, 2n, lane); bound_rows says how many leading parameters' bounds are added up.
    `weight` may differ from lane to lane; where it is 0, nothing is added, and the bound is 0. Of S and Gamma only
    rows of a path k and columns of a path h <= k are read and written.
    """
    fine = factor_positions(link, sr, si, buffers)
    total = everywhere(0.0)
    if bound_rows < buffers.triangle.shape[0]:
        total = responses(link, buffers, bound_rows)
        _products_of_responses(buffers, bound_rows)
    else:
        total = _invert(buffers)
        _square_inverse(buffers)
        _respond(buffers)
        _gain_products_of_inverse(buffers)
    _add_gradient(link, buffers, weight, gr, gi)
    total = where_less(0.0, fine, weight * total, np.inf)
    return where_less(0.0, weight, total, 0.0)
