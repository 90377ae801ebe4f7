"""The literal twin of the plane and of space against golden values, differences and its own laws."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from threadpoolctl import threadpool_limits
from world import (
    WORLD,
    Array,
    Scene,
    World,
    attitude,
    bounds,
    certified_gap,
    objective_and_gradient,
    rotation,
    turn,
    turned,
)
from world_design import best_covariance
from world_scenes import planar, random_rotation, random_scene

pytestmark = pytest.mark.slow("the checks of a twin, by itself")
APA_BOUNDS = ["crb_bp", "crb_ms", "crb_bp_fused", "crb_ms_fused"]
FREE_OF = {"clock": ("clock", 1e-17), "orientation": ("orientation", 1e-9), "targets": ("target_position", 1e-9)}
OPTIMA = [(name, optimum) for name, entry in WORLD.items() for optimum in entry["optimum"]]

every_scene = pytest.mark.parametrize("name", WORLD)
scenes_in_space = pytest.mark.parametrize("name", [name for name in WORLD if name.startswith("3d")])
every_optimum = pytest.mark.parametrize(
    ("name", "optimum"), OPTIMA, ids=[f"{name}-{optimum['rho']}" for name, optimum in OPTIMA]
)
random_seeds = pytest.mark.parametrize("seed", range(4))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small products wait for each other's threads where other tests share the cores."""
    with threadpool_limits(1):
        yield


@cache
def golden_world(name: str) -> World:
    return World(WORLD[name]["scenario"])


def apa_bounds(scene: Scene) -> dict[str, object]:
    world = World(scene)
    return bounds(world, world.apa)


def lifted(scene: Scene) -> Scene:
    """A scene of the plane, written in space at z = 0."""
    (ue,) = scene["ues"]
    return scene | {
        "bs": [*scene["bs"], 0.0],
        "ues": [ue | {"pos": [*ue["pos"], 0.0]}],
        "targets": [[*target, 0.0] for target in scene["targets"]],
    }


def random_covariance(world: World, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(len(world.tx), 8, 2)) @ [1, 1j]
    return w @ w.conj().T * world.power / np.sum(np.abs(w) ** 2)


def central_difference(function, x: Array, steps: Array) -> Array:
    """Sixth-order derivatives along the single coordinates, [coordinate, ...]."""
    slopes = []
    for i, step in enumerate(steps):
        e = step * (np.arange(len(x)) == i)
        terms = [w * (function(x + s * e) - function(x - s * e)) for s, w in ((1, 45), (2, -9), (3, 1))]
        slopes.append(sum(terms) / (60 * step))
    return np.array(slopes)


@every_scene
def test_apa_bounds_are_the_golden_ones(name: str) -> None:
    found = bounds(golden_world(name), golden_world(name).apa)
    golden = [WORLD[name]["apa"][f"{key}_m2"] for key in APA_BOUNDS]
    np.testing.assert_allclose([found[key] for key in APA_BOUNDS], golden, rtol=1e-9)


@every_scene
def test_span_is_the_number_of_codewords(name: str) -> None:
    assert golden_world(name).codebook.shape[1] == WORLD[name]["span"]


@every_optimum
def test_optima_are_the_golden_ones(name: str, optimum: dict) -> None:
    world, rho = golden_world(name), optimum["rho"]
    v = best_covariance(world, rho)
    f, _, _ = objective_and_gradient(world, v, rho)
    assert f == pytest.approx(optimum["objective_m2"], rel=1e-8)
    assert certified_gap(world, v, rho) < 1e-5
    assert np.trace(v).real == pytest.approx(world.power, rel=1e-12)
    # Near an optimum its parts move with the square root of what f has left.
    found = bounds(world, v)
    for key in ("crb_bp", "crb_ms"):
        if optimum[f"{key}_m2"] is not None:
            assert found[key] == pytest.approx(optimum[f"{key}_m2"], rel=1e-4)


@every_optimum
def test_certificate_holds_far_from_the_optimum(name: str, optimum: dict) -> None:
    world, rho = golden_world(name), optimum["rho"]
    for v in (world.apa, 0.5 * world.apa + 0.5 * random_covariance(world, 1)):
        f, _, _ = objective_and_gradient(world, v, rho)
        assert f / optimum["objective_m2"] <= (1 + certified_gap(world, v, rho)) * (1 + 1e-8)


@scenes_in_space
def test_golden_scenes_may_be_turned_as_a_whole(name: str) -> None:
    q = random_rotation(np.random.default_rng(7))
    scene = turned(WORLD[name]["scenario"], q)
    assert np.all(np.abs([*scene["bs_rot"], *scene["ues"][0]["rot"]]) > 1)  # every angle takes part
    found = apa_bounds(scene)
    golden = [WORLD[name]["apa"][f"{key}_m2"] for key in APA_BOUNDS]
    np.testing.assert_allclose([found[key] for key in APA_BOUNDS], golden, rtol=1e-9)


@random_seeds
def test_turning_a_scene_of_odd_arrays_changes_no_bound(seed: int) -> None:
    scene = random_scene(seed)
    there = turned(scene, random_rotation(np.random.default_rng(seed)))
    found, before = apa_bounds(there), apa_bounds(scene)
    for key, value in before.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, err_msg=key)


def test_turning_one_array_alone_changes_the_bounds() -> None:
    scene = random_scene(0)
    before = apa_bounds(scene)
    for i in range(3):
        at_bs = [angle + 20 * (i == j) for j, angle in enumerate(scene["bs_rot"])]
        assert apa_bounds(scene | {"bs_rot": at_bs})["crb_ms"] != pytest.approx(before["crb_ms"], rel=1e-3)
        (ue,) = scene["ues"]
        at_ue = [angle + 20 * (i == j) for j, angle in enumerate(ue["rot"])]
        assert apa_bounds(scene | {"ues": [ue | {"rot": at_ue}]})["crb_bp"] != pytest.approx(before["crb_bp"], rel=1e-3)


def test_attitudes_are_turned_in_the_standard_order() -> None:
    np.testing.assert_allclose(rotation(90, 0, 0) @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(rotation(0, 90, 0) @ [1, 0, 0], [0, 0, -1], atol=1e-15)  # downtilt looks down
    np.testing.assert_allclose(rotation(0, 0, 90) @ [0, 1, 0], [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(rotation(30, 90, 0) @ [0, 0, 1], rotation(30, 0, 0) @ [1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(attitude(rotation(-100, 35, 160)), [-100, 35, 160], rtol=1e-13)


def test_a_rotation_vector_turns_about_its_axis_by_its_length() -> None:
    np.testing.assert_allclose(turn(np.radians([0, 0, 70])), rotation(70, 0, 0), atol=1e-15)
    np.testing.assert_allclose(turn(np.radians([0, -50, 0])), rotation(0, -50, 0), atol=1e-15)
    np.testing.assert_allclose(turn(np.radians([120, 0, 0])), rotation(0, 0, 120), atol=1e-15)


@pytest.mark.parametrize("link", ["bp", "ms"])
@pytest.mark.parametrize(
    "scene",
    [random_scene(0), random_scene(1, los=False), random_scene(2, targets=1), WORLD["2d-circle"]["scenario"]],
    ids=["space", "blocked", "one target", "plane"],
)
def test_derivatives_are_those_of_the_channel(scene: Scene, link: str) -> None:
    world = World(scene)
    steps = np.full(world.size, 1e-3)
    steps[world.at_clock] = 1e-11
    for part in world.at_gains["bp"] + world.at_gains["ms"]:
        steps[part] = 1e-6
    slopes = central_difference(lambda eta: world.channel(link, eta), world.eta, steps)
    places, d = world.unknowns(link), world.derivatives(link)
    for place, exact in zip(places, d, strict=True):
        assert np.max(np.abs(slopes[place] - exact)) < 1e-8 * np.max(np.abs(exact))
    # What is no unknown of the link does not move its channel.
    assert not np.any(slopes[np.setdiff1d(np.arange(world.size), places)])


@random_seeds
@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
def test_gradient_is_that_of_the_objective(seed: int, rho: float) -> None:
    world = World(random_scene(seed, prior={"ue_position": 1.0, "target_position": 2.0, "clock": 1e-9}))
    v = (world.apa + random_covariance(world, seed)) / 2
    step = random_covariance(world, seed + 50) - world.apa
    f, g, g0 = objective_and_gradient(world, v, rho)
    (slope,) = central_difference(
        lambda t: objective_and_gradient(world, v + t[0] * step, rho)[0], np.zeros(1), np.array([5e-3])
    )
    assert -np.trace(g @ step).real == pytest.approx(slope, rel=1e-7, abs=1e-8 * f)
    assert np.trace(g @ v).real + g0 == pytest.approx(f, rel=1e-9)
    assert g0 > 0


@random_seeds
def test_fused_information_is_the_sum_of_what_either_link_has_on_positions(seed: int) -> None:
    world = World(random_scene(seed))
    positions = world.at_positions
    total = 0
    for link in ("bp", "ms"):
        places, fim = world.unknowns(link), world.fim(link, world.apa)
        rest = np.setdiff1d(places, positions)
        scale = 1 / np.sqrt(np.diag(fim)[rest])
        cross = fim[np.ix_(rest, positions)] * scale[:, None]
        inner = fim[np.ix_(rest, rest)] * np.outer(scale, scale)
        total = total + fim[np.ix_(positions, positions)] - cross.T @ np.linalg.solve(inner, cross)
    found = bounds(world, world.apa)
    assert found["crb_ms_fused"] == pytest.approx(np.trace(np.linalg.inv(total)), rel=1e-8)
    assert found["crb_bp_fused"] < min(found["crb_bp"], found["crb_ms_target"][0])


@random_seeds
def test_prior_of_no_weight_is_no_prior(seed: int) -> None:
    scene = random_scene(seed)
    nothing = {"ue_position": 1e9, "target_position": 1e9, "orientation": 1e9, "clock": 1e9}
    found, expected = apa_bounds(scene | {"prior": nothing}), apa_bounds(scene)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, err_msg=key)


@random_seeds
@pytest.mark.parametrize("known", FREE_OF)
def test_prior_without_spread_is_knowledge(seed: int, known: str) -> None:
    scene = random_scene(seed)
    key, std = FREE_OF[known]
    found, expected = apa_bounds(scene | {"prior": {key: std}}), apa_bounds(scene | {"known": [known]})
    free = apa_bounds(scene)
    # MS has the prior on targets too, but not the knowledge.
    keys = ["crb_bp"] if known == "targets" else APA_BOUNDS
    for name in keys:
        assert found[name] == pytest.approx(expected[name], rel=1e-8)
    assert found["crb_bp"] < 0.99 * free["crb_bp"]


def test_a_priors_information_is_counted_once_in_fusion() -> None:
    scene = random_scene(3, p_dbm=-150.0, prior={"ue_position": 0.5, "target_position": 2.0, "orientation": 0.1})
    found = apa_bounds(scene | {"known": ["clock"]})
    alone = 3 * 0.5**2, 3 * 0.5**2 + 9 * 2.0**2
    np.testing.assert_allclose([found["crb_bp_fused"], found["crb_ms_fused"]], alone, rtol=1e-6)
    np.testing.assert_allclose([found["crb_bp"], found["crb_ms"]], alone, rtol=1e-6)
    assert found["crb_orientation"] == pytest.approx(3 * 0.1**2, rel=1e-6)


@pytest.mark.parametrize("whole", [False, True], ids=["as written", "turned"])
def test_the_plane_in_space_is_the_plane_and_its_prior_on_height(whole: bool) -> None:
    plane = WORLD["2d-prior"]["scenario"]
    scene = lifted(plane)
    if whole:
        scene = turned(scene, random_rotation(np.random.default_rng(2)))
    found, flat = apa_bounds(scene), apa_bounds(plane)
    ue, target, tilt = (plane["prior"][key] ** 2 for key in ("ue_position", "target_position", "orientation"))
    assert found["crb_bp"] == pytest.approx(flat["crb_bp"] + ue, rel=1e-9)
    assert found["crb_bp_fused"] == pytest.approx(flat["crb_bp_fused"] + ue, rel=1e-9)
    assert found["crb_ms"] == pytest.approx(flat["crb_ms"] + ue + 3 * target, rel=1e-9)
    assert found["crb_ms_fused"] == pytest.approx(flat["crb_ms_fused"] + ue + 3 * target, rel=1e-9)
    assert found["crb_orientation"] == pytest.approx(flat["crb_orientation"] + 2 * tilt, rel=1e-9)
    assert found["crb_clock"] == pytest.approx(flat["crb_clock"], rel=1e-9)


def test_codewords_that_vanish_get_no_power() -> None:
    row = planar(1, 8)
    level = World(lifted(WORLD["2d-prior"]["scenario"]))  # a row sees nothing change with elevation at elevation 0
    assert level.codebook.shape[1] == 8
    above = World(random_scene(0, tx=row))
    assert above.codebook.shape[1] == 12
    single = World(random_scene(0, tx=[[0.0, 0.0, 0.0]]))
    assert single.codebook.shape[1] == 4
    for world in (level, above, single):
        np.testing.assert_allclose(np.linalg.norm(world.codebook, axis=0), 1, rtol=1e-14)
        assert np.trace(world.apa).real == pytest.approx(world.power, rel=1e-14)


def test_codewords_are_differences_of_steering_in_the_arrays_own_frame() -> None:
    world = World(random_scene(1))
    frame = rotation(*world.scene["bs_rot"])
    for path, point in enumerate([world.ue, *world.targets]):
        x, y, z = frame.T @ (point - world.bs)
        angles = np.array([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])

        def steering(a: Array) -> Array:
            u = [np.cos(a[1]) * np.cos(a[0]), np.cos(a[1]) * np.sin(a[0]), np.sin(a[1])]
            return np.exp(2j * np.pi * world.tx @ u)

        words = [steering(angles), *central_difference(steering, angles, np.full(2, 1e-3))]
        for block, word in enumerate(words):
            column = world.codebook[:, block * (world.k + 1) + path]
            np.testing.assert_allclose(column, word / np.linalg.norm(word), atol=1e-9)


def test_blocking_the_line_of_sight_leaves_ms_alone() -> None:
    scene = random_scene(1, known=["clock"])
    found, free = apa_bounds(scene | {"los": False}), apa_bounds(scene)
    assert found["crb_ms"] == pytest.approx(free["crb_ms"], rel=1e-12)
    assert found["crb_bp"] > 1.01 * free["crb_bp"]
    assert found["crb_bp_fused"] > free["crb_bp_fused"]


@random_seeds
@pytest.mark.parametrize(("targets", "known", "short"), [(3, [], 1), (2, ["clock"], 2), (3, ["clock"], 0), (4, [], 0)])
def test_blocked_links_need_as_many_observations_as_unknowns(
    seed: int, targets: int, known: list[str], short: int
) -> None:
    # Five angles and delays a path against three coordinates a target, three of the UE, three turns and the clock.
    world = World(random_scene(seed, targets, los=False, known=known))
    places = world.unknowns("bp")
    fim = world.fim("bp", world.apa)[np.ix_(places, places)]
    scale = 1 / np.sqrt(np.diag(fim))
    assert np.sum(np.linalg.eigvalsh(fim * np.outer(scale, scale)) < 1e-13) == short


def test_a_turn_that_no_antenna_sees_leaves_the_position_alone() -> None:
    # About the axis of a row of antennas.
    row = random_scene(0, uea=planar(1, 8))
    found = apa_bounds(row)
    assert np.isinf(found["crb_orientation"])
    vague = apa_bounds(row | {"prior": {"orientation": 1e3}})
    assert vague["crb_bp"] == pytest.approx(found["crb_bp"], rel=1e-6)
    assert vague["crb_ms_fused"] == pytest.approx(found["crb_ms_fused"], rel=1e-6)
    # About the line of sight, without targets.
    alone = random_scene(0, 0, known=["clock"])
    found, vague = apa_bounds(alone), apa_bounds(alone | {"prior": {"orientation": 1e3}})
    assert np.isinf(found["crb_orientation"])
    assert vague["crb_bp"] == pytest.approx(found["crb_bp"], rel=1e-6)


def test_unidentifiable_is_infinite() -> None:
    for scene in (random_scene(0, 0), random_scene(0, los=False), random_scene(1, 0, known=["orientation"])):
        found = apa_bounds(scene)
        assert found["crb_bp"] == np.inf
        assert np.isfinite([found["crb_ms"], found["crb_bp_fused"]]).all()
        world = World(scene)
        assert objective_and_gradient(world, world.apa, 0.5)[0] == np.inf
        assert np.isfinite(objective_and_gradient(world, world.apa, 0.0)[0])
