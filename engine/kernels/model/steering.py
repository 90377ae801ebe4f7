"""Steering vectors of centred half-wavelength arrays and their derivatives, as unit-norm columns.

Twin: tests/support/naive.py, in tests/engine/test_fisher.py.
"""

import math

import numpy as np

from ..jit.accelerate import kernel


@kernel
def steering_columns(theta, antennas):
    """Columns [a_0, a_1, ..., d_0, d_1, ...] of unit norm, and the norms that restore a and da/dtheta.

    The derivative of a(theta) is j pi cos(theta) D a with D = diag(i - (N-1)/2). Its direction j D a / |D|
    does not depend on cos(theta), so it stays defined at end-fire, where the norm pi cos(theta) |D| vanishes.

    theta is (batch, path); the columns are (batch, antenna, 2 path), the norms (batch, 2 path).
    """
    batch, paths = theta.shape
    columns = np.zeros((batch, antennas, 2 * paths), np.complex128)
    norms = np.zeros((batch, 2 * paths))
    centre = 0.5 * (antennas - 1)
    spread = 0.0
    for i in range(antennas):
        spread += (i - centre) ** 2
    spread = math.sqrt(spread)
    amplitude = 1.0 / math.sqrt(antennas)
    for b in range(batch):
        for k in range(paths):
            phase_step = math.pi * math.sin(theta[b, k])
            norms[b, k] = math.sqrt(antennas)
            norms[b, paths + k] = math.pi * math.cos(theta[b, k]) * spread
            for i in range(antennas):
                offset = i - centre
                real = math.cos(offset * phase_step)
                imag = math.sin(offset * phase_step)
                columns[b, i, k] = amplitude * complex(real, imag)
                if spread > 0.0:  # a single antenna has no derivative
                    columns[b, i, paths + k] = (offset / spread) * complex(-imag, real)
    return columns, norms


@kernel
def real_gram(columns):
    """Gram matrices (batch, column, column) of centred columns: real, since the array is symmetric."""
    batch, antennas, count = columns.shape
    gram = np.zeros((batch, count, count))
    for b in range(batch):
        for r in range(count):
            for s in range(r, count):
                total = 0.0
                for i in range(antennas):
                    total += (
                        columns[b, i, r].real * columns[b, i, s].real + columns[b, i, r].imag * columns[b, i, s].imag
                    )
                gram[b, r, s] = total
                gram[b, s, r] = total
    return gram


@kernel
def orthonormal_basis(columns, tolerance):
    """Gram-Schmidt with reorthogonalisation: columns = basis @ coefficients, coefficients real.

    A column within `tolerance` of the span of those before it adds no basis vector (two targets on one
    bearing, fewer antennas than columns).

    Returns basis (batch, antenna, column; the first `rank` used), coefficients (batch, column, column) and
    rank (batch).
    """
    batch, antennas, count = columns.shape
    basis = np.zeros((batch, antennas, count), np.complex128)
    coefficients = np.zeros((batch, count, count))
    ranks = np.zeros(batch, np.int64)
    rest = np.zeros(antennas, np.complex128)
    for b in range(batch):
        rank = 0
        for c in range(count):
            for i in range(antennas):
                rest[i] = columns[b, i, c]
            for _ in range(2):
                for q in range(rank):
                    overlap = 0.0
                    for i in range(antennas):
                        overlap += basis[b, i, q].real * rest[i].real + basis[b, i, q].imag * rest[i].imag
                    coefficients[b, q, c] += overlap
                    for i in range(antennas):
                        rest[i] -= overlap * basis[b, i, q]
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
