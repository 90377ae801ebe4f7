"""Arrays: elements where the field's definitions put them, and what is refused."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from crbatch.engine.antennas import Elements, Uca, Ula, Upa
from crbatch.engine.errors import ScenarioError
from crbatch.engine.scenario import Scenario
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

# From golden/world.json, scene 3d-upa: the transmit array of 4 x 4 and the UE's of 2 x 4.
TX = [[0.0, y, z] for z in (-0.75, -0.25, 0.25, 0.75) for y in (-0.75, -0.25, 0.25, 0.75)]
UE = [[0.0, y, z] for z in (-0.25, 0.25) for y in (-0.75, -0.25, 0.25, 0.75)]
# From scene 2d-circle: the first elements of 16 on a radius of 1, and of 12 on 0.8.
CIRCLE_16 = [
    [1.0, 0.0, 0.0],
    [0.9238795325112867, 0.3826834323650898, 0.0],
    [0.7071067811865476, 0.7071067811865475, 0],
]
CIRCLE_12 = [[0.8, 0.0, 0.0], [0.692820323027551, 0.39999999999999997, 0.0], [0.4, 0.6928203230275509, 0.0]]


def test_planar_arrays_of_golden_scenes():
    np.testing.assert_array_equal(Upa(rows=4, columns=4).positions, TX)
    np.testing.assert_array_equal(Upa(rows=2, columns=4).positions, UE)
    assert (Upa(rows=2, columns=4).antennas, Upa(rows=2, columns=4).positions.dtype) == (8, np.float64)
    wide = Upa(rows=2, columns=3, row_spacing=0.7, column_spacing=2.0).positions
    np.testing.assert_allclose(wide[4], [0.0, 0.0, 0.35], atol=1e-15)  # row 1, column 1
    np.testing.assert_allclose(wide[2], [0.0, 2.0, -0.35], atol=1e-15)


def test_circular_arrays_of_a_golden_scene():
    np.testing.assert_allclose(Uca(antennas=16, radius=1.0).positions[:3], CIRCLE_16, rtol=0, atol=1e-15)
    np.testing.assert_allclose(Uca(antennas=12, radius=0.8).positions[:3], CIRCLE_12, rtol=0, atol=1e-15)
    assert Uca(antennas=12, radius=0.8).positions.shape == (12, 3)


@given(antennas=st.integers(1, 64), spacing=st.floats(0.01, 10))
def test_linear_arrays_are_centred_and_lie_on_y(antennas, spacing):
    positions = Ula(antennas=antennas, spacing=spacing).positions
    assert positions.shape == (antennas, 3)
    assert not positions[:, [0, 2]].any()
    np.testing.assert_allclose(np.diff(positions[:, 1]), spacing, rtol=1e-12)
    assert abs(positions.sum()) < 1e-9 * antennas * spacing
    np.testing.assert_array_equal(Upa(rows=1, columns=antennas, column_spacing=spacing).positions, positions)


@given(antennas=st.integers(2, 64), radius=st.floats(0.2, 100))
def test_circular_arrays_lie_flat(antennas, radius):
    positions = Uca(antennas=antennas, radius=radius).positions
    turn = np.exp(2j * math.pi / antennas)
    places = positions[:, 0] + 1j * positions[:, 1]
    assert places[0] == radius
    assert not positions[:, 2].any()
    for one, following in pairwise(places):
        assert abs(following - one * turn) < 1e-12 * radius


def test_elements_are_where_they_are_given():
    given_places = [[0.3, 1.0, 2.0], [0.0, -1.0, 5.0], [7.0, 8.0, 9.0]]
    array = Elements(positions=np.array(given_places))
    assert array.antennas == 3
    np.testing.assert_array_equal(array.positions, given_places)  # not centred anew
    np.testing.assert_array_equal(Elements(positions=[[1, 2], [3, 4.5]]).positions, [[1, 2, 0], [3, 4.5, 0]])
    assert Elements(positions=[[0.0, 0.0]]).antennas == 1


@pytest.mark.parametrize(
    "array",
    [
        Ula(antennas=3),
        Upa(rows=2, columns=3, row_spacing=0.6),
        Uca(antennas=5, radius=2.0),
        Elements(positions=[[0, 0], [0, 1]]),
    ],
)
def test_arrays_are_values(array):
    again = type(array)(**array.model_dump())
    assert (again, hash(again)) == (array, hash(array))
    assert type(array)(**json.loads(array.model_dump_json())) == array
    with pytest.raises(ScenarioError, match="frozen"):
        array.kind = "ula"


FLAT = [(y, z) for y in range(8) for z in range(8)]


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda: Elements(positions=[]), "^positions: 0 elements are refused; give 1 to 4096$"),
        (lambda: Elements(positions=np.zeros((4097, 3))), "^positions: 4097 elements are refused; give 1 to 4096$"),
        (
            lambda: Elements(positions=[[0, 0, 0], [0, 1, 0], [0, 0, 1e-12]]),
            r"^positions: elements 0 and 2 are at the same point \[0.0, 0.0, 0.0\]; move one of them$",
        ),
        (lambda: Elements(positions=[[1, 1]] * 3), "^positions: elements 0 and [12] are at the same point"),
        # Half a wavelength at 28 GHz, and all of an array at once.
        (lambda: Elements(positions=[[0, 0.00535 * y, 0.00535 * z] for y, z in FLAT]), "look like metres; give wave"),
        (lambda: Elements(positions=[[0, 0], [0, 0.049]]), "look like metres; give wavelengths$"),
        (lambda: Elements(positions=[[0, 0], [0, math.nan]]), "^positions.1.1: nan is refused; it should be a finite"),
        (lambda: Elements(positions=[[0, 0], [0, 1e7]]), "^positions.1.1: .* less than or equal to 1000000$"),
        (
            lambda: Elements(positions=[[0, 0], [0]]),
            r"^positions.1: \[0\] has 1 number; give three, \[x, y, z\], or two",
        ),
        (lambda: Elements(positions=[[0, 0, 0, 0]]), r"^positions.0: \[0, 0, 0, 0\] has 4 numbers; give three"),
        (
            lambda: Elements(positions=[1]),
            r"^positions.0: 1 is refused; it should be \[x, y, z\] or \[x, y\] in wave",
        ),
        (lambda: Elements(), "^positions: missing; add it$"),
        (lambda: Ula(antennas=0), "^antennas: 0 is refused; it should be greater than or equal to 1$"),
        (lambda: Ula(antennas=4097), "^antennas: 4097 is refused; it should be less than or equal to 4096$"),
        (lambda: Ula(antennas=4, spacing=0), "^spacing: 0 is refused; it should be greater than 0$"),
        (lambda: Uca(antennas=4, radius=-1), "^radius: -1 is refused; it should be greater than 0$"),
        (lambda: Upa(rows=64, columns=65), "^64 rows of 65 columns are 4160 elements; 4096 at most$"),
        (lambda: Upa(rows=4, columns=True), "^columns: True is refused; it should be a valid integer$"),
    ],
)
def test_arrays_refuse_in_one_line(build, wanted):
    with pytest.raises(ScenarioError, match=wanted) as caught:
        build()
    assert "\n" not in str(caught.value)
    assert "; and " not in str(caught.value)


def test_dense_arrays_in_wavelengths_are_arrays():
    assert Elements(positions=[[0, 0.06 * i] for i in range(9)]).antennas == 9
    # Two elements that are near each other do not make metres of the others.
    assert Elements(positions=[[0, 0], [0, 0.01], [0, 0.5]]).antennas == 3


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        ({"kind": "ring"}, 'tx_array: .*is of no known kind; give kind = "ula", "upa", "uca" or "elements"$'),
        ({}, r'tx_array: \{\} is of no known kind; give kind = "ula"'),
        ("upa", "tx_array: 'upa' is of no known kind; give kind = "),
        (8, "tx_array: 8 is of no known kind"),
        ({"kind": "ula"}, "tx_array.antennas: missing; add it$"),
        ({"kind": "ula", "antennas": 2, "rows": 3}, "tx_array.rows: unknown field; leave it out$"),
        ({"kind": "elements", "positions": [[0, 0], [0, 0]]}, "tx_array.positions: elements 0 and 1 are at the same"),
    ],
)
def test_scenarios_refuse_what_is_no_array(array, wanted):
    with pytest.raises(ScenarioError, match=f"^{wanted}"):
        Scenario(tx_array=array)
    with pytest.raises(ValidationError) as listed:  # a job file wants the key of each
        Scenario.model_validate({"tx_array": array})
    assert listed.value.error_count() == 1
