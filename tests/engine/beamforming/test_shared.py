"""One design for all draws, evaluated on each."""

import numpy as np
from crbatch import evaluate_shared, nominal_designs, sample
from engine_cases import MOVING
from engine_cases import SMALL as SCENARIO

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
