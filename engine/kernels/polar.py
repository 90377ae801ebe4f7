"""Factors in polar form: how much of every path's beams there is, and along which directions it goes.

Of path k, Z has two rows, that of its steering beam and that of its derivative beam: Z_k = T_k U_k, with T_k lower
triangular with a real diagonal and orthonormal rows U_k. With many antennas beams of different paths hardly couple:
f then hangs on the T_k, and hardly on the U_k. In the entries of Z that is a curved and narrow valley, in this form a
straight one, whose widths are known beforehand (`precondition_polar`).

The unknowns x are T, four for every path (two diagonal entries, then real and imaginary part of the third), then Y,
real parts first, row by row; U_k comes from Y_k by Gram-Schmidt, so Y may be anything.
"""

import math
from typing import NamedTuple

import numpy as np

from ..accelerate import bare, kernel, piece
from ..lanes import everywhere, get, lane_zeros, put, root, where_less
from .block import factor_objective

# A row shorter than this is one of zeros (fewer antennas than columns) and stays so.
_NOTHING = 1e-140
_TINY = 1e-150
# Inverse curvatures of log f + log power along T: f = sum_i c_i / t_i^2 gives 8 at its optimum on the diagonal, but for
# scaling all t the same way; the third entry, and paths whose share hardly matters, have 2 and less.
_DIAGONAL, _BELOW = 0.2, 0.4
# Along U, next to the slack: all that is missing far from the optimum, and what beams add that overlap, at most.
_LEAST_EXTRA, _MOST_EXTRA = 0.02, 1.0
_ANY_WAY = 0.05  # share of the guess for one direction that counts for all
_LEAST_TURN, _MOST_TURN = 0.2, 2.0  # inverse curvatures along U for a slack of 1
_GOLDEN = 0.6180339887498949
_NEARLY_PARALLEL = 1e-12  # share of a path's power that both rows of T_k have at least, where it is divided by


class Polar(NamedTuple):
    """Work space of eight factors."""

    factor: np.ndarray  # Z
    slope: np.ndarray  # gradient with respect to Z; both (2 * 2n * columns, 1)


@piece
def new_polar(count, columns):
    """Work space for factors of so many rows and columns."""
    size = 2 * count * columns
    return Polar(lane_zeros(size, 1), lane_zeros(size, 1))


@bare
def head_of(unknowns, columns):
    """How many of the unknowns are entries of T; none of roots of powers, which have no columns."""
    return unknowns // (columns + 1) if columns > 0 else 0


@bare
def _one_over(length2):
    return where_less(_NOTHING * _NOTHING, length2, 1.0 / root(length2), 0.0)


@bare
def unfold(x, columns, factor):
    """Z of x, of which the Y_k become the U_k."""
    head = head_of(x.shape[0], columns)
    imag = factor.shape[0] // 2
    n = head // 4
    for k in range(n):
        length2 = everywhere(0.0)
        re = everywhere(0.0)
        im = everywhere(0.0)
        for a in range(head + k * columns, head + (k + 1) * columns):
            d = a + n * columns
            ar = get(x, a, 0)
            ai = get(x, imag + a, 0)
            dr = get(x, d, 0)
            di = get(x, imag + d, 0)
            length2 += ar * ar + ai * ai
            re += dr * ar + di * ai
            im += di * ar - dr * ai
        scale = _one_over(length2)
        re *= scale
        im *= scale
        length2 = everywhere(0.0)
        for a in range(head + k * columns, head + (k + 1) * columns):
            d = a + n * columns
            ar = scale * get(x, a, 0)
            ai = scale * get(x, imag + a, 0)
            dr = get(x, d, 0) - (re * ar - im * ai)
            di = get(x, imag + d, 0) - (re * ai + im * ar)
            put(x, ar, a, 0)
            put(x, ai, imag + a, 0)
            put(x, dr, d, 0)
            put(x, di, imag + d, 0)
            length2 += dr * dr + di * di
        scale = _one_over(length2)
        t0 = get(x, 4 * k, 0)
        t1 = get(x, 4 * k + 1, 0)
        tr = get(x, 4 * k + 2, 0)
        ti = get(x, 4 * k + 3, 0)
        for a in range(k * columns, (k + 1) * columns):
            d = a + n * columns
            ar = get(x, head + a, 0)
            ai = get(x, head + imag + a, 0)
            dr = scale * get(x, head + d, 0)
            di = scale * get(x, head + imag + d, 0)
            put(x, dr, head + d, 0)
            put(x, di, head + imag + d, 0)
            put(factor, t0 * ar, a, 0)
            put(factor, t0 * ai, imag + a, 0)
            put(factor, t1 * dr + tr * ar - ti * ai, d, 0)
            put(factor, t1 * di + tr * ai + ti * ar, imag + d, 0)


@bare
def fold(x, columns, slope, gradient):
    """The gradient with respect to x, from that with respect to Z; the Y_k are the U_k."""
    head = head_of(x.shape[0], columns)
    imag = slope.shape[0] // 2
    n = head // 4
    for k in range(n):
        own = everywhere(0.0)  # Re <g_a, u_a>, Re <g_d, u_d>, <g_d, u_a>
        other = everywhere(0.0)
        re = everywhere(0.0)
        im = everywhere(0.0)
        for a in range(k * columns, (k + 1) * columns):
            d = a + n * columns
            ar = get(x, head + a, 0)
            ai = get(x, head + imag + a, 0)
            qr = get(slope, d, 0)
            qi = get(slope, imag + d, 0)
            own += get(slope, a, 0) * ar + get(slope, imag + a, 0) * ai
            other += qr * get(x, head + d, 0) + qi * get(x, head + imag + d, 0)
            re += qr * ar + qi * ai
            im += qi * ar - qr * ai
        put(gradient, own, 4 * k, 0)
        put(gradient, other, 4 * k + 1, 0)
        put(gradient, re, 4 * k + 2, 0)
        put(gradient, im, 4 * k + 3, 0)
        t0 = get(x, 4 * k, 0)
        t1 = get(x, 4 * k + 1, 0)
        tr = get(x, 4 * k + 2, 0)
        ti = get(x, 4 * k + 3, 0)
        # What T^H g has along U_k itself turns nothing.
        own = t0 * own + tr * re + ti * im
        other *= t1
        re *= t1
        im *= t1
        for a in range(k * columns, (k + 1) * columns):
            d = a + n * columns
            ar = get(x, head + a, 0)
            ai = get(x, head + imag + a, 0)
            dr = get(x, head + d, 0)
            di = get(x, head + imag + d, 0)
            pr = get(slope, a, 0)
            pi = get(slope, imag + a, 0)
            qr = get(slope, d, 0)
            qi = get(slope, imag + d, 0)
            hr = t1 * qr - other * dr - re * ar + im * ai
            hi = t1 * qi - other * di - re * ai - im * ar
            put(gradient, hr, head + d, 0)
            put(gradient, hi, head + imag + d, 0)
            hr = t0 * pr + tr * qr + ti * qi - own * ar - re * dr - im * di
            hi = t0 * pi + tr * qi - ti * qr - own * ai - re * di + im * dr
            put(gradient, hr, head + a, 0)
            put(gradient, hi, head + imag + a, 0)


class Stiffness(NamedTuple):
    """What turning the rows of U costs, as `precondition_polar` takes it; of eight points."""

    plain: np.ndarray  # whichever way row i is turned, d_i: (2n, 1)
    factors: np.ndarray  # of D_i^*, row by row of U: (2n * 2 * columns, columns)
    products: np.ndarray  # of the steering rows with themselves: (n * 2 * columns, columns)


@piece
def new_stiffness(count, columns):
    """Work space for so many rows of U, or for roots of powers, which have no columns."""
    return Stiffness(
        lane_zeros(count, 1),
        lane_zeros(2 * count * columns, columns),
        lane_zeros(count * columns, columns),
    )


@bare
def polar_objective(block, rho, x, columns, polar, gradient, stiffness):
    """The bound f at a factor in polar form, its power, and the gradient of log f + log power with respect to x.

    The Y_k of x become the U_k.
    """
    unfold(x, columns, polar.factor)
    value, power = factor_objective(block, rho, polar.factor, columns, polar.slope)
    fold(x, columns, polar.slope, gradient)
    guess_stiffness(block, x, columns, power / value, stiffness)
    return value, power


@bare
def guess_stiffness(block, x, columns, share, stiffness):
    """D_i = d_i 1 + sum_l w_il (u_l^H u_l + some 1) over steering rows u_l of other paths: half the cost of turning row i.

    d_i is the slack 1 - power N_ii, which is exact, where it is positive, and some more. The sum guesses second
    derivatives of f: a correlation c of row i with u_l takes rho^2 |c|^2 of the information that both give, where rho
    is the correlation of what arrives through the two, so w_il = rho_il^2 |t_l|^2 / S_ii.
    """
    count = stiffness.plain.shape[0]
    n = count // 2
    head = 2 * count
    imag = count * columns
    for l in range(n):
        first = head + l * columns
        power = get(x, 4 * l, 0) * get(x, 4 * l, 0)
        for a in range(columns):
            p = power * get(x, first + a, 0)
            q = power * get(x, imag + first + a, 0)
            for b in range(a + 1):
                r = get(x, first + b, 0)
                s = get(x, imag + first + b, 0)
                u = p * r + q * s
                if a == b:
                    u += _ANY_WAY * power
                put(stiffness.products, u, 2 * l * columns + a, b)
                put(stiffness.products, q * r - p * s, (2 * l + 1) * columns + a, b)
    for i in range(count):
        slack = 1.0 - share * get(block.normal, i, i)
        extra = _LEAST_EXTRA + get(block.overlap, i, 0)
        extra = where_less(extra, _MOST_EXTRA, extra, _MOST_EXTRA)
        plain = where_less(0.0, slack, slack, 0.0) + extra
        put(stiffness.plain, plain, i, 0)
        scale = 1.0 / (get(block.sr, i, i) + _TINY)
        for a in range(columns):
            for b in range(a + 1):
                u = everywhere(0.0)
                v = everywhere(0.0)
                for l in range(n):
                    w = get(block.coupling, i, l)
                    u += w * get(stiffness.products, 2 * l * columns + a, b)
                    v += w * get(stiffness.products, (2 * l + 1) * columns + a, b)
                u *= scale
                if a == b:
                    u += plain
                put(stiffness.factors, u, 2 * i * columns + a, b)
                put(stiffness.factors, v * scale, (2 * i + 1) * columns + a, b)
        _factor(stiffness.factors, 2 * i * columns, columns)


@bare
def _factor(a, first, n):
    """Factor L D L^H of the positive definite Hermitian matrix in rows first..first + 2 n, with D^-1 on the diagonal."""
    imag = first + n
    for j in range(n):
        pivot = 1.0 / get(a, first + j, j)
        put(a, pivot, first + j, j)
        for i in range(j + 1, n):
            x = get(a, first + i, j)
            y = get(a, imag + i, j)
            p = x * pivot
            q = y * pivot
            for k in range(j + 1, i):
                u = get(a, first + k, j)
                v = get(a, imag + k, j)
                put(a, get(a, first + i, k) - p * u - q * v, first + i, k)
                put(a, get(a, imag + i, k) - q * u + p * v, imag + i, k)
            put(a, get(a, first + i, i) - p * x - q * y, first + i, i)
        for i in range(j + 1, n):
            put(a, get(a, first + i, j) * pivot, first + i, j)
            put(a, get(a, imag + i, j) * pivot, imag + i, j)


@bare
def _solve(factor, first, n, vector, place, imag):
    """Solve L D L^H z = w in place, w = vector[place : place + n], imaginary parts `imag` further on."""
    for i in range(1, n):
        x = get(vector, place + i, 0)
        y = get(vector, imag + place + i, 0)
        for k in range(i):
            p = get(factor, first + i, k)
            q = get(factor, first + n + i, k)
            u = get(vector, place + k, 0)
            v = get(vector, imag + place + k, 0)
            x -= p * u - q * v
            y -= p * v + q * u
        put(vector, x, place + i, 0)
        put(vector, y, imag + place + i, 0)
    for i in range(n - 1, -1, -1):
        pivot = get(factor, first + i, i)
        x = pivot * get(vector, place + i, 0)
        y = pivot * get(vector, imag + place + i, 0)
        for k in range(i + 1, n):
            p = get(factor, first + k, i)
            q = get(factor, first + n + k, i)
            u = get(vector, place + k, 0)
            v = get(vector, imag + place + k, 0)
            x -= p * u + q * v
            y -= p * v - q * u
        put(vector, x, place + i, 0)
        put(vector, y, imag + place + i, 0)


@bare
def precondition_polar(x, columns, stiffness, turn, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, for a factor in polar form.

    With W_k = T_k U_k turned, row i of W_k costs D_i, times 1 / turn. When the first row of U_k goes towards the second
    the second turns too: that direction has a cost of its own.
    """
    head = head_of(x.shape[0], columns)
    n = head // 4
    imag = 2 * n * columns
    for k in range(n):
        t0 = get(x, 4 * k, 0)
        t1 = get(x, 4 * k + 1, 0)
        tr = get(x, 4 * k + 2, 0)
        ti = get(x, 4 * k + 3, 0)
        for i in range(2):
            put(vector, _DIAGONAL * get(vector, 4 * k + i, 0), 4 * k + i, 0)
            put(vector, _BELOW * get(vector, 4 * k + 2 + i, 0), 4 * k + 2 + i, 0)
        least = _NEARLY_PARALLEL * (t0 * t0 + t1 * t1 + tr * tr + ti * ti) + _TINY
        first = t0 / (t0 * t0 + least)
        second = t1 / (t1 * t1 + least)
        a = head + k * columns
        d = a + n * columns
        cr, ci = _along(vector, x, a, d, columns, imag)
        for c in range(columns):  # T^-H, without what goes along the second row
            ur = get(x, d + c, 0)
            ui = get(x, imag + d + c, 0)
            dr = second * get(vector, d + c, 0)
            di = second * get(vector, imag + d + c, 0)
            ar = get(vector, a + c, 0) - (cr * ur - ci * ui)
            ai = get(vector, imag + a + c, 0) - (cr * ui + ci * ur)
            put(vector, dr, d + c, 0)
            put(vector, di, imag + d + c, 0)
            put(vector, first * (ar - tr * dr - ti * di), a + c, 0)
            put(vector, first * (ai - tr * di + ti * dr), imag + a + c, 0)
        _solve(stiffness.factors, 2 * k * columns, columns, vector, a, imag)
        _solve(stiffness.factors, 2 * (n + k) * columns, columns, vector, d, imag)
        first *= turn
        for c in range(columns):  # T^-1
            ar = first * get(vector, a + c, 0)
            ai = first * get(vector, imag + a + c, 0)
            put(vector, ar, a + c, 0)
            put(vector, ai, imag + a + c, 0)
            put(vector, second * (turn * get(vector, d + c, 0) - tr * ar + ti * ai), d + c, 0)
            put(vector, second * (turn * get(vector, imag + d + c, 0) - tr * ai - ti * ar), imag + d + c, 0)
        both = turn / (get(stiffness.plain, k, 0) * t0 * t0 + get(stiffness.plain, n + k, 0) * t1 * t1 + least)
        br, bi = _along(vector, x, a, d, columns, imag)
        br = cr * both - br
        bi = ci * both - bi
        for c in range(columns):
            ur = get(x, d + c, 0)
            ui = get(x, imag + d + c, 0)
            put(vector, get(vector, a + c, 0) + br * ur - bi * ui, a + c, 0)
            put(vector, get(vector, imag + a + c, 0) + br * ui + bi * ur, imag + a + c, 0)


@bare
def _along(vector, x, a, d, columns, imag):
    """Inner product of the row at a of a vector with the row at d of U: real and imaginary part."""
    re = everywhere(0.0)
    im = everywhere(0.0)
    for c in range(columns):
        ar = get(vector, a + c, 0)
        ai = get(vector, imag + a + c, 0)
        dr = get(x, d + c, 0)
        di = get(x, imag + d + c, 0)
        re += ar * dr + ai * di
        im += ai * dr - ar * di
    return re, im


@bare
def within_turns(turn):
    """The same inverse curvature along U, kept within what is plausible."""
    turn = where_less(turn, _MOST_TURN, turn, _MOST_TURN)
    return where_less(_LEAST_TURN, turn, turn, _LEAST_TURN)


@bare
def orthonormalise(rows, k, n, columns):
    """Turn the rows of path k into U_k, in place; T_k of what they were: (t_00, t_11, Re t_10, Im t_10)."""
    imag = 2 * n * columns
    length2 = 0.0
    for a in range(k * columns, (k + 1) * columns):
        length2 += rows[a] ** 2 + rows[imag + a] ** 2
    first = math.sqrt(length2) if length2 > _NOTHING * _NOTHING else 0.0
    re = 0.0
    im = 0.0
    for a in range(k * columns, (k + 1) * columns):
        d = a + n * columns
        rows[a] = rows[a] / first if first > 0.0 else 0.0
        rows[imag + a] = rows[imag + a] / first if first > 0.0 else 0.0
        re += rows[d] * rows[a] + rows[imag + d] * rows[imag + a]
        im += rows[imag + d] * rows[a] - rows[d] * rows[imag + a]
    length2 = 0.0
    for a in range(k * columns, (k + 1) * columns):
        d = a + n * columns
        rows[d] -= re * rows[a] - im * rows[imag + a]
        rows[imag + d] -= re * rows[imag + a] + im * rows[a]
        length2 += rows[d] ** 2 + rows[imag + d] ** 2
    second = math.sqrt(length2) if length2 > _NOTHING * _NOTHING else 0.0
    for d in range((n + k) * columns, (n + k + 1) * columns):
        rows[d] = rows[d] / second if second > 0.0 else 0.0
        rows[imag + d] = rows[imag + d] / second if second > 0.0 else 0.0
    return first, second, re, im


@kernel
def polar_of_factors(factors, count):
    """Unknowns of factors (batch, 2 count columns): (batch, 2 count (columns + 1))."""
    batch, size = factors.shape
    n = count // 2
    out = np.zeros((batch, size + 2 * count))
    for b in range(batch):
        out[b, 2 * count :] = factors[b]
        for k in range(n):
            shape = orthonormalise(out[b, 2 * count :], k, n, size // (2 * count))
            for i in range(4):
                out[b, 4 * k + i] = shape[i]
    return out


@kernel
def polar_of_powers(mix, powers, columns):
    """Unknowns to begin with, (batch, 2 count (columns + 1)), from codeword powers (batch, count).

    T is that of mix diag(powers) mix^T. With fewer columns than rows beams of different paths cannot all be
    uncorrelated, but the steering beams among themselves (columns >= count / 2). The rows of derivative beams are
    geometric sequences on the unit circle, by the golden ratio each in a direction of its own.
    """
    batch, count = powers.shape
    n = count // 2
    head = 2 * count
    out = np.zeros((batch, head + 2 * count * columns))
    turns = np.zeros(2 * count * columns)
    for k in range(n):
        turns[k * columns + k] = 1.0
        for c in range(columns):
            angle = 2.0 * math.pi * _GOLDEN * (k + 1.0) * (c + 1.0)
            turns[(n + k) * columns + c] = math.cos(angle)
            turns[(count + n + k) * columns + c] = math.sin(angle)
        orthonormalise(turns, k, n, columns)
    for b in range(batch):
        out[b, head:] = turns
        for k in range(n):
            aa, ad, dd = 0.0, 0.0, 0.0
            for i in range(count):
                a, d = mix[b, k, i], mix[b, n + k, i]
                aa += powers[b, i] * a * a
                ad += powers[b, i] * a * d
                dd += powers[b, i] * d * d
            first = math.sqrt(aa)
            across = ad / first if first > 0.0 else 0.0
            out[b, 4 * k] = first
            out[b, 4 * k + 1] = math.sqrt(max(dd - across * across, 0.0))
            out[b, 4 * k + 2] = across
    return out


@kernel
def covariances_of_polar(points, count):
    """X = Z Z^H of unit trace, (batch, rho, count, count), of points whose Y is orthonormal; 0 where there is none."""
    batch, weights, size = points.shape
    columns = size // (2 * count) - 1
    n = count // 2
    z = np.zeros((count, columns), np.complex128)
    out = np.zeros((batch, weights, count, count), np.complex128)
    for b in range(batch):
        for w in range(weights):
            _product(points[b, w], n, z)
            total = 0.0
            for i in range(count):
                for k in range(i + 1):
                    entry = 0.0j
                    for c in range(columns):
                        entry += z[i, c] * np.conj(z[k, c])
                    out[b, w, i, k] = entry
                total += out[b, w, i, i].real
            if not (total > 0.0 and total < math.inf):
                out[b, w] = 0.0
                continue
            for i in range(count):
                for k in range(i + 1):
                    out[b, w, i, k] /= total
                    out[b, w, k, i] = np.conj(out[b, w, i, k])
                out[b, w, i, i] = out[b, w, i, i].real
    return out


@kernel
def _product(x, n, z):
    """Z = T U of a point whose Y is U."""
    columns = z.shape[1]
    u = x[4 * n :].reshape(2, 2 * n, columns)
    for k in range(n):
        for c in range(columns):
            a = complex(u[0, k, c], u[1, k, c])
            d = complex(u[0, n + k, c], u[1, n + k, c])
            z[k, c] = x[4 * k] * a
            z[n + k, c] = x[4 * k + 1] * d + complex(x[4 * k + 2], x[4 * k + 3]) * a
