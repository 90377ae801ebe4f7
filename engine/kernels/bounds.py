"""Bounds at designs, with the rule for infinite ones; and from plain FIMs."""

import math

import numpy as np

from ..accelerate import bare, kernel
from ..lanes import LANES, get, lane_zeros, put, where_less
from .block import load_draw, new_block, transmit_covariance
from .efim import factor_positions, half_solved
from .eigen import count_above, eigen_space
from .smallmat import cholesky, eigenvalues_symmetric, solve_lower


@kernel
def inverse_diagonal(fim, limit):
    """Diagonal of the inverse of each FIM (batch, p, p), and its smallest unit-diagonal eigenvalue.

    All bounds of a draw are inf where that eigenvalue is below `limit` (a parameter with no information
    counts as eigenvalue 0).
    """
    batch, p, _ = fim.shape
    out = np.full((batch, p), np.inf)
    smallest = np.zeros(batch)
    unit = np.zeros((p, p))
    column = np.zeros(p)
    for b in range(batch):
        informed = True
        for a in range(p):
            if not (fim[b, a, a] > 0.0 and fim[b, a, a] < math.inf):
                informed = False
        if not informed:
            continue
        for a in range(p):
            for c in range(p):
                unit[a, c] = fim[b, a, c] / (math.sqrt(fim[b, a, a]) * math.sqrt(fim[b, c, c]))
        smallest[b] = max(eigenvalues_symmetric(unit, p)[p - 1], 0.0)
        if not (smallest[b] >= limit and cholesky(unit, p)):
            continue
        for a in range(p):
            column[:] = 0.0
            column[a] = 1.0
            solve_lower(unit, p, column)
            total = 0.0
            for c in range(a, p):
                total += column[c] * column[c]
            out[b, a] = total / fim[b, a, a]
    return out, smallest


@bare
def _link_bounds(link, rows, block, work, out):
    """Bounds of the leading parameters at S into out (parameter, 1, lane); inf where the FIM is singular."""
    fine = factor_positions(link, block.sr, block.si, work)
    for row in range(rows):
        put(out, where_less(0.0, fine, half_solved(link, work, row), np.inf), row, 0)


@bare
def _keep_bounds(found, reference, lane, limit, out):
    """Bounds of one design, unless one of them is `limit` times that at the APA point: then the FIM is singular."""
    for row in range(out.size):
        if not found[row, 0, lane] <= limit * reference[row]:
            return
    for row in range(out.size):
        out[row] = found[row, 0, lane]


@kernel
def design_bounds(draws, x, reference, limit):
    """Bounds of all position parameters at every design x (batch, design, n, n) of unit trace.

    reference (2, batch, parameters) are those at the APA point. Returns (batch, design, 2K+4) of BP and
    (batch, design, 2K+2) of MS; all of a link are inf where its FIM is singular, or one of its bounds more than
    `limit` times as large as at the APA point, which is the same but for rounding.
    """
    batch, designs, count, _ = x.shape
    rows = count + 2
    bistatic = np.full((batch, designs, rows), np.inf)
    monostatic = np.full((batch, designs, count), np.inf)
    block = new_block(draws, count)
    work = lane_zeros(2 * count, count)
    found = lane_zeros(rows, 1)
    for b in range(batch):
        for lane in range(LANES):
            load_draw(block, draws, b, lane)
        for first in range(0, designs, LANES):
            used = min(LANES, designs - first)
            for lane in range(LANES):
                d = first + min(lane, used - 1)
                for i in range(count):
                    for k in range(count):
                        work[i, k, lane] = x[b, d, i, k].real
                        work[count + i, k, lane] = x[b, d, i, k].imag
            transmit_covariance(block, work)
            _link_bounds(block.bistatic, rows, block, block.bistatic_work, found)
            for lane in range(used):
                _keep_bounds(found, reference[0, b], lane, limit, bistatic[b, first + lane])
            _link_bounds(block.monostatic, count, block, block.monostatic_work, found)
            for lane in range(used):
                _keep_bounds(found, reference[1, b], lane, limit, monostatic[b, first + lane])
    return bistatic, monostatic


@kernel
def ranks_of(x, empty):
    """Number of eigenvalues above `empty` times the trace, (batch, design); -1 where x is 0 or not finite."""
    batch, designs, count, _ = x.shape
    out = np.full((batch, designs), -1, np.int64)
    work = lane_zeros(2 * count, count)
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
                for k in range(count):
                    work[i, k, lane] = flat[first + lane, i, k].real
                    work[count + i, k, lane] = flat[first + lane, i, k].imag
        put(trace, count_above(work, count, empty * get(trace, 0, 0), v, p), 1, 0)
        for lane in range(used):
            if trace[0, 0, lane] > 0.0 and trace[0, 0, lane] < math.inf:
                place[first + lane] = round(trace[1, 0, lane])
    return out
