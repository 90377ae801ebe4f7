"""The channel and its derivative tensors, materialised for chosen parameters and subcarriers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .arguments import names_of, reals
from .arrays import Complexes, Wholes
from .errors import EngineError
from .kernels.model import tensors
from .links import Link


def _subcarriers(link: Link, subcarriers: ArrayLike | None) -> Wholes:
    every = np.arange(1, link.subcarriers + 1)
    chosen = every if subcarriers is None else np.atleast_1d(reals("subcarriers", subcarriers))
    if chosen.ndim != 1 or chosen.size == 0 or not np.isin(chosen, every).all():
        raise EngineError(f"subcarriers must be whole numbers from 1 to {link.subcarriers}")
    return chosen.astype(np.int64)


def channel_matrix(link: Link, subcarriers: ArrayLike | None = None) -> Complexes:
    """H_m of (3) or (5).

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    subcarriers
        Number or numbers m from 1 to M; all by default.

    Returns
    -------
    numpy.ndarray
        (batch, subcarrier, receive, transmit).

    Raises
    ------
    EngineError
        If a subcarrier does not exist.
    """
    norm = float(np.sqrt(link.rx_columns.shape[1] * link.tx_columns.shape[1]))
    return tensors.channel(  # type: ignore[no-any-return]
        link.gain,
        link.delay,
        link.spacing_hz,
        link.rx_columns,
        link.sent_columns,
        norm,
        _subcarriers(link, subcarriers),
    )


def derivative_tensor(
    link: Link, parameters: str | Sequence[str] | None = None, subcarriers: ArrayLike | None = None
) -> Complexes:
    """dH_m / dxi_p, the integrand of the FIM (6).

    Parameters
    ----------
    link
        A bistatic or monostatic link.
    parameters
        Name or names out of ``link.parameters``; all by default (84 MB a draw for BP at the paper's sizes).
    subcarriers
        Number or numbers m from 1 to M; all by default.

    Returns
    -------
    numpy.ndarray
        (batch, parameter, subcarrier, receive, transmit), per unit of the parameter (rad, s or 1).

    Raises
    ------
    EngineError
        If a parameter or subcarrier does not exist.
    """
    names = link.parameters if parameters is None else names_of(parameters)
    unknown = [name for name in names if name not in link.parameters]
    if unknown:
        raise EngineError(f"no channel parameter {unknown[0]!r}; this link has {', '.join(link.parameters)}")
    return tensors.derivative_tensor(  # type: ignore[no-any-return]
        *link.derivatives,
        link.rx_columns,
        link.tx_columns,
        np.array([link.parameters.index(name) for name in names], np.int64),
        _subcarriers(link, subcarriers),
    )
