"""Delay sums against a direct sum in extended precision, through every branch of the closed form."""

import naive
import numpy as np
import pytest
from crbatch.engine.kernels.model.delaysums import delay_sums
from hypothesis import given, settings
from hypothesis import strategies as st

BANDWIDTH = 120e6
# Around the switch from series to closed form, |pi W tau| = 2, and well inside each.
SWITCH = 2.0 / (np.pi * BANDWIDTH)
DIFFERENCES = [0.0, *(10.0**e for e in range(-15, -5)), 0.999 * SWITCH, SWITCH, 1.001 * SWITCH, 3.7e-8]


def _worst(difference: float, count: int, bandwidth: float = BANDWIDTH) -> float:
    """Largest error of the three sums at +-difference, against the sums without phases."""
    sums = delay_sums(np.array([[difference, 0.0]]), bandwidth / count, count)[0]
    errors = []
    for q in range(3):
        size = naive.delay_sum(q, 0.0, bandwidth, count).real
        errors.append(abs(sums[q, 0, 1] - naive.delay_sum(q, difference, bandwidth, count)) / size)
        errors.append(abs(sums[q, 1, 0] - naive.delay_sum(q, -difference, bandwidth, count)) / size)
        errors.append(abs(sums[q, 0, 0] - size) / size)
    return max(errors)


@pytest.mark.parametrize("count", [1, 2, 3, 64, 65, 1024])
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_delay_sums_are_direct_sums(difference: float, count: int) -> None:
    assert _worst(difference, count) < 1e-12


@pytest.mark.parametrize("count", [2, 7, 300, 1024])
@pytest.mark.parametrize("offset", [0.0, 1e-15, -1e-13, 1e-12, 1e-10, -1e-9, 2e-8])
def test_delay_sums_at_the_period_are_direct_sums(offset: float, count: int) -> None:
    """The subcarriers repeat after 1 / df, where the closed form is 0 / 0 as it is at 0."""
    for periods in (1, 2, -3):
        assert _worst(periods * count / BANDWIDTH + offset, count) < 1e-11


@given(
    difference=st.floats(-1e-5, 1e-5, allow_subnormal=False),
    count=st.integers(1, 200),
    bandwidth=st.floats(1e5, 1e9),
)
@settings(max_examples=40)
def test_delay_sums_hold_anywhere(difference: float, count: int, bandwidth: float) -> None:
    # Rounding of 2 pi df tau is amplified by the number of turns over the band.
    assert _worst(difference, count, bandwidth) < 1e-13 * (10 + bandwidth * abs(difference))


def test_swapping_the_paths_conjugates() -> None:
    sums = delay_sums(np.array([[1.07e-6, 1.09e-6, 1.0901e-6]]), BANDWIDTH / 1024, 1024)
    np.testing.assert_allclose(sums, sums.conj().swapaxes(2, 3), rtol=1e-14)


def test_one_picosecond_is_not_zero() -> None:
    """The difference that a cancelling form would lose: the phase slope of the sum itself."""
    sums = delay_sums(np.array([[1e-12, 0.0]]), BANDWIDTH / 1024, 1024)[0, :, 0, 1]
    assert sums[0].imag == pytest.approx(1e-12 * naive.delay_sum(1, 0.0, BANDWIDTH, 1024).real, rel=1e-6)
    assert sums[1].imag == pytest.approx(1e-12 * naive.delay_sum(2, 0.0, BANDWIDTH, 1024).real, rel=1e-6)
