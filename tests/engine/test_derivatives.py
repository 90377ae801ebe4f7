"""Derivatives of the channel matrices, written out."""

import naive
import numpy as np
import pytest
from crbatch import EngineError, channel_matrix, derivative_tensor
from engine_cases import case_of, every_case, links_of


@every_case
def test_derivative_tensors_and_channel_are_the_naive_ones(name: str) -> None:
    case = case_of(name, m=12)
    m = np.arange(1, 13)
    for (link, twin), channel in zip(links_of(case), (naive.channel_bistatic, naive.channel_monostatic), strict=True):
        tensor, reference = derivative_tensor(link)[0], twin.tensor(case, m)
        assert tensor.shape == reference.shape
        size = np.abs(reference).max(axis=(1, 2, 3), keepdims=True)
        np.testing.assert_allclose(tensor / size, reference / size, rtol=0, atol=1e-12)
        h = channel(case, m)
        np.testing.assert_allclose(channel_matrix(link)[0], h, rtol=0, atol=1e-12 * np.abs(h).max())


def test_derivatives_come_for_chosen_parameters_and_subcarriers() -> None:
    (bp, _), (ms, _) = links_of(case_of("paper-k2", m=20))
    for link in (bp, ms):
        whole = derivative_tensor(link)
        names = [link.parameters[-1], link.parameters[1], link.parameters[4]]
        part = derivative_tensor(link, names, [20, 3])
        where = [link.parameters.index(name) for name in names]
        np.testing.assert_array_equal(part, whole[:, where][:, :, [19, 2]])
        np.testing.assert_array_equal(channel_matrix(link, [7]), channel_matrix(link)[:, 6:7])


def test_parameters_and_subcarriers_that_do_not_exist_are_refused() -> None:
    link = links_of(case_of("paper-k2", m=20))[1][0]
    with pytest.raises(EngineError, match="no channel parameter 'tau0'"):
        derivative_tensor(link, ["tau0"])
    for wrong in ([0], [21], []):
        with pytest.raises(EngineError, match="from 1 to 20"):
            channel_matrix(link, wrong)
