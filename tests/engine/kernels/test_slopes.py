"""Derivatives of the weighted bound in space: complex Gram matrices, three columns a path, priors, a blocked path."""

from functools import cache

import numpy as np
import pytest
from crbatch import DrawModel, Problem, build_problem, sample
from crbatch.engine.kernels.bound import objective
from crbatch.engine.kernels.bound import powers as powers_of
from crbatch.engine.kernels.bound.problems import load_problem
from crbatch.engine.kernels.interior import coordinates as basis
from crbatch.engine.kernels.interior import curvature
from crbatch.engine.kernels.jit.accelerate import kernel
from crbatch.engine.kernels.jit.lanes import LANES, everywhere, get, put
from world import Scene, World, objective_and_gradient
from world_engine import engine_scene
from world_scenes import random_scene, scattered

pytestmark = pytest.mark.slow("first and second differences along every unknown, in many scenes")
ODD = scattered(np.random.default_rng(5), 12)
KNOWING = {"ue_position": 0.3, "target_position": 0.5, "clock": 1e-9, "orientation": 0.1}
SCENES: dict[str, Scene] = {
    "odd": random_scene(0, 2, tx=ODD),
    "prior": random_scene(0, 2, tx=ODD, prior=KNOWING),
    "prior of some, planar": random_scene(1, 2, prior={"target_position": 0.5}, known=["clock"]),
    "blocked": random_scene(2, 3, tx=ODD, los=False, known=["clock"], prior={"ue_position": 0.2}),
}
RHO = [0.0, 0.3, 1.0]
every_scene = pytest.mark.parametrize("name", SCENES)
every_weight = pytest.mark.parametrize("rho", RHO)


@cache
def problem_of(name: str) -> Problem:
    scenario, _ = engine_scene(SCENES[name])
    return build_problem(scenario, sample(scenario, DrawModel(), 3, 0, LANES))


@kernel
def _of_covariance(draws, x, power, rho, value, normal, coordinates, bend):
    n = draws.mix.shape[1]
    eight = objective.new_evaluation(draws, n)
    space = curvature.curvature_work(eight, False)
    for lane in range(LANES):
        load_problem(eight.problem, draws, lane, lane)
    put(value, objective.covariance_objective(eight, everywhere(rho), get(power, 0, 0), x), 0)
    normal[:] = eight.negative_gradient
    basis.coordinates(eight.negative_gradient, n, coordinates)
    curvature.add_curvature(eight, everywhere(rho), everywhere(1.0), space, bend)


@kernel
def _matrix(vector, n, out):
    basis.matrix_of(vector, n, out)


@kernel
def _of_powers(draws, powers, rho, value, slopes, bend):
    n = draws.mix.shape[1]
    eight = objective.new_evaluation(draws, n)
    space = curvature.curvature_work(eight, True)
    for lane in range(LANES):
        load_problem(eight.problem, draws, lane, lane)
    put(value, powers_of.power_objective(eight, everywhere(rho), powers), 0)
    slopes[:] = eight.slopes[:, 0]
    curvature.add_curvature(eight, everywhere(rho), everywhere(1.0), space, bend)


def _trace(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.einsum("iil->l", x[: x.shape[1]])[None, None])


def at_covariance(name: str, x: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """f, -grad f as a matrix and by coordinates, and the second derivatives, at x (2 n, n, lane)."""
    n = x.shape[1]
    size = -(-n * n // 4) * 4
    value, normal = np.zeros((1, LANES)), np.zeros_like(x)
    slopes, bend = np.zeros((n * n, 1, LANES)), np.zeros((size, size + 1, LANES))
    _of_covariance(problem_of(name).arrays, x, _trace(x), rho, value, normal, slopes, bend)
    lower = np.where(np.tri(n * n)[:, :, None] > 0, bend[: n * n, : n * n], 0.0)
    full = lower + lower.swapaxes(0, 1) - np.einsum("iil,ij->ijl", lower, np.eye(n * n))
    return value[0], normal, slopes[:, 0], full


def any_point(n: int) -> np.ndarray:
    z = np.random.default_rng(1).standard_normal((2, n, n, LANES)) / n
    x = np.einsum("ikl,jkl->ijl", z[0] + 1j * z[1], z[0] - 1j * z[1]) + np.eye(n)[:, :, None] / n
    return np.concatenate((x.real, x.imag))


def any_direction(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """By coordinates, and as a matrix."""
    direction = np.random.default_rng(seed).standard_normal((n * n, 1, LANES))
    along = np.zeros((2 * n, n, LANES))
    _matrix(direction, n, along)
    return direction[:, 0], along


@every_scene
@every_weight
def test_the_gradient_is_the_slope_of_the_bound(name: str, rho: float) -> None:
    n = problem_of(name).mix.shape[1]
    x = any_point(n)
    value, normal, slopes, _ = at_covariance(name, x, rho)
    for seed in range(3):
        direction, along = any_direction(n, seed)
        step = 1e-5
        change = at_covariance(name, x + step * along, rho)[0] - at_covariance(name, x - step * along, rho)[0]
        expected = -np.sum(normal * along, axis=(0, 1)) * 2.0 * step
        np.testing.assert_allclose(change, expected, rtol=1e-5, atol=1e-8 * step * value.max())
        np.testing.assert_allclose(-np.sum(slopes * direction, axis=0) * 2.0 * step, expected, rtol=1e-9)
    # Of degree -1, the prior's part included.
    np.testing.assert_allclose(np.sum(normal * x, axis=(0, 1)), value, rtol=1e-8)


@every_scene
@every_weight
def test_the_curvature_is_the_slope_of_the_gradient(name: str, rho: float) -> None:
    n = problem_of(name).mix.shape[1]
    x = any_point(n)
    value, _, _, full = at_covariance(name, x, rho)
    for seed in range(3):
        direction, along = any_direction(n, seed)
        step = 1e-5
        change = at_covariance(name, x - step * along, rho)[2] - at_covariance(name, x + step * along, rho)[2]
        expected = np.einsum("ijl,jl->il", full, direction)
        assert (np.abs(change / (2.0 * step) - expected) / np.abs(expected).max(axis=0)).max() < 1e-5
    own = np.zeros((n * n, LANES))
    _coordinates(x, n, own)
    np.testing.assert_allclose(np.einsum("il,ijl,jl->l", own, full, own), 2.0 * value, rtol=1e-8)


@kernel
def _coordinates_of(matrix, n, out):
    basis.coordinates(matrix, n, out)


def _coordinates(matrix: np.ndarray, n: int, out: np.ndarray) -> None:
    found = np.zeros((n * n, 1, LANES))
    _coordinates_of(matrix, n, found)
    out[:] = found[:, 0]


@every_scene
@every_weight
def test_powers_have_slopes_and_curvature_too(name: str, rho: float) -> None:
    arrays = problem_of(name).codewords
    n = arrays.mix.shape[1]
    size = -(-n // 4) * 4
    powers = np.random.default_rng(2).uniform(0.5, 1.5, (n, 1, LANES)) / n
    value, slopes, bend = np.zeros((1, LANES)), np.zeros((n, LANES)), np.zeros((size, size, LANES))
    _of_powers(arrays, powers, rho, value, slopes, bend)
    np.testing.assert_allclose(np.sum(slopes * powers[:, 0], axis=0), -value[0], rtol=1e-8)
    step = 1e-5 / n
    for k in range(n):
        ends = np.zeros((2, n, LANES))
        heights = np.zeros((2, 1, LANES))
        for end, sign in enumerate((-1.0, 1.0)):
            moved = powers.copy()
            moved[k] += sign * step
            _of_powers(arrays, moved, rho, heights[end], ends[end], np.zeros_like(bend))
        change = (heights[1, 0] - heights[0, 0]) / (2.0 * step)
        np.testing.assert_allclose(slopes[k], change, rtol=1e-5, atol=1e-8 * value.max())
        column = np.where(np.arange(n)[:, None] >= k, bend[:n, k], bend[k, :n])
        change = (ends[1] - ends[0]) / (2.0 * step)
        np.testing.assert_allclose(column, change, rtol=1e-4, atol=1e-6 * np.abs(change).max())


@every_scene
@every_weight
def test_value_and_gradient_are_those_of_the_twin(name: str, rho: float) -> None:
    """Over the columns of the codebook: Q^H G Q of the full gradient."""
    scene = SCENES[name]
    problem, world = build_problem(*engine_scene(scene)), World(scene)
    n = problem.mix.shape[1]
    x = any_point(n)[:, :, :1]
    reduced = x[:n, :, 0] + 1j * x[n:, :, 0]
    reduced /= np.trace(reduced).real
    v = problem.expand(reduced[None, None])[0, 0]
    f, g, g0 = objective_and_gradient(world, v, rho)
    eight = np.repeat(np.concatenate((reduced.real, reduced.imag))[:, :, None], LANES, axis=2)
    value, normal = np.zeros((1, LANES)), np.zeros_like(eight)
    slopes, bend = np.zeros((n * n, 1, LANES)), np.zeros((-(-n * n // 4) * 4, -(-n * n // 4) * 4 + 1, LANES))
    same = _repeated(problem)
    _of_covariance(same, eight, _trace(eight), rho, value, normal, slopes, bend)
    np.testing.assert_allclose(value[0] / problem.scale, f, rtol=1e-8)
    found = (normal[:n, :, 0] + 1j * normal[n:, :, 0]) / problem.scale
    q = problem.basis[0]
    expected = world.power * q.conj().T @ g @ q + g0 * np.eye(n)
    np.testing.assert_allclose(found, expected, atol=1e-7 * np.abs(expected).max())


def _repeated(problem: Problem):  # type: ignore[no-untyped-def]
    """The arrays of eight draws like the one."""
    one = problem.draws[:1]
    every = one.changed(**{key: np.repeat(getattr(one, key), LANES, axis=0) for key in vars(one)})
    return build_problem(problem.scenario, every).arrays
