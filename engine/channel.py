"""Angles, delays and gains of every path, for a batch of draws."""

from dataclasses import dataclass

import numpy as np

from .arrays import Complexes, Reals
from .draws import Draws, check_fit
from .kernels.model.geometry import Places, Reflections, Transmitter, channel_parameters
from .scenario import SPEED_OF_LIGHT, Scenario

_RCS_EXPONENT = {"radar-equation": 0.5, "as-printed": 1.0}
# How phi is read: the broadside points to offset - sense phi, rad.
_READINGS = {
    "broadside-at-minus-phi": (1.0, 0.0),
    "broadside-at-phi": (-1.0, 0.0),
    "axis-at-minus-phi": (1.0, 0.5 * np.pi),
    "axis-at-phi": (-1.0, 0.5 * np.pi),
}


@dataclass(frozen=True)
class Channel:
    """Channel parameters of a batch of draws; path 0 is the line of sight (BP) or the UE (MS).

    Attributes
    ----------
    aod, aoa
        Angles at the BS and at the UE, (batch, K+1), rad from broadside, in (-pi, pi].
    delay_bistatic, delay_monostatic
        tau_k (with the clock bias) and eps_k, (batch, K+1), s.
    gain_bistatic, gain_monostatic
        Complex alpha_k and beta_k of (3) and (5), (batch, K+1).
    """

    aod: Reals
    aoa: Reals
    delay_bistatic: Reals
    delay_monostatic: Reals
    gain_bistatic: Complexes
    gain_monostatic: Complexes


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
        All arrays (batch, K+1).

    Raises
    ------
    ScenarioError
        If the draws have another number of targets than the scenario, or an entity is where the BS is.
    """
    check_fit(scenario, draws)
    sense, offset = _READINGS[scenario.ue_angle]
    # The angle at the UE is a direction less that of its broadside.
    rotation = sense * draws.ue_orientation - offset
    values = channel_parameters(
        Transmitter(
            np.array(scenario.bs_position_m),
            float(np.radians(scenario.bs_broadside_deg)),
            scenario.clock_bias_s,
            SPEED_OF_LIGHT,
            scenario.wavelength_m,
        ),
        Places(draws.ue_position, draws.target_position, rotation),
        Reflections(
            _RCS_EXPONENT[scenario.gain_law],
            draws.target_rcs,
            draws.ue_rcs,
            draws.phase_bistatic,
            draws.phase_monostatic,
        ),
    )
    return Channel(*values)


def orientation_sense(scenario: Scenario) -> float:
    """Derivative of every angle at the UE with respect to phi: 1 or -1."""
    return _READINGS[scenario.ue_angle][0]
