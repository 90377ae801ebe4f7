"""Random factors of covariances, in a fixed order of operations. Tests: test_recovery, test_factors."""

import math

import numpy as np

from ..jit.accelerate import kernel


@kernel
def products_of(root, factors):
    """R W of every factor W: root (n, r), factors (count, r, L) -> (count, n, L)."""
    count, r, columns = factors.shape
    n = root.shape[0]
    out = np.zeros((count, n, columns), np.complex128)
    for c in range(count):
        for i in range(n):
            for k in range(r):
                for j in range(columns):
                    out[c, i, j] += root[i, k] * factors[c, k, j]
    return out


@kernel
def unit_covariances(factors):
    """W W^H / tr W W^H of every factor (count, n, L): (count, n, n); 0 where W is."""
    count, n, columns = factors.shape
    out = np.zeros((count, n, n), np.complex128)
    for c in range(count):
        power = 0.0
        for i in range(n):
            for j in range(columns):
                power += factors[c, i, j].real ** 2 + factors[c, i, j].imag ** 2
        if power > 0.0:
            for i in range(n):
                for k in range(i + 1):
                    total = 0.0j
                    for j in range(columns):
                        total += factors[c, i, j] * np.conj(factors[c, k, j])
                    out[c, i, k] = total / power
                    out[c, k, i] = np.conj(total) / power
                out[c, i, i] = out[c, i, i].real
    return out


@kernel
def phases_of(words):
    """exp(j phi) of uniform phases from the first of each pair of 64-bit words (n, 2)."""
    out = np.zeros(words.shape[0], np.complex128)
    for i in range(words.shape[0]):
        angle = 2.0 * math.pi * (float(words[i, 0] >> np.uint64(12)) + 0.5) * 2.0**-52
        out[i] = complex(math.cos(angle), math.sin(angle))
    return out
