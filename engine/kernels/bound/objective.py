"""The weighted bound f = rho CRB_BP + (1 - rho) CRB_MS at eight designs, and its gradient; for codewords see `powers`.

A factor Z gives V = P_m Q Z Z^H Q^H, a reduced covariance x gives V = P_m Q x Q^H. To the solver Z is a vector of real
unknowns: its real, then its imaginary part, row by row. All take f at whatever power V has, with the prior counted by
that power (see `efim`). Tests: test_polar, test_interior; twin: `dense.objective`.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import inner
from .congruences import complex_congruence, complex_negative_congruence, congruence, negative_congruence
from .efim import BoundBuffers, new_buffers
from .linkbound import link_crb
from .problems import ProblemLanes, new_lanes


class Evaluation(NamedTuple):
    """Eight design problems, and what the last evaluation of their objective left behind."""

    problem: ProblemLanes
    bistatic: BoundBuffers
    monostatic: BoundBuffers
    beams: np.ndarray  # C = mix^H Z, of factors: (2 * qn, columns)
    sr: np.ndarray  # S, rows of a path k and columns of a path h <= k: real part, (qn, qn)
    si: np.ndarray  # imaginary part
    gr: np.ndarray  # Gamma, the gradient with respect to S: real part, (qn, qn)
    gi: np.ndarray
    prior_slope: np.ndarray  # -df/dpower at a given S, from the prior alone: (1, 1), or (0, 0) where there is none
    negative_gradient: np.ndarray  # -mix Gamma mix^H, and the prior's slope: with respect to x, (2 * qn, qn)
    powers: np.ndarray  # of codewords: (qn, 1)
    slopes: np.ndarray  # derivatives of f with respect to these: (qn, 1)
    half_product: np.ndarray  # of a triple product with mix, for the function that computes it: (2 * qn, qn)
    slack: np.ndarray  # a multiple of the identity less -grad f, factored, for `certificate`: (2 * qn, qn)


@kernel
def new_evaluation(problems, columns):
    """Room for eight of the problems (`ProblemArrays`), for factors of so many columns: even; 0 for powers."""
    count = problems.mix.shape[1]
    lanes = new_lanes(problems)
    known = min(1, lanes.bistatic.prior.shape[0] + lanes.monostatic.prior.shape[0])
    return Evaluation(
        problem=lanes,
        bistatic=new_buffers(lanes.bistatic),
        monostatic=new_buffers(lanes.monostatic),
        beams=lane_zeros(2 * count, columns),
        sr=lane_zeros(count, count),
        si=lane_zeros(count, count),
        gr=lane_zeros(count, count),
        gi=lane_zeros(count, count),
        prior_slope=lane_zeros(known, known),
        negative_gradient=lane_zeros(2 * count, count),
        powers=lane_zeros(count, 1),
        slopes=lane_zeros(count, 1),
        half_product=lane_zeros(2 * count, count),
        slack=lane_zeros(2 * count, count),
    )


@inlined
def weighted_crb(evaluation, rho, power):
    """Rho CRB_BP + (1 - rho) CRB_MS at S and its power; the gradient Gamma, both triangles, goes to evaluation."""
    problem, sr, si, gr, gi = evaluation.problem, evaluation.sr, evaluation.si, evaluation.gr, evaluation.gi
    bistatic, monostatic = evaluation.bistatic, evaluation.monostatic
    count = problem.mix.shape[0]
    n = problem.coupling.shape[1]
    gr[:] = 0.0
    gi[:] = 0.0
    value = link_crb(problem.bistatic, rho, (sr, si, power), gr, gi, bistatic)
    value += link_crb(problem.monostatic, 1.0 - rho, (sr, si, power), gr, gi, monostatic)
    if evaluation.prior_slope.shape[0] > 0:
        slope = where_less(0.0, rho, rho * get(bistatic.prior_slope, 0, 0), 0.0)
        slope += where_less(rho, 1.0, (1.0 - rho) * get(monostatic.prior_slope, 0, 0), 0.0)
        put(evaluation.prior_slope, slope, 0, 0)
    for k in range(n):
        for h in range(k):
            for r in range(k, count, n):
                for s in range(h, count, n):
                    put(gr, get(gr, r, s), s, r)
                    put(gi, -get(gi, r, s), s, r)
    return value


@inlined
def _transmit(evaluation, z, columns):
    """C = mix^H Z and S = C C^H."""
    mix = evaluation.problem.mix
    count = mix.shape[0]
    n = evaluation.problem.coupling.shape[1]
    c, sr, si = evaluation.beams, evaluation.sr, evaluation.si
    for r in range(count):
        for part in range(2):
            for k in range(0, columns, 2):
                x = everywhere(0.0)
                y = everywhere(0.0)
                for i in range(r + 1):  # mix is upper triangular
                    w = get(mix, i, r)
                    place = (part * count + i) * columns + k
                    x += w * get(z, place, 0)
                    y += w * get(z, place + 1, 0)
                put(c, x, part * count + r, k)
                put(c, y, part * count + r, k + 1)
    if evaluation.problem.mix_imag.shape[0] > 0:
        _add_imaginary_beams(evaluation.problem.mix_imag, z, columns, c)
    for k in range(n):
        for h in range(k + 1):
            for r in range(k, count, n):
                for s in range(h, count, 2 * n):  # two blocks at a time; where they are odd the last one twice
                    t = min(n + s, count - n + h)
                    u = everywhere(0.0)
                    v = everywhere(0.0)
                    x = everywhere(0.0)
                    y = everywhere(0.0)
                    for i in range(columns):
                        a = get(c, r, i)
                        b = get(c, count + r, i)
                        p = get(c, s, i)
                        q = get(c, count + s, i)
                        u += a * p + b * q
                        v += b * p - a * q
                        p = get(c, t, i)
                        q = get(c, count + t, i)
                        x += a * p + b * q
                        y += b * p - a * q
                    put(sr, u, r, s)
                    put(si, v, r, s)
                    put(sr, x, r, t)
                    put(si, y, r, t)


@unmanaged
def _add_imaginary_beams(mix_imag, z, columns, c):
    """Add what the imaginary part of mix makes of C = mix^H Z."""
    count = mix_imag.shape[0]
    imag = count * columns
    for r in range(count):
        for k in range(columns):
            x = get(c, r, k)
            y = get(c, count + r, k)
            for i in range(r + 1):
                w = get(mix_imag, i, r)
                x += w * get(z, imag + i * columns + k, 0)
                y -= w * get(z, i * columns + k, 0)
            put(c, x, r, k)
            put(c, y, count + r, k)


@inlined
def factor_objective(evaluation, rho, z, columns, gradient):
    """The bound f at Z Z^H and the power |Z|^2, with the gradient of log f + log power.

    z and gradient are (2 * qn * columns, 1, lane); evaluation.negative_gradient is -grad f with respect to Z Z^H.
    """
    count = evaluation.problem.mix.shape[0]
    power = inner(z, z)
    _transmit(evaluation, z, columns)
    value = weighted_crb(evaluation, rho, power)
    steep = evaluation.negative_gradient
    reduced_gradient(evaluation)
    slope = -2.0 / value
    pull = 2.0 / power
    imag = count * columns
    for i in range(count):
        for k in range(0, columns, 2):
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for s in range(count):
                a = get(steep, i, s)
                b = get(steep, count + i, s)
                place = s * columns + k
                p = get(z, place, 0)
                q = get(z, imag + place, 0)
                u += a * p - b * q
                v += a * q + b * p
                p = get(z, place + 1, 0)
                q = get(z, imag + place + 1, 0)
                x += a * p - b * q
                y += a * q + b * p
            place = i * columns + k
            put(gradient, slope * u + pull * get(z, place, 0), place, 0)
            put(gradient, slope * v + pull * get(z, imag + place, 0), imag + place, 0)
            put(gradient, slope * x + pull * get(z, place + 1, 0), place + 1, 0)
            put(gradient, slope * y + pull * get(z, imag + place + 1, 0), imag + place + 1, 0)
    return value, power


@inlined
def transmit_covariance(evaluation, x):
    """S = mix^H x mix of a Hermitian x (2 * qn, qn)."""
    problem, half = evaluation.problem, evaluation.half_product
    n = problem.coupling.shape[1]
    if problem.mix_imag.shape[0] > 0:
        complex_congruence(problem.mix, problem.mix_imag, x, half, n, evaluation.sr, evaluation.si)
    else:
        congruence(problem.mix, x, half, n, evaluation.sr, evaluation.si)


@inlined
def reduced_gradient(evaluation):
    """-mix Gamma mix^H, and the prior's slope: the negative gradient with respect to the reduced covariance x."""
    problem, half, out = evaluation.problem, evaluation.half_product, evaluation.negative_gradient
    if problem.mix_imag.shape[0] > 0:
        complex_negative_congruence(problem.mix, problem.mix_imag, evaluation.gr, evaluation.gi, half, out)
    else:
        negative_congruence(problem.mix, evaluation.gr, evaluation.gi, half, out)
    if evaluation.prior_slope.shape[0] > 0:
        for i in range(out.shape[1]):
            put(out, get(out, i, i) + get(evaluation.prior_slope, 0, 0), i, i)


@unmanaged
def covariance_objective(evaluation, rho, power, x):
    """The bound f at a reduced covariance x (2 * qn, qn) and its power; evaluation.negative_gradient is -grad f.

    The power may be more than the trace of x: of a covariance that has some where no link sees it.
    """
    transmit_covariance(evaluation, x)
    value = weighted_crb(evaluation, rho, power)
    reduced_gradient(evaluation)
    return value
