"""Factors in polar form, against what they say in matrices."""

import numpy as np
import pytest
from crbatch import DrawModel, Problem, Scenario, build_problem, sample
from crbatch.engine.beamforming import weighted
from crbatch.engine.kernels.bound import objective
from crbatch.engine.kernels.bound.problems import ProblemArrays, load_problem
from crbatch.engine.kernels.descent import polar, preconditioner
from crbatch.engine.kernels.jit.accelerate import kernel
from crbatch.engine.kernels.jit.lanes import LANES, everywhere, get, put
from crbatch.engine.status import Solver
from engine_cases import DROPS

COUNT, COLUMNS = 8, 4
PATHS = COUNT // 2
SHAPE = preconditioner.Shape(PATHS, 2, COLUMNS)
TOLERANCE = 1e-6


def _factors(seed: int, batch: int = LANES) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, 2 * COUNT * COLUMNS))


def _complex(flat: np.ndarray) -> np.ndarray:
    """(..., 2 COUNT COLUMNS) -> (..., COUNT, COLUMNS)."""
    real, imag = np.moveaxis(flat.reshape(*flat.shape[:-1], 2, COUNT, COLUMNS), -3, 0)
    return np.asarray(real + 1j * imag)


def _triangles(x: np.ndarray) -> np.ndarray:
    """T_k of unknowns (batch, ...): (batch, PATHS, 2, 2)."""
    head = x[:, : 2 * COUNT].reshape(-1, PATHS, 4)
    t = np.zeros((*head.shape[:2], 2, 2), complex)
    t[..., 0, 0], t[..., 1, 1], t[..., 1, 0] = head[..., 0], head[..., 1], head[..., 2] + 1j * head[..., 3]
    return t


def _rows(z: np.ndarray) -> np.ndarray:
    """Both rows of every path: (batch, COUNT, COLUMNS) -> (batch, PATHS, 2, COLUMNS)."""
    return np.stack((z[:, :PATHS], z[:, PATHS:]), axis=2)


def test_factors_come_back() -> None:
    """Also with rows of zeros, as with fewer antennas than columns; T is triangular, U has orthonormal rows."""
    flat = _factors(1)
    lost = np.ones((LANES, 2, COUNT, COLUMNS))
    lost[2, :, [1, PATHS + 1]] = lost[3, :, PATHS + 2] = 0.0
    flat *= lost.reshape(LANES, -1)
    x = polar.polar_of_factors(flat, SHAPE)
    z = _complex(flat)
    u = _rows(_complex(x[:, 2 * COUNT :]))
    products = u @ u.conj().swapaxes(2, 3)
    expected = np.tile(np.eye(2), (LANES, PATHS, 1, 1))
    expected[2, 1], expected[3, 2, 1, 1] = 0.0, 0.0
    np.testing.assert_allclose(products, expected, atol=1e-13)
    np.testing.assert_allclose(_triangles(x) @ u, _rows(z), rtol=1e-13, atol=1e-14)


@kernel
def _unfolded(x, factor):
    polar.polar_factor(x, SHAPE, factor)


def test_any_rows_are_made_orthonormal_on_the_way() -> None:
    """Eight unknowns side by side: Y becomes U in place, and Z = T U."""
    x = np.random.default_rng(2).standard_normal((2 * COUNT * (COLUMNS + 1), 1, LANES))
    x[2 * COUNT : 2 * COUNT + COLUMNS, 0, 5] = 0.0  # real parts of one row
    given = _complex(x[2 * COUNT :, 0].T)
    factor = np.full((2 * COUNT * COLUMNS, 1, LANES), np.nan)
    _unfolded(x, factor)
    u = _rows(_complex(x[2 * COUNT :, 0].T))
    np.testing.assert_allclose(u @ u.conj().swapaxes(2, 3), np.tile(np.eye(2), (LANES, PATHS, 1, 1)), atol=1e-13)
    shape = _rows(given) @ u.conj().swapaxes(2, 3)  # of Gram-Schmidt: lower triangular with a positive diagonal
    np.testing.assert_allclose(shape[..., 0, 1], 0.0, atol=1e-13)
    assert (np.diagonal(shape, axis1=2, axis2=3).real > 0.0).all()
    np.testing.assert_allclose(_rows(_complex(factor[:, 0].T)), _triangles(x[:, 0].T) @ u, rtol=1e-12, atol=1e-12)


def _problem(antennas: int, draws: int = LANES, model: DrawModel = DROPS) -> Problem:
    scenario = Scenario(tx_antennas=antennas, subcarriers=64)
    return build_problem(scenario, sample(scenario, model, 11, 0, draws))


@kernel
def _objective(problems, rho, x, gradient, result, stiffness):
    eight = objective.new_evaluation(problems, COLUMNS)
    space = polar.new_polar(SHAPE)
    for lane in range(LANES):
        load_problem(eight.problem, problems, lane, lane)
    value, power = polar.polar_objective(eight, everywhere(rho), x, SHAPE, space, gradient, stiffness)
    put(result, value, 0)
    put(result, power, 1)
    for i in range(COUNT):
        put(result, get(eight.negative_gradient, i, i), 2 + i)
        put(result, get(eight.sr, i, i), 2 + COUNT + i)


def _at(problems: ProblemArrays, rho: float, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, preconditioner.Stiffness]:
    """Rows f, power, N_ii f, S_ii; the gradient; and the stiffness."""
    gradient = np.zeros_like(x)
    stiffness = preconditioner.Stiffness(
        np.zeros((COUNT, 1, LANES)),
        np.zeros((2 * COUNT * COLUMNS, COLUMNS, LANES)),
        np.zeros((COUNT * COLUMNS, COLUMNS, LANES)),
        np.zeros((2 * 2 * COLUMNS, 1, LANES)),
        np.zeros((4, 1, LANES)),
    )
    result = np.zeros((2 + 2 * COUNT, LANES))
    _objective(problems, rho, x.copy(), gradient, result, stiffness)
    return result, gradient[:, 0], stiffness


def _packed(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.T[:, None])


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_the_gradient_is_the_slope_of_log_f_and_log_power(rho: float) -> None:
    """Central differences along T, along U, and along both."""
    problems = _problem(64).arrays
    x = _packed(polar.polar_of_factors(_factors(3), SHAPE))
    _, gradient, _ = _at(problems, rho, x)
    random = np.random.default_rng(4)
    head = np.arange(len(x))[:, None, None] < 2 * COUNT
    for moved in (head, ~head, np.ones_like(head)):
        way = np.where(moved, random.standard_normal(x.shape), 0.0)
        step = 1e-6
        heights = [np.log(found[0] * found[1]) for found in (_at(problems, rho, x + s * way)[0] for s in (step, -step))]
        change = (heights[0] - heights[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * way[:, 0], axis=0), change, rtol=1e-6, atol=1e-7)


def _costs(stiffness: preconditioner.Stiffness) -> np.ndarray:
    """D_i of the factors that are kept: (batch, COUNT, COLUMNS, COLUMNS)."""
    kept = stiffness.factors.reshape(COUNT, 2, COLUMNS, COLUMNS, LANES)
    kept = np.moveaxis(kept[:, 0] + 1j * kept[:, 1], -1, 0)
    pivots = np.diagonal(kept, axis1=2, axis2=3).real
    lower = np.tril(kept, -1) + np.eye(COLUMNS)
    return np.asarray((lower / pivots[:, :, None]) @ lower.conj().swapaxes(2, 3)).conj()


@pytest.mark.parametrize("antennas", [8, 64])
def test_rotating_a_row_costs_its_slack_and_what_it_takes_of_other_paths(antennas: int) -> None:
    problems = _problem(antennas).arrays
    x = polar.polar_of_factors(_factors(3), SHAPE)
    result, _, stiffness = _at(problems, 0.4, _packed(x))
    value, power, normal, seen = result[0], result[1], result[2 : 2 + COUNT], result[2 + COUNT :]
    slack = 1.0 - power * normal / value
    plain = np.maximum(slack, 0.0) + np.minimum(0.02 + problems.overlap[:LANES, :, 0].T, 1.0)
    np.testing.assert_allclose(stiffness.plain[:, 0], plain, rtol=1e-9)
    u = _complex(x[:, 2 * COUNT :])
    for b in range(LANES):
        for i in range(COUNT):
            expected = plain[i, b] * np.eye(COLUMNS, dtype=complex)
            for path in range(PATHS):
                weight = problems.coupling[b, i, path] * x[b, 4 * path] ** 2 / seen[i, b]
                expected += weight * (np.outer(u[b, path].conj(), u[b, path]) + 0.05 * np.eye(COLUMNS))
            np.testing.assert_allclose(_costs(stiffness)[b, i], expected, rtol=1e-9, atol=1e-12)


def test_coupling_is_what_arrives_through_both_columns() -> None:
    """Squared correlations of terms of different paths: by transmit columns, mean over kinds of the other and links."""
    problems = _problem(16).arrays
    gram = problems.gram * np.array([[i % PATHS != j % PATHS for j in range(COUNT)] for i in range(COUNT)])
    np.testing.assert_allclose(problems.overlap[..., 0], np.linalg.norm(gram, axis=2), rtol=1e-12)
    expected = np.zeros_like(problems.coupling)
    for link in (problems.bistatic, problems.monostatic):
        size = np.sqrt(np.diagonal(link.weights, axis1=1, axis2=2))
        square = (link.weights / (size[:, :, None] * size[:, None, :])) ** 2
        kinds = square.reshape(LANES, 4, PATHS, 4, PATHS)  # gain, departure, arrival, delay
        through = kinds[:, :, :, [0, 2, 3]].mean(axis=3) / 2
        expected[:, :PATHS] += through[:, [0, 2, 3]].sum(axis=1)
        expected[:, PATHS:] += through[:, 1]
    for k in range(PATHS):
        expected[:, [k, PATHS + k], k] = 0.0
    np.testing.assert_allclose(problems.coupling, expected, rtol=1e-9, atol=1e-14)
    assert 0.0 < problems.coupling.max() <= 3.0 + 1e-9


@kernel
def _preconditioned(x, stiffness, scale, vector):
    preconditioner.precondition_polar(x, SHAPE, stiffness, everywhere(scale), vector)


def test_rotations_are_scaled_by_what_they_cost() -> None:
    """In matrices; the way from the first row of a path to its second has a cost of its own."""
    x = polar.polar_of_factors(_factors(6), SHAPE)
    _, _, stiffness = _at(_problem(16).arrays, 0.6, _packed(x))
    vector = np.random.default_rng(5).standard_normal((x.shape[1], 1, LANES))
    out = vector.copy()
    _preconditioned(_packed(x), stiffness, 0.7, out)
    costs, t, u = _costs(stiffness), _triangles(x), _rows(_complex(x[:, 2 * COUNT :]))
    given = _rows(_complex(vector[2 * COUNT :, 0].T))
    found = _rows(_complex(out[2 * COUNT :, 0].T))
    for b in range(LANES):
        for k in range(PATHS):
            second = u[b, k, 1]
            along = given[b, k, 0] @ second.conj()
            rest = given[b, k] - np.outer([1.0, 0.0], along * second)
            rows = np.linalg.inv(t[b, k].conj().T) @ rest
            rows = np.stack([rows[i] @ np.linalg.inv(costs[b, k + i * PATHS]) for i in range(2)])
            rows = 0.7 * np.linalg.inv(t[b, k]) @ rows
            cost = stiffness.plain[[k, PATHS + k], 0, b] @ np.diagonal(t[b, k]).real ** 2
            rows[0] += (0.7 * along / cost - rows[0] @ second.conj()) * second
            np.testing.assert_allclose(found[b, k], rows, rtol=1e-7, atol=1e-7)
    share = out[: 2 * COUNT] / vector[: 2 * COUNT]
    assert len(np.unique(share.round(9))) == 2


def test_the_guess_of_the_inverse_hessian_is_symmetric() -> None:
    x = polar.polar_of_factors(_factors(8), SHAPE)
    _, _, stiffness = _at(_problem(16).arrays, 0.5, _packed(x))
    size = x.shape[1]
    columns = []
    for i in range(size):
        vector = np.zeros((size, 1, LANES))
        vector[i] = 1.0
        _preconditioned(_packed(x), stiffness, 1.0, vector)
        columns.append(vector[:, 0])
    guess = np.moveaxis(np.stack(columns, axis=1), -1, 0)
    tangent = _tangent(x)
    guess = tangent @ guess @ tangent
    np.testing.assert_allclose(guess, guess.swapaxes(1, 2), rtol=1e-7, atol=1e-8 * np.abs(guess).max())
    assert (np.linalg.eigvalsh(guess) > -1e-8 * np.abs(guess).max()).all()


def _tangent(x: np.ndarray) -> np.ndarray:
    """Projector onto what changes Z: gradients have nothing along a row itself, nor a second one along its first."""
    out = np.tile(np.eye(x.shape[1]), (LANES, 1, 1))
    u = _complex(x[:, 2 * COUNT :])
    for b in range(LANES):
        for row in range(COUNT):
            for other in {row, row % PATHS}:
                for phase in (1.0, 1j):
                    way = np.zeros((COUNT, COLUMNS), complex)
                    way[row] = phase * u[b, other]
                    flat = np.concatenate((np.zeros(2 * COUNT), way.real.ravel(), way.imag.ravel()))
                    out[b] -= np.outer(flat, flat) / (flat @ flat)
    return out


@pytest.mark.parametrize("model", [DrawModel(), DROPS], ids=["phases", "drops"])
def test_many_antennas_cost_few_more_evaluations(model: DrawModel) -> None:
    """In the entries of a factor a cold design takes 36 evaluations at 64 antennas, 16 at 16."""
    rho = np.array([0.5])
    few, many = (weighted.solve_fdb(_problem(antennas, 64, model), rho, TOLERANCE) for antennas in (16, 64))
    for found in (few, many):
        assert (found.gap <= TOLERANCE).all()
    share = many.iterations.mean() / few.iterations.mean()
    assert share < 1.3


def test_powers_are_shared_out_as_on_the_codebook() -> None:
    """Each path's own block of mix diag(p) mix^T; also with fewer antennas than columns."""
    for antennas, columns in ((16, 4), (3, 4), (64, 8)):
        problem = _problem(antennas)
        powers = np.random.default_rng(7).dirichlet(np.ones(COUNT), LANES)
        x = polar.polar_of_powers(problem.arrays, powers, columns)
        assert x.shape == (LANES, 2 * COUNT * (columns + 1))
        full = problem.mix @ (powers[:, :, None] * problem.mix.swapaxes(1, 2))
        t = _triangles(x)
        for k in range(PATHS):
            own = full[:, [k, PATHS + k]][:, :, [k, PATHS + k]]
            np.testing.assert_allclose(t[:, k] @ t[:, k].conj().swapaxes(1, 2), own, atol=1e-12)


@pytest.mark.parametrize("antennas", [5, 16, 40])
def test_more_columns_find_the_same_optimum(antennas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, rho = _problem(antennas), np.array([0.0, 0.4, 0.8])
    found = weighted.solve_fdb(problem, rho, TOLERANCE)
    monkeypatch.setattr(weighted, "_columns", lambda count, each: count)
    other = weighted.solve_fdb(problem, rho, TOLERANCE)
    there = found.iterations >= 0
    assert (found.solver[there] == Solver.LBFGS).mean() > 0.8
    assert found.iterations.tobytes() != other.iterations.tobytes()
    for one in (found, other):
        assert (one.gap[there] <= TOLERANCE).all()
    assert np.abs(found.covariance - other.covariance).max() < 0.02
