"""No scale, place, direction or unit decides what is identifiable, nor what comes out."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crbatch import (
    SCHEMES,
    Designs,
    DrawModel,
    Draws,
    Scenario,
    Status,
    bistatic_link,
    build_problem,
    design,
    fixed_draw,
    link_bounds,
    monostatic_link,
    sample,
)
from engine_cases import DROPS

RHO = [0.0, 0.5, 1.0]
PHASES = (0.3, 1.1, 2.0, -0.7)
LOST: dict[str, dict[str, Any]] = {
    "no target": {"target_positions_m": ()},
    "target on the BS-UE segment": {"target_positions_m": ((-2.5, 10.0), (5.0, 15.0))},
    "only target on the axis": {"target_positions_m": ((12.0, 0.0),)},
    "target on the axis": {"target_positions_m": ((-10.0, 15.0), (12.0, 0.0), (0.0, 17.0))},
    "one transmit antenna": {"tx_antennas": 1},
    "one UE antenna": {"ue_antennas": 1},
    "one subcarrier": {"subcarriers": 1},
}


def draw_of(scenario: Scenario) -> Draws:
    return fixed_draw(scenario, PHASES, PHASES[::-1])


def scaled(s: Scenario, f: float) -> Scenario:
    """Lengths x f, bandwidth / f, RCS x f^2, power x f: bounds x f^2."""
    return s.replace(
        bs_position_m=tuple(f * x for x in s.bs_position_m),
        ue_position_m=tuple(f * x for x in s.ue_position_m),
        target_positions_m=tuple(tuple(f * x for x in place) for place in s.target_positions_m),
        bandwidth_hz=s.bandwidth_hz / f,
        target_rcs_m2=tuple(f**2 * rcs for rcs in s.target_rcs),
        ue_rcs_m2=f**2 * s.ue_rcs_m2,
        power_dbm=s.power_dbm + 10.0 * math.log10(f),
    )


def placed(s: Scenario, angle_deg: float = 0.0, by: tuple[float, float] = (0.0, 0.0), mirror: float = 1.0) -> Scenario:
    """The whole scene mirrored at the y axis, then turned about the origin, then moved."""
    c, d = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))

    def place(point: tuple[float, float]) -> tuple[float, float]:
        x, y = mirror * point[0], point[1]
        return c * x - d * y + by[0], d * x + c * y + by[1]

    broadside = s.bs_broadside_deg if mirror > 0.0 else 180.0 - s.bs_broadside_deg
    facing = -s.ue_orientation_deg if mirror > 0.0 else 180.0 + s.ue_orientation_deg
    return s.replace(
        bs_position_m=place(s.bs_position_m),
        ue_position_m=place(s.ue_position_m),
        target_positions_m=tuple(place(point) for point in s.target_positions_m),
        bs_broadside_deg=math.remainder(broadside + angle_deg, 360.0),
        ue_orientation_deg=math.remainder(-facing - angle_deg, 360.0),
    )


CHANGES = {
    "x 0.01": (lambda s: scaled(s, 1e-2), 1e-4, 1e-9),
    "x 100": (lambda s: scaled(s, 1e2), 1e4, 1e-9),
    "x 10000": (lambda s: scaled(s, 1e4), 1e8, 1e-9),
    "turned": (lambda s: placed(s, 37.3), 1.0, 1e-9),
    "turned further": (lambda s: placed(s, -151.9), 1.0, 1e-9),
    "mirrored": (lambda s: placed(s, mirror=-1.0), 1.0, 1e-9),
    "moved": (lambda s: placed(s, by=(1e6, -1e6)), 1.0, 1e-7),
    "all": (lambda s: placed(scaled(s, 1e2), 61.8, (2e5, 1e6), -1.0), 1e4, 1e-7),
    "noise": (lambda s: s.replace(noise_figure_db=s.noise_figure_db + 10.0), 10.0, 1e-9),
}


@pytest.mark.parametrize("change", CHANGES)
def test_bounds_change_as_the_scene_does(change: str) -> None:
    apply, factor, tolerance = CHANGES[change]
    before, after = (design(s, draw_of(s), SCHEMES, RHO) for s in (Scenario(), apply(Scenario())))
    assert (after.status == before.status).all()
    np.testing.assert_allclose(after.mix_error, before.mix_error, rtol=0.5, atol=1e-6)
    exact = [SCHEMES.index("apa")]
    for name in ("crb_bp", "crb_ms", "crb_map", "crb_ms_target"):
        one, other = getattr(before, name)[0, exact], getattr(after, name)[0, exact]
        np.testing.assert_allclose(other, factor * one, rtol=tolerance, err_msg=name)
    # Optima are found to the tolerance of the job; at rho = 0 and 1, and so for mixes, to more.
    np.testing.assert_allclose(after.objective, factor * before.objective, rtol=2e-6)
    mixes = [SCHEMES.index(name) for name in ("fdb-wbf", "fdb-wvm", "cpa-wbf", "cpa-wvm")]
    np.testing.assert_allclose(after.objective[:, mixes], factor * before.objective[:, mixes], rtol=1e-6)


@pytest.mark.parametrize("geometry", LOST)
@pytest.mark.parametrize("change", ["none", *CHANGES])
def test_what_is_lost_stays_lost(geometry: str, change: str) -> None:
    scenario = Scenario(**LOST[geometry])
    apply = CHANGES[change][0] if change in CHANGES else lambda s: s
    before, after = (build_problem(s, draw_of(s)) for s in (scenario, apply(scenario)))
    lost = {
        "bistatic": geometry != "target on the axis",
        "monostatic": "axis" in geometry or geometry == "one subcarrier",
    }
    for link, expected in lost.items():
        one, other = getattr(before, link), getattr(after, link)
        assert bool(one.identifiable[0]) != expected
        np.testing.assert_array_equal(other.identifiable, one.identifiable)
        np.testing.assert_array_equal(other.bounded, one.bounded)


def test_a_target_on_the_axis_loses_its_own_bound_only() -> None:
    scenario = Scenario(**LOST["target on the axis"])
    found = design(scenario, draw_of(scenario), ["apa"], RHO)
    np.testing.assert_array_equal(np.isfinite(found.crb_ms_target[0, 0, 0]), [True, True, False, True])
    assert np.isfinite(found.crb_bp).all()
    assert found.status[0, 0].tolist() == [Status.UNIDENTIFIABLE, Status.UNIDENTIFIABLE, Status.CLOSED_FORM]


def test_a_macro_cell_is_bounded() -> None:
    """The paper's scene x 500: 33.6 m under equal powers and 19.6 m at best, by 50 digits and other programs."""
    scenario = Scenario(
        ue_position_m=(-2500.0, 10000.0),
        target_positions_m=((-5000.0, 7500.0), (2500.0, 7500.0), (0.0, 8500.0)),
        power_dbm=88.0,
    )
    found = design(scenario, fixed_draw(scenario), ["apa", "fdb-wcrb"], [1.0])
    np.testing.assert_allclose(np.sqrt(found.crb_bp[0, :, 0]), [33.6, 19.6], atol=0.05)
    assert found.status[0, :, 0].tolist() == [Status.CLOSED_FORM, Status.CERTIFIED]
    assert found.problem.bistatic.rounding[0] < 2e-15


@pytest.mark.parametrize("f", [0.1, 10.0, 100.0, 400.0, 500.0, 1000.0])
def test_larger_cells_are_certified(f: float) -> None:
    """Positions alone x f, at the same power received: sqrt CRB_BP under APA is 0.0675 m x f where angles decide."""
    nominal = Scenario()
    scenario = nominal.replace(
        ue_position_m=tuple(f * x for x in nominal.ue_position_m),
        target_positions_m=tuple(tuple(f * x for x in place) for place in nominal.target_positions_m),
        power_dbm=nominal.power_dbm + 40.0 * math.log10(f),
    )
    found = design(scenario, None, SCHEMES, RHO)
    optima = [SCHEMES.index("fdb-wcrb"), SCHEMES.index("cpa-wcrb")]
    assert (found.status[0, optima] == Status.CERTIFIED).all()
    assert (np.delete(found.status[0], optima, axis=0) == Status.CLOSED_FORM).all()
    if f >= 100.0:
        root = np.sqrt(found.crb_bp[0, SCHEMES.index("apa"), 0])
        assert root == pytest.approx(0.0675 * f, rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"bandwidth_hz": 120.0},
        {"bandwidth_hz": 4e8, "ue_position_m": (-1250.0, 5000.0), "power_dbm": 80.0},
        {"target_positions_m": ((-10.0, 15.0), (5.0, 15.0), (-4.99, 20.0))},
        {"tx_antennas": 4, "rx_antennas": 4, "ue_antennas": 4, "ue_position_m": (-1250.0, 5000.0), "power_dbm": 80.0},
    ],
    ids=["120 Hz", "5 km at 400 MHz", "a target 1 cm from the UE", "5 km with few antennas"],
)
def test_hard_scenes_are_bounded(changes: dict[str, Any]) -> None:
    scenario = Scenario(**changes)
    found = design(scenario, draw_of(scenario), ["apa", "fdb-wcrb"], RHO)
    assert np.isfinite(found.crb_bp[0, 0]).all()
    assert found.status[0, 1, 2] == Status.CERTIFIED


def bounds_at_apa(scenario: Scenario, draws: Draws, path: Any) -> tuple[Any, Any, Designs]:
    found = design(scenario, draws, ["apa"], 0.5)
    v = found.beam_covariance("apa", 0.5)
    links = bistatic_link(scenario, draws), monostatic_link(scenario, draws)
    return link_bounds(links[0], v, path), link_bounds(links[1], v, path), found


@pytest.mark.parametrize(("f", "path"), [(1.0, "explicit"), (1.0, "separable"), (1000.0, "explicit")])
def test_bounds_of_a_link_are_those_of_the_designs(f: float, path: str) -> None:
    """By way of the explicit sum too, in cells in which the FIM of positions has no digit left in some direction."""
    scenario = Scenario(subcarriers=128)
    draws = sample(scenario, DROPS, 4, 0, 6)
    draws = replace(draws, ue_position=f * draws.ue_position, target_position=f * draws.target_position)
    bp, ms, found = bounds_at_apa(scenario, draws, path)
    np.testing.assert_allclose(bp.position, found.crb_bp[:, 0, 0], rtol=1e-8)
    np.testing.assert_allclose(bp.orientation, found.crb_orientation[:, 0, 0], rtol=1e-8)
    np.testing.assert_allclose(bp.clock, found.crb_clock[:, 0, 0], rtol=1e-8)
    np.testing.assert_allclose(bp.targets, found.crb_map[:, 0, 0], rtol=1e-8)
    np.testing.assert_allclose(ms.targets, found.crb_ms_target[:, 0, 0], rtol=1e-8)


def test_random_cells_of_any_size_are_certified() -> None:
    """Cells of 10 m to 20 km, 1 to 400 MHz, 4 to 64 antennas, 1 to 5 targets: certified, or too hard for doubles."""
    rng = np.random.default_rng(5)
    uncertified = 0
    for group in range(40):
        size = 10.0 ** rng.uniform(1.0, math.log10(2e4))
        scenario = Scenario(
            subcarriers=64,
            bandwidth_hz=float(10.0 ** rng.uniform(6.0, 8.6)),
            tx_antennas=int(rng.integers(4, 65)),
            rx_antennas=int(rng.integers(4, 65)),
            ue_antennas=int(rng.integers(4, 65)),
            ue_position_m=(-size, size),
            target_positions_m=tuple((0.1 * size * (k + 1), size) for k in range(rng.integers(1, 6))),
        )
        box = {"kind": "box", "x_m": (-size, size), "y_m": (0.05 * size, size)}
        model = DrawModel(ue_position=box, target_positions=box, ue_orientation="uniform", rcs="swerling1")
        found = design(scenario, sample(scenario, model, 5, 10 * group, 10 * group + 10), ["fdb-wcrb"], RHO)
        rounding = np.maximum(found.problem.bistatic.rounding, found.problem.monostatic.rounding)
        hard = rounding > 1e-6
        assert (found.status[~hard] == Status.CERTIFIED).all()
        assert np.isin(found.status[hard], [Status.CERTIFIED, Status.UNCERTIFIED]).all()
        uncertified += int(hard.sum())
    assert uncertified <= 2
