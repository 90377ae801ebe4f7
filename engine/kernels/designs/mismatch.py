"""The closed forms (16) and (19) on the reduced basis, from the two extreme designs of each draw.

(19) without its rank constraint is V = rho V_bp + (1 - rho) V_ms. (16) mixes the factors, W proportional to
rho W_bp + (1 - rho) W_ms; as W is only defined up to a unitary, the choice of factor matters:

- SQRT: W = Q x^(1/2), unique;
- ALIGNED: the same, the monostatic one first rotated onto the bistatic one (orthogonal Procrustes);
- EIGEN: eigenvectors times root eigenvalues, descending, first antenna's entry real and positive.

Others are these roots times a matrix on the right, see `beamforming.factors`.
Twins: test_mixes, test_factors, test_schemes.
"""

import math

import numpy as np

from ..jit.accelerate import kernel
from ..linalg.smallmat import eigen_hermitian, polar_unitary, times, times_adjoint

SQRT = 0
ALIGNED = 1
EIGEN = 2
# An eigenvalue below this share of the trace is an empty direction, as in the cleaning of V.
_EMPTY = 1e-9


@kernel
def square_root(x, rank):
    """Principal square root (rank, rank) of the leading block of a positive semidefinite x (n, n)."""
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
    """Eigenvectors of x (n, n) times root eigenvalues, descending; first_row @ column real, positive. (rank, rank)."""
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
        phase = np.conj(entry) / size if size > 0.0 else 1.0 + 0.0j
        for r in range(rank):
            out[r, i] = math.sqrt(values[i]) * phase * vectors[r, i]
    return out


@kernel
def factors_of(x, basis, rank, kind):
    """Reduced factors of covariances (batch, any, n, n): their roots, or eigenvectors where `kind` says so.

    basis (batch, antenna, column) is Q, of which the EIGEN factor needs the first row.
    """
    out = np.zeros_like(x)
    for b in range(x.shape[0]):
        n = rank[b]
        for i in range(x.shape[1]):
            if kind == EIGEN:
                out[b, i, :n, :n] = eigen_factor(x[b, i], n, basis[b, 0])
            else:
                out[b, i, :n, :n] = square_root(x[b, i], n)
    return out


@kernel
def aligned_with(w_bp, w_ms, rank):
    """The monostatic factors (batch, n, n) rotated onto the bistatic ones: orthogonal Procrustes."""
    out = np.zeros_like(w_ms)
    for b in range(w_ms.shape[0]):
        n = rank[b]
        ms = np.ascontiguousarray(w_ms[b, :n, :n])
        out[b, :n, :n] = times(ms, polar_unitary(times(ms, np.ascontiguousarray(w_bp[b, :n, :n])), n))
    return out


@kernel
def unit_products(roots, right):
    """R T at unit power, for both extremes: roots (batch, 2, n, n), right (batch, 2, n, C) -> (batch, 2, n, C)."""
    out = np.zeros_like(right)
    for b in range(right.shape[0]):
        for side in range(2):
            product = times(roots[b, side], right[b, side])
            power = 0.0
            for i in range(product.shape[0]):
                for k in range(product.shape[1]):
                    power += product[i, k].real ** 2 + product[i, k].imag ** 2
            if power > 0.0:
                out[b, side] = product / math.sqrt(power)
    return out


@kernel
def mixed_factors(w_bp, w_ms, rho):
    """Xi / |Xi| of (16), Xi = rho W_bp + (1 - rho) W_ms, (batch, rho, n, C), and |Xi|, (batch, rho).

    W_bp and W_ms are (batch, n, C). Where Xi vanishes the first is NaN.
    """
    batch, count, columns = w_bp.shape
    out = np.full((batch, rho.size, count, columns), complex(np.nan, np.nan))
    norms = np.zeros((batch, rho.size))
    for b in range(batch):
        for w in range(rho.size):
            mixed = rho[w] * w_bp[b] + (1.0 - rho[w]) * w_ms[b]
            power = 0.0
            for i in range(count):
                for k in range(columns):
                    power += mixed[i, k].real ** 2 + mixed[i, k].imag ** 2
            norms[b, w] = math.sqrt(power)
            if power > 1e-24:
                out[b, w] = mixed / norms[b, w]
    return out, norms


@kernel
def factor_changes(mixed, norms, slopes, change_bp, change_ms, rho):
    """How much log f of mixed factors moves with a change of the factors W_bp and W_ms (batch, n, C), to first order.

    mixed, norms and slopes (batch, rho, n, n) are of `mixed_factors` and `extremes.covariance_slopes`; the result is
    (batch, rho). The derivative of log f(Xi Xi^H / |Xi|^2) along D is 2 Re tr (W - N W)^H D / |Xi|, W = Xi / |Xi| and
    N = `slopes`.
    """
    batch, weights, count, columns = mixed.shape
    out = np.zeros((batch, weights))
    for b in range(batch):
        for w in range(weights):
            pulled = times(slopes[b, w], mixed[b, w])
            total = 0.0
            for i in range(count):
                for k in range(columns):
                    along = rho[w] * change_bp[b, i, k] + (1.0 - rho[w]) * change_ms[b, i, k]
                    rest = mixed[b, w, i, k] - pulled[i, k]
                    total += rest.real * along.real + rest.imag * along.imag
            out[b, w] = abs(2.0 * total / norms[b, w])
    return out


@kernel
def covariance_changes(slopes, change_bp, change_ms, rho):
    """The same of mixed covariances and changes of the extremes (batch, n, n): the derivative is -tr N D."""
    batch, weights, count, _ = slopes.shape
    out = np.zeros((batch, weights))
    for b in range(batch):
        for w in range(weights):
            total = 0.0
            for i in range(count):
                for k in range(count):
                    along = rho[w] * change_bp[b, i, k] + (1.0 - rho[w]) * change_ms[b, i, k]
                    slope = slopes[b, w, i, k]
                    total += slope.real * along.real + slope.imag * along.imag
            out[b, w] = abs(total)
    return out


@kernel
def covariances_of(factors):
    """X = W W^H of every factor (batch, rho, n, C): (batch, rho, n, n)."""
    batch, weights, count, _ = factors.shape
    out = np.zeros((batch, weights, count, count), np.complex128)
    for b in range(batch):
        for w in range(weights):
            out[b, w] = times_adjoint(factors[b, w], factors[b, w])
    return out
