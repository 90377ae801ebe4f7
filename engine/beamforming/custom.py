"""One's own beams, evaluated beside the schemes."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DesignError
from .problem import Problem

_HERMITIAN_TOLERANCE = 1e-9


def custom_covariances(problem: Problem, covariance: ArrayLike, weights: int) -> NDArray[np.complex128]:
    """Reduced covariances Q^H V Q / P_m of given V, scaled to full power.

    Full power is always best (every bound has degree -1 in V), so that only the shape of V is compared.

    Parameters
    ----------
    problem
        A batch of draws.
    covariance
        V = W W^H, (M_T, M_T) for all weights or (rho, M_T, M_T), in any unit.
    weights
        How many weights there are.

    Returns
    -------
    numpy.ndarray
        (batch, rho, n, n); of trace below 1 where V has power outside the span that the links see.

    Raises
    ------
    DesignError
        If V does not fit, is not finite, Hermitian and positive semidefinite, or is zero.
    """
    v = np.asarray(covariance, np.complex128)
    batch, antennas, _ = problem.basis.shape
    if v.shape not in ((antennas, antennas), (weights, antennas, antennas)):
        raise DesignError(
            f"custom beams: V must be ({antennas}, {antennas}), or ({weights}, {antennas}, {antennas}) with one "
            f"for each rho; got {v.shape}"
        )
    if not np.isfinite(v).all():
        raise DesignError("custom beams: V has entries that are not finite")
    v = np.broadcast_to(v, (weights, antennas, antennas))
    traces = np.trace(v, axis1=1, axis2=2).real
    if not (traces > 0.0).all():
        raise DesignError("custom beams: V has no power")
    v = v / traces[:, None, None]
    if np.abs(v - np.swapaxes(v.conj(), 1, 2)).max() > _HERMITIAN_TOLERANCE:
        raise DesignError("custom beams: V is not Hermitian; for a beamformer W give V = W W^H")
    if np.linalg.eigvalsh(v).min() < -_HERMITIAN_TOLERANCE:
        raise DesignError("custom beams: V is not positive semidefinite; for a beamformer W give V = W W^H")
    full = problem.power * np.broadcast_to(v, (batch, weights, antennas, antennas))
    return problem.reduce(np.ascontiguousarray(full))
