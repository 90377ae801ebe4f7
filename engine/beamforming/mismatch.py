"""The mismatch schemes on plain arrays: closed forms of (16) and (19) for anyone's extreme designs."""

import numpy as np
from numpy.typing import NDArray

from ..errors import DesignError


def mix_beamformers(
    w_bp: NDArray[np.complex128], w_ms: NDArray[np.complex128], rho: float, power: float
) -> NDArray[np.complex128]:
    """(16): W = sqrt(P_m) Xi / |Xi|_F with Xi = rho W_bp + (1 - rho) W_ms.

    Parameters
    ----------
    w_bp, w_ms
        Extreme beamformers, (M_T, L), W^0.5. The result depends on the factor chosen for each.
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
        If Xi = 0: the extremes cancel and (16) has no unique solution.
    """
    xi = rho * w_bp + (1.0 - rho) * w_ms
    norm = float(np.linalg.norm(xi))
    if norm <= 1e-12 * (np.linalg.norm(w_bp) + np.linalg.norm(w_ms)):
        raise DesignError(
            f"Xi = rho W_bp + (1 - rho) W_ms vanishes at rho = {rho:g}, so (16) has no unique beamformer; "
            "use another factor of the covariances (a unitary turn of one of them) or another rho"
        )
    return np.sqrt(power) * xi / norm  # type: ignore[no-any-return]


def mix_covariances(v_bp: NDArray[np.complex128], v_ms: NDArray[np.complex128], rho: float) -> NDArray[np.complex128]:
    """(19) without its rank constraint: V = rho V_bp + (1 - rho) V_ms, of the extremes' power."""
    return rho * v_bp + (1.0 - rho) * v_ms
