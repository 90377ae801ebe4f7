"""Which draw and weight a lane is at, and where it begins: along the trade-off curve of each draw in turn.

A draw stays in its lane for its whole grid of weights: from the weight next to 1/2 down to 0, then up to 1. When it is
finished, the lane takes the next draw. Test: test_designs, batches in any order.
"""

from typing import NamedTuple

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.powers import balance
from ..bound.problems import load_problems, load_vector
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, get, lane_zeros


class Places(NamedTuple):
    """Where each lane is: its draw (-1: none), its weight, the solved ones, and the ends of its grid."""

    draw: np.ndarray
    weight: np.ndarray
    low: np.ndarray  # lowest weight solved
    high: np.ndarray  # highest
    left: np.ndarray  # lowest weight wanted
    right: np.ndarray  # highest
    spent: np.ndarray  # evaluations at this weight
    shortened: np.ndarray  # steps that were too long, in a row
    finished: np.ndarray


@inlined
def new_places():
    """No lane has anything yet."""
    return Places(
        draw=np.full(LANES, -1, np.int64),
        weight=np.zeros(LANES, np.int64),
        low=np.zeros(LANES, np.int64),
        high=np.full(LANES, -1, np.int64),
        left=np.zeros(LANES, np.int64),
        right=np.full(LANES, -1, np.int64),
        spent=np.zeros(LANES, np.int64),
        shortened=np.zeros(LANES, np.int64),
        finished=np.ones(LANES, np.bool_),
    )


@inlined
def _next_to_half(rho):
    """Index of the weight next to 1/2."""
    best = 0
    for w in range(rho.size):
        if abs(rho[w] - 0.5) < abs(rho[best] - 0.5):
            best = w
    return best


@unmanaged
def _first_weight(rho, bistatic_fine, monostatic_fine):
    """Where a draw begins, and between which indices it goes: (first, low, high); first is -1 if there is nothing."""
    last = rho.size - 1
    if bistatic_fine and monostatic_fine:
        return _next_to_half(rho), 0, last
    if bistatic_fine and rho[last] == 1.0:
        return last, last, last
    if monostatic_fine and rho[0] == 0.0:
        return 0, 0, 0
    return -1, 0, -1


@inlined
def extrapolate(points, parameter, begin, places, lane, shares, trial):
    """Starting point of a lane's weight, from the solved weights of its draw, by polynomials in the parameter (rho,).

    points (rho, unknowns) are those of the draw; begin (unknowns,) is where it starts if there are none yet; shares
    (most,) takes what each of the points used counts; trial (unknowns, 1, lane) takes the result.
    """
    w, low, high = places.weight[lane], places.low[lane], places.high[lane]
    used = min(shares.size, high - low + 1)
    if used <= 0:
        for i in range(trial.shape[0]):
            trial[i, 0, lane] = begin[i]
        return
    nearest, away = (low, 1) if w < low else (high, -1)
    for j in range(used):
        shares[j] = 1.0
        for k in range(used):
            if k != j:
                shares[j] *= parameter[w] - parameter[nearest + k * away]
                shares[j] /= parameter[nearest + j * away] - parameter[nearest + k * away]
    for i in range(trial.shape[0]):
        total = 0.0
        for j in range(used):
            total += shares[j] * points[nearest + j * away, i]
        trial[i, 0, lane] = total


@inlined
def _next_weight(places, lane):
    """Move a lane to its draw's next weight, down to the lowest, then up; (False, False) if there is none.

    The second is True where the direction is reversed: what was learnt at the other end does not help.
    """
    if places.draw[lane] < 0:
        return False, False
    weight = places.weight[lane]
    downwards = weight == places.low[lane]
    if downwards and weight > places.left[lane]:
        places.weight[lane] = weight - 1
        return True, False
    if places.high[lane] == places.right[lane]:
        return False, False
    places.weight[lane] = places.high[lane] + 1
    return True, downwards


@inlined
def next_place(upcoming, rho, fine, places, lane):
    """Move a lane on: to its draw's next weight, or to the next draw with something to design, from `upcoming` on.

    Returns the number of the draw after that, and whether what the lane has learnt is of no use any more. Where no
    draw is left, places.draw becomes -1.
    """
    found, is_reversed = _next_weight(places, lane)
    if found:
        return upcoming, is_reversed
    places.draw[lane] = -1
    while upcoming < fine[0].size and places.draw[lane] < 0:
        first, left, right = _first_weight(rho, fine[0][upcoming], fine[1][upcoming])
        if first >= 0:
            places.draw[lane] = upcoming
            places.weight[lane] = first
            places.left[lane] = left
            places.right[lane] = right
            places.low[lane] = first + 1
            places.high[lane] = first
        upcoming += 1
    return upcoming, True


@kernel
def balanced_powers(problems, powers, rho, bistatic_fine, monostatic_fine):
    """Codeword powers (batch, codeword) of unit sum to begin with, from others: `balance` at a draw's first weight.

    bistatic_fine and monostatic_fine (batch,) tell which draws are identifiable.
    """
    batch, count = powers.shape
    out = powers.copy()
    evaluation = new_evaluation(problems, count)
    weight = lane_zeros(1, 1)
    lanes = evaluation.problem
    for first in range(0, batch, LANES):
        used = min(LANES, batch - first)
        load_problems(lanes, problems, first, used)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            load_vector(evaluation.powers, lane, powers[b])
            w, _, _ = _first_weight(rho, bistatic_fine[b], monostatic_fine[b])
            weight[0, 0, lane] = rho[max(w, 0)]
        balance(evaluation, get(weight, 0, 0), evaluation.powers)
        for lane in range(used):
            out[first + lane] = evaluation.powers[:, 0, lane]
    return out
