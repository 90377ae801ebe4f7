"""The paper's programs in CVXPY and Clarabel beside the native solver and the closed forms."""

from typing import Any

import naive
import naive_codebook
import numpy as np
import pytest
from crbatch import DesignError, Solver, build_problem, certified_gap, design, mix_beamformers, mix_covariances
from crbatch.engine.beamforming import conic, weighted
from engine_cases import case_at, case_of, drops, lose_descent, lose_interior, random_covariance, setup


@pytest.mark.parametrize("cone", ["reduced", "full"])
def test_weighted_crb_program_agrees_with_the_native_solver(cone: Any) -> None:
    """(15), over all covariances as printed and on span(B)."""
    case = case_of("paper-k3", mt=10, m=128)
    designs = design(*setup(case), ["fdb-wcrb"], [0.0, 0.25, 1.0], gap_tolerance=1e-8)
    for r, rho in enumerate(designs.rho):
        v = conic.solve_weighted_crb(designs.problem, 0, float(rho), cone)
        assert np.trace(v).real == pytest.approx(case.power, rel=1e-12)
        assert naive.objective(case, v, float(rho)) == pytest.approx(designs.objective[0, 0, r], rel=1e-7)
        assert certified_gap(designs.problem, v, float(rho))[0] < 1e-4  # all that Clarabel's point has


def test_power_program_agrees_with_the_native_solver() -> None:
    designs = design(*drops(3), ["cpa-wcrb"], [0.0, 0.5, 1.0], gap_tolerance=1e-8)
    for b in range(3):
        for r, rho in enumerate(designs.rho):
            powers = conic.power_weighted_crb(designs.problem, b, float(rho))
            assert powers is not None
            assert powers.sum() == pytest.approx(1.0, rel=1e-12)
            case = case_at(*drops(3), b)
            shares = designs.problem.power * powers.reshape(2, -1).T.ravel()
            value = naive.objective(case, naive_codebook.cpa_covariance(case, shares), float(rho))
            assert value == pytest.approx(designs.objective[b, 0, r], rel=1e-6)


def test_powers_of_beams_that_do_not_exist_stay_zero() -> None:
    """A single antenna has no derivative beams."""
    case = case_of("paper-k2", mt=1, m=16)
    powers = conic.power_weighted_crb(build_problem(*setup(case)), 0, 0.0)
    assert powers is not None
    assert (powers[3:] < 1e-9).all()


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.5, 1.0])
def test_beamformer_mismatch_program_has_the_closed_form(rho: float) -> None:
    """(18) against (16)."""
    case = case_of("paper-k2", mt=5, m=16)
    power = case.power
    w_bp, w_ms = (np.linalg.cholesky(random_covariance(case, seed))[:, :3] for seed in (1, 2))
    w_bp, w_ms = (np.sqrt(power) * w / np.linalg.norm(w) for w in (w_bp, w_ms))
    w, value = conic.beamformer_mismatch(w_bp, w_ms, rho, power)
    closed = mix_beamformers(w_bp, w_ms, rho, power)
    assert np.linalg.norm(closed) ** 2 == pytest.approx(power, rel=1e-12)
    best = rho * np.linalg.norm(closed - w_bp) ** 2 + (1 - rho) * np.linalg.norm(closed - w_ms) ** 2
    assert value == pytest.approx(best, rel=1e-7, abs=1e-7 * power)
    np.testing.assert_allclose(w, closed, rtol=0, atol=1e-3 * np.sqrt(power))


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_covariance_mismatch_program_has_the_closed_form(rho: float) -> None:
    """(19) without its rank constraint, at the full size of M_T."""
    case = case_of("paper-k2", m=64)
    designs = design(*setup(case), ["fdb-wcrb"], [0.0, 1.0])
    v_ms, v_bp = (designs.beam_covariance("fdb-wcrb", extreme)[0] for extreme in (0.0, 1.0))
    v, value = conic.covariance_mismatch(v_bp, v_ms, rho, case.power)
    closed = mix_covariances(v_bp, v_ms, rho)
    np.testing.assert_allclose(v, closed, rtol=0, atol=1e-5 * case.power)
    best = rho * np.linalg.norm(closed - v_bp) ** 2 + (1 - rho) * np.linalg.norm(closed - v_ms) ** 2
    assert value == pytest.approx(best, rel=1e-7, abs=1e-7 * case.power**2)


@pytest.mark.parametrize("family", ["covariances", "powers"])
def test_the_last_rung_refines_clarabels_point(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """Where the native solvers leave a gap, whatever Clarabel says of its own point: the certificate judges."""
    scenario, draws = drops(2)
    problem, rho = build_problem(scenario, draws), np.array([0.0, 0.5, 1.0])
    solve = {"covariances": weighted.solve_fdb, "powers": weighted.solve_cpa}[family]
    expected = solve(problem, rho, 1e-6)
    lose_descent(monkeypatch, 2)
    lose_interior(monkeypatch)
    found = solve(problem, rho, 1e-6)
    assert (found.solver == Solver.CLARABEL).all()
    assert found.gap.max() <= 1e-6
    for r, weight in enumerate(rho):
        one, other = (problem.expand(np.ascontiguousarray(s.covariance[:, r : r + 1]))[:, 0] for s in (expected, found))
        for b in range(2):
            case = case_at(scenario, draws, b)
            value = naive.objective(case, other[b], float(weight))
            assert value == pytest.approx(naive.objective(case, one[b], float(weight)), rel=2e-6)


def test_clarabel_without_a_point_leaves_the_best_native_design(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, rho = build_problem(*drops(2)), np.array([0.5])
    monkeypatch.setattr(conic, "_solve", lambda *_, **__: False)
    lose_descent(monkeypatch, 2)
    lose_interior(monkeypatch)
    for solve in (weighted.solve_fdb, weighted.solve_cpa):
        found = solve(problem, rho, 1e-6)
        assert ((found.gap > 0.01) & (found.gap < 10.0)).all()
        assert (found.solver == Solver.LBFGS).all()
    with pytest.raises(DesignError, match=r"no point for \(15\) of draw 1 at rho = 0.5"):
        conic.solve_weighted_crb(problem, 1, 0.5)
    for program in (conic.beamformer_mismatch, conic.covariance_mismatch):
        with pytest.raises(DesignError, match="no point"):
            program(np.eye(2, dtype=complex), np.eye(2, dtype=complex), 0.5, 2.0)


@pytest.mark.parametrize("family", ["fdb", "cpa"])
def test_a_worse_point_replaces_nothing(monkeypatch: pytest.MonkeyPatch, family: str) -> None:
    """The better certificate wins, not the later rung."""
    problem, rho = build_problem(*drops(2)), np.array([0.5])
    solve = {"fdb": weighted.solve_fdb, "cpa": weighted.solve_cpa}[family]
    kept = solve(problem, rho, 1e-6)
    lose_interior(monkeypatch)
    monkeypatch.setattr(weighted, f"_{family}_by_clarabel", lambda *_: None)
    found = solve(problem, rho, 1e-12)
    assert (found.gap <= 1e-6).all()
    assert (found.solver == Solver.LBFGS).all()
    np.testing.assert_allclose(found.covariance, kept.covariance, atol=1e-2)
