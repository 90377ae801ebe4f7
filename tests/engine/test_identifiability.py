"""What is identifiable, and why not, against 50 digits."""

import math
from typing import Any

import numpy as np
import pytest
from crbatch import Ambiguity, DrawModel, Draws, Scenario, ambiguities, build_problem, design, fixed_draw, sample
from mpmath import mp
from precise import Scene, bounds, null_parameters, unit_eigenvalue

Point = tuple[float, float]
UE, BS = (-5.0, 20.0), (0.0, 0.0)
AHEAD: tuple[Point, ...] = ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0))


def scene_of(scenario: Scenario, draws: Draws, draw: int) -> Scene:
    return Scene(
        bs=scenario.bs_position_m,
        broadside_deg=scenario.bs_broadside_deg,
        ue=tuple(draws.ue_position[draw].tolist()),
        phi_rad=float(draws.ue_orientation[draw]),
        targets=[tuple(place) for place in draws.target_position[draw].tolist()],
        target_rcs=draws.target_rcs[draw].tolist(),
        ue_rcs=float(draws.ue_rcs[draw]),
        phase_bistatic=draws.phase_bistatic[draw].tolist(),
        phase_monostatic=draws.phase_monostatic[draw].tolist(),
        carrier_hz=scenario.carrier_hz,
        bandwidth_hz=scenario.bandwidth_hz,
        subcarriers=scenario.subcarriers,
        pilots_per_slot=scenario.pilots_per_slot,
        power_dbm=scenario.power_dbm,
        noise_figure_db=scenario.noise_figure_db,
        noise_psd_dbm_hz=scenario.noise_psd_dbm_hz,
        tx_antennas=scenario.tx_antennas,
        rx_antennas=scenario.rx_antennas,
        ue_antennas=scenario.ue_antennas,
        clock_bias_s=scenario.clock_bias_s,
    )


def turned(points: tuple[Point, ...], angle: float, size: float) -> tuple[Point, ...]:
    c, s = size * math.cos(angle), size * math.sin(angle)
    return tuple((c * x - s * y, s * x + c * y) for x, y in points)


def random_cell(rng: np.random.Generator) -> tuple[Scenario, Draws]:
    """A cell of 10 m to 20 km with one to three targets."""
    size = float(10.0 ** rng.uniform(1.0, math.log10(2e4)))
    scenario = Scenario(
        subcarriers=16,
        bandwidth_hz=float(10.0 ** rng.uniform(5.0, 8.6)),
        tx_antennas=int(rng.integers(4, 17)),
        ue_antennas=int(rng.integers(4, 17)),
        ue_position_m=(-size, size),
        target_positions_m=tuple((0.1 * size * (k + 1), size) for k in range(rng.integers(1, 4))),
    )
    box = {"kind": "box", "x_m": (-size, size), "y_m": (0.05 * size, size)}
    model = DrawModel(ue_position=box, target_positions=box, ue_orientation="uniform", rcs="swerling1")
    return scenario, sample(scenario, model, int(rng.integers(2**31)), 0, 1)


@pytest.mark.slow("extended precision")
@pytest.mark.parametrize("seed", range(10))
def test_finite_bounds_are_those_of_fifty_digits(seed: int) -> None:
    scenario, draws = random_cell(np.random.default_rng(seed))
    found = design(scenario, draws, ["apa"], 0.5)
    exact = bounds(scene_of(scenario, draws, 0))
    problem = found.problem
    assert problem.bistatic.identifiable[0]
    assert problem.monostatic.identifiable[0]
    for value, reference, blur in (
        (found.crb_bp[0, 0, 0], exact.position, problem.bistatic.crb_blur[0]),
        (found.crb_orientation[0, 0, 0], exact.orientation, problem.bistatic.blur[0, 2]),
        (found.crb_clock[0, 0, 0], exact.clock, problem.bistatic.blur[0, -1]),
        (found.crb_ms[0, 0, 0], exact.monostatic, problem.monostatic.crb_blur[0]),
        *zip(found.crb_ms_target[0, 0, 0], exact.monostatic_paths, 2 * [1e-15] + 2 * [1e-15], strict=False),
    ):
        assert abs(value / float(reference) - 1.0) < 1e-9 + 1e3 * blur


def lost_scene(kind: str, rng: np.random.Generator) -> tuple[Scenario, str]:
    """A scene of one kind, turned and of any size, and the link that is lost."""
    angle, size = float(rng.uniform(-math.pi, math.pi)), float(10.0 ** rng.uniform(-1.0, 3.0))
    share = float(rng.uniform(0.1, 0.9))
    targets, link, changes = AHEAD, "bistatic", {}
    if kind == "no target":
        targets = ()
    elif kind == "segment":
        targets = ((share * UE[0], share * UE[1]), *AHEAD[: rng.integers(0, 3)])
    elif kind == "axis":
        targets, link = (*AHEAD[: rng.integers(0, 3)], (-20.0 * share, 0.0)), "monostatic"
    else:
        changes = {kind: 1}
    ue, *places = turned((UE, *targets), angle, size)
    scenario = Scenario(
        subcarriers=1 if kind == "subcarriers" else 16,
        ue_position_m=ue,
        target_positions_m=tuple(places),
        bs_broadside_deg=math.remainder(90.0 + math.degrees(angle), 360.0),
        ue_orientation_deg=math.remainder(110.0 - math.degrees(angle), 360.0),
        **{key: value for key, value in changes.items() if key != "subcarriers"},
    )
    return scenario, link


KINDS = ("no target", "segment", "axis", "tx_antennas", "ue_antennas", "subcarriers")
SAMPLE = [(kind, seed) for kind in KINDS for seed in range(4 if kind in ("segment", "axis") else 3)]


@pytest.mark.slow("extended precision")
@pytest.mark.parametrize(("kind", "seed"), SAMPLE)
def test_what_is_lost_is_lost_in_fifty_digits(kind: str, seed: int) -> None:
    """Doubles put a turned target 1e-16 off the line: far below what they can resolve, and not quite zero."""
    scenario, link = lost_scene(kind, np.random.default_rng(seed))
    draws = sample(scenario, DrawModel(), seed, 0, 1)
    problem = build_problem(scenario, draws)
    assert not getattr(problem, link).identifiable[0]
    found = [ambiguity for ambiguity in ambiguities(scenario, draws) if ambiguity.link == link]
    assert len(found) == 1
    scene = scene_of(scenario, draws, 0)
    if kind == "axis":  # the scaling to unit diagonal hides it: a bound of 1e15 cells
        last = len(scene.targets)
        cell = math.dist(scene.bs, scene.targets[-1])
        assert bounds(scene).monostatic_paths[last] > 1e20 * cell**2
        assert found[0].parameters == (f"target {last}",)
        return
    assert unit_eigenvalue(scene, None, link) < 1e-18
    with mp.workdps(50):
        names = set(null_parameters(scene, None, link, digits=30))  # what 15 digits cannot resolve is null
    reference = {word_of(name, link) for name in names}
    # Unit diagonal hides what moves next to nothing: a target along the segment, with a bound of 1e15 cells.
    reference |= {f"target {k + 1}" for k, bound in enumerate(bounds(scene).targets) if bound > 1e20 * abs(scene.ue[1])}
    mine = set(found[0].parameters)
    assert mine <= reference
    assert mine


def word_of(name: str, link: str) -> str:
    """Our word for a parameter of the reference."""
    what, _, _ = name.partition("_")
    if what.startswith("gain"):
        k = int(what[4:])
        first = "the line of sight" if link == "bistatic" else "the UE"
        return f"the gain of {first if k == 0 else f'target {k}'}"
    words = {"ue": "UE position", "orientation": "UE orientation", "clock": "clock bias"}
    return words.get(what) or f"target {what[6:]}"


REASONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no target": (
        {"target_positions_m": ()},
        ["bistatic: UE position and clock bias cannot be told apart"],
    ),
    "segment": (
        {"target_positions_m": ((-2.5, 10.0), (5.0, 15.0), (0.0, 17.0))},
        [
            "bistatic: target 1, the gain of the line of sight and the gain of target 1 cannot be told apart",
        ],
    ),
    "axis": (
        {"target_positions_m": ((-10.0, 15.0), (5.0, 15.0), (12.0, 0.0))},
        ["monostatic: target 3 is not determined"],
    ),
    "one antenna": (
        {"tx_antennas": 1},
        [
            "bistatic: UE position, UE orientation, target 1, target 2, target 3 and clock bias cannot be told apart",
        ],
    ),
    "nothing": ({}, []),
}


@pytest.mark.parametrize("geometry", REASONS)
def test_reasons_are_said_in_words(geometry: str) -> None:
    changes, expected = REASONS[geometry]
    scenario = Scenario(**changes)
    assert [str(found) for found in ambiguities(scenario, fixed_draw(scenario))] == expected


def test_reasons_name_their_draws() -> None:
    scenario = Scenario(target_positions_m=AHEAD[:2])
    draws = sample(scenario, DrawModel(), 1, 0, 3)
    places = draws.target_position.copy()
    places[1, 0] = (-2.5, 10.0)
    moved = Draws(**{**vars(draws), "target_position": places})
    found = ambiguities(scenario, moved)
    assert [(one.draw, one.link) for one in found] == [(1, "bistatic")]
    assert isinstance(found[0], Ambiguity)
