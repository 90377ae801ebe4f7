"""Directions, delays and gains of every path, for a batch of draws."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from .antennas import AntennaArray, Ula, Upa
from .arrays import Complexes, Reals
from .draws import Draws, check_fit
from .kernels.model.geometry import (
    Hops,
    Places,
    Reflections,
    Transmitter,
    angles_of,
    delays_and_gains,
    frames_of,
    hops_of,
    rotations,
)
from .kernels.model.steering import Array
from .paths import Paths
from .scenario import SPEED_OF_LIGHT, Scenario

_RCS_EXPONENT = {"radar-equation": 0.5, "as-printed": 1.0}
# How phi is read: the broadside points to offset - sense phi, rad.
_READINGS = {
    "broadside-at-minus-phi": (1.0, 0.0),
    "broadside-at-phi": (-1.0, 0.0),
    "axis-at-minus-phi": (1.0, 0.5 * np.pi),
    "axis-at-phi": (-1.0, 0.5 * np.pi),
}
# Two elements this close, in wavelengths, are at mirrored places.
_MIRRORED = 1e-9


@dataclass(frozen=True)
class Channel:
    """Channel parameters of a batch of draws; path 0 is the line of sight (BP) or the UE (MS).

    There are K+1 paths, and more where draws bring nuisance paths, see `Paths`.

    Attributes
    ----------
    aod, aoa
        Azimuths at the BS and at the UE, in the axes of their arrays, (batch, K+1), rad from broadside.
    aod_elevation, aoa_elevation
        Elevations there, (batch, K+1), rad, upwards; 0 in the plane.
    delay_bistatic, delay_monostatic
        tau_k (with the clock bias) and eps_k, (batch, K+1), s.
    gain_bistatic, gain_monostatic
        Complex alpha_k and beta_k of (3) and (5), (batch, K+1).
    departure, arrival
        The directions as unit vectors, each with its unit tangents of azimuth and, in space, of elevation, in the axes
        of the arrays (x broadside, y left, z up): (batch, K+1, 2 or 3, 3).
    nuisances
        How many of the last paths are nuisances of BP, and then of MS.
    """

    aod: Reals
    aoa: Reals
    aod_elevation: Reals
    aoa_elevation: Reals
    delay_bistatic: Reals
    delay_monostatic: Reals
    gain_bistatic: Complexes
    gain_monostatic: Complexes
    departure: Reals
    arrival: Reals
    nuisances: tuple[int, int] = (0, 0)

    def __getitem__(self, index: slice) -> "Channel":
        arrays = [field.name for field in fields(self) if field.name != "nuisances"]
        return replace(self, **{name: getattr(self, name)[index] for name in arrays})


def channel_of(scenario: Scenario, draws: Draws) -> Channel:
    """Channel parameters of every draw.

    Parameters
    ----------
    scenario
        Geometry of the BS, carrier, clock bias and gain law.
    draws
        Positions, orientation, RCS and phases, batch axis first.

    Returns
    -------
    Channel
        Its arrays with the batch axis first.

    Raises
    ------
    ScenarioError
        If the draws have another number of targets than the scenario, or an entity is where the BS is.
    """
    check_fit(scenario, draws)
    if draws.paths is not None:
        return channel_of_paths(draws.paths)
    transmitter, places, hops = geometry_of(scenario, draws)
    departure, arrival = angles_of(transmitter, places, hops)
    reflections = Reflections(
        _RCS_EXPONENT[scenario.gain_law],
        draws.target_rcs,
        draws.ue_rcs,
        draws.phase_bistatic,
        draws.phase_monostatic,
    )
    return channel_of_paths(Paths(departure, arrival, *delays_and_gains(transmitter, hops, reflections)))


def channel_of_paths(paths: Paths) -> Channel:
    """Channel parameters of paths as they are.

    Parameters
    ----------
    paths
        Directions, delays and gains.

    Returns
    -------
    Channel
        The same, with the directions as vectors, too.
    """
    aod, aod_elevation = _azimuth_and_elevation(paths.departure)
    aoa, aoa_elevation = _azimuth_and_elevation(paths.arrival)
    return Channel(
        aod=aod,
        aoa=aoa,
        aod_elevation=aod_elevation,
        aoa_elevation=aoa_elevation,
        delay_bistatic=paths.delay_bistatic,
        delay_monostatic=paths.delay_monostatic,
        gain_bistatic=paths.gain_bistatic,
        gain_monostatic=paths.gain_monostatic,
        departure=frames_of(paths.departure),
        arrival=frames_of(paths.arrival),
        nuisances=paths.nuisances,
    )


def _azimuth_and_elevation(angles: Reals) -> tuple[Reals, Reals]:
    """Both of (batch, path, 1 or 2) as (batch, path)."""
    azimuth = np.ascontiguousarray(angles[:, :, 0])
    return azimuth, np.ascontiguousarray(angles[:, :, 1]) if angles.shape[2] > 1 else np.zeros_like(azimuth)


def geometry_of(scenario: Scenario, draws: Draws) -> tuple[Transmitter, Places, Hops]:
    """Where everything is and how it is turned, as kernels take it."""
    bs = np.array(scenario.bs_position_m)
    sense, offset = _READINGS[scenario.ue_angle]
    # The angle at the UE is a direction less that of its broadside.
    turn = sense * draws.ue_orientation - offset
    attitude = (
        float(np.radians(angle))
        for angle in (scenario.bs_broadside_deg, scenario.bs_downtilt_deg, scenario.bs_slant_deg)
    )
    broadside, *tilts = (np.array([angle]) for angle in attitude)
    transmitter = Transmitter(
        bs,
        float(broadside[0]),
        rotations(broadside, *tilts)[0],
        scenario.clock_bias_s,
        SPEED_OF_LIGHT,
        scenario.wavelength_m,
    )
    rotation = rotations(-turn, draws.ue_downtilt, draws.ue_slant)
    places = Places(draws.ue_position, draws.target_position, turn, rotation)
    return transmitter, places, hops_of(bs, draws.ue_position, draws.target_position)


def orientation_of(scenario: Scenario, bearing: Reals) -> Reals:
    """Phi of a UE whose broadside points there, (batch,), rad."""
    sense, offset = _READINGS[scenario.ue_angle]
    return sense * (offset - bearing)


def orientation_sense(scenario: Scenario) -> float:
    """Derivative of every angle at the UE with respect to phi: 1 or -1."""
    return _READINGS[scenario.ue_angle][0]


@lru_cache
def elements_of(antennas: AntennaArray) -> Array:
    """An array as kernels take it."""
    positions = antennas.positions
    grid = (0, 0, 0.0, 0.0)
    if isinstance(antennas, Ula):
        grid = 1, antennas.antennas, 0.0, antennas.spacing
    elif isinstance(antennas, Upa):
        grid = antennas.rows, antennas.columns, antennas.row_spacing, antennas.column_spacing
    return Array(positions, *grid[:2], np.array(grid[2:]), _is_symmetric(positions))


def _is_symmetric(positions: Reals) -> bool:
    """Whether with p also -p is an element's place."""
    return all(np.abs(positions + place).max(axis=1).min() < _MIRRORED for place in positions)
