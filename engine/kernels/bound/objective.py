"""The weighted bound f = rho CRB_BP + (1 - rho) CRB_MS at eight designs, and its gradient; for codewords see `powers`.

A factor Z gives V = P_m Q Z Z^H Q^H, a reduced covariance x gives V = P_m Q x Q^H. To the solver Z is a vector of real
unknowns: its real, then its imaginary part, row by row. Tests: test_polar, test_interior; twin: `dense.objective`.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put
from ..linalg.lanemat import inner
from .efim import BoundBuffers, new_buffers
from .linkbound import link_crb
from .problems import ProblemLanes, new_lanes


class Evaluation(NamedTuple):
    """Eight design problems, and what the last evaluation of their objective left behind."""

    problem: ProblemLanes
    bistatic: BoundBuffers
    monostatic: BoundBuffers
    beams: np.ndarray  # C = mix^T Z, of factors: (2 * 2n, columns)
    sr: np.ndarray  # S, rows of a path k and columns of a path h <= k: real part, (2n, 2n)
    si: np.ndarray  # imaginary part
    gr: np.ndarray  # Gamma, the gradient with respect to S: real part, (2n, 2n)
    gi: np.ndarray
    negative_gradient: np.ndarray  # -mix Gamma mix^T, with respect to the reduced covariance: (2 * 2n, 2n)
    powers: np.ndarray  # of codewords: (2n, 1)
    slopes: np.ndarray  # derivatives of f with respect to these: (2n, 1)
    half_product: np.ndarray  # of a triple product with mix, for the function that computes it: (2 * 2n, 2n)
    slack: np.ndarray  # a multiple of the identity less -grad f, factored, for `certificate`: (2 * 2n, 2n)


@kernel
def new_evaluation(problems, columns):
    """Room for eight of the problems (`ProblemArrays`), for factors of so many columns: even; 0 for powers."""
    count = problems.mix.shape[1]
    lanes = new_lanes(problems)
    return Evaluation(
        problem=lanes,
        bistatic=new_buffers(lanes.bistatic, count // lanes.bistatic.phasor.shape[0]),
        monostatic=new_buffers(lanes.monostatic, count),
        beams=lane_zeros(2 * count, columns),
        sr=lane_zeros(count, count),
        si=lane_zeros(count, count),
        gr=lane_zeros(count, count),
        gi=lane_zeros(count, count),
        negative_gradient=lane_zeros(2 * count, count),
        powers=lane_zeros(count, 1),
        slopes=lane_zeros(count, 1),
        half_product=lane_zeros(2 * count, count),
        slack=lane_zeros(2 * count, count),
    )


@inlined
def weighted_crb(evaluation, rho):
    """Rho CRB_BP + (1 - rho) CRB_MS at S; its gradient Gamma, both triangles, goes to evaluation.gr and gi."""
    problem, sr, si, gr, gi = evaluation.problem, evaluation.sr, evaluation.si, evaluation.gr, evaluation.gi
    count = problem.mix.shape[0]
    n = count // 2
    gr[:] = 0.0
    gi[:] = 0.0
    value = link_crb(problem.bistatic, count // n, rho, sr, si, gr, gi, evaluation.bistatic)
    value += link_crb(problem.monostatic, count, 1.0 - rho, sr, si, gr, gi, evaluation.monostatic)
    for k in range(n):
        for h in range(k):
            for r in (k, n + k):
                for s in (h, n + h):
                    put(gr, get(gr, r, s), s, r)
                    put(gi, -get(gi, r, s), s, r)
    return value


@inlined
def _transmit(evaluation, z, columns):
    """C = mix^T Z and S = C C^H."""
    mix = evaluation.problem.mix
    count = mix.shape[0]
    n = count // 2
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
    for k in range(n):
        for h in range(k + 1):
            for r in (k, n + k):
                u = everywhere(0.0)
                v = everywhere(0.0)
                x = everywhere(0.0)
                y = everywhere(0.0)
                for i in range(columns):
                    a = get(c, r, i)
                    b = get(c, count + r, i)
                    p = get(c, h, i)
                    q = get(c, count + h, i)
                    u += a * p + b * q
                    v += b * p - a * q
                    p = get(c, n + h, i)
                    q = get(c, count + n + h, i)
                    x += a * p + b * q
                    y += b * p - a * q
                put(sr, u, r, h)
                put(si, v, r, h)
                put(sr, x, r, n + h)
                put(si, y, r, n + h)


@inlined
def factor_objective(evaluation, rho, z, columns, gradient):
    """The bound f at Z Z^H and the power |Z|^2, with the gradient of log f + log power.

    z and gradient are (2 * 2n * columns, 1, lane); evaluation.negative_gradient is -grad f with respect to Z Z^H.
    """
    count = evaluation.problem.mix.shape[0]
    power = inner(z, z)
    _transmit(evaluation, z, columns)
    value = weighted_crb(evaluation, rho)
    steep = evaluation.negative_gradient
    reduced_gradient(evaluation.problem.mix, evaluation.gr, evaluation.gi, evaluation.half_product, steep)
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


@unmanaged
def transmit_covariance(mix, x, half, sr, si):
    """S = mix^T x mix of a Hermitian x (2 * 2n, 2n); half, like x, becomes x mix."""
    count = mix.shape[0]
    n = count // 2
    for i in range(count):
        for s in range(count):
            u = everywhere(0.0)
            v = everywhere(0.0)
            for k in range(s + 1):  # mix is upper triangular
                w = get(mix, k, s)
                u += w * get(x, i, k)
                v += w * get(x, count + i, k)
            put(half, u, i, s)
            put(half, v, count + i, s)
    for k in range(n):
        for h in range(k + 1):
            for r in (k, n + k):
                for s in (h, n + h):
                    u = everywhere(0.0)
                    v = everywhere(0.0)
                    for i in range(r + 1):
                        w = get(mix, i, r)
                        u += w * get(half, i, s)
                        v += w * get(half, count + i, s)
                    put(sr, u, r, s)
                    put(si, v, r, s)


@unmanaged
def reduced_gradient(mix, gr, gi, half, out):
    """-mix Gamma mix^T, the negative gradient with respect to the reduced covariance, both triangles, (2 * 2n, 2n).

    half, like out, becomes the part of Gamma mix^T that this needs.
    """
    count = mix.shape[0]
    for i in range(count):  # mix is upper triangular, and the sums below need the rows from i on only
        for r in range(i - i % 2, count, 2):
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for s in range(i, count):
                w = get(mix, i, s)
                u += get(gr, r, s) * w
                v += get(gi, r, s) * w
                x += get(gr, r + 1, s) * w
                y += get(gi, r + 1, s) * w
            put(half, u, r, i)
            put(half, v, count + r, i)
            put(half, x, r + 1, i)
            put(half, y, count + r + 1, i)
    for i in range(count):
        for k in range(0, i + 1, 2):  # an entry above the diagonal comes along in even rows
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(i, count):
                w = get(mix, i, r)
                u -= w * get(half, r, k)
                v -= w * get(half, count + r, k)
                x -= w * get(half, r, k + 1)
                y -= w * get(half, count + r, k + 1)
            put(out, u, i, k)
            put(out, v, count + i, k)
            put(out, x, i, k + 1)
            put(out, y, count + i, k + 1)
    for i in range(count):
        for k in range(i):
            put(out, get(out, i, k), k, i)
            put(out, -get(out, count + i, k), count + k, i)


@unmanaged
def covariance_objective(evaluation, rho, x):
    """The bound f at a reduced covariance x (2 * 2n, 2n); evaluation.negative_gradient is -grad f."""
    mix, half = evaluation.problem.mix, evaluation.half_product
    transmit_covariance(mix, x, half, evaluation.sr, evaluation.si)
    value = weighted_crb(evaluation, rho)
    reduced_gradient(mix, evaluation.gr, evaluation.gi, half, evaluation.negative_gradient)
    return value
