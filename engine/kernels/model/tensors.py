"""Per-subcarrier derivative tensors D[p, m, r, t] = dH_m[r, t] / dxi_p, and the FIM (6) summed from them.

The literal, general path: it knows nothing of delay sums or of the span of the steering vectors, and is the
reference for the separable one. Twin: tests/support/naive.py, in tests/engine/test_fisher.py.
"""

import math

import numpy as np

from ..jit.accelerate import kernel
from .bases import apply


@kernel
def _fill(out, p, omega, pattern, coef, delay, rx_columns, tx_columns):
    """Write dH/dxi_p at angular frequency omega into out (receive, transmit)."""
    out[:] = 0.0
    angle = -omega * delay[pattern.path[p]]
    phasor = complex(math.cos(angle), math.sin(angle))
    if pattern.order[p] == 1:
        phasor *= complex(0.0, -omega)
    for t in range(pattern.terms[p]):
        factor = coef[p, t] * phasor
        for r in range(out.shape[0]):
            left = factor * rx_columns[r, pattern.rx[p, t]]
            for c in range(out.shape[1]):
                out[r, c] += left * np.conj(tx_columns[c, pattern.tx[p, t]])


@kernel
def derivative_tensor(pattern, coef, delay, spacing, rx_columns, tx_columns, params, subcarriers):
    """D (batch, len(params), len(subcarriers), receive, transmit); subcarrier numbers count from 1."""
    batch = coef.shape[0]
    out = np.zeros((batch, params.size, subcarriers.size, rx_columns.shape[1], tx_columns.shape[1]), np.complex128)
    for b in range(batch):
        for n in range(params.size):
            for m in range(subcarriers.size):
                omega = 2.0 * math.pi * spacing * subcarriers[m]
                _fill(
                    out[b, n, m], params[n], omega, pattern, coef[b], delay[b], rx_columns[b], tx_columns[b],
                )  # fmt: skip
    return out


@kernel
def channel(gain, delay, spacing, rx_columns, tx_columns, norm, subcarriers):
    """H (batch, subcarrier, receive, transmit) of (3) and (5); norm restores the unit-norm a columns."""
    batch, paths = gain.shape
    out = np.zeros((batch, subcarriers.size, rx_columns.shape[1], tx_columns.shape[1]), np.complex128)
    for b in range(batch):
        for m in range(subcarriers.size):
            omega = 2.0 * math.pi * spacing * subcarriers[m]
            for k in range(paths):
                angle = -omega * delay[b, k]
                factor = norm * gain[b, k] * complex(math.cos(angle), math.sin(angle))
                for r in range(out.shape[2]):
                    left = factor * rx_columns[b, r, k]
                    for c in range(out.shape[3]):
                        out[b, m, r, c] += left * np.conj(tx_columns[b, c, k])
    return out


@kernel
def explicit_fim(pattern, coef, delay, spacing, subcarriers, rx_columns, tx_columns, covariance, scale):
    """FIM (6), (batch, param, param), by the explicit sum over subcarriers, receive and transmit antennas."""
    batch, params, _ = coef.shape
    receive = rx_columns.shape[1]
    transmit = tx_columns.shape[1]
    fim = np.zeros((batch, params, params))
    slices = np.zeros((params, receive, transmit), np.complex128)
    shaped = np.zeros((params, receive, transmit), np.complex128)
    weighted = np.zeros_like(tx_columns[0])
    for b in range(batch):
        # With V Hermitian, D V of a D = sum of r t^H is the sum of r (V t)^H: V is read once, not for each subcarrier.
        apply(covariance[b], tx_columns[b], weighted)
        for m in range(1, subcarriers + 1):
            omega = 2.0 * math.pi * spacing * m
            for p in range(params):
                _fill(slices[p], p, omega, pattern, coef[b], delay[b], rx_columns[b], tx_columns[b])
                _fill(shaped[p], p, omega, pattern, coef[b], delay[b], rx_columns[b], weighted)
            for i in range(params):
                for j in range(i, params):
                    total = 0.0
                    for r in range(receive):
                        for c in range(transmit):
                            d = slices[i, r, c]
                            e = shaped[j, r, c]
                            total += e.real * d.real + e.imag * d.imag
                    fim[b, i, j] += scale * total
        for i in range(params):
            for j in range(i):
                fim[b, i, j] = fim[b, j, i]
    return fim
