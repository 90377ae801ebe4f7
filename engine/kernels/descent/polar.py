"""Factors in polar form: how much of every path's beams there is, and along which directions it goes.

Of path k, Z has q rows, that of its steering beam and those of its derivative beams: Z_k = T_k U_k, with T_k lower
triangular with a real diagonal and orthonormal rows U_k. With many antennas beams of different paths hardly couple:
f then hangs on the T_k, and hardly on the U_k. In the entries of Z that is a curved and narrow valley, in this form a
straight one, whose widths are known beforehand (`preconditioner`).

The unknowns x are T, q^2 for every path (the diagonal, then real and imaginary part of each entry below it, row by
row), then Y, real parts first, row by row; U_k comes from Y_k by Gram-Schmidt, so Y may be anything. Test: test_polar.
"""

import math
from typing import NamedTuple

import numpy as np

from ..bound.objective import factor_objective
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, root, where_less
from .preconditioner import entry_of, guess_stiffness, head_of, shape_of

# A row shorter than this is one of zeros (fewer antennas than columns) and stays so.
_NOTHING = 1e-140
_GOLDEN = 0.6180339887498949


class PolarBuffers(NamedTuple):
    """Eight factors in the entries of Z."""

    factor: np.ndarray  # Z: (2 * qn * columns, 1)
    gradient: np.ndarray  # with respect to these
    overlap: np.ndarray  # of the row at hand with the later ones of its path: (2 * q, 1)


@inlined
def new_polar(shape):
    """Room for factors."""
    size = 2 * shape.paths * shape.rows * shape.columns
    return PolarBuffers(lane_zeros(size, 1), lane_zeros(size, 1), lane_zeros(2 * shape.rows, 1))


@unmanaged
def _one_over(length2):
    return where_less(_NOTHING * _NOTHING, length2, 1.0 / root(length2), 0.0)


@unmanaged
def polar_factor(x, shape, polar):
    """Z, into polar.factor, of x (unknowns, 1), of which the Y_k become the U_k."""
    n, q, _ = shape
    for k in range(n):
        for i in range(q):
            _orthonormalise_row(x, shape, k, i, polar.overlap)
        for i in range(q):
            _shape_row(x, shape, k, i, polar.factor)


@unmanaged
def _orthonormalise_row(x, shape, k, i, overlap):
    """Row i of Y_k to unit length, and out of the rows after it."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    first = head + (i * n + k) * columns
    length2 = everywhere(0.0)
    for a in range(first, first + columns):
        ar = get(x, a, 0)
        ai = get(x, imag + a, 0)
        length2 += ar * ar + ai * ai
    scale = _one_over(length2)
    for j in range(i + 1, q):
        re = everywhere(0.0)
        im = everywhere(0.0)
        for a in range(first, first + columns):
            d = a + (j - i) * n * columns
            ar = get(x, a, 0)
            ai = get(x, imag + a, 0)
            dr = get(x, d, 0)
            di = get(x, imag + d, 0)
            re += dr * ar + di * ai
            im += di * ar - dr * ai
        put(overlap, re * scale, 2 * j, 0)
        put(overlap, im * scale, 2 * j + 1, 0)
    for a in range(first, first + columns):
        ar = scale * get(x, a, 0)
        ai = scale * get(x, imag + a, 0)
        put(x, ar, a, 0)
        put(x, ai, imag + a, 0)
        for j in range(i + 1, q):
            d = a + (j - i) * n * columns
            re = get(overlap, 2 * j, 0)
            im = get(overlap, 2 * j + 1, 0)
            put(x, get(x, d, 0) - (re * ar - im * ai), d, 0)
            put(x, get(x, imag + d, 0) - (re * ai + im * ar), imag + d, 0)


@unmanaged
def _shape_row(x, shape, k, i, factor):
    """Row i of T_k U_k."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    own = get(x, q * q * k + i, 0)
    for c in range(columns):
        place = (i * n + k) * columns + c
        dr = get(x, head + place, 0)
        di = get(x, head + imag + place, 0)
        if i == 0:
            put(factor, own * dr, place, 0)
            put(factor, own * di, imag + place, 0)
            continue
        a = head + k * columns + c
        tr = get(x, q * q * k + entry_of(i, 0, q), 0)
        ti = get(x, q * q * k + entry_of(i, 0, q) + 1, 0)
        ar = get(x, a, 0)
        ai = get(x, imag + a, 0)
        re = own * dr + tr * ar - ti * ai
        im = own * di + tr * ai + ti * ar
        for j in range(1, i):
            a = head + (j * n + k) * columns + c
            tr = get(x, q * q * k + entry_of(i, j, q), 0)
            ti = get(x, q * q * k + entry_of(i, j, q) + 1, 0)
            ar = get(x, a, 0)
            ai = get(x, imag + a, 0)
            re += tr * ar - ti * ai
            im += tr * ai + ti * ar
        put(factor, re, place, 0)
        put(factor, im, imag + place, 0)


@unmanaged
def polar_gradient(x, shape, slope, gradient):
    """The gradient with respect to x (unknowns, 1), from the slope with respect to Z; the Y_k of x are the U_k."""
    n, q, _ = shape
    for k in range(n):
        for i in range(q):
            _entry_slopes(x, shape, k, i, slope, gradient)
        for i in range(q):
            _row_slope(x, shape, k, i, slope, gradient)


@unmanaged
def _entry_slopes(x, shape, k, i, slope, gradient):
    """With respect to row i of T_k: the row's slope along the rows of U_k, <g_i, u_j>, of which j = i is real."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    row = (i * n + k) * columns
    for j in range(i + 1):
        a = head + (j * n + k) * columns
        re = everywhere(0.0)
        im = everywhere(0.0)
        for c in range(columns):
            qr = get(slope, row + c, 0)
            qi = get(slope, imag + row + c, 0)
            ar = get(x, a + c, 0)
            ai = get(x, imag + a + c, 0)
            re += qr * ar + qi * ai
            im += qi * ar - qr * ai
        if j == i:
            put(gradient, re, q * q * k + i, 0)
        else:
            put(gradient, re, q * q * k + entry_of(i, j, q), 0)
            put(gradient, im, q * q * k + entry_of(i, j, q) + 1, 0)


@unmanaged
def _along(x, gradient, k, i, j, q):
    """K_ij, i >= j: what the i-th row of T_k^H g has along u_j, from the slopes of T_k; of j = i the real part."""
    first = q * q * k
    own = get(x, first + i, 0)
    re = get(gradient, first + i if i == j else first + entry_of(i, j, q), 0)
    im = everywhere(0.0) if i == j else get(gradient, first + entry_of(i, j, q) + 1, 0)
    if i + 1 == q:
        return own * re, own * im
    for r in range(i + 1, q):
        tr = get(x, first + entry_of(r, i, q), 0)
        ti = get(x, first + entry_of(r, i, q) + 1, 0)
        cr = get(gradient, first + entry_of(r, j, q), 0)
        ci = get(gradient, first + entry_of(r, j, q) + 1, 0)
        if r == i + 1:
            re = own * re + tr * cr + ti * ci
            im = own * im + tr * ci - ti * cr
        else:
            re = re + tr * cr + ti * ci
            im = im + tr * ci - ti * cr
    return re, im


@unmanaged
def _row_slope(x, shape, k, i, slope, gradient):
    """With respect to row i of Y_k: h_i = (T_k^H g)_i, less what only rotates U_k into itself.

    That is sum_{j <= i} K_ij u_j, of K_ii the real part, and sum_{r > i} K_ri^* u_r, with K_ij = <h_i, u_j>.
    """
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    row = (i * n + k) * columns
    own = get(x, q * q * k + i, 0)
    along, _ = _along(x, gradient, k, i, i, q)
    for c in range(columns):
        hr = get(slope, row + c, 0)
        hi = get(slope, imag + row + c, 0)
        if i + 1 == q:
            hr = own * hr
            hi = own * hi
        for r in range(i + 1, q):
            d = (r * n + k) * columns + c
            tr = get(x, q * q * k + entry_of(r, i, q), 0)
            ti = get(x, q * q * k + entry_of(r, i, q) + 1, 0)
            qr = get(slope, d, 0)
            qi = get(slope, imag + d, 0)
            if r == i + 1:
                hr = own * hr + tr * qr + ti * qi
                hi = own * hi + tr * qi - ti * qr
            else:
                hr = hr + tr * qr + ti * qi
                hi = hi + tr * qi - ti * qr
        put(gradient, hr - along * get(x, head + row + c, 0), head + row + c, 0)
        put(gradient, hi - along * get(x, head + imag + row + c, 0), head + imag + row + c, 0)
    for j in range(q):
        if j == i:
            continue
        re, im = _along(x, gradient, k, max(i, j), min(i, j), q)
        if j > i:
            im = -im
        a = head + (j * n + k) * columns
        for c in range(columns):
            ur = get(x, a + c, 0)
            ui = get(x, imag + a + c, 0)
            place = head + row + c
            put(gradient, get(gradient, place, 0) - re * ur + im * ui, place, 0)
            put(gradient, get(gradient, imag + place, 0) - re * ui - im * ur, imag + place, 0)


@inlined
def polar_objective(evaluation, rho, x, shape, polar, gradient, stiffness):
    """The bound f at a factor in polar form, its power, and the gradient of log f + log power with respect to x.

    x and gradient are (unknowns, 1, lane). The Y_k of x become the U_k; the stiffness is guessed along.
    """
    polar_factor(x, shape, polar)
    value, power = factor_objective(evaluation, rho, polar.factor, shape.columns, polar.gradient)
    polar_gradient(x, shape, polar.gradient, gradient)
    guess_stiffness(evaluation, x, shape, power / value, stiffness)
    return value, power


@unmanaged
def orthonormalise(rows, k, shape, entries):
    """Make U_k of the rows of path k, in place; entries (q^2,) become T_k of what they were."""
    n, q, columns = shape
    imag = n * q * columns
    for i in range(q):
        first = (i * n + k) * columns
        for j in range(i):
            other = (j * n + k) * columns
            re = 0.0
            im = 0.0
            for c in range(columns):
                re += rows[first + c] * rows[other + c] + rows[imag + first + c] * rows[imag + other + c]
                im += rows[imag + first + c] * rows[other + c] - rows[first + c] * rows[imag + other + c]
            for c in range(columns):
                rows[first + c] -= re * rows[other + c] - im * rows[imag + other + c]
                rows[imag + first + c] -= re * rows[imag + other + c] + im * rows[other + c]
            entries[entry_of(i, j, q)] = re
            entries[entry_of(i, j, q) + 1] = im
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
    """Unknowns of factors (batch, 2 * qn * columns), real parts first: (batch, q^2 n + 2 * qn * columns)."""
    batch, size = factors.shape
    n, q, _ = shape
    head = head_of(shape)
    out = np.zeros((batch, size + head))
    for b in range(batch):
        out[b, head:] = factors[b]
        for k in range(n):
            orthonormalise(out[b, head:], k, shape, out[b, q * q * k : q * q * (k + 1)])
    return out


@kernel
def polar_of_powers(problems, powers, columns):
    """Unknowns to begin with, (batch, q^2 n + 2 * qn * columns), from codeword powers (batch, qn) on the columns of B.

    problems is `ProblemArrays`. T is that of mix diag(powers) mix^H. With fewer columns than rows beams of different
    paths cannot all be uncorrelated, but the steering beams among themselves (columns >= n). The rows of derivative
    beams are geometric sequences on the unit circle, by the golden ratio each in a direction of its own.
    """
    batch, count = powers.shape
    shape = shape_of(problems, columns)
    n, q, _ = shape
    head = head_of(shape)
    out = np.zeros((batch, head + 2 * count * columns))
    rows, entries = np.zeros(2 * count * columns), np.zeros(q * q)
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
            entries = out[b, q * q * k : q * q * (k + 1)]
            _factor_of_powers(problems.mix[b], problems.mix_imag[b], powers[b], k, shape, entries)
    return out


@unmanaged
def _factor_of_powers(mix, mix_imag, powers, k, shape, out):
    """Entries of T_k: the Cholesky factor of path k's block of mix diag(powers) mix^H."""
    n, q, _ = shape
    imag = mix_imag.shape[0] > 0
    for i in range(q):
        for j in range(i + 1):
            re, im = 0.0, 0.0
            r, s = i * n + k, j * n + k
            for w in range(powers.size):
                re += powers[w] * mix[s, w] * mix[r, w]
                if imag:
                    re += powers[w] * mix_imag[s, w] * mix_imag[r, w]
                    im += powers[w] * (mix_imag[r, w] * mix[s, w] - mix[r, w] * mix_imag[s, w])
            for w in range(j):  # T_iw conj(T_jw)
                a, b = entry_of(i, w, q), entry_of(j, w, q)
                if i == j:
                    re -= out[a] * out[a] + out[a + 1] * out[a + 1]
                else:
                    re -= out[a] * out[b] + out[a + 1] * out[b + 1]
                    im -= out[a + 1] * out[b] - out[a] * out[b + 1]
            if i == j:
                out[i] = math.sqrt(max(re, 0.0))
            else:
                out[entry_of(i, j, q)] = re / out[j] if out[j] > 0.0 else 0.0
                out[entry_of(i, j, q) + 1] = im / out[j] if out[j] > 0.0 else 0.0
