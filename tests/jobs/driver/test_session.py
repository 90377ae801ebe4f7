"""Runs that are resumed, renamed, damaged, interrupted, refused or out of disk."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.chunk.task import Chunk, compute
from crbatch.jobs.driver.workers import by_default
from crbatch.jobs.errors import DamagedData, EnvironmentProblem, Exit, UsageProblem
from crbatch.jobs.folder.journal import Journal
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.results.shards import list_shards, shard_attrs
from job_cases import QUIET, digests, prepared, run_tiny, tiny_job, write_job

COMMAND = (sys.executable, "-P", "-c", "from crbatch.jobs.cli.app import main; main()", "run")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("reference") / "run"
    run_tiny(folder, chunk=2)
    return folder


@pytest.fixture
def copy(reference: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(reference, tmp_path / "run"))


def shard_times(folder: Path) -> dict[str, int]:
    return {shard.path.name: shard.path.stat().st_mtime_ns for shard in list_shards(folder / "shards")}


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def start(job: Path, folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """Start a real run in a session of its own and come back when its first shard is there."""
    environment = os.environ
    command = [*COMMAND, str(job), "-o", str(folder), "--chunk", "1", "--no-report", *words]
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )
    while not list_shards(folder / "shards") and process.poll() is None:
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("cluster", ["none", "local"])
def test_second_run_has_nothing_to_do(copy: Path, cluster: str) -> None:
    """Whatever it is asked to use: no byte changes, the journal's included."""
    before = digests(copy)
    outcome = run_tiny(copy, cluster=cluster, chunk=5)
    assert outcome.nothing_left
    assert outcome.exit is Exit.DONE
    assert digests(copy) == before


@pytest.mark.parametrize("damage", [flip_bit, cut_short, empty, Path.unlink])
def test_damaged_cube_is_rebuilt_from_the_shards(reference: Path, copy: Path, damage: Callable[[Path], None]) -> None:
    before = shard_times(copy)
    damage(copy / "cube.nc")
    assert not run_tiny(copy).nothing_left
    assert (copy / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()
    assert shard_times(copy) == before
    assert run_tiny(copy).nothing_left


@pytest.mark.parametrize("damage", [flip_bit, cut_short, empty, Path.unlink])
def test_damaged_shard_alone_is_redone(reference: Path, copy: Path, damage: Callable[[Path], None]) -> None:
    """Also where a good cube hides it."""
    victim = list_shards(copy / "shards")[1].path
    before = shard_times(copy)
    damage(victim)
    run_tiny(copy, chunk=2)
    after = shard_times(copy)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {victim.name}
    damaged = copy / "shards" / f"{victim.name}.damaged"
    assert damaged.exists() is (damage is not Path.unlink)
    damaged.unlink(missing_ok=True)
    assert digests(copy / "shards") == digests(reference / "shards")
    assert (copy / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


def test_lost_journal_costs_no_draws(reference: Path, copy: Path) -> None:
    before = shard_times(copy)
    (copy / "journal.jsonl").unlink()
    run_tiny(copy)
    assert shard_times(copy) == before
    assert (copy / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()
    assert run_tiny(copy).nothing_left


def test_line_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("cube", sha256="a", job="{}", seconds=0.0)
    with journal.path.open("a") as file:
        file.write('{"event": "cub')
    journal.write("cube", sha256="b", job="{}", seconds=0.0)
    assert [event["sha256"] for event in journal.events("cube")] == ["a", "b"]


def test_fewer_draws_are_a_fresh_runs_cube(copy: Path, tmp_path: Path) -> None:
    """Shards beyond the count stay where they are, and serve when it is raised again."""
    before = shard_times(copy)
    fewer = tiny_job(draws={"count": 3})
    run_tiny(copy, fewer)
    run_tiny(tmp_path / "fresh", fewer)
    assert (copy / "cube.nc").read_bytes() == (tmp_path / "fresh" / "cube.nc").read_bytes()
    run_tiny(copy)
    assert shard_times(copy) == before


def test_more_draws_keep_shards_and_give_a_fresh_runs_cube(copy: Path, tmp_path: Path) -> None:
    before = shard_times(copy)
    more = tiny_job(draws={"count": 9})
    run_tiny(copy, more, chunk=7)
    run_tiny(tmp_path / "fresh", more, chunk=64)
    assert shard_times(copy).items() > before.items()
    assert (copy / "cube.nc").read_bytes() == (tmp_path / "fresh" / "cube.nc").read_bytes()


def test_another_name_costs_no_draws(reference: Path, copy: Path) -> None:
    before = shard_times(copy)
    run_tiny(copy, tiny_job(name="renamed"))
    assert shard_times(copy) == before
    with xr.open_dataset(copy / "cube.nc") as new, xr.open_dataset(reference / "cube.nc") as old:
        assert new.attrs["title"].endswith("renamed")
        xr.testing.assert_equal(new, old)


def test_job_that_differs_is_refused_key_by_key(copy: Path) -> None:
    before = digests(copy)
    other = tiny_job(name="other", draws={"count": 5, "seed": 1}, scenario={"tx_antennas": 8}, sweep={"targets": [1]})
    with pytest.raises(DamagedData) as refusal:
        run_tiny(copy, other)
    said = str(refusal.value)
    for part in ("scenario.tx_antennas: 16 there, 8 here", "draws.seed: 2025 there, 1 here", "sweep.targets: unset"):
        assert part in said
    assert "count" not in said
    assert "\n" not in said
    assert digests(copy) == before


def test_custom_beams_that_differ_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "beams.npy", np.eye(16))
    words: dict[str, Any] = {"schemes": ["apa"], "custom": str(tmp_path / "beams.npy")}
    run_tiny(tmp_path / "run", tiny_job(draws={"count": 1}, design=words))
    before = digests(tmp_path / "run")
    (tmp_path / "beams.npy").unlink()
    np.save(tmp_path / "beams.npy", np.eye(16, 15))
    with pytest.raises(DamagedData, match="other bytes of a file"):
        run_tiny(tmp_path / "run", tiny_job(draws={"count": 1}, design=words))
    assert digests(tmp_path / "run") == before


def test_shard_of_another_version_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests(copy)
    monkeypatch.setattr("crbatch.jobs.folder.rundir.code_key", lambda: "0" * 64)
    with pytest.raises(DamagedData, match=r"made by another version .*numpy.*start in a new folder"):
        run_tiny(copy)
    assert digests(copy) == before


@pytest.mark.parametrize("key", ["job_key", "code_key"])
def test_worker_that_is_not_the_drivers_refuses(copy: Path, key: str) -> None:
    attrs = shard_attrs(list_shards(copy / "shards")[0])
    keys = {name: str(attrs[name]) for name in ("job_key", "code_key")}
    before = digests(copy)
    with pytest.raises(EnvironmentProblem):
        compute(Chunk(str(copy), 0, 1, **keys | {key: "0" * 64}))
    assert digests(copy) == before
    assert compute(Chunk(str(copy), 0, 2, **keys))["sha256"] == list_shards(copy / "shards")[0].sha256


def test_times_are_in_the_journal_and_nowhere_else(reference: Path) -> None:
    for shard in list_shards(reference / "shards"):
        assert shard_attrs(shard).keys() == {"job_key", "code_key", "versions", "content_sha256"}
    events = [json.loads(line) for line in (reference / "journal.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "connected", "chunk", "chunk", "chunk", "cube", "end"]
    assert all(event["time"] > 0 for event in events)
    plan = json.loads((reference / "plan.json").read_text())
    assert (plan["chunks"], plan["chunk_draws"], plan["designs"]) == (3, 2, 72)


def test_leftovers_of_a_killed_write_do_not_count(reference: Path, tmp_path: Path) -> None:
    run = prepared(tmp_path / "run")
    whole = list_shards(reference / "shards")[0].path
    (run.shards / ".0123.nc.tmp").write_bytes(whole.read_bytes()[:999])
    (run.shards / whole.name.replace(whole.name[-9:-3], "abcdef")).write_bytes(whole.read_bytes())
    assert run.finished(tiny_job(), QUIET) == []
    run_tiny(run.path, chunk=2)
    assert (run.path / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


@pytest.mark.slow("kills processes")
@pytest.mark.parametrize("words", [("--cluster", "none"), ("--cluster", "local", "--workers", "2")], ids=" ".join)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_stopped_run_continues(tmp_path: Path, words: tuple[str, ...], number: int) -> None:
    """A stop at any time leaves whole shards only; Ctrl-C and SIGTERM are answered in one line, with exit code 130."""
    count = 200
    job, folder = write_job(tmp_path, draws={"count": count}), tmp_path / "run"
    with start(job, folder, *words) as process:
        os.killpg(process.pid, number)
        said = process.communicate()[1].splitlines()
    assert process.returncode == (-number if number == signal.SIGKILL else Exit.INTERRUPTED)
    if number != signal.SIGKILL:
        assert said[-1].startswith("crbatch: interrupted")
        assert not any("Traceback" in line for line in said)
    kept = shard_times(folder)
    assert 0 < len(kept) < count
    run_tiny(folder, tiny_job(draws={"count": count}), chunk=64)
    assert kept.items() <= shard_times(folder).items()
    run_tiny(tmp_path / "fresh", tiny_job(draws={"count": count}), chunk=64)
    assert (folder / "cube.nc").read_bytes() == (tmp_path / "fresh" / "cube.nc").read_bytes()


@pytest.mark.slow("starts processes")
def test_full_disk_ends_in_one_line_and_resumes(reference: Path, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

    folder = tmp_path / "run"
    with start(write_job(tmp_path), folder, "--cluster", "none", preexec_fn=small_files) as process:
        said = process.communicate()[1].splitlines()
    assert process.returncode == Exit.ENVIRONMENT
    assert "is the disk full?" in said[-1]
    assert list((folder / "shards").iterdir()) == []
    run_tiny(folder, chunk=2)
    assert (folder / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


@contextmanager
def _ordinary_user() -> Iterator[None]:
    """Permissions do not bind root."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


def test_folder_without_permission_is_refused(reference: Path) -> None:
    with TemporaryDirectory() as place:  # pytest's own folders let nobody else in
        Path(place).chmod(0o755)
        folder = Path(shutil.copytree(reference, Path(place) / "run"))
        folder.chmod(0o555)
        before = digests(folder)
        with _ordinary_user():
            for path in (folder, folder / "new"):
                with pytest.raises(UsageProblem, match=r"cannot be written to.*choose another with -o"):
                    RunDirectory(path).claim()
        assert digests(folder) == before
        folder.chmod(0o755)


def test_small_jobs_stay_in_the_process() -> None:
    job = tiny_job(draws={"count": 100_000})
    assert by_default(job, [(0, 6)], 1e-3).kind == "none"
    assert by_default(job, [(0, 100_000)], 1e-3).kind == "local"
    until = {"metric": "crb_bp", "relative_error": 0.1, "max": 100_000}
    assert by_default(tiny_job(draws={"count": 6, "until": until}), [(0, 6)], 1e-3).kind == "local"  # there may be more


def test_uncertified_designs_show_in_the_exit_code(tmp_path: Path) -> None:
    """A target so near the BS-UE segment that rounding exceeds the tolerance."""
    targets = [[-2.49, 10], [5, 15]]
    job = tiny_job(scenario={"target_positions_m": targets}, design={"gap_tolerance": 1e-9}, draws={"count": 1})
    outcome = run_tiny(tmp_path / "run", job)
    assert outcome.summary["uncertified"] > 0
    assert sum(outcome.summary["solvers"].values()) == 6  # two schemes that optimise, three weights
    assert outcome.exit is Exit.SOME_UNCERTIFIED
    again = run_tiny(tmp_path / "run", job)
    assert again.nothing_left
    assert again.exit is Exit.SOME_UNCERTIFIED


@pytest.mark.slow("starts clusters")
@pytest.mark.parametrize(("words", "workers"), [({}, 1), ({"workers": 2}, 2), ({"chunk": 1}, 2)], ids=str)
def test_no_more_local_workers_than_chunks_unless_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, int], workers: int
) -> None:
    monkeypatch.setattr("crbatch.jobs.driver.workers.usable_cores", lambda: 2)
    run_tiny(tmp_path / "run", cluster="local", **words)
    assert [event["workers"] for event in Journal(tmp_path / "run" / "journal.jsonl").events("connected")] == [workers]


def test_absurd_numbers_of_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"^--workers: 100000000000 is refused; there are 10000 at most"):
        run_tiny(tmp_path / "run", workers=10**11)
    assert not (tmp_path / "run").exists()
