"""One's own beams, evaluated beside the schemes."""

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import Complexes
from ..covariances import checked_covariances, of_unit_size
from ..errors import DesignError
from .problem import Problem


def custom_covariances(problem: Problem, covariance: ArrayLike, weights: int) -> Complexes:
    """Reduced covariances Q^H V Q / P_m of given V, scaled to full power.

    Full power is always best (every bound has degree -1 in V), so that only the shape of V is compared.

    `problem`: a batch of draws. `covariance`: V = W W^H, (M_T, M_T) for all weights or (rho, M_T, M_T), in any unit.
    `weights`: how many weights there are. Result: (batch, rho, n, n); of trace below 1 where V has power outside the
    span that the links see. Raises DesignError if V does not fit, is not finite, Hermitian and positive semidefinite,
    or is zero.
    """
    antennas = problem.basis.shape[1]
    v = checked_covariances(covariance, antennas, "custom beams: V", weights, "rho")
    v = of_unit_size(v)
    traces = np.trace(v, axis1=-2, axis2=-1).real
    if not (traces > 0.0).all():
        raise DesignError("custom beams: V has no power")
    unit = np.broadcast_to(v / traces[..., None, None], (weights, antennas, antennas))
    return problem.reduce_shared(np.ascontiguousarray(unit), 1.0)
