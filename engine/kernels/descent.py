"""First rung: L-BFGS on factors or roots of powers, eight draws in step, each along its own trade-off curve.

F(z) = log f + log |z|^2 does not change with the length of z (f has degree -1), so no constraint is left, and a
square Z has no spurious minima. The iteration ends by the certificate, never by a step or gradient size.

A draw stays in its lane for its whole grid of weights: from the weight next to 1/2 down to 0, then up to 1, each
point extrapolated from the three solved next to it, with the memory of curvature carried along. When it is
finished, the lane takes the next draw. Every pass of the loop is one evaluation in every lane; a lane whose step
was too long shortens it while the others go on. No number ever crosses lanes.
"""

import math

import numpy as np

from ..accelerate import kernel
from ..lanes import LANES, everywhere, get, lane_zeros, put, root, where_less
from .block import (
    certified,
    load_draw,
    new_block,
    objective,
    power_slope,
    squared_norm,
    transmit_powers,
    weighted_crb,
)
from .quasinewton import MEMORY, inner, inner_row, precondition, quasi_newton

_ARMIJO = 1e-4
_ROUNDING = 1e-14  # of F, which is of order one
_MAX_EVALUATIONS = 200
_MAX_SHORTENED = 20
_NEAR = 1e-2  # gradient size from which on the certificate is tried


@kernel
def _middle(rho):
    """Index of the weight next to 1/2."""
    best = 0
    for w in range(rho.size):
        if abs(rho[w] - 0.5) < abs(rho[best] - 0.5):
            best = w
    return best


@kernel
def _first_weight(rho, bistatic_fine, monostatic_fine):
    """Where a draw begins, and between which indices it goes: (first, low, high); first is -1 if there is nothing."""
    last = rho.size - 1
    if bistatic_fine and monostatic_fine:
        return _middle(rho), 0, last
    if bistatic_fine and rho[last] == 1.0:
        return last, last, last
    if monostatic_fine and rho[0] == 0.0:
        return 0, 0, 0
    return -1, 0, -1


@kernel
def _start(points, parameter, w, low, high, begin, lane, trial):
    """Starting point of weight w in a lane, from the solved weights low..high of its draw, by extrapolation."""
    solved = high - low + 1
    if solved <= 0:
        for i in range(trial.shape[0]):
            trial[i, 0, lane] = begin[i]
        return
    used = min(3, solved)
    places = np.zeros(3, np.int64)
    for j in range(used):
        places[j] = low + j if w < low else high - j
    shares = np.ones(3)
    for j in range(used):
        for k in range(used):
            if k != j:
                shares[j] *= (parameter[w] - parameter[places[k]]) / (parameter[places[j]] - parameter[places[k]])
    for i in range(trial.shape[0]):
        total = 0.0
        for j in range(used):
            total += shares[j] * points[places[j], i]
        trial[i, 0, lane] = total


@kernel
def balanced_powers(draws, powers, rho, bistatic_fine, monostatic_fine, rounds):
    """Codeword powers of unit sum with which no codeword is far too strong or too weak for a draw's first weight.

    Were f = sum_i c_i / p_i, its optimum would be p_i sqrt(-df/dp_i), up to a factor: the multiplicative rule of
    optimal designs, applied a few times.
    """
    batch, count = powers.shape
    out = powers.copy()
    block = new_block(draws, count)
    state = lane_zeros(2, 1)
    for first in range(0, batch, LANES):
        used = min(LANES, batch - first)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            load_draw(block, draws, b, lane)
            w, _, _ = _first_weight(rho, bistatic_fine[b], monostatic_fine[b])
            state[0, 0, lane] = rho[max(w, 0)]
            for i in range(count):
                block.powers[i, 0, lane] = powers[b, i]
        for _ in range(rounds):
            transmit_powers(block, block.powers)
            value = weighted_crb(block, get(state, 0, 0))
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
        for lane in range(used):
            for i in range(count):
                out[first + lane, i] = block.powers[i, 0, lane]
    return out


@kernel
def descend(draws, columns, start, rho, bistatic_fine, monostatic_fine, tolerance):
    """Designs of every draw at every weight.

    Parameters
    ----------
    draws
        `block.Draws` of the batch.
    columns
        Columns of the factors, an even number; 0 for codeword powers.
    start
        Where every draw begins, (batch, unknowns).
    rho
        Weights, ascending.
    bistatic_fine, monostatic_fine
        Which draws are identifiable.
    tolerance
        Certified gap at which to stop.

    Returns
    -------
    points (batch, rho, unknowns) of unit length, evaluations (batch, rho; -1 where there was nothing to do).
    """
    batch, size = start.shape
    points = np.zeros((batch, rho.size, size))
    evaluations = np.full((batch, rho.size), -1, np.int64)
    # The optimal share of power of a link goes like sqrt(rho) near 0: in this parameter curves are smooth.
    parameter = np.zeros(rho.size)
    for w in range(rho.size):
        parameter[w] = math.asin(math.sqrt(rho[w]))
    block = new_block(draws, columns)
    z = lane_zeros(size, 1)
    gradient = lane_zeros(size, 1)
    trial = lane_zeros(size, 1)
    fresh = lane_zeros(size, 1)
    search = lane_zeros(size, 1)
    turn = lane_zeros(size, 1)
    steps = lane_zeros(MEMORY, size)
    changes = lane_zeros(MEMORY, size)
    inverse = lane_zeros(MEMORY, 1)
    alphas = lane_zeros(MEMORY, 1)
    # rho, value, slope, step, first, scale, length2, logs, passed
    state = lane_zeros(16, 1)
    at = np.full(LANES, -1, np.int64)  # draw of each lane
    weight = np.zeros(LANES, np.int64)
    low = np.zeros(LANES, np.int64)
    high = np.full(LANES, -1, np.int64)
    left = np.zeros(LANES, np.int64)  # lowest and highest weight of the lane's draw
    right = np.full(LANES, -1, np.int64)
    count = np.zeros(LANES, np.int64)
    shortened = np.zeros(LANES, np.int64)
    finished = np.ones(LANES, np.bool_)
    upcoming = np.int64(0)
    newest = np.int64(-1)
    active = True
    while active:
        active = False
        for lane in range(LANES):
            if finished[lane]:
                finished[lane] = False
                if at[lane] >= 0 and weight[lane] > left[lane] and weight[lane] == low[lane]:
                    weight[lane] -= 1
                elif at[lane] >= 0 and high[lane] < right[lane]:
                    if weight[lane] == low[lane]:  # turning round: what was learnt at the other end does not help
                        inverse[:, 0, lane] = 0.0
                        state[5, 0, lane] = 0.0
                    weight[lane] = high[lane] + 1
                else:
                    at[lane] = -1
                    while upcoming < batch and at[lane] < 0:
                        first, begin, end = _first_weight(rho, bistatic_fine[upcoming], monostatic_fine[upcoming])
                        if first >= 0:
                            at[lane] = upcoming
                            weight[lane] = first
                            left[lane] = begin
                            right[lane] = end
                            low[lane] = first + 1
                            high[lane] = first
                            load_draw(block, draws, upcoming, lane)
                            inverse[:, 0, lane] = 0.0
                            state[5, 0, lane] = 0.0
                        upcoming += 1
                    if at[lane] < 0:
                        continue
                b = at[lane]
                _start(points[b], parameter, weight[lane], low[lane], high[lane], start[b], lane, trial)
                state[0, 0, lane] = rho[weight[lane]]
                state[1, 0, lane] = np.inf
                state[2, 0, lane] = 0.0
                state[3, 0, lane] = 1.0
                state[4, 0, lane] = 1.0
                count[lane] = 0
                shortened[lane] = 0
            if at[lane] >= 0:
                active = True
        if not active:
            break
        value, power = objective(block, get(state, 0, 0), trial, columns, fresh)
        put(state, value * power, 7, 0)
        for lane in range(LANES):
            state[7, 0, lane] = math.log(state[7, 0, lane]) if state[7, 0, lane] > 0.0 else np.inf
        height = get(state, 7, 0)
        bar = get(state, 1, 0) + _ARMIJO * get(state, 3, 0) * get(state, 2, 0) + _ROUNDING
        accept = where_less(bar, height, 0.0, 1.0)
        accept = where_less(height, np.inf, accept, 0.0)
        # The new pair of step and change, where the step was taken.
        newest = (newest + 1) % MEMORY
        keep = where_less(0.0, get(state, 4, 0), 0.0, accept)
        bend = everywhere(0.0)
        change2 = everywhere(0.0)
        step2 = everywhere(0.0)
        for i in range(size):
            s = where_less(0.0, keep, get(trial, i, 0) - get(z, i, 0), 0.0)
            y = where_less(0.0, keep, get(fresh, i, 0) - get(gradient, i, 0), 0.0)
            put(steps, s, newest, i)
            put(changes, y, newest, i)
            bend += s * y
            change2 += y * y
            step2 += s * s
            put(z, where_less(0.0, accept, get(trial, i, 0), get(z, i, 0)), i, 0)
            put(gradient, where_less(0.0, accept, get(fresh, i, 0), get(gradient, i, 0)), i, 0)
        good = where_less(1e-14 * root(step2 * change2), bend, keep, 0.0)
        put(inverse, where_less(0.0, good, 1.0 / bend, 0.0), newest, 0)
        for i in range(size):
            put(turn, get(changes, newest, i), i, 0)
        precondition(z, columns, everywhere(1.0), turn)
        put(state, where_less(0.0, good, bend / inner_row(changes, newest, turn), get(state, 5, 0)), 5, 0)
        length2 = squared_norm(gradient)
        put(state, length2, 6, 0)
        put(state, accept, 9, 0)
        # Certificates, where they may hold.
        near = False
        for lane in range(LANES):
            if at[lane] >= 0 and state[9, 0, lane] > 0.0 and state[6, 0, lane] < _NEAR * _NEAR:
                near = True
        passed = everywhere(0.0)
        if near:
            passed = certified(block, value, power, columns, tolerance)
        put(state, where_less(0.0, passed, accept, 0.0), 8, 0)
        # Where to go next.
        cautious = 0.3 / root(length2)
        cautious = where_less(1.0, cautious, 1.0, cautious)
        scale = where_less(0.0, get(state, 5, 0), get(state, 5, 0), cautious)
        quasi_newton(gradient, z, columns, steps, changes, inverse, alphas, newest, scale, turn)
        slope = inner(gradient, turn)
        downhill = where_less(slope, 0.0, 1.0, 0.0)
        for i in range(size):
            t = where_less(0.0, downhill, get(turn, i, 0), -cautious * get(gradient, i, 0))
            put(search, where_less(0.0, accept, t, get(search, i, 0)), i, 0)
        slope = where_less(0.0, downhill, slope, -cautious * length2)
        put(state, where_less(0.0, accept, slope, get(state, 2, 0)), 10, 0)
        # Minimum of the parabola through value, slope and the new value, kept within [0.1, 0.5] of the step.
        step = get(state, 3, 0)
        old_slope = get(state, 2, 0)
        shrink = -0.5 * step * old_slope / (height - get(state, 1, 0) - step * old_slope)
        shrink = where_less(0.1, shrink, shrink, 0.1)
        shrink = where_less(shrink, 0.5, shrink, 0.5)
        put(state, where_less(0.0, accept, 1.0, step * shrink), 3, 0)
        put(state, get(state, 10, 0), 2, 0)
        put(state, where_less(0.0, accept, height, get(state, 1, 0)), 1, 0)
        put(state, where_less(0.0, accept, 0.0, get(state, 4, 0)), 4, 0)
        step = get(state, 3, 0)
        for i in range(size):
            put(trial, get(z, i, 0) + step * get(search, i, 0), i, 0)
        for lane in range(LANES):
            if at[lane] < 0:
                continue
            count[lane] += 1
            accepted = state[9, 0, lane] > 0.0
            if not accepted:
                shortened[lane] += 1
                if shortened[lane] == _MAX_SHORTENED // 2:  # the memory went bad: start again from the gradient
                    _forget(lane, inverse, state, z, gradient, search, trial)
            else:
                shortened[lane] = 0
            done = state[8, 0, lane] > 0.0
            if done or count[lane] >= _MAX_EVALUATIONS or shortened[lane] >= _MAX_SHORTENED:
                _store(z, lane, points[at[lane], weight[lane]])
                evaluations[at[lane], weight[lane]] = count[lane]
                low[lane] = min(low[lane], weight[lane])
                high[lane] = max(high[lane], weight[lane])
                finished[lane] = True
    return points, evaluations


@kernel
def _forget(lane, inverse, state, z, gradient, search, trial):
    """Drop a lane's memory and try a short step along its gradient."""
    inverse[:, 0, lane] = 0.0
    state[5, 0, lane] = 0.0
    length = math.sqrt(state[6, 0, lane])
    step = min(1.0, 0.3 / length)
    for i in range(z.shape[0]):
        search[i, 0, lane] = -step * gradient[i, 0, lane]
        trial[i, 0, lane] = z[i, 0, lane] + search[i, 0, lane]
    state[2, 0, lane] = -step * length * length
    state[3, 0, lane] = 1.0


@kernel
def _store(z, lane, out):
    """Keep a lane's point, scaled to unit length."""
    total = 0.0
    for i in range(out.size):
        total += z[i, 0, lane] ** 2
    scale = 1.0 / math.sqrt(total) if total > 0.0 else 0.0
    for i in range(out.size):
        out[i] = scale * z[i, 0, lane]
