"""The certificate of eight designs: how far each is from its optimum at most, from f and its gradient alone.

The bound f is convex and of degree -1 in V: f(t V) = f(V) / t. So tr grad f(V) V = -f(V), and for every V' of power P

    f(V') >= f(V) + tr grad f(V) (V' - V) = 2 f(V) - tr (-grad f(V)) V' >= 2 f(V) - P lambda_max(-grad f(V)).

The same line through the best multiple of V gives f* >= f(V)^2 / (P lambda_max(-grad f(V))): the relative gap
P lambda_max(-grad f(V)) / f(V) - 1 is at least f(V)/f* - 1. With power on fixed codewords lambda_max becomes
max_i -df/dp_i. Both hold for any V, wherever it comes from. `dense.certificate` has it once
more, from other sums: tests/engine/beamforming/test_certificate.py.
"""

import numpy as np

from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put, where_less
from ..linalg.eigen import largest_hermitian
from ..linalg.lanemat import hermitian_cholesky

_CLOSE = 1.0 + 2e-6  # where the largest eigenvalue is to be expected, at most


@unmanaged
def covariance_is_certified(gradient, level, slack):
    """1 in the lanes in which lambda_max(gradient) < level, else 0.

    The gap is below a tolerance where this holds of -grad f, (2 n, n, lane) with its lower triangle, and the level
    (1 + tolerance) f / P. The slack, level I - gradient, comes out factored.
    """
    n = gradient.shape[1]
    for i in range(n):
        for k in range(i):
            put(slack, -get(gradient, i, k), i, k)
            put(slack, -get(gradient, n + i, k), n + i, k)
        put(slack, level - get(gradient, i, i), i, i)
    return hermitian_cholesky(slack, n, n)


@unmanaged
def powers_are_certified(slopes, level):
    """1 in the lanes in which max_i -slopes_i < level, else 0: the same for powers, with slopes df/dp (n, 1, lane)."""
    fine = everywhere(1.0)
    for i in range(slopes.shape[0]):
        fine = where_less(-get(slopes, i, 0), level, fine, 0.0)
    return fine


@unmanaged
def gap_of_covariance(value, gradient, scaled, eigen_space):
    """Certified gap of a covariance of unit trace, from f and -grad f (2 n, n, lane); inf where f is.

    scaled (2 n, n, lane) becomes N = -grad f / f, and is used up; eigen_space is `eigen.eigen_space(2 n)`.
    """
    n = gradient.shape[1]
    scale = 1.0 / value
    for i in range(2 * n):
        for k in range(n):
            put(scaled, scale * get(gradient, i, k), i, k)
    gap = largest_hermitian(scaled, n, 1.0, _CLOSE, eigen_space[0], eigen_space[1]) - 1.0
    gap = where_less(gap, 0.0, 0.0, gap)  # below 0 is rounding
    return where_less(value, np.inf, gap, np.inf)


@unmanaged
def gap_of_powers(value, slopes):
    """Certified gap of powers of unit sum, from f and df/dp (n, 1, lane); inf where f is."""
    steepest = everywhere(-np.inf)
    for i in range(slopes.shape[0]):
        slope = -get(slopes, i, 0)
        steepest = where_less(steepest, slope, slope, steepest)
    gap = steepest / value - 1.0
    gap = where_less(gap, 0.0, 0.0, gap)  # below 0 is rounding
    return where_less(value, np.inf, gap, np.inf)
