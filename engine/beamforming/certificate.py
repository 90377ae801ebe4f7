"""The optimality certificate for anyone's covariance: no solver is trusted, ours included."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import one_of, weight
from ..arrays import Complexes, Reals
from ..covariances import checked_covariances, tolerance_of
from ..errors import DesignError
from ..kernels.dense import certificate as kernels
from ..kernels.dense.objective import coordinates_of, dense_weighted_crb, hermitian_gradient, work_space
from .problem import Problem

Cone = Literal["full", "reduced"]


def certified_gap(problem: Problem, covariance: ArrayLike, rho: float, cone: Cone = "reduced") -> Reals:
    """Bound on how far V is from the best covariance, f(V)/f* - 1 <= gap.

    f is convex and of degree -1, so f* >= f(V)^2 / (P_m lambda_max(-grad f(V))) for any V, and the gap is
    P_m lambda_max(-grad f(V)) / f(V) - 1.

    Parameters
    ----------
    problem
        A batch of draws.
    covariance
        V, (M_T, M_T) or (batch, M_T, M_T), W; of power P_m or less.
    rho
        Weight of BP, in [0, 1].
    cone
        Where the eigenvalue is taken: on the reduced basis, or of the full M_T x M_T gradient; both agree.

    Returns
    -------
    numpy.ndarray
        (batch,); NaN where a link of non-zero weight is unidentifiable, inf where its FIM at V is singular.

    Raises
    ------
    DesignError
        If V does not fit, is not finite, Hermitian, positive semidefinite and of power P_m or less, rho is not a
        weight, or there is no such cone.
    """
    one_of("cone", cone, Cone, DesignError)
    rho = weight("rho", rho, DesignError)
    x = _reduced(problem, covariance)
    exists = problem.exists(rho)[:, 0]
    return np.array([_gap_of_draw(problem, b, x[b], rho, cone) if exists[b] else np.nan for b in range(len(x))])


def certified_mean_gap(problem: Problem, covariance: ArrayLike, rho: float) -> float:
    """Bound on how far one V is from the best for the mean over draws of f_s(V) / f_s(APA_s).

    The mean is convex and of degree -1 like each of its terms, so `certified_gap`'s bound holds for it.

    Parameters
    ----------
    problem
        The draws.
    covariance
        V, (M_T, M_T), W; of power P_m or less.
    rho
        Weight of BP, in [0, 1].

    Returns
    -------
    float
        From the full M_T x M_T gradient of the draws whose links of non-zero weight are identifiable; NaN if none is.

    Raises
    ------
    DesignError
        As `certified_gap` does.
    """
    rho = weight("rho", rho, DesignError)
    x = _reduced(problem, covariance)
    equal = problem.covariance_of_powers(problem.apa[:, None])[:, 0]
    value, slope = 0.0, np.zeros((problem.basis.shape[1],) * 2, np.complex128)
    for draw in np.flatnonzero(problem.exists(rho)).tolist():
        at_apa, _ = _slope(problem, draw, equal[draw], rho)
        own, own_slope = _slope(problem, draw, x[draw], rho)
        value += own / at_apa
        slope += own_slope / at_apa
    return _full_gap(value, slope) if value > 0.0 else float("nan")


def _reduced(problem: Problem, covariance: ArrayLike) -> Complexes:
    """Check V and take the part of it that each draw sees, (batch, N, N), of unit trace at full power."""
    batch, antennas, _ = problem.basis.shape
    v = checked_covariances(covariance, antennas, count=batch, each="draw")
    given = np.trace(np.asarray(covariance), axis1=-2, axis2=-1, dtype=np.complex128).real
    # Outside the feasible set the bound says nothing: more power would pass for optimal.
    if given.max() > problem.power * (1.0 + tolerance_of(covariance)):
        raise DesignError(f"the covariance has more than the power of {problem.power:.6g} W per subcarrier; scale it")
    trace = np.trace(v, axis1=-2, axis2=-1).real[..., None, None]  # rounding may have added to it
    v = v * (problem.power / np.maximum(trace, problem.power))
    return problem.reduce(np.broadcast_to(v, (batch, antennas, antennas))[:, None].copy())[:, 0]


def _gap_of_draw(problem: Problem, draw: int, x: Complexes, rho: float, cone: Cone) -> float:
    """The gap of one draw, from its dense maps: another way than the solvers' own."""
    if cone == "full":
        return _full_gap(*_slope(problem, draw, x, rho))
    bp, ms = (link.over_covariances() for link in problem.dense(draw))
    mix, rank = problem.complex_mix[draw], int(problem.rank[draw])
    return float(kernels.covariance_gap(bp, ms, rho, x, mix, rank, work_space(bp, ms))[1])


def _full_gap(value: float, slope: Complexes) -> float:
    return float(np.linalg.eigvalsh(slope)[-1] / value - 1.0)


def _slope(problem: Problem, draw: int, x: Complexes, rho: float) -> tuple[float, Complexes]:
    """Weighted CRB of one draw, and its negative gradient, (M_T, M_T): -B Gamma B^H, and the prior's slope."""
    bp, ms = (link.over_covariances() for link in problem.dense(draw))
    mix, rank = problem.complex_mix[draw], int(problem.rank[draw])
    coordinates = np.zeros(mix.size + 1)
    slopes = np.zeros(mix.size + 1)
    coordinates_of(x, mix, rank, coordinates)
    value = dense_weighted_crb(bp, ms, rho, coordinates, slopes, work_space(bp, ms))
    columns = problem.columns[draw]
    slope_of_power, slopes[-1] = slopes[-1], 0.0
    inner = hermitian_gradient(slopes, np.eye(columns.shape[1], dtype=complex), columns.shape[1])
    return float(value), -columns @ inner @ columns.conj().T - slope_of_power * np.eye(len(columns))
