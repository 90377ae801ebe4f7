"""Factors in polar form: how much of every path's beams there is, and along which directions it goes.

Of path k, Z has two rows, that of its steering beam and that of its derivative beam: Z_k = T_k U_k, with T_k lower
triangular with a real diagonal and orthonormal rows U_k. With many antennas beams of different paths hardly couple:
f then hangs on the T_k, and hardly on the U_k. In the entries of Z that is a curved and narrow valley, in this form a
straight one, whose widths are known beforehand (`preconditioner`).

The unknowns x are T, four for every path (two diagonal entries, then real and imaginary part of the third), then Y,
real parts first, row by row; U_k comes from Y_k by Gram-Schmidt, so Y may be anything. Test: test_polar.
"""

import math
from typing import NamedTuple

import numpy as np

from ..bound.objective import factor_objective
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, root, where_less
from .preconditioner import guess_stiffness, head_of

# A row shorter than this is one of zeros (fewer antennas than columns) and stays so.
_NOTHING = 1e-140
_GOLDEN = 0.6180339887498949


class PolarBuffers(NamedTuple):
    """Eight factors in the entries of Z."""

    factor: np.ndarray  # Z: (2 * 2n * columns, 1)
    gradient: np.ndarray  # with respect to these


@inlined
def new_polar(count, columns):
    """Room for factors of so many rows and columns."""
    size = 2 * count * columns
    return PolarBuffers(lane_zeros(size, 1), lane_zeros(size, 1))


@unmanaged
def _one_over(length2):
    return where_less(_NOTHING * _NOTHING, length2, 1.0 / root(length2), 0.0)


@unmanaged
def polar_factor(x, columns, factor):
    """Z (2 * 2n * columns, 1) of x (unknowns, 1), of which the Y_k become the U_k."""
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


@unmanaged
def polar_gradient(x, columns, slope, gradient):
    """The gradient with respect to x (unknowns, 1), from the slope with respect to Z; the Y_k of x are the U_k."""
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
        # What T^H g has along U_k itself rotates nothing.
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


@inlined
def polar_objective(evaluation, rho, x, columns, polar, gradient, stiffness):
    """The bound f at a factor in polar form, its power, and the gradient of log f + log power with respect to x.

    x and gradient are (unknowns, 1, lane). The Y_k of x become the U_k; the stiffness is guessed along.
    """
    polar_factor(x, columns, polar.factor)
    value, power = factor_objective(evaluation, rho, polar.factor, columns, polar.gradient)
    polar_gradient(x, columns, polar.gradient, gradient)
    guess_stiffness(evaluation, x, columns, power / value, stiffness)
    return value, power


@unmanaged
def orthonormalise(rows, k, n, columns):
    """Make U_k of the rows of path k, in place; T_k of what they were: (t_00, t_11, Re t_10, Im t_10)."""
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
    """Unknowns of factors (batch, 2 * count * columns), real parts first: (batch, 2 * count * (columns + 1))."""
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
    """Unknowns to begin with, (batch, 2 * count * (columns + 1)), from codeword powers (batch, count).

    T is that of mix diag(powers) mix^T. With fewer columns than rows beams of different paths cannot all be
    uncorrelated, but the steering beams among themselves (columns >= count / 2). The rows of derivative beams are
    geometric sequences on the unit circle, by the golden ratio each in a direction of its own.
    """
    batch, count = powers.shape
    n = count // 2
    head = 2 * count
    out = np.zeros((batch, head + 2 * count * columns))
    rows = np.zeros(2 * count * columns)
    for k in range(n):
        rows[k * columns + k] = 1.0
        for c in range(columns):
            angle = 2.0 * math.pi * _GOLDEN * (k + 1.0) * (c + 1.0)
            rows[(n + k) * columns + c] = math.cos(angle)
            rows[(count + n + k) * columns + c] = math.sin(angle)
        orthonormalise(rows, k, n, columns)
    for b in range(batch):
        out[b, head:] = rows
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
