"""The two links, bistatic (BS to UE) and monostatic (BS to BS), in the factored form of their derivatives.

Each derivative dH_m/dxi_p is a sum of at most two rank-one terms (see `kernels.model.fisher`). A `Link` holds the
pattern of those terms, their coefficients for a batch of draws, and what both FIM paths need.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .antennas import AntennaArray
from .arrays import Complexes, Reals, Wholes
from .channel import Channel, channel_of, elements_of, geometry_of, orientation_sense
from .draws import Draws, check_fit
from .errors import ScenarioError
from .kernels.model import delaysums, steering
from .kernels.model.geometry import bistatic_jacobian, monostatic_jacobian
from .paths import with_nuisances
from .scenario import Scenario
from .turns import with_turns_in_sight
from .unknowns import Unknowns, bistatic_paths, bistatic_unknowns, monostatic_paths, monostatic_unknowns


class Pattern(NamedTuple):
    """Which path, power of frequency and steering columns each parameter's derivative has."""

    path: Wholes
    order: Wholes
    terms: Wholes
    rx: Wholes
    tx: Wholes


@dataclass(frozen=True)
class Link:
    """One link of a batch of draws. P parameters, n of K+1 paths, N receive and M_T transmit antennas.

    q is 2 in the plane, 3 in space: a steering column of a path, and its derivatives.

    Attributes
    ----------
    parameters
        Names of the P channel parameters, in order.
    pattern
        Structure of the derivatives, the same for every draw.
    coef
        Complex factors of the derivatives' terms, (batch, P, 2).
    gain, delay
        (batch, n); s.
    rx_columns, tx_columns
        Unit-norm steering and derivative columns, (batch, N, qn) and (batch, M_T, q(K+1)).
    rx_gram
        Inner products of the receive columns, (batch, qn, qn).
    sums
        Delay sums of orders 0, 1, 2, (batch, 3, n, n).
    jacobian
        Channel to position parameters, (7) or (9), (batch, P, p), without those that are known.
    unknowns
        What these are but for the gains, which come last.
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
    rx_gram: Complexes
    sums: Complexes
    jacobian: Reals
    unknowns: Unknowns
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
        """Number n of paths."""
        return int(self.delay.shape[1])

    @property
    def sent_columns(self) -> Complexes:
        """Unit-norm transmit steering columns of the link's own paths, (batch, M_T, n)."""
        return np.ascontiguousarray(self.tx_columns[:, :, self.pattern.tx[-self.paths :, 0]])

    @property
    def is_bistatic(self) -> bool:
        """Whether this is the link to the UE, whose clock is unknown or known."""
        return bool(self.unknowns.of("clock").any())

    @property
    def prior(self) -> Reals:
        """Diagonal of J0 of the position parameters, (p,)."""
        gains = np.zeros(self.jacobian.shape[2] - self.unknowns.kept.size)
        return np.concatenate((self.unknowns.prior, gains))


class _Kind(NamedTuple):
    """One channel parameter of every path: dH/dxi = factor (-j 2 pi m df)^order, times a sum of rank-one terms.

    `factor`: None for the path's gain. `terms`: of each its receive and its transmit column, 0 for steering, t for the
    derivative along tangent t.
    """

    name: str
    factor: complex | None
    order: int
    terms: tuple[tuple[int, int], ...]


_NEITHER = (0, 0)
# Azimuth and elevation, at the BS and at the UE.
_DEPARTURES, _ARRIVALS = ("theta_B", "psi_B"), ("theta_U", "psi_U")


def _bistatic_kinds(tangents: int) -> tuple[_Kind, ...]:
    """In the order of (6)."""
    return (
        *(_Kind(name, None, 0, ((0, t + 1),)) for t, name in enumerate(_DEPARTURES[:tangents])),
        *(_Kind(name, None, 0, ((t + 1, 0),)) for t, name in enumerate(_ARRIVALS[:tangents])),
        _Kind("tau", None, 1, (_NEITHER,)),
        _Kind("re_alpha", 1.0, 0, (_NEITHER,)),
        _Kind("im_alpha", 1j, 0, (_NEITHER,)),
    )


def _monostatic_kinds(tangents: int) -> tuple[_Kind, ...]:
    return (
        *(_Kind(name, None, 0, ((t + 1, 0), (0, t + 1))) for t, name in enumerate(_DEPARTURES[:tangents])),
        _Kind("eps", None, 1, (_NEITHER,)),
        _Kind("re_beta", 1.0, 0, (_NEITHER,)),
        _Kind("im_beta", 1j, 0, (_NEITHER,)),
    )


@lru_cache
def _pattern(kinds: tuple[_Kind, ...], paths: tuple[int, ...], everyone: int) -> Pattern:
    """Structure of a link that has these of all paths: transmit columns are those of everyone."""
    path = np.tile(np.arange(len(paths)), len(kinds))
    # Where there is one term, the second repeats it and has no part in the sum.
    columns = np.array([(*kind.terms, *kind.terms)[:2] for kind in kinds])
    rx = len(paths) * np.repeat(columns[:, :, 0], len(paths), axis=0) + path[:, None]
    tx = everyone * np.repeat(columns[:, :, 1], len(paths), axis=0) + np.array(paths)[path][:, None]
    order, terms = np.array([(kind.order, len(kind.terms)) for kind in kinds]).T
    return Pattern(path, np.repeat(order, len(paths)), np.repeat(terms, len(paths)), rx, tx)


def _coefficients(kinds: tuple[_Kind, ...], gain: Complexes, rx_norm: Reals, tx_norm: Reals) -> Complexes:
    """Factors of the derivatives' terms, (batch, P, 2), from the norms (batch, q, n) of both ends' columns."""
    batch, paths = gain.shape
    out = np.zeros((batch, len(kinds), paths, 2), complex)
    for i, kind in enumerate(kinds):
        for term, (received, sent) in enumerate(kind.terms):
            norms = rx_norm[:, received] * tx_norm[:, sent]
            out[:, i, :, term] = (gain if kind.factor is None else kind.factor) * norms
    return out.reshape(batch, -1, 2)


@dataclass(frozen=True)
class _Reception:
    """What makes a link beside its transmitter: receive array, its directions (batch, K+1, q, 3), delays and gains."""

    antennas: AntennaArray
    directions: Reals
    delay: Reals
    gain: Complexes

    def without_line_of_sight(self) -> "_Reception":
        """The same where path 0 brings nothing."""
        gain = self.gain.copy()
        gain[:, 0] = 0.0
        return replace(self, gain=gain)


def _link(
    scenario: Scenario,
    kinds: tuple[_Kind, ...],
    departure: Reals,
    reception: _Reception,
    paths: tuple[int, ...],
    jacobian: Reals,
    unknowns: Unknowns,
) -> Link:
    """A link of these kinds of parameters, of some of the paths; its Jacobian (batch, P, p) is that of all of them."""
    batch, everyone, q, _ = departure.shape
    transmitter, receiver = elements_of(scenario.transmitter), elements_of(reception.antennas)
    tx_columns, tx_norm = steering.steering_columns(transmitter, departure)
    own = list(paths)
    rx_columns, rx_norm = steering.steering_columns(receiver, np.ascontiguousarray(reception.directions[:, own]))
    gain, delay = np.ascontiguousarray(reception.gain[:, own]), np.ascontiguousarray(reception.delay[:, own])
    rows = (everyone * np.arange(len(kinds))[:, None] + own).ravel()
    gains = jacobian.shape[2] - 2 * everyone + (everyone * np.arange(2)[:, None] + own).ravel()
    columns = np.concatenate((unknowns.kept, gains))
    return Link(
        parameters=tuple(f"{kind.name}{k}" for kind in kinds for k in paths),
        pattern=_pattern(kinds, paths, everyone),
        coef=_coefficients(kinds, gain, rx_norm.reshape(batch, q, -1), tx_norm.reshape(batch, q, everyone)[:, :, own]),
        gain=gain,
        delay=delay,
        rx_columns=rx_columns,
        tx_columns=tx_columns,
        rx_gram=steering.gram_of(rx_columns, receiver.is_symmetric),
        sums=delaysums.delay_sums(delay, scenario.subcarrier_spacing_hz, scenario.subcarriers),
        jacobian=np.ascontiguousarray(jacobian[:, rows][:, :, columns]),
        unknowns=unknowns,
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
    right = len(draws), draws.phase_bistatic.shape[1] + sum(draws.nuisances)
    if channel.aod.shape != right:
        raise ScenarioError(
            f"the channel is of (draws, paths) {channel.aod.shape}, the draws of {right}; "
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
        With P = 5K+5 channel and p = 4K+6 position parameters in the plane, 7K+7 and 5K+9 in space; fewer where
        some are known, or the line of sight is blocked.

    Raises
    ------
    ScenarioError
        If scenario, draws and channel do not fit each other.
    """
    channel = _own(scenario, draws, channel)
    transmitter, places, hops = geometry_of(scenario, draws)
    frames = channel.departure, channel.arrival
    kinds, paths = _bistatic_kinds(scenario.dimensions - 1), bistatic_paths(scenario, channel.nuisances)
    jacobian = bistatic_jacobian(transmitter, places, hops, frames, orientation_sense(scenario))
    own = [path for path in paths if path > scenario.targets]
    reception = _Reception(scenario.user_array, channel.arrival, channel.delay_bistatic, channel.gain_bistatic)
    return _link(
        scenario,
        kinds,
        channel.departure,
        reception if scenario.line_of_sight else reception.without_line_of_sight(),
        paths,
        with_nuisances(with_turns_in_sight(scenario, draws, jacobian), len(kinds), own, channel.aod.shape[1]),
        bistatic_unknowns(scenario, channel.nuisances[0]),
    )


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
        With P = p = 4K+4 channel and position parameters in the plane, 5K+5 in space.

    Raises
    ------
    ScenarioError
        If scenario, draws and channel do not fit each other.
    """
    channel = _own(scenario, draws, channel)
    transmitter, _, hops = geometry_of(scenario, draws)
    kinds, paths = _monostatic_kinds(scenario.dimensions - 1), monostatic_paths(scenario, channel.nuisances)
    jacobian = monostatic_jacobian(transmitter, hops, channel.departure)
    own = [path for path in paths if path > scenario.targets]
    return _link(
        scenario,
        kinds,
        channel.departure,
        _Reception(scenario.receiver, channel.departure, channel.delay_monostatic, channel.gain_monostatic),
        paths,
        with_nuisances(jacobian, len(kinds), own, channel.aod.shape[1]),
        monostatic_unknowns(scenario, channel.nuisances[1]),
    )
