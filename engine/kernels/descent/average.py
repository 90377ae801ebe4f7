"""One design for many draws: the mean of their weighted CRBs, each over its own scale, and its minimum.

The mean F(Y) = sum_s w_s f_s(Y), w_s >= 0, is convex and of degree -1 like every f_s, so the certificate of one
draw (see `kernels.cleaning`) holds for it word for word: with G = -grad F, P lambda_max(G) / F(Y) - 1 bounds
F(Y) / F* - 1, and for powers on codewords c_i it is P max_i c_i^H G c_i / F - 1.

Y is the covariance on an orthonormal basis E that all draws share, V = P_m E Y E^H; draw s sees T_s^H Y T_s of it,
T_s = E^H Q_s. Where all draws have the same directions, E = Q and T_s = I.
"""

import math

import numpy as np

from ..bound.block import load_draw, new_block, reduced_gradient, transmit_covariance, weighted_crb
from ..jit.accelerate import kernel
from ..jit.lanes import LANES, everywhere, lane_zeros, put
from ..linalg.smallmat import eigen_hermitian
from ..model.bases import expand, reduce

_MEMORY = 30
_ARMIJO = 1e-4
_ROUNDING = 1e-14  # of log F, which is of order one
_NEAR = 1e-2  # gradient size from which on the certificate is tried
_MAX_SHORTENED = 20
_SHORTER = 0.75  # by how much steps along stiff directions are shortened
_NEARLY_PARALLEL = 1e-9
_TINY = 1e-200  # keeps rows of zeros (fewer antennas than columns) finite


@kernel
def mean_crb(draws, turns, weights, rho, y, slope):
    """F at y (N, N); slope (N, N) becomes G = -grad F. inf where a draw of non-zero weight has a singular FIM."""
    batch = weights.size
    wide, count = turns.shape[1], turns.shape[2]
    whole = np.ascontiguousarray(y).reshape(1, 1, wide, wide)
    block = new_block(draws, 0)
    x = lane_zeros(2 * count, count)
    own = np.zeros((1, 1, count, count), np.complex128)
    slope[:] = 0.0
    shared = turns.shape[0] == 1
    value = 0.0
    result = lane_zeros(1, 1)
    seen = reduce(turns[:1], whole, 1.0)
    for first in range(0, batch, LANES):
        used = min(LANES, batch - first)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            load_draw(block, draws, b, lane)
            if not shared:
                seen = reduce(turns[b : b + 1], whole, 1.0)
            for i in range(count):
                for k in range(count):
                    x[i, k, lane] = seen[0, 0, i, k].real
                    x[count + i, k, lane] = seen[0, 0, i, k].imag
        transmit_covariance(block, x)
        put(result, weighted_crb(block, everywhere(rho)), 0, 0)
        reduced_gradient(block, block.normal)
        for lane in range(used):
            b = first + lane
            if weights[b] == 0.0:
                continue
            value += weights[b] * result[0, 0, lane]
            if not shared:
                own[:] = 0.0
            _add_lane(block.normal, lane, weights[b], own[0, 0])
            if not shared:
                slope += expand(turns[b : b + 1], own, 1.0)[0, 0]
    if shared:
        slope += expand(turns, own, 1.0)[0, 0]
    return value if value < math.inf else math.inf


@kernel
def _add_lane(lanes, lane, weight, out):
    """Add weight times one lane's Hermitian matrix, of which the lower triangle is there."""
    count = out.shape[0]
    for i in range(count):
        for k in range(i + 1):
            entry = weight * complex(lanes[i, k, lane], lanes[count + i, k, lane])
            out[i, k] += entry
            if k < i:
                out[k, i] += np.conj(entry)


@kernel
def covariance_at(point, codewords, out):
    """Y of a vector of real unknowns: roots of powers on the codewords (N, m), or with m = 0 a factor (2, N, N)."""
    wide, words = codewords.shape
    if words > 0:
        for i in range(wide):
            for k in range(wide):
                entry = 0.0j
                for m in range(words):
                    entry += point[m] ** 2 * codewords[i, m] * np.conj(codewords[k, m])
                out[i, k] = entry
        return
    z = point.reshape(2, wide, wide)
    for i in range(wide):
        for k in range(i + 1):
            real = 0.0
            imag = 0.0
            for c in range(wide):
                real += z[0, i, c] * z[0, k, c] + z[1, i, c] * z[1, k, c]
                imag += z[1, i, c] * z[0, k, c] - z[0, i, c] * z[1, k, c]
            out[i, k] = complex(real, imag)
            out[k, i] = complex(real, -imag)


@kernel
def _steepest(slope, codewords):
    """Largest gain of power that G offers: lambda_max(G), or the largest c_i^H G c_i."""
    if codewords.shape[1] == 0:
        values, _ = eigen_hermitian(slope, slope.shape[0])
        return values[0]
    best = -math.inf
    for m in range(codewords.shape[1]):
        best = max(best, _along(slope, codewords, m))
    return best


@kernel
def _along(slope, codewords, m):
    """c_m^H G c_m."""
    total = 0.0
    for i in range(slope.shape[0]):
        entry = 0.0j
        for k in range(slope.shape[0]):
            entry += slope[i, k] * codewords[k, m]
        total += (np.conj(codewords[i, m]) * entry).real
    return total


@kernel
def mean_gap(draws, turns, weights, rho, y, codewords):
    """F and the certified gap of a covariance y of unit trace; (inf, inf) where an FIM is singular."""
    slope = np.zeros_like(y)
    value = mean_crb(draws, turns, weights, rho, y, slope)
    if not value < math.inf:
        return math.inf, math.inf
    return value, max(_steepest(slope, codewords) / value - 1.0, 0.0)  # below 0 is rounding


@kernel
def _log_mean(draws, turns, weights, rho, point, codewords, y, slope, gradient):
    """Log F + log power at a point, F, the power; gradient of the first."""
    covariance_at(point, codewords, y)
    value = mean_crb(draws, turns, weights, rho, y, slope)
    power = 0.0
    for i in range(point.size):
        power += point[i] * point[i]
    if not (value > 0.0 and value < math.inf):
        return math.inf, value, power
    wide = y.shape[0]
    if codewords.shape[1] > 0:
        for m in range(point.size):
            gradient[m] = 2.0 * point[m] * (1.0 / power - _along(slope, codewords, m) / value)
        return math.log(value * power), value, power
    z = point.reshape(2, wide, wide)
    g = gradient.reshape(2, wide, wide)
    for i in range(wide):
        for c in range(wide):
            real = 0.0
            imag = 0.0
            for k in range(wide):
                real += slope[i, k].real * z[0, k, c] - slope[i, k].imag * z[1, k, c]
                imag += slope[i, k].real * z[1, k, c] + slope[i, k].imag * z[0, k, c]
            g[0, i, c] = 2.0 * (z[0, i, c] / power - real / value)
            g[1, i, c] = 2.0 * (z[1, i, c] / power - imag / value)
    return math.log(value * power), value, power


@kernel
def _inner(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@kernel
def _shape(point, columns, vector):
    """Multiply a vector by a guess of the inverse Hessian at a square factor Z; without columns, by 1.

    The power and the correlation of a path's own two rows of Z, a and d, matter most: those directions, B Z_k with
    a Hermitian 2 x 2 matrix B for each path, are stiffer than all others, the more so the more antennas there are.
    They are projected out of the vector and shortened. B solves S B + B S = C, S = Z_k Z_k^H.
    """
    n = columns // 2
    z = point.reshape(2, max(columns, 1), -1)
    v = vector.reshape(2, max(columns, 1), -1)
    for k in range(n):
        saa, sdd, caa, cdd = _TINY, _TINY, 0.0, 0.0
        s, c = 0.0j, 0.0j
        for i in range(columns):
            a, d = complex(z[0, k, i], z[1, k, i]), complex(z[0, n + k, i], z[1, n + k, i])
            p, q = complex(v[0, k, i], v[1, k, i]), complex(v[0, n + k, i], v[1, n + k, i])
            saa += (a * np.conj(a)).real
            sdd += (d * np.conj(d)).real
            s += a * np.conj(d)
            caa += 2.0 * (p * np.conj(a)).real
            cdd += 2.0 * (q * np.conj(d)).real
            c += p * np.conj(d) + a * np.conj(q)
        s2 = (s * np.conj(s)).real
        both = saa * sdd
        det = both - s2 + _NEARLY_PARALLEL * both
        cross = 2.0 * (s * np.conj(c)).real
        weight = 0.5 * _SHORTER / ((saa + sdd) * det)
        baa = weight * (det * caa + sdd * sdd * caa - sdd * cross + s2 * cdd)
        bdd = weight * (det * cdd + saa * saa * cdd - saa * cross + s2 * caa)
        bad = weight * ((det + both) * c + s * s * np.conj(c) - (sdd * caa + saa * cdd) * s)
        for i in range(columns):
            a, d = complex(z[0, k, i], z[1, k, i]), complex(z[0, n + k, i], z[1, n + k, i])
            p = baa * a + bad * d
            q = bdd * d + np.conj(bad) * a
            v[0, k, i] -= p.real
            v[1, k, i] -= p.imag
            v[0, n + k, i] -= q.real
            v[1, n + k, i] -= q.imag


@kernel
def _direction(gradient, point, columns, steps, changes, inverse, newest, kept, out):
    """L-BFGS two-loop recursion: out = -H gradient."""
    alphas = np.zeros(_MEMORY)
    out[:] = -gradient
    for age in range(kept):
        m = (newest - age) % _MEMORY
        alphas[m] = inverse[m] * _inner(steps[m], out)
        out -= alphas[m] * changes[m]
    if kept > 0:
        shaped = changes[newest].copy()
        _shape(point, columns, shaped)
        _shape(point, columns, out)
        out /= inverse[newest] * _inner(changes[newest], shaped)
    for age in range(kept - 1, -1, -1):
        m = (newest - age) % _MEMORY
        beta = alphas[m] - inverse[m] * _inner(changes[m], out)
        out += beta * steps[m]


@kernel
def descend_mean(draws, turns, weights, rho, codewords, start, tolerance, most):
    """Minimise F from a starting point until the certificate holds.

    Parameters
    ----------
    draws
        `block.Draws`.
    turns
        T_s, (batch, N, 2K+2), or (1, N, 2K+2) where all are the same.
    weights
        w_s, (batch,).
    rho
        Weight of BP.
    codewords
        C = E^H U, (N, m), for powers; (N, 0) for a free covariance.
    start
        m roots, or 2 N N entries of a factor, real parts first.
    tolerance
        Certified gap to reach.
    most
        Evaluations at most.

    Returns
    -------
    tuple
        The point, of unit length, and the number of evaluations.
    """
    size, wide = start.size, turns.shape[1]
    y = np.zeros((wide, wide), np.complex128)
    slope = np.zeros((wide, wide), np.complex128)
    point = start / math.sqrt(_inner(start, start))
    gradient, fresh = np.zeros(size), np.zeros(size)
    search, trial = np.zeros(size), np.zeros(size)
    steps, changes, inverse = np.zeros((_MEMORY, size)), np.zeros((_MEMORY, size)), np.zeros(_MEMORY)
    newest, kept = -1, 0
    # Where all draws share their directions, the stiff ones are those of a single draw.
    shared = turns.shape[0] == 1 and wide == turns.shape[2] and codewords.shape[1] == 0
    stiff = wide if shared else 0
    height, value, power = _log_mean(draws, turns, weights, rho, point, codewords, y, slope, gradient)
    spent = 1
    while spent < most and height < math.inf:
        length2 = _inner(gradient, gradient)
        if length2 * power < _NEAR * _NEAR and power * _steepest(slope, codewords) / value - 1.0 <= tolerance:
            break
        _direction(gradient, point, stiff, steps, changes, inverse, newest, kept, search)
        fall = _inner(gradient, search)
        step = 1.0
        if kept == 0 or not fall < 0.0:
            kept = 0
            step = min(1.0, 0.3 / math.sqrt(length2))
            fall = -length2
            search[:] = -gradient
        moved = False
        for _ in range(_MAX_SHORTENED):
            trial[:] = point + step * search
            new_height, value, power = _log_mean(draws, turns, weights, rho, trial, codewords, y, slope, fresh)
            spent += 1
            if new_height <= height + _ARMIJO * step * fall + _ROUNDING:
                moved = True
                break
            shrink = -0.5 * step * fall / (new_height - height - step * fall) if new_height < math.inf else 0.1
            step *= min(max(shrink, 0.1), 0.5)
        if not moved:
            if kept == 0:
                break
            kept = 0
            _, value, power = _log_mean(draws, turns, weights, rho, point, codewords, y, slope, gradient)
            continue
        place = (newest + 1) % _MEMORY
        if _remember(point, trial, gradient, fresh, steps[place], changes[place], inverse[place : place + 1]):
            newest = place
            kept = min(kept + 1, _MEMORY)
        point[:] = trial
        gradient[:] = fresh
        height = new_height
    return point / math.sqrt(_inner(point, point)), spent


@kernel
def _remember(point, trial, gradient, fresh, step, change, inverse):
    """Note a step and the change of the gradient along it; False, and nothing kept, where F bends down."""
    step[:] = trial - point
    change[:] = fresh - gradient
    bend = _inner(step, change)
    if bend > 0.0:
        inverse[0] = 1.0 / bend
    return bend > 0.0
