"""The reduced problem of a batch of draws, and where a design of it exists."""

import numpy as np
import pytest
from crbatch import Scenario, build_problem, certified_gap, design, fixed_draw
from engine_cases import drops


def test_problem_of_one_draw_is_a_part_of_the_batch() -> None:
    scenario, draws = drops(3)
    whole, alone = build_problem(scenario, draws).draw(1), build_problem(scenario, draws[1:2])
    for name in ("basis", "mix", "rank", "gram", "codebook", "apa"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(alone, name))
    for link in ("bistatic", "monostatic"):
        for name in ("smallest_eigenvalue", "bounds", "rounding", "blur", "crb_blur", "identifiable"):
            np.testing.assert_array_equal(getattr(getattr(whole, link), name), getattr(getattr(alone, link), name))
        for one, other in zip(getattr(whole.arrays, link), getattr(alone.arrays, link), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(whole.dense(0), alone.dense(0), strict=True):
        for name in ("factor", "covariance_map", "power_map"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    ("targets", "exists"),
    [
        ((), [True, False, False]),  # nothing tells the UE's orientation from its clock
        (((10.0, 0.0), (5.0, 15.0)), [False, False, True]),  # on the BS's axis: no angle
        (((-5.0, 15.0), (5.0, 15.0)), [True, True, True]),
    ],
)
def test_a_design_exists_where_the_links_of_non_zero_weight_are_identifiable(
    targets: tuple[tuple[float, float], ...], exists: list[bool]
) -> None:
    scenario, rho = Scenario(target_positions_m=targets, subcarriers=64), [0.0, 0.5, 1.0]
    problem = build_problem(scenario, fixed_draw(scenario))
    assert problem.exists(np.array(rho)).tolist() == [exists]
    found = design(scenario, None, ["fdb-wcrb", "cpa-wcrb"], rho)
    assert (found.rank[0] > 0).tolist() == [exists] * 2
    v = scenario.power_per_subcarrier_w / scenario.tx_antennas * np.eye(scenario.tx_antennas)
    for weight, there in zip(rho, exists, strict=True):
        assert problem.exists(weight)[0, 0] == there
        for cone in ("full", "reduced"):
            assert np.isnan(certified_gap(problem, v, weight, cone)[0]) != there  # type: ignore[arg-type]
