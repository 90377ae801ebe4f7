"""Eight design problems side by side: the weighted CRB of factors or of codeword powers, and its gradient.

A factor Z gives V = P_m Q Z Z^H Q^H, roots z give V = P_m U diag(z^2) U^H. Both are vectors of real unknowns to
the solver: Z as its real, then its imaginary part, row by row.
"""

from typing import NamedTuple

import numpy as np

from ..accelerate import bare, kernel, piece
from ..lanes import LANES, everywhere, get, lane_zeros, put, root, where_less
from .efim import LinkLanes, link_work
from .linkcrb import link_crb
from .packs import hermitian_cholesky, inner

_BALANCING_ROUNDS = 2
_LEAST_STIFFNESS = 0.05
_TINY = 1e-200


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


@bare
def _fill(lanes, values, lane):
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            lanes[i, j, lane] = values[i, j]


@bare
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


@bare
def load_items(block, draws, items, rho, powers, weight):
    """Put items (weight, draw) into the lanes, with codeword powers to begin with; lanes left over repeat the last."""
    for lane in range(LANES):
        w, b = items[min(lane, len(items) - 1)]
        load_draw(block, draws, b, lane)
        weight[0, 0, lane] = rho[w]
        for i in range(powers.shape[1]):
            block.powers[i, 0, lane] = powers[b, i]


@bare
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


@piece
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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


@bare
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
