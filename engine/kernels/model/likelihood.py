"""What a maximum-likelihood estimator needs: noise, the mean of the observation, the score, and small solves.

The observation of one link is y_m = H_m W + n_m, m = 1..M, with N pilots averaged: noise of variance sigma^2 / N in
each entry. W may be any factor of V: a unitary matrix on its right leaves the likelihood as it is.
Test: test_estimation.
"""

import math

import numpy as np

from ..jit.accelerate import kernel
from ..linalg.smallmat import cholesky, solve_lower, solve_upper, times


@kernel
def normals(words):
    """Complex numbers of unit variance (n,) from pairs of 64-bit words (n, 2), by Box and Muller."""
    out = np.zeros(words.shape[0], np.complex128)
    for i in range(words.shape[0]):
        radius = math.sqrt(-math.log((float(words[i, 0] >> np.uint64(12)) + 0.5) * 2.0**-52))
        phase = 2.0 * math.pi * (float(words[i, 1] >> np.uint64(12)) + 0.5) * 2.0**-52
        out[i] = complex(radius * math.cos(phase), radius * math.sin(phase))
    return out


@kernel
def observation_mean(gain, delay, spacing, subcarriers, rx, tx, w):
    """H_m W of every draw, (batch, subcarrier, receive, column); w is (batch, M_T, column)."""
    batch, paths = delay.shape
    out = np.zeros((batch, subcarriers, rx.shape[1], w.shape[2]), np.complex128)
    norm = math.sqrt(rx.shape[1] * tx.shape[1])
    for b in range(batch):
        sent = times(np.ascontiguousarray(np.conj(tx[b]).T), w[b])
        for k in range(paths):
            for m in range(subcarriers):
                angle = -2.0 * math.pi * (m + 1) * spacing * delay[b, k]
                factor = norm * gain[b, k] * complex(math.cos(angle), math.sin(angle))
                for r in range(rx.shape[1]):
                    for c in range(w.shape[2]):
                        out[b, m, r, c] += factor * rx[b, r, k] * sent[k, c]
    return out


@kernel
def score(pattern, coef, delay, spacing, rx, tx, w, residual, scale):
    """Gradient of the log-likelihood with respect to the channel parameters, (batch, parameter).

    The derivative of H_m with respect to a parameter is a sum of terms coef (-j 2 pi m df)^order e_m rx tx^H.
    """
    batch, subcarriers, receive, columns = residual.shape
    paths, parameters = delay.shape[1], pattern.path.size
    out = np.zeros((batch, parameters))
    matched = np.zeros((2, paths, receive, columns), np.complex128)
    for b in range(batch):
        sent = times(np.ascontiguousarray(np.conj(tx[b]).T), w[b])
        matched[:] = 0.0
        for k in range(paths):
            for m in range(subcarriers):
                omega = 2.0 * math.pi * (m + 1) * spacing
                back = complex(math.cos(omega * delay[b, k]), math.sin(omega * delay[b, k]))
                later = complex(0.0, omega) * back
                for r in range(receive):
                    for c in range(columns):
                        matched[0, k, r, c] += back * residual[b, m, r, c]
                        matched[1, k, r, c] += later * residual[b, m, r, c]
        for p in range(parameters):
            for t in range(pattern.terms[p]):
                total = 0.0j
                for r in range(receive):
                    for c in range(columns):
                        value = matched[pattern.order[p], pattern.path[p], r, c]
                        total += np.conj(rx[b, r, pattern.rx[p, t]] * sent[pattern.tx[p, t], c]) * value
                out[b, p] += scale * (np.conj(coef[b, p, t]) * total).real
    return out


@kernel
def squared_length(residual, scale):
    """Minus the log-likelihood, up to a constant, (batch,)."""
    out = np.zeros(residual.shape[0])
    for b in range(residual.shape[0]):
        total = 0.0
        for value in residual[b].flat:
            total += value.real**2 + value.imag**2
        out[b] = 0.5 * scale * total
    return out


@kernel
def scoring_step(jacobian, gradient, pull, fim):
    """I^-1 (T^T g + pull) in position parameters (batch, p), and the squared length by the metric I (NaN: singular)."""
    batch, _, size = jacobian.shape
    step = np.zeros((batch, size))
    length2 = np.full(batch, np.nan)
    unit = np.zeros((size, size))
    slope = np.zeros(size)
    for b in range(batch):
        for i in range(size):
            slope[i] = 0.0
            for p in range(jacobian.shape[1]):
                slope[i] += jacobian[b, p, i] * gradient[b, p]
            slope[i] += pull[b, i]
            for k in range(size):
                unit[i, k] = fim[b, i, k] / math.sqrt(fim[b, i, i] * fim[b, k, k])
        if not cholesky(unit, size):
            continue
        for i in range(size):
            step[b, i] = slope[i] / math.sqrt(fim[b, i, i])
        solve_lower(unit, size, step[b])
        solve_upper(unit, size, step[b])
        total = 0.0
        for i in range(size):
            step[b, i] /= math.sqrt(fim[b, i, i])
            total += step[b, i] * slope[i]
        length2[b] = total
    return step, length2


@kernel
def normalised_error(fim, error):
    """NEES e^T C^-1 e / d of the leading d parameters, C their block of the inverse FIM; (batch,).

    C^-1 is the Schur complement, so that the value is what e takes out of the likelihood when all others adapt.
    """
    batch, size, _ = fim.shape
    keep = error.shape[1]
    out = np.full(batch, np.nan)
    unit = np.zeros((size, size))
    x = np.zeros(size)
    for b in range(batch):
        # The nuisance parameters first: then the trailing block of L L^T is the Schur complement.
        for i in range(size):
            p = (i + keep) % size
            for k in range(size):
                q = (k + keep) % size
                unit[i, k] = fim[b, p, q] / math.sqrt(fim[b, p, p] * fim[b, q, q])
        if not cholesky(unit, size):
            continue
        total = 0.0
        for k in range(size - keep, size):  # L_ee^T e
            x[k] = 0.0
            for i in range(k, size):
                e = error[b, i - (size - keep)] * math.sqrt(fim[b, i - (size - keep), i - (size - keep)])
                x[k] += unit[i, k] * e
            total += x[k] ** 2
        out[b] = total / keep
    return out
