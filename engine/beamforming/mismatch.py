"""The mismatch schemes on plain arrays: closed forms of (16) and (19) for anyone's extreme designs."""

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import positive, weight
from ..arrays import Complexes
from ..covariances import checked_beamformers, checked_covariances
from ..errors import DesignError


def mix_beamformers(w_bp: ArrayLike, w_ms: ArrayLike, rho: float, power: float) -> Complexes:
    """(16): W = sqrt(P_m) Xi / |Xi|_F with Xi = rho W_bp + (1 - rho) W_ms.

    Parameters
    ----------
    w_bp, w_ms
        Extreme beamformers, both (M_T, L), W^0.5. The result depends on the factor chosen for each.
    rho
        Weight of BP, in [0, 1].
    power
        P_m, W.

    Returns
    -------
    numpy.ndarray
        W, (M_T, L), of power P_m.

    Raises
    ------
    DesignError
        If the beamformers are not finite or of one shape, rho is no weight or the power not positive; if Xi = 0: the
        extremes cancel and (16) has no unique solution.
    """
    first = checked_beamformers("w_bp", w_bp, ("antennas", "columns"))
    second = checked_beamformers("w_ms", w_ms, first.shape)
    rho, power = weight("rho", rho, DesignError), positive("power", power, DesignError)
    xi = rho * first + (1.0 - rho) * second
    norm = float(np.linalg.norm(xi))
    if norm <= 1e-12 * (np.linalg.norm(first) + np.linalg.norm(second)):
        raise DesignError(
            f"Xi = rho W_bp + (1 - rho) W_ms vanishes at rho = {rho:g}, so (16) has no unique beamformer; "
            "use another factor of the covariances (a unitary turn of one of them) or another rho"
        )
    return np.sqrt(power) * xi / norm  # type: ignore[no-any-return]


def mix_covariances(v_bp: ArrayLike, v_ms: ArrayLike, rho: float) -> Complexes:
    """(19) without its rank constraint: V = rho V_bp + (1 - rho) V_ms, of the extremes' power.

    Parameters
    ----------
    v_bp, v_ms
        Extreme covariances, both (M_T, M_T), W.
    rho
        Weight of BP, in [0, 1].

    Returns
    -------
    numpy.ndarray
        V, (M_T, M_T), W.

    Raises
    ------
    DesignError
        If the covariances are not of one shape, or not Hermitian and positive semidefinite, or rho is no weight.
    """
    antennas = np.shape(v_bp)[0] if np.ndim(v_bp) else 1
    first, second = checked_covariances(v_bp, antennas, "v_bp"), checked_covariances(v_ms, antennas, "v_ms")
    rho = weight("rho", rho, DesignError)
    return rho * first + (1.0 - rho) * second
