"""Power cuts and full disks, on file systems of their own: the same command goes on, and its cube is the right one.

An ext4 image on a loop device is shut down at some moment of a run: what was not brought to the disk is lost, as when
the power fails. Needs root, for mounting.
"""

import fcntl
import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crbatch.jobs.errors import Exit
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.results.shards import list_shards
from job_cases import exit_code, forked, run_tiny, tiny_job

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

CUTS = 20
JOB = tiny_job(draws={"count": 400}, name="cut")
_SHUTDOWN, _LOSING_THE_LOG = 0x8004587D, 2  # ext4's ioctl, and that its own journal is not flushed first


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """The command that a user would give, in a session of its own."""
    options = ["-o", str(folder), "--no-report", "--chunk", "20", *words]
    command = [sys.executable, "-P", "-m", "crbatch", "run", str(folder.parent.parent / "job.toml"), *options]
    environment = os.environ
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


LOCAL = ("--cluster", "local", "--workers", "2")


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run_tiny(folder, JOB)
    return (folder / "cube.nc").read_bytes()


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", *words, str(place)], check=True)
    try:
        yield
    finally:
        for _ in range(100):  # what was killed may take a moment to let go
            if subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"{place} stays mounted")


def cut_the_power(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _LOSING_THE_LOG))
    finally:
        os.close(descriptor)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def commanded(folder: Path) -> int:
    """The exit code of the command, which says all in one line."""
    code, said = end(start(folder, *LOCAL))
    assert "Traceback" not in said
    assert len(said.splitlines()[-1]) < 400
    return code


def in_a_child(folder: Path) -> int:
    return exit_code(forked(folder, JOB, chunk=20))


def test_power_cuts(tmp_path: Path, right: bytes, record_testsuite_property: pytest.FixtureRequest) -> None:
    (tmp_path / "job.toml").write_text(JOB.to_toml())
    image, place = tmp_path / "image", tmp_path / "disk"
    lost = []
    for seed in range(CUTS):
        rng = random.Random(seed)
        image.write_bytes(b"")
        os.truncate(image, 64 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        with mounted(place, "-o", "loop", str(image)):
            process = start(place / "run", *LOCAL)
            wait_for(rng, process, place / "run")
            cut_the_power(place)
            os.killpg(process.pid, signal.SIGKILL)
            end(process)
        with mounted(place, "-o", "loop", str(image)):
            empty = [path.name for path in (place / "run").rglob("*") if path.is_file() and path.stat().st_size == 0]
            kept = len(list_shards(place / "run" / "shards"))
            code, said = end(start(place / "run", *LOCAL))
            lost.append(f"seed {seed}: {kept} shards kept, empty: {', '.join(empty) or 'none'}, then exit {code}")
            sys.stdout.write(f"{lost[-1]}\n")
            assert code == Exit.DONE, said
            assert (place / "run" / "cube.nc").read_bytes() == right
            verify(RunDirectory(place / "run"))
    record_testsuite_property("power cuts survived", f"{len(lost)} of {CUTS}")  # type: ignore[operator]


def wait_for(rng: random.Random, process: subprocess.Popen[str], folder: Path) -> None:
    """Some moment of a run: before or after its folder is there, or between two of its shards."""
    many = rng.choice([0, 0, 1, 2, 5, 10, 15])
    for _ in range(6000):
        if process.poll() is not None or (folder.exists() and len(list_shards(folder / "shards")) >= many):
            break
        time.sleep(0.01)
    time.sleep(rng.uniform(0.0, 0.6))


@pytest.mark.parametrize("seed", range(20))
def test_full_disk_then_room_again(tmp_path: Path, right: bytes, seed: int) -> None:
    """By the command in every fourth case; by a child of this process, which is quicker, in the others."""
    (tmp_path / "job.toml").write_text(JOB.to_toml())
    place, free = tmp_path / "disk", int(random.Random(seed).choice([0, 1, 4, 16, 64, 256, 1024]) * 1024)
    with mounted(place, "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        status = os.statvfs(place)
        (place / "filler").write_bytes(bytes(status.f_bavail * status.f_frsize - free))
        run = in_a_child if seed % 4 else commanded
        assert run(place / "run") == Exit.ENVIRONMENT
        (place / "filler").unlink()
        assert run(place / "run") == Exit.DONE
        assert (place / "run" / "cube.nc").read_bytes() == right
        assert not [path.name for path in (place / "run").rglob(".*")]
