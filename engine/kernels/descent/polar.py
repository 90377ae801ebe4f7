"""Factors in polar form: how much of every path's beams there is, and along which directions it goes.

Of path k, Z has q rows, that of its steering beam and those of its derivative beams: Z_k = T_k U_k, where U_k has rows
of unit length, the first orthogonal to the others, and T_k nothing but a real diagonal and its first column. With many
antennas beams of different paths hardly couple: f then hangs on the T_k, and hardly on the U_k. In the entries of Z
that is a curved and narrow valley, in this form a straight one, whose widths are known beforehand (`preconditioner`).

Derivative beams along two tangents are not made orthogonal to each other: at many optima they are one beam, and a
triangular T_k would have a diagonal of 0 there, where the direction of its row means nothing.

The unknowns x are T, 3 q - 2 for every path (the diagonal, then real and imaginary parts of the first column), then Y,
real parts first, row by row; U_k comes from Y_k by Gram-Schmidt, so Y may be anything. Test: test_polar.
"""

import math
from typing import NamedTuple

import numpy as np

from ..bound.objective import factor_objective
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, root, where_less
from .preconditioner import entries_of, entry_of, guess_stiffness, head_of, shape_of

# A row shorter than this is one of zeros (fewer antennas than columns) and stays so.
_NOTHING = 1e-140
_GOLDEN = 0.6180339887498949


class PolarBuffers(NamedTuple):
    """Eight factors in the entries of Z."""

    factor: np.ndarray  # Z: (2 * qn * columns, 1)
    gradient: np.ndarray  # with respect to these


@inlined
def new_polar(shape):
    """Room for factors."""
    size = 2 * shape.paths * shape.rows * shape.columns
    return PolarBuffers(lane_zeros(size, 1), lane_zeros(size, 1))


@unmanaged
def _one_over(length2):
    return where_less(_NOTHING * _NOTHING, length2, 1.0 / root(length2), 0.0)


@unmanaged
def polar_factor(x, shape, factor):
    """Z (2 * qn * columns, 1) of x (unknowns, 1), of which the Y_k become the U_k."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    for k in range(n):
        first = head + k * columns
        length2 = everywhere(0.0)
        for a in range(first, first + columns):
            ar = get(x, a, 0)
            ai = get(x, imag + a, 0)
            length2 += ar * ar + ai * ai
        scale = _one_over(length2)
        for i in range(1, q):
            _leave_steering(x, first, first + i * n * columns, columns, imag, scale)
        own = get(x, entries_of(q) * k, 0)
        for c in range(columns):
            ar = scale * get(x, first + c, 0)
            ai = scale * get(x, imag + first + c, 0)
            put(x, ar, first + c, 0)
            put(x, ai, imag + first + c, 0)
            put(factor, own * ar, k * columns + c, 0)
            put(factor, own * ai, imag + k * columns + c, 0)
        for i in range(1, q):
            _shape_row(x, shape, k, i, factor)


@unmanaged
def _leave_steering(x, first, row, columns, imag, scale):
    """Take what a row has along the one at `first`, of length 1 / scale, out of it, and make it of unit length."""
    re = everywhere(0.0)
    im = everywhere(0.0)
    for c in range(columns):
        ar = get(x, first + c, 0)
        ai = get(x, imag + first + c, 0)
        dr = get(x, row + c, 0)
        di = get(x, imag + row + c, 0)
        re += dr * ar + di * ai
        im += di * ar - dr * ai
    re *= scale
    im *= scale
    length2 = everywhere(0.0)
    for c in range(columns):
        ar = scale * get(x, first + c, 0)
        ai = scale * get(x, imag + first + c, 0)
        dr = get(x, row + c, 0) - (re * ar - im * ai)
        di = get(x, imag + row + c, 0) - (re * ai + im * ar)
        put(x, dr, row + c, 0)
        put(x, di, imag + row + c, 0)
        length2 += dr * dr + di * di
    scale = _one_over(length2)
    for c in range(columns):
        put(x, scale * get(x, row + c, 0), row + c, 0)
        put(x, scale * get(x, imag + row + c, 0), imag + row + c, 0)


@unmanaged
def _shape_row(x, shape, k, i, factor):
    """Row i > 0 of T_k U_k."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    first = entries_of(q) * k
    own = get(x, first + i, 0)
    tr = get(x, first + entry_of(i, q), 0)
    ti = get(x, first + entry_of(i, q) + 1, 0)
    for c in range(columns):
        a = head + k * columns + c
        place = (i * n + k) * columns + c
        dr = get(x, head + place, 0)
        di = get(x, head + imag + place, 0)
        ar = get(x, a, 0)
        ai = get(x, imag + a, 0)
        put(factor, own * dr + tr * ar - ti * ai, place, 0)
        put(factor, own * di + tr * ai + ti * ar, imag + place, 0)


@unmanaged
def polar_gradient(x, shape, slope, gradient):
    """The gradient with respect to x (unknowns, 1), from the slope with respect to Z; the Y_k of x are the U_k."""
    n, q, _ = shape
    for k in range(n):
        for i in range(q):
            _entry_slopes(x, shape, k, i, slope, gradient)
        for i in range(1, q):
            _derivative_slope(x, shape, k, i, slope, gradient)
        _steering_slope(x, shape, k, slope, gradient)


@unmanaged
def _entry_slopes(x, shape, k, i, slope, gradient):
    """With respect to row i of T_k: the row's slope along u_i, of which the real part, and along u_0."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    first = entries_of(q) * k
    row = (i * n + k) * columns
    own = everywhere(0.0)
    re = everywhere(0.0)
    im = everywhere(0.0)
    for c in range(columns):
        qr = get(slope, row + c, 0)
        qi = get(slope, imag + row + c, 0)
        own += qr * get(x, head + row + c, 0) + qi * get(x, head + imag + row + c, 0)
        ar = get(x, head + k * columns + c, 0)
        ai = get(x, head + imag + k * columns + c, 0)
        re += qr * ar + qi * ai
        im += qi * ar - qr * ai
    put(gradient, own, first + i, 0)
    if i > 0:
        put(gradient, re, first + entry_of(i, q), 0)
        put(gradient, im, first + entry_of(i, q) + 1, 0)


@unmanaged
def _derivative_slope(x, shape, k, i, slope, gradient):
    """With respect to row i > 0 of Y_k: t_i g_i, less what it has along u_0, and along u_i itself."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    first = entries_of(q) * k
    row = (i * n + k) * columns
    t1 = get(x, first + i, 0)
    other = t1 * get(gradient, first + i, 0)
    re = t1 * get(gradient, first + entry_of(i, q), 0)
    im = t1 * get(gradient, first + entry_of(i, q) + 1, 0)
    for c in range(columns):
        ar = get(x, head + k * columns + c, 0)
        ai = get(x, head + imag + k * columns + c, 0)
        dr = get(x, head + row + c, 0)
        di = get(x, head + imag + row + c, 0)
        hr = t1 * get(slope, row + c, 0) - other * dr - re * ar + im * ai
        hi = t1 * get(slope, imag + row + c, 0) - other * di - re * ai - im * ar
        put(gradient, hr, head + row + c, 0)
        put(gradient, hi, head + imag + row + c, 0)


@unmanaged
def _steering_slope(x, shape, k, slope, gradient):
    """With respect to row 0 of Y_k: the first row of T_k^H g, less what only rotates U_k into itself."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    first = entries_of(q) * k
    t0 = get(x, first, 0)
    tr, ti = get(x, first + q, 0), get(x, first + q + 1, 0)
    cr, ci = get(gradient, first + q, 0), get(gradient, first + q + 1, 0)
    own = t0 * get(gradient, first, 0) + tr * cr + ti * ci
    for i in range(2, q):
        place = first + entry_of(i, q)
        own += get(x, place, 0) * get(gradient, place, 0)
        own += get(x, place + 1, 0) * get(gradient, place + 1, 0)
    for c in range(columns):
        a = k * columns + c
        d = a + n * columns
        qr = get(slope, d, 0)
        qi = get(slope, imag + d, 0)
        hr = t0 * get(slope, a, 0) + tr * qr + ti * qi
        hi = t0 * get(slope, imag + a, 0) + tr * qi - ti * qr
        for i in range(2, q):
            d = a + i * n * columns
            ur, ui = get(x, first + entry_of(i, q), 0), get(x, first + entry_of(i, q) + 1, 0)
            qr = get(slope, d, 0)
            qi = get(slope, imag + d, 0)
            hr = hr + ur * qr + ui * qi
            hi = hi + ur * qi - ui * qr
        hr = hr - own * get(x, head + a, 0)
        hi = hi - own * get(x, head + imag + a, 0)
        for i in range(1, q):
            d = a + i * n * columns
            t1 = get(x, first + i, 0)
            re = t1 * get(gradient, first + entry_of(i, q), 0)
            im = t1 * get(gradient, first + entry_of(i, q) + 1, 0)
            dr = get(x, head + d, 0)
            di = get(x, head + imag + d, 0)
            hr = hr - re * dr - im * di
            hi = hi - re * di + im * dr
        put(gradient, hr, head + a, 0)
        put(gradient, hi, head + imag + a, 0)


@inlined
def polar_objective(evaluation, rho, x, shape, polar, gradient, stiffness):
    """The bound f at a factor in polar form, its power, and the gradient of log f + log power with respect to x.

    x and gradient are (unknowns, 1, lane). The Y_k of x become the U_k; the stiffness is guessed along.
    """
    polar_factor(x, shape, polar.factor)
    value, power = factor_objective(evaluation, rho, polar.factor, shape.columns, polar.gradient)
    polar_gradient(x, shape, polar.gradient, gradient)
    guess_stiffness(evaluation, x, shape, power / value, stiffness)
    return value, power


@unmanaged
def orthonormalise(rows, k, shape, entries):
    """Make U_k of the rows of path k, in place; entries (3 q - 2,) become T_k of what they were."""
    n, q, columns = shape
    imag = n * q * columns
    for i in range(q):
        first = (i * n + k) * columns
        if i > 0:
            other = k * columns
            re = 0.0
            im = 0.0
            for c in range(columns):
                re += rows[first + c] * rows[other + c] + rows[imag + first + c] * rows[imag + other + c]
                im += rows[imag + first + c] * rows[other + c] - rows[first + c] * rows[imag + other + c]
            for c in range(columns):
                rows[first + c] -= re * rows[other + c] - im * rows[imag + other + c]
                rows[imag + first + c] -= re * rows[imag + other + c] + im * rows[other + c]
            entries[entry_of(i, q)] = re
            entries[entry_of(i, q) + 1] = im
        length2 = 0.0
        for a in range(first, first + columns):
            length2 += rows[a] ** 2 + rows[imag + a] ** 2
        length = math.sqrt(length2) if length2 > _NOTHING * _NOTHING else 0.0
        for a in range(first, first + columns):
            rows[a] = rows[a] / length if length > 0.0 else 0.0
            rows[imag + a] = rows[imag + a] / length if length > 0.0 else 0.0
        entries[i] = length


@kernel
def polar_of_factors(factors, shape):
    """Unknowns of factors (batch, 2 * qn * columns), real parts first, with n T_k before them: (batch, unknowns)."""
    batch, size = factors.shape
    n, q, _ = shape
    head = head_of(shape)
    out = np.zeros((batch, size + head))
    for b in range(batch):
        out[b, head:] = factors[b]
        for k in range(n):
            orthonormalise(out[b, head:], k, shape, out[b, entries_of(q) * k : entries_of(q) * (k + 1)])
    return out


@kernel
def polar_of_powers(problems, powers, columns):
    """Unknowns to begin with, (batch, unknowns), from codeword powers (batch, qn) on the columns of B.

    problems is `ProblemArrays`. T is that of mix diag(powers) mix^H. With fewer columns than rows beams of different
    paths cannot all be uncorrelated, but the steering beams among themselves (columns >= n). The rows of derivative
    beams are geometric sequences on the unit circle, by the golden ratio each in a direction of its own.
    """
    batch, count = powers.shape
    shape = shape_of(problems, columns)
    n, q, _ = shape
    head = head_of(shape)
    out = np.zeros((batch, head + 2 * count * columns))
    rows, entries = np.zeros(2 * count * columns), np.zeros(entries_of(q))
    for k in range(n):
        rows[k * columns + k] = 1.0
        for i in range(1, q):
            for c in range(columns):
                angle = 2.0 * math.pi * _GOLDEN * ((i - 1.0) * n + k + 1.0) * (c + 1.0)
                rows[(i * n + k) * columns + c] = math.cos(angle)
                rows[(count + i * n + k) * columns + c] = math.sin(angle)
        orthonormalise(rows, k, shape, entries)
    for b in range(batch):
        out[b, head:] = rows
        for k in range(n):
            entries = out[b, entries_of(q) * k : entries_of(q) * (k + 1)]
            _factor_of_powers(problems.mix[b], problems.mix_imag[b], powers[b], k, shape, entries)
    return out


@unmanaged
def _factor_of_powers(mix, mix_imag, powers, k, shape, out):
    """Entries of T_k: the first column and the diagonal of path k's block of mix diag(powers) mix^H."""
    n, q, _ = shape
    for i in range(q):
        own, _ = _entry_of_powers(mix, mix_imag, powers, i * n + k, i * n + k)
        if i > 0:
            re, im = _entry_of_powers(mix, mix_imag, powers, i * n + k, k)
            re, im = (re / out[0], im / out[0]) if out[0] > 0.0 else (0.0, 0.0)
            own -= re * re + im * im
            out[entry_of(i, q)] = re
            out[entry_of(i, q) + 1] = im
        out[i] = math.sqrt(max(own, 0.0))


@unmanaged
def _entry_of_powers(mix, mix_imag, powers, r, s):
    """Real and imaginary part of entry (r, s) of mix diag(powers) mix^H."""
    re, im = 0.0, 0.0
    for w in range(powers.size):
        re += powers[w] * mix[s, w] * mix[r, w]
        if mix_imag.shape[0] > 0:
            re += powers[w] * mix_imag[s, w] * mix_imag[r, w]
            im += powers[w] * (mix_imag[r, w] * mix[s, w] - mix[r, w] * mix_imag[s, w])
    return re, im
