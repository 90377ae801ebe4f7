"""Small files of a run that a power cut, a full disk or a stranger left: the same command goes on, and says so."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from crbatch.jobs.driver.status import status
from crbatch.jobs.errors import DamagedData, Exit
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.lock import FILE, hold
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import load_job
from crbatch.results.files import remove_leftovers, replace_text, temporary_file, temporary_folder
from crbatch.results.shards import list_shards
from job_cases import QUIET, crbatch, exit_code, forked, run_tiny, tiny_job, write_job

JOB = tiny_job(draws={"count": 4}, design={"schemes": ["fdb-wcrb"], "rho": [0.0, 0.5]})


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("reference") / "run"
    run_tiny(folder, JOB, chunk=2, report=True)
    return folder


@pytest.fixture
def copy(reference: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(reference, tmp_path / "run"))


def goes_on(folder: Path, reference: Path) -> None:
    assert run_tiny(folder, JOB).exit is Exit.DONE
    assert (folder / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()
    verify(RunDirectory(folder))
    assert run_tiny(folder, JOB).nothing_left


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


DAMAGES = [Path.unlink, empty, zeros, half, pipe, dangling_link]


@pytest.mark.slow("many damaged runs")
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "names", [["job.toml"], ["plan.json"], ["journal.jsonl"], ["job.toml", "plan.json", FILE]], ids=" ".join
)
def test_damaged_small_files(
    reference: Path, copy: Path, capsys: pytest.CaptureFixture[str], names: list[str], damage: Callable[[Path], None]
) -> None:
    (copy / FILE).write_text("x")
    for name in names:
        damage(copy / name)
    (copy / "cube.nc").unlink()
    if (copy / FILE).is_file():
        os.utime(copy / FILE, (time.time() - 60.0,) * 2)
    kept = {shard.path: shard.path.stat().st_mtime_ns for shard in list_shards(copy / "shards")}
    goes_on(copy, reference)
    assert {shard.path: shard.path.stat().st_mtime_ns for shard in list_shards(copy / "shards")} == kept
    if "job.toml" in names:
        assert "job.toml was damaged or missing; it is written again" in capsys.readouterr().err


def test_any_flipped_bit_of_the_job(reference: Path, copy: Path) -> None:
    whole = (copy / "job.toml").read_bytes()
    rng = random.Random(19)
    for _ in range(30):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (copy / "job.toml").write_bytes(data)
        assert run_tiny(copy, JOB).exit is Exit.DONE
        assert load_job(copy / "job.toml").canonical() == JOB.canonical()
    assert (copy / "cube.nc").read_bytes() == (reference / "cube.nc").read_bytes()


def test_readers_have_the_job_from_the_journal(copy: Path) -> None:
    empty(copy / "job.toml")
    assert status(RunDirectory(copy))["state"] == "done"
    with pytest.raises(DamagedData, match="run the job again with -o"):
        verify(RunDirectory(copy))


def test_another_job_does_not_take_over_what_is_damaged(copy: Path) -> None:
    empty(copy / "job.toml")
    with pytest.raises(DamagedData, match="holds the run of another job"):
        run_tiny(copy, tiny_job(draws={"count": 4, "seed": 1}))


def test_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    for name in ("draws.csv", "report", ".hidden"):
        folder = tmp_path / f"with {name}"
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(DamagedData, match="not a folder of a run"):
            run_tiny(folder, JOB)
        assert [path.name for path in folder.iterdir()] == [name]


# ---- a disk that is full


def limited(folder: Path, size: int) -> int:
    """Run in a child that may write no file beyond some bytes; its exit code."""
    limits = (size, resource.RLIM_INFINITY)
    return exit_code(forked(folder, JOB, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)))


@pytest.mark.slow("processes under ulimit")
@pytest.mark.parametrize("size", [0, 1, 64, 100, 256, 300, 512, 700, 1000, 1024, 1500, 2000, 3000, 4096, 6000])
def test_limit_of_file_sizes_then_none(reference: Path, tmp_path: Path, size: int) -> None:
    assert limited(tmp_path / "run", size) == Exit.ENVIRONMENT
    goes_on(tmp_path / "run", reference)


@pytest.mark.slow("processes under ulimit")
@pytest.mark.parametrize("size", [10_000, 20_000, 30_000, 50_000, 100_000])
def test_limit_that_comes_late(reference: Path, tmp_path: Path, size: int) -> None:
    assert limited(tmp_path / "run", size) in (Exit.ENVIRONMENT, Exit.DONE)
    goes_on(tmp_path / "run", reference)


# ---- reports


@pytest.mark.slow("many damaged reports")
@pytest.mark.parametrize("damage", [empty, half, Path.unlink])
@pytest.mark.parametrize("name", ["report.html", "tradeoff.png", "quantiles-crb_bp.csv"])
def test_report_that_is_not_whole_is_made_again(copy: Path, damage: Callable[[Path], None], name: str) -> None:
    whole = (copy / "report" / name).read_bytes()
    damage(copy / "report" / name)
    assert not run_tiny(copy, JOB, report=True).nothing_left
    assert (copy / "report" / name).stat().st_size > 0.9 * len(whole)
    assert run_tiny(copy, JOB, report=True).nothing_left


@pytest.mark.slow("makes reports")
def test_report_does_not_write_through_links(copy: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(copy / "report", elsewhere)
    before = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    for name in before:
        (elsewhere / name).write_text("mine")
    (copy / "report").symlink_to(elsewhere)
    assert not run_tiny(copy, JOB, report=True).nothing_left
    assert all(path.read_text() == "mine" for path in elsewhere.iterdir())
    target = tmp_path / "target"
    target.write_text("mine")
    (copy / "report" / "quantiles-crb_bp.csv").unlink()
    (copy / "report" / "quantiles-crb_bp.csv").symlink_to(target)
    run_tiny(copy, JOB, report=True)
    assert target.read_text() == "mine"


def test_journal_does_not_write_through_links(reference: Path, copy: Path, tmp_path: Path) -> None:
    shutil.copy(copy / "journal.jsonl", tmp_path / "target")
    before = (tmp_path / "target").read_bytes()
    (copy / "journal.jsonl").unlink()
    (copy / "journal.jsonl").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="journal"):
        RunDirectory(copy).journal.write("drained")
    goes_on(copy, reference)
    assert (tmp_path / "target").read_bytes() == before


# ---- what is under a shard's name


@pytest.mark.parametrize(
    "damage", [pipe, dangling_link, lambda path: (path.unlink(), path.mkdir())], ids=["pipe", "link", "folder"]
)
def test_strangers_under_a_shards_name(reference: Path, copy: Path, damage: Callable[[Path], None]) -> None:
    damage(list_shards(copy / "shards")[1].path)
    (copy / "cube.nc").unlink()
    assert status(RunDirectory(copy))["draws_done"] == 2
    goes_on(copy, reference)


# ---- leftovers


def dead_name(folder: Path, suffix: str) -> Path:
    """A temporary name of a process that has ended."""
    code = "import sys, crbatch.results.files as f; print(f._temporary(f.Path(sys.argv[1]), sys.argv[2]))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, folder, suffix], capture_output=True, text=True, check=True
    )
    return Path(done.stdout.strip())


def test_leftovers_of_dead_processes_go_and_others_stay(tmp_path: Path) -> None:
    dead_name(tmp_path, ".nc.tmp").write_bytes(b"x")
    dead_name(tmp_path, ".tmp").mkdir()
    foreign = tmp_path / f".{'0' * 32}.elsewhere.1.cube.tmp"
    foreign.write_bytes(b"x")
    (tmp_path / ".mine.tmp").write_bytes(b"x")
    with temporary_file(tmp_path, ".nc.tmp") as mine, temporary_folder(tmp_path) as also_mine:
        remove_leftovers(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {mine.name, also_mine.name, foreign.name, ".mine.tmp"}
    os.utime(foreign, (0.0, 0.0))
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".mine.tmp"]


def test_run_removes_leftovers(reference: Path, copy: Path) -> None:
    for place, suffix in ((copy, ".cube.tmp"), (copy / "shards", ".nc.tmp"), (copy, ".tmp")):
        dead_name(place, suffix).write_bytes(b"x")
    goes_on(copy, reference)
    assert not [path for path in copy.rglob(".*")]


def test_link_in_place_of_a_small_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    replace_text(tmp_path / "link", "ours")
    assert (tmp_path / "target").read_text() == "mine"
    assert (tmp_path / "link").read_text() == "ours"
    assert not (tmp_path / "link").is_symlink()


# ---- locks


def test_empty_lock_is_retired_and_status_knows_no_driver(reference: Path, copy: Path) -> None:
    empty(copy / FILE)
    os.utime(copy / FILE, (time.time() - 3.0,) * 2)
    assert status(RunDirectory(copy))["state"] == "done"
    goes_on(copy, reference)


def test_old_lock_of_a_dead_host_costs_no_time(tmp_path: Path) -> None:
    with hold(tmp_path, QUIET):
        text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace(f"host={os.uname().nodename}", "host=elsewhere"))
    os.utime(tmp_path / FILE, (time.time() - 3600.0,) * 2)
    begun = time.monotonic()
    with hold(tmp_path, QUIET):
        pass
    assert time.monotonic() - begun < 10.0  # seconds of 40


def test_stop_does_not_signal_what_is_no_driver(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that was forged, or whose process number another program has now."""
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with hold(copy, QUIET):
        text = (copy / FILE).read_text()
    (copy / FILE).write_text(text.replace(f"pid={os.getpid()}", f"pid={victim.pid}"))
    assert crbatch(monkeypatch, "stop", copy) == Exit.DONE
    assert victim.poll() is None
    victim.communicate(b"\n")
    assert victim.returncode == 0


@pytest.mark.slow("starts processes")
def test_run_removes_the_stand_ins_of_dead_processes(tmp_path: Path) -> None:
    """In the temporary folder, where a killed run with an unusable kernel cache leaves one."""
    (tmp_path / "crbatch-numba-dead").mkdir()
    (tmp_path / "crbatch-numba-dead" / "in-use").touch()
    (tmp_path / "others").mkdir()
    os.utime(tmp_path / "crbatch-numba-dead", (0.0, 0.0))
    job = write_job(tmp_path, draws={"count": 1}, design={"schemes": ["apa"]})
    cache = os.environ.get("NUMBA_CACHE_DIR") or f"{tempfile.gettempdir()}/crbatch-{os.getuid()}"
    environment = os.environ | {"TMPDIR": str(tmp_path), "NUMBA_CACHE_DIR": cache}
    words = [sys.executable, "-P", "-m", "crbatch", "run", job, "-o", tmp_path / "run", "--no-report"]
    subprocess.run([*map(str, words)], env=environment, check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["others", "run", "tiny.toml"]


@pytest.mark.slow("stops processes")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_report_that_was_stopped_is_made_again(tmp_path: Path, number: int) -> None:
    job = write_job(tmp_path, draws={"count": 4}, design={"schemes": ["fdb-wcrb"], "rho": [0.0, 0.5]})
    run_tiny(tmp_path / "run", JOB)
    words = [sys.executable, "-P", "-m", "crbatch", "run", job, "-o", tmp_path / "run"]
    environment = os.environ
    with subprocess.Popen([*map(str, words)], env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not any(path.is_dir() for path in (tmp_path / "run").glob(".*.tmp")):
            time.sleep(0.01)
        process.send_signal(number)
    assert process.returncode != 0
    assert not (tmp_path / "run" / "report").exists()
    assert not run_tiny(tmp_path / "run", JOB, report=True).nothing_left
    assert (tmp_path / "run" / "report" / "report.html").stat().st_size > 10_000
    assert not list((tmp_path / "run").glob(".*"))
    assert run_tiny(tmp_path / "run", JOB, report=True).nothing_left
