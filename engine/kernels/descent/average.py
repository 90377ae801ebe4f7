"""One design for many draws: the mean of their weighted CRBs, each over its own scale, and its minimum.

The mean F(Y) = sum_s w_s f_s(Y), w_s >= 0, is convex and of degree -1 like every f_s, so the certificate of one
draw (see `bound.certificate`) holds for it word for word: with G = -grad F, P lambda_max(G) / F(Y) - 1 bounds
F(Y) / F* - 1, and for powers on codewords c_i it is P max_i c_i^H G c_i / F - 1.

Y is the covariance on an orthonormal basis Q_0 that all draws share, V = P_m Q_0 Y Q_0^H; draw s sees R_s^H Y R_s of
it, R_s = Q_0^H Q_s its own basis. Where all draws have the same directions, Q_0 = Q and R_s = I.
Test: test_knowledge.
"""

import math
from typing import NamedTuple

import numpy as np

from ..bound.objective import covariance_objective, new_evaluation
from ..bound.problems import ProblemArrays, load_covariance, load_problems
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


class _Mean(NamedTuple):
    """The objective: what `descend_mean` is given of it."""

    problems: ProblemArrays
    bases: np.ndarray
    weights: np.ndarray
    rho: float
    codewords: np.ndarray


@kernel
def _mean_crb(mean, y, slope):
    """F at y (N, N); slope (N, N) becomes G = -grad F. inf where a draw of non-zero weight has a singular FIM."""
    problems, bases, weights = mean.problems, mean.bases, mean.weights
    batch = weights.size
    wide, count = bases.shape[1], bases.shape[2]
    whole = np.ascontiguousarray(y).reshape(1, 1, wide, wide)
    evaluation = new_evaluation(problems, 0)
    lanes = evaluation.problem
    x = lane_zeros(2 * count, count)
    own = np.zeros((1, 1, count, count), np.complex128)
    slope[:] = 0.0
    shared = bases.shape[0] == 1
    value = 0.0
    prior_slope = 0.0
    result = lane_zeros(1, 1)
    seen = reduce(bases[:1], whole, 1.0)
    power = np.trace(y.real)
    for first in range(0, batch, LANES):
        used = min(LANES, batch - first)
        load_problems(lanes, problems, first, used)
        for lane in range(LANES):
            b = first + min(lane, used - 1)
            if not shared:
                seen = reduce(bases[b : b + 1], whole, 1.0)
            load_covariance(x, lane, seen[0, 0])
        put(result, covariance_objective(evaluation, everywhere(mean.rho), everywhere(power), x), 0, 0)
        for lane in range(used):
            b = first + lane
            if weights[b] == 0.0:
                continue
            value += weights[b] * result[0, 0, lane]
            if not shared:
                own[:] = 0.0
            _add_lane(evaluation.negative_gradient, lane, weights[b], own[0, 0])
            if evaluation.prior_slope.shape[0] > 0:  # of the power, wherever it goes: not in the draw's own basis alone
                own_slope = weights[b] * evaluation.prior_slope[0, 0, lane]
                prior_slope += own_slope
                for i in range(count):
                    own[0, 0, i, i] -= own_slope
            if not shared:
                slope += expand(bases[b : b + 1], own, 1.0)[0, 0]
    if shared:
        slope += expand(bases, own, 1.0)[0, 0]
    slope += prior_slope * np.eye(wide)
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
    """Y (N, N) of real unknowns: roots of powers (m,) on codewords (N, m), or with m = 0 a factor (2, N, N)."""
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
    """What power is worth at most: lambda_max(G), or the largest c_i^H G c_i."""
    if codewords.shape[1] == 0:
        values, _ = eigen_hermitian(slope, slope.shape[0])
        return values[0]
    best = -math.inf
    for m in range(codewords.shape[1]):
        best = max(best, _quadratic_form(slope, codewords, m))
    return best


@kernel
def _quadratic_form(slope, codewords, m):
    """c_m^H G c_m."""
    total = 0.0
    for i in range(slope.shape[0]):
        entry = 0.0j
        for k in range(slope.shape[0]):
            entry += slope[i, k] * codewords[k, m]
        total += (np.conj(codewords[i, m]) * entry).real
    return total


@kernel
def _gap_at(value, slope, power, codewords):
    """The certified gap P lambda_max(G) / F - 1."""
    return power * _steepest(slope, codewords) / value - 1.0


@kernel
def mean_gap(problems, bases, weights, rho, y, codewords):
    """F and the certified gap of a covariance y (N, N) of unit trace; (inf, inf) where an FIM is singular.

    The other arguments are those of `descend_mean`.
    """
    slope = np.zeros_like(y)
    value = _mean_crb(_Mean(problems, bases, weights, rho, codewords), y, slope)
    if not value < math.inf:
        return math.inf, math.inf
    return value, max(_gap_at(value, slope, 1.0, codewords), 0.0)  # below 0 is rounding


class _Point(NamedTuple):
    """A point and what is known there."""

    unknowns: np.ndarray  # roots of powers, or the entries of a factor, real parts first
    covariance: np.ndarray  # Y, (N, N)
    slope: np.ndarray  # G, (N, N)
    gradient: np.ndarray  # of log F + log power


@kernel
def _new_point(unknowns, wide):
    covariance, slope = np.zeros((wide, wide), np.complex128), np.zeros((wide, wide), np.complex128)
    return _Point(unknowns, covariance, slope, np.zeros(unknowns.size))


@kernel
def _log_mean(mean, at):
    """Log F + log power at a point, F, the power; the rest of the point is filled in."""
    point, codewords, slope, gradient = at.unknowns, mean.codewords, at.slope, at.gradient
    covariance_at(point, codewords, at.covariance)
    value = _mean_crb(mean, at.covariance, slope)
    power = 0.0
    for i in range(point.size):
        power += point[i] * point[i]
    if not (value > 0.0 and value < math.inf):
        return math.inf, value, power
    wide = slope.shape[0]
    if codewords.shape[1] > 0:
        for m in range(point.size):
            gradient[m] = 2.0 * point[m] * (1.0 / power - _quadratic_form(slope, codewords, m) / value)
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
def _precondition(point, columns, vector):
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


class _Memory(NamedTuple):
    """The last steps, in a ring of rows."""

    steps: np.ndarray  # (MEMORY, unknowns)
    changes: np.ndarray  # of the gradient along each
    inverse: np.ndarray  # 1 / (step . change)
    alphas: np.ndarray  # of the first loop of the recursion, for the second
    newest: np.ndarray  # the row noted last, and how many are of use: (2,)


@kernel
def _new_memory(size):
    steps, changes = np.zeros((_MEMORY, size)), np.zeros((_MEMORY, size))
    return _Memory(steps, changes, np.zeros(_MEMORY), np.zeros(_MEMORY), np.array([-1, 0]))


@kernel
def _direction(at, columns, memory, out):
    """L-BFGS two-loop recursion (see `quasinewton`): out = -H gradient."""
    steps, changes, inverse, alphas = memory.steps, memory.changes, memory.inverse, memory.alphas
    newest, kept = memory.newest
    out[:] = -at.gradient
    for age in range(kept):
        m = (newest - age) % _MEMORY
        alphas[m] = inverse[m] * _inner(steps[m], out)
        out -= alphas[m] * changes[m]
    if kept > 0:
        shaped = changes[newest].copy()
        _precondition(at.unknowns, columns, shaped)
        _precondition(at.unknowns, columns, out)
        out /= inverse[newest] * _inner(changes[newest], shaped)
    for age in range(kept - 1, -1, -1):
        m = (newest - age) % _MEMORY
        beta = alphas[m] - inverse[m] * _inner(changes[m], out)
        out += beta * steps[m]


@kernel
def _remember(at, trial, memory):
    """Note a step and the change of the gradient along it, unless F bends down there."""
    newest, kept = memory.newest
    place = (newest + 1) % _MEMORY
    memory.steps[place] = trial.unknowns - at.unknowns
    memory.changes[place] = trial.gradient - at.gradient
    bend = _inner(memory.steps[place], memory.changes[place])
    if bend > 0.0:
        memory.inverse[place] = 1.0 / bend
        memory.newest[0] = place
        memory.newest[1] = min(kept + 1, _MEMORY)


@kernel
def _stiff_rows(problems, bases, codewords):
    """Rows of a factor whose stiff directions are known: in pairs, where all draws share them."""
    wide = bases.shape[1]
    shared = bases.shape[0] == 1 and wide == bases.shape[2] == 2 * problems.coupling.shape[2]
    return wide if shared and codewords.shape[1] == 0 else 0


@kernel
def descend_mean(problems, bases, weights, rho, codewords, start, tolerance, most):
    """Minimise F from a starting point until the certificate holds.

    Parameters
    ----------
    problems
        `problems.ProblemArrays`.
    bases
        R_s, (batch, N, 2K+2), or (1, N, 2K+2) where all are the same.
    weights
        w_s, (batch,).
    rho
        Weight of BP.
    codewords
        Q_0^H U, (N, m), for powers; (N, 0) for a free covariance.
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
    size, wide = start.size, bases.shape[1]
    mean = _Mean(problems, bases, weights, rho, codewords)
    at = _new_point(start / math.sqrt(_inner(start, start)), wide)
    trial = _new_point(np.zeros(size), wide)
    search = np.zeros(size)
    memory = _new_memory(size)
    stiff = _stiff_rows(problems, bases, codewords)
    height, value, power = _log_mean(mean, at)
    spent = 1
    while spent < most and height < math.inf:
        length2 = _inner(at.gradient, at.gradient)
        if length2 * power < _NEAR * _NEAR and _gap_at(value, at.slope, power, codewords) <= tolerance:
            break
        _direction(at, stiff, memory, search)
        fall = _inner(at.gradient, search)
        step = 1.0
        if memory.newest[1] == 0 or not fall < 0.0:
            memory.newest[1] = 0
            step = min(1.0, 0.3 / math.sqrt(length2))
            fall = -length2
            search[:] = -at.gradient
        tried, new_height, new_value, new_power = _search_line(mean, at, trial, search, step, height, fall)
        spent += tried
        if new_height < math.inf:
            _remember(at, trial, memory)
            at, trial = trial, at
            height, value, power = new_height, new_value, new_power
        elif memory.newest[1] == 0:
            break
        else:
            memory.newest[1] = 0
    return at.unknowns / math.sqrt(_inner(at.unknowns, at.unknowns)), spent


@kernel
def _search_line(mean, at, trial, search, step, height, fall):
    """Shorten the step until F falls enough (Armijo), by parabolas; evaluations, and log F + log power, F, the power.

    The height is inf where no step was short enough.
    """
    value, power = math.inf, 1.0
    for tried in range(1, _MAX_SHORTENED + 1):
        trial.unknowns[:] = at.unknowns + step * search
        new_height, value, power = _log_mean(mean, trial)
        if new_height <= height + _ARMIJO * step * fall + _ROUNDING:
            return tried, new_height, value, power
        shrink = -0.5 * step * fall / (new_height - height - step * fall) if new_height < math.inf else 0.1
        step *= min(max(shrink, 0.1), 0.5)
    return _MAX_SHORTENED, math.inf, value, power
