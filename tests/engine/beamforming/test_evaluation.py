"""What designs give: bounds, gaps and statuses by name."""

import numpy as np
import pytest
from crbatch import SCHEMES, Scenario, Status, design

RHO = [0.0, 0.3, 1.0]


@pytest.mark.parametrize("offset", [0.02, 0.03, 0.05])
def test_rounding_above_the_tolerance_is_uncertified_by_name(offset: float) -> None:
    """A target beside the BS-UE segment: nearly the line of sight's angles and delay."""
    side = np.array([20.0, 5.0]) / np.hypot(20.0, 5.0)
    place = tuple(float(x) for x in np.array([-2.5, 10.0]) + offset * side)
    found = design(Scenario(target_positions_m=(place, (5.0, 15.0))), None, ["fdb-wcrb", "apa"], [0.0, 0.5])
    rounding = found.problem.bistatic.rounding[0]
    assert found.status[0, 0, 0] == Status.CERTIFIED  # MS alone is not affected
    assert (found.status[0, 0, 1] == Status.UNCERTIFIED) == (rounding > 1e-6)


def test_unidentifiable_links_have_infinite_bounds_and_flags() -> None:
    nobody = design(Scenario(target_positions_m=()), None, ["fdb-wcrb", "fdb-wvm", "apa"], RHO)
    assert nobody.status[0].tolist() == [[0, 2, 2], [4, 2, 2], [4, 2, 2]]
    assert np.isinf(nobody.crb_bp).all()
    assert np.isinf(nobody.objective[:, :, 1:]).all()
    assert np.isnan(nobody.crb_ms[0, 0, 1])  # no design exists there
    assert np.isfinite(nobody.crb_ms[0, 2]).all()
    absent = design(Scenario(target_positions_m=(), subcarriers=64), None, SCHEMES, [0.0, 0.5])
    for scheme in (name for name in SCHEMES if name != "apa"):
        s = absent.schemes.index(scheme)
        assert absent.rank[0, s, 1] == -1  # half of a mix is no design
        assert np.isnan(absent.crb_ms[0, s, 1])
        assert np.isnan(absent.covariance[0, s, 1]).all()
        assert np.isnan(absent.powers[0, s, 1]).all()
    on_axis = design(Scenario(target_positions_m=((10.0, 0.0), (5.0, 15.0))), None, ["apa"], [0.5])
    assert np.isinf(on_axis.crb_ms[0, 0, 0])
    assert np.isfinite(on_axis.crb_ms_target[0, 0, 0, [0, 2]]).all()
    assert np.isinf(on_axis.crb_ms_target[0, 0, 0, 1])
