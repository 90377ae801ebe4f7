"""Both links of a batch of draws as the solvers take them, and what positions have to do with their parameters."""

import numpy as np

from ..arrays import Reals
from ..channel import Channel, elements_of, geometry_of, orientation_sense
from ..draws import Draws
from ..kernels.bound import apa, separable
from ..kernels.bound.problems import SeparableFim
from ..kernels.model import steering
from ..kernels.model.geometry import bistatic_jacobian, direction_rounding, monostatic_positions
from ..links import noise_scale
from ..paths import with_nuisances
from ..scenario import SPEED_OF_LIGHT, Scenario
from ..turns import with_turns_in_sight
from ..unknowns import Unknowns, bistatic_paths, bistatic_unknowns, monostatic_paths, monostatic_unknowns

# Rounding of a direction that is given as such, rad.
_GIVEN = 2.0**-52


def separable_links(scenario: Scenario, channel: Channel) -> tuple[SeparableFim, SeparableFim]:
    """Both links before BP is whitened."""
    batch, _, q, _ = channel.departure.shape
    grid = 2.0 * np.pi * scenario.subcarrier_spacing_hz, scenario.subcarriers
    transmitter = elements_of(scenario.transmitter)
    paths = np.array(bistatic_paths(scenario, channel.nuisances))
    departure, arrival, delay, gain = (
        np.ascontiguousarray(each[:, paths])
        for each in (channel.departure, channel.arrival, channel.delay_bistatic, channel.gain_bistatic)
    )
    if not scenario.line_of_sight:
        gain = np.where(paths > 0, gain, 0.0)
    unknowns = bistatic_unknowns(scenario, channel.nuisances[0])
    inner, size = (2 * q - 1) * paths.size, unknowns.kept.size
    ends = separable.Ends(transmitter, elements_of(scenario.user_array), departure, arrival)
    natural = np.ones((batch, 2, paths.size))  # radians and seconds
    weights, weights_imag, phasor = separable.link_structure(ends, delay, gain, natural, grid)
    bistatic = SeparableFim(
        weights=weights,
        weights_imag=weights_imag,
        phasor=phasor,
        parameter_of_kind=np.arange(2 * q),
        paths=paths,
        transform=np.zeros((batch, inner, size)),
        rows=np.zeros((batch, size, size)),
        prior=np.zeros((batch, size, size) if unknowns.has_prior else (batch, 0, 0)),
        bounded=q,
    )
    # Directions and delays in metres at the target, across and along the line of sight: then CRB_MS = tr E^-1.
    paths = np.array(monostatic_paths(scenario, channel.nuisances))
    departure, delay, gain = (
        np.ascontiguousarray(each[:, paths])
        for each in (channel.departure, channel.delay_monostatic, channel.gain_monostatic)
    )
    across = 0.5 * SPEED_OF_LIGHT * delay
    metres = np.stack((across, np.full_like(across, 0.5 * SPEED_OF_LIGHT)), axis=1)
    ends = separable.Ends(transmitter, elements_of(scenario.receiver), departure, departure)
    weights, weights_imag, phasor = separable.link_structure(ends, delay, gain, metres, grid)
    nothing = np.zeros((batch, 0, 0))
    return bistatic, SeparableFim(
        weights=weights,
        weights_imag=weights_imag,
        phasor=phasor,
        # Departure and arrival are one direction.
        parameter_of_kind=np.array([0, *range(1, q), *range(1, q), q]),
        paths=paths,
        transform=nothing,
        rows=nothing,
        prior=_monostatic_prior(scenario, channel),
        bounded=scenario.targets + 1,
    )


def unit_prior(scenario: Scenario, unknowns: Unknowns) -> Reals:
    """Diagonal of J0 at unit power and noise, (m,)."""
    return unknowns.prior / (noise_scale(scenario) * scenario.power_per_subcarrier_w)


def _monostatic_prior(scenario: Scenario, channel: Channel) -> Reals:
    """J0 of every position across and along its line of sight, (batch, m, m): it is the same in any direction."""
    unknowns, batch = monostatic_unknowns(scenario, channel.nuisances[1]), len(channel.aod)
    if not unknowns.has_prior:
        return np.zeros((batch, 0, 0))
    each = unit_prior(scenario, unknowns).reshape(-1, scenario.dimensions)  # 0 of nuisance paths, which come last
    return np.tile(np.diag(each.T.ravel()), (batch, 1, 1))


def geometries(scenario: Scenario, draws: Draws, channel: Channel) -> tuple[apa.Geometry, apa.Geometry]:
    """What positions have to do with directions and delays, of BP and of MS."""
    transmitter, places, hops = geometry_of(scenario, draws)
    departure, arrival = channel.departure, channel.arrival
    _, everyone, q, _ = departure.shape
    rounding = np.full((len(departure), 2, everyone), _GIVEN)
    rounding[:, :, : scenario.targets + 1] = direction_rounding(transmitter.position, places, hops)
    sent = steering.derivative_doubts(elements_of(scenario.transmitter), departure, rounding[:, 0].copy())
    received = steering.derivative_doubts(elements_of(scenario.user_array), arrival, rounding[:, 1].copy())

    paths = np.array(bistatic_paths(scenario, channel.nuisances))
    unknowns = bistatic_unknowns(scenario, channel.nuisances[0])
    located = bistatic_jacobian(transmitter, places, hops, (departure, arrival), orientation_sense(scenario))
    located = with_turns_in_sight(scenario, draws, located)
    whole = with_nuisances(located, 2 * q + 1, paths[paths > scenario.targets].tolist(), everyone)
    own = (everyone * np.arange(q - 1)[:, None] + paths).ravel()
    rows = (everyone * np.arange(2 * q - 1)[:, None] + paths).ravel()
    bistatic = apa.Geometry(
        np.ascontiguousarray(whole[:, rows][:, :, unknowns.kept]),
        # In rows: picked columns come in columns, for which kernels would be compiled a second time.
        np.ascontiguousarray(np.concatenate((sent[:, own], received[:, own]), axis=1)),
        unit_prior(scenario, unknowns),
    )

    paths = np.array(monostatic_paths(scenario, channel.nuisances))
    unknowns = monostatic_unknowns(scenario, channel.nuisances[1])
    located = monostatic_positions(transmitter, hops, departure)
    whole = with_nuisances(located, q, paths[paths > scenario.targets].tolist(), everyone, gains=False)
    own = (everyone * np.arange(q - 1)[:, None] + paths).ravel()
    rows = (everyone * np.arange(q)[:, None] + paths).ravel()
    echoed = steering.derivative_doubts(elements_of(scenario.receiver), departure, rounding[:, 0].copy())
    monostatic = apa.Geometry(
        np.ascontiguousarray(whole[:, rows]),
        np.ascontiguousarray(_doubts_of_sum(scenario, sent, echoed)[:, own]),
        unit_prior(scenario, unknowns),
    )
    return bistatic, monostatic


def _doubts_of_sum(scenario: Scenario, sent: Reals, received: Reals) -> Reals:
    """Relative rounding of the derivatives of echoes, of two terms each: where one vanishes the other counts."""
    t, r = (float(np.mean(ends.positions**2)) for ends in (scenario.transmitter, scenario.receiver))
    if t == r == 0.0:
        return sent
    with np.errstate(divide="ignore"):  # both vanish
        both: Reals = np.sqrt((t + r) / (t / sent**2 + r / received**2))
    return both
