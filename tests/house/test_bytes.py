"""The same bytes from any number of workers, chunk size and order; a second run changes nothing."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.driver.session import Outcome, run
from crbatch.jobs.errors import DamagedData, UsageProblem
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile
from crbatch.jobs.terminal.progress import Progress
from crbatch.results.shards import list_shards

SCHEMES = ["fdb-wcrb", "fdb-wbf-aligned", "cpa-wcrb", "apa", "fdb-wbf:randomization", "fdb-wbf:svd"]


def small_job(**changes: Any) -> JobFile:
    """Sixteen random drops of all schemes, K = 1 and 2."""
    document: dict[str, Any] = {
        "schema": 1,
        "name": "small",
        "scenario": {"target_positions_m": [[-10, 15], [5, 15]], "subcarriers": 64},
        "draws": {
            "count": 16,
            "rcs": "swerling1",
            "ue_position": {"kind": "box", "x_m": [-15, 15], "y_m": [5, 25]},
        },
        "design": {"schemes": SCHEMES, "rho": [0.0, 0.4, 1.0]},
        "sweep": {"targets": [1, 2]},
    }
    for table, values in changes.items():
        document[table] = document.get(table, {}) | values if isinstance(values, dict) else values
    return JobFile.model_validate(document)


def run_small(folder: Path, job: JobFile | None = None, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"cluster": "none", "workers": None, "chunk": None, "report": False} | options
    return run(job or small_job(), RunDirectory(folder), progress=Progress(quiet=True), **settings)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("reference") / "run"
    run_small(folder)
    return folder


@pytest.mark.parametrize(
    "options",
    [
        {"chunk": 1},
        {"chunk": 7},
        {"chunk": 64},
        pytest.param({"cluster": "local", "workers": 1, "chunk": 7}, marks=pytest.mark.slow("starts a cluster")),
        pytest.param({"cluster": "local", "workers": 2, "chunk": 3}, marks=pytest.mark.slow("starts a cluster")),
    ],
    ids=str,
)
def test_cube_is_the_same(reference: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    run_small(tmp_path / "run", **options)
    assert (tmp_path / "run" / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


@pytest.mark.slow("starts clusters")
def test_shards_are_the_same_for_equal_chunks(tmp_path: Path) -> None:
    run_small(tmp_path / "one", chunk=7)
    run_small(tmp_path / "two", chunk=7, cluster="local", workers=2)
    names = [[shard.path.name for shard in list_shards(tmp_path / run / "shards")] for run in ("one", "two")]
    assert names[0] == names[1]
    assert len(names[0]) == 3


def test_second_run_changes_no_byte(reference: Path) -> None:
    before = digests(reference)
    outcome = run_small(reference)
    assert outcome.nothing_left
    assert digests(reference) == before


def test_more_draws_keep_the_old_shards(reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_small(folder, small_job(draws={"count": 10}), chunk=4)
    before = {shard.path.name for shard in list_shards(folder / "shards")}
    run_small(folder, chunk=5)
    assert before < {shard.path.name for shard in list_shards(folder / "shards")}
    assert (folder / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


def test_damaged_shard_is_done_again(reference: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_small(folder, chunk=4)
    victim = list_shards(folder / "shards")[1].path
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    (folder / "cube.nc").unlink()
    run_small(folder, chunk=4)
    assert (folder / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


@pytest.mark.slow("kills processes")
def test_killed_run_continues(reference: Path, tmp_path: Path) -> None:
    """SIGKILL of the whole process as soon as a shard is there; what was committed is not redone."""
    job = tmp_path / "small.toml"
    job.write_text(small_job().to_toml())
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        "from crbatch.jobs.cli.app import main; main()",
        "run",
        str(job),
        "-o",
        str(folder),
    ]
    command += ["--cluster", "none", "--chunk", "1", "--no-report"]
    environment = os.environ
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while not list_shards(folder / "shards") and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = {shard.path: shard.path.stat().st_mtime_ns for shard in list_shards(folder / "shards")}
    assert kept
    run_small(folder, chunk=1)
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert (folder / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


def test_another_job_is_refused(reference: Path) -> None:
    before = digests(reference)
    with pytest.raises(DamagedData, match=r"design\.gap_tolerance: 1e-06 there, 1e-05 here"):
        run_small(reference, small_job(design={"gap_tolerance": 1e-5}))
    assert digests(reference) == before


def test_foreign_shard_is_refused(reference: Path, tmp_path: Path) -> None:
    other = small_job(draws={"seed": 7, "count": 2})
    run_small(tmp_path / "other", other)
    run_small(tmp_path / "run", small_job(draws={"count": 2}))
    for shard in list_shards(tmp_path / "other" / "shards"):
        (tmp_path / "run" / "shards" / shard.path.name).write_bytes(shard.path.read_bytes())
    with pytest.raises(DamagedData, match="a shard of another job"):
        run_small(tmp_path / "run", small_job(draws={"count": 2}))


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(DamagedData, match="not empty"):
        run_small(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UsageProblem, match="not a folder"):
        run_small(tmp_path / "run")
    with pytest.raises(UsageProblem, match="cannot be written to"):
        run_small(Path("/proc/nowhere/run"))


def test_sweep_pads_with_nan_and_shares_draws(reference: Path) -> None:
    with xr.open_dataset(reference / "cube.nc") as cube:
        sizes = {"targets": 2, "draw": 16, "scheme": len(SCHEMES), "rho": 3, "path": 3, "target": 2, "xy": 2}
        assert dict(cube.sizes) == sizes
        one, two = cube.sel(targets=1), cube.sel(targets=2)
        assert np.isnan(one["target_rcs"].values[:, 1]).all()
        assert np.isnan(one["crb_ms_target"].values[..., 2]).all()
        np.testing.assert_array_equal(one["phase_bistatic"].values[:, :2], two["phase_bistatic"].values[:, :2])
        np.testing.assert_array_equal(one["ue_position"].values, two["ue_position"].values)
        np.testing.assert_array_equal(one["target_rcs"].values[:, 0], two["target_rcs"].values[:, 0])


def test_global_attributes(reference: Path) -> None:
    with xr.open_dataset(reference / "cube.nc") as cube:
        assert set(cube.attrs) == {
            "Conventions", "title", "source", "references", "job", "job_sha256", "seed", "versions",
        }  # fmt: skip
        assert cube.attrs["Conventions"] == "CF-1.11"
        assert cube.attrs["job_sha256"] == hashlib.sha256(cube.attrs["job"].encode()).hexdigest()
        assert cube["scheme"].values.tolist() == SCHEMES
