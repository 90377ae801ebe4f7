"""Eight design problems side by side: the weighted CRB of factors, and its gradient; see `powers` for codewords.

A factor Z gives V = P_m Q Z Z^H Q^H, roots z give V = P_m U diag(z^2) U^H. Both are vectors of real unknowns to
the solver: Z as its real, then its imaginary part, row by row.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, where_less
from ..linalg.lanemat import hermitian_cholesky, inner
from .efim import LinkLanes, link_work
from .linkbound import link_crb


class LinkArrays(NamedTuple):
    """One link of every draw: `LinkLanes` with the draw as first axis instead of the lane as last."""

    weights: np.ndarray
    phasor: np.ndarray
    fold: np.ndarray
    transform: np.ndarray
    rows: np.ndarray


class Draws(NamedTuple):
    """The design problems of a batch of draws.

    mix (batch, 2n, 2n) with B = Q mix; coupling (batch, 2n, n) and overlap (batch, 2n, 1) as
    `structure.path_couplings` gives them, for guesses of second derivatives only. Row i of gram (batch, 2n, 2n) is
    what codeword i sends into the columns of B, B^H u_i: B^H B for the codebook U = B. Where U is complex in terms of
    B, gram is the real part of that, and gram_imag its imaginary part; else gram_imag is (batch, 0, 0).
    """

    bistatic: LinkArrays
    monostatic: LinkArrays
    mix: np.ndarray
    gram: np.ndarray
    gram_imag: np.ndarray
    coupling: np.ndarray
    overlap: np.ndarray


class Block(NamedTuple):
    """The design problems of eight draws, with all buffers for evaluating them."""

    bistatic: LinkLanes
    monostatic: LinkLanes
    mix: np.ndarray  # of B = Q mix
    gram: np.ndarray
    gram_imag: np.ndarray
    coupling: np.ndarray
    overlap: np.ndarray
    bistatic_work: tuple
    monostatic_work: tuple
    spread: np.ndarray  # C = mix^T Z: (2 * 2n, columns)
    sr: np.ndarray  # S
    si: np.ndarray
    gr: np.ndarray  # Gamma, the gradient with respect to S
    gi: np.ndarray
    normal: np.ndarray  # -mix Gamma mix^T, the negative gradient with respect to the reduced covariance: (2 * 2n, 2n)
    tested: np.ndarray  # (2 * 2n, 2n)
    half: np.ndarray  # (2 * 2n, 2n)
    powers: np.ndarray  # (2n, 1)


@kernel
def _lanes_like(array):
    return lane_zeros(array.shape[1], array.shape[2])


@kernel
def _link_lanes(link):
    return LinkLanes(
        _lanes_like(link.weights),
        _lanes_like(link.phasor),
        link.fold,
        _lanes_like(link.transform),
        _lanes_like(link.rows),
    )


@kernel
def new_block(draws, columns):
    """An empty block for factors of so many columns (an even number; 0 for powers)."""
    count = draws.mix.shape[1]
    bistatic = _link_lanes(draws.bistatic)
    monostatic = _link_lanes(draws.monostatic)
    return Block(
        bistatic,
        monostatic,
        lane_zeros(count, count),
        lane_zeros(count, count),
        _lanes_like(draws.gram_imag),
        lane_zeros(count, count // 2),
        lane_zeros(count, 1),
        link_work(bistatic, count // bistatic.phasor.shape[0]),
        link_work(monostatic, count),
        lane_zeros(2 * count, columns),
        lane_zeros(count, count),
        lane_zeros(count, count),
        lane_zeros(count, count),
        lane_zeros(count, count),
        lane_zeros(2 * count, count),
        lane_zeros(2 * count, count),
        lane_zeros(2 * count, count),
        lane_zeros(count, 1),
    )


@unmanaged
def _fill(lanes, values, lane):
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            lanes[i, j, lane] = values[i, j]


@unmanaged
def load_draw(block, draws, b, lane):
    """Put draw b into a lane."""
    _fill(block.bistatic.weights, draws.bistatic.weights[b], lane)
    _fill(block.bistatic.phasor, draws.bistatic.phasor[b], lane)
    _fill(block.bistatic.transform, draws.bistatic.transform[b], lane)
    _fill(block.bistatic.rows, draws.bistatic.rows[b], lane)
    _fill(block.monostatic.weights, draws.monostatic.weights[b], lane)
    _fill(block.monostatic.phasor, draws.monostatic.phasor[b], lane)
    _fill(block.mix, draws.mix[b], lane)
    _fill(block.gram, draws.gram[b], lane)
    _fill(block.coupling, draws.coupling[b], lane)
    _fill(block.overlap, draws.overlap[b], lane)
    _fill(block.gram_imag, draws.gram_imag[b], lane)


@unmanaged
def load_items(block, draws, items, rho, powers, weight):
    """Put items (weight, draw) into the lanes, with codeword powers to begin with; lanes left over repeat the last."""
    for lane in range(LANES):
        w, b = items[min(lane, len(items) - 1)]
        load_draw(block, draws, b, lane)
        weight[0, 0, lane] = rho[w]
        for i in range(powers.shape[1]):
            block.powers[i, 0, lane] = powers[b, i]


@unmanaged
def weighted_crb(block, rho):
    """Rho CRB_BP + (1 - rho) CRB_MS at S; Gamma is its gradient, both triangles."""
    count = block.mix.shape[0]
    n = count // 2
    block.gr[:] = 0.0
    block.gi[:] = 0.0
    value = link_crb(
        block.bistatic, count // n, rho, block.sr, block.si, block.gr, block.gi, block.bistatic_work
    ) + link_crb(block.monostatic, count, 1.0 - rho, block.sr, block.si, block.gr, block.gi, block.monostatic_work)
    for k in range(n):
        for h in range(k):
            for r in (k, n + k):
                for s in (h, n + h):
                    put(block.gr, get(block.gr, r, s), s, r)
                    put(block.gi, -get(block.gi, r, s), s, r)
    return value


@inlined
def _transmit(block, z, columns):
    """C = mix^T Z and S = C C^H."""
    count = block.mix.shape[0]
    n = count // 2
    c = block.spread
    for r in range(count):
        for part in range(2):
            for k in range(0, columns, 2):
                x = everywhere(0.0)
                y = everywhere(0.0)
                for i in range(r + 1):  # mix is upper triangular
                    w = get(block.mix, i, r)
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
                put(block.sr, u, r, h)
                put(block.si, v, r, h)
                put(block.sr, x, r, n + h)
                put(block.si, y, r, n + h)


@unmanaged
def factor_objective(block, rho, z, columns, gradient):
    """f(Z Z^H), the power |Z|^2, and the gradient of log f + log power; -grad f stays in block.normal."""
    count = block.mix.shape[0]
    power = inner(z, z)
    _transmit(block, z, columns)
    value = weighted_crb(block, rho)
    reduced_gradient(block, block.normal)
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
                a = get(block.normal, i, s)
                b = get(block.normal, count + i, s)
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
def transmit_covariance(block, x):
    """S = mix^T x mix of a Hermitian x: real part above, imaginary part below, (2 * 2n, 2n)."""
    count = block.mix.shape[0]
    n = count // 2
    for i in range(count):
        for s in range(count):
            u = everywhere(0.0)
            v = everywhere(0.0)
            for k in range(s + 1):  # mix is upper triangular
                w = get(block.mix, k, s)
                u += w * get(x, i, k)
                v += w * get(x, count + i, k)
            put(block.half, u, i, s)
            put(block.half, v, count + i, s)
    for k in range(n):
        for h in range(k + 1):
            for r in (k, n + k):
                for s in (h, n + h):
                    u = everywhere(0.0)
                    v = everywhere(0.0)
                    for i in range(r + 1):
                        w = get(block.mix, i, r)
                        u += w * get(block.half, i, s)
                        v += w * get(block.half, count + i, s)
                    put(block.sr, u, r, s)
                    put(block.si, v, r, s)


@unmanaged
def reduced_gradient(block, out):
    """-mix Gamma mix^T, the negative gradient with respect to the reduced covariance, both triangles."""
    count = block.mix.shape[0]
    for i in range(count):  # mix is upper triangular, and the sums below need the rows from i on only
        for r in range(i - i % 2, count, 2):
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for s in range(i, count):
                w = get(block.mix, i, s)
                u += get(block.gr, r, s) * w
                v += get(block.gi, r, s) * w
                x += get(block.gr, r + 1, s) * w
                y += get(block.gi, r + 1, s) * w
            put(block.half, u, r, i)
            put(block.half, v, count + r, i)
            put(block.half, x, r + 1, i)
            put(block.half, y, count + r + 1, i)
    for i in range(count):
        for k in range(0, i + 1, 2):  # an entry above the diagonal comes along in even rows
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(i, count):
                w = get(block.mix, i, r)
                u -= w * get(block.half, r, k)
                v -= w * get(block.half, count + r, k)
                x -= w * get(block.half, r, k + 1)
                y -= w * get(block.half, count + r, k + 1)
            put(out, u, i, k)
            put(out, v, count + i, k)
            put(out, x, i, k + 1)
            put(out, y, count + i, k + 1)
    for i in range(count):
        for k in range(i):
            put(out, get(out, i, k), k, i)
            put(out, -get(out, count + i, k), count + k, i)


@unmanaged
def certified(block, value, power, columns, tolerance):
    """1 where the certified gap at the point of the last evaluation is below the tolerance, else 0.

    P lambda_max(-grad f) / f - 1 < tolerance is that (1 + tolerance) f / P + grad f is positive definite. Of powers the
    slopes are in block.half, of factors and covariances -grad f is in block.normal.
    """
    count = block.mix.shape[0]
    level = (1.0 + tolerance) * value / power
    if columns == 0:
        fine = everywhere(1.0)
        for i in range(count):
            fine = where_less(-get(block.half, i, 0), level, fine, 0.0)
        return fine
    for i in range(count):
        for k in range(i):
            put(block.tested, -get(block.normal, i, k), i, k)
            put(block.tested, -get(block.normal, count + i, k), count + i, k)
        put(block.tested, level - get(block.normal, i, i), i, i)
        put(block.tested, 0.0, count + i, i)
    return hermitian_cholesky(block.tested, count, count)
