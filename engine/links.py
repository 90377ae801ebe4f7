"""The two links, bistatic (BS to UE) and monostatic (BS to BS), in the factored form of their derivatives.

Each derivative dH_m/dxi_p is a sum of at most two rank-one terms (see `kernels.model.fisher`). A `Link` holds the
pattern of those terms, their coefficients for a batch of draws, and what both FIM paths need.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .arrays import Complexes, Reals, Wholes
from .channel import Channel, channel_of, orientation_sense
from .draws import Draws, check_fit
from .errors import ScenarioError
from .kernels.model import delaysums, steering
from .kernels.model.geometry import bistatic_jacobian, monostatic_jacobian
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
    def derivatives(self) -> tuple[Pattern, Complexes, Reals, float]:
        """What kernels take of the derivatives beside their columns: pattern, coefficients, delays and spacing."""
        return self.pattern, self.coef, self.delay, self.spacing_hz

    @property
    def paths(self) -> int:
        """Number of paths, K + 1."""
        return int(self.delay.shape[1])


class _Kind(NamedTuple):
    """One channel parameter of every path: dH/dxi = factor (-j 2 pi m df)^order, times a sum of rank-one terms.

    `factor`: None for the path's gain. `terms`: of each its receive and its transmit column, steering or derivative.
    """

    name: str
    factor: complex | None
    order: int
    terms: tuple[tuple[int, int], ...]


_STEERING, _DERIVATIVE = 0, 1
_DEPARTURE, _ARRIVAL, _NEITHER = (_STEERING, _DERIVATIVE), (_DERIVATIVE, _STEERING), (_STEERING, _STEERING)
# In the order of (6).
_BISTATIC = (
    _Kind("theta_B", None, 0, (_DEPARTURE,)),
    _Kind("theta_U", None, 0, (_ARRIVAL,)),
    _Kind("tau", None, 1, (_NEITHER,)),
    _Kind("re_alpha", 1.0, 0, (_NEITHER,)),
    _Kind("im_alpha", 1j, 0, (_NEITHER,)),
)
_MONOSTATIC = (
    _Kind("theta_B", None, 0, (_ARRIVAL, _DEPARTURE)),
    _Kind("eps", None, 1, (_NEITHER,)),
    _Kind("re_beta", 1.0, 0, (_NEITHER,)),
    _Kind("im_beta", 1j, 0, (_NEITHER,)),
)


@lru_cache
def _pattern(kinds: tuple[_Kind, ...], paths: int) -> Pattern:
    path = np.tile(np.arange(paths), len(kinds))
    # Where there is one term, the second repeats it and has no part in the sum.
    columns = np.array([(*kind.terms, *kind.terms)[:2] for kind in kinds])
    rx, tx = (paths * np.repeat(columns[:, :, side], paths, axis=0) + path[:, None] for side in (0, 1))
    order, terms = np.array([(kind.order, len(kind.terms)) for kind in kinds]).T
    return Pattern(path, np.repeat(order, paths), np.repeat(terms, paths), rx, tx)


def _coefficients(kinds: tuple[_Kind, ...], gain: Complexes, rx_norm: Reals, tx_norm: Reals) -> Complexes:
    """Factors of the derivatives' terms, (batch, P, 2), from the norms of steering, then derivative columns."""
    batch, paths = gain.shape
    rx, tx = np.split(rx_norm, 2, axis=1), np.split(tx_norm, 2, axis=1)
    out = np.zeros((batch, len(kinds), paths, 2), complex)
    for i, kind in enumerate(kinds):
        for term, (received, sent) in enumerate(kind.terms):
            out[:, i, :, term] = (gain if kind.factor is None else kind.factor) * (rx[received] * tx[sent])
    return out.reshape(batch, -1, 2)


def _link(
    scenario: Scenario,
    kinds: tuple[_Kind, ...],
    aod: Reals,
    receiver: tuple[Reals, int],
    delay: Reals,
    gain: Complexes,
    jacobian: Reals,
) -> Link:
    """A link of these kinds of parameters; its receiver by angles of arrival and antennas."""
    paths = aod.shape[1]
    tx_columns, tx_norm = steering.steering_columns(aod, scenario.tx_antennas)
    rx_columns, rx_norm = steering.steering_columns(*receiver)
    return Link(
        parameters=tuple(f"{kind.name}{k}" for kind in kinds for k in range(paths)),
        pattern=_pattern(kinds, paths),
        coef=_coefficients(kinds, gain, rx_norm, tx_norm),
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
    jacobian = bistatic_jacobian(
        np.array(scenario.bs_position_m),
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
    jacobian = monostatic_jacobian(
        np.array(scenario.bs_position_m), SPEED_OF_LIGHT, draws.ue_position, draws.target_position
    )
    receiver = channel.aod, scenario.rx_antennas
    return _link(
        scenario, _MONOSTATIC, channel.aod, receiver, channel.delay_monostatic, channel.gain_monostatic, jacobian
    )
