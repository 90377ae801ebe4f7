"""The ladder of solvers of (12): which rung is taken, and what each costs and leaves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crbatch import DrawModel, Problem, Scenario, Solver, Status, build_problem, design, sample
from crbatch.engine.beamforming import mixes, weighted
from engine_cases import DROPS, drops, lose_descent

RHO = [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("family", ["covariances", "powers"])
def test_the_second_rung_certifies_what_descent_gives_up(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """With an L-BFGS that never moves."""
    problem, rho = build_problem(*drops(3)), np.array(RHO)
    solve: Callable[..., Any] = {"covariances": weighted.solve_fdb, "powers": weighted.solve_cpa}[family]
    expected = solve(problem, rho, 1e-6)

    lose_descent(monkeypatch, 3)
    found = solve(problem, rho, 1e-6)
    assert (found.solver == Solver.INTERIOR).all()
    assert found.gap.max() <= 1e-6
    assert (found.iterations > 1).all()
    one, other = (_objectives(problem, solution.covariance, RHO) for solution in (expected, found))
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_along_a_curve_designs_begin_near_their_optima() -> None:
    """Extrapolated from those next to them: a cold design takes 18 evaluations here, one on the curve 7."""
    scenario = Scenario()
    problem = build_problem(scenario, sample(scenario, DrawModel(), 3, 0, 16))
    cold = weighted.solve_fdb(problem, np.array([0.5]), 1e-6)
    curve = weighted.solve_fdb(problem, np.linspace(0.0, 1.0, 21), 1e-6)
    assert curve.iterations.mean() < 0.5 * cold.iterations.mean()


def test_rounding_does_not_stop_the_descent() -> None:
    """Nearly singular FIMs: how much F falls close to the optimum cannot be told there, where it goes down can."""
    scenario = Scenario()
    problem = build_problem(scenario, sample(scenario, DROPS, 2025, 0, 1024))
    worst = np.argsort(problem.bistatic.rounding)[-10:]
    assert problem.bistatic.rounding[worst].min() > 5e-12
    weights = np.linspace(0.0, 0.95, 20)
    solvers = [weighted.solve_fdb(problem.draw(int(draw)), weights, 1e-6).solver for draw in worst]
    assert (np.array(solvers) == Solver.LBFGS).mean() >= 0.99


def test_factors_drop_without_ms_what_they_learnt_with_it() -> None:
    problem = build_problem(Scenario(), sample(Scenario(), DrawModel(), 2025, 0, 64))
    found = weighted.solve_fdb(problem, np.linspace(0.0, 1.0, 21), 1e-6)
    assert found.iterations[:, -1].mean() < 16.0  # 17.3 with the memory of the weight before


def test_powers_keep_without_ms_what_they_learnt_with_it() -> None:
    problem = build_problem(Scenario(), sample(Scenario(), DROPS, 2025, 0, 256))
    found = weighted.solve_cpa(problem, np.linspace(0.0, 1.0, 21), 1e-6)
    assert (found.solver[:, -1] == Solver.LBFGS).mean() > 0.85  # 0.74 without it


@pytest.mark.parametrize(("antennas", "most"), [(16, 22.0), (128, 12.0)])
def test_powers_are_found_in_few_evaluations(antennas: int, most: float) -> None:
    """17 and 9; 29 and more where all roots of powers are scaled alike."""
    scenario = Scenario(tx_antennas=antennas)
    problem = build_problem(scenario, sample(scenario, DrawModel(), 3, 0, 16))
    found = weighted.solve_cpa(problem, np.array([0.5]), 1e-6)
    assert found.gap.max() <= 1e-6
    assert found.iterations.mean() < most


def _objectives(problem: Problem, x: np.ndarray, weights: list[float]) -> np.ndarray:
    from crbatch.engine.beamforming.recovery import objective_at

    return np.array(
        [[objective_at(problem, b, x[b, [w]], rho)[0] for w, rho in enumerate(weights)] for b in range(len(x))]
    )


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_tolerance_is_kept(tolerance: float) -> None:
    designs = design(*drops(20), ["fdb-wcrb", "cpa-wcrb"], [0.0, 0.5, 1.0], gap_tolerance=tolerance)
    certified = designs.status == Status.CERTIFIED
    assert (designs.gap[certified] <= tolerance).all()
    assert certified.mean() == 1.0 if tolerance > 1e-9 else certified.mean() > 0.9


def test_an_open_gap_is_called_uncertified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it comes from: the optimum itself, and every closed form that rests on it."""
    scenario, draws = drops(2)
    native = mixes.fdb_extremes

    def open_at_bp(problem: Any, tolerance: float) -> Any:
        found = native(problem, tolerance)
        return replace(found, gap=np.array([1e-3, 0.0]) + found.gap * [0.0, 1.0])

    monkeypatch.setattr(mixes, "fdb_extremes", open_at_bp)
    found = design(scenario, draws, ["fdb-wcrb", "fdb-wvm", "fdb-wbf", "cpa-wcrb"], [0.0, 0.5, 1.0])
    assert found.status[0].tolist() == [[0, 0, 1], [4, 1, 1], [4, 1, 1], [0, 0, 0]]
    np.testing.assert_array_equal(found.gap[:, 0, 2], 1e-3)
