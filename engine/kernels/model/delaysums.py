"""Sums over subcarriers sum_m (2 pi m df)^q exp(j 2 pi m df tau), m = 1..M, q = 0, 1, 2, in closed form.

With x = 2 pi df tau and the index centred, m = (M+1)/2 + k, the sum over k is sin(Mx/2)/sin(x/2) and its
derivatives. Those cancel for small x (at 1 ps the second derivative has no digit left), so below
|M x / 2| = 2 the even power series with exact index moments is summed instead.
"""

import math

import numpy as np

from ..jit.accelerate import kernel, unmanaged

SERIES_TERMS = 18
_SERIES_LIMIT = 2.0


@kernel
def index_moments(count):
    """sum_k (2k/M)^(2i) over the centred indices k, i = 0..SERIES_TERMS."""
    moments = np.zeros(SERIES_TERMS + 1)
    for m in range(count):
        square = ((2.0 * m - (count - 1)) / count) ** 2
        power = 1.0
        for i in range(SERIES_TERMS + 1):
            moments[i] += power
            power *= square
    return moments


@unmanaged
def centred_sums(x, count, moments):
    """Real sums (C0, C1, C2): sum_k exp(jkx) = C0, sum_k k exp(jkx) = j C1, sum_k k^2 exp(jkx) = C2."""
    y = 0.5 * count * x
    if abs(y) < _SERIES_LIMIT:
        c0 = 0.0
        c1 = 0.0
        c2 = 0.0
        term = 1.0  # (-1)^i y^(2i) / (2i)!
        for i in range(SERIES_TERMS):
            c0 += term * moments[i]
            c2 += term * moments[i + 1]
            c1 += term * moments[i + 1] * y / (2 * i + 1)
            term *= -y * y / ((2 * i + 1) * (2 * i + 2))
        return c0, 0.5 * count * c1, 0.25 * count * count * c2
    s = math.sin(0.5 * x)
    c = math.cos(0.5 * x)
    sm = math.sin(y)
    cm = math.cos(y)
    c0 = sm / s
    slope = (0.5 * count * cm - 0.5 * c * c0) / s  # d C0 / dx
    curvature = (-0.25 * count * count * sm + 0.25 * sm - c * slope) / s  # d2 C0 / dx2
    return c0, -slope, -curvature


@kernel
def delay_sums(delay, spacing, count):
    """Sums for every pair of paths: out[b, q, i, k] = sum_m (2 pi m df)^q exp(j 2 pi m df (tau_i - tau_k))."""
    batch, paths = delay.shape
    moments = index_moments(count)
    out = np.zeros((batch, 3, paths, paths), np.complex128)
    omega = 2.0 * math.pi * spacing
    middle = 0.5 * (count + 1)
    for b in range(batch):
        for i in range(paths):
            for k in range(paths):
                x = omega * (delay[b, i] - delay[b, k])
                x -= 2.0 * math.pi * round(x / (2.0 * math.pi))  # exp(jmx) has this period in x
                c0, c1, c2 = centred_sums(x, count, moments)
                phasor = complex(math.cos(middle * x), math.sin(middle * x))
                out[b, 0, i, k] = phasor * c0
                out[b, 1, i, k] = omega * phasor * complex(middle * c0, c1)
                out[b, 2, i, k] = omega**2 * phasor * complex(middle**2 * c0 + c2, 2.0 * middle * c1)
    return out
