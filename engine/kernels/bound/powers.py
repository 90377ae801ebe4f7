"""The weighted bound of eight designs where powers of codewords are the unknowns: V = P_m U diag(p) U^H, p = z^2.

Row i of problem.gram is B^H u_i, what codeword i sends into the columns of B. Tests: test_interior, test_conventions.
"""

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, put, root, where_less
from ..linalg.lanemat import inner
from .objective import weighted_crb

_BALANCING_STEPS = 2
_LEAST_STIFFNESS = 0.05
_TINY = 1e-200


@unmanaged
def transmit_powers(problem, powers, sr, si):
    """S = B^H U diag(powers) U^H B, from powers (qn, 1, lane) and `problems.ProblemLanes`."""
    gram = problem.gram
    count = powers.shape[0]
    n = problem.coupling.shape[1]
    for k in range(n):
        for h in range(k + 1):
            for r in range(k, count, n):
                for s in range(h, count, n):
                    x = everywhere(0.0)
                    for i in range(count):
                        p = get(powers, i, 0) * get(gram, i, r)
                        x += p * get(gram, i, s)
                    put(sr, x, r, s)
                    put(si, 0.0, r, s)
    if problem.gram_imag.shape[0] > 0:
        _add_imaginary_powers(gram, problem.gram_imag, powers, n, sr, si)


@unmanaged
def _add_imaginary_powers(gram, gram_imag, powers, n, sr, si):
    """What imaginary parts of B^H U add to S."""
    count = powers.shape[0]
    for k in range(n):
        for h in range(k + 1):
            for r in range(k, count, n):
                for s in range(h, count, n):
                    x = get(sr, r, s)
                    y = everywhere(0.0)
                    for i in range(count):
                        p = get(powers, i, 0)
                        u = get(gram_imag, i, r)
                        v = get(gram_imag, i, s)
                        x += p * u * v
                        y += p * (u * get(gram, i, s) - get(gram, i, r) * v)
                    put(sr, x, r, s)
                    put(si, y, r, s)


@unmanaged
def _power_slopes(gram, gram_imag, gr, gi, slopes):
    """Derivatives of f with respect to the powers of codewords, from Gamma: (qn, 1)."""
    count = slopes.shape[0]
    for i in range(count):
        total = everywhere(0.0)
        for r in range(count):
            x = everywhere(0.0)
            for s in range(count):
                x += get(gr, r, s) * get(gram, i, s)
            total += x * get(gram, i, r)
        if gram_imag.shape[0] > 0:
            total += _imaginary_slope(gram, gram_imag, gr, gi, i)
        put(slopes, total, i, 0)


@unmanaged
def _imaginary_slope(gram, gram_imag, gr, gi, i):
    """What the imaginary part of B^H u_i adds to the slope: Gamma is Hermitian, so that the cross terms are equal."""
    count = gram.shape[0]
    total = everywhere(0.0)
    for r in range(count):
        x = everywhere(0.0)
        for s in range(count):
            x += get(gr, r, s) * get(gram_imag, i, s) + 2.0 * get(gi, r, s) * get(gram, i, s)
        total += x * get(gram_imag, i, r)
    return total


@inlined
def power_objective(evaluation, rho, powers):
    """The bound f at powers (qn, 1); evaluation.slopes holds its derivatives with respect to them."""
    gram, gram_imag = evaluation.problem.gram, evaluation.problem.gram_imag
    transmit_powers(evaluation.problem, powers, evaluation.sr, evaluation.si)
    total = everywhere(0.0)
    for i in range(powers.shape[0]):
        total += get(powers, i, 0)
    value = weighted_crb(evaluation, rho, total)
    _power_slopes(gram, gram_imag, evaluation.gr, evaluation.gi, evaluation.slopes)
    if evaluation.prior_slope.shape[0] > 0:
        for i in range(powers.shape[0]):
            put(evaluation.slopes, get(evaluation.slopes, i, 0) - get(evaluation.prior_slope, 0, 0), i, 0)
    return value


@unmanaged
def balance(evaluation, rho, powers):
    """Change powers (qn, 1) such that no codeword is far too strong or too weak: a start for the solvers.

    Were f = sum_i c_i / p_i, its optimum would be p_i sqrt(-df/dp_i), up to a factor: the multiplicative algorithm of
    optimal design (Titterington 1976; Silvey, Titterington and Torsney, Commun. Stat. A 7, 1978), with power 1/2 and
    two steps. Powers with which f does not exist are left alone. They come out at unit sum.
    """
    count = powers.shape[0]
    for _ in range(_BALANCING_STEPS):
        value = power_objective(evaluation, rho, powers)
        total = everywhere(0.0)
        for i in range(count):
            steep = -get(evaluation.slopes, i, 0)
            steep = where_less(0.0, steep, steep, 0.0)
            p = get(powers, i, 0) * root(steep)
            p = where_less(value, np.inf, p, get(powers, i, 0))
            put(powers, p, i, 0)
            total += p
        for i in range(count):
            put(powers, get(powers, i, 0) / total, i, 0)


@inlined
def root_objective(evaluation, rho, z, gradient):
    """The bound f at powers z^2 and the power |z|^2, with the gradient of log f + log power.

    z and gradient are (qn, 1); evaluation.powers and evaluation.slopes are what they say at this point.
    """
    count = z.shape[0]
    power = inner(z, z)
    for i in range(count):
        put(evaluation.powers, get(z, i, 0) * get(z, i, 0), i, 0)
    value = power_objective(evaluation, rho, evaluation.powers)
    for i in range(count):
        slope = get(evaluation.slopes, i, 0)
        put(gradient, 2.0 * get(z, i, 0) * (slope / value + 1.0 / power), i, 0)
    return value, power


@unmanaged
def root_stiffness(evaluation, value, power, out):
    """Guess of second derivatives of log f + log power along each root (qn, 1), at unit power, after `root_objective`.

    It is 2 (1 - N_i) for a codeword without power, N_i = -df/dp_i / f, and 8 N_i for one that alone gives what it gives
    (f = sum_i c_i / z_i^2); in between the latter counts by the codeword's share of the power in its direction.
    """
    share = power / value
    for i in range(out.shape[0]):
        steep = -share * get(evaluation.slopes, i, 0)
        free = where_less(steep, 1.0, 1.0 - steep, 0.0)
        own = get(evaluation.powers, i, 0) / (get(evaluation.sr, i, i) + _TINY)
        put(out, 2.0 * free + 8.0 * steep * own + _LEAST_STIFFNESS, i, 0)
