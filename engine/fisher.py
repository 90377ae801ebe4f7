"""Fisher information (6) of a link for a transmit covariance, in channel and in position parameters.

Two paths, checked against each other: ``separable`` (closed-form delay sums times inner products, cost free of
the number of subcarriers and antennas) and ``explicit`` (the literal sum over subcarriers and antennas).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .arguments import one_of
from .arrays import Complexes, Reals
from .covariances import checked_covariances
from .errors import DesignError
from .kernels.model import fisher, tensors
from .links import Link

FimPath = Literal["separable", "explicit"]
# Times the scenario's own: more is a mistake of units, or W in the place of V.
_MOST_POWER = 1000.0


def _checked_covariances(link: Link, covariance: ArrayLike, path: FimPath) -> Complexes:
    """V of every draw, (batch, M_T, M_T)."""
    one_of("path", path, FimPath)
    batch, antennas, _ = link.tx_columns.shape
    v = checked_covariances(covariance, antennas, count=batch, each="draw")
    excess = float(np.trace(v, axis1=-2, axis2=-1).real.max(initial=0.0)) / link.power_w
    if excess > _MOST_POWER:  # a Hermitian W passes for a covariance, but for its size
        raise DesignError(
            f"the covariance V has {excess:.2g} times the power of the scenario, {link.power_w:.3g} W per subcarrier; "
            "scale it, or for a beamformer W give V = W W^H"
        )
    return np.ascontiguousarray(np.broadcast_to(v, (batch, antennas, antennas)))


def channel_fim(link: Link, covariance: ArrayLike, path: FimPath = "separable") -> Reals:
    """FIM (6) of the channel parameters.

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    covariance
        V = W W^H per subcarrier, (M_T, M_T) or (batch, M_T, M_T), W: not the beamformer W itself.
    path
        Closed form or explicit sum.

    Returns
    -------
    numpy.ndarray
        (batch, P, P), in the order of ``link.parameters``.

    Raises
    ------
    EngineError
        If the covariance does not fit the link, or is not Hermitian and positive semidefinite; for another path.
    """
    return channel_fim_at(link, _checked_covariances(link, covariance, path), path)


def channel_fim_at(link: Link, v: Complexes, path: FimPath = "separable") -> Reals:
    """`channel_fim` of V that are known to be covariances, (batch, M_T, M_T)."""
    if path == "explicit":
        return tensors.explicit_fim(  # type: ignore[no-any-return]
            *link.derivatives, link.subcarriers, link.rx_columns, link.tx_columns, v, link.scale
        )
    return separable_fim(link, fisher.congruence(link.tx_columns, v))


def separable_fim(link: Link, transmit: Complexes) -> Reals:
    """FIM (6) from S = B^H V B, (batch, 2(K+1), 2(K+1)), the part of V that the link sees."""
    return fisher.channel_fim(  # type: ignore[no-any-return]
        link.pattern, link.coef, link.sums, link.rx_gram, transmit, link.scale
    )


def position_fim(link: Link, covariance: ArrayLike, path: FimPath = "separable") -> Reals:
    """FIM of the position parameters, the congruence of (6) with the Jacobian (7) or (9).

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    covariance
        V = W W^H per subcarrier, (M_T, M_T) or (batch, M_T, M_T), W: not the beamformer W itself.
    path
        Closed form or explicit sum.

    Returns
    -------
    numpy.ndarray
        (batch, p, p): BP [p_U, phi, p_1..p_K, dt, Re alpha, Im alpha], MS [p_U, p_1..p_K, Re beta, Im beta].

    Raises
    ------
    EngineError
        If the covariance does not fit the link, or is not Hermitian and positive semidefinite; for another path.
    """
    return position_fim_at(link, _checked_covariances(link, covariance, path), path)


def position_fim_at(link: Link, v: Complexes, path: FimPath = "separable") -> Reals:
    """`position_fim` of V that are known to be covariances, (batch, M_T, M_T)."""
    return fisher.transform(link.jacobian, channel_fim_at(link, v, path))  # type: ignore[no-any-return]
