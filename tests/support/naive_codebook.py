"""Powers on the codebook of CPA, by definition: a part of `naive` that stands by itself."""

from collections.abc import Sequence

import numpy as np
from naive import Array, Case, geometry, objective_and_gradient, steering, steering_derivative


def codebook(case: Case) -> Array:
    """U of CPA, unit-norm columns a_0, da_0, a_1, da_1, ..."""
    columns = [a(case.mt, theta, case.centred) for theta in geometry(case).aod for a in (steering, steering_derivative)]
    return np.array([u / np.sqrt(np.sum(np.abs(u) ** 2)) for u in columns]).T


def cpa_covariance(case: Case, p: Sequence[float]) -> Array:
    """V = U diag(p) U^H, p in W."""
    u = codebook(case)
    return (u * p) @ u.conj().T


def apa_covariance(case: Case) -> Array:
    """Equal powers, together P_m."""
    return cpa_covariance(case, np.ones(2 * case.k + 2) * case.power / (2 * case.k + 2))


def certified_gap_cpa(case: Case, p: Sequence[float], rho: float) -> float:
    """P_m max_i(-df/dp_i)/f - 1 >= f(p)/f* - 1 over all powers of sum P_m."""
    f, grad = objective_and_gradient(case, cpa_covariance(case, p), rho)
    slopes = np.diag(codebook(case).conj().T @ grad @ codebook(case)).real
    return float(case.power * max(-slopes) / f - 1)
