"""The two links, bistatic (BS to UE) and monostatic (BS to BS), in the factored form of their derivatives.

Each derivative dH_m/dxi_p is a sum of at most two rank-one terms (see `kernels.fisher`). A `Link` holds the
pattern of those terms, their coefficients for a batch of draws, and what both FIM paths need.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .arrays import Complexes, Reals, Wholes
from .channel import Channel, channel_of, orientation_sense
from .draws import Draws, check_fit
from .errors import ScenarioError
from .kernels.model import delaysums, geometry, steering
from .scenario import SPEED_OF_LIGHT, Scenario


class Pattern(NamedTuple):
    """Which path, power of frequency and steering columns each parameter's derivative has."""

    path: Wholes
    order: Wholes
    terms: Wholes
    rx: Wholes
    tx: Wholes


@dataclass(frozen=True)
class Link:
    """One link of a batch of draws. P parameters, K+1 paths, N receive and M_T transmit antennas.

    Attributes
    ----------
    parameters
        Names of the P channel parameters, in order.
    pattern
        Structure of the derivatives, the same for every draw.
    coef
        Complex factors of the derivatives' terms, (batch, P, 2).
    gain, delay
        (batch, K+1); s.
    rx_columns, tx_columns
        Unit-norm steering and derivative columns, (batch, antennas, 2(K+1)).
    rx_gram
        Inner products of the receive columns, (batch, 2(K+1), 2(K+1)).
    sums
        Delay sums of orders 0, 1, 2, (batch, 3, K+1, K+1).
    jacobian
        Channel to position parameters, (7) or (9), (batch, P, p).
    scale
        2 N / sigma^2 of (6), 1/W.
    spacing_hz, subcarriers
        The OFDM grid.
    power_w
        P_m, what a covariance has at full power.
    """

    parameters: tuple[str, ...]
    pattern: Pattern
    coef: Complexes
    gain: Complexes
    delay: Reals
    rx_columns: Complexes
    tx_columns: Complexes
    rx_gram: Reals
    sums: Complexes
    jacobian: Reals
    scale: float
    spacing_hz: float
    subcarriers: int
    power_w: float

    @property
    def paths(self) -> int:
        """Number of paths, K + 1."""
        return int(self.delay.shape[1])


def bistatic_parameters(paths: int) -> tuple[str, ...]:
    """Names of the bistatic channel parameters, in the order of (6)."""
    kinds = ("theta_B", "theta_U", "tau", "re_alpha", "im_alpha")
    return tuple(f"{kind}{k}" for kind in kinds for k in range(paths))


def monostatic_parameters(paths: int) -> tuple[str, ...]:
    """Names of the monostatic channel parameters, in the order of (6)."""
    return tuple(f"{kind}{k}" for kind in ("theta_B", "eps", "re_beta", "im_beta") for k in range(paths))


@lru_cache
def _bistatic_pattern(paths: int) -> Pattern:
    k = np.arange(paths)
    a, d, none = k, paths + k, np.zeros_like(k)
    rx = np.concatenate((a, d, a, a, a))
    tx = np.concatenate((d, a, a, a, a))
    order = np.concatenate((none, none, none + 1, none, none))
    return Pattern(np.tile(k, 5), order, np.ones(5 * paths, np.int64), np.stack((rx, rx), 1), np.stack((tx, tx), 1))


@lru_cache
def _monostatic_pattern(paths: int) -> Pattern:
    k = np.arange(paths)
    a, d, none = k, paths + k, np.zeros_like(k)
    # The angle turns both the receive and the transmit vector: two terms.
    rx = np.stack((np.concatenate((d, a, a, a)), np.concatenate((a, a, a, a))), 1)
    tx = np.stack((np.concatenate((a, a, a, a)), np.concatenate((d, a, a, a))), 1)
    order = np.concatenate((none, none + 1, none, none))
    terms = np.concatenate((none + 2, none + 1, none + 1, none + 1))
    return Pattern(np.tile(k, 4), order, terms, rx, tx)


# Gains, then norms of transmit steering and derivative columns, then of receive columns, (batch, K+1) each.
_Norms = tuple[Complexes, Reals, Reals, Reals, Reals]


def _bistatic_terms(norms: _Norms) -> Complexes:
    alpha, at, dt, ar, dr = norms
    unit = (ar * at).astype(complex)
    one_term = np.concatenate((alpha * (ar * dt), alpha * (dr * at), alpha * (ar * at), unit, 1j * unit), axis=1)
    return np.stack((one_term, np.zeros_like(one_term)), axis=2)


def _monostatic_terms(norms: _Norms) -> Complexes:
    beta, at, dt, ar, dr = norms
    unit = (ar * at).astype(complex)
    first = np.concatenate((beta * (dr * at), beta * (ar * at), unit, 1j * unit), axis=1)
    second = np.zeros_like(first)
    second[:, : beta.shape[1]] = beta * (ar * dt)
    return np.stack((first, second), axis=2)


class _Model(NamedTuple):
    """A signal model: names, structure and coefficients of its derivatives for K+1 paths."""

    parameters: Callable[[int], tuple[str, ...]]
    pattern: Callable[[int], Pattern]
    terms: Callable[[_Norms], Complexes]


_BISTATIC = _Model(bistatic_parameters, _bistatic_pattern, _bistatic_terms)
_MONOSTATIC = _Model(monostatic_parameters, _monostatic_pattern, _monostatic_terms)


def _link(
    scenario: Scenario,
    model: _Model,
    aod: Reals,
    receiver: tuple[Reals, int],
    delay: Reals,
    gain: Complexes,
    jacobian: Reals,
) -> Link:
    """A link of a model; its receiver by angles of arrival and antennas."""
    paths = aod.shape[1]
    tx_columns, tx_norm = steering.steering_columns(aod, scenario.tx_antennas)
    rx_columns, rx_norm = steering.steering_columns(*receiver)
    norms = gain, tx_norm[:, :paths], tx_norm[:, paths:], rx_norm[:, :paths], rx_norm[:, paths:]
    return Link(
        parameters=model.parameters(paths),
        pattern=model.pattern(paths),
        coef=model.terms(norms),
        gain=gain,
        delay=delay,
        rx_columns=rx_columns,
        tx_columns=tx_columns,
        rx_gram=steering.real_gram(rx_columns),
        sums=delaysums.delay_sums(delay, scenario.subcarrier_spacing_hz, scenario.subcarriers),
        jacobian=jacobian,
        scale=noise_scale(scenario),
        spacing_hz=scenario.subcarrier_spacing_hz,
        subcarriers=scenario.subcarriers,
        power_w=scenario.power_per_subcarrier_w,
    )


def noise_scale(scenario: Scenario) -> float:
    """2 N / sigma^2 of (6), 1/W."""
    return 2.0 * scenario.pilots_per_slot / scenario.noise_power_w


def _own(scenario: Scenario, draws: Draws, channel: Channel | None) -> Channel:
    """The channel that was given, or that of the draws."""
    if channel is None:
        return channel_of(scenario, draws)
    check_fit(scenario, draws)
    if channel.aod.shape != draws.phase_bistatic.shape:
        raise ScenarioError(
            f"the channel is of (draws, paths) {channel.aod.shape}, the draws of {draws.phase_bistatic.shape}; "
            "take channel_of(scenario, draws)"
        )
    return channel


def bistatic_link(scenario: Scenario, draws: Draws, channel: Channel | None = None) -> Link:
    """The link from BS to UE, model (3), for every draw.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn.
    channel
        The draws' channel, if at hand.

    Returns
    -------
    Link
        With P = 5K+5 channel and p = 4K+6 position parameters.

    Raises
    ------
    ScenarioError
        If scenario, draws and channel do not fit each other.
    """
    channel = _own(scenario, draws, channel)
    jacobian = geometry.bistatic_jacobian(
        np.asarray(scenario.bs_position_m, dtype=float),
        SPEED_OF_LIGHT,
        draws.ue_position,
        draws.target_position,
        orientation_sense(scenario),
    )
    receiver = channel.aoa, scenario.ue_antennas
    return _link(scenario, _BISTATIC, channel.aod, receiver, channel.delay_bistatic, channel.gain_bistatic, jacobian)


def monostatic_link(scenario: Scenario, draws: Draws, channel: Channel | None = None) -> Link:
    """The link from the BS back to itself, model (5), for every draw.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn.
    channel
        The draws' channel, if at hand.

    Returns
    -------
    Link
        With P = p = 4K+4 channel and position parameters.

    Raises
    ------
    ScenarioError
        If scenario, draws and channel do not fit each other.
    """
    channel = _own(scenario, draws, channel)
    jacobian = geometry.monostatic_jacobian(
        np.asarray(scenario.bs_position_m, dtype=float), SPEED_OF_LIGHT, draws.ue_position, draws.target_position
    )
    receiver = channel.aod, scenario.rx_antennas
    return _link(
        scenario, _MONOSTATIC, channel.aod, receiver, channel.delay_monostatic, channel.gain_monostatic, jacobian
    )
