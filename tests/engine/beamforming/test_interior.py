"""The interior-point methods: their second derivatives, their designs, and their bits."""

from typing import Any

import numpy as np
import pytest
from crbatch import DrawModel, Problem, Scenario, build_problem, sample
from crbatch.engine.beamforming import weighted
from crbatch.engine.beamforming.recovery import objective_at
from crbatch.engine.kernels.bound import objective
from crbatch.engine.kernels.bound import powers as powers_of
from crbatch.engine.kernels.bound.problems import load_problem
from crbatch.engine.kernels.designs import cleaning
from crbatch.engine.kernels.interior import coordinates as basis
from crbatch.engine.kernels.interior import covariances as interior
from crbatch.engine.kernels.interior import curvature
from crbatch.engine.kernels.interior import powers as interiorpowers
from crbatch.engine.kernels.jit.accelerate import kernel
from crbatch.engine.kernels.jit.lanes import LANES, everywhere, put
from crbatch.engine.kernels.linalg import lanemat, tiles
from crbatch.engine.status import Solver
from engine_cases import DROPS

TOLERANCE = 1e-6
RHO = np.array([0.0, 0.3, 1.0])


@kernel
def _solved(a, b, work, out):
    n = a.shape[0]
    put(out, tiles.tiled_cholesky(work, n), 0, 0)
    tiles.symmetric_times(a, n, b, out[1:])
    tiles.solve(work, n, b)


@pytest.mark.parametrize("n", [4, 16, 36])
def test_large_systems(n: int) -> None:
    """Whatever stands above the diagonal."""
    normal = np.random.default_rng(n).standard_normal((n, n + 2, LANES))
    full = np.einsum("ikl,jkl->ijl", normal, normal)
    a = np.where(np.tri(n)[:, :, None] > 0, full, np.nan)
    b = np.random.default_rng(0).standard_normal((n, 1, LANES))
    x, out = b.copy(), np.zeros((n + 1, 1, LANES))
    padded = np.full((n, n + 1, LANES), np.nan)
    padded[:, :n] = a
    _solved(a, x, padded, out)
    assert (out[0] == 1.0).all()
    for lane in range(LANES):
        np.testing.assert_allclose(x[:, 0, lane], np.linalg.solve(full[..., lane], b[:, 0, lane]), rtol=1e-6)
        np.testing.assert_allclose(out[1:, 0, lane], full[..., lane] @ b[:, 0, lane], rtol=1e-10, atol=1e-10)


@kernel
def _inverted(a, work, out, fine):
    put(fine, lanemat.hermitian_inverse(a, a.shape[1], work, out), 0)


def test_inverses_of_eight_matrices() -> None:
    normal = np.random.default_rng(3).standard_normal((2, 6, 6, LANES))
    z = normal[0] + 1j * normal[1]
    a = np.einsum("ikl,jkl->ijl", z, z.conj())
    a[..., 5] = -a[..., 5]
    stacked = np.concatenate((a.real, a.imag))
    out, fine = np.zeros_like(stacked), np.zeros((1, LANES))
    _inverted(stacked, np.zeros_like(stacked), out, fine)
    assert fine[0].tolist() == [1.0] * 5 + [0.0] + [1.0] * 2
    for lane in (0, 7):
        inverse = out[:6, :, lane] + 1j * out[6:, :, lane]
        np.testing.assert_allclose(inverse @ a[..., lane], np.eye(6), atol=1e-10)


@kernel
def _value_and_slopes(draws, x, rho, coordinates, normal, value):
    n = draws.mix.shape[1]
    eight = objective.new_evaluation(draws, n)
    for lane in range(LANES):
        load_problem(eight.problem, draws, lane, lane)
    put(value, objective.covariance_objective(eight, everywhere(rho), everywhere(1.0), x), 0)
    normal[:] = eight.negative_gradient
    basis.coordinates(normal, n, coordinates)


@kernel
def _curvature_of_covariances(draws, x, rho, bend):
    n = draws.mix.shape[1]
    eight = objective.new_evaluation(draws, n)
    space = curvature.curvature_work(eight, False)
    for lane in range(LANES):
        load_problem(eight.problem, draws, lane, lane)
    objective.covariance_objective(eight, everywhere(rho), everywhere(1.0), x)
    curvature.add_curvature(eight, everywhere(rho), everywhere(1.0), space, bend)


@kernel
def _matrix(vector, n, out):
    basis.matrix_of(vector, n, out)


@kernel
def _curvature_of_powers(draws, powers, rho, bend, slopes):
    n = draws.mix.shape[1]
    eight = objective.new_evaluation(draws, n)
    space = curvature.curvature_work(eight, True)
    for lane in range(LANES):
        load_problem(eight.problem, draws, lane, lane)
    powers_of.power_objective(eight, everywhere(rho), powers)
    slopes[:] = eight.slopes[:, 0]
    curvature.add_curvature(eight, everywhere(rho), everywhere(1.0), space, bend)


def _problem(
    targets: int, model: DrawModel = DROPS, antennas: int = 16, draws: int = LANES, **scenario: Any
) -> Problem:
    fixed = Scenario(tx_antennas=antennas, subcarriers=64, **scenario).with_targets(targets)
    return build_problem(fixed, sample(fixed, model, 11, 0, draws))


@pytest.mark.parametrize("targets", [1, 2, 3])
@pytest.mark.parametrize("rho", RHO)
def test_curvature_is_the_slope_of_the_gradient(targets: int, rho: float) -> None:
    """Central differences along random directions, in every lane; symmetric, and 2 f along x itself."""
    problem = _problem(targets)
    n = 2 * targets + 2
    random = np.random.default_rng(1)
    z = random.standard_normal((2, n, n, LANES)) / n
    x = np.einsum("ikl,jkl->ijl", z[0] + 1j * z[1], (z[0] - 1j * z[1])) + np.eye(n)[:, :, None]
    point = np.concatenate((x.real, x.imag))
    size = n * n
    bend = np.zeros((size, size + 1, LANES))
    _curvature_of_covariances(problem.arrays, point, rho, bend)
    lower = np.where(np.tri(size)[:, :, None] > 0, bend[:, :size], 0.0)
    full = lower + lower.swapaxes(0, 1) - np.einsum("iil,ij->ijl", lower, np.eye(size))

    def slopes(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        out, value = np.zeros((size, 1, LANES)), np.zeros((1, LANES))
        _value_and_slopes(problem.arrays, at, rho, out, np.zeros_like(at), value)
        return -out[:, 0], value[0]

    for _ in range(3):
        direction = random.standard_normal((size, 1, LANES))
        along = np.zeros_like(point)
        _matrix(direction, n, along)
        step = 1e-5
        change = (slopes(point + step * along)[0] - slopes(point - step * along)[0]) / (2 * step)
        expected = np.einsum("ijl,jl->il", full, direction[:, 0])
        scale = np.abs(expected).max(axis=0)
        assert (np.abs(change - expected) / scale).max() < 1e-5
    own = np.zeros((size, 1, LANES))
    _coordinates(point, n, own)
    _, value = slopes(point)
    np.testing.assert_allclose(np.einsum("il,ijl,jl->l", own[:, 0], full, own[:, 0]), 2 * value, rtol=1e-9)


@kernel
def _coordinates(matrix, n, out):
    basis.coordinates(matrix, n, out)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("centre", ["array-centre", "first-element"])
@pytest.mark.parametrize("rho", RHO)
def test_curvature_along_powers_is_the_slope_of_the_gradient(targets: int, rho: float, centre: str) -> None:
    codewords = _problem(targets, phase_centre=centre).codewords
    n = 2 * targets + 2
    size = -(-n // 4) * 4
    powers = np.random.default_rng(2).uniform(0.5, 1.5, (n, 1, LANES))
    bend = np.zeros((size, size, LANES))
    _curvature_of_powers(codewords, powers, rho, bend, np.zeros((n, LANES)))
    for k in range(n):
        ends = np.zeros((2, n, LANES))
        for end, sign in enumerate((-1.0, 1.0)):
            moved = powers.copy()
            moved[k] += sign * 1e-5
            _curvature_of_powers(codewords, moved, rho, np.zeros_like(bend), ends[end])
        change = (ends[1] - ends[0]) / 2e-5
        column = np.where(np.arange(n)[:, None] >= k, bend[:n, k], bend[k, :n])
        np.testing.assert_allclose(column, change, rtol=1e-4, atol=1e-6 * np.abs(change).max())


def _interior(
    problem: Problem, wanted: np.ndarray, clearance: float = interior.CAREFUL
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, _, evaluations = interior.interior_designs(problem.arrays, problem.apa, RHO, wanted, clearance, 0.8 * TOLERANCE)
    gap = cleaning.certified_covariances(
        problem.arrays, RHO, x.copy(), cleaning.NO_POINTS, 0, wanted, True, TOLERANCE, weighted.CLEANING
    )
    return x, evaluations, gap


@pytest.mark.parametrize("clearance", [interior.BOLD, interior.BRISK, interior.CAREFUL])
def test_interior_designs_are_those_of_the_descent(clearance: float) -> None:
    problem = _problem(3, draws=11)
    x, evaluations, gap = _interior(problem, np.ones((11, 3), bool), clearance)
    found = gap <= TOLERANCE
    assert found[:, :2].all() if clearance == interior.BOLD else found.all()
    assert evaluations.max() <= (60 if clearance == interior.CAREFUL else 40)
    expected = weighted.solve_fdb(problem, RHO, TOLERANCE)
    assert (expected.solver == Solver.LBFGS).mean() > 0.9
    for b, w in np.argwhere(found):
        one, other = (objective_at(problem, b, y[b, [w]], RHO[w])[0] for y in (x, expected.covariance))
        assert one == pytest.approx(other, rel=2e-6)
    powers, _, evaluations = interiorpowers.interior_powers(
        problem.arrays, problem.apa, RHO, np.ones((11, 3), bool), 0.8 * TOLERANCE
    )
    assert evaluations.max() <= 40
    np.testing.assert_allclose(powers.sum(axis=2), 1.0)
    x = problem.covariance_of_powers(powers)
    expected = weighted.solve_cpa(problem, RHO, TOLERANCE)
    for b, w in np.ndindex(11, 3):
        one, other = (objective_at(problem, b, y[b, [w]], RHO[w])[0] for y in (x, expected.covariance))
        assert one == pytest.approx(other, rel=2e-6)


def test_an_interior_design_has_the_same_bits_in_any_company() -> None:
    problem = _problem(2, draws=11)
    wanted = np.ones((11, 3), bool)
    x, evaluations, _ = _interior(problem, wanted)
    powers, _, counts = interiorpowers.interior_powers(problem.arrays, problem.apa, RHO, wanted, TOLERANCE)
    for b in (0, 10):
        alone = problem.draw(b)
        y, own, _ = _interior(alone, wanted[:1])
        assert y.tobytes() == x[b].tobytes()
        assert own[0].tolist() == evaluations[b].tolist()
        p, _, own = interiorpowers.interior_powers(alone.arrays, alone.apa, RHO, wanted[:1], TOLERANCE)
        assert p.tobytes() == powers[b].tobytes()
        assert own[0].tolist() == counts[b].tolist()
    some = wanted & (np.arange(11)[:, None] % 3 == 1)
    y, _, _ = _interior(problem, some)
    assert y[some].tobytes() == x[some].tobytes()
    assert not y[~some].any()


@pytest.mark.parametrize("antennas", [64, 1024])
def test_optima_at_the_edge_are_certified(antennas: int) -> None:
    """For positioning alone, some paths get no power at many antennas: close to where the FIM is singular."""
    problem = _problem(3, DrawModel(), antennas, 16)
    for clearance, most in ((interior.BRISK, 20), (interior.CAREFUL, 60)):
        _, evaluations, gap = _interior(problem, np.tile(RHO == 1.0, (16, 1)), clearance)
        assert (gap[:, 2] <= TOLERANCE).mean() > 0.9
        assert evaluations[:, 2].max() < most
    solution = weighted.solve_fdb(problem, RHO, TOLERANCE)
    assert (solution.gap <= TOLERANCE).all()


def test_optima_that_brisk_steps_miss_are_certified() -> None:
    """Draws among 90,000 for which these fail, at least on the CPU where that was tried."""
    scenario = Scenario(target_positions_m=((-10.0, 15.0), (0.0, 15.0), (10.0, 15.0)), target_rcs_m2=100.0)
    for antennas, bandwidth, seed, hard in ((63, 104.0880723158193e6, 7029, 83), (50, 18.604531841667022e6, 8067, 17)):
        fixed = scenario.replace(tx_antennas=antennas, bandwidth_hz=bandwidth)
        problem = build_problem(fixed, sample(fixed, DROPS, seed, hard, hard + 1))
        solution = weighted.solve_fdb(problem, RHO[2:], TOLERANCE)
        assert (solution.gap <= TOLERANCE).all()
        assert (solution.solver == Solver.INTERIOR).all()


@pytest.mark.parametrize("antennas", [2, 3, 5])
def test_fewer_antennas_than_columns(antennas: int) -> None:
    """The dimensions that span(B) lacks stay without power."""
    problem = _problem(2, antennas=antennas)
    wanted = (
        np.ones((LANES, 3), bool) & problem.bistatic.identifiable[:, None] & problem.monostatic.identifiable[:, None]
    )
    assert wanted.any()
    x, _, gap = _interior(problem, wanted)
    assert (gap[wanted] <= TOLERANCE).all()
    beyond = x[:, :, antennas:, antennas:]
    assert np.abs(beyond).max(initial=0.0) < 1e-6
