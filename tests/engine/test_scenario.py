import math

import numpy as np
import pytest
from crbatch.engine.errors import EngineError, ScenarioError
from crbatch.engine.scenario import SPEED_OF_LIGHT, Scenario
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
