"""First rung: L-BFGS on factors. V = Z Z^H, or p = z^2, with F(z) = log f + log |z|^2 to be minimised.

F does not change with the length of z (f has degree -1), so no constraint is left, and a square Z has no
spurious minima. The iteration ends by the certificate, never by a step or gradient size.
"""

import math

import numpy as np

from ..accelerate import kernel
from .certificate import covariance_gap, power_gap
from .objective import weighted_crb
from .reduced import coordinate_index
from .smallmat import dot

_MEMORY = 12
_ARMIJO = 1e-4
_MAX_TRIALS = 25


@kernel
def factor_objective(bp, ms, rho, z, mix, rank, gradient, slopes, coordinates, c, work):
    """F and its gradient at a factor z: (real and imaginary parts, basis, column) for a covariance.

    c is work space (2, count, columns) for mix^T Z.
    """
    count = mix.shape[1]
    columns = z.shape[2]
    c[:] = 0.0
    for part in range(2):
        for i in range(rank):
            for r in range(count):
                m = mix[i, r]
                if m != 0.0:
                    for k in range(columns):
                        c[part, r, k] += m * z[part, i, k]
    for r in range(count):
        for s in range(r, count):
            place = coordinate_index(r, s, count)
            coordinates[place] = dot(c[0, r], c[0, s]) + dot(c[1, r], c[1, s])
            if s > r:
                coordinates[place + 1] = dot(c[1, r], c[0, s]) - dot(c[0, r], c[1, s])
    flat = z.ravel()
    norm = dot(flat, flat)
    value = weighted_crb(bp, ms, rho, coordinates, slopes, work)
    if not value < math.inf:
        return math.inf
    # dF/dZ = 2 mix Gamma C / f + 2 Z / |Z|^2, Gamma the Hermitian gradient with respect to S.
    for part in range(2):
        for i in range(rank):
            for k in range(columns):
                gradient[part, i, k] = 2.0 * z[part, i, k] / norm
    turned = np.zeros((2, columns))
    for r in range(count):
        turned[:] = 0.0
        for s in range(count):
            place = coordinate_index(min(r, s), max(r, s), count)
            real = slopes[place] if r == s else 0.5 * slopes[place]
            imag = 0.0 if r == s else 0.5 * slopes[place + 1] * (1.0 if r < s else -1.0)
            for k in range(columns):
                turned[0, k] += real * c[0, s, k] - imag * c[1, s, k]
                turned[1, k] += real * c[1, s, k] + imag * c[0, s, k]
        for i in range(rank):
            m = 2.0 * mix[i, r] / value
            if m != 0.0:
                for part in range(2):
                    for k in range(columns):
                        gradient[part, i, k] += m * turned[part, k]
    return math.log(value) + math.log(norm)


@kernel
def root_objective(bp, ms, rho, z, gradient, slopes, powers, work):
    """F and its gradient at roots z of codeword powers, (1, 1, codeword)."""
    norm = 0.0
    for i in range(powers.size):
        powers[i] = z[0, 0, i] ** 2
        norm += powers[i]
    value = weighted_crb(bp, ms, rho, powers, slopes, work)
    if not value < math.inf:
        return math.inf
    for i in range(powers.size):
        gradient[0, 0, i] = 2.0 * z[0, 0, i] * (slopes[i] / value + 1.0 / norm)
    return math.log(value) + math.log(norm)


@kernel
def _direction(gradient, steps, changes, curvature, stored, newest, out):
    """Two-loop recursion: out = -H gradient, all arrays flat."""
    alphas = np.zeros(_MEMORY)
    for i in range(gradient.size):
        out[i] = -gradient[i]
    for n in range(stored):
        m = (newest - n) % _MEMORY
        alphas[n] = dot(steps[m], out) / curvature[m]
        for i in range(out.size):
            out[i] -= alphas[n] * changes[m, i]
    if stored > 0:
        size = curvature[newest] / dot(changes[newest], changes[newest])
        for i in range(out.size):
            out[i] *= size
    for n in range(stored - 1, -1, -1):
        m = (newest - n) % _MEMORY
        beta = alphas[n] - dot(changes[m], out) / curvature[m]
        for i in range(out.size):
            out[i] += beta * steps[m, i]


@kernel
def _gap_at(bp, ms, rho, z, mix, rank, work):
    """Normalised design of a factor z and its certificate: (gap, x or diag(p))."""
    if z.shape[0] == 1:
        size = z.shape[2]
        x = np.zeros((size, size), np.complex128)
        powers = np.zeros(size)
        for i in range(size):
            powers[i] = z[0, 0, i] ** 2
        powers /= powers.sum()
        for i in range(size):
            x[i, i] = powers[i]
        _, gap = power_gap(bp, ms, rho, powers, work)
        return gap, x
    x = np.zeros((rank, rank), np.complex128)
    total = 0.0
    for i in range(rank):
        for j in range(rank):
            for k in range(z.shape[2]):
                x[i, j] += complex(z[0, i, k], z[1, i, k]) * complex(z[0, j, k], -z[1, j, k])
        total += x[i, i].real
    x /= total
    _, gap = covariance_gap(bp, ms, rho, x, mix, rank, work)
    return gap, x


@kernel
def _evaluate(bp, ms, rho, z, mix, rank, gradient, space):
    """F and its gradient at a factor of either kind; space is (slopes, coordinates, c, work)."""
    if z.shape[0] == 1:
        return root_objective(bp, ms, rho, z, gradient, space[0], space[1], space[3])
    return factor_objective(bp, ms, rho, z, mix, rank, gradient, space[0], space[1], space[2], space[3])


@kernel
def _line_search(bp, ms, rho, z, mix, rank, value, search, slope, step, trial, fresh, space):
    """Backtrack until the value falls enough: (accepted, new value, step, evaluations); trial is moved there."""
    base = z.ravel()
    moved = trial.ravel()
    new = math.inf
    for evaluations in range(1, _MAX_TRIALS + 1):
        for i in range(base.size):
            moved[i] = base[i] + step * search[i]
        new = _evaluate(bp, ms, rho, trial, mix, rank, fresh, space)
        if new <= value + _ARMIJO * step * slope:
            return True, new, step, evaluations
        # Minimum of the parabola through value, slope and the new value, kept within [0.1, 0.5].
        shrink = 0.1
        if new < math.inf:
            shrink = -0.5 * step * slope / (new - value - step * slope)
        step *= min(max(shrink, 0.1), 0.5)
    return False, new, step, _MAX_TRIALS


@kernel
def descend(bp, ms, rho, start, mix, rank, tolerance, max_evaluations, work):
    """Minimise from a factor: (2, rank, columns) for a covariance, (1, 1, codewords) for powers.

    Returns the design of unit power ((rank, rank) Hermitian, or diagonal of powers), its certified gap and
    the number of evaluations.
    """
    count = mix.shape[1]
    size = count if start.shape[0] == 1 else count * count
    space = (np.zeros(size), np.zeros(size), np.zeros((2, count, start.shape[2])), work)
    z = start.copy()
    trial = np.zeros_like(z)
    gradient = np.zeros_like(z)
    fresh = np.zeros_like(z)
    search = np.zeros(z.size)
    steps = np.zeros((_MEMORY, z.size))
    changes = np.zeros((_MEMORY, z.size))
    curvature = np.zeros(_MEMORY)
    stored = 0
    newest = -1
    value = _evaluate(bp, ms, rho, z, mix, rank, gradient, space)
    evaluations = 1
    best_gap, best = _gap_at(bp, ms, rho, z, mix, rank, work)
    check_below = 1e-3
    while evaluations < max_evaluations and best_gap > tolerance and value < math.inf:
        g = gradient.ravel()
        _direction(g, steps, changes, curvature, stored, newest, search)
        slope = dot(g, search)
        length = math.sqrt(dot(g, g))
        step = 1.0 if stored > 0 else min(1.0, 0.3 / length)
        accepted = False
        if slope < 0.0:
            accepted, new, step, spent = _line_search(
                bp, ms, rho, z, mix, rank, value, search, slope, step, trial, fresh, space
            )
            evaluations += spent
        if not accepted:
            if stored == 0:
                break
            stored = 0  # the memory went bad: start again from the gradient
            continue
        place = (newest + 1) % _MEMORY
        f = fresh.ravel()
        for i in range(g.size):
            steps[place, i] = step * search[i]
            changes[place, i] = f[i] - g[i]
        bend = dot(steps[place], changes[place])
        if bend > 1e-14 * length * step:
            curvature[place] = bend
            newest = place
            stored = min(stored + 1, _MEMORY)
        z, trial = trial, z
        gradient, fresh = fresh, gradient
        value = new
        length = math.sqrt(dot(f, f))
        if length < check_below:  # the certificate costs a few evaluations: not at every step
            gap, x = _gap_at(bp, ms, rho, z, mix, rank, work)
            if gap < best_gap:
                best_gap = gap
                best = x
            check_below = 0.5 * length
    return best, best_gap, evaluations
