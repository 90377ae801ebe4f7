"""Both links: names, Jacobians and scale."""

import numpy as np
import pytest
from engine_cases import case_of, every_case, links_of, scenario_of


@every_case
def test_jacobians_are_the_naive_ones(name: str) -> None:
    case = case_of(name)
    for link, twin in links_of(case):
        np.testing.assert_allclose(link.jacobian[0], twin.jacobian(case), rtol=1e-13, atol=0)


def test_names_follow_the_order_of_the_parameters() -> None:
    (bp, _), (ms, _) = links_of(case_of("paper-k2", m=2))
    assert bp.parameters[:4] == ("theta_B0", "theta_B1", "theta_B2", "theta_U0")
    assert bp.parameters[6:] == tuple(f"{kind}{k}" for kind in ("tau", "re_alpha", "im_alpha") for k in range(3))
    assert ms.parameters[3:] == tuple(f"{kind}{k}" for kind in ("eps", "re_beta", "im_beta") for k in range(3))


def test_the_noise_and_power_are_the_naive_ones() -> None:
    case = case_of("moved-ue-mt12")
    scenario = scenario_of(case)
    assert scenario.noise_power_w == pytest.approx(float(case.noise_power), rel=1e-14)
    assert scenario.power_per_subcarrier_w == pytest.approx(float(case.power), rel=1e-14)
