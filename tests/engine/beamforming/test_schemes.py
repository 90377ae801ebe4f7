"""All schemes: golden optima, literal formulas, certificates from scratch, statuses, recovery."""

from typing import Any

import naive
import naive_codebook
import numpy as np
import pytest
from crbatch import (
    SCHEMES,
    DesignError,
    Draws,
    Scenario,
    Status,
    build_problem,
    certified_gap,
    check_slots,
    design,
    fixed_draw,
    mix_beamformers,
    mix_covariances,
)
from crbatch.engine.beamforming import conic
from crbatch.engine.beamforming.recovery import recover_all
from engine_cases import case_at, case_of, drops, every_optimum, random_covariance, setup
from scipy.linalg import sqrtm, svd

RHO = [0.0, 0.3, 1.0]


@every_optimum
def test_optima_are_golden(name: str, optimum: dict[str, Any]) -> None:
    """Objectives to 1e-6, and to the certified gap; powers of the codewords."""
    scenario, draws = setup(case_of(name))
    found = design(scenario, draws, ["fdb-wcrb", "cpa-wcrb"], optimum["rho"])
    assert (found.status == Status.CERTIFIED).all()
    assert found.objective[0, 0, 0] == pytest.approx(optimum["fdb_objective_m2"], rel=1e-8)
    assert found.objective[0, 1, 0] == pytest.approx(optimum["cpa_objective_m2"], rel=1e-8)
    np.testing.assert_allclose(found.powers[0, 1, 0], optimum["cpa_power"], atol=1e-5)


@pytest.fixture(scope="module")
def paper() -> tuple[naive.Case, Any]:
    case = case_of("moved-ue-mt12")
    return case, design(*setup(case), SCHEMES, RHO)


def covariances(designs: Any, scheme: str) -> np.ndarray:
    return np.array([designs.beam_covariance(scheme, rho)[0] for rho in designs.rho])


@pytest.mark.slow("explicit tensors of all subcarriers")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_bounds_are_those_of_the_covariance(paper: tuple[naive.Case, Any], scheme: str) -> None:
    case, designs = paper
    for r, rho in enumerate(RHO):
        v = designs.beam_covariance(scheme, rho)[0]
        s = designs.schemes.index(scheme)
        assert np.trace(v).real == pytest.approx(case.power, rel=1e-12)
        assert naive.crb_bistatic(case, v) == pytest.approx(designs.crb_bp[0, s, r], rel=1e-8)
        assert naive.crb_monostatic(case, v) == pytest.approx(designs.crb_ms[0, s, r], rel=1e-8)
        np.testing.assert_allclose(naive.crb_monostatic_target(case, v), designs.crb_ms_target[0, s, r], rtol=1e-7)
        np.testing.assert_allclose(naive.crb_mapping(case, v), designs.crb_map[0, s, r], rtol=1e-6)
        assert naive.crb_orientation(case, v) == pytest.approx(designs.crb_orientation[0, s, r], rel=1e-7)
        assert naive.crb_clock(case, v) == pytest.approx(designs.crb_clock[0, s, r], rel=1e-7)
        assert designs.rank[0, s, r] == np.linalg.matrix_rank(v, tol=1e-9 * case.power, hermitian=True)


def test_certificates_hold_on_the_full_cone(paper: tuple[naive.Case, Any]) -> None:
    """The reduction to span(B) is exact: M_T x M_T gradient, reduced one and the naive one agree."""
    case, designs = paper
    for r, rho in enumerate(RHO):
        v = designs.beam_covariance("fdb-wcrb", rho)[0]
        from_scratch = naive.certified_gap(case, v, rho)
        assert from_scratch < 1e-6
        assert designs.gap[0, 0, r] == pytest.approx(from_scratch, abs=1e-9)
        assert certified_gap(designs.problem, v, rho)[0] == pytest.approx(from_scratch, abs=1e-9)
        assert certified_gap(designs.problem, v, rho, "full")[0] == pytest.approx(from_scratch, abs=1e-9)
        order = np.concatenate((np.arange(0, 2 * case.k + 2, 2), np.arange(1, 2 * case.k + 2, 2)))
        powers = np.empty(2 * case.k + 2)
        powers[order] = designs.powers[0, designs.schemes.index("cpa-wcrb"), r] * case.power
        assert naive_codebook.certified_gap_cpa(case, powers, rho) < 1e-6


@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
def test_certificate_of_any_covariance_is_the_naive_one(rho: float) -> None:
    case = case_of("moved-ue-mt12", m=64)
    problem = build_problem(*setup(case))
    for seed in range(3):
        v = random_covariance(case, seed)
        expected = naive.certified_gap(case, v, rho)
        assert certified_gap(problem, v, rho)[0] == pytest.approx(expected, rel=1e-7)
        assert certified_gap(problem, v, rho, "full")[0] == pytest.approx(expected, rel=1e-7)


def test_closed_forms_are_their_formulas(paper: tuple[naive.Case, Any]) -> None:
    """(16) with the principal square root and its aligned form, (19), and their CPA twins, in plain NumPy."""
    case, designs = paper
    optimum = covariances(designs, "fdb-wcrb")
    v_ms, v_bp = optimum[0], optimum[-1]
    root_bp, root_ms = (sqrtm(v / case.power) for v in (v_bp, v_ms))
    left, _, right = svd(root_ms @ root_bp)
    for scheme, second in (("fdb-wbf", root_ms), ("fdb-wbf-aligned", root_ms @ left @ right)):
        mixed = 0.3 * root_bp + 0.7 * second
        expected = case.power * mixed @ mixed.conj().T / np.linalg.norm(mixed) ** 2
        np.testing.assert_allclose(covariances(designs, scheme)[1], expected, atol=1e-6 * case.power)
    np.testing.assert_allclose(
        covariances(designs, "fdb-wvm")[1], mix_covariances(v_bp, v_ms, 0.3), atol=1e-12 * case.power
    )
    powers = designs.powers[0, designs.schemes.index("cpa-wcrb")]
    amplitude = 0.3 * np.sqrt(powers[2]) + 0.7 * np.sqrt(powers[0])
    np.testing.assert_allclose(
        designs.powers[0, designs.schemes.index("cpa-wbf"), 1], amplitude**2 / np.sum(amplitude**2), rtol=1e-12
    )
    np.testing.assert_allclose(
        designs.powers[0, designs.schemes.index("cpa-wvm"), 1], 0.3 * powers[2] + 0.7 * powers[0], rtol=1e-12
    )
    np.testing.assert_allclose(
        covariances(designs, "apa")[0], naive_codebook.apa_covariance(case), atol=1e-12 * case.power
    )


def test_eigen_factor_is_its_rule(paper: tuple[naive.Case, Any]) -> None:
    case, designs = paper
    other = design(*setup(case), ["fdb-wbf"], RHO, wbf_factor="eigen")
    factors = []
    for v in covariances(designs, "fdb-wcrb")[[2, 0]]:
        values, vectors = np.linalg.eigh(v)
        columns = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0.0))
        columns[:, values[::-1] < 1e-9 * case.power] = 0.0
        factors.append(columns * np.exp(-1j * np.angle(columns[0])))
    w = mix_beamformers(factors[0], factors[1], 0.3, case.power)
    np.testing.assert_allclose(other.beam_covariance("fdb-wbf", 0.3)[0], w @ w.conj().T, atol=1e-6 * case.power)


@pytest.mark.slow("CVXPY")
def test_conic_programs_agree() -> None:
    """(15) on both cones, (18) and (19) against the native solver and the closed forms."""
    case = case_of("paper-k2", mt=8)
    designs = design(*setup(case), ["fdb-wcrb"], RHO, gap_tolerance=1e-8)  # the default allows for 1e-6
    for r, rho in enumerate(RHO):
        for cone in ("reduced", "full"):
            v = conic.solve_weighted_crb(designs.problem, 0, rho, cone)  # type: ignore[arg-type]
            assert naive.objective(case, v, rho) == pytest.approx(designs.objective[0, 0, r], rel=1e-7)
    v_ms, v_bp = covariances(designs, "fdb-wcrb")[[0, 2]]
    v, mismatch = conic.covariance_mismatch(v_bp, v_ms, 0.3, case.power)
    closed = mix_covariances(v_bp, v_ms, 0.3)
    np.testing.assert_allclose(v, closed, atol=1e-5 * np.abs(closed).max())
    value = 0.3 * np.sum(np.abs(closed - v_bp) ** 2) + 0.7 * np.sum(np.abs(closed - v_ms) ** 2)
    assert mismatch == pytest.approx(value, rel=1e-7)
    w_bp, w_ms = (np.linalg.cholesky(x + 1e-12 * case.power * np.eye(8))[:, :2] for x in (v_bp, v_ms))
    w_bp, w_ms = (np.sqrt(case.power) * w / np.linalg.norm(w) for w in (w_bp, w_ms))
    _, mismatch = conic.beamformer_mismatch(w_bp, w_ms, 0.3, case.power)
    best = mix_beamformers(w_bp, w_ms, 0.3, case.power)
    value = 0.3 * np.linalg.norm(best - w_bp) ** 2 + 0.7 * np.linalg.norm(best - w_ms) ** 2
    assert mismatch == pytest.approx(value, rel=1e-7)


def test_random_drops_are_all_certified() -> None:
    """Where L-BFGS stalls the ladder goes on; the worst-conditioned are judged again in 80 bits."""
    scenario, draws = drops(60)
    designs = design(scenario, draws, ["fdb-wcrb", "cpa-wcrb"], [0.0, 0.25, 0.5, 1.0])
    assert (designs.status == Status.CERTIFIED).all()
    assert designs.gap.max() <= 1e-6
    worst = np.argsort(designs.problem.bistatic.smallest_eigenvalue)[:2]
    for draw in worst:
        case = case_at(scenario, draws, int(draw))
        v = designs.beam_covariance("fdb-wcrb", 0.5)[draw]
        assert naive.extended_precision_gap(case, v, 0.5) < 1.1e-6


def test_a_draw_has_the_same_bits_in_any_company() -> None:
    scenario, draws = drops(12)
    together = design(scenario, draws, SCHEMES, [0.0, 0.3, 0.7, 1.0])
    for i in (0, 5, 11):
        alone = design(scenario, draws[i : i + 1], SCHEMES, [0.0, 0.3, 0.7, 1.0])
        for name in ("objective", "gap", "crb_clock", "crb_ms_target", "covariance", "iterations", "rank"):
            assert getattr(alone, name)[0].tobytes() == getattr(together, name)[i].tobytes(), (i, name)
    fewer = design(scenario, draws, ["fdb-wvm", "fdb-wcrb"], [0.0, 0.3, 0.7, 1.0])
    s, r = together.index("fdb-wcrb", 0.0)
    assert fewer.objective[:, 1, 0].tobytes() == together.objective[:, s, r].tobytes()


def test_rounding_estimate_foretells_the_error() -> None:
    side = np.array([20.0, 5.0]) / np.hypot(20.0, 5.0)
    for offset in (0.1, 0.01):
        case = case_of("paper-k2", m=64, targets=[list(np.array([-2.5, 10.0]) + offset * side), [5.0, 15.0]])
        problem = build_problem(*setup(case))
        v = naive_codebook.apa_covariance(case)
        truth = float(naive.extended_precision_gap(case, v, 1.0))
        error = abs((1.0 + certified_gap(problem, v, 1.0)[0]) / (1.0 + truth) - 1.0)
        assert error < 10.0 * problem.bistatic.rounding[0]


def test_two_targets_on_one_bearing_are_fine() -> None:
    found = design(Scenario(target_positions_m=((0.0, 10.0), (0.0, 15.0))), None, SCHEMES, RHO)
    assert found.problem.rank[0] == 4
    assert not np.isin(found.status, [Status.UNCERTIFIED, Status.FAILED]).any()


@pytest.mark.parametrize("method", ["eigen", "randomization"])
def test_recovery_with_too_few_slots(method: Any) -> None:
    scenario, draws = Scenario(subcarriers=64), fixed_draw(Scenario())
    designs = design(scenario, draws, ["fdb-wcrb", "apa"], [0.0, 0.5])
    beams, loss = recover_all(designs, 1, method, 2025, 0)
    assert beams.shape == (1, 2, 2, 8, 1)
    assert loss[0, 0, 0] >= -1e-6  # the optimum cannot be beaten by more than its gap
    again, _ = recover_all(designs, 1, method, 2025, 0)
    np.testing.assert_array_equal(beams, again)
    whole, none = recover_all(designs, 16, method, 2025, 0)
    assert (none == 0.0).all()
    np.testing.assert_allclose(whole[0, 1, 1] @ whole[0, 1, 1].conj().T, designs.covariance[0, 1, 1], atol=1e-12)


def test_randomization_is_no_worse_than_the_eigenbeam() -> None:
    designs = design(Scenario(subcarriers=64), None, ["fdb-wcrb", "cpa-wcrb", "apa"], [0.0])
    losses = [recover_all(designs, 1, method, 1, 0)[1] for method in ("eigen", "randomization")]
    assert (losses[1] <= losses[0]).all()


def test_what_cannot_be_is_refused() -> None:
    scenario = Scenario(subcarriers=8)
    w = np.ones((16, 2), complex)
    with pytest.raises(DesignError, match="Xi"):
        mix_beamformers(w, -w, 0.5, 1.0)
    with pytest.raises(DesignError, match="slots >= 8"):
        check_slots(scenario.replace(slots=7), ["fdb-wbf"])
    check_slots(scenario.replace(slots=7), ["fdb-wcrb", "fdb-wvm", "apa"])
    with pytest.raises(DesignError, match=r"\[0, 1\]"):
        design(scenario, rho=1.2)
    with pytest.raises(DesignError, match="unknown scheme 'fdb'"):
        design(scenario, schemes=["fdb"])
    with pytest.raises(DesignError, match="no scheme"):
        design(scenario, schemes=[])
    with pytest.raises(DesignError, match="one or more"):
        design(scenario, rho=[])
    with pytest.raises(DesignError, match="positive"):
        design(scenario, gap_tolerance=-1.0)
    with pytest.raises(DesignError, match="wbf_factor"):
        design(scenario, wbf_factor="foo")  # type: ignore[arg-type]
    problem = build_problem(scenario, fixed_draw(scenario))
    for v, reason in (
        (problem.power * np.eye(16), "more than the power"),
        (problem.power * np.diag([1.0, -0.5, *[0.0] * 14]), "semidefinite"),
        (np.full((16, 16), np.nan), "finite"),
    ):
        with pytest.raises(DesignError, match=reason):
            certified_gap(problem, v, 0.5)
    for custom, reason in (
        (np.eye(3), "must be"),
        (np.zeros((16, 16)), "no power"),
        (np.full((16, 16), np.nan), "finite"),
        (np.eye(16) + 0.1j * np.eye(16, k=1), "not Hermitian"),
        (np.diag(np.arange(16.0) - 1.0), "not positive"),
    ):
        with pytest.raises(DesignError, match=reason):
            design(scenario, rho=0.5, custom=custom)
    with pytest.raises(DesignError, match="there are fdb-wcrb"):
        design(scenario, schemes=["fdb-wcrb"], rho=0.5).beam_covariance("apa", 0.5)


def test_custom_covariance_is_judged_beside_the_schemes() -> None:
    scenario = Scenario(subcarriers=64)
    first = design(scenario, schemes=["fdb-wcrb"], rho=0.5)
    v = first.beam_covariance("fdb-wcrb", 0.5)[0]
    second = design(scenario, schemes=["fdb-wcrb"], rho=0.5, custom=3.0 * v)
    assert second.crb_bp[0, 1, 0] == pytest.approx(first.crb_bp[0, 0, 0], rel=1e-9)
    assert second.gap[0, 1, 0] == pytest.approx(first.gap[0, 0, 0], abs=1e-9)
    assert second.status[0, 1, 0] == Status.CLOSED_FORM
    turned = design(scenario, schemes=["custom", "fdb-wcrb"], rho=0.5, custom=np.eye(16))
    assert turned.schemes == ("custom", "fdb-wcrb")
    assert turned.gap[0, 0, 0] > 0.1 > turned.gap[0, 1, 0]


def test_beampattern_is_the_naive_one() -> None:
    designs = design(Scenario(subcarriers=64), None, ["fdb-wcrb"], 0.5)
    v = designs.beam_covariance("fdb-wcrb", 0.5)[0]
    angles = np.linspace(-1.5, 1.5, 7)
    expected = [naive.beampattern(v, angle) for angle in angles]
    np.testing.assert_allclose(designs.beampattern("fdb-wcrb", 0.5, angles)[0], expected, rtol=1e-10)


def test_gap_and_status_of_closed_forms(paper: tuple[naive.Case, Any]) -> None:
    _, designs = paper
    for scheme in ("fdb-wbf", "fdb-wvm", "cpa-wvm"):
        s = designs.schemes.index(scheme)
        assert (designs.status[0, s] == Status.CLOSED_FORM).all()
        assert np.isfinite(designs.gap[0, s, [0, 2]]).all()
        assert np.isnan(designs.gap[0, s, 1])
    assert np.isnan(designs.gap[0, designs.schemes.index("apa")]).all()


def test_draws_of_another_shape_are_refused() -> None:
    draws = fixed_draw(Scenario())
    assert isinstance(draws, Draws)
    with pytest.raises(TypeError, match="slice"):
        draws[0]  # type: ignore[index]
