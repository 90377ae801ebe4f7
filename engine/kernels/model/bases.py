"""Changes between the reduced covariance, codeword powers and the antennas' covariance, in a fixed order.

NumPy's reductions may add up in another order when the batch changes; these never do.
Tests: tests/engine/test_covariances.py, test_crb.py.
"""

import math

import numpy as np

from ..jit.accelerate import kernel, unmanaged


@kernel
def covariance_of_powers(mix, mix_imag, powers):
    """M diag(p) M^H: M of real part mix (batch, n, n), powers (batch, design, n) -> (batch, design, n, n), complex.

    mix_imag is the imaginary part of M, or (batch, 0, 0) where M is real.
    """
    batch, designs, count = powers.shape
    out = np.zeros((batch, designs, count, count), np.complex128)
    for b in range(batch):
        for d in range(designs):
            for i in range(count):
                for k in range(count):
                    total = 0.0
                    for c in range(count):
                        total += mix[b, i, c] * powers[b, d, c] * mix[b, k, c]
                    out[b, d, i, k] = total
                    if mix_imag.shape[1] > 0:
                        out[b, d, i, k] += _imaginary_part(mix[b], mix_imag[b], powers[b, d], i, k)
    return out


@unmanaged
def _imaginary_part(real, imag, powers, i, k):
    """What imaginary parts add to an entry of M diag(p) M^H."""
    total = 0.0j
    for c in range(powers.size):
        x = imag[i, c] * imag[k, c]
        y = imag[i, c] * real[k, c] - real[i, c] * imag[k, c]
        total += powers[c] * complex(x, y)
    return total


@kernel
def gram_of_powers(gram, powers):
    """S = N diag(p) N of codeword powers: gram (batch, n, n), complex, powers (batch, n) -> (batch, n, n)."""
    batch, count = powers.shape
    out = np.zeros((batch, count, count), np.complex128)
    for b in range(batch):
        for r in range(count):
            for s in range(count):
                total = 0.0j
                for c in range(count):
                    total += gram[b, r, c] * powers[b, c] * gram[b, c, s]
                out[b, r, s] = total
    return out


@kernel
def apply(covariance, columns, out):
    """Write V B into out: covariance (M_T, M_T), columns and out (M_T, c)."""
    antennas, count = columns.shape
    for i in range(antennas):
        for c in range(count):
            total = 0.0j
            for k in range(antennas):
                total += covariance[i, k] * columns[k, c]
            out[i, c] = total


@kernel
def expand(basis, x, power):
    """P_m Q x Q^H: basis (batch, M_T, n), x (batch, design, n, n) -> (batch, design, M_T, M_T)."""
    batch, designs, count, _ = x.shape
    antennas = basis.shape[1]
    out = np.zeros((batch, designs, antennas, antennas), np.complex128)
    half = np.zeros((antennas, count), np.complex128)
    for b in range(batch):
        for d in range(designs):
            half[:] = 0.0
            for t in range(antennas):
                for i in range(count):
                    for k in range(count):
                        half[t, k] += basis[b, t, i] * x[b, d, i, k]
            for t in range(antennas):
                for u in range(t + 1):
                    total = 0.0j
                    for k in range(count):
                        total += half[t, k] * np.conj(basis[b, u, k])
                    out[b, d, t, u] = power * total
                    out[b, d, u, t] = power * np.conj(total)
                out[b, d, t, t] = power * total.real
    return out


@kernel
def expand_factor(basis, factor, amplitude):
    """Amplitude Q w: basis (batch, M_T, n), factor (batch, design, n, L) -> (batch, design, M_T, L)."""
    batch, designs, count, slots = factor.shape
    antennas = basis.shape[1]
    out = np.zeros((batch, designs, antennas, slots), np.complex128)
    for b in range(batch):
        for d in range(designs):
            for t in range(antennas):
                for i in range(count):
                    for m in range(slots):
                        out[b, d, t, m] += amplitude * basis[b, t, i] * factor[b, d, i, m]
    return out


@kernel
def reduce(basis, covariance, power):
    """Q^H V Q / P_m: covariance (batch, design, M_T, M_T) -> (batch, design, n, n)."""
    batch, designs, antennas, _ = covariance.shape
    count = basis.shape[2]
    out = np.zeros((batch, designs, count, count), np.complex128)
    half = np.zeros((antennas, count), np.complex128)
    for b in range(batch):
        for d in range(designs):
            apply(covariance[b, d], basis[b], half)
            for i in range(count):
                for k in range(i + 1):
                    total = 0.0j
                    for t in range(antennas):
                        total += np.conj(basis[b, t, i]) * half[t, k]
                    out[b, d, i, k] = total / power
                    out[b, d, k, i] = np.conj(total) / power
                out[b, d, i, i] = out[b, d, i, i].real
    return out


@kernel
def beampattern(covariance, theta):
    """a(theta)^H V a(theta): covariance (design, M_T, M_T), theta (angle) -> (design, angle), W.

    Phases of a uniform array depend on the distance of two elements alone, so each diagonal of V is summed first.
    """
    designs, antennas, _ = covariance.shape
    sums = np.zeros((designs, antennas), np.complex128)
    for d in range(designs):
        for i in range(antennas):
            for k in range(i, antennas):
                sums[d, k - i] += covariance[d, i, k]
    out = np.zeros((designs, theta.size))
    for n in range(theta.size):
        step = math.pi * math.sin(theta[n])
        for d in range(designs):
            out[d, n] = sums[d, 0].real
        for apart in range(1, antennas):
            phase = complex(math.cos(apart * step), math.sin(apart * step))
            for d in range(designs):
                out[d, n] += 2.0 * (sums[d, apart] * phase).real
    return out


@kernel
def beam_gains(mix, mix_imag, x, paths, antennas):
    """M_T b_k^H (Q x Q^H) b_k for the steering columns b_k of every path: what a(theta_k)^H V a(theta_k) / P_m is.

    mix (batch, n, n) of B = Q mix, and its imaginary part or (batch, 0, 0), x (batch, design, n, n) -> (batch, design,
    path).
    """
    batch, designs, _, _ = x.shape
    out = np.zeros((batch, designs, paths))
    for b in range(batch):
        for d in range(designs):
            for path in range(paths):
                total = 0.0
                for i in range(path + 1):  # mix is upper triangular
                    for k in range(i):
                        total += 2.0 * mix[b, i, path] * x[b, d, i, k].real * mix[b, k, path]
                    total += mix[b, i, path] ** 2 * x[b, d, i, i].real
                if mix_imag.shape[1] > 0:
                    total = _complex_gain(mix[b], mix_imag[b], x[b, d], path)
                out[b, d, path] = antennas * total
    return out


@unmanaged
def _complex_gain(real, imag, x, path):
    """m^H x m of column m of a complex mixing matrix."""
    total = 0.0
    for i in range(path + 1):
        for k in range(path + 1):
            entry = complex(real[i, path], -imag[i, path]) * x[i, k] * complex(real[k, path], imag[k, path])
            total += entry.real
    return total
