"""The weighted bound of a link and its gradient, for eight designs side by side (see `efim` for G and E).

The gradient of a bound is -sum_r v_r^H dG v_r = -tr dG P, where v_r is the response of all parameters to the one that
is bounded, and P = sum_r v_r v_r^H. BP bounds the UE's position, so P comes from its responses; MS bounds the angles
and delays of all paths that have a position, so their part of P is E^-2, or E^-1 D E^-1 where D leaves out those of
nuisance paths, and no response is needed. Twin: `dense`, in tests/engine/beamforming/test_certificate.py;
differences in tests/engine/kernels/test_polar.py.
"""

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, put, where_less
from .efim import factor_positions, put_gain_response, relative_phase, responses


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
def _invert(buffers, bounded):
    """E^-1 into buffers.inverse, from its factor; returns its trace over the `bounded` leading paths."""
    m = buffers.triangle.shape[0]
    n = buffers.gain_columns.shape[1]
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
        if i % n < bounded:
            total += get(buffers.inverse, i, i)
    for i in range(m):
        for j in range(i):
            put(buffers.inverse, get(buffers.inverse, i, j), j, i)
    return total


@inlined
def _square_inverse(buffers, bounded):
    """P of angles and delays where those of the `bounded` leading paths are: E^-2, from E^-1, or a part of it."""
    n = buffers.gain_columns.shape[1]
    inner = buffers.efim.shape[0]
    for i in range(0, inner, 2):
        for j in range(0, i + 1, 2):
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for first in range(0, inner, n):
                for k in range(first, first + bounded):
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
    """Gamma -= weight Phi^H (conj(weights) o P) Phi, by transmit columns; in rows of path k, columns of h <= k."""
    n = link.phasor.shape[0]
    q = link.parameter_of_kind.size // 2
    everyone = gr.shape[0] // q
    for k in range(n):
        for h in range(k + 1):
            real, imag = relative_phase(link.phasor, k, h)
            r, s = link.paths[k], link.paths[h]
            _add_pair(gr, gi, r, s, weight, real, imag, _steering_sum(link, buffers, k, h))
            for a in range(1, q):
                _add_pair(gr, gi, r, a * everyone + s, weight, real, imag, _right_sum(link, buffers, k, h, a))
                x, y = _right_sum(link, buffers, h, k, a)  # of a Hermitian sum, the other way round
                _add_pair(gr, gi, a * everyone + r, s, weight, real, imag, (x, -y))
            for a in range(1, q):
                for b in range(1, q):
                    sums = _derivative_sum(link, buffers, k, h, a, b)
                    _add_pair(gr, gi, a * everyone + r, b * everyone + s, weight, real, imag, sums)


@unmanaged
def _steering_sum(link, buffers, k, h):
    """P of paths k and h with its weights, summed over the kinds of term whose transmit columns are the steering ones.

    Those are gain, arrivals and delay.
    """
    n = link.phasor.shape[0]
    rest, mixed, gains, weights = buffers.rest_products, buffers.mixed_products, buffers.gain_products, link.weights
    kind = link.parameter_of_kind
    q = kind.size // 2
    x = get(weights, k, h) * get(gains, k, h)
    y = get(weights, k, h) * get(gains, n + k, h)
    for s in range(q, kind.size):
        i, j = (kind[s] - 1) * n + k, (kind[s] - 1) * n + h
        w = get(weights, k, s * n + h)
        x += w * get(mixed, k, j)
        y += w * get(mixed, n + k, j)
        w = get(weights, s * n + k, h)
        x += w * get(mixed, h, i)
        y -= w * get(mixed, n + h, i)
        for t in range(q, kind.size):
            x += get(weights, s * n + k, t * n + h) * get(rest, i, (kind[t] - 1) * n + h)
    if link.weights_imag.shape[0] > 0:
        u, v = _imaginary_steering_sum(link, buffers, k, h)
        x += u
        y += v
    return x, y


@unmanaged
def _imaginary_steering_sum(link, buffers, k, h):
    """What the weights' imaginary part adds to it."""
    n = link.phasor.shape[0]
    rest, mixed, gains, weights = (
        buffers.rest_products,
        buffers.mixed_products,
        buffers.gain_products,
        link.weights_imag,
    )
    kind = link.parameter_of_kind
    q = kind.size // 2
    x = get(weights, k, h) * get(gains, n + k, h)
    y = -(get(weights, k, h) * get(gains, k, h))
    for s in range(q, kind.size):
        i, j = (kind[s] - 1) * n + k, (kind[s] - 1) * n + h
        w = get(weights, k, s * n + h)
        x += w * get(mixed, n + k, j)
        y -= w * get(mixed, k, j)
        w = get(weights, s * n + k, h)
        x -= w * get(mixed, n + h, i)
        y -= w * get(mixed, h, i)
        for t in range(q, kind.size):
            y -= get(weights, s * n + k, t * n + h) * get(rest, i, (kind[t] - 1) * n + h)
    return x, y


@unmanaged
def _right_sum(link, buffers, k, h, b):
    """The same where only the second transmit column is a derivative, that of departure b."""
    n = link.phasor.shape[0]
    rest, mixed, kind = buffers.rest_products, buffers.mixed_products, link.parameter_of_kind
    j = (kind[b] - 1) * n + h
    imaginary = link.weights_imag.shape[0] > 0
    x = everywhere(0.0)
    y = everywhere(0.0)
    for s in range(kind.size // 2, kind.size):
        p = get(rest, (kind[s] - 1) * n + k, j)
        x += get(link.weights, s * n + k, b * n + h) * p
        if imaginary:
            y -= get(link.weights_imag, s * n + k, b * n + h) * p
    w = get(link.weights, k, b * n + h)
    x += w * get(mixed, k, j)
    y += w * get(mixed, n + k, j)
    if imaginary:
        w = get(link.weights_imag, k, b * n + h)
        x += w * get(mixed, n + k, j)
        y -= w * get(mixed, k, j)
    return x, y


@unmanaged
def _derivative_sum(link, buffers, k, h, a, b):
    """The same where both are, those of departures a and b."""
    n = link.phasor.shape[0]
    kind = link.parameter_of_kind
    p = get(buffers.rest_products, (kind[a] - 1) * n + k, (kind[b] - 1) * n + h)
    y = everywhere(0.0)
    if link.weights_imag.shape[0] > 0:
        y = -(get(link.weights_imag, a * n + k, b * n + h) * p)
    return get(link.weights, a * n + k, b * n + h) * p, y


@unmanaged
def _add_pair(gr, gi, r, s, weight, real, imag, sums):
    """Gamma_rs -= weight sums, with the phase between the paths again; nothing where there is no weight."""
    x, y = sums
    p = x * real + y * imag
    q = y * real - x * imag
    put(gr, get(gr, r, s) - where_less(0.0, weight, weight * p, 0.0), r, s)
    put(gi, get(gi, r, s) - where_less(0.0, weight, weight * q, 0.0), r, s)


@unmanaged
def link_crb(link, weight, transmit, gr, gi, buffers):
    """Weighted bound of one link, inf where it does not exist; its gradient is added to Gamma = gr + j gi.

    transmit is S, real and imaginary part, and its power; S and Gamma are (qn, qn, lane), of all paths. `weight` may
    differ from lane to lane; where it is 0, nothing is added, and the bound is 0. Of S and Gamma only rows of a path k
    and columns of a path h <= k are read and written.
    """
    sr, si, power = transmit
    fine = factor_positions(link, sr, si, power, buffers)
    total = everywhere(0.0)
    if link.transform.shape[0] > 0:
        total = responses(link, buffers, link.bounded)
        _products_of_responses(buffers, link.bounded)
    else:
        total = _invert(buffers, link.bounded)
        _square_inverse(buffers, link.bounded)
        _respond(buffers)
        _gain_products_of_inverse(buffers)
        slope = everywhere(0.0)
        for i in range(link.prior.shape[0]):
            slope += get(link.prior, i, i) * get(buffers.rest_products, i, i)
        put(buffers.prior_slope, slope, 0, 0)
    _add_gradient(link, buffers, weight, gr, gi)
    total = where_less(0.0, fine, weight * total, np.inf)
    return where_less(0.0, weight, total, 0.0)
