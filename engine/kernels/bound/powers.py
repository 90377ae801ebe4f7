"""Eight design problems side by side where powers of codewords are the unknowns: V = P_m U diag(p) U^H, p = z^2."""

import numpy as np

from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put, root, where_less
from ..linalg.lanemat import inner
from .block import weighted_crb

_BALANCING_ROUNDS = 2
_LEAST_STIFFNESS = 0.05
_TINY = 1e-200


@unmanaged
def transmit_powers(block, powers):
    """S = N diag(powers) N^H, N = B^H U."""
    count = block.mix.shape[0]
    n = count // 2
    for k in range(n):
        for h in range(k + 1):
            for r in (k, n + k):
                x = everywhere(0.0)
                y = everywhere(0.0)
                for i in range(count):
                    p = get(powers, i, 0) * get(block.gram, i, r)
                    x += p * get(block.gram, i, h)
                    y += p * get(block.gram, i, n + h)
                put(block.sr, x, r, h)
                put(block.sr, y, r, n + h)
                put(block.si, 0.0, r, h)
                put(block.si, 0.0, r, n + h)
    if block.gram_imag.shape[0] > 0:
        _add_imaginary_powers(block, powers)


@unmanaged
def _add_imaginary_powers(block, powers):
    """What imaginary parts of N add to S."""
    count = block.mix.shape[0]
    n = count // 2
    for k in range(n):
        for h in range(k + 1):
            for r in (k, n + k):
                for s in (h, n + h):
                    x = get(block.sr, r, s)
                    y = everywhere(0.0)
                    for i in range(count):
                        p = get(powers, i, 0)
                        u = get(block.gram_imag, i, r)
                        v = get(block.gram_imag, i, s)
                        x += p * u * v
                        y += p * (u * get(block.gram, i, s) - get(block.gram, i, r) * v)
                    put(block.sr, x, r, s)
                    put(block.si, y, r, s)


@unmanaged
def power_slope(block, i):
    """Derivative of f with respect to the power of codeword i, from Gamma."""
    count = block.mix.shape[0]
    total = everywhere(0.0)
    for r in range(count):
        x = everywhere(0.0)
        for s in range(count):
            x += get(block.gr, r, s) * get(block.gram, i, s)
        total += x * get(block.gram, i, r)
    if block.gram_imag.shape[0] > 0:
        total += _imaginary_slope(block, i)
    return total


@unmanaged
def _imaginary_slope(block, i):
    """What the imaginary part of B^H u_i adds to the slope: Gamma is Hermitian, so that the cross terms are equal."""
    count = block.mix.shape[0]
    total = everywhere(0.0)
    for r in range(count):
        x = everywhere(0.0)
        for s in range(count):
            x += get(block.gr, r, s) * get(block.gram_imag, i, s) + 2.0 * get(block.gi, r, s) * get(block.gram, i, s)
        total += x * get(block.gram_imag, i, r)
    return total


@unmanaged
def balance(block, rho):
    """Make block.powers such that no codeword is far too strong or too weak: a start for the solvers.

    Were f = sum_i c_i / p_i, its optimum would be p_i sqrt(-df/dp_i), up to a factor: the multiplicative rule of
    optimal designs, applied twice. Powers with which f does not exist are left alone.
    """
    count = block.mix.shape[0]
    for _ in range(_BALANCING_ROUNDS):
        transmit_powers(block, block.powers)
        value = weighted_crb(block, rho)
        total = everywhere(0.0)
        for i in range(count):
            steep = -power_slope(block, i)
            steep = where_less(0.0, steep, steep, 0.0)
            p = get(block.powers, i, 0) * root(steep)
            p = where_less(value, np.inf, p, get(block.powers, i, 0))
            put(block.half, p, i, 0)
            total += p
        for i in range(count):
            put(block.powers, get(block.half, i, 0) / total, i, 0)


@unmanaged
def root_objective(block, rho, z, gradient):
    """f(diag(z^2)), the power |z|^2, and the gradient of log f + log power; slopes of f stay in block.half[:, 0]."""
    count = block.mix.shape[0]
    power = inner(z, z)
    for i in range(count):
        put(block.powers, get(z, i, 0) * get(z, i, 0), i, 0)
    transmit_powers(block, block.powers)
    value = weighted_crb(block, rho)
    for i in range(count):
        slope = power_slope(block, i)
        put(block.half, slope, i, 0)
        put(gradient, 2.0 * get(z, i, 0) * (slope / value + 1.0 / power), i, 0)
    return value, power


@unmanaged
def root_stiffness(block, value, power, out):
    """Guess of the second derivative of log f + log power along each root, at unit power, after `root_objective`.

    It is 2 (1 - N_i) for a codeword without power, N_i = -df/dp_i / f, and 8 N_i for one that alone gives what it gives
    (f = sum_i c_i / z_i^2); in between the latter counts by the codeword's share of the power in its direction.
    """
    share = power / value
    for i in range(block.mix.shape[0]):
        steep = -share * get(block.half, i, 0)
        free = where_less(steep, 1.0, 1.0 - steep, 0.0)
        own = get(block.powers, i, 0) / (get(block.sr, i, i) + _TINY)
        put(out, 2.0 * free + 8.0 * steep * own + _LEAST_STIFFNESS, i, 0)
