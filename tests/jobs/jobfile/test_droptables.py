"""Tables of draws as spreadsheets, pandas, NumPy and R write them; what cannot be read ends in one line."""

import math
from pathlib import Path

import numpy as np
import pytest
from crbatch.engine.scenario import Scenario
from crbatch.jobs.drops import Drops, read_drops
from drop_cases import outcome
from hypothesis import example, given
from hypothesis import strategies as st

OURS = (
    "ue_x_m, ue_y_m, ue_z_m, ue_orientation_deg, ue_orientation_rad, ue_downtilt_deg, ue_downtilt_rad, ue_slant_deg, "
    "ue_slant_rad, ue_rcs_m2, target1_x_m, target1_y_m, target1_z_m, target1_rcs_m2"
)


def table(folder: Path, text: str | bytes, ignored: tuple[str, ...] = (), name: str = "drops.csv") -> Drops:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_drops(path, ignored)


def refusal(folder: Path, text: str | bytes, ignored: tuple[str, ...] = (), name: str = "drops.csv") -> str:
    """What is said of a file, without its path."""
    with pytest.raises(ValueError, match="drops") as caught:
        table(folder, text, ignored, name)
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert said.startswith(f"{folder / name}: ")
    return said.removeprefix(f"{folder / name}: ")


@pytest.mark.parametrize(
    "text",
    [
        "ue_x_m,ue_y_m\n-5,20\n3,18.5\n",
        "ue_x_m;ue_y_m\n-5;20\n3;18.5\n",
        "ue_x_m\tue_y_m\n-5\t20\n3\t18.5\n",
        "ue_x_m ue_y_m\n  -5   20\n3 18.5  \n",
        "ue_x_m|ue_y_m\n-5|20\n3|18.5\n",
        "sep=;\nue_x_m;ue_y_m\n-5;20\n3;18.5\n",
        '"sep=\t"\nue_x_m\tue_y_m\n-5\t20\n3\t18.5\n',
        "\ufeffSEP=,\r\nue_x_m,ue_y_m\r\n-5,20\r\n3,18.5\r\n",
        "\ufeffue_x_m,ue_y_m\r-5,20\r3,18.5\r",
        "\n \n# a ray tracer's\n#\nue_x_m, ue_y_m\n\n-5, 20\n# half way\n3, 18.5",
        "# ue_x_m,ue_y_m\n-5.0e+00,2.0e+01\n3,18.5\n",
        "# made today\n# ue_x_m ue_y_m\n-5 20\n3 18.5\n",
        ",ue_x_m,ue_y_m\n0,-5,20\n1,3,18.5\n",
        '"","ue_x_m","ue_y_m"\n"1",-5,20\n"2",3,18.5\n',
        "Unnamed: 0,ue_x_m,ue_y_m\n0,-5,20\n1,3,18.5\n",
        "ue_x_m,ue_y_m,\n-5,20,\n3,18.5,\n",
        "ue_x_m,ue_y_m\n-5,20,\n3,18.5,,\n",
        "ue_x_m,ue_y_m,,\n-5,20\n3,18.5,\n,,,\n",
        '"ue_y_m", "ue_x_m"\n "20","-5"\n+18.50,3.\n',
    ],
)
def test_the_same_draws_however_they_are_written(tmp_path: Path, text: str) -> None:
    found = table(tmp_path, text)
    assert found.arrays.keys() == {"ue_position"}
    np.testing.assert_array_equal(found.arrays["ue_position"], [[-5.0, 20.0], [3.0, 18.5]])


@pytest.mark.parametrize("suffix", ["csv", "CSV", "tsv", "txt", "dat"])
def test_names_of_tables(tmp_path: Path, suffix: str) -> None:
    assert len(table(tmp_path, "ue_rcs_m2\n1\n2\n", name=f"drops.{suffix}")) == 2


def test_degrees_stand_beside_radians(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "ue_orientation_rad,phase_bistatic0_deg,phase_bistatic1_rad,phase_monostatic0_deg\n-0.5,90,2,-180\n",
    ).arrays
    np.testing.assert_array_equal(found["ue_orientation"], [-0.5])
    np.testing.assert_allclose(found["phase_bistatic"], [[math.pi / 2, 2.0]], rtol=1e-15)
    np.testing.assert_allclose(found["phase_monostatic"], [[-math.pi]], rtol=1e-15)
    assert "columns 1 (ue_orientation_deg) and 2 (ue_orientation_rad) say the same" in refusal(
        tmp_path, "ue_orientation_deg,ue_orientation_rad\n1,1\n"
    )


def test_columns_of_others_are_refused_unless_named(tmp_path: Path) -> None:
    text = "x,ue_x_m,ue_y_m,link\n7,-5,20,LOS\n8,3,18.5,NLOS\n"
    said = refusal(tmp_path, text)
    assert said.startswith(f"line 1: columns 1 ('x') and 4 ('link') are unknown; there are {OURS}, ")
    assert "draws.ignore_columns" in said
    assert "column 4 ('link') is unknown" in refusal(tmp_path, text, ("x",))
    np.testing.assert_array_equal(table(tmp_path, text, ("link", "x")).arrays["ue_position"], [[-5, 20], [3, 18.5]])
    assert "no column 'lnk'" in refusal(tmp_path, text, ("x", "link", "lnk"))
    # Ours can be left out too: what is left is read as if it were not there.
    assert table(tmp_path, text.replace("link", "ue_rcs_m2"), ("x", "ue_rcs_m2")).arrays.keys() == {"ue_position"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ue_x_m;ue_y_m\n-5,5;20\n", "line 2, column 1 (ue_x_m): '-5,5' has a comma; write decimals with a point"),
        ('ue_x_m,ue_y_m\n1,2\n"-5,5","20"\n', "line 3, column 1 (ue_x_m): '-5,5' has a comma"),
        ("ue_x_m\tue_y_m\n1\t1.000,5\n", "line 2, column 2 (ue_y_m): '1.000,5' has a comma"),
        ("ue_x_m,ue_y_m\n-5,5,20,1\n", "line 2 has 4 cells for 2 headings; write decimals with a point"),
        ("ue_rcs_m2\n1,5\n", "line 2 has 2 cells for 1 heading; write decimals with a point"),
        ("ue_x_m,ue_y_m\n1\n", "line 2 has 1 cell for 2 headings; give one for each"),
        ("ue_x_m,ue_y_m\n\n#\n1,2\n3,4,5.5\n", "line 5 has 3 cells for 2 headings; give"),
        ("ue_x_m,ue_y_m\n1,2\n1,far\n", "line 3, column 2 (ue_y_m): 'far' is refused; it should be a number"),
        ("ue_x_m,ue_y_m\n1,\n", "line 2, column 2 (ue_y_m): '' is refused; it should be a number"),
        (",ue_rcs_m2\n0,1\n1,1_0\n", "line 3, column 2 (ue_rcs_m2): '1_0' is refused"),
        ("ue_rcs_m2\nnan\n", "line 2, column 1 (ue_rcs_m2): 'nan' is refused"),
        ("ue_rcs_m2\n-inf\n", "'-inf' is refused"),
        ("ue_rcs_m2\n0x1\n", "'0x1' is refused"),
        ("ue_rcs_m2\n\u0661\n", "'\u0661' is refused"),
        ("ue_rcs_m2\n1 # small\n", "'1 # small' is refused"),
        ("ue_rcs_m2\n1e\n", "'1e' is refused"),
        ("ue_x_m,ue_y_m\n1,1e200\n", "line 2, column 2 (ue_y_m): 1e+200 is refused; it should be from -1e7 to 1e7 m"),
        ("ue_x_m,ue_y_m\n1,1e999\n", "line 2, column 2 (ue_y_m): inf is refused; it should be from -1e7 to 1e7 m"),
        ("target1_rcs_m2\n1\n\n1e300\n", "line 4, column 1 (target1_rcs_m2): 1e+300 is refused; it should be above 0"),
        ("ue_rcs_m2\n0\n", "line 2, column 1 (ue_rcs_m2): 0 is refused; it should be above 0 and at most 1e15 m2"),
        ("ue_orientation_deg\n361\n", "column 1 (ue_orientation_deg): 361 is refused; it should be from -360 to 360"),
        ("ue_orientation_rad\n110\n", "(ue_orientation_rad): 110 is refused; it should be from -360 to 360 deg (-2"),
        ("phase_bistatic0_rad\n1e999\n", "column 1 (phase_bistatic0_rad): inf is refused; it should be finite"),
        ("ue_x_m,ue_x_m\n1,2\n", "line 1: columns 1 (ue_x_m) and 2 (ue_x_m) say the same"),
        ("target1_rcs_m2,target01_rcs_m2\n1,2\n", "columns 1 (target1_rcs_m2) and 2 (target01_rcs_m2) say the same"),
        ("ue_x_m,ue_rcs_m2\n1,1\n", "line 1: ue_y_m is missing beside ue_x_m"),
        ("target2_y_m,target2_x_m\n1,1\n", "line 1: target1_x_m is missing beside target2_y_m"),
        ("phase_monostatic1_rad\n1\n", "line 1: phase_monostatic0_rad is missing beside phase_monostatic1_rad"),
        ("target0_rcs_m2\n1\n", "line 1: column 1 (target0_rcs_m2): targets count from 1"),
        ("ue_x_m,,ue_y_m\n1,1,2\n", "line 1: column 2 has no heading"),
        (",ue_rcs_m2\n5,1\n6,1\n", "line 2, column 1 has no heading and, with '5', is no index 0, 1, 2; name it"),
        (",ue_rcs_m2\n0,1\n0,1\n", "line 3, column 1 has no heading and, with '0', is no index"),
        ("1,2\n3,4\n", "line 1 has numbers in place of headings; there are ue_x_m, "),
        ("ue_x_m,ue_y_m\n", "no draws below the headings"),
        ("", "no headings; the first line should have some of ue_x_m, "),
        ("# nothing\n\n", "no headings"),
        ("sep=;\n", "no headings"),
        (",\n1,2\n", "no headings"),
        ('ue_x_m,ue_y_m\n1,"2\n3,4\n', "line 2 cannot be cut into cells"),
        ('ue_x_m,ue_y_m\n1,"2"3\n', "line 2 cannot be cut into cells"),
        (b"ue_rcs_m2\n1\n# H\xf6he\n", "line 3 is no UTF-8 text; save it as UTF-8"),
        ("ue_rcs_m2\n1\n".encode("utf-16"), "line 1 is no UTF-8 text; save it as UTF-8"),
    ],
)  # fmt: skip
def test_refused_where_it_stands(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize("quote", ['"1,2\n' + "3,4\n" * 40_000, '"' + "1" * 200_000 + '",2\n', '1,"' + "2" * 200_000])
def test_an_open_quote_or_an_endless_cell_is_one_line(tmp_path: Path, quote: str) -> None:
    assert "line 2" in refusal(tmp_path, "ue_x_m,ue_y_m\n" + quote)


def test_other_formats_are_named(tmp_path: Path) -> None:
    assert "no format of a file of draws; give .csv" in refusal(tmp_path, "ue_rcs_m2\n1\n", name="drops.xlsx")


@pytest.mark.parametrize(
    ("heading", "limit", "key", "accepts"),
    [
        ("ue_x_m", 1e7, "ue_position_m", lambda v: [v, 20.0]),
        ("ue_y_m", -1e7, "ue_position_m", lambda v: [5.0, v]),
        ("target1_x_m", 1e7, "target_positions_m", lambda v: [[v, 1.0]]),
        ("ue_rcs_m2", 1e15, "ue_rcs_m2", lambda v: v),
        ("target1_rcs_m2", 1e15, "target_rcs_m2", lambda v: v),
        ("ue_orientation_deg", -360.0, "ue_orientation_deg", lambda v: v),
    ],
)
def test_limits_are_those_of_the_scenario(tmp_path: Path, heading: str, limit: float, key: str, accepts) -> None:
    partner = heading.replace("_x_", "_y_") if "_x_" in heading else heading.replace("_y_", "_x_")
    head, rest = (heading, "") if partner == heading else (f"{heading},{partner}", ",1")
    beyond = 1.01 * limit
    Scenario(**{key: accepts(limit)})
    assert len(table(tmp_path, f"{head}\n{limit}{rest}\n")) == 1
    with pytest.raises(ValueError, match=key):
        Scenario(**{key: accepts(beyond)})
    assert f"({heading}): " in refusal(tmp_path, f"{head}\n{beyond}{rest}\n")


PIECES = st.sampled_from(
    [
        *("ue_x_m", "ue_y_m", "ue_rcs_m2", "target1_rcs_m2", "target0_x_m", "target9999_y_m", "phase_bistatic1_deg"),
        *("ue_orientation_rad", "x", "sep=", "#", '"', "'", ",", ";", "\t", "|", " ", "\n", "\r", "\r\n", "\0", "\x0b"),
        *("1", "-2.5", "1e400", "nan", "1_0", "0", "1,5", "\u2028", "\ufeff", "{}", "%s", "\\"),
    ]
)


@given(text=st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode())))
@example(text=b"ue_x_m,ue_y_m\n1,2\n")
@example(text=b"1\n\n2")
def test_any_bytes_are_draws_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "drops-any.csv"
    path.write_bytes(text)
    found = outcome(path)
    if isinstance(found, str):
        assert found.startswith("ValueError: ")
        assert len(found.splitlines()) == 1
        assert len(found) < 1000
    else:
        assert len(found) > 0
        assert all(np.isfinite(values).all() and len(values) == len(found) for values in found.arrays.values())
