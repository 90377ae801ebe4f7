"""Paths as input: nuisance paths against the literal twin, and the engine's own paths given back to it."""

from dataclasses import replace

import numpy as np
import pytest
import world
from crbatch import (
    Draws,
    Scenario,
    ambiguities,
    bistatic_link,
    design,
    fixed_draw,
    link_bounds,
    monostatic_link,
    sample,
)
from crbatch.engine.beamforming.problem import build_problem
from crbatch.engine.draws import DrawModel
from crbatch.engine.errors import ScenarioError
from engine_cases import DROPS
from world import WORLD
from world_nuisances import CrowdedWorld, crowded_paths, own_paths, random_nuisances, scenario_of_world
from world_scenes import random_scene

# Conditioning of the twin's FIM.
CLOSE = 1e-8
PLANE = next(name for name in WORLD if not name.startswith("3d"))
COUNTS = [(1, 0), (0, 1), (2, 1), (1, 2)]


def crowded(scene: world.Scene) -> tuple[Scenario, Draws]:
    scenario = scenario_of_world(scene)
    plain = fixed_draw(scenario, scene["phases_bistatic_rad"], scene["phases_monostatic_rad"])
    return scenario, replace(plain, paths=crowded_paths(plain, scene, own_paths(scenario, plain)))


def scenes() -> list[object]:
    found = []
    for seed, (bistatic, monostatic) in enumerate(COUNTS):
        scene = random_scene(seed, targets=2)
        if seed == 1:
            scene |= {"prior": {"ue_position": 0.3, "target_position": 0.2, "orientation": 0.05}}
        if seed == 2:
            scene |= {"tx": random_scene(9)["rx"], "known": ["clock"]}
        found.append(pytest.param(random_nuisances(seed, scene, bistatic, monostatic), id=f"space-{seed}"))
        plane = WORLD[PLANE]["scenario"]
        found.append(pytest.param(random_nuisances(seed, plane, bistatic, monostatic), id=f"plane-{seed}"))
    blocked = random_scene(5, targets=5, los=False)
    return [*found, pytest.param(random_nuisances(5, blocked, 1, 1), id="space-blocked")]


every_scene = pytest.mark.parametrize("scene", scenes())


@every_scene
def test_bounds_with_nuisance_paths_are_the_twins(scene: world.Scene) -> None:
    scenario, draws = crowded(scene)
    twin = CrowdedWorld(scene)
    wanted = world.bounds(twin, twin.apa)
    problem = build_problem(scenario, draws)
    found = problem.bounds(problem.covariance_of_powers(problem.apa[:, None]))
    d, k = twin.d, twin.k
    assert found[1].shape == (1, 1, d * (k + 1))
    np.testing.assert_allclose(found[0][0, 0, :d].sum(), wanted["crb_bp"], rtol=CLOSE)
    np.testing.assert_allclose(
        found[0][0, 0, -1], 0.0 if "clock" in scene["known"] else wanted["crb_clock"], rtol=CLOSE
    )
    np.testing.assert_allclose(found[1][0, 0].reshape(-1, d).sum(axis=1), wanted["crb_ms_target"], rtol=CLOSE)
    for link, name in ((bistatic_link, "crb_bp"), (monostatic_link, "crb_ms")):
        for way in ("separable", "explicit"):
            bound = link_bounds(link(scenario, draws), twin.apa, way).position[0]
            np.testing.assert_allclose(bound, wanted[name], rtol=CLOSE)


@every_scene
def test_designs_with_nuisance_paths_are_certified_by_the_twin(scene: world.Scene) -> None:
    scenario, draws = crowded(scene)
    twin = CrowdedWorld(scene)
    designs = design(scenario, draws, ("fdb-wcrb", "cpa-wcrb", "apa"), (0.0, 0.4, 1.0))
    assert (designs.gap[:, :2] <= 1e-6).all()
    assert np.array_equal(designs.beam_gain.shape, (1, 3, 3, twin.k + 1))
    for r, rho in enumerate(designs.rho):
        v = designs.beam_covariance("fdb-wcrb", rho)[0]
        f, _, _ = world.objective_and_gradient(twin, v, rho)
        np.testing.assert_allclose(designs.objective[0, 0, r], f, rtol=CLOSE)
        assert world.certified_gap(twin, v, rho) <= 1.1e-6
    wanted = world.bounds(twin, twin.apa)
    np.testing.assert_allclose(designs.crb_bp_fused[0, 2, 0], wanted["crb_bp_fused"], rtol=CLOSE)
    np.testing.assert_allclose(designs.crb_ms_fused[0, 2, 0], wanted["crb_ms_fused"], rtol=CLOSE)


@every_scene
def test_the_dense_form_agrees(scene: world.Scene) -> None:
    problem = build_problem(*crowded(scene))
    x = problem.covariance_of_powers(problem.apa[:, None])
    bounds = problem.unit_bounds(x)
    for link, (maps, rows) in enumerate(zip(problem.dense(0), bounds, strict=True)):
        total = np.sum(maps.factor[: maps.bound_rows] ** 2)  # whitened at this very point
        wanted = rows[0, 0, : problem.scenario.dimensions].sum() if link == 0 else rows[0, 0].sum()
        np.testing.assert_allclose(total, wanted, rtol=1e-7)


@every_scene
def test_a_nuisance_path_lowers_no_bound(scene: world.Scene) -> None:
    scenario, draws = crowded(scene)
    alone = replace(draws, paths=None)
    twin = CrowdedWorld(scene)
    for link, name in ((bistatic_link, "bp"), (monostatic_link, "ms")):
        without, with_them = (link_bounds(link(scenario, each), twin.apa).position[0] for each in (alone, draws))
        if scene["nuisances"][name]:
            assert with_them > without
        else:
            np.testing.assert_allclose(with_them, without, rtol=1e-12)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_own_paths_given_back_make_the_same_bits(dimensions: int) -> None:
    scenario = Scenario() if dimensions == 2 else scenario_of_world(random_scene(4))
    model = DROPS if dimensions == 2 else DrawModel(ue_orientation="uniform-3d", rcs="swerling1")
    draws = sample(scenario, model, 7, 0, 3)
    given = replace(draws, paths=own_paths(scenario, draws))
    one, other = (design(scenario, each, ("fdb-wcrb", "cpa-wbf"), (0.0, 0.5, 1.0)) for each in (draws, given))
    for name in ("covariance", "crb_bp", "crb_ms", "crb_map", "gap", "beam_gain"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_paths_are_cut_with_their_draws() -> None:
    scene = random_nuisances(0, random_scene(0, targets=2), 1, 1)
    _, draws = crowded(scene)
    assert draws.paths is not None
    fewer = draws.with_targets(1)
    assert fewer.paths is not None
    assert np.array_equal(fewer.paths.delay_bistatic, draws.paths.delay_bistatic[:, [0, 1, 3, 4]])
    empty = draws[:0].paths
    assert empty is not None
    assert len(empty.departure) == 0


def test_a_nuisance_path_like_that_of_a_target_is_named() -> None:
    scenario, draws = crowded(random_nuisances(0, random_scene(0, targets=2), 2, 1))
    assert draws.paths is not None
    assert not ambiguities(scenario, draws)
    like: dict[str, np.ndarray] = {}
    for name in ("departure", "arrival", "delay_bistatic"):
        like[name] = getattr(draws.paths, name).copy()
        like[name][:, 4] = like[name][:, 1]
    same = replace(draws, paths=replace(draws.paths, **like))
    (found,) = ambiguities(scenario, same)
    assert str(found) == "bistatic: the gain of target 1 and the gain of nuisance path 2 cannot be told apart"
    assert np.isinf(design(scenario, same, "apa", 1.0).crb_bp).all()


def test_too_few_paths_over_points_are_named_in_space() -> None:
    scenario, draws = crowded(random_nuisances(3, random_scene(3, targets=3, los=False), 1, 0))
    (found,) = ambiguities(scenario, draws)
    assert {"UE position", "clock bias"} <= set(found.parameters)
    assert not any("nuisance" in name for name in found.parameters)


def test_paths_that_do_not_fit_are_refused() -> None:
    scenario = Scenario()
    draws = fixed_draw(scenario)
    paths = own_paths(scenario, draws)
    with pytest.raises(ScenarioError, match=r"paths: delay_bistatic has shape \(1, 3\)"):
        replace(paths, delay_bistatic=paths.delay_bistatic[:, :3])
    with pytest.raises(ScenarioError, match=r"paths: gain_monostatic\[0, 2\] is .*finite"):
        replace(paths, gain_monostatic=paths.gain_monostatic * np.array([1, 1, np.nan, 1]))
    with pytest.raises(ScenarioError, match="paths have directions of shape"):
        replace(draws, paths=replace(paths, nuisances=(1, 0)))
