"""What others use on the same problem: right answers, and no design where a solver gives up."""

import naive
import numpy as np
import pytest
from crbatch import build_problem, certified_gap
from crbatch.engine.beamforming import baselines, weighted
from engine_cases import case_at, drops


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("antennas", [4, 12], ids=["rank-mt", "rank-2k+2"])
def test_assembled_program_has_the_optimum_of_the_reduced_cone(rho: float, antennas: int) -> None:
    """The chord in place of the whole Schur complement, by an independent objective; and ours by certificate."""
    scenario, draws = drops(2, tx_antennas=antennas, target_positions_m=[[-10, 15], [5, 15]])
    problem = build_problem(scenario, draws)
    ours = weighted.solve_fdb(problem, np.array([rho]), 1e-8)
    for i in range(2):
        case = case_at(scenario, draws, i)
        answers = [
            solve(problem, i, rho).covariance for solve in (baselines.clarabel_direct, baselines.clarabel_reduced)
        ]
        values = [naive.objective(case, v, rho) for v in answers]
        assert values[0] == pytest.approx(values[1], rel=1e-5)
        best = naive.objective(case, problem.expand(ours.covariance)[i, 0], rho)
        assert values[0] == pytest.approx(best, rel=1e-5)
        assert values[0] >= best * (1.0 - 1e-7)
        for v in answers:
            assert np.trace(v).real == pytest.approx(problem.power, rel=1e-12)
            assert certified_gap(problem.draw(i), v, rho)[0] < 1e-4


@pytest.mark.parametrize("antennas", [4, 10])
@pytest.mark.parametrize(
    "solve", [baselines.clarabel_full, baselines.clarabel_full_tuned, baselines.clarabel_reduced, baselines.scs_reduced]
)
def test_every_baseline_is_right(solve: baselines.Baseline, antennas: int) -> None:
    """Also where the cone cannot be reduced, M_T = n."""
    problem = build_problem(*drops(2, tx_antennas=antennas, target_positions_m=[[-10, 15]]))
    answer = solve(problem, 1, 0.5)
    assert certified_gap(problem.draw(1), answer.covariance, 0.5)[0] < 1e-4
    assert min(answer.build, answer.compile, answer.solve) > 0.0


def test_solver_without_a_point_is_no_design(monkeypatch: pytest.MonkeyPatch) -> None:
    import cvxpy as cp

    problem = build_problem(*drops(1, tx_antennas=4, target_positions_m=[[-10, 15]]))

    def give_up(*_: object, **__: object) -> None:
        raise cp.SolverError("no")

    monkeypatch.setattr(cp.Problem, "solve", give_up)
    assert np.isnan(baselines.scs_reduced(problem, 0, 0.5).covariance).all()
