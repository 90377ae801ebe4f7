"""One's own beams, evaluated beside the schemes."""

import naive
import numpy as np
import pytest
from crbatch import DesignError, Scenario, design
from engine_cases import case_of, random_covariance, setup


def test_custom_covariances_are_scaled_to_full_power_and_bounded() -> None:
    """One for each weight, with power where the links do not look, in any unit."""
    case = case_of("moved-ue-mt12", m=64)
    v = np.array([random_covariance(case, seed, 3 + seed) for seed in range(3)])
    designs = design(*setup(case), ["apa"], [0.0, 0.5, 1.0], custom=v * np.array([1e-3, 1.0, 1e9])[:, None, None])
    assert designs.schemes == ("apa", "custom")
    for r, rho in enumerate((0.0, 0.5, 1.0)):
        assert designs.crb_bp[0, 1, r] == pytest.approx(naive.crb_bistatic(case, v[r]), rel=1e-7)
        assert designs.crb_ms[0, 1, r] == pytest.approx(naive.crb_monostatic(case, v[r]), rel=1e-7)
        assert designs.objective[0, 1, r] == pytest.approx(naive.objective(case, v[r], rho), rel=1e-7)
        assert designs.gap[0, 1, r] == pytest.approx(naive.certified_gap(case, v[r], rho), rel=1e-7)


def test_custom_of_the_wrong_count_is_refused() -> None:
    with pytest.raises(DesignError, match=r"\(3, 16, 16\)"):
        design(Scenario(subcarriers=4), None, ["apa"], [0.0, 0.5, 1.0], custom=np.ones((2, 16, 16)))
