"""The estimator of `keep = ["errors"]` refuses in one line what it does not do."""

import pytest
from job_cases import tiny_job

SPACE = {
    "bs_position_m": [0.0, 0.0, 8.0],
    "ue_position_m": [-5.0, 20.0, 1.5],
    "target_positions_m": [[-10.0, 15.0, 2.0], [5.0, 15.0, 1.0]],
}


@pytest.mark.parametrize(
    ("scenario", "what"),
    [
        (SPACE, "positions of three numbers"),
        ({"known": ["clock"]}, "known"),
        ({"prior": {"clock_s": 1e-9}}, "a prior"),
        ({"line_of_sight": False}, "line_of_sight = false"),
    ],
)
def test_errors_of_what_the_estimator_does_not_do_are_refused(scenario: dict, what: str) -> None:
    job = {"scenario": scenario, "design": {"schemes": ["apa"], "rho": [0.5]}}
    if scenario is SPACE:
        job["sweep"] = {}
    tiny_job(**job)
    with pytest.raises(ValueError, match=f'the estimator of "errors" does not take {what}; leave out one of them'):
        tiny_job(**job, output={"keep": ["errors"]})


def test_the_plane_keeps_its_estimator() -> None:
    assert tiny_job(output={"keep": ["errors"]}, design={"schemes": ["apa"], "rho": [0.5]}).output.keep == ("errors",)
