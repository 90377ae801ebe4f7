"""Factors in polar form: how much of every path's beams there is, and along which directions it goes.

Of path k, Z has two rows, that of its steering beam and that of its derivative beam: Z_k = T_k U_k, with T_k lower
triangular with a real diagonal and orthonormal rows U_k. With many antennas beams of different paths hardly couple:
f then hangs on the T_k, and hardly on the U_k. In the entries of Z that is a curved and narrow valley, in this form a
straight one, whose two widths are two numbers (`quasinewton.precondition`).

The unknowns x are T, four for every path (two diagonal entries, then real and imaginary part of the third), then Y,
real parts first, row by row; U_k comes from Y_k by Gram-Schmidt, so Y may be anything.
"""

import math
from typing import NamedTuple

import numpy as np

from ..accelerate import kernel
from ..lanes import get, lane_zeros, put, root, where_less
from .block import objective

# A row shorter than this is one of zeros (fewer antennas than columns) and stays so.
_NOTHING = 1e-140


class Polar(NamedTuple):
    """Work space of eight factors."""

    rows: np.ndarray  # U
    factor: np.ndarray  # Z
    slope: np.ndarray  # gradient with respect to Z; each (2 * 2n * columns, 1)
    shape: np.ndarray  # of the Gram-Schmidt of every path: 1 / l_00, 1 / l_11, l_10; (4n, 1)


@kernel
def new_polar(count, columns):
    """Work space for factors of so many rows and columns."""
    size = 2 * count * columns
    return Polar(lane_zeros(size, 1), lane_zeros(size, 1), lane_zeros(size, 1), lane_zeros(2 * count, 1))


@kernel
def rows_of(unknowns, columns):
    """How many rows a factor of so many unknowns has."""
    return unknowns // (2 * columns + 2)


@kernel
def _places(k, c, n, columns):
    """Places of the real parts of column c of both rows of path k, and from them to the imaginary parts."""
    return k * columns + c, (n + k) * columns + c, 2 * n * columns


@kernel
def _one_over(length2):
    return where_less(_NOTHING * _NOTHING, length2, 1.0 / root(length2), 0.0)


@kernel
def unfold(x, columns, polar):
    """U and Z of x, into the work space."""
    count = rows_of(x.shape[0], columns)
    n = count // 2
    u = polar.rows
    for k in range(n):
        length2 = 0.0 * get(x, 0, 0)
        re = 0.0 * length2
        im = 0.0 * length2
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            ar, ai = get(x, 2 * count + a, 0), get(x, 2 * count + imag + a, 0)
            dr, di = get(x, 2 * count + d, 0), get(x, 2 * count + imag + d, 0)
            length2 += ar * ar + ai * ai
            re += dr * ar + di * ai
            im += di * ar - dr * ai
        first = _one_over(length2)
        re *= first
        im *= first
        length2 = 0.0 * first
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            ar, ai = first * get(x, 2 * count + a, 0), first * get(x, 2 * count + imag + a, 0)
            dr = get(x, 2 * count + d, 0) - (re * ar - im * ai)
            di = get(x, 2 * count + imag + d, 0) - (re * ai + im * ar)
            put(u, ar, a, 0)
            put(u, ai, imag + a, 0)
            put(u, dr, d, 0)
            put(u, di, imag + d, 0)
            length2 += dr * dr + di * di
        second = _one_over(length2)
        put(polar.shape, first, 4 * k, 0)
        put(polar.shape, second, 4 * k + 1, 0)
        put(polar.shape, re, 4 * k + 2, 0)
        put(polar.shape, im, 4 * k + 3, 0)
        t0, t1 = get(x, 4 * k, 0), get(x, 4 * k + 1, 0)
        tr, ti = get(x, 4 * k + 2, 0), get(x, 4 * k + 3, 0)
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            ar, ai = get(u, a, 0), get(u, imag + a, 0)
            dr, di = second * get(u, d, 0), second * get(u, imag + d, 0)
            put(u, dr, d, 0)
            put(u, di, imag + d, 0)
            put(polar.factor, t0 * ar, a, 0)
            put(polar.factor, t0 * ai, imag + a, 0)
            put(polar.factor, t1 * dr + tr * ar - ti * ai, d, 0)
            put(polar.factor, t1 * di + tr * ai + ti * ar, imag + d, 0)


@kernel
def fold(x, columns, polar, gradient):
    """The gradient with respect to x, from that with respect to Z in the work space; after `unfold`."""
    count = rows_of(x.shape[0], columns)
    n = count // 2
    u = polar.rows
    g = polar.slope
    for k in range(n):
        own = 0.0 * get(x, 0, 0)  # Re <g_a, u_a>, Re <g_d, u_d>, <g_d, u_a>
        other = 0.0 * own
        re = 0.0 * own
        im = 0.0 * own
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            ar, ai, dr, di = get(u, a, 0), get(u, imag + a, 0), get(u, d, 0), get(u, imag + d, 0)
            pr, pi, qr, qi = get(g, a, 0), get(g, imag + a, 0), get(g, d, 0), get(g, imag + d, 0)
            own += pr * ar + pi * ai
            other += qr * dr + qi * di
            re += qr * ar + qi * ai
            im += qi * ar - qr * ai
        put(gradient, own, 4 * k, 0)
        put(gradient, other, 4 * k + 1, 0)
        put(gradient, re, 4 * k + 2, 0)
        put(gradient, im, 4 * k + 3, 0)
        t0, t1 = get(x, 4 * k, 0), get(x, 4 * k + 1, 0)
        tr, ti = get(x, 4 * k + 2, 0), get(x, 4 * k + 3, 0)
        # What T^H g has along U_k itself turns nothing.
        own = t0 * own + tr * re + ti * im
        other = t1 * other
        re = t1 * re
        im = t1 * im
        first, second = get(polar.shape, 4 * k, 0), get(polar.shape, 4 * k + 1, 0)
        lr, li = get(polar.shape, 4 * k + 2, 0), get(polar.shape, 4 * k + 3, 0)
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            ar, ai, dr, di = get(u, a, 0), get(u, imag + a, 0), get(u, d, 0), get(u, imag + d, 0)
            pr, pi, qr, qi = get(g, a, 0), get(g, imag + a, 0), get(g, d, 0), get(g, imag + d, 0)
            hr = second * (t1 * qr - other * dr - re * ar + im * ai)
            hi = second * (t1 * qi - other * di - re * ai - im * ar)
            put(gradient, hr, 2 * count + d, 0)
            put(gradient, hi, 2 * count + imag + d, 0)
            xr = t0 * pr + tr * qr + ti * qi - own * ar - re * dr - im * di
            xi = t0 * pi + tr * qi - ti * qr - own * ai - re * di + im * dr
            put(gradient, first * (xr - lr * hr - li * hi), 2 * count + a, 0)
            put(gradient, first * (xi - lr * hi + li * hr), 2 * count + imag + a, 0)


@kernel
def polar_objective(block, rho, x, columns, polar, gradient):
    """F at a factor in polar form, its power, and the gradient of log f + log power with respect to x."""
    unfold(x, columns, polar)
    value, power = objective(block, rho, polar.factor, columns, polar.slope)
    fold(x, columns, polar, gradient)
    return value, power


@kernel
def orthonormalise(rows, count, columns, triangle):
    """Turn the rows of every path into U_k, in place; T_k of what they were goes to triangle (2 count)."""
    n = count // 2
    for k in range(n):
        for j in range(4):
            triangle[4 * k + j] = 0.0
        length2 = 0.0
        for c in range(columns):
            a, _, imag = _places(k, c, n, columns)
            length2 += rows[a] ** 2 + rows[imag + a] ** 2
        if length2 > _NOTHING * _NOTHING:
            triangle[4 * k] = math.sqrt(length2)
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            rows[a] = rows[a] / triangle[4 * k] if triangle[4 * k] > 0.0 else 0.0
            rows[imag + a] = rows[imag + a] / triangle[4 * k] if triangle[4 * k] > 0.0 else 0.0
            triangle[4 * k + 2] += rows[d] * rows[a] + rows[imag + d] * rows[imag + a]
            triangle[4 * k + 3] += rows[imag + d] * rows[a] - rows[d] * rows[imag + a]
        length2 = 0.0
        for c in range(columns):
            a, d, imag = _places(k, c, n, columns)
            rows[d] -= triangle[4 * k + 2] * rows[a] - triangle[4 * k + 3] * rows[imag + a]
            rows[imag + d] -= triangle[4 * k + 2] * rows[imag + a] + triangle[4 * k + 3] * rows[a]
            length2 += rows[d] ** 2 + rows[imag + d] ** 2
        if length2 > _NOTHING * _NOTHING:
            triangle[4 * k + 1] = math.sqrt(length2)
        for c in range(columns):
            _, d, imag = _places(k, c, n, columns)
            rows[d] = rows[d] / triangle[4 * k + 1] if triangle[4 * k + 1] > 0.0 else 0.0
            rows[imag + d] = rows[imag + d] / triangle[4 * k + 1] if triangle[4 * k + 1] > 0.0 else 0.0


@kernel
def polar_of_factors(factors, columns):
    """Unknowns of factors (batch, 2 count columns): (batch, 2 count (columns + 1))."""
    batch, size = factors.shape
    count = size // (2 * columns)
    out = np.zeros((batch, size + 2 * count))
    for b in range(batch):
        out[b, 2 * count :] = factors[b]
        orthonormalise(out[b, 2 * count :], count, columns, out[b, : 2 * count])
    return out


@kernel
def factors_of_polar(points, columns):
    """Factors of unknowns whose Y is orthonormal: (batch, rho, 2 count (columns + 1)) -> (..., 2 count columns)."""
    batch, weights, size = points.shape
    count = rows_of(size, columns)
    n = count // 2
    out = np.zeros((batch, weights, size - 2 * count))
    for b in range(batch):
        for w in range(weights):
            x = points[b, w]
            u = x[2 * count :]
            z = out[b, w]
            for k in range(n):
                for c in range(columns):
                    a, d, imag = _places(k, c, n, columns)
                    z[a] = x[4 * k] * u[a]
                    z[imag + a] = x[4 * k] * u[imag + a]
                    z[d] = x[4 * k + 1] * u[d] + x[4 * k + 2] * u[a] - x[4 * k + 3] * u[imag + a]
                    z[imag + d] = x[4 * k + 1] * u[imag + d] + x[4 * k + 2] * u[imag + a] + x[4 * k + 3] * u[a]
    return out
