"""Power towards directions against the sum over elements, for any array."""

import numpy as np
import pytest
from crbatch import DesignError, Elements, Scenario, Uca, Ula, Upa, design, fixed_draw
from crbatch.engine.beampatterns import beampattern

Array = np.ndarray
ODD = Elements(positions=((0.1, 0.0, 0.0), (0.0, 0.7, 0.2), (-0.3, 0.2, 0.9), (0.4, -0.6, 0.3), (0.0, 0.1, -1.0)))
ARRAYS = [Ula(antennas=5), Ula(antennas=5, spacing=0.8), Upa(rows=2, columns=3), Uca(antennas=7, radius=0.6), ODD]


def literal(covariance: Array, positions: Array, azimuth: float, elevation: float) -> float:
    u = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    a = np.exp(2j * np.pi * positions @ u)
    return float((a.conj() @ covariance @ a).real)


@pytest.mark.parametrize("antennas", ARRAYS, ids=lambda one: f"{one.kind}-{one.antennas}")
def test_power_is_the_quadratic_form_of_the_steering_vector(antennas: Ula | Upa | Uca | Elements) -> None:
    rng = np.random.default_rng(1)
    w = rng.normal(size=(2, antennas.antennas, 3, 2)) @ [1, 1j]
    v = w @ np.swapaxes(w.conj(), 1, 2)
    azimuth, elevation = rng.uniform(-3, 3, 9), rng.uniform(-1.5, 1.5, 9)
    for heights in (elevation, np.zeros(9)):
        found = beampattern(v, antennas, azimuth, heights)
        expected = [
            [literal(one, antennas.positions, a, e) for a, e in zip(azimuth, heights, strict=True)] for one in v
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-11)


def test_designs_send_what_their_covariance_does_along_the_scenarios_array() -> None:
    scenario = Scenario(
        bs_position_m=(0, 0, 8),
        ue_position_m=(-5, 20, 1.5),
        target_positions_m=((-10, 15, 1), (5, 15, 2), (0, 17, 4)),
        tx_array=Upa(rows=3, columns=4),
        ue_array=Upa(rows=2, columns=2),
    )
    designs = design(scenario, fixed_draw(scenario), ["apa"], [0.5])
    channel = designs.problem.channel
    towards = designs.beampattern("apa", 0.5, channel.aod[0], channel.aod_elevation[0])[0]
    np.testing.assert_allclose(towards / designs.problem.power, designs.beam_gain[0, 0, 0], rtol=1e-9)
    with pytest.raises(DesignError, match="elevation_rad: 30 is beyond a full turn; give a list of angles in rad"):
        designs.beampattern("apa", 0.5, 0.1, 30.0)
