import math
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from crbatch.engine.draws import DrawModel, Draws, check_fit, fixed_draw, sample
from crbatch.engine.errors import ScenarioError
from crbatch.engine.positions import BoxPosition, DiscPosition
from crbatch.engine.scenario import Scenario
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

BOX = {"kind": "box", "x_m": [-15, 15], "y_m": [5, 25]}
DISC = {"kind": "disc", "centre_m": [0, 18], "radius_m": 3}
RANDOM = DrawModel(ue_position=BOX, target_positions=DISC, ue_orientation="uniform", rcs="swerling1")
NAMES = [field.name for field in fields(Draws) if field.name != "paths"]


def assert_same(one, other):
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_addresses_are_kept():
    """Recorded when the addresses were fixed; a change here changes every published draw."""
    d = sample(Scenario(), RANDOM, seed=2025, start=0, stop=1)
    assert d.phase_bistatic[0].tolist() == [
        -1.457825470866383,
        1.2735946928958803,
        0.5813857143980021,
        1.1585716126187275,
    ]
    assert d.phase_monostatic[0, 0] == -0.05315829508848813
    assert d.ue_position[0].tolist() == [9.726555075273609, 20.676693017625794]
    assert d.target_position[0, 2].tolist() == pytest.approx([1.8017334870389345, 16.8505013350295], rel=1e-15)
    assert d.ue_orientation[0] == -1.8158115522942233
    assert d.target_rcs[0, 1] == pytest.approx(10.513597397053209, rel=1e-15)
    assert d.ue_rcs[0] == pytest.approx(1.6256905698653457, rel=1e-15)


@given(seed=st.integers(0, 2**63 - 1), draw=st.integers(0, 2**62), path=st.integers(0, 3))
def test_a_phase_is_the_philox_word_of_its_address(seed, draw, path):
    word = int(np.random.Philox(counter=[draw, path, 0, 0], key=[seed, 1]).random_raw())
    phase = sample(Scenario(), RANDOM, seed, draw, draw + 1).phase_monostatic[0, path]
    assert phase == pytest.approx(2 * math.pi * (word / 2**64) - math.pi, abs=1e-14)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**63 - 1), cuts=st.lists(st.integers(100, 140), max_size=4))
def test_chunks_do_not_matter(seed, cuts):
    whole = sample(Scenario(), RANDOM, seed, 100, 140)
    edges = [100, *sorted(cuts), 140]
    for start, stop in pairwise(edges):
        part = sample(Scenario(), RANDOM, seed, start, stop)
        assert len(part) == stop - start
        assert_same(part, whole[start - 100 : stop - 100])


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fewer_targets_see_the_same_numbers(count):
    whole = sample(Scenario(target_rcs_m2=[1, 20, 300]), RANDOM, 7, 0, 20)
    part = sample(Scenario(target_rcs_m2=[1, 20, 300]).with_targets(count), RANDOM, 7, 0, 20)
    assert part.target_rcs.shape == (20, count)
    assert_same(part, whole.with_targets(count))


def test_what_varies_leaves_the_rest_alone():
    """Each purpose has its own numbers: a model of one cannot move another."""
    base = sample(Scenario(), DrawModel(), 7, 0, 20)
    for name, model in {
        "ue_position": DrawModel(ue_position=BOX),
        "target_position": DrawModel(target_positions=DISC),
        "ue_orientation": DrawModel(ue_orientation="uniform"),
    }.items():
        changed = sample(Scenario(), model, 7, 0, 20)
        assert [n for n in NAMES if not np.array_equal(getattr(changed, n), getattr(base, n))] == [name]


def test_purposes_paths_draws_and_seeds_differ():
    d = sample(Scenario(), RANDOM, 7, 0, 50)
    other = sample(Scenario(), RANDOM, 8, 0, 50)
    columns = [*d.phase_bistatic.T, *d.phase_monostatic.T, d.ue_orientation, *other.phase_bistatic.T]
    values = np.concatenate(columns)
    assert len(np.unique(values)) == values.size
    # Targets and UE in one box do not follow each other.
    together = sample(Scenario(), DrawModel(ue_position=BOX, target_positions=BOX), 7, 0, 50)
    places = np.concatenate((together.ue_position[:, None], together.target_position), axis=1).reshape(-1, 2)
    assert len(np.unique(places, axis=0)) == 200


def uniformity(values):
    """Kolmogorov's distance from the uniform distribution on (0, 1), times sqrt(n)."""
    n = values.size
    ordered = np.sort(values.ravel())
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max())


def test_distributions():
    scenario = Scenario(target_rcs_m2=[1, 20, 300])
    d = sample(scenario, RANDOM, 3, 0, 4000)
    offset = d.target_position - [0, 18]
    samples = {
        "phase_bistatic": (d.phase_bistatic + math.pi) / (2 * math.pi),
        "phase_monostatic": (d.phase_monostatic + math.pi) / (2 * math.pi),
        "orientation": (d.ue_orientation + math.pi) / (2 * math.pi),
        "x": (d.ue_position[:, 0] + 15) / 30,
        "y": (d.ue_position[:, 1] - 5) / 20,
        "area": (offset**2).sum(axis=2) / 9,
        "turn": np.arctan2(offset[..., 1], offset[..., 0]) / (2 * math.pi) + 0.5,
        "target_rcs": 1 - np.exp(-d.target_rcs / [1, 20, 300]),
        "ue_rcs": 1 - np.exp(-d.ue_rcs / 10),
    }
    for name, values in samples.items():
        assert values.min() > 0, name
        assert values.max() < 1, name
        assert uniformity(values) < 1.95, name  # exceeded once in 1,000 samples
    # UE and targets fade on their own.
    assert abs(np.corrcoef(d.ue_rcs, d.target_rcs.T) - np.eye(4)).max() < 0.06
    assert (d.target_rcs > 0).all()


def test_fixed_values_are_the_scenarios():
    scenario = Scenario(ue_orientation_deg=-30.0, target_rcs_m2=[1, 2, 3], ue_rcs_m2=4.0)
    model = DrawModel(phases="fixed", phases_bistatic_rad=[1, 2, 3, 4], phases_monostatic_rad=[5, 6, 7, 8])
    d = sample(scenario, model, 1, 10, 12)
    np.testing.assert_array_equal(d.phase_bistatic, [[1, 2, 3, 4]] * 2)
    np.testing.assert_array_equal(d.phase_monostatic, [[5, 6, 7, 8]] * 2)
    np.testing.assert_array_equal(d.ue_position, [[-5, 20]] * 2)
    np.testing.assert_array_equal(d.target_position, [[[-10, 15], [5, 15], [0, 17]]] * 2)
    np.testing.assert_array_equal(d.ue_orientation, [math.radians(-30)] * 2)
    np.testing.assert_array_equal(d.target_rcs, [[1, 2, 3]] * 2)
    np.testing.assert_array_equal(d.ue_rcs, [4, 4])
    # A sweep over the number of targets cuts fixed phases too.
    assert_same(sample(scenario.with_targets(1), model, 1, 10, 12), d.with_targets(1))


def test_fixed_draw():
    d = fixed_draw(Scenario(), phase_bistatic=np.array([0.1, 0.2, 0.3, 0.4]))
    assert len(d) == 1
    assert d.phase_bistatic.tolist() == [[0.1, 0.2, 0.3, 0.4]]
    assert d.phase_monostatic.tolist() == [[0.0] * 4]
    with pytest.raises(ScenarioError, match="3 fixed phases for 4 paths"):
        fixed_draw(Scenario(), phase_monostatic=[0.0] * 3)


@pytest.mark.parametrize("count", [0, 3])
def test_layout(count):
    d = sample(Scenario(), RANDOM, 5, 0, 6).with_targets(count)[1:4]
    assert len(d) == 3
    for name in NAMES:
        assert getattr(d, name).dtype == np.float64
        assert getattr(d, name).flags.c_contiguous, name
    assert len(d[0:0]) == len(sample(Scenario(), RANDOM, 5, 9, 9)) == 0


def test_draws_refuse_what_does_not_fit():
    d = sample(Scenario(), RANDOM, 5, 0, 3)
    arrays = {name: getattr(d, name) for name in NAMES}
    for name in NAMES:
        with pytest.raises(ScenarioError, match="should be"):
            Draws(**(arrays | {name: arrays[name][:2]}))
    with pytest.raises(ScenarioError, match="phase_bistatic"):
        Draws(**(arrays | {"phase_bistatic": arrays["phase_bistatic"][:, :3]}))
    with pytest.raises(ScenarioError, match=r"outside 0\.\.3"):
        d.with_targets(4)
    with pytest.raises(TypeError, match="by slice"):
        d[0]


@pytest.mark.parametrize(("seed", "start", "stop"), [(-1, 0, 1), (2**63, 0, 1), (0, -1, 1), (0, 2, 1)])
def test_addresses_out_of_range(seed, start, stop):
    with pytest.raises(ScenarioError, match="give"):
        sample(Scenario(), RANDOM, seed, start, stop)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"phases": "fixed"}, "needs phases_bistatic_rad"),
        ({"phases": "fixed", "phases_bistatic_rad": [0.0]}, "needs phases_monostatic_rad"),
        ({"phases_monostatic_rad": [0.0]}, "no use"),
        ({"phases": "fixed", "phases_bistatic_rad": [math.nan], "phases_monostatic_rad": [0.0]}, "finite"),
        ({"ue_position": {"kind": "sphere"}}, "is of no known kind; give kind = "),
        ({"ue_position": BOX | {"x_m": [1, 1]}}, "low < high"),
        ({"ue_position": BOX | {"y_m": [2, math.inf]}}, "finite"),
        ({"ue_position": BOX | {"radius_m": 1}}, "ue_position.radius_m: unknown field"),
        (
            {"ue_position": BOX | {"x_m": [1, 2, 3]}},
            r"ue_position.x_m: \[1, 2, 3\] has 3 numbers; give two, \[low, high\]",
        ),
        ({"target_positions": DISC | {"centre_m": 1}}, r"target_positions.centre_m: 1 .* \[x, y\] or \[x, y, z\] in m"),
        ({"ue_position": "disc"}, "'disc' is of no known kind"),
        ({"rcs": 3, "phases": "x"}, "^phases: .*; and rcs: "),
        ({"target_positions": DISC | {"radius_m": 0}}, "greater than 0"),
        ({"ue_orientation": "random"}, "'fixed', 'uniform' or 'uniform-3d'"),
        ({"rcs": "swerling3"}, "'fixed' or 'swerling1'"),
    ],
)
def test_models_refuse(changes, wanted):
    with pytest.raises(ScenarioError, match=wanted) as caught:
        DrawModel(**changes)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValidationError):  # a job file wants the key of each
        DrawModel.model_validate(changes)


def test_models_by_class_or_table():
    by_class = DrawModel(
        ue_position=BoxPosition(kind="box", x_m=(-15, 15), y_m=(5, 25)),
        target_positions=DiscPosition(kind="disc", centre_m=(0, 18), radius_m=3),
    )
    assert by_class == DrawModel(ue_position=BOX, target_positions=DISC)


SPACE = Scenario(
    bs_position_m=[0, 0, 10],
    ue_position_m=[-5, 20, 1.5],
    ue_downtilt_deg=20,
    ue_slant_deg=-30,
    target_positions_m=[[-10, 15, 1], [5, 15, 2], [0, 17, 4]],
)
IN_SPACE = DrawModel(
    ue_position=BOX | {"z_m": 1.5},
    target_positions=DISC | {"height_m": [1, 4]},
    ue_orientation="uniform-3d",
    rcs="swerling1",
)


def unit(seed, purpose, draw, path, place):
    """A number in (0, 1) as the address gives it."""
    word = int(np.random.Philox(counter=[draw, path, 0, 0], key=[seed, purpose]).random_raw(4)[place])
    return ((word >> 12) + 0.5) / 2**52


def test_space_adds_numbers_and_changes_none():
    """Height and tilts are the third and second word of addresses whose other words the plane uses already."""
    space, plane = sample(SPACE, IN_SPACE, 7, 3, 9), sample(Scenario(), RANDOM, 7, 3, 9)
    for name in set(NAMES) - {"ue_position", "target_position", "ue_downtilt", "ue_slant"}:
        np.testing.assert_array_equal(getattr(space, name), getattr(plane, name))
    np.testing.assert_array_equal(space.ue_position[:, :2], plane.ue_position)
    np.testing.assert_array_equal(space.target_position[:, :, :2], plane.target_position)
    np.testing.assert_array_equal(space.ue_position[:, 2], [1.5] * 6)
    assert space.target_position[4, 2, 2] == pytest.approx(1 + 3 * unit(7, 3, 7, 2, 2), rel=1e-14)
    assert space.ue_downtilt[4] == pytest.approx(math.asin(2 * unit(7, 4, 7, 0, 1) - 1), rel=1e-14)
    assert space.ue_slant[4] == pytest.approx(2 * math.pi * unit(7, 4, 7, 0, 2) - math.pi, rel=1e-14)
    assert (space.dimensions, plane.dimensions) == (3, 2)
    assert not plane.ue_downtilt.any()
    assert not plane.ue_slant.any()


@pytest.mark.parametrize("model", ["fixed", "uniform"])
def test_a_bearing_leaves_the_tilts_to_the_scenario(model):
    d = sample(SPACE, DrawModel(ue_orientation=model), 7, 0, 3)
    np.testing.assert_array_equal(d.ue_downtilt, [math.radians(20)] * 3)
    np.testing.assert_array_equal(d.ue_slant, [math.radians(-30)] * 3)
    np.testing.assert_array_equal(d.target_position, [[[-10, 15, 1], [5, 15, 2], [0, 17, 4]]] * 3)
    np.testing.assert_array_equal(d.ue_position, [[-5, 20, 1.5]] * 3)
    assert len(np.unique(d.ue_orientation)) == (1 if model == "fixed" else 3)


def test_heights_are_one_number_a_range_or_that_of_the_centre():
    models = {
        1.5: BOX | {"z_m": 1.5},
        -2.0: DISC | {"height_m": -2},
        0.5: DISC | {"centre_m": [0, 18, 0.5]},
    }
    for height, model in models.items():
        d = sample(SPACE, DrawModel(target_positions=model), 3, 0, 20)
        assert (d.target_position[:, :, 2] == height).all()
    for model in (BOX | {"z_m": [1, 4]}, DISC | {"height_m": [1, 4]}):
        heights = sample(SPACE, DrawModel(target_positions=model), 3, 0, 2000).target_position[:, :, 2]
        assert uniformity((heights - 1) / 3) < 1.95
        assert abs(np.corrcoef(heights.T) - np.eye(3)).max() < 0.06  # each target on its own


def rotations(d):
    """Rz(-phi) Ry(downtilt) Rx(slant) of TR 38.901, 7.1, written out."""
    a, b, c = -d.ue_orientation, d.ue_downtilt, d.ue_slant
    zero, one = np.zeros(len(d)), np.ones(len(d))

    def stacked(*rows):
        return np.moveaxis(np.array(rows), 2, 0)

    z = stacked([np.cos(a), -np.sin(a), zero], [np.sin(a), np.cos(a), zero], [zero, zero, one])
    y = stacked([np.cos(b), zero, np.sin(b)], [zero, one, zero], [-np.sin(b), zero, np.cos(b)])
    x = stacked([one, zero, zero], [zero, np.cos(c), -np.sin(c)], [zero, np.sin(c), np.cos(c)])
    return z @ y @ x


def test_all_rotations_are_as_likely():
    """Of Haar's measure: every entry is uniform in (-1, 1), columns or not, and a fixed rotation changes nothing."""
    d = sample(SPACE, IN_SPACE, 11, 0, 4000)
    turns = rotations(d)
    fixed = rotations(sample(SPACE, IN_SPACE, 12, 0, 1))[0]
    for found in (turns, turns @ fixed, fixed @ turns):
        for i in range(3):
            for j in range(3):
                assert uniformity((found[:, i, j] + 1) / 2) < 1.95, (i, j)
    # The angle of a rotation about its axis has the density (1 - cos w) / pi.
    angle = np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2)
    assert uniformity((angle - np.sin(angle)) / math.pi) < 1.95


@pytest.mark.parametrize(
    ("scenario", "model", "wanted"),
    [
        (Scenario(), {"ue_position": BOX | {"z_m": 1}}, "^ue_position.z_m: positions of two numbers have no height"),
        (Scenario(), {"target_positions": DISC | {"height_m": [1, 2]}}, "^target_positions.height_m: positions of two"),
        (Scenario(), {"target_positions": DISC | {"centre_m": [0, 1, 2]}}, r"^target_positions.centre_m: .*\[x, y\]$"),
        (
            Scenario(),
            {"ue_orientation": "uniform-3d"},
            '^ue_orientation: "uniform-3d" needs positions of three numbers',
        ),
        (SPACE, {"ue_position": BOX}, "^ue_position.z_m: missing, and positions have three numbers; add it"),
        (SPACE, {"target_positions": DISC}, "^target_positions.height_m: missing, and positions have three numbers"),
    ],
)
def test_models_that_do_not_fit_the_scenario(scenario, model, wanted):
    with pytest.raises(ScenarioError, match=wanted) as caught:
        sample(scenario, DrawModel(**model), 1, 0, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (BOX | {"z_m": [2, 2]}, r"ue_position: z_m = \[2, 2\] is empty; give \[low, high\] with low < high"),
        (BOX | {"z_m": [1, 2, 3]}, r"ue_position.z_m: \[1, 2, 3\] has 3 numbers; give two, \[low, high\]"),
        (BOX | {"z_m": math.inf}, "ue_position.z_m: inf is refused; it should be a finite number"),
        (BOX | {"z_m": "1.5"}, "ue_position.z_m: '1.5' is refused; it should be a valid number"),
        (DISC | {"height_m": [3, 1]}, r"ue_position: height_m = \[3, 1\] is empty"),
        (DISC | {"centre_m": [0, 1, 2], "height_m": 2}, "ue_position: centre_m and height_m both say a height; leave"),
        ({"kind": "disc", "centre_m": [0, 1]}, "ue_position.radius_m: missing; add it"),
    ],
)
def test_heights_refused(model, wanted):
    with pytest.raises(ScenarioError, match=f"^{wanted}"):
        DrawModel(ue_position=model)


def test_models_dump_only_what_is_said():
    assert DrawModel(ue_position=BOX).model_dump()["ue_position"] == BOX | {"x_m": (-15, 15), "y_m": (5, 25)}
    assert DrawModel(**IN_SPACE.model_dump()) == IN_SPACE


def test_draws_in_space_are_checked():
    d = sample(SPACE, IN_SPACE, 5, 0, 3)
    arrays = {name: getattr(d, name) for name in NAMES}
    for name in NAMES:
        with pytest.raises(ScenarioError, match="should be"):
            Draws(**(arrays | {name: arrays[name][:2]}))
    with pytest.raises(ScenarioError, match=r"target_position has shape \(3, 3, 2\); .* should be \(3, 3, 3\)$"):
        Draws(**(arrays | {"target_position": arrays["target_position"][:, :, :2]}))
    with pytest.raises(ScenarioError, match=r"^draws: ue_slant\[1\] is 7 \(draw 1\); it should be from -2 pi to 2 pi"):
        Draws(**(arrays | {"ue_slant": np.array([0.0, 7.0, 0.0])}))
    above = arrays["target_position"].copy()
    above[1, 2] = arrays["ue_position"][1] + [0, 0, 1e-12]
    with pytest.raises(ScenarioError, match="the UE and target 3 at the same point in draw 1"):
        Draws(**(arrays | {"target_position": above}))
    above[1, 2, 2] += 1e-6
    assert len(Draws(**(arrays | {"target_position": above}))) == 3
    upright = Draws(**{name: array for name, array in arrays.items() if name not in ("ue_downtilt", "ue_slant")})
    np.testing.assert_array_equal(upright.ue_slant, [0.0] * 3)


def test_the_plane_has_no_tilts():
    d = sample(Scenario(), RANDOM, 5, 0, 3)
    arrays = {name: getattr(d, name) for name in NAMES}
    with pytest.raises(
        ScenarioError, match=r"^draws: ue_downtilt\[0\] is 0.1 \(draw 0\); it should be 0 where positions"
    ):
        Draws(**(arrays | {"ue_downtilt": np.array([0.1, 0.0, 0.0])}))


def test_draws_and_scenario_are_both_in_space_or_neither():
    with pytest.raises(
        ScenarioError, match=r"^positions have three numbers in the draws, two in the scenario; give both"
    ):
        check_fit(Scenario(), sample(SPACE, IN_SPACE, 5, 0, 3))
    check_fit(SPACE, sample(SPACE, IN_SPACE, 5, 0, 3))
    at_the_bs = SPACE.replace(bs_position_m=[0, 18, 1.5], ue_position_m=[0, 17.9, 1.5])
    there = fixed_draw(at_the_bs).changed(ue_position=np.array([[0, 18, 1.5]]))
    with pytest.raises(ScenarioError, match="the BS and the UE at the same point in draw 0"):
        check_fit(at_the_bs, there)
