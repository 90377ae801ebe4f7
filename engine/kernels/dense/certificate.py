"""The certificate of `cleaning` once more, from the dense maps of one draw: as a check, and for shared designs."""

import math

import numpy as np

from ..jit.accelerate import kernel
from ..linalg.smallmat import eigen_hermitian
from .objective import coordinates_of, dense_weighted_crb, hermitian_gradient


@kernel
def covariance_gap(bp, ms, rho, x, mix, rank, work):
    """Objective and certified gap of a covariance x (rank, rank) of unit trace; (inf, inf) where the FIM is singular.

    bp, ms and work are those of `objective.dense_weighted_crb`, mix (n, n) is complex, and that of
    `reduced.whitened_map`'s draw.
    """
    count = mix.shape[1]
    coordinates = np.zeros(count * count + 1)
    slopes = np.zeros(count * count + 1)
    coordinates_of(x, mix, rank, coordinates)
    value = dense_weighted_crb(bp, ms, rho, coordinates, slopes, work)
    if not value < math.inf:
        return math.inf, math.inf
    values, _ = eigen_hermitian(-hermitian_gradient(slopes, mix, rank), rank)
    return value, max(values[0] / value - 1.0, 0.0)  # below 0 is rounding


@kernel
def leading_covariance(values, vectors, kept):
    """Covariance (n, n) of unit trace from the `kept` leading eigenvalues (descending) and eigenvectors (n, n)."""
    n = values.size
    out = np.zeros((n, n), np.complex128)
    power = 0.0
    for i in range(kept):
        power += values[i]
    for r in range(n):
        for c in range(r + 1):
            for i in range(kept):
                out[r, c] += values[i] / power * vectors[r, i] * np.conj(vectors[c, i])
            out[c, r] = np.conj(out[r, c])
        out[r, r] = out[r, r].real
    return out


@kernel
def numerical_rank(values, threshold):
    """How many of the descending values exceed threshold times their sum."""
    total = values.sum()
    kept = 0
    while kept < values.size and values[kept] > threshold * total:
        kept += 1
    return kept
