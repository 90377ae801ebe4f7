"""Steering vectors of arrays of any shape and their derivatives, as unit-norm columns.

A direction at an array is a frame (q, 3) in the array's own coordinates, x broadside, y left, z up: the unit vector u,
then the unit tangents along which it is differentiated, azimuth and, in space, elevation. With elements at p_i, in
wavelengths, [a(u)]_i = exp(j 2 pi p_i . u), and the derivative along a tangent e is j 2 pi diag(p_i . e) a: without
angles there is no pole, and no cosine in a denominator.
Twins: tests/support/naive.py, in tests/engine/test_fisher.py; tests/support/world.py.
"""

import math
from typing import NamedTuple

import numpy as np

from ..jit.accelerate import kernel, unmanaged

_TWO_PI = 2.0 * math.pi
# A derivative column of less than this share of the array's size is one that vanishes: a linear array's across itself.
_VANISHES = 1e-9


class Array(NamedTuple):
    """Where the elements of an array are.

    positions (N, 3), in wavelengths; rows and columns of a centred grid, rows along z, columns along y, and their
    spacings (2,), in wavelengths, with rows = 0 where the elements are on no such grid; is_symmetric where with p also
    -p is an element's place, so that Gram matrices are real.
    """

    positions: np.ndarray
    rows: int
    columns: int
    spacing: np.ndarray
    is_symmetric: bool


@unmanaged
def spread_of(antennas):
    """Norm of the element offsets i - (N - 1) / 2 of a linear array."""
    return math.sqrt(antennas * (antennas * antennas - 1.0) / 12.0)


@unmanaged
def tangent_size(array, tangent):
    """Norm of p_i . e over the elements: (a step, a cosine, a number of steps), whose product is 2 pi times that.

    A linear array's has the sign of its cosine, as its derivative column is the same in every direction.
    """
    if array.rows == 1:
        return _TWO_PI * array.spacing[1], tangent[1], spread_of(array.columns)
    total = 0.0
    if array.rows > 1:
        along = array.spacing[1] * tangent[1] * spread_of(array.columns)
        across = array.spacing[0] * tangent[2] * spread_of(array.rows)
        total = array.rows * along * along + array.columns * across * across
    else:
        for i in range(array.positions.shape[0]):
            offset = 0.0
            for c in range(3):
                offset += array.positions[i, c] * tangent[c]
            total += offset * offset
    return _TWO_PI, 1.0, math.sqrt(total)


@unmanaged
def largest_size(array):
    """Root of the sum of all squared coordinates, the same way: what no tangent's size exceeds."""
    if array.rows == 1:
        return spread_of(array.columns)
    total = 0.0
    if array.rows > 1:
        along, across = array.spacing[1] * spread_of(array.columns), array.spacing[0] * spread_of(array.rows)
        total = array.rows * along * along + array.columns * across * across
    else:
        for i in range(array.positions.shape[0]):
            for c in range(3):
                total += array.positions[i, c] ** 2
    return math.sqrt(total)


@unmanaged
def vanishes(array, frames, k, t):
    """Whether the derivative column of path k along tangent t of frames (n, q, 3) is none.

    In the plane a linear array's stays, as the limit of its direction, where it faces its own axis.
    """
    _, cosine, size = tangent_size(array, frames[k, t])
    most = largest_size(array)
    if frames.shape[1] == 2:
        return not most > 0.0
    return not abs(cosine) * size > _VANISHES * most


@kernel
def steering_columns(array, frames):
    """Columns [a_0, a_1, ..., d_0, d_1, ...] of unit norm, and the norms that restore a and its derivatives.

    frames is (batch, path, q, 3); the columns are (batch, antenna, q path), the norms (batch, q path).
    """
    batch, paths, q, _ = frames.shape
    antennas = array.positions.shape[0]
    columns = np.zeros((batch, antennas, q * paths), np.complex128)
    norms = np.zeros((batch, q * paths))
    amplitude = 1.0 / math.sqrt(antennas)
    for b in range(batch):
        for k in range(paths):
            _steer(array, frames[b, k, 0], columns[b, :, k])
            norms[b, k] = math.sqrt(antennas)
            for t in range(1, q):
                step, cosine, size = tangent_size(array, frames[b, k, t])
                norms[b, t * paths + k] = step * cosine * size
                if not vanishes(array, frames[b], k, t):
                    _differentiate(array, frames[b, k, t], size, columns[b, :, k], columns[b, :, t * paths + k])
            for i in range(antennas):
                columns[b, i, k] *= amplitude
    return columns, norms


@unmanaged
def _steer(array, direction, out):
    """a(u), (antenna,)."""
    if array.rows > 0:
        step_y = _TWO_PI * array.spacing[1] * direction[1]
        step_z = _TWO_PI * array.spacing[0] * direction[2]
        for i in range(out.size):
            y = i % array.columns - 0.5 * (array.columns - 1)
            z = i // array.columns - 0.5 * (array.rows - 1)
            phase = y * step_y + z * step_z
            out[i] = complex(math.cos(phase), math.sin(phase))
        return
    for i in range(out.size):
        phase = 0.0
        for c in range(3):
            phase += array.positions[i, c] * direction[c]
        phase *= _TWO_PI
        out[i] = complex(math.cos(phase), math.sin(phase))


@unmanaged
def _differentiate(array, tangent, size, steering, out):
    """J diag(p . e) a / |p . e|, (antenna,)."""
    for i in range(out.size):
        offset = 0.0
        if array.rows == 1:
            offset = i - 0.5 * (array.columns - 1)
        else:
            for c in range(3):
                offset += array.positions[i, c] * tangent[c]
        out[i] = (offset / size) * complex(-steering[i].imag, steering[i].real)


@kernel
def derivative_doubts(array, frames, rounding):
    """Relative rounding of the derivatives along each tangent, (batch, (q - 1) n), from that of directions (batch, n).

    A derivative is as large as the array seen across its tangent. Near the axis of a linear array that is as small as
    the direction's own rounding.
    """
    batch, n, q, _ = frames.shape
    out = np.zeros((batch, (q - 1) * n))
    most = largest_size(array)
    for b in range(batch):
        for k in range(n):
            for t in range(1, q):
                _, cosine, size = tangent_size(array, frames[b, k, t])
                share = (size / most if most > 0.0 else 1.0) * abs(cosine)  # one antenna: nothing to doubt
                out[b, (t - 1) * n + k] = rounding[b, k] / share
    return out


@kernel
def gram_of(columns, is_symmetric):
    """Gram matrices (batch, column, column) of columns, complex; exactly real where their array is symmetric."""
    batch, antennas, count = columns.shape
    gram = np.zeros((batch, count, count), np.complex128)
    for b in range(batch):
        for r in range(count):
            for s in range(r, count):
                real = 0.0
                imag = 0.0
                for i in range(antennas):
                    x, y = columns[b, i, r], columns[b, i, s]
                    real += x.real * y.real + x.imag * y.imag
                    if not is_symmetric:
                        imag += x.real * y.imag - x.imag * y.real
                gram[b, r, s] = complex(real, imag)
                gram[b, s, r] = complex(real, -imag)
    return gram


@kernel
def orthonormal_basis(columns, is_symmetric, tolerance):
    """Gram-Schmidt with reorthogonalisation: columns = basis @ coefficients, exactly real for symmetric arrays.

    A column within `tolerance` of the span of those before it adds no basis vector (two targets on one
    bearing, fewer antennas than columns).

    Returns basis (batch, antenna, column; the first `rank` used), coefficients (batch, column, column), complex, and
    rank (batch).
    """
    batch, antennas, count = columns.shape
    basis = np.zeros((batch, antennas, count), np.complex128)
    coefficients = np.zeros((batch, count, count), np.complex128)
    ranks = np.zeros(batch, np.int64)
    rest = np.zeros(antennas, np.complex128)
    for b in range(batch):
        rank = 0
        for c in range(count):
            for i in range(antennas):
                rest[i] = columns[b, i, c]
            for _ in range(2):
                for q in range(rank):
                    real = 0.0
                    imag = 0.0
                    for i in range(antennas):
                        x, y = basis[b, i, q], rest[i]
                        real += x.real * y.real + x.imag * y.imag
                        if not is_symmetric:
                            imag += x.real * y.imag - x.imag * y.real
                    coefficients[b, q, c] += complex(real, imag)
                    for i in range(antennas):
                        rest[i] -= complex(real, imag) * basis[b, i, q]
            norm = 0.0
            for i in range(antennas):
                norm += rest[i].real ** 2 + rest[i].imag ** 2
            norm = math.sqrt(norm)
            if norm > tolerance and rank < antennas:
                coefficients[b, rank, c] = norm
                for i in range(antennas):
                    basis[b, i, rank] = rest[i] / norm
                rank += 1
        ranks[b] = rank
    return basis, coefficients, ranks
