"""The estimator of `keep = ["errors"]` takes whatever may be known, in the plane and in space."""

from typing import Any

import pytest
from job_cases import tiny_job

SPACE = {
    "bs_position_m": [0.0, 0.0, 8.0],
    "ue_position_m": [-5.0, 20.0, 1.5],
    "target_positions_m": [[-10.0, 15.0, 2.0], [5.0, 15.0, 1.0]],
}


@pytest.mark.parametrize(
    "scenario", [SPACE, {"known": ["clock"]}, {"prior": {"clock_s": 1e-9}}, {"line_of_sight": False}, {}]
)
def test_errors_may_be_kept(scenario: dict[str, Any]) -> None:
    job: dict[str, Any] = {"scenario": scenario, "design": {"schemes": ["apa"], "rho": [0.5]}}
    if scenario is SPACE:
        job["sweep"] = {}
    assert tiny_job(**job, output={"keep": ["errors"]}).output.keep == ("errors",)
