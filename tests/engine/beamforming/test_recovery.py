"""Beamformers from covariances: literal eigenbeams, losses from scratch, addresses of the random trials."""

from typing import Any

import naive
import numpy as np
import pytest
from crbatch import Designs, Draws, Scenario, design
from crbatch.engine.beamforming.recovery import recover_all, recovery_losses
from engine_cases import case_at, drops

METHODS = ["eigen", "randomization"]
RHO = [0.0, 0.5, 1.0]
SCHEMES = ["fdb-wcrb", "cpa-wcrb", "fdb-wvm", "apa", "fdb-wbf"]


@pytest.fixture(scope="module")
def made() -> tuple[Scenario, Draws, Designs]:
    scenario, draws = drops(4, seed=5)
    return scenario, draws, design(scenario, draws, SCHEMES, RHO)


def _beams(designs: Designs, w: np.ndarray) -> np.ndarray:
    return designs.problem.expand_factor(w)


def test_eigenbeams_are_the_leading_eigenvectors(made: tuple[Scenario, Draws, Designs]) -> None:
    _, _, designs = made
    w = _beams(designs, recover_all(designs, 3, "eigen", 1, 0)[0])
    power = designs.problem.power
    for d in range(4):
        v = designs.beam_covariance("apa", 0.5)[d]
        values, vectors = np.linalg.eigh(v)
        expected = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, :-4:-1]
        expected = expected * np.exp(-1j * np.angle(expected[0])) * np.sqrt(power / values[:-4:-1].sum())
        np.testing.assert_allclose(w[d, SCHEMES.index("apa"), 1], expected, rtol=0, atol=1e-7 * np.sqrt(power))


@pytest.mark.slow("recovers many beamformers")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("slots", [1, 2, 3, 8, 20])
def test_losses_are_those_of_the_beamformers(made: tuple[Scenario, Draws, Designs], method: Any, slots: int) -> None:
    """f(W W^H) / f(V) - 1 by the naive bounds; W of full power, V itself where the slots suffice."""
    scenario, draws, designs = made
    beams, loss = recover_all(designs, slots, method, 7, 0)
    w = _beams(designs, beams)
    assert w.shape == (4, len(SCHEMES), 3, 16, slots)
    for d, s, r in np.ndindex(4, 4, 3):  # not fdb-wbf, which keeps its own W
        case, found = case_at(scenario, draws, d), w[d, s, r]
        assert np.linalg.norm(found) ** 2 == pytest.approx(designs.problem.power, rel=1e-12)
        if designs.rank[d, s, r] <= slots:
            assert loss[d, s, r] == 0.0
            v = designs.beam_covariance(SCHEMES[s], RHO[r])[d]
            np.testing.assert_allclose(found @ found.conj().T, v, rtol=0, atol=1e-9 * designs.problem.power)
            continue
        if SCHEMES[s] == "fdb-wcrb":
            assert loss[d, s, r] >= -1e-6  # certified: nothing is better by more than the gap
        value = naive.objective(case, found @ found.conj().T, RHO[r])
        if np.isinf(loss[d, s, r]):
            assert value > 1e9  # a singular FIM, but for rounding
        else:
            assert loss[d, s, r] == pytest.approx(value / designs.objective[d, s, r] - 1, rel=1e-5, abs=1e-8)


def test_one_beam_cannot_position_but_two_can(made: tuple[Scenario, Draws, Designs]) -> None:
    _, _, designs = made
    one, two = (recover_all(designs, slots, "eigen", 1, 0)[1][:, SCHEMES.index("apa"), 2] for slots in (1, 2))
    assert np.isposinf(one).all()
    assert np.isfinite(two).all()


def test_schemes_that_are_beamformers_keep_them(made: tuple[Scenario, Draws, Designs]) -> None:
    _, _, designs = made
    beams, loss = recover_all(designs, 10, "eigen", 1, 0)
    s = SCHEMES.index("fdb-wbf")
    np.testing.assert_array_equal(beams[:, s, :, :, :8], designs.factor[:, s])
    np.testing.assert_array_equal(beams[:, s, :, :, 8:], 0.0)
    np.testing.assert_array_equal(loss[:, s], 0.0)


def test_trials_depend_on_their_address_alone(made: tuple[Scenario, Draws, Designs]) -> None:
    """(seed, draw, scheme, weight), whatever the batch, the other schemes and the other weights."""
    scenario, draws, designs = made
    beams, loss = recover_all(designs, 2, "randomization", 7, 100)
    again, _ = recover_all(designs, 2, "randomization", 7, 100)
    assert beams.tobytes() == again.tobytes()
    part = design(scenario, draws[2:3], ["apa", "cpa-wcrb"], [1.0, 0.5])
    fewer, other_loss = recover_all(part, 2, "randomization", 7, 102)
    for s, scheme in enumerate(part.schemes):
        for r, rho in enumerate(part.rho):
            there = (2, SCHEMES.index(scheme), RHO.index(rho))
            assert beams[there].tobytes() == fewer[0, s, r].tobytes()
            assert loss[there] == other_loss[0, s, r]
    apa = SCHEMES.index("apa")
    for seed, first in ((8, 100), (7, 101)):
        assert not np.array_equal(recover_all(designs, 2, "randomization", seed, first)[0][:, apa], beams[:, apa])
    # Two draws, two weights: other trials.
    assert not np.allclose(beams[0, apa, 1], beams[0, apa, 2])


def test_randomization_helps_where_eigenbeams_lose(made: tuple[Scenario, Draws, Designs]) -> None:
    _, _, designs = made
    eigen, random = (recover_all(designs, 2, method, 7, 0)[1] for method in METHODS)
    assert np.all(random <= eigen)
    assert (random < eigen).any()


@pytest.mark.parametrize("slots", [2, 16])
def test_losses_alone_are_the_same(made: tuple[Scenario, Draws, Designs], slots: int) -> None:
    _, _, designs = made
    for method in ("eigen", "randomization"):
        whole = recover_all(designs, slots, method, 7, 0)[1]  # type: ignore[arg-type]
        np.testing.assert_array_equal(recovery_losses(designs, slots, method, 7, 0), whole)  # type: ignore[arg-type]


def test_nothing_is_recovered_where_no_design_exists() -> None:
    designs = design(Scenario(subcarriers=16, target_positions_m=()), None, ["fdb-wcrb", "cpa-wcrb"], [0.0, 1.0])
    beams, loss = recover_all(designs, 1, "randomization", 1, 0)
    assert np.isnan(beams[0, :, 1]).all()
    assert np.isfinite(beams[0, :, 0]).all()
    assert loss[0, 0, 0] == 0.0
    assert loss[0, 1, 0] >= -1e-6  # the gap
    assert np.isnan(loss[0, :, 1]).all()
    np.testing.assert_array_equal(recovery_losses(designs, 4, "eigen", 1, 0), [[[0.0, np.nan], [0.0, np.nan]]])
