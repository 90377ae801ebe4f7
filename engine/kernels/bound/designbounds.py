"""Bounds at designs, with the rule for infinite ones; and from plain FIMs. Tests: test_crb, test_scales."""

import math

import numpy as np

from ..dense.reduced import whiten
from ..jit.accelerate import kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.eigen import eigen_space, eigenvalues_above
from ..linalg.smallmat import eigen_hermitian
from .efim import factor_positions, solve_forward
from .objective import new_evaluation, transmit_covariance
from .problems import load_covariance, load_problems

_UNIT_ROUNDOFF = 2.0**-53


@kernel
def inverse_diagonal(fim, lost):
    """Diagonal of the inverse of each FIM (batch, p, p): (batch, p).

    With x the column of a parameter in the inverse of the unit-diagonal FIM, errors of one unit roundoff u in the
    entries of that move the parameter's bound x_a by u |x|^2 / x_a, relatively: where that reaches `lost`, the bound is
    inf, as it is where the parameter has no information. Eigenvalues below u are rounding and count as u.
    """
    batch, p, _ = fim.shape
    out = np.full((batch, p), np.inf)
    unit = np.zeros((p, p), np.complex128)
    for b in range(batch):
        if not np.isfinite(fim[b]).all():
            continue
        scale = np.zeros(p)
        for a in range(p):
            if fim[b, a, a] > 0.0:
                scale[a] = 1.0 / math.sqrt(fim[b, a, a])
        for a in range(p):
            for c in range(p):
                unit[a, c] = scale[a] * fim[b, a, c] * scale[c]
            if scale[a] == 0.0:
                unit[a, a] = 1.0  # tells nothing, and disturbs nobody
        values, vectors = eigen_hermitian(unit, p)
        for a in range(p):
            if scale[a] == 0.0:
                continue
            bound = 0.0
            square = 0.0
            for i in range(p):
                share = vectors[a, i].real ** 2 / max(values[i], _UNIT_ROUNDOFF)
                bound += share
                square += share / max(values[i], _UNIT_ROUNDOFF)
            if _UNIT_ROUNDOFF * square < lost * bound:
                out[b, a] = bound * scale[a] ** 2
    return out


@kernel
def bounds_of_channel_fims(channel_fim, jacobian, prior, lost):
    """Bounds of position parameters from FIMs of channel parameters (batch, P, P) and their Jacobians (batch, P, p).

    prior (p,) is the diagonal of J0. A bound is inf where its relative rounding, u sum_i I_ii v_i^2 / bound with v the
    response of the channel parameters, reaches `lost`. (batch, p).
    """
    batch, big, p = jacobian.shape
    out = np.full((batch, p), np.inf)
    for b in range(batch):
        factor, transform, fine = whiten(channel_fim[b], jacobian[b], prior)
        if not fine:
            continue
        for a in range(p):
            bound = 0.0
            for c in range(p):
                bound += factor[a, c] ** 2
            blur = 0.0
            for i in range(big):
                response = 0.0
                for c in range(p):
                    response += transform[i, c] * factor[a, c]
                blur += channel_fim[b, i, i] * response**2
            if _UNIT_ROUNDOFF * blur < lost * bound:
                out[b, a] = bound
    return out


@unmanaged
def _link_bounds(link, rows, sr, si, buffers, out):
    """Bounds of the leading parameters at S of full power, (parameter, 1, lane); inf where the FIM is singular."""
    fine = factor_positions(link, sr, si, everywhere(1.0), buffers)
    for row in range(rows):
        put(out, where_less(0.0, fine, solve_forward(link, buffers, row), np.inf), row, 0)


@unmanaged
def _keep_bounds(found, reference, lane, limit, out):
    """Bounds of one design; those `limit` times as large as at the APA point are inf: the FIM is singular there."""
    for row in range(out.size):
        if found[row, 0, lane] <= limit * reference[row]:
            out[row] = found[row, 0, lane]


@kernel
def design_bounds(problems, x, reference, limit):
    """Bounds of all position parameters at every design x (batch, design, n, n) of unit trace.

    reference (2, batch, parameters) are those at the APA point. Returns (batch, design, m) of BP and (batch, design,
    inner) of MS, sizes as in `efim.BoundBuffers`; all of a link are inf where its FIM is singular, and one where it is
    more than `limit` times as large as at the APA point, which is the same but for rounding.
    """
    batch, designs, count, _ = x.shape
    evaluation = new_evaluation(problems, 0)
    rows, inner = evaluation.bistatic.triangle.shape[0], evaluation.monostatic.triangle.shape[0]
    bistatic = np.full((batch, designs, rows), np.inf)
    monostatic = np.full((batch, designs, inner), np.inf)
    problem, sr, si = evaluation.problem, evaluation.sr, evaluation.si
    bp, ms = problem.bistatic, problem.monostatic
    covariances = lane_zeros(2 * count, count)
    found = lane_zeros(max(rows, inner), 1)
    for b in range(batch):
        load_problems(problem, problems, b, 1)
        for first in range(0, designs, LANES):
            used = min(LANES, designs - first)
            for lane in range(LANES):
                load_covariance(covariances, lane, x[b, first + min(lane, used - 1)])
            transmit_covariance(evaluation, covariances)
            _link_bounds(bp, rows, sr, si, evaluation.bistatic, found)
            for lane in range(used):
                _keep_bounds(found, reference[0, b], lane, limit, bistatic[b, first + lane])
            _link_bounds(ms, inner, sr, si, evaluation.monostatic, found)
            for lane in range(used):
                _keep_bounds(found, reference[1, b], lane, limit, monostatic[b, first + lane])
    return bistatic, monostatic


@kernel
def ranks_of(x, empty):
    """Eigenvalues of x (batch, design, n, n) above `empty` times the trace: how many, (batch, design).

    -1 where x is 0 or not finite.
    """
    batch, designs, count, _ = x.shape
    out = np.full((batch, designs), -1, np.int64)
    covariances = lane_zeros(2 * count, count)
    trace = lane_zeros(2, 1)
    v, p = eigen_space(2 * count)
    flat = np.ascontiguousarray(x).reshape(batch * designs, count, count)
    place = out.reshape(batch * designs)
    for first in range(0, batch * designs, LANES):
        used = min(LANES, batch * designs - first)
        for lane in range(used):
            trace[0, 0, lane] = 0.0
            for i in range(count):
                trace[0, 0, lane] += flat[first + lane, i, i].real
            load_covariance(covariances, lane, flat[first + lane])
        put(trace, eigenvalues_above(covariances, count, empty * get(trace, 0, 0), v, p), 1, 0)
        for lane in range(used):
            if trace[0, 0, lane] > 0.0 and trace[0, 0, lane] < math.inf:
                place[first + lane] = round(trace[1, 0, lane])
    return out
