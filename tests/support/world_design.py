"""Best covariances of the literal twin, to hold other optima against: by a plain descent, certified by `world`."""

import copy

import numpy as np
from scipy.optimize import minimize
from world import Array, World, objective_and_gradient


def reduced(world: World, span: Array) -> World:
    """The same FIMs for V = Q X Q^H as a function of X, with few rows: a unitary mix of the observations keeps (6)."""
    small = copy.copy(world)
    small.seen = {}
    for link, d in world.seen.items():
        d = d @ span
        scaled = d / np.linalg.norm(d, axis=(1, 2), keepdims=True)
        rows, sizes, _ = np.linalg.svd(np.moveaxis(scaled, 1, 0).reshape(d.shape[1], -1), full_matrices=False)
        small.seen[link] = rows[:, sizes > 1e-13 * sizes[0]].conj().T @ d
    return small


def best_covariance(world: World, rho: float) -> Array:
    """V of least f, from a descent of log f over Z with V ~ Q Z Z^H Q^H, started at APA."""
    span = np.linalg.svd(world.codebook, full_matrices=False)[0]
    small, n = reduced(world, span), span.shape[1]

    def covariance(z: Array) -> Array:
        return z @ z.conj().T * (world.power / np.sum(np.abs(z) ** 2))

    def log_objective(x: Array) -> tuple[float, Array]:
        z = x.view(complex).reshape(n, n)
        f, g, g0 = objective_and_gradient(small, covariance(z), rho)
        if not np.isfinite(f):
            return 1e3, np.zeros(x.size)  # singular to rounding: a wall for the line search
        along = (f - g0) / np.sum(np.abs(z) ** 2)  # <G, V> = f - g0
        slope = world.power / np.sum(np.abs(z) ** 2) * g @ z - along * z
        return float(np.log(f)), (-2 / f * slope).ravel().view(float)

    start = np.linalg.cholesky(span.conj().T @ world.apa @ span / world.power).astype(complex)
    options = {"maxiter": 3000, "maxfun": 5000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30}
    found = minimize(log_objective, start.ravel().view(float), jac=True, method="L-BFGS-B", options=options)
    return span @ covariance(found.x.view(complex).reshape(n, n)) @ span.conj().T
