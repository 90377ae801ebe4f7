"""The optimality certificate for anyone's covariance: no solver is trusted, ours included."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DesignError
from ..kernels import certificate as kernels
from ..kernels.objective import hermitian_gradient, weighted_crb, work_space
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
    if cone == "full":
        return _full_cone_gaps(problem, x, rho)
    return kernels.covariance_gaps(  # type: ignore[no-any-return]
        problem.bistatic.over_covariances(),
        problem.monostatic.over_covariances(),
        problem.mix,
        problem.rank,
        np.array([rho]),
        x,
    )[:, 0]


def _full_cone_gaps(problem: Problem, x: NDArray[np.complex128], rho: float) -> NDArray[np.float64]:
    """Gaps with the gradient written out as an M_T x M_T matrix, B Gamma B^H."""
    bp, ms = problem.bistatic, problem.monostatic
    coordinates = problem.coordinates(x)[:, 0]
    gap = np.full(x.shape[0], np.nan)
    for b in range(gap.size):
        if (rho > 0.0 and not bp.identifiable[b]) or (rho < 1.0 and not ms.identifiable[b]):
            continue
        links = [(link.covariance_map[b], link.factor[b], link.bound_rows) for link in (bp, ms)]
        slopes = np.zeros(coordinates.shape[1])
        value = weighted_crb(links[0], links[1], rho, coordinates[b], slopes, work_space(links[0], links[1]))
        columns = problem.codebook[b]
        inner = hermitian_gradient(slopes, np.eye(columns.shape[1]), columns.shape[1])
        gradient = columns @ inner @ columns.conj().T
        gap[b] = np.linalg.eigvalsh(-gradient)[-1] / value - 1.0
    return gap
