"""Bounds from both observations together, for eight designs side by side.

The noise of the two links is independent and each has gains of its own, so that what they tell of the positions adds
up: with the gains eliminated, E_w = A_bp^T E_bp A_bp + A_ms^T E_ms A_ms + J0, where both A take the same unknowns, all
positions before what BP alone does not know, to the angles and delays of a link. The unknowns are whitened at the APA
point by one QR factorisation of the stacked roots of the three parts. What only BP does not know is eliminated first:
where a part of it has no effect of its own, as a turn about the axis of a linear array, it leaves, and costs nothing.
Tests: tests/engine/test_fused.py.
"""

from typing import NamedTuple

import numpy as np

from ..dense.reduced import information_root, inverse_root, prior_root, product
from ..jit.accelerate import kernel, unmanaged
from ..jit.lanes import LANES, get, lane_zeros, put, where_less
from ..linalg.lanemat import cholesky_lanes
from .apa import bound_blur, gram_diagonal, told_apart
from .efim import equivalent_fim, solve_forward, to_positions
from .objective import new_evaluation, transmit_covariance
from .powers import transmit_powers
from .problems import load_covariance, load_matrix, load_problems, load_vector

# Less than this of an unknown that differs from all others, relatively, is rounding.
_ROUNDING = 64.0 * 2.0**-53


class _Look(NamedTuple):
    """What is known of a link in lanes."""

    doubt: np.ndarray  # relative rounding of the derivatives by each angle: (inner - n, 1)
    diagonal: np.ndarray  # of G: (size, 1)


@kernel
def _new_look(buffers):
    n, inner = buffers.gain_columns.shape[1], buffers.efim.shape[0]
    return _Look(lane_zeros(inner - n, 1), lane_zeros(n + inner, 1))


@unmanaged
def _efim_at_apa(link, sr, si, buffers, look):
    """E at S into buffers.efim, where two paths coincide 0: such a link adds nothing."""
    gram_diagonal(link, sr, si, buffers, look.diagonal)
    fine = equivalent_fim(link, sr, si, buffers)
    _keep_efim(told_apart(buffers.gain_columns, look.diagonal, fine), buffers.efim)


@unmanaged
def _keep_efim(fine, efim):
    for i in range(efim.shape[0]):
        for j in range(efim.shape[0]):
            put(efim, where_less(0.0, fine, get(efim, i, j), 0.0), i, j)


@unmanaged
def _joint_factor(evaluation):
    """Cholesky factor of E_w from both E into the buffers of BP; 0 in the lanes without one."""
    bp, ms = evaluation.bistatic, evaluation.monostatic
    link = evaluation.problem.bistatic
    to_positions(link.transform, bp.efim, bp.efim_transform, bp.triangle)
    to_positions(evaluation.problem.monostatic.transform, ms.efim, ms.efim_transform, ms.triangle)
    for i in range(bp.triangle.shape[0]):
        for j in range(i + 1):
            total = get(bp.triangle, i, j) + get(ms.triangle, i, j)
            put(bp.triangle, total + get(link.prior, i, j), i, j)
    return cholesky_lanes(bp.triangle, bp.triangle.shape[0])


@kernel
def _whiten_draw(evaluation, problems, b, bistatic, monostatic, known):
    """Both transforms, the rows and the prior of draw b, from E at the APA point; into all lanes, too."""
    link, other = problems.bistatic, problems.monostatic
    first = information_root(np.ascontiguousarray(evaluation.bistatic.efim[:, :, 0]), bistatic)
    second = information_root(np.ascontiguousarray(evaluation.monostatic.efim[:, :, 0]), monostatic)
    third = prior_root(known)
    root = np.zeros((len(first) + len(second) + len(third), known.size))
    root[: len(first)] = first
    root[len(first) : len(first) + len(second)] = second
    root[len(first) + len(second) :] = third
    factor, exists = inverse_root(root, _ROUNDING)
    link.rows[b] = factor
    link.transform[b] = 0.0
    other.transform[b] = 0.0
    if len(first) > 0:
        link.transform[b] = product(bistatic, factor)
    if len(second) > 0:
        other.transform[b] = product(monostatic, factor)
    for i in range(known.size):
        for k in range(known.size):
            for a in range(known.size):
                link.prior[b, i, k] += factor[a, i] * known[a] * factor[a, k]
        if not exists[known.size - 1 - i]:
            link.prior[b, i, i] = 1.0  # disturbs nobody
    for lane in range(LANES):
        load_matrix(evaluation.problem.bistatic.rows, lane, link.rows[b])
        load_matrix(evaluation.problem.bistatic.prior, lane, link.prior[b])
        load_matrix(evaluation.problem.bistatic.transform, lane, link.transform[b])
        load_matrix(evaluation.problem.monostatic.transform, lane, other.transform[b])
    return exists


@unmanaged
def _look_at_apa(evaluation, wanted, bistatic, monostatic, out):
    """Bounds at the APA point and their relative rounding, (2 wanted, 1, lane); inf where there is none."""
    problem, bp, ms = evaluation.problem, evaluation.bistatic, evaluation.monostatic
    fine = _joint_factor(evaluation)
    for i in range(bp.triangle.shape[0]):
        for j in range(i + 1):
            put(ms.triangle, get(bp.triangle, i, j), i, j)
    for row in range(wanted):
        bound = solve_forward(problem.bistatic, bp, row)
        for i in range(bp.forward.shape[0]):
            put(ms.forward, get(bp.forward, i, 0), i, 0)
        blur = bound_blur(problem.bistatic, row, bound, bistatic.diagonal, bistatic.doubt, bp)
        blur += bound_blur(problem.monostatic, row, bound, monostatic.diagonal, monostatic.doubt, ms)
        fine = where_less(0.0, bound, fine, 0.0)
        put(out, where_less(0.0, fine, bound, np.inf), row, 0)
        put(out, where_less(0.0, fine, blur, np.inf), wanted + row, 0)


@unmanaged
def _look_at_designs(evaluation, wanted, out):
    """Bounds at S, (wanted, 1, lane); inf where there is none."""
    problem, bp, ms = evaluation.problem, evaluation.bistatic, evaluation.monostatic
    _keep_efim(equivalent_fim(problem.bistatic, evaluation.sr, evaluation.si, bp), bp.efim)
    _keep_efim(equivalent_fim(problem.monostatic, evaluation.sr, evaluation.si, ms), ms.efim)
    fine = _joint_factor(evaluation)
    for row in range(wanted):
        put(out, where_less(0.0, fine, solve_forward(problem.bistatic, bp, row), np.inf), row, 0)


@kernel
def fused_bounds(problems, powers, bistatic, monostatic, x, wanted, limit):
    """Bounds of the `wanted` leading unknowns from both links, at every design x (batch, design, n, n) of unit trace.

    problems are `ProblemArrays` both of whose links have a transform (batch, inner, m), and BP rows and a prior
    (batch, m, m): all are filled in. powers (batch, qn) of unit sum are those of the APA point; bistatic and monostatic
    are `apa.Geometry` of the links for the same m unknowns, of whose priors BP's counts. Returns the bounds (batch,
    design, wanted), inf where the FIM is singular or the bound is more than `limit` times as large as at the APA point,
    and those at the APA point and their relative rounding, (batch, wanted), both inf where there is none.
    """
    batch, designs, count, _ = x.shape
    evaluation = new_evaluation(problems, 0)
    problem, sr, si = evaluation.problem, evaluation.sr, evaluation.si
    bp, ms = _new_look(evaluation.bistatic), _new_look(evaluation.monostatic)
    covariances, found = lane_zeros(2 * count, count), lane_zeros(2 * wanted, 1)
    out = np.full((batch, designs, wanted), np.inf)
    bounds, blur = np.full((batch, wanted), np.inf), np.full((batch, wanted), np.inf)
    for b in range(batch):
        load_problems(problem, problems, b, 1)
        for lane in range(LANES):
            load_vector(evaluation.powers, lane, powers[b])
            load_vector(bp.doubt, lane, bistatic.doubt[b])
            load_vector(ms.doubt, lane, monostatic.doubt[b])
        transmit_powers(problem, evaluation.powers, sr, si)
        _efim_at_apa(problem.bistatic, sr, si, evaluation.bistatic, bp)
        _efim_at_apa(problem.monostatic, sr, si, evaluation.monostatic, ms)
        exists = _whiten_draw(evaluation, problems, b, bistatic.jacobian[b], monostatic.jacobian[b], bistatic.known)
        _look_at_apa(evaluation, wanted, bp, ms, found)
        for row in range(wanted):
            if exists[row]:
                bounds[b, row] = found[row, 0, 0]
                blur[b, row] = found[wanted + row, 0, 0]
        for first in range(0, designs, LANES):
            used = min(LANES, designs - first)
            for lane in range(LANES):
                load_covariance(covariances, lane, x[b, first + min(lane, used - 1)])
            transmit_covariance(evaluation, covariances)
            _look_at_designs(evaluation, wanted, found)
            for lane in range(used):
                for row in range(wanted):
                    if found[row, 0, lane] <= limit * bounds[b, row]:
                        out[b, first + lane, row] = found[row, 0, lane]
    return out, bounds, blur
