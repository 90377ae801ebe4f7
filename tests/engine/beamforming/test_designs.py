"""Designs where geometry is poor or dimensions are few, closed forms there, batches in any order, custom beams."""

from dataclasses import replace
from typing import Any

import naive
import naive_codebook
import numpy as np
import pytest
from crbatch import SCHEMES, DesignError, Designs, Draws, Scenario, Solver, Status, design, fixed_draw
from engine_cases import case_at, case_of, drops, setup
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import svd

Array = np.ndarray
RHO = [0.0, 0.35, 0.8, 1.0]
OK, LOST, CLOSED = Status.CERTIFIED, Status.UNIDENTIFIABLE, Status.CLOSED_FORM
FIELDS = ("covariance", "crb_bp", "crb_ms", "objective", "crb_orientation", "crb_clock", "crb_map", "crb_ms_target",
          "gap", "status", "solver", "iterations", "rank", "factor", "powers")  # fmt: skip


def root(v: Array) -> Array:
    """Principal square root of a covariance."""
    values, vectors = np.linalg.eigh(v)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T


def eigenbeams(v: Array) -> Array:
    """Eigenvectors times root eigenvalues, downwards, the first antenna's entry real and positive."""
    values, vectors = np.linalg.eigh(v)
    values, vectors = values[::-1], vectors[:, ::-1]
    w = vectors * np.sqrt(np.where(values > 1e-9 * values.sum(), values, 0.0))
    return w * np.exp(-1j * np.angle(w[0]))


def mixed(w_bp: Array, w_ms: Array, rho: float, power: float) -> Array:
    """V of (16)."""
    xi = rho * w_bp + (1 - rho) * w_ms
    return power * xi @ xi.conj().T / np.linalg.norm(xi) ** 2


def turned(w_bp: Array, w_ms: Array) -> Array:
    """w_ms turned onto w_bp: orthogonal Procrustes."""
    left, _, right = svd(w_ms.conj().T @ w_bp)
    return w_ms @ left @ right


@pytest.mark.parametrize("antennas", [2, 5, 12])
def test_closed_forms_are_their_formulas_for_any_antennas(antennas: int) -> None:
    """Fewer antennas than columns, factors of unequal rank, every weight."""
    scenario, draws = drops(5, seed=9, tx_antennas=antennas)
    designs = design(scenario, draws, SCHEMES, RHO)
    eigen = design(scenario, draws, ["fdb-wbf"], RHO, wbf_factor="eigen")
    power = designs.problem.power
    p_bp, p_ms = (designs.powers[:, designs.schemes.index("cpa-wcrb"), r] for r in (3, 0))
    for d in range(len(draws)):
        case = case_at(scenario, draws, d)
        u = naive_codebook.codebook(case)
        u = np.concatenate((u[:, ::2], u[:, 1::2]), axis=1)
        v_bp, v_ms = (designs.beam_covariance("fdb-wcrb", rho)[d] for rho in (1.0, 0.0))
        for rho in RHO:
            amplitude = rho * np.sqrt(p_bp[d]) + (1 - rho) * np.sqrt(p_ms[d])
            expected = {
                "fdb-wvm": rho * v_bp + (1 - rho) * v_ms,
                "fdb-wbf": mixed(root(v_bp), root(v_ms), rho, power),
                "fdb-wbf-aligned": mixed(root(v_bp), turned(root(v_bp), root(v_ms)), rho, power),
                "cpa-wvm": power * (u * (rho * p_bp[d] + (1 - rho) * p_ms[d])) @ u.conj().T,
                "cpa-wbf": power * (u * (amplitude**2 / np.sum(amplitude**2))) @ u.conj().T,
                "apa": naive_codebook.apa_covariance(case),
            }
            for scheme, v in expected.items():
                found = designs.beam_covariance(scheme, rho)[d]
                np.testing.assert_allclose(found, v, rtol=0, atol=1e-6 * power, err_msg=scheme)
            v = mixed(eigenbeams(v_bp), eigenbeams(v_ms), rho, power)
            np.testing.assert_allclose(eigen.beam_covariance("fdb-wbf", rho)[d], v, rtol=0, atol=1e-6 * power)


def test_kept_factors_are_factors_of_the_covariance() -> None:
    designs = design(*drops(3), SCHEMES, RHO)
    for s, scheme in enumerate(designs.schemes):
        keeps = scheme in ("fdb-wbf", "fdb-wbf-aligned", "cpa-wbf")
        assert np.isfinite(designs.factor[:, s]).all() == keeps
        if keeps:
            w = designs.problem.expand_factor(designs.factor[:, s])
            for r, rho in enumerate(RHO):
                v = w[:, r] @ w[:, r].conj().swapaxes(1, 2)
                np.testing.assert_allclose(v, designs.beam_covariance(scheme, rho), atol=1e-12 * designs.problem.power)


@given(seed=st.integers(0, 2**31), rho=st.floats(0.01, 0.99))
@settings(max_examples=20)
def test_optima_are_ordered(seed: int, rho: float) -> None:
    """No scheme beats fdb-wcrb, none on the codebook beats cpa-wcrb, and the optimum is concave in rho."""
    weights = [0.0, 0.5 * rho, rho, 0.5 * (1 + rho), 1.0]
    designs = design(*drops(2, seed), SCHEMES, weights)
    best, codebook = (designs.objective[:, [designs.schemes.index(f"{name}-wcrb")]] for name in ("fdb", "cpa"))
    for s, scheme in enumerate(designs.schemes):
        floor = codebook if scheme.startswith("cpa") or scheme == "apa" else best
        assert np.all(designs.objective[:, [s]] >= floor * (1 - 2e-6))
    for optimum in (best[:, 0], codebook[:, 0]):
        assert np.all(optimum[:, 1] >= 0.5 * (optimum[:, 0] + optimum[:, 2]) * (1 - 2e-6))
        assert np.all(optimum[:, 3] >= 0.5 * (optimum[:, 2] + optimum[:, 4]) * (1 - 2e-6))


def _same(one: Designs, other: Designs, here: Any, there: Any) -> None:
    for name in FIELDS:
        assert getattr(one, name)[here].tobytes() == getattr(other, name)[there].tobytes(), name


def test_a_draw_has_the_same_bits_alone_reversed_and_in_a_batch() -> None:
    scenario, draws = drops(40, seed=2)
    together = design(scenario, draws, SCHEMES, RHO)
    backwards = Draws(**{name: value[::-1] for name, value in vars(draws).items() if name != "paths"})
    _same(together, design(scenario, backwards, SCHEMES, RHO), slice(None), slice(None, None, -1))
    for i in (0, 17, 39):
        _same(together, design(scenario, draws[i : i + 1], SCHEMES, RHO), i, 0)


def test_other_schemes_and_the_order_of_weights_do_not_matter() -> None:
    scenario, draws = drops(6, seed=2)
    together = design(scenario, draws, SCHEMES, RHO)
    for s, scheme in enumerate(SCHEMES):
        _same(together, design(scenario, draws, [scheme], RHO), (slice(None), s), (slice(None), 0))
    mixed_up = design(scenario, draws, SCHEMES[::-1], RHO[::-1])
    for r in range(len(RHO)):
        _same(together, mixed_up, (slice(None), slice(None), r), (slice(None), slice(None, None, -1), len(RHO) - 1 - r))


def test_other_weights_matter_within_the_tolerance() -> None:
    scenario, draws = drops(6, seed=2)
    together = design(scenario, draws, SCHEMES, RHO)
    for r, rho in enumerate(RHO):
        alone = design(scenario, draws, SCHEMES, rho)
        for s, scheme in enumerate(SCHEMES):
            # What is optimised lies within the certified gap; a mix of extremes moves with their root.
            rtol = 1e-6 if scheme.endswith("wcrb") or scheme == "apa" else 3e-3
            np.testing.assert_allclose(together.objective[:, s, r], alone.objective[:, s, 0], rtol=rtol)


def test_one_scenario_without_draws_has_zero_phases() -> None:
    scenario = Scenario(subcarriers=32)
    _same(design(scenario, None, SCHEMES, 0.5), design(scenario, fixed_draw(scenario), SCHEMES, 0.5), 0, 0)


def flags(designs: Designs) -> dict[str, list[int]]:
    return dict(zip(designs.schemes, designs.status[0].tolist(), strict=True))


LOST_BP: dict[str, dict[str, Any]] = {
    "no target": {"target_positions_m": ()},
    "one antenna": {"tx_antennas": 1},
    "target on the BS-UE segment": {"target_positions_m": ((-2.5, 10.0), (5.0, 15.0))},
}


@pytest.mark.parametrize("geometry", LOST_BP)
def test_without_bistatic_positioning_sensing_alone_is_designed(geometry: str) -> None:
    designs = design(Scenario(subcarriers=64, **LOST_BP[geometry]), None, SCHEMES, [0.0, 0.5, 1.0])
    assert not designs.problem.bistatic.identifiable[0]
    for scheme, status in flags(designs).items():
        assert status == [OK if scheme.endswith("wcrb") else CLOSED, LOST, LOST]
    for bound in (designs.crb_bp, designs.crb_orientation, designs.crb_clock, designs.objective[:, :, 1:]):
        assert np.isposinf(bound).all()
    assert np.isposinf(designs.crb_map).all()
    np.testing.assert_array_equal(designs.objective[:, :, 0], designs.crb_ms[:, :, 0])
    wcrb = [designs.schemes.index(name) for name in ("fdb-wcrb", "cpa-wcrb")]
    for name in ("crb_ms", "gap", "covariance"):
        values = getattr(designs, name)[0, wcrb]
        assert np.isfinite(values[:, 0]).all()
        assert np.isnan(values[:, 1:]).all()
    assert (designs.rank[0, wcrb, 1:] == -1).all()
    assert (designs.solver[0, wcrb, 1:] == Solver.NONE).all()
    assert (designs.iterations[0, wcrb, 1:] == -1).all()


def test_target_on_the_axis_of_the_array_costs_the_sensing_only() -> None:
    places = ((10.0, 0.0), (5.0, 15.0))
    designs = design(Scenario(subcarriers=64, target_positions_m=places), None, SCHEMES, [0.0, 0.5, 1.0])
    assert not designs.problem.monostatic.identifiable[0]
    np.testing.assert_array_equal(designs.problem.monostatic.bounded[0], [True, False, True, True, True, True])
    for scheme, status in flags(designs).items():
        assert status == [LOST, LOST, OK if scheme.endswith("wcrb") else CLOSED]
    assert np.isposinf(designs.crb_ms).all()
    assert np.isposinf(designs.objective[:, :, :2]).all()
    np.testing.assert_array_equal(designs.objective[:, :, 2], designs.crb_bp[:, :, 2])
    # The others are seen as ever.
    apa = designs.crb_ms_target[0, designs.schemes.index("apa"), 0]
    np.testing.assert_array_equal(np.isfinite(apa), [True, False, True])


@pytest.mark.parametrize("antennas", [2, 3, 7])
def test_few_antennas_are_designed_in_their_own_dimension(antennas: int) -> None:
    case = case_of("paper-k3", mt=antennas, m=64)
    designs = design(*setup(case), SCHEMES, [0.0, 0.4, 1.0])
    assert designs.problem.rank[0] == antennas
    for scheme, status in flags(designs).items():
        assert status == [OK if scheme.endswith("wcrb") else CLOSED] * 3
    for rho in (0.0, 0.4, 1.0):
        assert naive.certified_gap(case, designs.beam_covariance("fdb-wcrb", rho)[0], rho) < 1e-6


def test_one_target_makes_sensing_beams_of_rank_one() -> None:
    """A certified design for MS alone at which BP is unidentifiable: infinite beside finite, and no failure."""
    designs = design(Scenario(subcarriers=64, target_positions_m=((-10.0, 15.0),)), None, ["fdb-wcrb"], [0.0, 0.5])
    assert designs.rank[0, 0].tolist() == [1, 2]
    assert (designs.status == OK).all()
    np.testing.assert_array_equal(np.isposinf(designs.crb_bp[0, 0]), [True, False])
    assert np.isfinite(designs.objective).all()


def test_an_unidentifiable_draw_does_not_touch_its_neighbours() -> None:
    scenario = Scenario(subcarriers=64, target_positions_m=((-10.0, 15.0), (5.0, 15.0)))
    good = fixed_draw(scenario)
    places = np.concatenate((good.target_position, [[(-2.5, 10.0), (5.0, 15.0)]], good.target_position))
    three = Draws(**{name: np.concatenate([value] * 3) for name, value in vars(good).items() if name != "paths"})
    designs = design(scenario, replace(three, target_position=places), SCHEMES, RHO)
    alone = design(scenario, good, SCHEMES, RHO)
    _same(designs, alone, 0, 0)
    _same(designs, alone, 2, 0)
    assert (designs.status[1, :, 1:] == LOST).all()


@pytest.mark.parametrize("rho", [[-1e-9], [1.0 + 1e-9], [0.2, float("nan")], [[0.1, 0.2]]])
def test_weights_outside_the_unit_interval_are_refused(rho: Any) -> None:
    with pytest.raises(DesignError, match=r"weights in \[0, 1\]"):
        design(Scenario(subcarriers=4), rho=rho)


@pytest.mark.parametrize(("scheme", "columns"), [("fdb-wbf", 5), ("fdb-wbf-aligned", 5), ("cpa-wbf", 8)])
def test_factors_of_more_columns_than_slots_are_refused(scheme: str, columns: int) -> None:
    """FDB's factors have as many columns as the reduced basis, CPA's one for each codeword."""
    scenario = Scenario(subcarriers=4, tx_antennas=5)
    message = rf"{scheme} mixes beamformers of {columns} columns, but there are only {columns - 1} slots; .*{columns}"
    with pytest.raises(DesignError, match=message):
        design(scenario.replace(slots=columns - 1), schemes=[scheme])
    assert design(scenario.replace(slots=columns), schemes=[scheme]).status[0, 0, 0] == CLOSED


@pytest.mark.parametrize("scheme", ["fdb-wcrb", "cpa-wbf"])
def test_beampattern_of_a_batch_is_the_naive_one(scheme: str) -> None:
    scenario, draws = drops(3)
    designs = design(scenario, draws, [scheme], [0.0, 0.5])
    angles = np.linspace(-np.pi / 2, np.pi / 2, 9)
    patterns = designs.beampattern(scheme, 0.5, angles)
    assert patterns.shape == (3, 9)
    for pattern, v in zip(patterns, designs.beam_covariance(scheme, 0.5), strict=True):
        np.testing.assert_allclose(pattern, [naive.beampattern(v, a) for a in angles], rtol=1e-9)
