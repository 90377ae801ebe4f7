"""Every door through which users' beams come in: covariances only, in whatever precision, else one line."""

from collections.abc import Callable
from typing import Any

import naive
import numpy as np
import pytest
from crbatch import (
    DesignError,
    Designs,
    EngineError,
    Scenario,
    Status,
    bistatic_bounds,
    bistatic_link,
    build_problem,
    certified_gap,
    certified_mean_gap,
    channel_fim,
    design,
    fixed_draw,
    link_bounds,
    mix_covariances,
    monostatic_bounds,
    monostatic_link,
    position_fim,
)
from crbatch.engine.covariances import checked_covariances, of_unit_size
from crbatch.engine.estimation import estimate
from engine_cases import case_of, drops, golden_covariance, setup

CASE = case_of("paper-k2", m=16)
SCENARIO, DRAWS = setup(CASE)
PROBLEM = build_problem(SCENARIO, DRAWS)
BP, MS = bistatic_link(SCENARIO, DRAWS), monostatic_link(SCENARIO, DRAWS)
DOORS: dict[str, Callable[[Any], Any]] = {
    "channel_fim": lambda v: channel_fim(BP, v),
    "channel_fim, explicit": lambda v: channel_fim(MS, v, "explicit"),
    "position_fim": lambda v: position_fim(BP, v),
    "position_fim, explicit": lambda v: position_fim(MS, v, "explicit"),
    "position_fim, one a draw": lambda v: position_fim(BP, np.asarray(v)[None]),
    "certified_gap": lambda v: certified_gap(PROBLEM, v, 0.5),
    "certified_gap, full": lambda v: certified_gap(PROBLEM, v, 0.5, "full"),
    "certified_mean_gap": lambda v: certified_mean_gap(PROBLEM, v, 0.5),
    "design": lambda v: design(SCENARIO, DRAWS, "apa", 0.5, custom=v),
    "design, one a rho": lambda v: design(SCENARIO, DRAWS, "apa", [0.1, 0.5], custom=np.stack((v, v))),
    "mix_covariances": lambda v: mix_covariances(v, np.eye(16), 0.5),
    "mix_covariances, second": lambda v: mix_covariances(np.eye(16), v, 0.5),
}


def beamformer(columns: int, seed: int = 3) -> np.ndarray:
    """W of full power."""
    z = np.random.default_rng(seed).standard_normal((2, 16, columns))
    w = z[0] + 1j * z[1]
    return np.sqrt(CASE.power) * w / np.linalg.norm(w)


def not_hermitian() -> np.ndarray:
    v = golden_covariance(CASE).copy()
    v[0, 1] *= 1.0 + 1e-5
    return v


def shifted(share: float) -> np.ndarray:
    """A covariance of rank 8, but for one eigenvalue of minus this share of the trace."""
    v = beamformer(8) @ beamformer(8).conj().T
    _, vectors = np.linalg.eigh(v)
    return v - share * np.trace(v).real * np.outer(vectors[:, 0], vectors[:, 0].conj())


REFUSED: dict[str, tuple[Any, str]] = {
    "W, square": (beamformer(16), r"is not Hermitian; for a beamformer W give V = W W\^H$"),
    "W, (16, 8)": (beamformer(8), r"must be \(16, 16\).*; got \(.*16, 8\); for a beamformer W give V = W W\^H$"),
    "real W": (beamformer(16).real, "is not Hermitian; for a beamformer"),
    "another size": (np.eye(15), r"must be \(16, 16\).*; got \(.*15, 15\)$"),
    "not Hermitian": (not_hermitian(), "is not Hermitian"),
    "antihermitian": (1j * golden_covariance(CASE), "is not Hermitian"),
    "negative": (-golden_covariance(CASE), "is not positive semidefinite|no power"),
    "indefinite": (CASE.power * np.diag([0.5, -0.1, *[0.0] * 14]), "is not positive semidefinite; for a beamformer"),
    "without trace": (CASE.power * np.diag([0.5, -0.5, *[0.0] * 14]), "is not positive semidefinite; for a beamformer"),
    "just indefinite": (shifted(2.6e-9), "is not positive semidefinite"),
    "indefinite in single precision": (shifted(1e-5).astype(np.complex64), "is not positive semidefinite"),
    "NaN": (np.full((16, 16), np.nan), "not finite"),
    "infinite": (np.diag([np.inf] * 16), "not finite"),
    "text": (np.full((16, 16), "1"), "give numbers"),
    "truth values": (np.eye(16, dtype=bool), "give numbers"),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_covariance_is_refused_in_one_line(door: str, what: str) -> None:
    v, message = REFUSED[what]
    if what == "another size" and door == "mix_covariances":
        message = r"v_ms must be \(15, 15\); got \(16, 16\)$"
    with pytest.raises(EngineError, match=message) as caught:
        DOORS[door](v)
    assert "\n" not in str(caught.value)


def numbers(answer: Any) -> np.ndarray:
    """What a door answers, a batch of designs by its covariances."""
    return np.asarray(answer.covariance if isinstance(answer, Designs) else answer)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("scale", [1e-12, 1e-6])
def test_covariances_pass(door: str, scale: float) -> None:
    """Of little power and of much, by lists, and with what rounding leaves of zero eigenvalues."""
    v = scale / CASE.power * golden_covariance(CASE)
    if "gap" in door:
        v = golden_covariance(CASE)
    found = DOORS[door](v)
    np.testing.assert_array_equal(numbers(DOORS[door](v.tolist())), numbers(found))
    for answer in (found, DOORS[door](shifted(1e-10))):
        assert np.isfinite(numbers(answer)).all()


def test_w_is_taken_as_v_of_w() -> None:
    """16 beams at random give metres or centimetres; taken as V, W would have given millimetres."""
    w = beamformer(16)
    v = w @ w.conj().T
    assert bistatic_bounds(position_fim(BP, v)).position[0] == pytest.approx(naive.crb_bistatic(CASE, v), rel=1e-9)
    assert monostatic_bounds(position_fim(MS, v)).position[0] == pytest.approx(naive.crb_monostatic(CASE, v), rel=1e-9)


def single(rank: int) -> tuple[np.ndarray, np.ndarray]:
    """V in double precision, and as it comes out of single precision: of full power within rounding."""
    w = beamformer(rank).astype(np.complex64)
    exact, rounded = w.astype(np.complex128), w @ w.conj().T
    # Some machines' BLAS leaves the two triangles different in single precision.
    return exact @ exact.conj().T, (rounded + rounded.conj().T) / np.float32(2.0)


@pytest.mark.parametrize("rank", [3, 8])
def test_single_precision_is_judged_by_its_own_precision(rank: int) -> None:
    exact, rounded = single(rank)
    assert rounded.dtype == np.complex64
    values = np.linalg.eigvalsh(rounded.astype(np.complex128)) / np.trace(rounded).real
    assert -1e-6 < values[0] < -1e-9  # more than double precision allows
    with pytest.raises(EngineError, match="not positive"):
        position_fim(BP, rounded.astype(np.complex128))
    for link, bounds, twin in (
        (BP, bistatic_bounds, naive.crb_bistatic),
        (MS, monostatic_bounds, naive.crb_monostatic),
    ):
        assert bounds(position_fim(link, rounded)).position[0] == pytest.approx(twin(CASE, exact), rel=1e-4)
    found = design(SCENARIO, DRAWS, "apa", 0.5, custom=rounded)
    assert found.objective[0, 1, 0] == pytest.approx(naive.objective(CASE, exact, 0.5), rel=1e-4)
    expected = naive.certified_gap(CASE, exact, 0.5)
    for cone in ("full", "reduced"):
        assert certified_gap(PROBLEM, rounded, 0.5, cone)[0] == pytest.approx(expected, rel=1e-4)  # type: ignore[arg-type]
    assert certified_mean_gap(PROBLEM, rounded, 0.5) == pytest.approx(expected, rel=1e-4)


def test_clipping_leaves_no_negative_eigenvalue_and_no_rounding_that_looks_like_rank() -> None:
    _, rounded = single(3)
    clipped = checked_covariances(rounded, 16)
    values = np.linalg.eigvalsh(clipped) / np.trace(clipped).real
    assert (np.abs(values) > 1e-12).sum() == 3
    assert values[0] > -1e-15
    np.testing.assert_array_equal(clipped, clipped.conj().T)
    double = checked_covariances(shifted(5e-10), 16)
    assert np.linalg.eigvalsh(double)[0] > -1e-15 * CASE.power
    each = checked_covariances(np.stack((rounded, np.eye(16, dtype=np.complex64))), 16, count=2, each="draw")
    np.testing.assert_allclose(each[0], clipped, rtol=0.0, atol=1e-15 * CASE.power)
    np.testing.assert_allclose(each[1], np.eye(16), rtol=0.0, atol=1e-15)


def test_one_beam_of_single_precision_tells_nothing_of_positions() -> None:
    """Its rounding would look like 15 more beams: a bound of metres in place of none."""
    _, rounded = single(1)
    assert np.isposinf(bistatic_bounds(position_fim(BP, rounded)).position[0])
    assert np.isposinf(design(SCENARIO, DRAWS, "apa", 0.5, custom=rounded).objective[0, 1, 0])


def test_power_is_checked_in_the_precision_that_is_given() -> None:
    exact, rounded = single(8)
    over = np.complex64(1.0 + 3e-7) * rounded
    assert np.trace(over).real > CASE.power * (1.0 + 1e-8)
    # Judged at full power, or the excess would pass for a smaller gap.
    assert certified_gap(PROBLEM, over, 0.5)[0] == pytest.approx(certified_gap(PROBLEM, exact, 0.5)[0], rel=1e-6)
    for v in (1.01 * rounded, exact * (1.0 + 1e-8), 1.01 * exact):
        with pytest.raises(EngineError, match="more than the power"):
            certified_gap(PROBLEM, v, 0.5)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-20, 1e200, 1e300])
def test_only_the_shape_of_custom_beams_counts(scale: float) -> None:
    v = golden_covariance(CASE)
    plain, scaled = (design(SCENARIO, DRAWS, "apa", 0.5, custom=v / CASE.power * s) for s in (1.0, scale))
    np.testing.assert_allclose(scaled.objective, plain.objective, rtol=1e-12)
    np.testing.assert_allclose(scaled.gap[0, 1], plain.gap[0, 1], rtol=1e-9)


def test_unit_size_changes_no_digit() -> None:
    w = np.stack((beamformer(3) * 1e200, beamformer(3) * 1e-200, np.zeros((16, 3))))
    unit = of_unit_size(w)
    largest = np.maximum(abs(unit.real), abs(unit.imag)).max(axis=(1, 2))
    assert ((largest[:2] >= 0.5) & (largest[:2] < 1.0)).all()
    assert largest[2] == 0.0
    for n in range(2):
        ratio = np.concatenate(((w[n].real / unit[n].real).ravel(), (w[n].imag / unit[n].imag).ravel()))
        assert (ratio == ratio[0]).all()
        assert np.frexp(ratio[0])[0] == 0.5


def test_one_beam_of_ones_own_is_no_failure() -> None:
    """CRB_BP is infinite there, and MS is not: nothing failed, so long as BP has no weight or the beams were given."""
    beam = naive.steering(16, 0.3)
    found = design(SCENARIO, DRAWS, ["fdb-wcrb", "apa"], [0.0, 0.5, 1.0], custom=np.outer(beam, beam.conj()))
    assert found.status[0, 2].tolist() == [Status.CLOSED_FORM] * 3
    assert np.isposinf(found.crb_bp[0, 2]).all()
    assert np.isfinite(found.objective[0, 2]).tolist() == [np.isfinite(found.crb_ms[0, 2, 0]), False, False]
    assert np.isposinf(found.objective[0, 2, 1:]).all()
    assert np.isposinf(found.gap[0, 2, 1:]).all()
    assert (found.status[0, :2] != Status.FAILED).all()


def test_custom_beams_of_a_draw_that_is_not_identifiable_stay_unidentifiable() -> None:
    nobody = case_of("paper-k2", m=16, targets=[], phase_bp=[0.1], phase_ms=[0.2], rcs=[])
    found = design(*setup(nobody), "apa", [0.0, 0.5], custom=np.eye(16))
    assert found.status[0].tolist() == [[Status.CLOSED_FORM, Status.UNIDENTIFIABLE]] * 2
    assert np.isnan(found.gap[0, 1, 1])


def test_factors_of_the_estimator_are_checked() -> None:
    scenario, draws = drops(2, subcarriers=4, tx_antennas=4)
    w = np.ones((2, 4, 3), complex)
    for factors, message in (
        (w[:1], r"factors must be \(2, 4, columns\); got \(1, 4, 3\)"),
        (w[0], "factors must be"),
        (w * np.nan, "factors has entries that are not finite"),
    ):
        with pytest.raises(EngineError, match=message):
            estimate(scenario, draws, factors, 1, 0)
    for seed, start in ((-1, 0), (1.5, 0), (1, -1), (1, "0")):
        with pytest.raises(EngineError, match=r"^(seed|start) = .* is refused"):
            estimate(scenario, draws, w, seed, start)  # type: ignore[arg-type]


def test_each_draw_is_judged_by_its_own_covariance() -> None:
    scenario, draws = drops(3)
    v = np.stack([np.eye(16)] * 3).astype(complex)
    v[2, 0, 0] = -1.0
    with pytest.raises(EngineError, match="not positive semidefinite"):
        position_fim(bistatic_link(scenario, draws), v)


def test_a_hermitian_beamformer_is_told_by_its_power() -> None:
    """0.83 mm came out for 166 mm: W = I sqrt(P_m / 16) is a covariance of 40,000 times the power."""
    scenario = Scenario()
    link = bistatic_link(scenario, fixed_draw(scenario))
    w = np.eye(16) * np.sqrt(scenario.power_per_subcarrier_w / 16)
    for give in (position_fim, channel_fim, link_bounds):
        with pytest.raises(DesignError, match=r"4e\+04 times the power of the scenario.* give V = W W\^H"):
            give(link, w)
    right = link_bounds(link, w @ w.conj().T).position[0]
    assert np.sqrt(right) == pytest.approx(0.166, abs=5e-4)
