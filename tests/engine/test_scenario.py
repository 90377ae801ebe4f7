import math

import numpy as np
import pytest
from crbatch.engine.antennas import Elements, Uca, Ula, Upa
from crbatch.engine.errors import EngineError, ScenarioError
from crbatch.engine.scenario import SPEED_OF_LIGHT, Prior, Scenario
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError


def test_defaults_are_the_papers():
    s = Scenario()
    assert (s.tx_antennas, s.rx_antennas, s.ue_antennas, s.slots, s.pilots_per_slot) == (16, 16, 16, 16, 100)
    assert (s.carrier_hz, s.bandwidth_hz, s.subcarriers) == (28e9, 120e6, 1024)
    assert (s.bs_position_m, s.ue_position_m) == ((0.0, 0.0), (-5.0, 20.0))
    assert s.target_positions_m == ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0))
    assert (s.target_rcs, s.ue_rcs_m2) == ((100.0, 100.0, 100.0), 10.0)
    assert (s.bs_broadside_deg, s.ue_orientation_deg, s.clock_bias_s) == (90.0, 110.0, 1e-6)
    assert s.gain_law == "radar-equation"


def test_si_values():
    s = Scenario()
    assert SPEED_OF_LIGHT == 299792458.0
    assert s.wavelength_m == pytest.approx(0.010706873500, rel=1e-10)
    assert s.subcarrier_spacing_hz == 117187.5
    # From golden/golden.json, case paper-k3.
    assert s.noise_power_w == pytest.approx(4.8237111012042745e-15, rel=1e-14)
    assert s.power_per_subcarrier_w == pytest.approx(9.765625e-09, rel=1e-14)


@given(power=st.floats(-100, 60), figure=st.floats(0, 30), psd=st.floats(-200, -100))
def test_decibels(power, figure, psd):
    s = Scenario(power_dbm=power, noise_figure_db=figure, noise_psd_dbm_hz=psd)
    assert 10 * math.log10(s.power_per_subcarrier_w * s.subcarriers) + 30 == pytest.approx(power, abs=1e-9)
    noise = 10 * math.log10(s.noise_power_w / s.subcarrier_spacing_hz) + 30
    assert noise == pytest.approx(figure + psd, abs=1e-9)


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("bandwidth_hz", -120e6, "greater than 0"),
        ("bandwidth_hz", 0, "greater than 0"),
        ("bandwidth_hz", "120e6", "valid number"),
        ("carrier_hz", True, "valid number"),
        ("carrier_hz", 28, "both in Hz"),
        ("subcarriers", 0, "greater than or equal to 1"),
        ("slots", 2.5, "valid integer"),
        ("tx_antennas", "16", "valid integer"),
        ("tx_antennas", True, "valid integer"),
        ("rx_antennas", 0, "greater than or equal to 1"),
        ("ue_antennas", -3, "greater than or equal to 1"),
        ("pilots_per_slot", 0, "greater than or equal to 1"),
        ("power_dbm", math.inf, "finite"),
        ("noise_figure_db", -1.0, "greater than or equal to 0"),
        ("noise_psd_dbm_hz", 4e-21, "less than or equal to -50"),
        ("clock_bias_s", 1.0, "less than or equal to 0.001"),
        ("ue_orientation_deg", 1e4, "less than or equal to 360"),
        ("ue_position_m", [math.nan, 0.0], "finite"),
        ("ue_position_m", [1.0], r"\[1.0\] has 1 number; give two, \[x, y\], or three, \[x, y, z\]$"),
        ("bs_position_m", [0.0] * 4, r"has 4 numbers; give two, \[x, y\], or three, \[x, y, z\]$"),
        ("target_positions_m", [[-10, 15], [5, math.nan], [0, 17]], "finite"),
        ("target_rcs_m2", 0.0, "greater than 0"),
        ("target_rcs_m2", [1.0, -1.0, 1.0], "greater than 0"),
        ("target_rcs_m2", [1.0, 2.0], "give 3 values, or one number for all"),
        ("ue_rcs_m2", -1.0, "greater than 0"),
        ("gain_law", "printed", "'radar-equation' or 'as-printed'"),
        ("bandwith_hz", 1.0, "unknown field; did you mean bandwidth_hz"),
        ("foo", 1.0, "unknown field; leave it out$"),
    ],
)
def test_impossible_values_are_refused_once(field, value, wanted):
    for build in (Scenario, Scenario().replace):
        with pytest.raises(ScenarioError, match=wanted) as caught:
            build(**{field: value})
        assert field in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "; and " not in str(caught.value)
    with pytest.raises(ValidationError) as listed:  # a job file wants the key of each
        Scenario.model_validate({field: value})
    assert listed.value.error_count() == 1


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"ue_position_m": [0, 0]}, ("bs_position_m", "ue_position_m")),
        ({"ue_position_m": [5, 15]}, ("ue_position_m", "target_positions_m.1")),
        ({"bs_position_m": [0, 17]}, ("bs_position_m", "target_positions_m.2")),
        (
            {"target_positions_m": [[1, 2], [3, 4], [1, 2 + 1e-12]]},
            ("target_positions_m.0", "target_positions_m.2"),
        ),
    ],
)
def test_two_entities_at_one_point(changes, names):
    with pytest.raises(ScenarioError, match="same point") as caught:
        Scenario(**changes)
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize(
    "changes",
    [
        {"target_positions_m": []},
        {"target_positions_m": [], "target_rcs_m2": []},
        {"target_positions_m": [[8.0, 0.0]]},  # on the BS array's axis
        {"target_positions_m": [[-2.5, 10.0]]},  # on the BS-UE segment
        {"target_positions_m": [[5.0, 15.0], [5.0, 15.0001]]},  # close, not the same
        {"tx_antennas": 1},
    ],
)
def test_unidentifiable_is_not_invalid(changes):
    s = Scenario(**changes)
    assert len(s.target_rcs) == s.targets == len(s.target_positions_m)


@pytest.mark.parametrize("rcs", [50.0, [50.0, 20.0, 10.0]])
def test_with_targets_keeps_the_first(rcs):
    whole = Scenario(target_rcs_m2=rcs)
    for k in range(4):
        part = whole.with_targets(k)
        assert part.targets == k
        assert part.target_positions_m == whole.target_positions_m[:k]
        assert part.target_rcs == whole.target_rcs[:k]
        assert part.replace(target_positions_m=(), target_rcs_m2=1.0) == whole.replace(
            target_positions_m=(), target_rcs_m2=1.0
        )


@pytest.mark.parametrize("count", [-1, 4])
def test_with_targets_it_does_not_have(count):
    with pytest.raises(ScenarioError, match=r"outside 0\.\.3"):
        Scenario().with_targets(count)
    assert issubclass(ScenarioError, EngineError)


def test_replace_checks_again():
    assert Scenario().replace(tx_antennas=32) == Scenario(tx_antennas=32)
    with pytest.raises(ScenarioError, match="greater than or equal to 1"):
        Scenario().replace(tx_antennas=0)
    with pytest.raises(ScenarioError, match="unknown field"):
        Scenario().replace(antennas=8)


def test_frozen_and_hashable():
    s = Scenario()
    with pytest.raises(ScenarioError, match=r"^slots: a Scenario is frozen; make a new one"):
        s.slots = 3
    with pytest.raises(ScenarioError, match="frozen"):
        del s.slots
    assert s == Scenario()
    assert len({s, Scenario(), Scenario(slots=3)}) == 2


def test_whole_numbers_become_floats():
    s = Scenario(power_dbm=-20, target_rcs_m2=100)
    assert type(s.power_dbm) is float
    assert s == Scenario()
    assert s.model_dump_json() == Scenario().model_dump_json()


def test_all_errors_are_told_in_one_line():
    with pytest.raises(ScenarioError) as caught:
        Scenario(tx_antennas=0, ue_position_m=[1, 2, 3, 4], gain_law="x", bandwith_hz=1.0)
    assert str(caught.value) == (
        "tx_antennas: 0 is refused; it should be greater than or equal to 1; and "
        "ue_position_m: [1, 2, 3, 4] has 4 numbers; give two, [x, y], or three, [x, y, z]; and "
        "gain_law: 'x' is refused; it should be 'radar-equation' or 'as-printed'; and "
        "bandwith_hz: unknown field; did you mean bandwidth_hz?"
    )
    with pytest.raises(ScenarioError) as caught:
        Scenario(target_positions_m=[1, [2, 3]], target_rcs_m2=[1, -1])
    assert str(caught.value) == (
        "target_positions_m.0: 1 is refused; it should be [x, y] or [x, y, z] in m; and "
        "target_rcs_m2.1: -1 is refused; it should be greater than 0"
    )


def test_numpys_numbers_and_arrays_are_numbers():
    of_numpy = Scenario(
        tx_antennas=np.int64(8),
        slots=np.uint8(4),
        subcarriers=np.array(64),
        power_dbm=np.float32(-20),
        bandwidth_hz=np.array(1e8),
        ue_position_m=np.array([1, 2]),
        target_positions_m=np.array([[-10.0, 15.0], [5.0, 15.0]]),
        target_rcs_m2=[np.int32(3), np.float16(2.5)],
    )
    of_python = Scenario(
        tx_antennas=8,
        slots=4,
        subcarriers=64,
        power_dbm=-20.0,
        bandwidth_hz=1e8,
        ue_position_m=(1.0, 2.0),
        target_positions_m=((-10.0, 15.0), (5.0, 15.0)),
        target_rcs_m2=(3.0, 2.5),
    )
    assert of_numpy == of_python
    assert repr(of_numpy) == repr(of_python)  # nothing of NumPy's is left in it
    assert of_numpy.replace(tx_antennas=np.int64(9), ue_position_m=np.zeros(2) + 3) == of_python.replace(
        tx_antennas=9, ue_position_m=(3.0, 3.0)
    )
    assert Scenario(target_positions_m=np.zeros((0, 2))).targets == 0
    assert of_numpy.with_targets(np.int64(1)).targets == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tx_antennas", np.bool_(True)),
        ("tx_antennas", np.float64(16)),
        ("tx_antennas", np.array([16])),
        ("power_dbm", np.bool_(True)),
        ("power_dbm", np.str_("3")),
        ("power_dbm", np.complex128(3)),
        ("power_dbm", np.timedelta64(3, "s")),
        ("ue_position_m", np.array([True, False])),
        ("ue_position_m", np.array(["1", "2"])),
        ("ue_position_m", np.array([[1.0, 2.0]])),
        ("target_rcs_m2", np.array([1.0, np.nan, 1.0])),
    ],
)
def test_numpys_other_things_are_not(field, value):
    with pytest.raises(ScenarioError, match=f"^{field}.* (is refused; it should be|give two)"):
        Scenario(**{field: value})


@pytest.mark.parametrize("count", [True, "2", 1.0, None])
def test_a_number_of_targets_is_whole(count):
    with pytest.raises(ScenarioError, match=r"^targets = .* is refused; it should be a whole number"):
        Scenario().with_targets(count)


SPACE = {
    "bs_position_m": [0, 0, 10],
    "ue_position_m": [-5, 20, 1.5],
    "target_positions_m": [[-10, 15, 1], [5, 15, 2], [0, 17, 4]],
}
UPA = {"kind": "upa", "rows": 4, "columns": 8}


def test_a_scenario_in_space():
    s = Scenario(**SPACE, bs_downtilt_deg=10, ue_slant_deg=-3.5, tx_array=UPA, ue_array=Uca(antennas=6, radius=1.0))
    assert (s.dimensions, s.targets, Scenario().dimensions) == (3, 3, 2)
    assert s.ue_position_m == (-5.0, 20.0, 1.5)
    assert (s.tx_antennas, s.rx_antennas, s.ue_antennas) == (32, 16, 6)
    assert s.transmitter == s.tx_array == Upa(rows=4, columns=8)
    assert (s.receiver, s.user_array) == (Ula(antennas=16, spacing=0.5), Uca(antennas=6, radius=1.0))
    assert s.with_targets(1).target_positions_m == ((-10.0, 15.0, 1.0),)
    assert len({s, s.replace(), s.replace(bs_downtilt_deg=11)}) == 2
    # Above each other is not at one point.
    assert s.replace(ue_position_m=[0, 17, 4.001]).dimensions == 3


def test_what_is_known_beforehand():
    s = Scenario(known=["targets", "clock", "clock"], line_of_sight=np.bool_(False), prior={"orientation_deg": 2})
    assert s.known == ("clock", "targets")
    assert s == Scenario(known=("clock", "targets"), line_of_sight=False, prior=Prior(orientation_deg=2.0))
    assert (s.prior.orientation_deg, s.prior.clock_s, s.line_of_sight) == (2.0, None, False)
    # Without targets and line of sight nothing is identifiable, which is not invalid.
    assert s.with_targets(0).targets == 0
    assert Scenario().prior == Prior()
    assert Prior(ue_position_m=1e9, clock_s=1e-30).ue_position_m == 1e9


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"ue_position_m": [0, 20, 1]}, "^bs_position_m has two numbers, ue_position_m three; give all positions of a"),
        ({"bs_position_m": [0, 0, 1]}, "^bs_position_m has three numbers, ue_position_m two; give all positions"),
        (SPACE | {"target_positions_m": [[1, 2, 3], [4, 5]]}, "^bs_position_m has three numbers, target_positions_m.1"),
        (SPACE | {"ue_position_m": [0, 17, 4]}, "^ue_position_m and target_positions_m.2 are the same point"),
        ({"bs_downtilt_deg": 1}, "^bs_downtilt_deg needs positions of three numbers; give those, or leave it out$"),
        ({"ue_slant_deg": -1.0}, "^ue_slant_deg needs positions of three numbers"),
        ({"ue_downtilt_deg": 361}, "^ue_downtilt_deg: 361 is refused; it should be less than or equal to 360$"),
        ({"rx_array": UPA}, "^rx_array: an array with height needs positions of three numbers$"),
        (
            {"ue_array": {"kind": "elements", "positions": [[0, 0, 0.5], [0, 1, 0]]}},
            "^ue_array: an array with height needs positions of three numbers$",
        ),
        (
            {"tx_array": Ula(antennas=16), "tx_antennas": 16},
            "^tx_antennas and tx_array both say how many elements there are; leave out one of them$",
        ),
        (
            {"phase_centre": "first-element", "rx_array": Uca(antennas=4, radius=1)},
            '^phase_centre = "first-element" is of linear arrays, and rx_array has kind = "uca"; give "array-centre"$',
        ),
        ({"line_of_sight": 1}, "^line_of_sight: 1 is refused; it should be a valid boolean"),
        ({"known": ["phase"]}, "^known.0: 'phase' is refused; it should be 'clock', 'orientation' or 'targets'$"),
        ({"known": "clock"}, "^known: 'clock' is refused; it should be a valid list$"),
        (
            {"prior": {"clock_s": 0}},
            "^prior.clock_s: 0 is refused; a standard deviation is above 0; for what is known exactly use known$",
        ),
        ({"prior": {"ue_position_m": -1.5}}, "^prior.ue_position_m: -1.5 is refused; a standard deviation is above 0"),
        ({"prior": {"orientation_deg": math.nan}}, "^prior.orientation_deg: nan is refused; it should be a finite"),
        ({"prior": {"clock": 1e-9}}, "^prior.clock: unknown field; leave it out$"),
        *(
            ({"known": [word], "prior": {key: 1e-3}}, f"^prior.{key} has no use where known has '{word}'; leave out")
            for word, key in (
                ("clock", "clock_s"),
                ("orientation", "orientation_deg"),
                ("targets", "target_position_m"),
            )
        ),
    ],
)
def test_space_is_refused_in_one_line(changes, wanted):
    for build in (Scenario, Scenario().replace):
        with pytest.raises(ScenarioError, match=wanted) as caught:
            build(**changes)
        assert "\n" not in str(caught.value)
        assert "; and " not in str(caught.value)
    with pytest.raises(ValidationError) as listed:
        Scenario.model_validate(changes)
    assert listed.value.error_count() == 1


def test_linear_arrays_have_a_first_element():
    s = Scenario(tx_array=Ula(antennas=4, spacing=0.7), phase_centre="first-element")
    assert s.transmitter.spacing == 0.7


WITHOUT_NEW_KEYS = [
    *("carrier_hz", "bandwidth_hz", "subcarriers", "slots", "pilots_per_slot", "power_dbm", "noise_figure_db"),
    *("noise_psd_dbm_hz", "tx_antennas", "rx_antennas", "ue_antennas", "bs_position_m", "bs_broadside_deg"),
    *("ue_position_m", "ue_orientation_deg", "ue_angle", "clock_bias_s", "target_positions_m", "target_rcs_m2"),
    *("ue_rcs_m2", "gain_law", "phase_centre"),
]


def test_a_dump_has_only_what_is_said():
    """What says nothing is not in it: the identity of a job in the plane is a hash of it."""
    assert list(Scenario().model_dump()) == WITHOUT_NEW_KEYS
    said_nothing = {"tx_array": None, "known": [], "prior": {}, "line_of_sight": True, "bs_downtilt_deg": 0}
    assert Scenario(**said_nothing).model_dump_json() == Scenario().model_dump_json()
    s = Scenario(**SPACE, tx_array=UPA, known=["clock"], prior={"ue_position_m": 0.3}, line_of_sight=False)
    dumped = s.model_dump()
    assert set(dumped) == {*WITHOUT_NEW_KEYS, "tx_array", "known", "prior", "line_of_sight"} - {"tx_antennas"}
    assert Scenario(**dumped) == s
    assert Scenario.model_validate_json(s.model_dump_json()) == s
    assert Scenario.model_validate_json(s.model_dump_json(exclude_none=True)) == s
    elements = Scenario(ue_array=Elements(positions=[[0, 0], [0, 0.6]]))
    assert Scenario.model_validate_json(elements.model_dump_json()) == elements


def test_replace_puts_an_array_for_a_number_and_the_reverse():
    s = Scenario(**SPACE, tx_antennas=8)
    planar = s.replace(tx_array=UPA)
    assert (planar.tx_antennas, planar.rx_antennas) == (32, 16)
    assert planar.replace(tx_antennas=8) == s
    assert planar.replace(tx_array=None).tx_antennas == 16
    assert planar.replace(slots=4).tx_array == planar.tx_array
    assert planar.replace(rx_antennas=4).transmitter == planar.transmitter
    assert planar.with_targets(0).tx_antennas == 32
    with pytest.raises(ScenarioError, match="both say how many elements"):
        planar.replace(tx_antennas=8, tx_array=UPA)
