"""First rung: L-BFGS on factors. V = Z Z^H, or p = z^2, with F(z) = log f + log |z|^2 to be minimised.

F does not change with the length of z (f has degree -1), so no constraint is left, and a square Z has no
spurious minima. The iteration ends by the certificate, never by a step or gradient size.
"""

import math

import numpy as np

from ..accelerate import kernel, solver_kernel
from .certificate import covariance_gap, power_gap
from .objective import coordinate_index, weighted_crb

_MEMORY = 12
_ARMIJO = 1e-4


@solver_kernel
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
            real = 0.0
            imag = 0.0
            for k in range(columns):
                real += c[0, r, k] * c[0, s, k] + c[1, r, k] * c[1, s, k]
                imag += c[1, r, k] * c[0, s, k] - c[0, r, k] * c[1, s, k]
            place = coordinate_index(r, s, count)
            coordinates[place] = real
            if s > r:
                coordinates[place + 1] = imag
    norm = 0.0
    for part in range(2):
        for i in range(rank):
            for k in range(columns):
                norm += z[part, i, k] ** 2
    value = weighted_crb(bp, ms, rho, coordinates, slopes, work)
    if not value < math.inf:
        return math.inf
    # dF/dZ = 2 mix Gamma C / f + 2 Z / |Z|^2, Gamma the Hermitian gradient with respect to S.
    gradient[:] = 0.0
    for r in range(count):
        for s in range(count):
            place = coordinate_index(min(r, s), max(r, s), count)
            if r == s:
                real = slopes[place]
                imag = 0.0
            else:
                real = 0.5 * slopes[place]
                imag = 0.5 * slopes[place + 1] * (1.0 if r < s else -1.0)
            for i in range(rank):
                m = 2.0 * mix[i, r] / value
                if m != 0.0:
                    for k in range(columns):
                        gradient[0, i, k] += m * (real * c[0, s, k] - imag * c[1, s, k])
                        gradient[1, i, k] += m * (real * c[1, s, k] + imag * c[0, s, k])
    for part in range(2):
        for i in range(rank):
            for k in range(columns):
                gradient[part, i, k] += 2.0 * z[part, i, k] / norm
    return math.log(value) + math.log(norm)


@solver_kernel
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


@solver_kernel
def _direction(gradient, steps, changes, curvature, stored, newest, out):
    """Two-loop recursion: out = -H gradient, all arrays flat."""
    alphas = np.empty(stored)
    for i in range(gradient.size):
        out[i] = -gradient[i]
    for n in range(stored):
        m = (newest - n) % _MEMORY
        alpha = 0.0
        for i in range(out.size):
            alpha += steps[m, i] * out[i]
        alpha /= curvature[m]
        alphas[n] = alpha
        for i in range(out.size):
            out[i] -= alpha * changes[m, i]
    if stored > 0:
        size = 0.0
        for i in range(out.size):
            size += changes[newest, i] ** 2
        size = curvature[newest] / size
        for i in range(out.size):
            out[i] *= size
    for n in range(stored - 1, -1, -1):
        m = (newest - n) % _MEMORY
        beta = 0.0
        for i in range(out.size):
            beta += changes[m, i] * out[i]
        beta = alphas[n] - beta / curvature[m]
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
def descend(bp, ms, rho, start, mix, rank, tolerance, max_evaluations, work):
    """Minimise from a factor: (2, rank, columns) for a covariance, (1, 1, codewords) for powers.

    Returns the design of unit power ((rank, rank) Hermitian, or diagonal of powers), its certified gap and
    the number of evaluations.
    """
    count = mix.shape[1]
    powers = start.shape[0] == 1
    z = start.copy()
    trial = np.zeros_like(z)
    gradient = np.zeros_like(z)
    fresh = np.zeros_like(z)
    search = np.zeros(z.size)
    steps = np.zeros((_MEMORY, z.size))
    changes = np.zeros((_MEMORY, z.size))
    curvature = np.zeros(_MEMORY)
    slopes = np.zeros(count if powers else count * count)
    coordinates = np.zeros_like(slopes)
    c = np.zeros((2, count, z.shape[2]))
    stored = 0
    newest = -1
    if powers:
        value = root_objective(bp, ms, rho, z, gradient, slopes, coordinates, work)
    else:
        value = factor_objective(bp, ms, rho, z, mix, rank, gradient, slopes, coordinates, c, work)
    evaluations = 1
    best_gap, best = _gap_at(bp, ms, rho, z, mix, rank, work)
    check_below = 1e-3
    while evaluations < max_evaluations and best_gap > tolerance and value < math.inf:
        g = gradient.ravel()
        _direction(g, steps, changes, curvature, stored, newest, search)
        slope = 0.0
        size = 0.0
        for i in range(g.size):
            slope += g[i] * search[i]
            size += g[i] * g[i]
        if not slope < 0.0:
            if stored == 0:
                break
            stored = 0  # the memory went bad: start again from the gradient
            continue
        step = 1.0 if stored > 0 else min(1.0, 0.3 / math.sqrt(size))
        accepted = False
        for _ in range(25):
            flat = trial.ravel()
            base = z.ravel()
            for i in range(g.size):
                flat[i] = base[i] + step * search[i]
            if powers:
                new = root_objective(bp, ms, rho, trial, fresh, slopes, coordinates, work)
            else:
                new = factor_objective(bp, ms, rho, trial, mix, rank, fresh, slopes, coordinates, c, work)
            evaluations += 1
            if new <= value + _ARMIJO * step * slope:
                accepted = True
                break
            # Minimum of the parabola through value, slope and the new value, kept within [0.1, 0.5].
            shrink = 0.1
            if new < math.inf:
                shrink = -0.5 * step * slope / (new - value - step * slope)
            step *= min(max(shrink, 0.1), 0.5)
        if not accepted:
            if stored == 0:
                break
            stored = 0
            continue
        place = (newest + 1) % _MEMORY
        bend = 0.0
        f = fresh.ravel()
        length = 0.0
        for i in range(g.size):
            steps[place, i] = step * search[i]
            changes[place, i] = f[i] - g[i]
            bend += steps[place, i] * changes[place, i]
            length += f[i] * f[i]
        if bend > 1e-14 * math.sqrt(size) * step:
            curvature[place] = bend
            newest = place
            stored = min(stored + 1, _MEMORY)
        z, trial = trial, z
        gradient, fresh = fresh, gradient
        value = new
        if math.sqrt(length) < check_below:  # the certificate costs a few evaluations: not at every step
            gap, x = _gap_at(bp, ms, rho, z, mix, rank, work)
            if gap < best_gap:
                best_gap = gap
                best = x
            check_below = 0.5 * math.sqrt(length)
    return best, best_gap, evaluations
