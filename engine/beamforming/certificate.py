"""The optimality certificate for anyone's covariance: no solver is trusted, ours included."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DesignError
from ..kernels import certificate as kernels
from ..kernels.objective import coordinates_of, hermitian_gradient, weighted_crb, work_space
from .problem import Problem

Cone = Literal["full", "reduced"]
# Rounding allowed in trace and eigenvalues of a given V, relative to the power.
_FEASIBLE = 1e-9


def certified_gap(problem: Problem, covariance: ArrayLike, rho: float, cone: Cone = "reduced") -> NDArray[np.float64]:
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
        If V does not fit, is not finite, Hermitian, positive semidefinite and of power P_m or less, or rho is not
        a weight.
    """
    if not 0.0 <= rho <= 1.0:
        raise DesignError(f"rho is a weight in [0, 1]; got {rho:g}")
    batch, antennas, _ = problem.basis.shape
    v = np.asarray(covariance, np.complex128)
    if v.shape not in ((antennas, antennas), (batch, antennas, antennas)):
        raise DesignError(f"the covariance must be ({antennas}, {antennas}) or one a draw; got {v.shape}")
    if not np.isfinite(v).all():
        raise DesignError("the covariance has entries that are not finite")
    if not np.allclose(v, np.swapaxes(v.conj(), -1, -2), rtol=0.0, atol=1e-9 * float(np.abs(v).max())):
        raise DesignError("the covariance is not Hermitian")
    # Outside the feasible set the bound says nothing: more power, or a negative direction, would pass for optimal.
    if np.trace(v, axis1=-2, axis2=-1).real.max() > problem.power * (1.0 + _FEASIBLE):
        raise DesignError(f"the covariance has more than the power of {problem.power:.6g} W per subcarrier; scale it")
    if np.linalg.eigvalsh(v).min() < -_FEASIBLE * problem.power:
        raise DesignError("the covariance is not positive semidefinite")
    x = problem.reduce(np.broadcast_to(v, (batch, antennas, antennas))[:, None].copy())
    return np.array([_gap(problem, b, x[b, 0], rho, cone) for b in range(batch)])


def _gap(problem: Problem, draw: int, x: NDArray[np.complex128], rho: float, cone: Cone) -> float:
    """The gap of one draw, from its dense maps: another way than the solvers' own."""
    if (rho > 0.0 and not problem.bistatic.identifiable[draw]) or (
        rho < 1.0 and not problem.monostatic.identifiable[draw]
    ):
        return float("nan")
    bp, ms = (link.over_covariances() for link in problem.dense(draw))
    work = work_space(bp, ms)
    mix, rank = problem.mix[draw], int(problem.rank[draw])
    if cone == "reduced":
        return float(kernels.covariance_gap(bp, ms, rho, x, mix, rank, work)[1])
    # The gradient written out as an M_T x M_T matrix, B Gamma B^H.
    coordinates = np.zeros(mix.size)
    slopes = np.zeros(mix.size)
    coordinates_of(x, mix, rank, coordinates)
    value = weighted_crb(bp, ms, rho, coordinates, slopes, work)
    columns = problem.codebook[draw]
    inner = hermitian_gradient(slopes, np.eye(columns.shape[1]), columns.shape[1])
    return float(np.linalg.eigvalsh(-columns @ inner @ columns.conj().T)[-1] / value - 1.0)
