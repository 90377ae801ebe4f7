"""Fisher information (6) of a link for a transmit covariance, in channel and in position parameters.

Two paths, checked against each other: ``separable`` (closed-form delay sums times inner products, cost free of
the number of subcarriers and antennas) and ``explicit`` (the literal sum over subcarriers and antennas).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import EngineError
from .kernels import fisher, tensors
from .links import Link

FimPath = Literal["separable", "explicit"]


def _covariance(link: Link, covariance: ArrayLike) -> NDArray[np.complex128]:
    batch, antennas, _ = link.tx_columns.shape
    v = np.asarray(covariance, dtype=np.complex128)
    if v.shape not in ((antennas, antennas), (batch, antennas, antennas)):
        raise EngineError(
            f"the covariance must be ({antennas}, {antennas}), or one for each of {batch} draws; got {v.shape}"
        )
    if not np.isfinite(v).all():
        raise EngineError("the covariance has entries that are not finite")
    return np.ascontiguousarray(np.broadcast_to(v, (batch, antennas, antennas)))


def channel_fim(link: Link, covariance: ArrayLike, path: FimPath = "separable") -> NDArray[np.float64]:
    """FIM (6) of the channel parameters.

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    covariance
        V = W W^H per subcarrier, Hermitian, (M_T, M_T) or (batch, M_T, M_T), W.
    path
        Closed form or explicit sum.

    Returns
    -------
    numpy.ndarray
        (batch, P, P), in the order of ``link.parameters``.

    Raises
    ------
    EngineError
        If the covariance does not fit the link.
    """
    v = _covariance(link, covariance)
    if path == "explicit":
        return tensors.explicit_fim(  # type: ignore[no-any-return]
            link.pattern,
            link.coef,
            link.delay,
            link.spacing_hz,
            link.subcarriers,
            link.rx_columns,
            link.tx_columns,
            v,
            link.scale,
        )
    return separable_fim(link, fisher.congruence(link.tx_columns, v))


def separable_fim(link: Link, transmit: NDArray[np.complex128]) -> NDArray[np.float64]:
    """FIM (6) from S = B^H V B, (batch, 2(K+1), 2(K+1)), the part of V that the link sees."""
    return fisher.channel_fim(  # type: ignore[no-any-return]
        link.pattern, link.coef, link.sums, link.rx_gram, transmit, link.scale
    )


def position_fim(link: Link, covariance: ArrayLike, path: FimPath = "separable") -> NDArray[np.float64]:
    """FIM of the position parameters, the congruence of (6) with the Jacobian (7) or (9).

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    covariance
        V, (M_T, M_T) or (batch, M_T, M_T), W.
    path
        Closed form or explicit sum.

    Returns
    -------
    numpy.ndarray
        (batch, p, p): BP [p_U, phi, p_1..p_K, dt, Re alpha, Im alpha], MS [p_U, p_1..p_K, Re beta, Im beta].

    Raises
    ------
    EngineError
        If the covariance does not fit the link.
    """
    return fisher.transform(link.jacobian, channel_fim(link, covariance, path))  # type: ignore[no-any-return]
