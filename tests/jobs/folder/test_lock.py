"""One driver a folder: a second is refused, a dead one does not hinder, and nothing rests on it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import crbatch.jobs.folder.lock
import pytest
from crbatch.jobs.errors import EnvironmentProblem
from crbatch.jobs.folder.lock import FILE, Driver, driver_of, hold, refuse_driver
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.terminal.progress import Progress
from filelock import SoftFileLease
from job_cases import digests, run_tiny, tiny_job
from repository import SUPPORT

HOLDER = """
import sys, time
from pathlib import Path
from crbatch.jobs.folder.lock import hold
from crbatch.jobs.terminal.progress import Progress
from crbatch.jobs.folder.rundir import RunDirectory
with hold(Path(sys.argv[1]), Progress(quiet=True)):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-P", "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def taken(folder: Path) -> None:
    with hold(folder, Progress(quiet=True)):
        assert driver_of(folder) == Driver(os.uname().nodename, os.getpid())
    assert driver_of(folder) is None


def test_second_driver_is_refused_with_host_and_process(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    says = f"another driver is at work there, process {holder.pid} on {os.uname().nodename}"
    with pytest.raises(EnvironmentProblem, match=says):
        taken(tmp_path)
    with pytest.raises(EnvironmentProblem, match=says):
        refuse_driver(tmp_path)
    assert driver_of(tmp_path) == Driver(os.uname().nodename, holder.pid)


def test_second_driver_changes_nothing(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """Not even the job, which it could: another number of draws is the same run."""
    (tmp_path / "job.toml").write_text(tiny_job(draws={"count": 2}).to_toml())
    before = digests(tmp_path)
    with pytest.raises(EnvironmentProblem, match=f"process {holder.pid}"):
        run_tiny(tmp_path, tiny_job(draws={"count": 4}))
    assert digests(tmp_path) == before


def test_killed_driver_does_not_hinder_the_next(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / FILE).exists()
    assert driver_of(tmp_path) is None
    refuse_driver(tmp_path)
    taken(tmp_path)


def test_number_that_was_given_to_another_process_is_no_driver(tmp_path: Path) -> None:
    with hold(tmp_path, Progress(quiet=True)):
        text = (tmp_path / FILE).read_text()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / FILE).write_text(text.replace(f"pid={os.getpid()}", f"pid={other.pid}"))
    os.utime(tmp_path / FILE, (time.time() - 60.0,) * 2)
    assert driver_of(tmp_path) is None
    other.communicate(b"\n")


def foreign(folder: Path) -> str:
    """The lock of a driver on another machine."""
    lease = SoftFileLease(folder / FILE, lease_duration=crbatch.jobs.folder.lock.LEASE_SECONDS)
    lease.acquire(timeout=0)
    text = (folder / FILE).read_text().replace(f"host={os.uname().nodename}", "host=elsewhere")
    lease.release()
    (folder / FILE).write_text(text)
    return text


def test_driver_elsewhere_is_there_while_it_shows_life(tmp_path: Path) -> None:
    foreign(tmp_path)
    assert driver_of(tmp_path) == Driver("elsewhere", os.getpid())
    os.utime(tmp_path / FILE, (time.time() - 1000.0,) * 2)
    assert driver_of(tmp_path) is None


def test_silent_driver_elsewhere_is_succeeded_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crbatch.jobs.folder.lock, "LEASE_SECONDS", 1.0)
    foreign(tmp_path)
    taken(tmp_path)


@pytest.mark.slow("waits as long as a lock lives")
def test_driver_elsewhere_that_shows_life_is_not_succeeded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crbatch.jobs.folder.lock, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(crbatch.jobs.folder.lock, "_MARGIN_SECONDS", 1.0)
    foreign(tmp_path)
    beat = "import os, sys, time\nwhile True: os.utime(sys.argv[1]); time.sleep(0.1)"
    process = subprocess.Popen([sys.executable, "-c", beat, tmp_path / FILE])
    try:
        with pytest.raises(EnvironmentProblem, match="on elsewhere"):
            taken(tmp_path)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow("starts processes")
def test_two_drivers_at_once_waste_work_and_no_more(tmp_path: Path) -> None:
    """With the lock out of the way."""
    run_tiny(tmp_path / "alone", chunk=1)
    code = (
        "import sys, contextlib; sys.path.insert(0, sys.argv[2])\n"
        "import crbatch.jobs.driver.session; from pathlib import Path\n"
        "crbatch.jobs.driver.session.hold = lambda folder, progress: contextlib.nullcontext()\n"
        "from job_cases import run_tiny; run_tiny(Path(sys.argv[1]), chunk=1)"
    )
    RunDirectory(tmp_path / "both").claim()
    words = [sys.executable, "-P", "-c", code, tmp_path / "both", SUPPORT]
    both = [subprocess.Popen(words) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "both" / "cube.nc").read_bytes() == (tmp_path / "alone" / "cube.nc").read_bytes()
    names = [sorted(path.name for path in (tmp_path / run / "shards").glob("*.nc")) for run in ("alone", "both")]
    assert names[0] == names[1]
