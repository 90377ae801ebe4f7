"""Mixes of the extreme designs: as exact as their status says, and told how exact."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from crbatch import SCHEMES, DrawModel, Draws, Problem, Scenario, Status, average_designs, build_problem, design, sample
from crbatch.engine.beamforming import extremes, weighted
from crbatch.engine.beamforming.evaluation import Part
from crbatch.engine.beamforming.extremes import Extremes
from crbatch.engine.beamforming.mixes import LARGEST_ERROR, Mixer
from crbatch.engine.kernels.designs import extremes as kernels
from crbatch.engine.kernels.interior import covariances as interior
from crbatch.engine.kernels.interior import powers as interiorpowers
from engine_cases import DROPS, case_of, setup

MIXES: dict[str, Callable[[Mixer], Part]] = {
    "fdb-wbf": lambda mixer: mixer.factors("sqrt"),
    "fdb-wbf-aligned": lambda mixer: mixer.factors("aligned"),
    "fdb-wvm": lambda mixer: mixer.covariances(),
    "cpa-wbf": lambda mixer: mixer.powers(roots=True),
    "cpa-wvm": lambda mixer: mixer.powers(roots=False),
}
RHO = np.array([0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0])


def drops(count: int, seed: int = 3, **changes: Any) -> tuple[Scenario, Draws]:
    scenario = Scenario(subcarriers=64, **changes)
    return scenario, sample(scenario, DROPS, seed, 0, count)


@pytest.mark.parametrize("wbf_factor", ["sqrt", "eigen"])
def test_designs_do_not_depend_on_power_and_noise(wbf_factor: Any) -> None:
    """+10 dB divides every bound by exactly 10; designs are the same to the last bit."""
    scenario, draws = drops(16)
    quiet = design(scenario, draws, SCHEMES, RHO, wbf_factor=wbf_factor)
    for changes in ({"power_dbm": -10.0}, {"noise_figure_db": 0.0}, {"noise_psd_dbm_hz": -183.855}):
        loud = design(scenario.replace(**changes), draws, SCHEMES, RHO, wbf_factor=wbf_factor)
        np.testing.assert_array_equal(loud.covariance, quiet.covariance)
        for name in ("status", "gap", "mix_error", "rank", "iterations"):
            np.testing.assert_array_equal(getattr(loud, name), getattr(quiet, name))
        for name in ("crb_bp", "crb_ms", "objective", "crb_orientation", "crb_clock", "crb_map", "crb_ms_target"):
            np.testing.assert_allclose(getattr(loud, name), getattr(quiet, name) / 10.0, rtol=1e-14)


def test_the_draw_that_moved_with_the_power() -> None:
    """By 1.6 %, as its extremes' gap entered by its root."""
    scenario = Scenario()
    draws = sample(scenario, DROPS, 3, 13, 14)
    one, other = (design(scenario.replace(power_dbm=p), draws, ["cpa-wbf"], [0.75]) for p in (-20.0, -10.0))
    assert one.crb_bp[0, 0, 0] / other.crb_bp[0, 0, 0] == pytest.approx(10.0, rel=1e-14)


def test_average_designs_do_not_depend_on_power_and_noise() -> None:
    scenario, draws = drops(2)
    one, other = (average_designs(scenario.replace(power_dbm=p), draws, ["cpa-wcrb"], [0.5]) for p in (-20.0, -10.0))
    np.testing.assert_allclose(other.covariance, 10.0 * one.covariance, rtol=1e-12, atol=1e-20)


def test_mixes_do_not_move_with_the_tolerance() -> None:
    """Between gaps of 1e-6 and 1e-9 objectives moved by up to 7 % (cpa-wbf) and 0.6 % (fdb-wbf)."""
    scenario, draws = drops(256)
    loose, tight = (design(scenario, draws, tuple(MIXES), RHO, gap_tolerance=t) for t in (1e-6, 1e-9))
    moved = np.abs(loose.objective / tight.objective - 1.0)
    assert (moved <= loose.mix_error + tight.mix_error)[..., 1:-1].all()
    assert moved[..., [0, -1]].max() <= 1e-6
    certified = loose.status == Status.CLOSED_FORM
    assert certified.mean() > 0.99
    assert moved[certified].max() < LARGEST_ERROR
    assert (loose.mix_error[certified] <= LARGEST_ERROR).all()
    assert (loose.status[loose.mix_error > LARGEST_ERROR] == Status.UNCERTIFIED).all()


def test_mixes_are_formulas_of_the_optima_beside_them() -> None:
    scenario, draws = drops(8)
    found = design(scenario, draws, SCHEMES, RHO)
    bp, ms = (found.covariance[:, SCHEMES.index("fdb-wcrb"), r] for r in (-1, 0))
    p_bp, p_ms = (found.powers[:, SCHEMES.index("cpa-wcrb"), r] for r in (-1, 0))
    for r, rho in enumerate(RHO):
        wvm = found.covariance[:, SCHEMES.index("fdb-wvm"), r]
        np.testing.assert_allclose(wvm, rho * bp + (1.0 - rho) * ms, rtol=0.0, atol=1e-13)
        wvm = found.powers[:, SCHEMES.index("cpa-wvm"), r]
        np.testing.assert_allclose(wvm, rho * p_bp + (1.0 - rho) * p_ms, rtol=0.0, atol=1e-13)
        root = rho * np.sqrt(p_bp) + (1.0 - rho) * np.sqrt(p_ms)
        wbf = found.powers[:, SCHEMES.index("cpa-wbf"), r]
        np.testing.assert_allclose(wbf, root**2 / np.sum(root**2, axis=1, keepdims=True), rtol=0.0, atol=1e-13)


def objective(problem: Problem, mix: Part, rho: np.ndarray) -> np.ndarray:
    bp, ms = problem.bounds(mix.covariance)
    return np.asarray(rho * (bp[..., 0] + bp[..., 1]) + (1.0 - rho) * ms.sum(axis=-1))


def less_exact(problem: Problem, goal: float) -> dict[str, Extremes]:
    """Extremes whose gap is only as small as the goal."""
    rho, wanted = np.array([1.0, 0.0]), np.ones((len(problem.rank), 2), bool)
    nothing = np.zeros(wanted.shape)
    none = nothing.astype(int)
    x, before, _ = interior.interior_designs(problem.arrays, problem.apa, rho, wanted, interior.BRISK, goal)
    known = np.diagonal(before, axis1=2, axis2=3).any(axis=2)
    settled, *others = kernels.settled_covariances(problem.arrays, rho, x, before, wanted, 1e4)
    fdb = Extremes(settled, nothing, none, none, settled, np.stack(others, axis=2), known)
    p, last, _ = interiorpowers.interior_powers(problem.arrays, problem.apa, rho, wanted, goal)
    settled, *others = extremes._settled_powers(problem, p, last, wanted)
    return {
        "fdb": fdb,
        "cpa": Extremes(settled, nothing, none, none, settled, np.stack(others, axis=2), last.any(axis=2)),
    }


@pytest.mark.parametrize("goal", [1e-8, 1e-10])
def test_the_error_is_an_upper_bound(goal: float) -> None:
    """Of what extremes of a larger gap do to the objective of every mix, and not a thousand times as large."""
    problem, rho = build_problem(*drops(256)), RHO[1:-1]
    exact, rough = Mixer(problem, rho, 1e-6), Mixer(problem, rho, 1e-6)
    rough._found = less_exact(problem, goal)
    for scheme, mix in MIXES.items():
        reference, found = mix(exact), mix(rough)
        moved = np.abs(objective(problem, found, rho) / objective(problem, reference, rho) - 1.0)
        assert (moved <= found.mix_error + reference.mix_error).all(), scheme
        if scheme.startswith("fdb"):
            assert np.median(moved / found.mix_error) > 1e-3


def test_powers_that_are_not_unique_are_mixed_from_the_middle() -> None:
    """Two antennas and eight codewords: many powers make the same V, of which the analytic centre is one."""
    problem = build_problem(*setup(case_of("paper-k3", mt=2, m=64)))
    found = Mixer(problem, np.array([0.4]), 1e-6).powers(roots=True)
    assert found.mix_error[0, 0] < LARGEST_ERROR
    again = Mixer(problem, np.array([0.4]), 1e-4).powers(roots=True)
    np.testing.assert_allclose(again.powers, found.powers, atol=1e-6)


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_a_tighter_tolerance_is_never_worse(rho: float) -> None:
    """52 of 4,000 draws were; draw 2574 went from a gap of 5e-7 to 2.6e-2."""
    scenario = Scenario(subcarriers=64)
    draws = sample(scenario, DROPS, 3, 2450, 2706)
    problem, weights = build_problem(scenario, draws), np.array([rho])
    rounding = np.maximum(problem.bistatic.rounding, problem.monostatic.rounding)
    for solve in (weighted.solve_fdb, weighted.solve_cpa):
        before = np.full(len(draws), np.inf)
        for tolerance in (1e-6, 1e-7, 1e-8, 1e-9):
            gap = solve(problem, weights, tolerance).gap[:, 0]
            assert (gap <= np.maximum(before, tolerance))[rounding < 1e-6].all()
            before = np.maximum(gap, tolerance)
        assert (gap[rounding < 1e-11] <= 1e-9).all()


@pytest.mark.parametrize("targets", [14, 20])
def test_many_targets_are_certified(targets: int) -> None:
    rng = np.random.default_rng(1)
    places = tuple(zip(rng.uniform(-15, 15, targets).tolist(), rng.uniform(5, 25, targets).tolist(), strict=True))
    scenario = Scenario(subcarriers=64, target_positions_m=places)
    problem = build_problem(scenario, sample(scenario, DrawModel(), 1, 0, 8))
    found = weighted.solve_fdb(problem, np.array([1.0]), 1e-6)
    assert found.gap.max() <= 1e-6
    assert (found.solver == 1).mean() > 0.5  # the descent, which takes a hundredth of the interior point's time
