"""Bounds from both observations together against the literal twin, and the laws that they obey."""

from typing import Any

import numpy as np
import pytest
from crbatch import Designs, Scenario, design, fixed_draw
from crbatch.engine.beamforming import designs
from engine_cases import drops
from world import WORLD, Scene, World, bounds, turned
from world_cases import project_scene
from world_scenes import random_rotation, random_scene

Array = np.ndarray
TWO = ["fdb-wcrb", "apa"]
RHO = [0.0, 0.5, 1.0]


def designs_of(scene: Scene, schemes: list[str] = TWO, rho: list[float] = RHO) -> Designs:
    return design(*project_scene(scene), schemes, rho)


def test_apa_bounds_are_the_golden_ones() -> None:
    for name, entry in WORLD.items():
        found = designs_of(entry["scenario"], ["apa"], [0.0])
        assert found.crb_bp_fused[0, 0, 0] == pytest.approx(entry["apa"]["crb_bp_fused_m2"], rel=1e-11), name
        assert found.crb_ms_fused[0, 0, 0] == pytest.approx(entry["apa"]["crb_ms_fused_m2"], rel=1e-11), name


PRIOR = {"ue_position": 1.0, "target_position": 0.7, "orientation": 0.1, "clock": 1e-9}
CASES: dict[str, dict[str, Any]] = {
    "nothing known": {},
    "prior": {"prior": PRIOR},
    "known clock": {"known": ["clock"]},
    "known orientation and targets": {"known": ["orientation", "targets"]},
    "blocked": {"los": False, "targets": 5},
    "all known, prior": {"known": ["clock", "orientation", "targets"], "prior": {"ue_position": 1.0}},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_optimised_designs_agree_with_the_twin(seed: int, case: str) -> None:
    scene = random_scene(seed, **CASES[case])
    found, world = designs_of(scene), World(scene)
    for s, r in np.ndindex(found.status.shape[1:]):
        covariance = found.beam_covariance(TWO[s], RHO[r])[0]
        expected = bounds(world, covariance)
        # Beams for one link alone may leave the other next to nothing, and the twin fewer digits.
        for name in ("crb_bp_fused", "crb_ms_fused"):
            digits = 1e-8 if expected[name] < 1e3 else 1e-5
            assert getattr(found, name)[0, s, r] == pytest.approx(expected[name], rel=digits)


def test_turning_the_whole_scene_changes_nothing() -> None:
    for seed in range(5):
        scene = random_scene(seed)
        before = designs_of(scene, ["apa"], [0.5])
        after = designs_of(turned(scene, random_rotation(np.random.default_rng(seed))), ["apa"], [0.5])
        np.testing.assert_allclose(after.crb_bp_fused, before.crb_bp_fused, rtol=1e-9)
        np.testing.assert_allclose(after.crb_ms_fused, before.crb_ms_fused, rtol=1e-9)


@pytest.mark.parametrize("changes", [{}, {"prior": {"ue_position_m": 0.5}}, {"known": ("clock",)}])
def test_both_together_are_never_worse_than_one_alone(changes: dict[str, Any]) -> None:
    """Targets that are known to the UE alone would be another matter: what both tell leaves them out."""
    scenario, draws = drops(20, seed=4, **changes)
    found = design(scenario, draws, TWO, RHO)
    fine = ~np.isnan(found.crb_bp)
    assert fine.sum() > 100
    slack = 1.0 + 1e-9
    assert (found.crb_bp_fused[fine] <= slack * found.crb_bp[fine]).all()
    assert (found.crb_bp_fused[fine] <= slack * found.crb_ms_target[..., 0][fine]).all()
    assert (found.crb_ms_fused[fine] <= slack * found.crb_ms[fine]).all()
    assert (found.crb_bp_fused[fine] < 0.9 * np.minimum(found.crb_bp, found.crb_ms_target[..., 0])[fine]).any()


def test_a_draw_has_the_same_bits_in_any_batch() -> None:
    scenario, draws = drops(11, seed=3)
    whole, part = design(scenario, draws, TWO, RHO), design(scenario, draws[4:7], TWO, RHO)
    np.testing.assert_array_equal(part.crb_bp_fused, whole.crb_bp_fused[4:7])
    np.testing.assert_array_equal(part.crb_ms_fused, whole.crb_ms_fused[4:7])


def row(count: int) -> list[list[float]]:
    return [[0.0, 0.5 * (i - (count - 1) / 2), 0.0] for i in range(count)]


@pytest.mark.parametrize("targets", [0, 2])
def test_a_turn_about_the_axis_of_a_row_of_antennas_costs_nothing(targets: int) -> None:
    """The UE never sees that turn, and without targets neither its orientation nor its clock nor all of its place."""
    scene = random_scene(1, targets, uea=row(6))
    found, world = designs_of(scene, ["apa"], [0.0]), World(scene)
    expected = bounds(world, world.apa)
    assert expected["crb_bp_fused"] < 0.9999 * expected["crb_ms_target"][0]
    assert found.crb_bp_fused[0, 0, 0] == pytest.approx(expected["crb_bp_fused"], rel=1e-8)
    assert found.crb_ms_fused[0, 0, 0] == pytest.approx(expected["crb_ms_fused"], rel=1e-8)


def test_a_link_that_cannot_tell_its_paths_apart_adds_nothing() -> None:
    """The target stands on the way to the UE: one delay and one direction for the UE, two distances for the BS."""
    scenario = Scenario(ue_position_m=(-5.0, 20.0), target_positions_m=((-2.5, 10.0),))
    found = design(scenario, fixed_draw(scenario), ["apa"], [0.5])
    assert found.crb_bp[0, 0, 0] == np.inf
    assert found.crb_bp_fused[0, 0, 0] == pytest.approx(found.crb_ms_target[0, 0, 0, 0], rel=1e-12)
    assert found.crb_ms_fused[0, 0, 0] == pytest.approx(found.crb_ms[0, 0, 0], rel=1e-12)


def test_what_neither_link_sees_is_unidentifiable() -> None:
    """One receive antenna, and one at the BS: a circle around the BS is as good as a point on it."""
    scenario = Scenario(tx_antennas=1, rx_antennas=1, ue_antennas=1)
    found = design(scenario, fixed_draw(scenario), ["apa"], [0.5])
    assert np.isinf(found.crb_bp_fused).all()
    assert np.isinf(found.crb_ms_fused).all()


def test_where_no_design_exists_there_is_no_bound() -> None:
    """Without targets the UE alone finds nothing, and there is no design for it; both together could have."""
    scenario = Scenario(target_positions_m=())
    found = design(scenario, fixed_draw(scenario), ["fdb-wcrb"], [0.0, 1.0])
    assert found.crb_bp[0, 0].tolist() == [np.inf, np.inf]
    assert np.isfinite(found.crb_bp_fused[0, 0, 0])
    assert np.isnan(found.crb_bp_fused[0, 0, 1])
    assert np.isnan(found.crb_ms_fused[0, 0, 1])


def test_designs_cost_nothing_more_until_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, draws = drops(1)
    found = design(scenario, draws, ["apa"], [0.5])
    calls = []
    original = designs.fused_crbs
    monkeypatch.setattr(designs, "fused_crbs", lambda *given: calls.append(1) or original(*given))
    assert (found.crb_bp_fused < found.crb_ms_fused).all()
    assert (found.crb_bp_fused < found.crb_ms_fused).all()
    assert len(calls) == 1
