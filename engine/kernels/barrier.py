"""Second rung: a path-following barrier method, slower and without failures where L-BFGS stalls.

Minimises f(x) + tr(x) - mu log det(x) over positive definite x (or positive powers) for falling mu, by Newton
steps in coordinates x = C (1 + D) C^H scaled by the current point, where the barrier's Hessian is mu times
the identity. As f has degree -1 the trace term replaces the power constraint; the point is scaled afterwards.
f is first divided by its value at the start.

It ends as soon as the certificate does: the best design for BP alone may give a target so little power that
its path, and so the whole FIM, would be lost closer to the boundary.
"""

import math

import numpy as np

from ..accelerate import kernel
from .certificate import covariance_gap, power_gap
from .objective import coordinates_of, weighted_crb
from .reduced import coordinate_index
from .smallmat import cholesky, dot, hermitian_cholesky, solve_lower, solve_upper, times

_SHRINK = 0.15
_LAST_MU = 1e-12
_MAX_NEWTON = 150


@kernel
def scaled_directions(root, mix, rank):
    """Coordinates of mix^T C E_k C^H mix for the orthonormal Hermitian basis E_k: (rank^2, count^2).

    E_k in order: for each i, e_i e_i^T, then for j > i the real and the imaginary pair over sqrt(2).
    """
    count = mix.shape[1]
    spread = np.zeros((count, rank), np.complex128)  # mix^T C
    for r in range(count):
        for i in range(rank):
            for k in range(rank):
                spread[r, i] += mix[k, r] * root[k, i]
    out = np.zeros((rank * rank, count * count))
    half = 1.0 / math.sqrt(2.0)
    k = 0
    for i in range(rank):
        for j in range(i, rank):
            for r in range(count):
                for s in range(r, count):
                    place = coordinate_index(r, s, count)
                    if i == j:
                        value = spread[r, i] * np.conj(spread[s, i])
                        out[k, place] = value.real
                        if s > r:
                            out[k, place + 1] = value.imag
                        continue
                    left = spread[r, i] * np.conj(spread[s, j])
                    right = spread[r, j] * np.conj(spread[s, i])
                    real = half * (left + right)
                    turned = half * 1j * (left - right)
                    out[k, place] = real.real
                    out[k + 1, place] = turned.real
                    if s > r:
                        out[k, place + 1] = real.imag
                        out[k + 1, place + 1] = turned.imag
            k += 1 if i == j else 2
    return out


@kernel
def _add_link_hessian(linear, factor, bound_rows, weight, triangle, directions, hessian):
    """Add 2 weight sum_r (dJ_k y_r)^T J^-1 (dJ_l y_r), y_r = J^-1 F_r, for directions k, l of this link."""
    p = factor.shape[0]
    packed = p * (p + 1) // 2
    count = directions.shape[0]
    moved = np.zeros((count, packed))
    for k in range(count):
        for s in range(directions.shape[1]):
            x = directions[k, s]
            if x != 0.0:
                for e in range(packed):
                    moved[k, e] += x * linear[s, e]
    y = np.empty(p)
    pushed = np.zeros((count, p))
    for row in range(bound_rows):
        y[:] = factor[row]
        solve_lower(triangle, p, y)
        solve_upper(triangle, p, y)
        for k in range(count):
            e = 0
            u = pushed[k]
            u[:] = 0.0
            for a in range(p):
                for b in range(a):
                    u[a] += moved[k, e] * y[b]
                    u[b] += moved[k, e] * y[a]
                    e += 1
                u[a] += moved[k, e] * y[a]
                e += 1
            solve_lower(triangle, p, u)
        for k in range(count):
            for m in range(k + 1):
                hessian[k, m] += 2.0 * weight * dot(pushed[k], pushed[m])


@kernel
def _newton(bp, ms, rho, directions, slopes, trace, mu, scale, work):
    """Newton step in scaled coordinates and its squared decrement.

    slopes is grad f, trace the derivative of tr(x) along each direction, whose first `len` barrier slopes
    are mu where the direction is diagonal (marked by trace_of_basis).
    """
    count = directions.shape[0]
    hessian = np.zeros((count, count))
    if rho > 0.0:
        _add_link_hessian(bp[0], bp[1], bp[2], rho / scale, work[0][0], directions, hessian)
    if rho < 1.0:
        _add_link_hessian(ms[0], ms[1], ms[2], (1.0 - rho) / scale, work[1][0], directions, hessian)
    gradient = np.zeros(count)
    for k in range(count):
        gradient[k] = trace[k]
        gradient[k] += dot(directions[k], slopes) / scale
        hessian[k, k] += mu
    step = -gradient
    if not cholesky(hessian, count):
        return step, gradient, -1.0
    solve_lower(hessian, count, step)
    decrement = dot(step, step)
    solve_upper(hessian, count, step)
    return step, gradient, decrement


@kernel
def _hermitian_of(step, rank, length):
    """1 + length D from the coordinates of D."""
    out = np.zeros((rank, rank), np.complex128)
    half = 1.0 / math.sqrt(2.0)
    k = 0
    for i in range(rank):
        out[i, i] = 1.0 + length * step[k]
        k += 1
        for j in range(i + 1, rank):
            value = half * length * complex(step[k], step[k + 1])
            out[i, j] = value
            out[j, i] = np.conj(value)
            k += 2
    return out


@kernel
def _trace_slopes(root, rank, mu):
    """Slopes of tr(x) - mu log det(x) along the scaled directions, and tr(x) itself."""
    trace = np.zeros(rank * rank)
    power = 0.0
    k = 0
    for i in range(rank):
        for j in range(i, rank):
            overlap = 0.0j
            for r in range(rank):
                overlap += np.conj(root[r, i]) * root[r, j]
            if i == j:
                trace[k] = overlap.real - mu
                power += overlap.real
                k += 1
            else:
                trace[k] = math.sqrt(2.0) * overlap.real
                trace[k + 1] = math.sqrt(2.0) * overlap.imag
                k += 2
    return trace, power


@kernel
def barrier_covariance(bp, ms, rho, mix, rank, tolerance, work):
    """Covariance of unit trace (rank, rank), its certified gap, and the number of Newton steps."""
    count = mix.shape[1]
    root = np.zeros((rank, rank), np.complex128)
    for i in range(rank):
        root[i, i] = 1.0 / math.sqrt(rank)
    x = times(root, root)
    coordinates = np.zeros(count * count)
    slopes = np.zeros(count * count)
    coordinates_of(x, mix, rank, coordinates)
    scale = weighted_crb(bp, ms, rho, coordinates, slopes, work)
    best, best_gap = x, math.inf
    if not scale < math.inf:
        return best, best_gap, 0
    mu = 0.3 / rank
    level = 1.0 + 1.0  # f / scale + tr(x), without the barrier
    steps = 0
    while steps < _MAX_NEWTON and best_gap > tolerance and mu > _LAST_MU:
        coordinates_of(x, mix, rank, coordinates)
        level = weighted_crb(bp, ms, rho, coordinates, slopes, work) / scale
        trace, power = _trace_slopes(root, rank, mu)
        level += power
        directions = scaled_directions(root, mix, rank)
        step, gradient, decrement = _newton(bp, ms, rho, directions, slopes, trace, mu, scale, work)
        steps += 1
        if decrement < 0.0:
            break
        slope = dot(gradient, step)
        length = 1.0
        moved = False
        for _ in range(30):
            inner = _hermitian_of(step, rank, length)
            if hermitian_cholesky(inner, rank):
                log_det = 0.0
                for i in range(rank):
                    log_det += 2.0 * math.log(inner[i, i].real)
                new_root = times(root, inner)
                new_x = times(new_root, new_root.conj().T.copy())
                coordinates_of(new_x, mix, rank, coordinates)
                new = weighted_crb(bp, ms, rho, coordinates, slopes, work) / scale - mu * log_det
                for i in range(rank):
                    new += new_x[i, i].real
                if new <= level + 1e-4 * length * slope + 1e-15 * abs(level):
                    moved = True
                    break
            length *= 0.5
        if not moved:
            break
        root, x = new_root, new_x
        if decrement < 0.1 * mu:
            total = 0.0
            for i in range(rank):
                total += x[i, i].real
            _, gap = covariance_gap(bp, ms, rho, x / total, mix, rank, work)
            if gap < best_gap:
                best_gap = gap
                best = x / total
            elif gap > 10.0 * best_gap:  # below what rounding allows: further steps only lose digits
                break
            mu *= _SHRINK
    return best, best_gap, steps


@kernel
def barrier_powers(bp, ms, rho, start, tolerance, work):
    """Codeword powers of unit sum, their certified gap, and the number of Newton steps."""
    powers = start.copy()
    count = powers.size
    slopes = np.zeros(count)
    scale = weighted_crb(bp, ms, rho, powers, slopes, work)
    best, best_gap = powers, math.inf
    if not scale < math.inf:
        return best, best_gap, 0
    mu = 0.3 / count
    steps = 0
    while steps < _MAX_NEWTON and best_gap > tolerance and mu > _LAST_MU:
        level = weighted_crb(bp, ms, rho, powers, slopes, work) / scale + powers.sum()
        directions = np.diag(powers)
        step, gradient, decrement = _newton(bp, ms, rho, directions, slopes, powers - mu, mu, scale, work)
        steps += 1
        if decrement < 0.0:
            break
        slope = dot(gradient, step)
        length = 1.0
        moved = False
        for _ in range(30):
            if 1.0 + length * step.min() > 0.0:
                trial = powers * (1.0 + length * step)
                new = weighted_crb(bp, ms, rho, trial, slopes, work) / scale + trial.sum()
                new -= mu * np.log(1.0 + length * step).sum()
                if new <= level + 1e-4 * length * slope + 1e-15 * abs(level):
                    moved = True
                    break
            length *= 0.5
        if not moved:
            break
        powers = trial
        if decrement < 0.1 * mu:
            _, gap = power_gap(bp, ms, rho, powers / powers.sum(), work)
            if gap < best_gap:
                best_gap = gap
                best = powers / powers.sum()
            elif gap > 10.0 * best_gap:
                break
            mu *= _SHRINK
    return best, best_gap, steps
