"""Schema, shards and cube on made-up data: labels, commits that leave all or nothing, bytes free of shard sizes."""

import hashlib
import os
import resource
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
from crbatch import Solver, Status
from crbatch.jobs.jobfile.sweeps import SWEEPABLE
from crbatch.results.cube import write_cube
from crbatch.results.errors import DamagedData, ResultsError
from crbatch.results.schema import SOLVER_FLAGS, STATUS_FLAGS, SWEPT, VARIABLES, make_dataset, validate
from crbatch.results.shards import Shard, commit_shard, covering, list_shards, verify_shard
from hypothesis import given
from hypothesis import strategies as st
from repository import ROOT, SUPPORT

SCHEMES, RHO = ["fdb-wcrb", "apa"], [0.0, 0.5, 1.0]
ATTRS = {"Conventions": "CF-1.11", "title": "made up"}


def dataset(start: int, stop: int, *, sweep: dict[str, list[float]] | None = None, antennas: int = 0) -> xr.Dataset:
    """A value is a function of its draw alone, as in a run."""
    sweep = sweep or {}
    sizes = {"draw": stop - start, "scheme": 2, "rho": 3, "path": 3, "target": 2, "xy": 2}
    sizes |= {"tx": antennas, "tx_conj": antennas, "ri": 2, **{key: len(values) for key, values in sweep.items()}}
    arrays: dict[str, Any] = {}
    for number, (name, variable) in enumerate(VARIABLES.items()):
        if variable.keep is not None and not (variable.keep == "covariance" and antennas):
            continue
        dims = (*sweep, *variable.dims)
        rest = [sizes[dim] for dim in dims if dim != "draw"]
        rows = [
            np.random.default_rng([number, draw]).integers(0, 100, rest).astype(variable.dtype)
            for draw in range(start, stop)
        ]
        arrays[name] = np.stack(rows, axis=dims.index("draw"))
    return make_dataset(arrays, scheme=SCHEMES, rho=RHO, draw=np.arange(start, stop), sweep=sweep, attrs=ATTRS)


def cube_bytes(folder: Path, count: int, size: int, **options: Any) -> bytes:
    shards = folder / f"shards-{size}"
    shards.mkdir(parents=True)
    for start in range(0, count, size):
        stop = min(start + size, count)
        commit_shard(dataset(start, stop, **options), shards, start, stop)
    cover, missing = covering(list_shards(shards), count)
    assert not missing
    digest = write_cube(cover, folder / "cube.nc", count, ATTRS)
    data = (folder / "cube.nc").read_bytes()
    assert digest == hashlib.sha256(data).hexdigest()
    return data


def test_registry_is_that_of_the_design() -> None:
    design = ("draw", "scheme", "rho")
    expected = {
        "crb_bp": (design, "f8", "m2"), "crb_orientation": (design, "f8", "rad2"), "crb_clock": (design, "f8", "s2"),
        "crb_ms_target": ((*design, "path"), "f8", "m2"), "gap": (design, "f8", "1"), "status": (design, "i1", "1"),
        "solver": (design, "i1", "1"), "rank": (design, "i4", "1"), "iterations": (design, "i4", "1"),
        "phase_bistatic": (("draw", "path"), "f8", "rad"), "target_position": (("draw", "target", "xy"), "f8", "m"),
        "covariance": ((*design, "tx", "tx_conj", "ri"), "f8", "W"),
        "beamformers": ((*design, "tx", "slot", "ri"), "f8", "W^0.5"), "power": ((*design, "codeword"), "f8", "W"),
    }  # fmt: skip
    for name, (dims, dtype, units) in expected.items():
        variable = VARIABLES[name]
        assert (variable.dims, variable.dtype, variable.units) == (dims, dtype, units)
    assert {flag: name.upper() for flag, name in STATUS_FLAGS.items()} == {s.value: s.name for s in Status}
    # 2 is of a solver of old: cubes keep the meaning of every number.
    solvers = {s.value: s.name for s in Solver} | {2: "BARRIER"}
    assert {flag: name.upper() for flag, name in SOLVER_FLAGS.items()} == solvers


def test_plain_xarray_reads_a_cube(tmp_path: Path) -> None:
    cube_bytes(tmp_path, 5, 2, sweep={"tx_antennas": [8, 16]})
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        validate(cube)
        expected = dataset(0, 5, sweep={"tx_antennas": [8, 16]})
        assert cube["scheme"].values.tolist() == SCHEMES
        assert cube["status"].dtype == np.int8
        assert cube["status"].attrs["flag_meanings"].split()[0] == "not_computed"
        for name in expected.data_vars:
            np.testing.assert_array_equal(cube[name].values, expected[name].values)
        assert cube["tx_antennas"].values.tolist() == [8, 16]
        assert cube["draw"].values.tolist() == list(range(5))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_shard_sizes_leave_no_trace(tmp_path: Path, size: int) -> None:
    sweep = {"targets": [1, 2]}
    whole = cube_bytes(tmp_path / "whole", 100, 100, sweep=sweep)
    assert cube_bytes(tmp_path / "parts", 100, size, sweep=sweep) == whole


@pytest.mark.slow("64 MB of shards")
def test_shard_sizes_leave_no_trace_above_64_megabytes(tmp_path: Path) -> None:
    one = cube_bytes(tmp_path / "one", 224, 7, antennas=64)
    assert len(one) > 64 * 2**20
    assert cube_bytes(tmp_path / "two", 224, 64, antennas=64) == one


def test_overlapping_shards_give_each_draw_once(tmp_path: Path) -> None:
    """As they lie when a run was continued with another chunk size by two drivers."""
    whole = cube_bytes(tmp_path / "whole", 12, 12)
    folder = tmp_path / "overlapping"
    folder.mkdir()
    for start, stop in ((0, 6), (4, 10), (5, 7), (8, 12)):
        commit_shard(dataset(start, stop), folder, start, stop)
    cover, missing = covering(list_shards(folder), 12)
    assert not missing
    write_cube(cover, tmp_path / "cube.nc", 12, ATTRS)
    assert (tmp_path / "cube.nc").read_bytes() == whole


def test_cube_checks_its_numbers(tmp_path: Path) -> None:
    data = bytearray(cube_bytes(tmp_path, 50, 50))
    with netCDF4.Dataset(tmp_path / "cube.nc") as cube:
        assert cube["crb_bp"].filters()["fletcher32"]
        raw = cube["crb_bp"][:].filled(np.nan).tobytes()
    place = data.find(raw[:64])
    assert place > 0
    data[place + 5] ^= 1
    (tmp_path / "cube.nc").write_bytes(data)
    with netCDF4.Dataset(tmp_path / "cube.nc") as cube, pytest.raises((OSError, RuntimeError)):
        cube["crb_bp"][:]


def test_failed_cube_leaves_the_old_one(tmp_path: Path) -> None:
    before = cube_bytes(tmp_path, 4, 2)
    cover, _ = covering(list_shards(tmp_path / "shards-2"), 4)

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cube(cover, tmp_path / "cube.nc", 4, ATTRS, interrupt)
    assert (tmp_path / "cube.nc").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cube.nc", "shards-2"]


def test_commit_is_idempotent_and_named_by_its_hash(tmp_path: Path) -> None:
    first = commit_shard(dataset(3, 6), tmp_path, 3, 6)
    assert commit_shard(dataset(3, 6), tmp_path, 3, 6) == first
    assert first.path.name == f"draws-00000003-00000006-{hashlib.sha256(first.path.read_bytes()).hexdigest()}.nc"
    assert list_shards(tmp_path) == [first]
    verify_shard(first)


def test_every_bit_flip_is_noticed(tmp_path: Path) -> None:
    shard = commit_shard(dataset(0, 4), tmp_path, 0, 4)
    good = shard.path.read_bytes()
    for place in np.random.default_rng(0).integers(0, 8 * len(good), 40):
        bad = bytearray(good)
        bad[place // 8] ^= 1 << place % 8
        shard.path.write_bytes(bad)
        with pytest.raises(DamagedData, match="hash"):
            verify_shard(shard)


COMMIT = """
import sys; sys.path[:0] = [{support!r}, {here!r}]
from pathlib import Path
from test_results import commit_shard, dataset
print(commit_shard(dataset(0, 9), Path(sys.argv[1]), 0, 9).sha256)
"""


def commit_elsewhere(folder: Path, seed: str, **options: Any) -> subprocess.CompletedProcess[str]:
    code = COMMIT.format(support=str(SUPPORT), here=str(ROOT / "tests" / "results"))
    environment = os.environ | {"PYTHONHASHSEED": seed}
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=environment, capture_output=True, text=True, **options
    )


@pytest.mark.slow("starts processes")
def test_bytes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    here = commit_shard(dataset(0, 9), tmp_path, 0, 9).sha256
    assert commit_elsewhere(tmp_path, "7").stdout.strip() == here


def test_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A file-size limit stands in for the full disk; the error names the folder."""

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    done = commit_elsewhere(tmp_path, "0", preexec_fn=limit)
    assert done.returncode != 0
    assert "OSError" in done.stderr
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), max_size=8),
    st.integers(1, 50),
)
def test_cover_is_complete_and_without_overlap(ranges: list[tuple[int, int]], count: int) -> None:
    shards = [Shard(a, a + n, "0" * 64, Path("x")) for a, n in ranges]
    cover, missing = covering(shards, count)
    parts = sorted([(low, high) for _, low, high in cover] + missing)
    assert parts[0][0] == 0
    assert parts[-1][1] == count
    assert all(high == low for (_, high), (low, _) in pairwise(parts))
    assert all(shard.start <= low < high <= shard.stop for shard, low, high in cover)
    covered = {draw for a, n in ranges for draw in range(a, a + n)}
    assert all(draw not in covered for low, high in missing for draw in range(low, high))


def test_what_does_not_fit_is_named() -> None:
    good = dataset(0, 2)
    arrays = {name: good[name].values for name in ("crb_bp", "target_rcs")}
    labels: dict[str, Any] = {"scheme": SCHEMES, "rho": RHO, "draw": [0, 1], "sweep": {}, "attrs": {}}
    with pytest.raises(ResultsError, match="crb_xy: no variable"):
        make_dataset({"crb_xy": arrays["crb_bp"]}, **labels)
    with pytest.raises(ResultsError, match="crb_bp: 2 axes"):
        make_dataset({"crb_bp": arrays["crb_bp"][0]}, **labels)
    with pytest.raises(ResultsError, match="crb_bp: 1 entries along draw"):
        make_dataset({"crb_bp": arrays["crb_bp"][:1]}, **labels)
    bad = good.copy()
    bad["gap"].attrs["units"] = "percent"
    with pytest.raises(ResultsError, match="gap: units 'percent'"):
        validate(bad)


def test_commit_takes_no_lock_and_writes_what_xarray_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a Dask task, xarray's lock for writing is the scheduler's: 120 questions to it for every shard."""
    from xarray.backends import netCDF4_

    data = dataset(0, 9)
    data.to_netcdf(tmp_path / "plain.nc", engine="netcdf4", format="NETCDF4")

    def refuse(name: object) -> None:
        raise AssertionError(f"a lock for {name}")

    monkeypatch.setattr(netCDF4_, "get_write_lock", refuse)
    with pytest.raises(AssertionError, match="a lock for"):
        data.to_netcdf(tmp_path / "locked.nc", engine="netcdf4", format="NETCDF4")
    shard = commit_shard(data, tmp_path, 0, 9)
    with xr.open_dataset(shard.path) as ours, xr.open_dataset(tmp_path / "plain.nc") as plain:
        assert len(ours.attrs.pop("content_sha256")) == 64
        xr.testing.assert_identical(ours, plain)


def test_making_and_committing_draws_loads_none_of_dasks_arrays() -> None:
    """It would take each worker 0.3 s."""
    script = (
        f"import sys; sys.path[:0] = [{str(SUPPORT)!r}, {str(ROOT / 'tests' / 'results')!r}]\n"
        "from pathlib import Path; from tempfile import TemporaryDirectory; from test_results import dataset\n"
        "from crbatch.results.shards import commit_shard\n"
        "with TemporaryDirectory() as folder: commit_shard(dataset(0, 9), Path(folder), 0, 9)\n"
        "sys.exit('dask.array' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_every_swept_key_has_units_and_a_name(tmp_path: Path) -> None:
    assert set(SWEPT) == set(SWEEPABLE)
    cube_bytes(tmp_path, 5, 2, sweep={"power_dbm": [-30.0, -20.0]})
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert cube["power_dbm"].attrs == {"units": "dBm", "long_name": "transmit power, all subcarriers together"}


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from crbatch.results.cube import write_cube
from crbatch.results.schema import VARIABLES, make_dataset
from crbatch.results.shards import Shard, commit_shard
folder, count, size = Path(sys.argv[1]), int(sys.argv[2]), 50_000
names = [name for name, one in VARIABLES.items() if one.dims == ("draw", "scheme", "rho") and one.keep is None]
cover = []
for start in range(0, count, size):
    arrays = {name: np.zeros((size, 1, 1)) for name in names}
    labels = {"scheme": ["apa"], "rho": [0.5], "sweep": {}, "attrs": {}}
    dataset = make_dataset(arrays, draw=np.arange(start, start + size), **labels)
    cover.append((commit_shard(dataset, folder, start, start + size), start, start + size))
write_cube(cover, folder / "cube.nc", count, {})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow("64 MB of shards")
def test_memory_of_consolidation_does_not_grow_with_the_draws(tmp_path: Path) -> None:
    """Beyond a block of draws: HDF5 keeps what was written, unless told otherwise."""
    used = []
    for count in (500_000, 2_000_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        command = [sys.executable, "-c", MEMORY, folder, str(count)]
        used.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert used[1] - used[0] < 1.5e7
