"""Designs for all draws: certified by the mean's own bound, and never better than the genie's."""

import cvxpy as cp
import numpy as np
import pytest
from crbatch import (
    DesignError,
    DrawModel,
    Draws,
    Scenario,
    Status,
    average_designs,
    bistatic_bounds,
    bistatic_link,
    build_problem,
    certified_gap,
    certified_mean_gap,
    design,
    evaluate_shared,
    fixed_draw,
    monostatic_bounds,
    monostatic_link,
    nominal_designs,
    position_fim,
    sample,
)
from crbatch.engine.fisher import position_fim_at
from engine_cases import MOVING
from engine_cases import SMALL as SCENARIO

SCHEMES = ("fdb-wcrb", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "apa")
RHO = (0.0, 0.3, 1.0)


def weighted_crb(draws: Draws, v: np.ndarray, rho: float) -> np.ndarray:
    """f_s(V) of every draw by the explicit sum over subcarriers."""
    batch = np.broadcast_to(v, (len(draws), *v.shape))
    bp = bistatic_bounds(position_fim(bistatic_link(SCENARIO, draws), batch, "explicit")).position
    ms = monostatic_bounds(position_fim(monostatic_link(SCENARIO, draws), batch, "explicit")).position
    return (rho * bp if rho > 0.0 else 0.0) + ((1.0 - rho) * ms if rho < 1.0 else 0.0)


def mean_ratio(draws: Draws, v: np.ndarray, rho: float) -> float:
    at_apa = design(SCENARIO, draws, ["apa"], rho).objective[:, 0, 0]
    return float(np.mean(weighted_crb(draws, v, rho) / at_apa))


@pytest.mark.parametrize("model", [DrawModel(), MOVING], ids=["fixed", "moving"])
def test_average_designs_are_certified_and_no_other_beam_is_better(model: DrawModel) -> None:
    draws = sample(SCENARIO, model, 3, 0, 12)
    found = average_designs(SCENARIO, draws, SCHEMES, RHO)
    assert found.training == 12
    assert (found.status[[0, 2]] == Status.CERTIFIED).all()
    assert (found.gap[[0, 2]] <= 1e-6).all()
    np.testing.assert_allclose(np.trace(found.covariance, axis1=2, axis2=3), SCENARIO.power_per_subcarrier_w)
    rng = np.random.default_rng(1)
    for r, rho in enumerate(RHO):
        best = mean_ratio(draws, found.covariance[0, r], rho)
        for v in (*found.covariance[1:, r], *_near(found.covariance[0, r], rng)):
            assert mean_ratio(draws, v, rho) >= best * (1.0 - 1.0e-6)
        codebook = mean_ratio(draws, found.covariance[2, r], rho)
        assert codebook <= mean_ratio(draws, found.covariance[4, r], rho)


def _near(v: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Other covariances of the same power, close to v."""
    out = []
    for size in (1e-2, 1e-3, 1e-4):
        z = rng.standard_normal((2, *v.shape))
        w = (z[0] + 1j * z[1]) @ (z[0] - 1j * z[1]).T
        out.append((1.0 - size) * v + size * w * np.trace(v) / np.trace(w))
    return out


def test_the_bound_of_the_mean_is_below_every_beam() -> None:
    """F(V) / (1 + gap) bounds the mean from below, also from a gap that is far from closed."""
    draws = sample(SCENARIO, DrawModel(), 4, 0, 5)
    loose = average_designs(SCENARIO, draws, ["fdb-wcrb"], 0.4, gap_tolerance=0.3)
    tight = average_designs(SCENARIO, draws, ["fdb-wcrb"], 0.4)
    high, low = (mean_ratio(draws, found.covariance[0, 0], 0.4) for found in (loose, tight))
    assert loose.gap[0, 0] > 1e-4
    assert high / (1.0 + loose.gap[0, 0]) <= low <= high


@pytest.mark.parametrize("model", [DrawModel(), MOVING], ids=["fixed", "moving"])
def test_the_certificate_of_the_mean_holds_by_its_full_gradient_too(model: DrawModel) -> None:
    draws = sample(SCENARIO, model, 6, 0, 7)
    problem = build_problem(SCENARIO, draws)
    for rho in RHO:
        found = average_designs(SCENARIO, draws, ["fdb-wcrb"], rho, gap_tolerance=1e-2)
        gap = certified_mean_gap(problem, found.covariance[0, 0], rho)
        assert gap == pytest.approx(found.gap[0, 0], rel=1e-5, abs=1e-9)
        # One draw's mean is its own bound, whatever the scale.
        own = certified_gap(problem, found.covariance[0, 0], rho, "full")[0]
        alone = build_problem(SCENARIO, draws[:1])
        assert certified_mean_gap(alone, found.covariance[0, 0], rho) == pytest.approx(own, rel=1e-9)
        # Less power is worse by just that.
        half = certified_mean_gap(problem, 0.5 * found.covariance[0, 0], rho)
        assert half == pytest.approx(2.0 * (1.0 + gap) - 1.0, rel=1e-9)


@pytest.mark.slow("trains many designs")
def test_the_average_of_one_draw_is_that_draws_own_design() -> None:
    draws = sample(SCENARIO, DrawModel(), 5, 0, 1)
    own = design(SCENARIO, draws, SCHEMES, RHO)
    found = evaluate_shared(SCENARIO, draws, average_designs(SCENARIO, draws, SCHEMES, RHO))
    np.testing.assert_allclose(found.objective[:, [0, 2, 4]], own.objective[:, [0, 2, 4]], rtol=2.1e-6)
    np.testing.assert_allclose(found.objective, own.objective, rtol=5e-3)  # mixes of optima that differ slightly


def test_it_agrees_with_a_conic_solver() -> None:
    """The mean as a semidefinite program over V itself, from FIMs that are linear in V."""
    scenario = Scenario(subcarriers=16, tx_antennas=4, target_positions_m=[(-10.0, 15.0)])
    draws = sample(scenario, DrawModel(), 6, 0, 3)
    link = monostatic_link(scenario, draws)
    power, n = scenario.power_per_subcarrier_w, 4
    apa = design(scenario, draws, ["apa"], 0.0).objective[:, 0, 0]
    basis = [np.array(e) for e in _hermitian_basis(n)]
    fims = [position_fim_at(link, power * np.tile(e, (3, 1, 1))) for e in basis]  # a basis of Hermitian matrices
    x = cp.Variable(len(basis))
    v = sum(x[i] * e for i, e in enumerate(basis))
    terms = []
    for s in range(3):
        scale = 1.0 / np.sqrt(np.diag(sum(f[s] for f in fims[:n])))
        fim = sum(x[i] * (scale[:, None] * f[s] * scale) for i, f in enumerate(fims))
        rows = 4
        for k in range(rows):
            unit = np.zeros((fim.shape[0], 1))
            unit[k] = scale[k] / np.sqrt(apa[s])
            terms.append(cp.matrix_frac(unit, fim))
    problem = cp.Problem(cp.Minimize(sum(terms) / 3), [v >> 0, cp.real(cp.trace(v)) == 1])
    best = problem.solve(solver=cp.CLARABEL)
    found = average_designs(scenario, draws, ["fdb-wcrb"], 0.0)
    value = evaluate_shared(scenario, draws, found).objective[:, 0, 0] / apa
    assert value.mean() == pytest.approx(best, rel=2e-6)


def _hermitian_basis(n: int) -> list[np.ndarray]:
    """Diagonal matrices first."""
    out = []
    for i in range(n):
        e = np.zeros((n, n), complex)
        e[i, i] = 1.0
        out.append(e)
    for i in range(n):
        for k in range(i):
            for unit in (1.0, 1.0j):
                e = np.zeros((n, n), complex)
                e[i, k], e[k, i] = unit, np.conj(unit)
                out.append(e)
    return out


def test_nominal_designs_are_those_of_no_randomness() -> None:
    found = nominal_designs(SCENARIO, SCHEMES, RHO)
    own = design(SCENARIO, fixed_draw(SCENARIO), SCHEMES, RHO)
    again = evaluate_shared(SCENARIO, fixed_draw(SCENARIO), found)
    np.testing.assert_allclose(again.objective, own.objective, rtol=1e-9)
    np.testing.assert_array_equal(again.status, own.status)
    np.testing.assert_array_equal(again.gap, own.gap)


def test_the_genie_is_never_worse() -> None:
    draws = sample(SCENARIO, MOVING, 7, 0, 20)
    genie = design(SCENARIO, draws, ["fdb-wcrb"], RHO)
    training = sample(SCENARIO, MOVING, 7, 1000, 1030)
    for shared in (
        nominal_designs(SCENARIO, ["fdb-wcrb"], RHO),
        average_designs(SCENARIO, training, ["fdb-wcrb"], RHO),
    ):
        found = evaluate_shared(SCENARIO, draws, shared)
        assert (found.objective >= genie.objective * (1.0 - 2e-6)).all()


def test_what_cannot_be_built_is_refused() -> None:
    few = SCENARIO.replace(slots=4)
    with pytest.raises(DesignError, match="columns"):
        average_designs(few, sample(few, MOVING, 1, 0, 4), ["fdb-wbf"], 0.5)
    large = SCENARIO.replace(tx_antennas=256)
    with pytest.raises(DesignError, match="tx_antennas <= 128"):
        average_designs(large, sample(large, MOVING, 1, 0, 2), ["fdb-wcrb"], 0.5)
