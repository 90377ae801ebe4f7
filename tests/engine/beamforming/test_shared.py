"""One design for all draws, evaluated on each."""

import numpy as np
from crbatch import DrawModel, Scenario, evaluate_shared, nominal_designs, sample

SCENARIO = Scenario(subcarriers=64, tx_antennas=8)
MOVING = DrawModel.model_validate(
    {
        "ue_position": {"kind": "disc", "centre_m": [-5, 20], "radius_m": 3},
        "target_positions": {"kind": "box", "x_m": [-12, 12], "y_m": [8, 20]},
    }
)
SCHEMES = ("fdb-wcrb", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "apa")
RHO = (0.0, 0.3, 1.0)


def test_evaluation_does_not_depend_on_the_batch() -> None:
    draws = sample(SCENARIO, MOVING, 8, 0, 11)
    shared = nominal_designs(SCENARIO, SCHEMES, RHO)
    whole = evaluate_shared(SCENARIO, draws, shared)
    for i in range(11):
        one = evaluate_shared(SCENARIO, draws[i : i + 1], shared)
        np.testing.assert_array_equal(one.crb_bp[0], whole.crb_bp[i])
        np.testing.assert_array_equal(one.crb_ms[0], whole.crb_ms[i])
