"""Draws in NetCDF and MATLAB files: the cube's variables, their units and shapes; anything else ends in one line."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.drops import Drops, read_drops
from drop_cases import outcome
from scipy.io import savemat

POSITION = np.array([[-5.0, 20.0], [3.0, 18.5], [1.0, 22.0]])
DRAWS = {
    "ue_position": POSITION,
    "target_position": np.arange(12.0).reshape(3, 2, 2),
    "ue_orientation": np.array([0.1, -0.2, 0.3]),
    "target_rcs": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    "phase_bistatic": np.arange(9.0).reshape(3, 3),
}


def netcdf(path: Path, units: str | None = None, **arrays: tuple[tuple[str, ...], Any]) -> Path:
    """Write arrays by netCDF4 itself, with units as they are given."""
    with netCDF4.Dataset(path, "w") as file:
        for name, (dims, values) in arrays.items():
            array = np.asarray(values)
            for dim, size in zip(dims, array.shape, strict=True):
                if dim not in file.dimensions:
                    file.createDimension(dim, size)
            variable = file.createVariable(name, str if array.dtype.kind in "UO" else array.dtype, dims)
            if units is not None:
                variable.units = units
            variable[...] = array
    return path


def matlab_73(path: Path, empty: str = "", **arrays: np.ndarray) -> Path:
    """What MATLAB's save -v7.3 writes: its header, then HDF5 with the dimensions in reverse order."""
    names = {name: tuple(f"{name}{n}" for n in range(array.ndim)) for name, array in arrays.items()}
    netcdf(path, **{name: (names[name], array.T) for name, array in arrays.items()})
    if empty:
        with netCDF4.Dataset(path, "a") as file:
            file[empty].MATLAB_empty = np.uint8(1)
    path.write_bytes(b"MATLAB 7.3 MAT-file, HDF5 schema 1.00 .".ljust(508) + b"\0\2IM" + path.read_bytes())
    return path


def assert_same(found: Drops, **arrays: np.ndarray) -> None:
    assert found.arrays.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values)
        assert found.arrays[name].dtype == np.float64


def refusal(path: Path, ignored: tuple[str, ...] = ()) -> str:
    with pytest.raises(ValueError, match="drops") as caught:
        read_drops(path, ignored)
    assert type(caught.value) is ValueError
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("version", ["4", "5", "7.3"])
def test_matlab_files_of_every_version(tmp_path: Path, version: str) -> None:
    arrays = {name: values for name, values in DRAWS.items() if version != "4" or values.ndim < 3}
    path = tmp_path / "drops.mat"
    if version == "7.3":
        matlab_73(path, **{name: np.atleast_2d(values) for name, values in arrays.items()})
    else:
        savemat(path, arrays, format=version, oned_as="column")
    assert_same(read_drops(path), **arrays)


def test_matlab_may_hold_other_types_of_number(tmp_path: Path) -> None:
    savemat(tmp_path / "drops.mat", {"ue_position": np.array([[1, 2]], np.int16), "ue_rcs": np.float32(0.5)})
    assert_same(read_drops(tmp_path / "drops.mat"), ue_position=np.array([[1.0, 2.0]]), ue_rcs=np.array([0.5]))


@pytest.mark.parametrize("save", [savemat, lambda path, arrays: matlab_73(path, **arrays)], ids=["5", "7.3"])
@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"ue_position": np.ones((2, 4))}, "(2, 4); it should be (draws, 2), or (draws, 3) in space"),
        ({"ue_position": np.ones((4, 1))}, "ue_position is of shape (4, 1); it should be (draws, 2)"),
        ({"target_position": POSITION}, "target_position is of shape (3, 2); it should be (draws, targets, 2)"),
        ({"ue_rcs": np.ones((2, 2))}, "ue_rcs is of shape (2, 2); it should be (draws)"),
        ({"ue_rcs": np.array([[1.0, 1e300]])}, "draw 1: ue_rcs: 1e+300 is refused; it should be above 0 and at most"),
        ({"ue_orientation": np.array([[110.0]])}, "110 is refused; it should be from -360 to 360 deg (-2 pi to 2 pi"),
        ({"ue_position": np.array([[1.0, np.nan]])}, "draw 0: ue_position: nan is refused; it should be from -1e7"),
        ({"ue_rcs": np.ones((3, 1)), "ue_position": POSITION[:2]}, "there are 2 of ue_position, 3 of ue_rcs; give as"),
        ({"ue_pos": POSITION}, "unknown variables 'ue_pos'; there are phase_bistatic, "),
        ({"crb_bp": POSITION}, "has none of phase_bistatic, "),
    ],
)  # fmt: skip
def test_what_a_matlab_file_should_not_hold(tmp_path: Path, save, arrays: dict[str, np.ndarray], said: str) -> None:
    save(tmp_path / "drops.mat", arrays)
    assert said in refusal(tmp_path / "drops.mat")


@pytest.mark.parametrize(
    ("value", "kind"),
    [("text", "<U4"), (np.array([[1j]]), "complex128"), (np.array([["a"]], object), "object"), ({"x": 1.0}, "x")],
)
def test_matlab_variables_that_are_no_numbers(tmp_path: Path, value: object, kind: str) -> None:
    savemat(tmp_path / "drops.mat", {"ue_rcs": value})
    said = refusal(tmp_path / "drops.mat")
    assert said.startswith("ue_rcs is of ")
    assert kind in said


def test_an_empty_variable_of_matlab_has_no_draws(tmp_path: Path) -> None:
    """HDF5 has the sizes [0, 0] in its place."""
    matlab_73(tmp_path / "drops.mat", empty="ue_orientation", ue_orientation=np.zeros((1, 2)))
    assert refusal(tmp_path / "drops.mat").startswith("ue_orientation is empty; leave it out")


def test_other_variables_are_refused_unless_named(tmp_path: Path) -> None:
    savemat(tmp_path / "drops.mat", {"ue_position": POSITION, "fc": 28e9, "gain": np.ones((3, 4))})
    netcdf(tmp_path / "drops.nc", ue_position=(("draw", "xy"), POSITION), gain=(("draw",), np.ones(3)))
    assert "unknown variables 'fc', 'gain'; there" in refusal(tmp_path / "drops.mat")
    assert "unknown variables 'gain'; there" in refusal(tmp_path / "drops.nc")
    assert "no variable 'gian'" in refusal(tmp_path / "drops.nc", ("gian",))
    assert_same(read_drops(tmp_path / "drops.mat", ("gain", "fc")), ue_position=POSITION)
    assert_same(read_drops(tmp_path / "drops.nc", ("gain",)), ue_position=POSITION)


def test_coordinates_are_no_draws(tmp_path: Path) -> None:
    """A cube of which one point of the sweep was selected has the point beside its draws."""
    data = xr.Dataset({"ue_rcs": (("draw",), [1.0, 2.0])}, coords={"draw": [3, 7], "targets": 2, "xy": ["x", "y"]})
    data.to_netcdf(tmp_path / "drops.nc")
    assert_same(read_drops(tmp_path / "drops.nc"), ue_rcs=np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("ue_rcs", "dBsm"),
        ("ue_rcs", "s"),
        ("ue_rcs", "days"),
        ("ue_orientation", "days since 2000-01-01"),
        ("ue_orientation", "seconds since 1970-01-01"),
        ("ue_rcs", "deg"),
    ],
)
def test_a_unit_of_time_is_a_wrong_unit_too(tmp_path: Path, name: str, units: str) -> None:
    path = netcdf(tmp_path / "drops.nc", units, **{name: (("draw",), np.array([1.0, 2.0]))})
    wanted = "rad" if name == "ue_orientation" else "m2"
    assert refusal(path) == f"{name} is in {units}; it should be in {wanted}"


@pytest.mark.parametrize("units", ["deg", "degrees"])
def test_degrees_in_netcdf(tmp_path: Path, units: str) -> None:
    path = netcdf(tmp_path / "drops.nc", units, ue_orientation=(("draw",), np.array([110.0, -360.0])))
    np.testing.assert_allclose(read_drops(path).arrays["ue_orientation"], np.radians([110.0, -360.0]), rtol=1e-15)


@pytest.mark.parametrize(
    ("dims", "values", "said"),
    [
        (("draw", "xy"), np.ones((2, 4)), "(2, 4); it should be (draws, 2), or (draws, 3) in space"),
        (("draw", "xy"), np.ones((2, 1)), "ue_position is of shape (2, 1); it should be (draws, 2)"),
        (("draw", "axis"), POSITION, "ue_position has dimensions ('draw', 'axis'); it should have ('draw', 'xy')"),
        (("targets", "draw", "xy"), POSITION[None], "select one point"),
        (("draw", "xy"), np.array([["a", "b"]]), "ue_position is of type"),
        (("draw", "xy"), np.array([[1.0, 1e200]]), "draw 0: ue_position: 1e+200 is refused; it should be from -1e7 to"),
        (("draw", "xy"), np.array([[1.0, netCDF4.default_fillvals["f8"]]]), "draw 0: ue_position: nan is refused"),
        (("draw", "xy"), np.array([[1, netCDF4.default_fillvals["i4"]]], "i4"), "draw 0: ue_position: nan is refused"),
        (("draw", "xy"), np.ones((0, 2)), "ue_position is empty; leave it out"),
    ],
)  # fmt: skip
def test_what_a_netcdf_file_should_not_hold(tmp_path: Path, dims: tuple[str, ...], values: Any, said: str) -> None:
    assert said in refusal(netcdf(tmp_path / "drops.nc", ue_position=(dims, values)))


@pytest.mark.parametrize(("suffix", "kind"), [("nc", "NetCDF"), ("h5", "NetCDF"), ("mat", "MATLAB")])
@pytest.mark.parametrize(
    "content", [b"", b"ue_x_m,ue_y_m\n1,2\n", b"\x89HDF\r\n\x1a\n" + b"\1" * 600, b"CDF\1\0", bytes(range(256)) * 4]
)
def test_bytes_of_something_else_are_one_line(tmp_path: Path, suffix: str, kind: str, content: bytes) -> None:
    (tmp_path / f"drops.{suffix}").write_bytes(content)
    assert refusal(tmp_path / f"drops.{suffix}").startswith(f"no {kind} file that can be read (")


def test_a_torn_or_damaged_file_is_one_line(tmp_path: Path) -> None:
    savemat(tmp_path / "whole.mat", DRAWS, do_compression=True)
    whole = (tmp_path / "whole.mat").read_bytes()
    path = tmp_path / "drops.mat"
    for place in range(0, len(whole), 7):
        for content in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]):
            path.write_bytes(content)
            found = outcome(path)
            if isinstance(found, str):
                assert found.startswith("ValueError: ")
                assert len(found.splitlines()) == 1
            else:
                assert len(found) == 3


@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET"])
def test_classic_files(tmp_path: Path, kind: str) -> None:
    """Which another library reads: scales, units and what is missing are as in others."""
    path = tmp_path / "drops.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name, size in (("draw", None), ("xy", 2), ("target", 2)):
            file.createDimension(name, size)
        file.createVariable("draw", "i4", ("draw",))[:] = [0, 1, 2]
        file.createVariable("ue_position", "f4", ("draw", "xy"))[:] = POSITION
        degrees = file.createVariable("ue_orientation", "i2", ("draw",))
        degrees.setncatts({"units": "degrees", "scale_factor": 0.5, "add_offset": 1.0})
        degrees[:] = [10.0, 20.0, 30.5]
        file.createVariable("target_rcs", "f8", ("draw", "target"))[:] = DRAWS["target_rcs"]
    drops = read_drops(path)
    np.testing.assert_array_equal(drops.arrays["ue_position"], POSITION)
    np.testing.assert_allclose(drops.arrays["ue_orientation"], np.deg2rad([10.0, 20.0, 30.5]), rtol=1e-12)
    np.testing.assert_array_equal(drops.arrays["target_rcs"], DRAWS["target_rcs"])
    with netCDF4.Dataset(path, "a") as file:
        file["ue_position"][1, 0] = netCDF4.default_fillvals["f4"]
    with pytest.raises(ValueError, match="draw 1: ue_position: nan is refused"):
        read_drops(path)


def odd(path: Path, kind: str) -> None:
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("draw", 10**9 if kind == "sparse" else 4)
        options: dict[str, Any] = {"sparse": {"chunksizes": (10**6,), "zlib": True, "fill_value": 0.1}}.get(kind, {})
        types: dict[str, Any] = {
            "compound": lambda: file.createCompoundType(np.dtype([("x", "f8"), ("y", "f8")]), "point"),
            "list": lambda: file.createVLType(np.float64, "list"),
            "flag": lambda: file.createEnumType(np.uint8, "flag", {"a": 0}),
        }
        dtype = types[kind]() if kind in types else "f8"
        variable = file.createVariable("ue_orientation", dtype, ("draw",), **options)
        if kind not in (*types, "sparse"):
            variable[:] = 0.1
            variable.setncattr({"scale": "scale_factor", "scales": "scale_factor", "range": "valid_range"}[kind], (
                np.array([1.0, 2.0]) if kind == "scales" else "text"
            ))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("compound", "it should be real numbers"),
        ("list", "it should be real numbers"),
        ("flag", "nan is refused"),
        ("scale", "invalid scale_factor"),
        ("scales", "invalid scale_factor"),
        ("range", "valid_range not used"),
        ("sparse", r"takes 8e\+09 bytes in a file of [0-9]+, so most of it was never written"),
    ],
)
def test_odd_variables_end_in_one_line(tmp_path: Path, kind: str, says: str) -> None:
    odd(tmp_path / "drops.nc", kind)
    with pytest.raises(ValueError, match=says) as error:
        read_drops(tmp_path / "drops.nc")
    assert len(str(error.value).splitlines()) == 1
