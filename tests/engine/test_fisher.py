"""Channel, derivatives and Fisher information: golden values, the naive twin, finite differences, laws."""

from collections.abc import Callable
from dataclasses import replace

import naive
import numpy as np
import pytest
from crbatch import (
    SPEED_OF_LIGHT,
    EngineError,
    Link,
    bistatic_link,
    channel_fim,
    channel_matrix,
    monostatic_link,
    position_fim,
)
from engine_cases import (
    case_of,
    draws_of,
    drop_case,
    every_case,
    fim_error,
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
PATHS = ("separable", "explicit")


def k_targets(count: int) -> dict[str, object]:
    """The paper's targets, cut or grown to a count."""
    places = ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0), (8.0, 12.0))
    return {"target_positions_m": places[:count], "target_rcs_m2": 100.0}


@pytest.mark.parametrize("path", PATHS)
@every_case
def test_position_fims_are_golden(name: str, path: str) -> None:
    case, golden = case_of(name), GOLDEN[name]
    v = golden_covariance(case)
    (bp, _), (ms, _) = links_of(case)
    assert fim_error(position_fim(bp, v, path)[0], np.array(golden["fim_position_bistatic"])) < 1e-7
    assert fim_error(position_fim(ms, v, path)[0], np.array(golden["fim_position_monostatic"])) < 1e-7


@pytest.mark.parametrize("path", PATHS)
@given(seed=SEEDS, targets=st.integers(0, 4), mt=st.integers(1, 9), m=st.integers(1, 40))
@settings(max_examples=25)
def test_fims_are_the_naive_ones(path: str, seed: int, targets: int, mt: int, m: int) -> None:
    case = drop_case(seed, subcarriers=m, tx_antennas=mt, rx_antennas=5, ue_antennas=4, **k_targets(targets))
    v = random_covariance(case, seed)
    for link, twin in links_of(case):
        # One antenna sees no angle: unit entries keep the measure finite.
        reference = naive.channel_fim(case, v, twin)
        silent = np.diag((np.diag(reference) == 0).astype(float))
        assert fim_error(channel_fim(link, v, path)[0] + silent, reference + silent) < 1e-11
        assert fim_error(position_fim(link, v, path)[0], naive.position_fim(case, v, twin)) < 1e-11


def _observation(case: Case, bistatic: bool) -> Callable[[Array], Array]:
    """channel_matrix of the engine as a function of the position parameters eta."""

    def at(eta: Array) -> Array:
        if bistatic:
            ue, phi, places, clock, gains = np.split(eta, [2, 3, 3 + 2 * case.k, 4 + 2 * case.k])
            moved = replace(case, ue=ue, phi=phi[0], targets=places.reshape(-1, 2), clock=clock[0])
        else:
            ue, places, gains = np.split(eta, [2, 2 + 2 * case.k])
            moved = replace(case, ue=ue, targets=places.reshape(-1, 2))
        real, imag = gains.reshape(2, 1, case.k + 1)
        build = bistatic_link if bistatic else monostatic_link
        return channel_matrix(replace(build(*setup(moved)), gain=real + 1j * imag))[0]

    return at


@pytest.mark.parametrize("bistatic", [True, False])
@every_case
def test_fims_are_those_of_the_observation(name: str, bistatic: bool) -> None:
    """Sixth-order differences of the engine's own channel: no derivative done by hand."""
    case = case_of(name, m=48)
    eta = naive.eta_bistatic(case) if bistatic else naive.eta_monostatic(case)
    steps = np.full(eta.size, 4e-3)  # m
    if bistatic:
        steps[2], steps[3 + 2 * case.k] = 1e-3, 2e-11  # rad, s
    gains = 2 * case.k + 2
    steps[-gains:] = np.abs(eta[-gains:]).max()
    observation, slopes = _observation(case, bistatic), []
    for direction in np.diag(steps):
        terms = [w * (observation(eta + s * direction) - observation(eta - s * direction))
                 for s, w in ((1, 45), (2, -9), (3, 1))]  # fmt: skip
        slopes.append(sum(terms) / (60 * direction.max()))
    v = golden_covariance(case)
    d = np.array(slopes)
    observed = 2 * case.pilots / case.noise_power * np.einsum("imrt,ut,jmru->ij", d.conj(), v, d).real
    link = links_of(case)[0 if bistatic else 1][0]
    assert fim_error(position_fim(link, v)[0], observed) < 1e-8


def _paths_agree(link: Link, v: Array) -> float:
    explicit = channel_fim(link, v, "explicit")
    return fim_error(channel_fim(link, v), explicit)


@given(seed=SEEDS, targets=st.integers(1, 3), m=st.sampled_from([1, 2, 3, 7, 64, 333, 1024]))
@settings(max_examples=15)
def test_separable_is_explicit(seed: int, targets: int, m: int) -> None:
    case = drop_case(seed, subcarriers=m, tx_antennas=6, rx_antennas=4, ue_antennas=3, **k_targets(targets))
    for link, _ in links_of(case):
        assert _paths_agree(link, random_covariance(case, seed)) < 1e-9


def _on_ellipse(ue: Array, bearing: float, length: float) -> tuple[float, float]:
    """The point at a bearing whose way from the origin and on to the UE has this length."""
    d = np.hypot(*ue)
    reach = (length**2 - d**2) / (2 * (length - d * np.cos(bearing - np.arctan2(ue[1], ue[0]))))
    return reach * np.cos(bearing), reach * np.sin(bearing)


@pytest.mark.parametrize("m", [64, 1024])
@pytest.mark.parametrize("difference", [0.0, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 3e-9, 1e-8])
def test_separable_is_explicit_at_nearly_equal_delays(difference: float, m: int) -> None:
    ue, extra = np.array([-5.0, 20.0]), difference * SPEED_OF_LIGHT
    sides = (_on_ellipse(ue, 1.2, 26.0), _on_ellipse(ue, 2.3, 26.0 + extra))
    rings = tuple((r * np.cos(a), r * np.sin(a)) for r, a in ((17.0, 1.2), (17.0 + extra / 2, 2.3)))
    for bistatic, places in ((True, sides), (False, rings)):
        case = case_of("paper-k2", m=m, targets=places, mt=8, mr=5, mu=5)
        link = links_of(case)[0 if bistatic else 1][0]
        assert link.delay[0, 2] - link.delay[0, 1] == pytest.approx(difference, abs=2e-21)
        assert _paths_agree(link, golden_covariance(case)) < 1e-9


@given(seed=SEEDS, targets=st.integers(0, 3), a=st.floats(0.01, 100.0), b=st.floats(0.01, 100.0))
@settings(max_examples=25)
def test_fims_are_linear_and_positive_semidefinite(seed: int, targets: int, a: float, b: float) -> None:
    case = drop_case(seed, **k_targets(targets))
    one, other = random_covariance(case, seed, 1), random_covariance(case, seed + 1, 3)
    for link, _ in links_of(case):
        for fim in (channel_fim, position_fim):
            both = a * fim(link, one) + b * fim(link, other)
            assert fim_error(fim(link, a * one + b * other), both) < 1e-11
            rank_one = fim(link, one)[0]
            np.testing.assert_array_equal(rank_one, rank_one.T)
            scale = 1 / np.sqrt(np.diag(rank_one))
            assert np.linalg.eigvalsh(rank_one * np.outer(scale, scale))[0] > -1e-12


def test_each_draw_of_a_batch_may_have_its_own_covariance() -> None:
    case = case_of("paper-k2", m=16)
    scenario, one = setup(case)
    two = replace(case, phase_bp=[0.1, 0.2, 0.3], ue=[-4.0, 21.0])
    batch = type(one)(
        **{key: np.concatenate((getattr(one, key), getattr(draws_of(two), key))) for key in vars(one) if key != "paths"}
    )
    v = np.stack((golden_covariance(case), random_covariance(case, 3)))
    for path in PATHS:
        fims = position_fim(bistatic_link(scenario, batch), v, path)
        for fim, single, beams in zip(fims, (case, two), v, strict=True):
            np.testing.assert_array_equal(fim, position_fim(links_of(single)[0][0], beams, path)[0])


@pytest.mark.parametrize(
    ("shape", "fill", "message"),
    [
        ((16, 15), 1.0, r"must be \(16, 16\)"),
        ((2, 16, 16), 1.0, r"or \(1, 16, 16\), one for each draw"),
        ((16, 16), np.nan, "not finite"),
    ],
)
def test_covariances_that_do_not_fit_are_refused(shape: tuple[int, ...], fill: float, message: str) -> None:
    link = links_of(case_of("paper-k2", m=2))[0][0]
    with pytest.raises(EngineError, match=message):
        channel_fim(link, np.full(shape, fill))
