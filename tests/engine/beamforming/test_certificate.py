"""The certificate: the naive one on any V and both cones, what it bounds, and every rung of the ladder meeting it."""

from typing import Any

import naive
import naive_codebook
import numpy as np
import pytest
from crbatch import (
    DesignError,
    Designs,
    DrawModel,
    Draws,
    Problem,
    Scenario,
    Solver,
    Status,
    build_problem,
    certified_gap,
    design,
    sample,
)
from crbatch.engine.beamforming import weighted
from crbatch.engine.kernels.designs import cleaning
from engine_cases import case_at, case_of, drop_case, drops, random_covariance, setup
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**31)
RHO = [0.0, 0.25, 0.5, 0.75, 1.0]
PLACES = ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0))


@pytest.fixture(scope="module")
def many() -> tuple[Scenario, Draws, Designs]:
    """Hundred random geometries, some of which stall L-BFGS, one nearly unidentifiable."""
    scenario, draws = drops(100, seed=2)
    return scenario, draws, design(scenario, draws, ["fdb-wcrb", "cpa-wcrb"], RHO)


def _powers(designs: Designs, draw: int, r: int) -> np.ndarray:
    """cpa-wcrb's powers in W, in the order of the naive codebook."""
    shares = designs.powers[draw, designs.schemes.index("cpa-wcrb"), r]
    return designs.problem.power * shares.reshape(2, -1).T.ravel()


@given(seed=SEEDS, rho=st.floats(0, 1), mt=st.integers(2, 10), targets=st.integers(1, 3), rank=st.integers(1, 10))
@settings(max_examples=40)
def test_gap_of_any_covariance_is_the_naive_one(seed: int, rho: float, mt: int, targets: int, rank: int) -> None:
    """Also with fewer antennas than columns; the part of V outside span(B) only costs power."""
    case = drop_case(seed, tx_antennas=mt, target_positions_m=PLACES[:targets])
    problem, v = build_problem(*setup(case)), random_covariance(case, seed, max(rank, min(mt, 3)))
    expected = naive.certified_gap(case, v, rho)
    rounding = 1e-9 + 100 * max(problem.bistatic.rounding[0], problem.monostatic.rounding[0])
    assert certified_gap(problem, v, rho)[0] == pytest.approx(expected, rel=rounding + 1e-12 / _smallest(problem))
    full = certified_gap(problem, v, rho, "full")[0]
    assert certified_gap(problem, v, rho)[0] == pytest.approx(full, rel=1e-9)


def _smallest(problem: Problem) -> float:
    return float(min(problem.bistatic.smallest_eigenvalue[0], problem.monostatic.smallest_eigenvalue[0]))


@pytest.mark.parametrize("places", [((0.0, 10.0), (0.0, 15.0)), ((0.0, 10.0), (1e-5, 15.0))])
@pytest.mark.parametrize("rho", [0.0, 0.6, 1.0])
def test_gap_with_targets_on_one_bearing_is_the_naive_one(places: tuple[Any, ...], rho: float) -> None:
    """B loses columns, exactly or nearly."""
    case = case_of("paper-k2", m=32, targets=places)
    problem, v = build_problem(*setup(case)), random_covariance(case, 5)
    expected = naive.certified_gap(case, v, rho)
    for cone in ("reduced", "full"):
        assert certified_gap(problem, v, rho, cone)[0] == pytest.approx(expected, rel=1e-7)  # type: ignore[arg-type]


@pytest.mark.slow("many designs")
def test_gap_bounds_the_distance_from_the_optimum() -> None:
    scenario, draws = drops(6)
    best = design(scenario, draws, ["fdb-wcrb"], [0.4])
    for seed in range(5):
        for draw in range(6):
            case = case_at(scenario, draws, draw)
            v = random_covariance(case, seed, 6)
            excess = naive.objective(case, v, 0.4) / best.objective[draw, 0, 0] - 1
            assert certified_gap(best.problem.draw(draw), v, 0.4)[0] > excess > 0


def test_less_power_shows_in_the_gap() -> None:
    case = case_of("paper-k2", m=32)
    designs = design(*setup(case), ["fdb-wcrb"], 0.5)
    v = designs.beam_covariance("fdb-wcrb", 0.5)
    assert certified_gap(designs.problem, v, 0.5)[0] < 1e-6
    # f(V / 2) = 2 f(V) and the slope is four times as large.
    assert certified_gap(designs.problem, v / 2, 0.5)[0] == pytest.approx(1.0, abs=1e-5)


def test_gap_of_a_singular_design_is_infinite_and_of_an_unidentifiable_draw_nan() -> None:
    case = case_of("paper-k2", m=32)
    problem, beam = build_problem(*setup(case)), naive.steering(case.mt, 0.3)
    assert np.isposinf(certified_gap(problem, case.power / case.mt * np.outer(beam, beam.conj()), 0.5)[0])
    nobody = case_of("paper-k2", m=32, targets=[], phase_bp=[0.1], phase_ms=[0.2], rcs=[])
    problem, v = build_problem(*setup(nobody)), random_covariance(nobody, 1)
    for cone in ("reduced", "full"):
        assert np.isnan(certified_gap(problem, v, 0.5, cone)[0])  # type: ignore[arg-type]
        expected = naive.certified_gap(nobody, v, 0.0)
        assert certified_gap(problem, v, 0.0, cone)[0] == pytest.approx(expected, rel=1e-9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("v", "rho", "message"),
    [
        (np.eye(15), 0.5, r"\(16, 16\)"),
        (np.ones((2, 16, 16)), 0.5, "one for each draw"),
        (np.triu(np.ones((16, 16))), 0.5, "not Hermitian"),
        (1j * np.eye(16), 0.5, "not Hermitian"),
        (np.eye(16), 1.01, r"weight in \[0, 1\]"),
        (np.eye(16), float("nan"), r"weight in \[0, 1\]"),
    ],
)
def test_what_cannot_be_judged_is_refused(v: np.ndarray, rho: float, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        certified_gap(build_problem(*setup(case_of("paper-k2", m=4))), v, rho)


def test_every_random_drop_is_certified(many: tuple[Scenario, Draws, Designs]) -> None:
    _, _, designs = many
    assert (designs.status == Status.CERTIFIED).all()
    assert designs.gap.max() <= 1e-6
    # Else this batch would not show that the ladder is needed.
    assert (designs.solver == Solver.INTERIOR).any()
    assert (designs.solver == Solver.LBFGS).mean() > 0.95
    assert (designs.rank[:, 0] <= 8).all()


def test_gaps_are_those_of_the_expanded_designs(many: tuple[Scenario, Draws, Designs]) -> None:
    """On both cones, from V in W, for every draw."""
    _, _, designs = many
    for r, rho in enumerate(RHO):
        v = designs.beam_covariance("fdb-wcrb", rho)
        np.testing.assert_allclose(np.trace(v, axis1=1, axis2=2).real, designs.problem.power, rtol=1e-12)
        np.testing.assert_allclose(certified_gap(designs.problem, v, rho), designs.gap[:, 0, r], rtol=0, atol=1e-8)
        full = certified_gap(designs.problem, v, rho, "full")
        np.testing.assert_allclose(full, designs.gap[:, 0, r], rtol=0, atol=1e-8)


@pytest.mark.slow("extended precision")
def test_extended_precision_confirms_the_worst_drops(many: tuple[Scenario, Draws, Designs]) -> None:
    scenario, draws, designs = many
    for draw in np.argsort(designs.problem.bistatic.smallest_eigenvalue)[:3]:
        case = case_at(scenario, draws, int(draw))
        for r, rho in ((0, 0.0), (2, 0.5), (4, 1.0)):
            v = designs.beam_covariance("fdb-wcrb", rho)[draw]
            assert naive.extended_precision_gap(case, v, rho) < 2e-6
            precise = naive.replace(case, real=np.longdouble)
            assert naive_codebook.certified_gap_cpa(precise, _powers(designs, draw, r), rho) < 2e-6
            bound = naive.objective(precise, v, rho)
            assert designs.objective[draw, 0, r] == pytest.approx(bound, rel=2e-6)


def test_a_cleaned_design_has_its_own_gap_whatever_its_neighbours_needed() -> None:
    """Side by side: one that bears the roughest cut in rank, and one that would lose a target by it."""
    scenario = Scenario(subcarriers=64, tx_antennas=256)
    problem = build_problem(scenario, sample(scenario, DrawModel(), 4, 0, 2))
    powers = np.ones((2, 1, 8))
    powers[0, 0, 7] = powers[1, 0, [1, 5]] = 3e-5  # between the first two cuts
    x = problem.covariance_of_powers(powers / powers.sum(axis=2, keepdims=True))
    lost = np.where(powers < 1e-3, 0.0, powers)
    without = problem.covariance_of_powers(lost / lost.sum(axis=2, keepdims=True))

    def gaps(at: np.ndarray, clean: bool, tolerance: float) -> np.ndarray:
        wanted = np.ones((2, 1), bool)
        return cleaning.certified_covariances(
            problem.arrays, np.array([0.5]), at, cleaning.NO_POINTS, 0, wanted, clean, tolerance, weighted.CLEANING
        )

    kept, dropped = gaps(x, False, 0.0)[1, 0], gaps(without, False, 0.0)[1, 0]
    tolerance = min(np.sqrt(kept * dropped), 10 * kept)
    assert gaps(without, False, 0.0)[0, 0] < tolerance < dropped
    cleaned = gaps(x, True, tolerance)
    assert (np.linalg.eigvalsh(x[:, 0]) > 1e-9).sum(axis=1).tolist() == [7, 8]
    assert cleaned.tobytes() == gaps(x, False, 0.0).tobytes()
