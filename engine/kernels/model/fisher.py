"""Channel-domain Fisher information by the separable closed form, and its change to positions.

Every derivative of a channel is a sum of at most two terms

    dH_m/dxi_p = sum_t coef[p, t] (-j w_m)^order[p] exp(-j w_m tau_path[p]) u_rx[p, t] b_tx[p, t]^H

with unit-norm receive columns u and transmit columns b, so that an entry of (6) is a sum of at most four
products (delay sum) x (receive inner product) x (entry of B^H V B). Twin: `tensors`, and tests/engine/test_fisher.py.
"""

import numpy as np

from ..jit.accelerate import kernel
from .bases import apply


@kernel
def pair_coefficient(i, ti, j, tj, pattern, coef, sums, gram):
    """Factor c of one term: Re tr(dH_j V dH_i^H) summed over m gains Re(c S[tx_j, tx_i]), S = B^H V B."""
    factor = (
        np.conj(coef[i, ti]) * coef[j, tj] * sums[pattern.order[i] + pattern.order[j], pattern.path[i], pattern.path[j]]
    )
    # (-j)^order_j times conj((-j)^order_i): -j if only j is a delay, +j if only i is, 1 if both.
    if pattern.order[i] < pattern.order[j]:
        factor = complex(factor.imag, -factor.real)
    elif pattern.order[i] > pattern.order[j]:
        factor = complex(-factor.imag, factor.real)
    return factor * gram[pattern.rx[i, ti], pattern.rx[j, tj]]


@kernel
def channel_fim(pattern, coef, sums, gram, transmit, scale):
    """FIM (6), (batch, param, param), from S = B^H V B (batch, column, column), Hermitian."""
    batch, params, _ = coef.shape
    fim = np.zeros((batch, params, params))
    for b in range(batch):
        for i in range(params):
            for j in range(i, params):
                total = 0.0
                for ti in range(pattern.terms[i]):
                    for tj in range(pattern.terms[j]):
                        c = pair_coefficient(i, ti, j, tj, pattern, coef[b], sums[b], gram[b])
                        s = transmit[b, pattern.tx[j, tj], pattern.tx[i, ti]]
                        total += c.real * s.real - c.imag * s.imag
                fim[b, i, j] = scale * total
                fim[b, j, i] = scale * total
    return fim


@kernel
def transform(jacobian, fim):
    """Congruence jacobian^T @ fim @ jacobian for every draw: (batch, new, new), exactly symmetric."""
    batch, params, new = jacobian.shape
    out = np.zeros((batch, new, new))
    half = np.zeros((params, new))
    for b in range(batch):
        half[:] = 0.0
        for i in range(params):
            for j in range(params):
                f = fim[b, i, j]
                if f != 0.0:
                    for c in range(new):
                        half[i, c] += f * jacobian[b, j, c]
        for a in range(new):
            for i in range(params):
                g = jacobian[b, i, a]
                if g != 0.0:
                    for c in range(a, new):
                        out[b, a, c] += g * half[i, c]
            for c in range(a):
                out[b, a, c] = out[b, c, a]
    return out


@kernel
def congruence(columns, covariance):
    """S = B^H V B for every draw: columns (batch, antenna, c), covariance (batch, antenna, antenna)."""
    batch, antennas, count = columns.shape
    out = np.zeros((batch, count, count), np.complex128)
    half = np.zeros((antennas, count), np.complex128)
    for b in range(batch):
        apply(covariance[b], columns[b], half)
        for r in range(count):
            for c in range(count):
                total = 0.0j
                for i in range(antennas):
                    total += np.conj(columns[b, i, r]) * half[i, c]
                out[b, r, c] = total
    return out
