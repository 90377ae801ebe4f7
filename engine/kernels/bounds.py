"""Bounds at a design from whitened FIMs, with the rule for infinite ones; and from a plain FIM."""

import math

import numpy as np

from ..accelerate import kernel
from .objective import coordinates_of
from .smallmat import cholesky, eigenvalues_symmetric, solve_lower


@kernel
def inverse_diagonal(fim, limit):
    """Diagonal of the inverse of each FIM (batch, p, p), and its smallest unit-diagonal eigenvalue.

    All bounds of a draw are inf where that eigenvalue is below `limit` (a parameter with no information
    counts as eigenvalue 0).
    """
    batch, p, _ = fim.shape
    out = np.full((batch, p), np.inf)
    smallest = np.zeros(batch)
    unit = np.zeros((p, p))
    column = np.zeros(p)
    for b in range(batch):
        informed = True
        for a in range(p):
            if not (fim[b, a, a] > 0.0 and fim[b, a, a] < math.inf):
                informed = False
        if not informed:
            continue
        for a in range(p):
            for c in range(p):
                unit[a, c] = fim[b, a, c] / (math.sqrt(fim[b, a, a]) * math.sqrt(fim[b, c, c]))
        smallest[b] = max(eigenvalues_symmetric(unit, p)[p - 1], 0.0)
        if not (smallest[b] >= limit and cholesky(unit, p)):
            continue
        for a in range(p):
            column[:] = 0.0
            column[a] = 1.0
            solve_lower(unit, p, column)
            total = 0.0
            for c in range(a, p):
                total += column[c] * column[c]
            out[b, a] = total / fim[b, a, a]
    return out, smallest


@kernel
def _unit_eigenvalue(whitened, factor):
    """Smallest eigenvalue of the unit-diagonal position FIM F^-T J_w F^-1."""
    p = factor.shape[0]
    inverse = np.zeros((p, p))  # of F with its rows reversed, which is upper triangular
    for b in range(p):
        inverse[b, b] = 1.0 / factor[p - 1 - b, b]
        for a in range(b - 1, -1, -1):
            total = 0.0
            for k in range(a + 1, b + 1):
                total += factor[p - 1 - a, k] * inverse[k, b]
            inverse[a, b] = -total / factor[p - 1 - a, a]
    half = np.zeros((p, p))
    fim = np.zeros((p, p))
    for i in range(p):
        for c in range(p):
            for k in range(c + 1):
                half[i, c] += whitened[i, k] * inverse[k, c]
    for a in range(p):
        for c in range(p):
            for i in range(a + 1):
                fim[a, c] += inverse[i, a] * half[i, c]
    for a in range(p):
        if not fim[a, a] > 0.0:
            return 0.0
    unit = np.zeros((p, p))
    for a in range(p):
        for c in range(p):
            unit[a, c] = fim[a, c] / (math.sqrt(fim[a, a]) * math.sqrt(fim[c, c]))
    return eigenvalues_symmetric(unit, p)[p - 1]


@kernel
def design_bounds(linear, factor, smallest, regular, coordinates, rows, limit):
    """Bounds of the leading `rows` position parameters at every design: (batch, design, rows).

    linear (batch, count^2, packed) and factor (batch, p, p) are of `reduced.reduce_link`; coordinates
    (batch, design, count^2) those of S. All bounds of a design are inf where its unit-diagonal FIM has an
    eigenvalue below `limit`; that is only computed where a cheap lower bound of it does not settle the matter.
    """
    batch, designs, count = coordinates.shape
    p = factor.shape[1]
    out = np.full((batch, designs, rows), np.inf)
    whitened = np.zeros((p, p))
    triangle = np.zeros((p, p))
    column = np.zeros(p)
    packed = np.zeros(p * (p + 1) // 2)
    for b in range(batch):
        if not regular[b]:
            continue
        for d in range(designs):
            packed[:] = 0.0
            for s in range(count):
                x = coordinates[b, d, s]
                if x != 0.0:
                    for e in range(packed.size):
                        packed[e] += x * linear[b, s, e]
            trace = 0.0
            e = 0
            for a in range(p):
                for c in range(a + 1):
                    whitened[a, c] = packed[e]
                    whitened[c, a] = packed[e]
                    triangle[a, c] = packed[e]
                    e += 1
                trace += whitened[a, a]
            if not cholesky(triangle, p):
                continue
            inverse_trace = 0.0
            for a in range(p):
                column[:] = 0.0
                column[a] = 1.0
                solve_lower(triangle, p, column)
                for c in range(a, p):
                    inverse_trace += column[c] * column[c]
            if not smallest[b] / (trace * inverse_trace) >= limit:
                if not _unit_eigenvalue(whitened, factor[b]) >= limit:
                    continue
            for row in range(rows):
                for c in range(p):
                    column[c] = factor[b, row, c]
                solve_lower(triangle, p, column)
                total = 0.0
                for c in range(p):
                    total += column[c] * column[c]
                out[b, d, row] = total
    return out


@kernel
def covariance_coordinates(x, mix, rank):
    """Coordinates of S = mix^T x mix for every draw and design: (batch, design, count^2)."""
    batch, designs, count, _ = x.shape
    out = np.zeros((batch, designs, count * count))
    for b in range(batch):
        for d in range(designs):
            coordinates_of(x[b, d], mix[b], rank[b], out[b, d])
    return out
