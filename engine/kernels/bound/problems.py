"""The design problems of a batch of draws as arrays, and eight of them in lanes.

A draw has n paths in all, K + 1 where none is a nuisance, and q columns a path: a steering vector and its derivatives,
q = 2 in the plane and 3 in space. A link has some of the paths; of it n counts those.
Tests: whatever designs draws in batches, and test_designs for their order.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, lane_zeros


class SeparableFim(NamedTuple):
    """One link's FIM of channel parameters, of every draw: what the entries of T are multiplied by (see `efim`).

    weights (batch, 2qn, 2qn), and their imaginary part, (batch, 0, 0) where the receiver is symmetric about its phase
    centre; phasor (batch, n, 2), real and imaginary part of each path's phase; parameter_of_kind (2q,), the kind of
    parameter that each kind of term belongs to; paths (n,), which of the draw's paths these are, ascending; transform A
    (batch, (2q - 1) n, m), from whitened positions to angles and delays, and rows (batch, m, m), those of F for every
    bound, both (batch, 0, 0) for MS; prior (batch, m, m), J0 in the same unknowns, (batch, 0, 0) for none; bounded, how
    many leading parameters the bound adds up, for MS how many leading paths.
    """

    weights: np.ndarray
    weights_imag: np.ndarray
    phasor: np.ndarray
    parameter_of_kind: np.ndarray
    paths: np.ndarray
    transform: np.ndarray
    rows: np.ndarray
    prior: np.ndarray
    bounded: int


class ProblemArrays(NamedTuple):
    """The design problems of a batch of draws.

    mix (batch, qn, qn) with B = Q mix; coupling (batch, qn, n) and overlap (batch, qn, 1) as
    `separable.path_couplings` gives them, for guesses of second derivatives only. Row i of gram (batch, qn, qn) is
    what codeword i sends into the columns of B, B^H u_i: B^H B for the codebook U = B. Where that is complex, gram is
    the real part, and gram_imag the imaginary part; else gram_imag is (batch, 0, 0). Likewise mix and mix_imag.
    """

    bistatic: SeparableFim
    monostatic: SeparableFim
    mix: np.ndarray
    mix_imag: np.ndarray
    gram: np.ndarray
    gram_imag: np.ndarray
    coupling: np.ndarray
    overlap: np.ndarray


class SeparableLanes(NamedTuple):
    """`SeparableFim` of eight draws: without the first axis, and with the lane as last one."""

    weights: np.ndarray
    weights_imag: np.ndarray
    phasor: np.ndarray
    parameter_of_kind: np.ndarray
    paths: np.ndarray
    transform: np.ndarray
    rows: np.ndarray
    prior: np.ndarray
    bounded: int


class ProblemLanes(NamedTuple):
    """`ProblemArrays` of eight draws: without the first axis, and with the lane as last one."""

    bistatic: SeparableLanes
    monostatic: SeparableLanes
    mix: np.ndarray
    mix_imag: np.ndarray
    gram: np.ndarray
    gram_imag: np.ndarray
    coupling: np.ndarray
    overlap: np.ndarray
    draw: np.ndarray  # which draw each lane holds, -1 for none: (8,)


@kernel
def _lanes_like(array):
    return lane_zeros(array.shape[1], array.shape[2])


@kernel
def _separable_lanes(link):
    return SeparableLanes(
        weights=_lanes_like(link.weights),
        weights_imag=_lanes_like(link.weights_imag),
        phasor=_lanes_like(link.phasor),
        parameter_of_kind=link.parameter_of_kind,
        paths=link.paths,
        transform=_lanes_like(link.transform),
        rows=_lanes_like(link.rows),
        prior=_lanes_like(link.prior),
        bounded=link.bounded,
    )


@kernel
def new_lanes(problems):
    """Room for eight of the problems, `ProblemArrays`."""
    return ProblemLanes(
        _separable_lanes(problems.bistatic),
        _separable_lanes(problems.monostatic),
        _lanes_like(problems.mix),
        _lanes_like(problems.mix_imag),
        _lanes_like(problems.gram),
        _lanes_like(problems.gram_imag),
        _lanes_like(problems.coupling),
        _lanes_like(problems.overlap),
        np.full(LANES, -1, np.int64),
    )


@unmanaged
def load_matrix(lanes, lane, values):
    """Put a real matrix (rows, columns) into a lane of lanes (rows, columns, lane)."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            lanes[i, j, lane] = values[i, j]


@unmanaged
def load_vector(lanes, lane, values):
    """Put real numbers (size,) into a lane of lanes (size, 1, lane)."""
    for i in range(values.size):
        lanes[i, 0, lane] = values[i]


@unmanaged
def load_covariance(lanes, lane, x):
    """Put a complex matrix (n, n) into a lane of lanes (2 n, n, lane): real part above, imaginary part below."""
    n = x.shape[0]
    for i in range(n):
        for k in range(n):
            lanes[i, k, lane] = x[i, k].real
            lanes[n + i, k, lane] = x[i, k].imag


@inlined
def load_problem(lanes, problems, b, lane):
    """Put the problem of draw b into a lane, unless it is there already."""
    if lanes.draw[lane] != b:
        lanes.draw[lane] = b
        _load_afresh(lanes, problems, b, lane)


@unmanaged
def _load_afresh(lanes, problems, b, lane):
    _load_link(lanes.bistatic, problems.bistatic, b, lane)
    _load_link(lanes.monostatic, problems.monostatic, b, lane)
    load_matrix(lanes.mix, lane, problems.mix[b])
    load_matrix(lanes.mix_imag, lane, problems.mix_imag[b])
    load_matrix(lanes.gram, lane, problems.gram[b])
    load_matrix(lanes.gram_imag, lane, problems.gram_imag[b])
    load_matrix(lanes.coupling, lane, problems.coupling[b])
    load_matrix(lanes.overlap, lane, problems.overlap[b])


@unmanaged
def _load_link(lanes, link, b, lane):
    load_matrix(lanes.weights, lane, link.weights[b])
    load_matrix(lanes.weights_imag, lane, link.weights_imag[b])
    load_matrix(lanes.phasor, lane, link.phasor[b])
    load_matrix(lanes.transform, lane, link.transform[b])
    load_matrix(lanes.rows, lane, link.rows[b])
    load_matrix(lanes.prior, lane, link.prior[b])


@unmanaged
def load_problems(lanes, problems, first, used):
    """Put the problems of so many draws, up to eight, from `first` on into lanes; those left over repeat the last."""
    for lane in range(LANES):
        load_problem(lanes, problems, first + min(lane, used - 1), lane)


@kernel
def wanted_items(wanted):
    """Items (weight, draw) that are wanted, (batch, rho), as rows of (count, 2).

    They come in such an order that a lane can keep its draw from one weight to the next.
    """
    batch, weights = wanted.shape
    items = np.empty((wanted.sum(), 2), np.int64)
    count = 0
    for first in range(0, batch, LANES):
        for w in range(weights):
            for b in range(first, min(first + LANES, batch)):
                if wanted[b, w]:
                    items[count, 0] = w
                    items[count, 1] = b
                    count += 1
    return items


@unmanaged
def load_items(lanes, problems, items, rho, weight):
    """Put the problems and weights of up to eight items (weight, draw) into lanes; those left over repeat the last.

    weight (any, 1, lane) takes the weights in its first row.
    """
    for lane in range(LANES):
        w, b = items[min(lane, len(items) - 1)]
        load_problem(lanes, problems, b, lane)
        weight[0, 0, lane] = rho[w]


@unmanaged
def load_powers(lanes, powers, items):
    """Put the powers (batch, n) of the draws of items (weight, draw) into lanes (n, 1, lane)."""
    for lane in range(LANES):
        load_vector(lanes, lane, powers[items[min(lane, len(items) - 1), 1]])


@unmanaged
def load_points(lanes, points, items):
    """Put the vectors (batch, rho, size) of items (weight, draw) into lanes (size, 1, lane)."""
    for lane in range(LANES):
        w, b = items[min(lane, len(items) - 1)]
        load_vector(lanes, lane, points[b, w])


@unmanaged
def load_designs(lanes, x, items):
    """Put the covariances (batch, rho, n, n) of items (weight, draw) into lanes (2 n, n, lane)."""
    for lane in range(LANES):
        w, b = items[min(lane, len(items) - 1)]
        load_covariance(lanes, lane, x[b, w])


@unmanaged
def unload_designs(lanes, items, out):
    """Take the covariances of items (weight, draw) out of lanes (2 n, n, lane), into (batch, rho, n, n)."""
    n = out.shape[2]
    for lane in range(len(items)):
        w, b = items[lane]
        for i in range(n):
            for k in range(n):
                out[b, w, i, k] = complex(lanes[i, k, lane], lanes[n + i, k, lane])
