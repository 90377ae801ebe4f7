"""What is known beforehand, or roughly so: limits of priors, and how bounds scale with them."""

from dataclasses import replace

import numpy as np
import pytest
from crbatch import DrawModel, Scenario, channel_matrix, channel_of, design, sample
from crbatch.engine.crb import link_bounds
from crbatch.engine.draws import fixed_draw
from crbatch.engine.links import bistatic_link, monostatic_link
from world import WORLD, Scene, World, bounds
from world_engine import engine_scene
from world_scenes import random_scene

NAMES = ("crb_bp", "crb_ms", "crb_orientation", "crb_clock", "crb_map", "crb_ms_target", "objective")
KNOWING = {"ue_position": 1.0, "target_position": 2.0, "clock": 1e-9, "orientation": 0.1}
VAGUE = {"ue_position": 1e9, "target_position": 1e9, "clock": 1e9, "orientation": 1e9}
PLANE = WORLD["2d-circle"]["scenario"]
BASES = {"space": random_scene(1), "plane": PLANE, "blocked": random_scene(2, targets=4, los=False)}
every_base = pytest.mark.parametrize("base", BASES)
# A clock that is known to a nanosecond is one of 0.3 m.
CERTAIN = {"clock": ("clock", 1e-17), "orientation": ("orientation", 1e-9), "targets": ("target_position", 1e-9)}


def equal_powers(scene: Scene) -> dict[str, np.ndarray]:
    found = design(*engine_scene(scene), ["apa"], 0.5)
    return {name: getattr(found, name) for name in NAMES}


@every_base
def test_a_prior_of_no_weight_is_none(base: str) -> None:
    scene = BASES[base]
    found, expected = equal_powers(scene | {"prior": VAGUE}), equal_powers(scene)
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, err_msg=name)
    best = [design(*engine_scene(one), ["fdb-wcrb"], [0.2, 0.8]).objective for one in (scene | {"prior": VAGUE}, scene)]
    np.testing.assert_allclose(best[0], best[1], rtol=1.1e-6)


@pytest.mark.parametrize("known", CERTAIN)
@pytest.mark.parametrize("base", ["space", "plane"])
def test_a_prior_without_spread_is_knowledge(base: str, known: str) -> None:
    scene = BASES[base]
    key, std = CERTAIN[known]
    found, expected = equal_powers(scene | {"prior": {key: std}}), equal_powers(scene | {"known": [known]})
    free = equal_powers(scene)
    # MS has the prior on targets too, but not the knowledge.
    names = {"crb_bp", "crb_orientation", "crb_clock", "crb_map"}
    if known != "targets":
        names |= {"crb_ms", "crb_ms_target", "objective"}
    for name in names:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-16, err_msg=name)
    assert (found["crb_bp"] < 0.99 * free["crb_bp"]).all()
    best = [
        design(*engine_scene(scene | change), ["fdb-wcrb"], [1.0]).objective
        for change in ({"prior": {key: std}}, {"known": [known]})
    ]
    np.testing.assert_allclose(best[0], best[1], rtol=2.1e-6)


def test_what_is_known_has_no_bound() -> None:
    found = equal_powers(random_scene(1, known=["clock", "orientation", "targets"]))
    for name in ("crb_orientation", "crb_clock", "crb_map"):
        assert not found[name].any()
    assert (found["crb_ms_target"] > 0.0).all()


@pytest.mark.parametrize("base", ["space", "plane"])
def test_with_no_power_left_the_prior_is(base: str) -> None:
    scene = BASES[base] | {"prior": KNOWING, "p_dbm": -200.0}
    dims, targets = len(scene["bs"]), len(scene["targets"])
    turns = 3 if dims == 3 else 1
    found = equal_powers(scene)
    np.testing.assert_allclose(found["crb_bp"], dims, rtol=1e-6)
    np.testing.assert_allclose(found["crb_ms"], dims * (1.0 + 4.0 * targets), rtol=1e-6)
    np.testing.assert_allclose(found["crb_map"], 4.0 * dims, rtol=1e-6)
    np.testing.assert_allclose(found["crb_orientation"], turns * 0.01, rtol=1e-6)
    np.testing.assert_allclose(found["crb_clock"], 1e-18, rtol=1e-6)


@every_base
@pytest.mark.parametrize("decades", [-2, 1])
def test_bounds_fall_as_power_and_the_priors_information_grow(base: str, decades: int) -> None:
    """f(t V, t J0) = f(V, J0) / t, and the design is the same."""
    t = 10.0**decades
    scene = BASES[base] | {"prior": KNOWING}
    prior = {key: std / np.sqrt(t) for key, std in KNOWING.items()}
    more = scene | {"prior": prior, "p_dbm": scene["p_dbm"] + 10 * decades}
    one, other = (
        design(*engine_scene(each), ["fdb-wcrb", "cpa-wcrb", "apa"], [0.0, 0.4, 1.0]) for each in (scene, more)
    )
    for name in NAMES:
        np.testing.assert_allclose(getattr(other, name)[:, 2], getattr(one, name)[:, 2] / t, rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(other.objective, one.objective / t, rtol=1.1e-6)
    v, w = (each.beam_covariance("apa", 0.4) for each in (one, other))
    np.testing.assert_allclose(w, t * v, rtol=1e-9, atol=1e-12 * t * abs(v).max())


def test_bounds_of_any_covariance_fall_so_too() -> None:
    scene = BASES["space"] | {"prior": KNOWING}
    world, t = World(scene), 7.0
    more = scene | {"prior": {key: std / np.sqrt(t) for key, std in KNOWING.items()}}
    for link in (bistatic_link, monostatic_link):
        one, other = (
            link_bounds(link(*engine_scene(each)), v) for each, v in ((scene, world.apa), (more, t * world.apa))
        )
        np.testing.assert_allclose(other.position, one.position / t, rtol=1e-9)
        np.testing.assert_allclose(other.targets, one.targets / t, rtol=1e-9)


def test_more_knowledge_never_hurts() -> None:
    scene = random_scene(1)
    steps = [
        {},
        {"prior": {"ue_position": 10.0}},
        {"prior": {"ue_position": 10.0, "target_position": 1.0}},
        {"prior": {"ue_position": 0.1, "target_position": 0.1}},
    ]
    found = [equal_powers(scene | step) for step in steps]
    for name in ("crb_bp", "crb_ms"):
        values = [float(each[name].item()) for each in found]
        assert values == sorted(values, reverse=True)
        assert values[-1] < 0.5 * values[0]
    assert found[0]["crb_ms"].item() > (1 + 1e-6) * found[2]["crb_ms"].item()


@pytest.mark.parametrize("seed", range(3))
def test_a_turn_that_nobody_sees_is_what_the_prior_says(seed: int) -> None:
    """No target, a known clock: nothing tells of a turn about the line of sight."""
    alone = random_scene(seed, 0, known=["clock"])
    found = equal_powers(alone)
    assert np.isinf(found["crb_orientation"]).all()
    assert np.isfinite(found["crb_bp"]).all()
    rough = equal_powers(alone | {"prior": {"orientation": 0.3}})
    world = World(alone | {"prior": {"orientation": 0.3}})
    expected = bounds(world, world.apa)
    np.testing.assert_allclose(rough["crb_bp"].ravel(), expected["crb_bp"], rtol=1e-8)
    np.testing.assert_allclose(rough["crb_orientation"].ravel(), expected["crb_orientation"], rtol=1e-8)


def test_a_prior_in_degrees_is_one_in_radians() -> None:
    scene = PLANE | {"prior": {"orientation": 0.02}}
    scenario, draws = engine_scene(scene)
    assert scenario.prior.orientation_deg == pytest.approx(np.degrees(0.02))
    link = bistatic_link(scenario, draws)
    assert link.prior[2] == pytest.approx(1 / 0.02**2)
    assert (link.prior > 0.0).sum() == 1


def test_known_columns_leave_the_jacobian() -> None:
    scenario = Scenario()
    for known, left in ((["clock"], 1), (["orientation"], 1), (["targets"], 6), (["clock", "targets"], 7)):
        knowing = scenario.replace(known=known)
        full, less = (bistatic_link(one, fixed_draw(one)).jacobian.shape[2] for one in (scenario, knowing))
        assert full - less == left
        full, less = (monostatic_link(one, fixed_draw(one)).jacobian.shape[2] for one in (scenario, knowing))
        assert full == less


def test_a_blocked_line_of_sight_is_missing_in_the_channel() -> None:
    """What the targets' paths make of it is left."""
    scenario = Scenario(subcarriers=4)
    draws = sample(scenario, DrawModel(), 3, 0, 2)
    blocked = bistatic_link(scenario.replace(line_of_sight=False), draws)
    channel = channel_of(scenario, draws)
    gain = channel.gain_bistatic.copy()
    gain[:, 0] = 0.0
    without = bistatic_link(scenario, draws, replace(channel, gain_bistatic=gain))
    np.testing.assert_allclose(channel_matrix(blocked), channel_matrix(without), rtol=1e-12)
