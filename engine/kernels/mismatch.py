"""The closed forms (16) and (19) on the reduced basis, from the two extreme designs of each draw.

(19) without its rank constraint is V = rho V_bp + (1 - rho) V_ms. (16) mixes the factors, W proportional to
rho W_bp + (1 - rho) W_ms; as W is only defined up to a unitary, the choice of factor matters:

- SQRT: W = Q x^(1/2), unique;
- ALIGNED: the same, the monostatic one first turned onto the bistatic one (orthogonal Procrustes);
- EIGEN: eigenvectors times root eigenvalues, descending, first antenna's entry real and positive.
"""

import math

import numpy as np

from ..accelerate import kernel
from .smallmat import eigen_hermitian, polar_unitary, times, times_adjoint

SQRT = 0
ALIGNED = 1
EIGEN = 2
# An eigenvalue below this share of the trace is an empty direction, as in the cleaning of V.
_EMPTY = 1e-9


@kernel
def square_root(x, rank):
    """Principal square root of the leading block of a positive semidefinite x."""
    values, vectors = eigen_hermitian(x, rank)
    out = np.zeros((rank, rank), np.complex128)
    for i in range(rank):
        if values[i] > 0.0:
            root = math.sqrt(values[i])
            for r in range(rank):
                for c in range(rank):
                    out[r, c] += root * vectors[r, i] * np.conj(vectors[c, i])
    return out


@kernel
def eigen_factor(x, rank, first_row):
    """Eigenvectors times root eigenvalues, descending; first_row @ column made real and positive."""
    values, vectors = eigen_hermitian(x, rank)
    out = np.zeros((rank, rank), np.complex128)
    total = values.sum()
    for i in range(rank):
        if values[i] <= _EMPTY * total:
            continue
        entry = 0.0j
        for r in range(rank):
            entry += first_row[r] * vectors[r, i]
        size = abs(entry)
        turn = np.conj(entry) / size if size > 0.0 else 1.0 + 0.0j
        for r in range(rank):
            out[r, i] = math.sqrt(values[i]) * turn * vectors[r, i]
    return out


@kernel
def mix_factors(x_bp, x_ms, basis, rank, rho, kind):
    """Reduced factors Xi / |Xi| of (16) for every draw and weight: (batch, rho, column, column).

    basis (batch, antenna, column) is Q, of which the EIGEN factor needs the first row. Where the mix vanishes
    (Xi = 0) the result is NaN.
    """
    batch, count, _ = x_bp.shape
    out = np.zeros((batch, rho.size, count, count), np.complex128)
    for b in range(batch):
        n = rank[b]
        if kind == EIGEN:
            w_bp = eigen_factor(x_bp[b], n, basis[b, 0])
            w_ms = eigen_factor(x_ms[b], n, basis[b, 0])
        else:
            w_bp = square_root(x_bp[b], n)
            w_ms = square_root(x_ms[b], n)
            if kind == ALIGNED:
                w_ms = times(w_ms, polar_unitary(times(w_ms, w_bp), n))
        for w in range(rho.size):
            mixed = rho[w] * w_bp + (1.0 - rho[w]) * w_ms
            power = 0.0
            for i in range(n):
                for k in range(n):
                    power += mixed[i, k].real ** 2 + mixed[i, k].imag ** 2
            if power > 1e-24:
                out[b, w, :n, :n] = mixed / math.sqrt(power)
            else:
                out[b, w] = np.nan
    return out


@kernel
def covariances_of(factors):
    """X = W W^H of every factor (batch, rho, n, n)."""
    batch, weights = factors.shape[:2]
    out = np.zeros_like(factors)
    for b in range(batch):
        for w in range(weights):
            out[b, w] = times_adjoint(factors[b, w], factors[b, w])
    return out
