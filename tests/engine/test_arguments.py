"""What the library is given beside beams: words, weights, tolerances, angles, and draws of the scenario at hand."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from crbatch import (
    CUSTOM,
    FACTOR_SCHEMES,
    SCHEMES,
    DesignError,
    DrawModel,
    Draws,
    EngineError,
    Scenario,
    ScenarioError,
    average_designs,
    bistatic_bounds,
    bistatic_link,
    build_problem,
    certified_gap,
    channel_fim,
    channel_matrix,
    channel_of,
    check_slots,
    derivative_tensor,
    design,
    equivalent_fim,
    evaluate_shared,
    fixed_draw,
    monostatic_bounds,
    monostatic_link,
    nominal_designs,
    position_fim,
    sample,
)
from crbatch.engine.beamforming import conic
from crbatch.engine.beamforming.recovery import recover, recover_all, recovery_losses
from crbatch.engine.estimation import estimate

SCENARIO = Scenario(subcarriers=8)
TWO = SCENARIO.with_targets(2)
DRAWS = sample(SCENARIO, DrawModel(), 1, 0, 3)
ARRAYS = {field.name: getattr(DRAWS, field.name) for field in fields(Draws)}
PROBLEM = build_problem(SCENARIO, DRAWS)
LINK = bistatic_link(SCENARIO, DRAWS)
V = np.eye(16) * PROBLEM.power / 16
DESIGNS = design(SCENARIO, DRAWS, "apa")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: channel_fim(LINK, V, "Explicit"), "path 'Explicit'; there are separable, explicit"),  # type: ignore[arg-type]
        (lambda: position_fim(LINK, V, path="fast"), "path 'fast'; there are separable, explicit"),  # type: ignore[arg-type]
        (lambda: position_fim(LINK, V, path=None), "path None; there are separable, explicit"),  # type: ignore[arg-type]
        (lambda: certified_gap(PROBLEM, V, 0.5, "small"), "cone 'small'; there are full, reduced"),  # type: ignore[arg-type]
        (lambda: conic.weighted_crb_program(PROBLEM, 0, 0.5, "x"), "cone 'x'"),  # type: ignore[arg-type]
        (lambda: conic.solve_weighted_crb(PROBLEM, 0, 0.5, "x"), "cone 'x'"),  # type: ignore[arg-type]
        (lambda: design(SCENARIO, wbf_factor="root"), "wbf_factor 'root'; there are sqrt, eigen"),  # type: ignore[arg-type]
        (lambda: nominal_designs(SCENARIO, "apa", 0.5, wbf_factor=1), "wbf_factor 1"),  # type: ignore[arg-type]
        (lambda: average_designs(SCENARIO, DRAWS, "apa", 0.5, wbf_factor="x"), "wbf_factor 'x'"),  # type: ignore[arg-type]
        (lambda: recover_all(DESIGNS, 1, "best", 1, 0), "method 'best'; there are eigen, randomization"),  # type: ignore[arg-type]
        (lambda: recovery_losses(DESIGNS, 16, "best", 1, 0), "method 'best'"),  # type: ignore[arg-type]
        (lambda: recover(PROBLEM, 0, np.eye(8) / 8, 0.5, 1, "best"), "method 'best'"),  # type: ignore[arg-type]
    ],
)
def test_unknown_words_are_refused_with_the_known_ones(call: Callable[[], object], words: str) -> None:
    with pytest.raises(EngineError, match=f"^unknown {words}") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_one_scheme_may_be_given_by_its_name() -> None:
    assert DESIGNS.schemes == ("apa",)
    np.testing.assert_array_equal(DESIGNS.objective, design(SCENARIO, DRAWS, ["apa"]).objective)
    assert design(SCENARIO, DRAWS, "apa", custom=V).schemes == ("apa", CUSTOM)
    assert design(SCENARIO, DRAWS, (), custom=V).schemes == (CUSTOM,)
    assert nominal_designs(SCENARIO, "apa", 0.5).schemes == ("apa",)
    assert average_designs(SCENARIO, DRAWS, "apa", 0.5).schemes == ("apa",)
    with pytest.raises(DesignError, match="cpa-wbf mixes beamformers of 8 columns"):
        check_slots(SCENARIO.replace(slots=7), "cpa-wbf")
    one, several = (derivative_tensor(LINK, names, [1]) for names in ("tau1", ["tau1"]))
    np.testing.assert_array_equal(one, several)
    np.testing.assert_array_equal(channel_matrix(LINK, 3), channel_matrix(LINK, [3]))


@pytest.mark.parametrize("make", [design, nominal_designs, average_designs])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schemes": "fdb"}, f"unknown scheme 'fdb'; the schemes are {', '.join((*SCHEMES, *FACTOR_SCHEMES))}$"),
        ({"schemes": ["apa", "custom"]}, "unknown scheme 'custom'"),
        ({"schemes": ["apa", 3]}, "unknown scheme 3"),
        ({"schemes": []}, "no scheme is asked for"),
        ({"rho": 1.2}, r"rho must be one or more weights in \[0, 1\]; got \[1.2\]"),
        ({"rho": [0.5, math.nan]}, "rho must be"),
        ({"rho": []}, "rho must be"),
        ({"rho": "0.5"}, "rho is of type <U3; give real numbers"),
        ({"rho": True}, "rho is of type bool; give real numbers"),
        ({"rho": [[0.5], [0.1, 0.2]]}, "rho: its rows differ in length"),
        ({"gap_tolerance": 0.0}, "gap_tolerance = 0.0 makes no sense; give a positive number"),
        ({"gap_tolerance": math.nan}, "gap_tolerance = nan makes no sense"),
        ({"gap_tolerance": math.inf}, "gap_tolerance = inf makes no sense"),
        ({"gap_tolerance": "1e-6"}, "gap_tolerance is of type <U4; give real numbers"),
    ],
)
def test_requests_are_checked_by_all_that_design(make: Any, changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"scenario": SCENARIO, "schemes": "apa", "rho": 0.5} | changes
    if make is average_designs:
        given["training"] = DRAWS
    with pytest.raises(DesignError, match=f"^{message}"):
        make(**given)


OTHERS: dict[str, Callable[[Scenario, Draws], object]] = {
    "design": lambda s, d: design(s, d, "apa"),
    "build_problem": build_problem,
    "channel_of": channel_of,
    "bistatic_link": bistatic_link,
    "monostatic_link": monostatic_link,
    "bistatic_link of a channel": lambda s, d: bistatic_link(s, d, channel_of(SCENARIO, DRAWS)),
    "monostatic_link of a channel": lambda s, d: monostatic_link(s, d, channel_of(SCENARIO, DRAWS)),
    "average_designs": lambda s, d: average_designs(s, d, "apa", 0.5),
    "evaluate_shared": lambda s, d: evaluate_shared(s, d, nominal_designs(s, "apa", 0.5)),
    "estimate": lambda s, d: estimate(s, d, np.ones((3, 16, 1), complex), 1, 0),
}


@pytest.mark.parametrize("name", OTHERS)
def test_draws_of_another_number_of_targets_are_refused(name: str) -> None:
    with pytest.raises(ScenarioError, match=r"^the draws have 3 targets, the scenario 2; take with_targets"):
        OTHERS[name](TWO, DRAWS)
    with pytest.raises(ScenarioError, match=r"^the draws have 2 targets, the scenario 3"):
        OTHERS[name](SCENARIO, DRAWS.with_targets(2))
    with pytest.raises(ScenarioError, match=r"^draws are list; give Draws"):
        OTHERS[name](SCENARIO, ["apa"])  # type: ignore[arg-type]
    on_bs = Draws(**(ARRAYS | {"ue_position": np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]])}))
    with pytest.raises(ScenarioError, match="the BS and the UE at the same point in draw 1"):
        OTHERS[name](SCENARIO, on_bs)
    elsewhere = SCENARIO.replace(bs_position_m=(-10.0, 15.0 + 1e-10), target_positions_m=((1, 2), (3, 4), (5, 6)))
    with pytest.raises(ScenarioError, match="the BS and target 1 at the same point in draw 0"):
        OTHERS[name](elsewhere, DRAWS)


def test_a_channel_of_other_draws_is_refused() -> None:
    for link in (bistatic_link, monostatic_link):
        with pytest.raises(ScenarioError, match=r"the channel is of \(draws, paths\) \(1, 4\), the draws of \(3, 4\)"):
            link(SCENARIO, DRAWS, channel_of(SCENARIO, DRAWS[:1]))


def test_shared_designs_of_other_antennas_are_refused() -> None:
    with pytest.raises(DesignError, match="the designs are for 8 transmit antennas, the scenario has 16"):
        evaluate_shared(SCENARIO, DRAWS, nominal_designs(SCENARIO.replace(tx_antennas=8), "apa", 0.5))
    with pytest.raises(DesignError, match="gap_tolerance"):
        evaluate_shared(SCENARIO, DRAWS, nominal_designs(SCENARIO, "apa", 0.5), gap_tolerance=0.0)


@pytest.mark.parametrize(
    ("name", "place", "value", "wanted"),
    [
        ("phase_bistatic", (1, 2), math.nan, r"\[1, 2\] is nan \(draw 1\); it should be a finite angle in rad"),
        ("phase_monostatic", (2, 0), math.inf, r"\[2, 0\] is inf \(draw 2\); it should be a finite angle"),
        ("ue_position", (1, 0), math.nan, r"\[1, 0\] is nan \(draw 1\); it should be from -1e\+07 to 1e\+07 m"),
        ("ue_position", (1, 0), 1e200, r"\[1, 0\] is 1e\+200 \(draw 1\); it should be from -1e\+07 to 1e\+07 m"),
        ("target_position", (0, 2, 1), -1.1e7, r"\[0, 2, 1\] is -1.1e\+07 \(draw 0\); it should be from -1e\+07"),
        ("target_position", (0, 2, 1), math.nan, r"\[0, 2, 1\] is nan"),
        ("ue_orientation", (2,), 110.0, r"\[2\] is 110 \(draw 2\); it should be from -2 pi to 2 pi rad"),
        ("ue_orientation", (2,), math.nan, r"\[2\] is nan"),
        ("target_rcs", (1, 2), 0.0, r"\[1, 2\] is 0 \(draw 1\); it should be above 0, up to 1e\+15 m2"),
        ("target_rcs", (1, 2), -3.0, r"\[1, 2\] is -3 \(draw 1\); it should be above 0"),
        ("target_rcs", (1, 2), 1e300, r"\[1, 2\] is 1e\+300"),
        ("target_rcs", (1, 2), math.nan, r"\[1, 2\] is nan"),
        ("ue_rcs", (0,), -1.0, r"\[0\] is -1 \(draw 0\); it should be above 0"),
        ("ue_rcs", (0,), math.inf, r"\[0\] is inf"),
    ],
)
def test_draws_that_make_no_sense_are_refused(name: str, place: tuple[int, ...], value: float, wanted: str) -> None:
    array = ARRAYS[name].copy()
    array[place] = value
    with pytest.raises(ScenarioError, match=f"^draws: {name}{wanted}"):
        Draws(**(ARRAYS | {name: array}))


def test_draws_at_the_limits_of_a_scenario_pass() -> None:
    limits = {
        "ue_position": [[1e7, -1e7]] * 3,
        "ue_orientation": [-math.radians(360.0), math.radians(360.0), 0],
        "ue_rcs": [1e15, 5e-324, 1],
        "phase_bistatic": np.full((3, 4), 1e6),
    }
    assert Draws(**(ARRAYS | limits)).ue_orientation.tolist() == limits["ue_orientation"]


@pytest.mark.parametrize(("one", "other"), [("the UE", "target 2"), ("target 1", "target 3")])
def test_two_entities_of_a_draw_at_one_point_are_refused(one: str, other: str) -> None:
    ue, targets = ARRAYS["ue_position"].copy(), ARRAYS["target_position"].copy()
    if one == "the UE":
        ue[2] = targets[2, 1] + 1e-10
    else:
        targets[2, 2] = targets[2, 0] - 1e-10
    with pytest.raises(ScenarioError, match=f"^draws: {one} and {other} at the same point in draw 2"):
        Draws(**(ARRAYS | {"ue_position": ue, "target_position": targets}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["1", "2", "3"], "draws: ue_rcs is of type <U1; give real numbers"),
        ([True] * 3, "draws: ue_rcs is of type bool"),
        ([1j] * 3, "draws: ue_rcs is of type complex128"),
        ([None] * 3, "draws: ue_rcs is of type object"),
        ([[1], [1, 2], [3]], "draws: ue_rcs: its rows differ in length"),
    ],
)
def test_draws_are_numbers(value: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=f"^{message}"):
        Draws(**(ARRAYS | {"ue_rcs": value}))


def test_draws_may_be_lists_or_of_other_types() -> None:
    assert Draws(**(ARRAYS | {"ue_rcs": [1, 2, np.int64(3)]})).ue_rcs.tolist() == [1.0, 2.0, 3.0]
    single = Draws(**(ARRAYS | {"ue_rcs": np.ones(3, np.float32)}))
    assert single.ue_rcs.dtype == np.float64
    assert single.with_targets(np.int64(1)).target_rcs.shape == (3, 1)
    nobody = DRAWS.with_targets(0)
    assert len(Draws(**{field.name: getattr(nobody, field.name) for field in fields(Draws)})) == 3


def test_addresses_and_phases_may_be_numpys() -> None:
    drawn = sample(SCENARIO, DrawModel(), np.int64(1), np.uint8(0), np.array(3))
    np.testing.assert_array_equal(drawn.phase_bistatic, DRAWS.phase_bistatic)
    fixed = fixed_draw(SCENARIO, np.arange(4), [np.float32(1.5)] * 4)
    assert fixed.phase_bistatic.tolist() == [[0.0, 1.0, 2.0, 3.0]]
    assert fixed.phase_monostatic.tolist() == [[1.5] * 4]
    for wrong in (["0"] * 4, [True] * 4, [math.nan] * 4, 3.0):
        with pytest.raises(ScenarioError, match=r"^phases_bistatic_rad"):
            fixed_draw(SCENARIO, wrong)
    for address in ((True, 0, 1), (1, "0", 1), (1, 0, 1.0), (None, 0, 1)):
        with pytest.raises(ScenarioError, match=r"^(seed|start|stop) = .* is refused; it should be a whole number"):
            sample(SCENARIO, DrawModel(), *address)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match=r"^targets = True is refused"):
        DRAWS.with_targets(True)


def test_angles_are_in_radians_by_name() -> None:
    degrees = np.array([-30.0, 0.0, 30.0])
    named = DESIGNS.beampattern("apa", 0.5, angle_rad=np.radians(degrees))
    for n, angle in enumerate(np.radians(degrees)):
        np.testing.assert_allclose(DESIGNS.beampattern("apa", 0.5, angle)[:, 0], named[:, n])
    for wrong, message in (
        (degrees, "angle_rad: -30 is beyond a full turn; give a list of angles in rad, as numpy.radians makes"),
        ([math.nan], "angle_rad: nan is beyond"),
        (np.zeros((2, 2)), r"angle_rad: of shape \(2, 2\)"),
        (["0"], "angle_rad is of type <U1"),
    ):
        with pytest.raises(DesignError, match=f"^{message}"):
            DESIGNS.beampattern("apa", 0.5, wrong)  # type: ignore[arg-type]


def test_designs_are_found_by_a_weight() -> None:
    assert DESIGNS.index("apa", np.float32(0.5)) == (0, 0)
    for wrong in ("0.5", True, [0.5, 0.5], math.nan, 2.0):
        with pytest.raises(DesignError, match=r"^rho is "):
            DESIGNS.index("apa", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("subcarriers", [[0], [9], [1.5], [math.nan], [], [[1]], ["1"], [True]])
def test_subcarriers_are_whole_numbers_that_exist(subcarriers: Any) -> None:
    with pytest.raises(EngineError, match=r"^subcarriers "):
        channel_matrix(LINK, subcarriers)


def test_what_is_no_fim_is_refused() -> None:
    fim = position_fim(LINK, V)
    skew = fim.copy()
    skew[1, 0, 3] *= 1.001
    for wrong, message in (
        (skew, "a FIM is not symmetric"),
        (fim.astype(complex), "a FIM is of type complex128"),
        (fim > 0, "a FIM is of type bool"),
    ):
        with pytest.raises(EngineError, match=message):
            bistatic_bounds(wrong)
    with pytest.raises(EngineError, match="a FIM is of type complex128"):
        monostatic_bounds(np.eye(16, dtype=complex))  # a covariance of 16 antennas has the size of a FIM for K = 3
    for keep in (0, 19, 2.0, True):
        with pytest.raises(EngineError, match=r"^keep = .* is refused"):
            equivalent_fim(fim, keep)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="expected square FIMs"):
        equivalent_fim(fim[:, :3], 2)
