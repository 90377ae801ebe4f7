"""Bounds: golden values, the naive twin, the laws they obey, and when they are infinite."""

from dataclasses import replace

import naive
import naive_codebook
import numpy as np
import pytest
from crbatch import EngineError, bistatic_bounds, build_problem, design, equivalent_fim, monostatic_bounds, position_fim
from crbatch.engine.crb import BistaticBounds, MonostaticBounds
from engine_cases import (
    case_of,
    drop_case,
    every_case,
    golden_covariance,
    links_of,
    random_covariance,
    setup,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Case
from repository import GOLDEN

Array = np.ndarray
SEEDS = st.integers(0, 2**31)
WELL = st.integers(0, 10**6)  # of geometries near the paper's


def bounds_of(case: Case, v: Array) -> tuple[BistaticBounds, MonostaticBounds]:
    (bp, _), (ms, _) = links_of(case)
    return bistatic_bounds(position_fim(bp, v)), monostatic_bounds(position_fim(ms, v))


def near_paper(seed: int, **changes: object) -> Case:
    """The paper's places moved by a metre or so, with random phases and orientation: well conditioned."""
    random = np.random.default_rng(seed)
    case = case_of("paper-k2", m=32)
    return replace(
        case,
        ue=case.ue + random.uniform(-1, 1, 2),
        targets=case.targets + random.uniform(-1, 1, (2, 2)),
        phi=float(random.uniform(1.4, 2.2)),
        phase_bp=random.uniform(-np.pi, np.pi, 3),
        phase_ms=random.uniform(-np.pi, np.pi, 3),
        **changes,
    )


@every_case
def test_bounds_are_golden(name: str) -> None:
    case, test = case_of(name), GOLDEN[name]["test_beamformer_crb"]
    bp, ms = bounds_of(case, golden_covariance(case))
    assert bp.position[0] == pytest.approx(test["bistatic_m2"], rel=1e-7)
    assert ms.position[0] == pytest.approx(test["monostatic_m2"], rel=1e-7)
    np.testing.assert_allclose(ms.targets[0], test["monostatic_per_target_m2"], rtol=1e-7)


@every_case
def test_apa_is_golden(name: str) -> None:
    apa = GOLDEN[name]["apa_crb"]
    designs = design(*setup(case_of(name)), schemes=["apa"], rho=[0.0, 0.4, 1.0])
    np.testing.assert_allclose(designs.crb_bp[0, 0], apa["bistatic_m2"], rtol=1e-7)
    np.testing.assert_allclose(designs.crb_ms[0, 0], apa["monostatic_m2"], rtol=1e-7)
    expected = 0.4 * apa["bistatic_m2"] + 0.6 * apa["monostatic_m2"]
    assert designs.objective[0, 0, 1] == pytest.approx(expected, rel=1e-7)


@given(seed=WELL, rank=st.integers(2, 16))
@settings(max_examples=25)
def test_bounds_are_the_naive_ones(seed: int, rank: int) -> None:
    case = near_paper(seed)
    v = random_covariance(case, seed, rank)
    bp, ms = bounds_of(case, v)
    assert bp.position[0] == pytest.approx(naive.crb_bistatic(case, v), rel=1e-7)
    assert bp.orientation[0] == pytest.approx(naive.crb_orientation(case, v), rel=1e-7)
    assert bp.clock[0] == pytest.approx(naive.crb_clock(case, v), rel=1e-7)
    np.testing.assert_allclose(bp.targets[0], naive.crb_mapping(case, v), rtol=1e-7)
    assert ms.position[0] == pytest.approx(naive.crb_monostatic(case, v), rel=1e-7)
    np.testing.assert_allclose(ms.targets[0], naive.crb_monostatic_target(case, v), rtol=1e-7)


@given(seed=SEEDS, times=st.floats(1e-3, 1e3))
@settings(max_examples=30)
def test_bounds_have_degree_minus_one(seed: int, times: float) -> None:
    case = drop_case(seed)
    v = random_covariance(case, seed)
    for one, scaled in zip(bounds_of(case, v), bounds_of(case, times * v), strict=True):
        for key, value in vars(one).items():
            np.testing.assert_allclose(vars(scaled)[key] * times, value, rtol=1e-5)


def _turned(case: Case, angle: float, shift: Array) -> Case:
    """The whole scene turned about the origin, then moved: places, the BS's broadside and the UE's, at -phi."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return replace(
        case,
        bs=turn @ case.bs + shift,
        ue=turn @ case.ue + shift,
        targets=[turn @ place + shift for place in case.targets],
        bs_broadside=case.bs_broadside + angle,
        phi=case.phi - angle,
    )


@given(seed=WELL, angle=st.floats(-4.0, 4.0), x=st.floats(-500, 500), y=st.floats(-500, 500))
@settings(max_examples=30)
def test_bounds_do_not_change_when_the_scene_is_turned_and_moved(seed: int, angle: float, x: float, y: float) -> None:
    case = near_paper(seed)
    v = random_covariance(case, seed, 4)
    moved = _turned(case, angle, np.array([x, y]))
    for one, other in zip(bounds_of(case, v), bounds_of(moved, v), strict=True):
        for key, value in vars(one).items():
            np.testing.assert_allclose(vars(other)[key], value, rtol=1e-7)


def test_turning_the_user_alone_changes_the_bound() -> None:
    """Else the invariance above would say nothing about the orientation."""
    case = near_paper(1)
    v = random_covariance(case, 1)
    one, other = (bounds_of(replace(case, phi=case.phi + turn), v)[0].position[0] for turn in (0.0, 0.2))
    assert abs(one / other - 1) > 1e-3


@given(seed=WELL, keep=st.integers(1, 9))
@settings(max_examples=30)
def test_equivalent_fim_inverts_to_the_block_of_the_inverse(seed: int, keep: int) -> None:
    case = near_paper(seed)
    v = random_covariance(case, seed)
    for link, _ in links_of(case):
        fim = position_fim(link, v)
        scale = 1 / np.sqrt(np.diag(fim[0]))[:keep]
        block = np.linalg.inv(equivalent_fim(fim, keep)[0] * np.outer(scale, scale)) * np.outer(scale, scale)
        reference = naive.inverse(fim[0])[:keep, :keep]
        root = np.sqrt(np.diag(reference))
        np.testing.assert_allclose(block / np.outer(root, root), reference / np.outer(root, root), atol=1e-7)


@given(seed=SEEDS, rank=st.integers(1, 3))
@settings(max_examples=30)
def test_more_power_never_hurts(seed: int, rank: int) -> None:
    """In Loewner order for the FIMs, plain and equivalent, and so for every bound."""
    case = near_paper(seed)
    v = random_covariance(case, seed)
    more = v + 0.3 * random_covariance(case, seed + 1, rank)
    for link, _ in links_of(case):
        less, full = position_fim(link, v)[0], position_fim(link, more)[0]
        for a, b in ((less, full), (equivalent_fim(less, 4), equivalent_fim(full, 4))):
            scale = 1 / np.sqrt(np.diag(b))
            assert np.linalg.eigvalsh((b - a) * np.outer(scale, scale))[0] > -1e-10
    for one, other in zip(bounds_of(case, v), bounds_of(case, more), strict=True):
        for key, value in vars(one).items():
            assert np.all(vars(other)[key] <= value * (1 + 1e-9))


@given(seed=SEEDS)
@settings(max_examples=25)
def test_whitened_bounds_are_those_of_the_plain_fim(seed: int) -> None:
    case = near_paper(seed) if seed % 2 else drop_case(seed)
    designs = design(*setup(case), schemes=["apa", "fdb-wcrb"], rho=[0.5])
    problem = designs.problem
    smallest = min(problem.bistatic.smallest_eigenvalue[0], problem.monostatic.smallest_eigenvalue[0])
    # The plain FIM loses as many digits as its condition number has; the whitened one only half of them.
    rtol = 1e-11 + 1e-13 / smallest
    for s, scheme in enumerate(designs.schemes):
        bp, ms = bounds_of(case, designs.beam_covariance(scheme, 0.5))
        for found, plain in (
            (designs.crb_bp, bp.position),
            (designs.crb_orientation, bp.orientation),
            (designs.crb_clock, bp.clock),
            (designs.crb_map, bp.targets),
            (designs.crb_ms, ms.position),
            (designs.crb_ms_target, ms.targets),
        ):
            np.testing.assert_allclose(found[:, s, 0], plain, rtol=rtol)


def test_conditioning_at_apa_is_the_naive_one() -> None:
    case = case_of("paper-k3", m=64)
    problem, v = build_problem(*setup(case)), naive_codebook.apa_covariance(case)
    for link, twin in ((problem.bistatic, naive.BISTATIC), (problem.monostatic, naive.MONOSTATIC)):
        reference = naive.conditioning(naive.position_fim(case, v, twin))
        assert link.smallest_eigenvalue[0] == pytest.approx(reference, rel=1e-6)
        assert link.identifiable[0]
        assert link.bounded.all()
        assert link.blur.max() < 1e-13
        assert 0 < link.rounding[0] < 1e-8


def test_without_information_on_a_parameter_all_bounds_are_infinite() -> None:
    """One UE antenna sees no angle, so the orientation stays unknown."""
    case = case_of("moved-ue-mt12", m=16, mu=1)
    bp, ms = bounds_of(case, random_covariance(case, 1))
    for value in vars(bp).values():
        assert np.all(np.isposinf(value))
    assert np.isfinite(ms.position).all()


def test_without_power_all_bounds_are_infinite() -> None:
    case = case_of("paper-k2", m=4)
    for each in bounds_of(case, np.zeros((16, 16))):
        for value in vars(each).values():
            assert np.all(np.isposinf(value))


def test_the_rule_for_infinite_bounds() -> None:
    """Rounding of the FIM's entries leaves nothing of a bound; how large it is does not matter."""
    fim = np.eye(4)
    assert monostatic_bounds(fim).position[0] == 2.0
    for scale in (1e300, 1e-13, 1e-30):
        assert monostatic_bounds(scale * fim).position[0] == pytest.approx(2.0 / scale)
    for offset, infinite in ((1e-16, True), (1e-15, True), (1e-12, False)):
        near = np.eye(4)
        near[0, 1] = near[1, 0] = 1 - offset
        assert np.isposinf(monostatic_bounds(near).position[0]) == infinite
        # What is lost of others does not touch it.
        assert monostatic_bounds(near[::-1, ::-1]).position[0] == pytest.approx(2.0, rel=1e-12)


def test_bounds_of_a_batch_do_not_touch_each_other() -> None:
    case = case_of("paper-k2", m=16)
    good = position_fim(links_of(case)[0][0], golden_covariance(case))
    both = bistatic_bounds(np.concatenate((good, np.zeros_like(good), np.full_like(good, np.nan), good)))
    np.testing.assert_array_equal(np.isfinite(both.position), [True, False, False, True])
    assert both.position[0] == both.position[3] == bistatic_bounds(good[0]).position[0]


@pytest.mark.parametrize("shape", [(13, 13), (2, 14, 13), (4, 4), (1, 1, 14, 14)])
def test_fims_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match=r"p = 4 K \+ 6"):
        bistatic_bounds(np.ones(shape))


def test_monostatic_fims_of_another_shape_are_refused() -> None:
    with pytest.raises(EngineError, match=r"p = 4 K \+ 4"):
        monostatic_bounds(np.eye(14))
