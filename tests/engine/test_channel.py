"""Angles, delays and gains of every path."""

import naive
import numpy as np
from crbatch import channel_of
from engine_cases import case_of, drop_case, every_case, setup
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import GOLDEN

SEEDS = st.integers(0, 2**31)


@every_case
def test_channel_is_golden(name: str) -> None:
    golden, channel = GOLDEN[name]["channel"], channel_of(*setup(case_of(name)))
    for angles, reference in ((channel.aod, golden["aod_rad"]), (channel.aoa, golden["aoa_rad"])):
        assert np.all((angles > -np.pi) & (angles <= np.pi))
        np.testing.assert_allclose(np.exp(1j * angles[0]), np.exp(1j * np.array(reference)), rtol=0, atol=1e-7)
    np.testing.assert_allclose(channel.delay_bistatic[0], golden["delay_bistatic_s"], rtol=1e-7)
    np.testing.assert_allclose(channel.delay_monostatic[0], golden["delay_monostatic_s"], rtol=1e-7)
    np.testing.assert_allclose(np.abs(channel.gain_bistatic[0]), golden["gain_bistatic"], rtol=1e-7)
    np.testing.assert_allclose(np.abs(channel.gain_monostatic[0]), golden["gain_monostatic"], rtol=1e-7)


@given(seed=SEEDS)
@settings(max_examples=25)
def test_channel_is_the_naive_one(seed: int) -> None:
    case = drop_case(seed)
    channel, twin = channel_of(*setup(case)), naive.geometry(case)
    np.testing.assert_allclose(np.exp(1j * channel.aod[0]), np.exp(1j * twin.aod), rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.exp(1j * channel.aoa[0]), np.exp(1j * twin.aoa), rtol=0, atol=1e-14)
    np.testing.assert_allclose(channel.delay_bistatic[0], twin.delay_bistatic, rtol=1e-14)
    np.testing.assert_allclose(channel.delay_monostatic[0], twin.delay_monostatic, rtol=1e-14)
    np.testing.assert_allclose(channel.gain_bistatic[0], twin.gain_bistatic, rtol=1e-13)
    np.testing.assert_allclose(channel.gain_monostatic[0], twin.gain_monostatic, rtol=1e-13)
