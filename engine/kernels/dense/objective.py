"""The weighted CRB rho CRB_BP + (1 - rho) CRB_MS and its gradient, from linear maps of whitened FIMs.

Held against the lanes and tests/support/naive.py by tests/engine/beamforming/test_certificate.py.
"""

import math

import numpy as np

from ..jit.accelerate import kernel
from ..linalg.smallmat import cholesky, dot, solve_lower, solve_upper
from .reduced import coordinate_index


@kernel
def dense_link_crb(linear, factor, bound_rows, weight, coordinates, gradient, triangle, direction):
    """Weighted bound of one link; its gradient is added to `gradient`; inf where J_w is not positive.

    linear (n^2 + 1, p (p + 1) / 2), packed, and factor (p, p) are from `reduced`; coordinates and gradient are
    (n^2 + 1,).
    triangle (p, p) and direction (p (p + 1) / 2,) are work space, and hold the Cholesky factor of J_w and
    d bound / d J_w afterwards.
    """
    p = factor.shape[0]
    packed = direction.size
    direction[:] = 0.0
    for s in range(coordinates.size):
        x = coordinates[s]
        if x != 0.0:
            for e in range(packed):
                direction[e] += x * linear[s, e]
    e = 0
    for a in range(p):
        for b in range(a + 1):
            triangle[a, b] = direction[e]
            e += 1
    if not cholesky(triangle, p):
        return math.inf
    direction[:] = 0.0
    total = 0.0
    y = np.empty(p)
    for row in range(bound_rows):
        y[:] = factor[row]
        solve_lower(triangle, p, y)
        for i in range(p):
            total += y[i] * y[i]
        solve_upper(triangle, p, y)
        e = 0
        for a in range(p):
            twice = 2.0 * y[a]
            for b in range(a):
                direction[e + b] -= twice * y[b]
            direction[e + a] -= y[a] * y[a]
            e += a + 1
    for s in range(coordinates.size):
        gradient[s] += weight * dot(linear[s], direction)
    return weight * total


@kernel
def dense_weighted_crb(bp, ms, rho, coordinates, gradient, work):
    """Rho CRB_BP + (1 - rho) CRB_MS and its gradient; a term of zero weight is not evaluated.

    bp and ms are (linear, factor, bound_rows); work is ((triangle, direction), (triangle, direction)).
    """
    gradient[:] = 0.0
    value = 0.0
    if rho > 0.0:
        value += dense_link_crb(bp[0], bp[1], bp[2], rho, coordinates, gradient, work[0][0], work[0][1])
    if rho < 1.0:
        value += dense_link_crb(ms[0], ms[1], ms[2], 1.0 - rho, coordinates, gradient, work[1][0], work[1][1])
    return value


@kernel
def work_space(bp, ms):
    """Buffers for `dense_weighted_crb`."""
    p = bp[1].shape[0]
    q = ms[1].shape[0]
    return (
        (np.zeros((p, p)), np.zeros(p * (p + 1) // 2)),
        (np.zeros((q, q)), np.zeros(q * (q + 1) // 2)),
    )


@kernel
def coordinates_of(x, mix, rank, out):
    """Real coordinates of S = mix^H x mix, mix (n, n), x Hermitian on its leading rank x rank block, and full power.

    (n^2 + 1,).
    """
    count = mix.shape[1]
    half = np.zeros((rank, count), np.complex128)
    for i in range(rank):
        for k in range(rank):
            for c in range(count):
                half[i, c] += x[i, k] * mix[k, c]
    for r in range(count):
        for c in range(r, count):
            total = 0.0j
            for i in range(rank):
                total += np.conj(mix[i, r]) * half[i, c]
            place = coordinate_index(r, c, count)
            out[place] = total.real
            if c > r:
                out[place + 1] = total.imag
    out[count * count] = 1.0


@kernel
def hermitian_gradient(slopes, mix, rank):
    """Gradient G (rank, rank) with respect to x, df = Re tr(G dx), from slopes (n^2 + 1,) along the coordinates of S.

    The last one, along the power, belongs to every direction.
    """
    count = mix.shape[1]
    inner = np.zeros((count, count), np.complex128)
    for r in range(count):
        for c in range(r, count):
            place = coordinate_index(r, c, count)
            if r == c:
                inner[r, r] = slopes[place]
            else:
                inner[r, c] = 0.5 * complex(slopes[place], slopes[place + 1])
                inner[c, r] = np.conj(inner[r, c])
    half = np.zeros((rank, count), np.complex128)
    for i in range(rank):
        for r in range(count):
            for c in range(count):
                half[i, c] += mix[i, r] * inner[r, c]
    out = np.zeros((rank, rank), np.complex128)
    for i in range(rank):
        for k in range(rank):
            for c in range(count):
                out[i, k] += half[i, c] * np.conj(mix[k, c])
        out[i, i] += slopes[count * count]
    return out
