"""Space and odd arrays: the engine against the literal twin and `golden/world.json`, and laws of the bounds."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from crbatch import Designs, Problem, build_problem, design
from crbatch.engine.beamforming.certificate import certified_gap
from crbatch.engine.crb import BistaticBounds, MonostaticBounds, link_bounds
from crbatch.engine.fisher import channel_fim, position_fim
from crbatch.engine.links import Link, bistatic_link, monostatic_link
from world import WORLD, Array, Scene, World, bounds, objective_and_gradient, turned
from world_engine import engine_scene
from world_scenes import planar, random_rotation, random_scene, scattered

ODD = scattered(np.random.default_rng(5), 12)
KNOWING = {"ue_position": 1.0, "target_position": 2.0, "clock": 1e-9, "orientation": 0.1}
PHASES = {"phases_bistatic_rad": [0.3], "phases_monostatic_rad": [-1.0]}
SCENES: dict[str, Scene] = {
    "planar transmitter": random_scene(0),
    "odd transmitter": random_scene(1, tx=ODD),
    "one target": random_scene(2, targets=1),
    "five targets": random_scene(3, targets=5),
    "blocked": random_scene(2, targets=4, los=False),
    "blocked, clock known": random_scene(2, los=False, known=["clock"]),
    "clock known": random_scene(1, known=["clock"]),
    "orientation known": random_scene(1, known=["orientation"], tx=ODD),
    "targets known": random_scene(1, known=["targets"]),
    "all known": random_scene(1, known=["clock", "orientation", "targets"]),
    "blocked, targets known": random_scene(2, los=False, known=["clock", "targets"]),
    "prior": random_scene(3, prior=KNOWING, tx=ODD),
    "prior of some": random_scene(3, prior={"target_position": 2.0}, known=["clock"]),
    "prior, blocked": random_scene(3, targets=2, los=False, prior={"orientation": 0.2, "clock": 1e-8}),
    "prior of targets that MS lacks": random_scene(4, prior={"ue_position": 0.1}, known=["targets"]),
    "a row transmits": random_scene(0, tx=planar(1, 8)),
    "a row transmits, clock known": random_scene(0, tx=planar(1, 8), prior=KNOWING),
    "two antennas transmit": random_scene(0, tx=[[0.0, 0.25, 0.0], [0.0, -0.25, 0.0]], prior=KNOWING),
    "one antenna transmits": random_scene(0, tx=[[0.0, 0.0, 0.0]]),
    "a row receives": random_scene(0, rx=planar(1, 8), uea=planar(1, 8)),
    "one antenna receives": random_scene(0, uea=[[0.0, 0.0, 0.0]], rx=[[0.0, 0.0, 0.0]]),
    "no target": random_scene(0, targets=0),
    "no target, clock known": random_scene(0, targets=0, known=["clock"]),
}
every_scene = pytest.mark.parametrize("name", SCENES)
PRIOR_SCENES = [name for name, scene in SCENES.items() if scene["prior"]]


@cache
def world_of(name: str) -> World:
    return World(SCENES[name])


@cache
def problem_of(name: str) -> Problem:
    return build_problem(*engine_scene(SCENES[name]))


def links_of(scene: Scene) -> tuple[Link, Link]:
    given = engine_scene(scene)
    return bistatic_link(*given), monostatic_link(*given)


def both_bounds(scene: Scene, v: Array) -> tuple[BistaticBounds, MonostaticBounds]:
    bp, ms = (link_bounds(link, v) for link in links_of(scene))
    assert isinstance(bp, BistaticBounds)
    assert isinstance(ms, MonostaticBounds)
    return bp, ms


def any_covariance(world: World, seed: int) -> Array:
    """A covariance of full rank and full power that has nothing to do with the scene."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(*2 * (len(world.tx),), 2)) @ [1, 1j]
    return w @ w.conj().T * world.power / np.sum(np.abs(w) ** 2)


def digits_of(world: World, v: Array) -> float:
    """What the twin's plain inverse may lose, relatively: its FIM's condition number times the rounding."""
    places = world.unknowns("bp")
    fim = (world.fim("bp", v) + world.prior)[np.ix_(places, places)]
    told = np.diag(fim) > 0.0
    unit = fim[np.ix_(told, told)] / np.sqrt(np.outer(np.diag(fim)[told], np.diag(fim)[told]))
    return 1e-9 + 4e-15 / max(float(np.linalg.eigvalsh(unit)[0]), 1e-12)


def agree(found: Any, expected: Any, rtol: float) -> None:
    """Equal to rtol; of what is known the twin says nothing (NaN) and the engine 0."""
    expected = np.asarray(expected, float)
    np.testing.assert_allclose(np.ravel(found), np.ravel(np.where(np.isnan(expected), 0.0, expected)), rtol=rtol)


@every_scene
@pytest.mark.parametrize("equal", [True, False], ids=["apa", "any"])
def test_bounds_are_those_of_the_twin(name: str, equal: bool) -> None:
    world = world_of(name)
    v = world.apa if equal else any_covariance(world, 3)
    expected, rtol = bounds(world, v), digits_of(world, v)
    bp, ms = both_bounds(SCENES[name], v)
    agree(bp.position, expected["crb_bp"], rtol)
    agree(ms.position, expected["crb_ms"], rtol)
    agree(ms.targets, expected["crb_ms_target"], rtol)
    if np.isfinite(expected["crb_bp"]):
        agree(bp.orientation, expected["crb_orientation"], rtol)
        agree(bp.clock, expected["crb_clock"], rtol)
        agree(bp.targets, expected["crb_mapping"][1:], rtol)


@every_scene
def test_equal_powers_are_those_of_the_twins_codebook(name: str) -> None:
    """With columns that vanish left out."""
    problem, world = problem_of(name), world_of(name)
    v = problem.expand(problem.covariance_of_powers(problem.apa[:, None]))[0, 0]
    np.testing.assert_allclose(v, world.apa, atol=1e-12 * abs(world.apa).max())
    assert (problem.apa > 0.0).sum() == world.codebook.shape[1]
    expected = bounds(world, v)
    apa = design(*engine_scene(SCENES[name]), ["apa"], 0.5)
    agree(apa.crb_bp, expected["crb_bp"], digits_of(world, v))
    agree(apa.crb_ms, expected["crb_ms"], digits_of(world, v))


@pytest.mark.parametrize("tx", [planar(1, 8), planar(8, 1)], ids=["level", "upright"])
def test_codewords_that_vanish_get_no_power(tx: list[list[float]]) -> None:
    """A level row sees no elevation from the height of its targets, an upright one no azimuth at all."""
    scene = random_scene(0, tx=tx, bs=[0.0, 0.0, 4.0], bs_rot=[90.0, 0.0, 0.0], prior=KNOWING)
    scene["ues"] = [scene["ues"][0] | {"pos": [3.0, 12.0, 4.0]}]
    scene["targets"] = [[x, 9.0 + x, 4.0] for x in (-4.0, 1.0, 6.0)]
    problem, world = build_problem(*engine_scene(scene)), World(scene)
    assert (problem.apa > 0.0).sum() == world.codebook.shape[1] == 8
    v = problem.expand(problem.covariance_of_powers(problem.apa[:, None]))[0, 0]
    np.testing.assert_allclose(v, world.apa, atol=1e-12 * abs(world.apa).max())
    found = design(*engine_scene(scene), ["apa", "cpa-wcrb"], 0.5)
    agree(found.crb_bp[0, 0], bounds(world, world.apa)["crb_bp"], 1e-9)
    powers = found.powers[0, 1, 0]
    assert not powers[problem.apa[0] == 0.0].any()
    assert powers.sum() == pytest.approx(1.0)


@every_scene
def test_closed_forms_are_the_sums_over_subcarriers_and_antennas(name: str) -> None:
    v = any_covariance(world_of(name), 1)
    for link in links_of(SCENES[name]):
        for fim in (channel_fim, position_fim):
            short, long = fim(link, v, "separable")[0], fim(link, v, "explicit")[0]
            size = np.sqrt(np.outer(np.diag(long), np.diag(long)))
            assert (np.abs(short - long) <= 1e-9 * size).all()
            assert np.trace(long) > 0.0


@every_scene
def test_position_fims_are_those_of_the_twin(name: str) -> None:
    """Without what no signal tells of a rotation, in whatever axes these are."""
    world = world_of(name)
    v = any_covariance(world, 2)
    for key, link in zip(("bp", "ms"), links_of(SCENES[name]), strict=True):
        if link.unknowns.unseen:
            continue
        places = world.unknowns(key)
        expected = world.fim(key, v)[np.ix_(places, places)]
        size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert (np.abs(position_fim(link, v)[0] - expected) <= 1e-9 * size).all()
        np.testing.assert_allclose(link.prior, np.diag(world.prior)[places], rtol=1e-14)


@cache
def golden_design(name: str) -> Designs:
    rho = [optimum["rho"] for optimum in WORLD[name]["optimum"]]
    return design(*engine_scene(WORLD[name]["scenario"]), ["fdb-wcrb", "apa"], rho)


@pytest.mark.parametrize("name", WORLD)
def test_golden_scenes(name: str) -> None:
    """Bounds at equal powers, optima, and the certificate of V on the full cone."""
    found, golden = golden_design(name), WORLD[name]
    for key in ("crb_bp", "crb_ms"):
        if golden["apa"][f"{key}_m2"] is not None:
            assert getattr(found, key)[0, 1, 0] == pytest.approx(golden["apa"][f"{key}_m2"], rel=1e-7)
    for r, optimum in enumerate(golden["optimum"]):
        rho = optimum["rho"]
        assert found.objective[0, 0, r] == pytest.approx(optimum["objective_m2"], rel=2e-6)
        v = found.beam_covariance("fdb-wcrb", rho)
        assert np.trace(v[0]).real == pytest.approx(found.problem.power, rel=1e-9)
        assert certified_gap(found.problem, v, rho, "full")[0] <= 1.1e-6


@pytest.mark.parametrize("seed", range(3))
def test_turning_everything_changes_nothing(seed: int) -> None:
    scene = random_scene(seed, tx=ODD) if seed else WORLD["3d-upa"]["scenario"]
    there = turned(scene, random_rotation(np.random.default_rng(seed)))
    found, before = (
        design(*engine_scene(one), ["fdb-wcrb", "cpa-wcrb", "apa"], [0.0, 0.5, 1.0], gap_tolerance=1e-9)
        for one in (there, scene)
    )
    assert (found.gap[:, :1] <= 1e-9).all()
    np.testing.assert_allclose(found.objective, before.objective, rtol=1.5e-9)
    for name in ("crb_bp", "crb_ms", "crb_orientation", "crb_clock", "crb_map", "crb_ms_target"):
        np.testing.assert_allclose(getattr(found, name)[:, 2], getattr(before, name)[:, 2], rtol=1e-9, err_msg=name)


def lifted(scene: Scene) -> Scene:
    """A scene of the plane, written in space at z = 0."""
    (ue,) = scene["ues"]
    return scene | {
        "bs": [*scene["bs"], 0.0],
        "ues": [ue | {"pos": [*ue["pos"], 0.0]}],
        "targets": [[*target, 0.0] for target in scene["targets"]],
    }


@pytest.mark.parametrize("whole", [False, True], ids=["as written", "turned"])
def test_a_plane_in_space_has_the_bounds_of_the_plane_and_its_priors_on_height(whole: bool) -> None:
    plane = WORLD["2d-prior"]["scenario"]
    scene = lifted(plane)
    if whole:
        scene = turned(scene, random_rotation(np.random.default_rng(2)))
    found, flat = (design(*engine_scene(one), ["apa"], 0.5) for one in (scene, plane))
    ue, target, tilt = (plane["prior"][key] ** 2 for key in ("ue_position", "target_position", "orientation"))
    targets = len(plane["targets"])
    np.testing.assert_allclose(found.crb_bp, flat.crb_bp + ue, rtol=1e-9)
    np.testing.assert_allclose(found.crb_ms, flat.crb_ms + ue + targets * target, rtol=1e-9)
    np.testing.assert_allclose(found.crb_map, flat.crb_map + target, rtol=1e-9)
    np.testing.assert_allclose(found.crb_orientation, flat.crb_orientation + 2 * tilt, rtol=1e-9)
    np.testing.assert_allclose(found.crb_clock, flat.crb_clock, rtol=1e-9)


def test_the_best_beams_for_a_plane_in_space_are_those_of_the_plane() -> None:
    plane = WORLD["2d-prior"]["scenario"]
    rho = 0.5
    found, flat = (
        design(*engine_scene(one), ["fdb-wcrb"], rho, gap_tolerance=1e-9).objective[0, 0, 0]
        for one in (lifted(plane), plane)
    )
    ue, target = (plane["prior"][key] ** 2 for key in ("ue_position", "target_position"))
    above = ue + (1.0 - rho) * len(plane["targets"]) * target
    assert found == pytest.approx(flat + above, rel=2e-9)


def test_a_single_rcs_is_that_of_every_target() -> None:
    scene = random_scene(1)
    v = any_covariance(World(scene), 1)
    one, each, other = (
        both_bounds(scene | {"rcs": rcs}, v)[1].position for rcs in (50.0, [50.0] * 3, [50.0, 50.0, 9.0])
    )
    np.testing.assert_array_equal(one, each)
    assert (other > 1.01 * one).all()
    agree(other, bounds(World(scene | {"rcs": [50.0, 50.0, 9.0]}), v)["crb_ms"], 1e-9)


@pytest.mark.parametrize("name", ["odd transmitter", "prior", "planar transmitter"])
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_powers_on_the_codebook_are_the_best(name: str, rho: float) -> None:
    """No codeword would bring more than those that have power: complex Gram matrices and priors included."""
    world = world_of(name)
    v = design(*engine_scene(SCENES[name]), ["cpa-wcrb"], rho).beam_covariance("cpa-wcrb", rho)[0]
    f, g, g0 = objective_and_gradient(world, v, rho)
    each = np.einsum("ik,ij,jk->k", world.codebook.conj(), g, world.codebook).real
    assert world.power * each.max() + g0 <= f * (1 + 2e-6)
