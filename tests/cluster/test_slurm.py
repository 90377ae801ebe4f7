"""Runs on a real SLURM of two virtual nodes: what is cancelled, killed or taken away there loses nothing.

The oracle is always the same: the cube equals that of an undisturbed run byte for byte, every draw is there once, and
no chunk was computed twice but those that were out when the fault came.
"""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crbatch.cluster.batch import alive
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile
from crbatch.results.shards import covering, list_shards
from job_cases import run_tiny, tiny_job
from repository import ROOT

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

COMMAND = (sys.executable, "-P", "-m", "crbatch")
COUNT, CHUNK = 4000, 50
JOB = tiny_job(draws={"count": COUNT}, name="queue")
SLOW_SECONDS = 40.0  # of one core: more than one minute's walltime has room for


@pytest.fixture(scope="module", autouse=True)
def slurm() -> Iterator[None]:
    state = Path("/tmp") / f"crbatch-slurm-{os.getpid()}"  # SLURM's sockets need a short path
    subprocess.run(["bash", ROOT / "tests" / "slurm" / "up.sh", state], check=True)
    os.environ["SLURM_CONF"] = str(state / "slurm.conf")
    try:
        yield
    finally:
        subprocess.run(["bash", ROOT / "tests" / "slurm" / "down.sh", state], check=True)
        del os.environ["SLURM_CONF"]
        shutil.rmtree(state)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    run_tiny(folder, JOB)
    return (folder / "cube.nc").read_bytes()


@dataclass(frozen=True)
class Slow:
    """A job that takes its time, however fast the machine is, and the cube of an undisturbed run."""

    job: JobFile
    cube: bytes


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Slow:
    folder = tmp_path_factory.mktemp("slow")
    pilot = RunDirectory(folder / "pilot")
    run_tiny(pilot.path, slow_job(10 * CHUNK), chunk=CHUNK)
    seconds = statistics.median(event["evaluate_seconds"] for event in pilot.journal.events("chunk"))
    job = slow_job(CHUNK * math.ceil(SLOW_SECONDS / seconds))
    run_tiny(folder / "run", job, cluster="local")
    return Slow(job, (folder / "run" / "cube.nc").read_bytes())


def slow_job(count: int) -> JobFile:
    """Draws that take long to design, and little room in the cube."""
    targets = [[-20, 10], [-10, 15], [-5, 30], [0, 25], [5, 15], [15, 20]]
    scenario = {"tx_antennas": 256, "target_positions_m": targets}
    design = {"schemes": ["fdb-wcrb"], "rho": [n / 20 for n in range(21)]}
    return tiny_job(name="slow", scenario=scenario, draws={"count": count}, design=design)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    (tmp_path / "job.toml").write_text(JOB.to_toml())
    write_profile(tmp_path)
    folder = RunDirectory(tmp_path / "run")
    yield folder
    subprocess.run(["scancel", "--me", "--signal=KILL", "--full"], check=False)
    wait_for(lambda: not queued(), "an empty queue", 60.0)


def write_profile(folder: Path, **changes: Any) -> None:
    words = {"kind": "slurm", "workers": 2, "memory": "900MB", "walltime": "00:10:00", "interface": "lo"} | changes
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in words.items())
    (folder / "queue.toml").write_text(text)


def submit(run: RunDirectory, *options: str) -> str:
    """Submit the job from a shell that ends at once; the number of the last job."""
    beside = run.path.parent
    words = ["submit", str(beside / "job.toml"), "-o", str(run.path), "--cluster", str(beside / "queue.toml")]
    done = subprocess.run(
        [*COMMAND, *words, "--chunk", str(CHUNK), "--json", *options],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["jobs"][-1])


def call(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def resume(node: str) -> None:
    """Bring a node back, if it has not come back by itself."""
    subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False, capture_output=True)


def queued() -> list[str]:
    return call("squeue", "--me", "--noheader", "--format=%A").split()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"no {what} after {seconds:.0f} s"
        time.sleep(0.2)


def ids(run: RunDirectory, role: str) -> list[str]:
    return [number for event in run.journal.events("jobs") if event["role"] == role for number in event["ids"]]


def shards(run: RunDirectory) -> int:
    return len(list_shards(run.shards))


def under_way(run: RunDirectory) -> None:
    wait_for(lambda: shards(run) >= 8, "shards")
    assert not run.cube.exists()


def check(run: RunDirectory, undisturbed: bytes, in_flight: int = 4, count: int = COUNT) -> None:
    """The oracle; `in_flight` chunks may have been computed twice."""
    logs = "\n".join(path.read_text() for path in (run.path / "logs").glob("*.err"))
    assert run.cube.is_file(), logs
    assert run.cube.read_bytes() == undisturbed
    found = list_shards(run.shards)
    assert covering(found, count)[1] == []
    assert len(found) == count // CHUNK
    executions = [(event["start"], event["stop"]) for event in run.journal.events("chunk")]
    assert set(executions) <= {(shard.start, shard.stop) for shard in found}
    assert len(executions) <= count // CHUNK + in_flight


def finished(run: RunDirectory, last: str) -> None:
    wait_for(lambda: not alive([last]), "end of the run", 300.0)


def test_submit_and_log_out(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    finished(run, driver)
    check(run, undisturbed, in_flight=0)
    assert alive(ids(run, "workers")) == set()
    assert not list(run.path.glob(".keys-*"))
    assert (run.path / "report" / "tradeoff.pdf").is_file()


def test_cancelled_worker_is_replaced(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    call("scancel", ids(run, "workers")[0])
    finished(run, driver)
    check(run, undisturbed)


def test_all_workers_killed_at_once(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    call("scancel", "--signal=KILL", "--full", *ids(run, "workers"))
    finished(run, driver)
    check(run, undisturbed)
    assert len(ids(run, "workers")) > 2


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_each_lost_worker_is_replaced_alone_and_together(run: RunDirectory, workers: int) -> None:
    """Whatever its name: that of the highest number is not used again while Dask still knows it."""
    write_profile(run.path.parent, workers=workers)
    (run.path.parent / "job.toml").write_text(slow_job(10**6).to_toml())  # not to be over before
    submit(run)

    def at_work() -> list[str]:
        return sorted(alive(ids(run, "workers")), key=int)

    wait_for(lambda: len(at_work()) == workers, "workers")
    for lost in [[n] for n in range(workers)] + [list(range(workers))]:
        before = at_work()
        gone = [before[n] for n in lost]
        call("scancel", *gone)
        wait_for(lambda: not set(at_work()) & set(gone), "end of them", 30.0)  # noqa: B023
        wait_for(lambda: len(at_work()) == workers, f"worker in place of {lost}", 60.0)
    before_last = shards(run)
    wait_for(lambda: shards(run) > before_last, "work of the new ones", 120.0)


def test_node_down(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    home = call("squeue", "--noheader", "--format=%N", "--jobs", driver).strip()
    other = "n1" if home == "n2" else "n2"
    try:
        call("scontrol", "update", f"NodeName={other}", "State=DOWN", "Reason=test")
        finished(run, driver)
    finally:
        resume(other)
    check(run, undisturbed)


def test_drivers_node_down(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    home = call("squeue", "--noheader", "--format=%N", "--jobs", driver).strip()
    call("scontrol", "update", f"NodeName={home}", "State=DOWN", "Reason=test")
    time.sleep(1.0)
    resume(home)
    finished(run, driver)
    check(run, undisturbed)
    assert len(run.journal.events("start")) == 2


def test_requeued_driver(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    call("scontrol", "requeue", driver)
    finished(run, driver)
    check(run, undisturbed)
    assert len(run.journal.events("start")) == 2


def test_killed_driver_is_submitted_again(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    call("scancel", "--signal=KILL", "--full", driver)
    wait_for(lambda: not alive([driver]), "end of the driver", 30.0)
    orphans = ids(run, "workers")
    wait_for(lambda: not alive(orphans), "end of its workers, whose scheduler is gone", 120.0)
    finished(run, submit(run))
    check(run, undisturbed)


def test_array_without_a_driver(run: RunDirectory, undisturbed: bytes) -> None:
    finished(run, submit(run, "--array"))
    check(run, undisturbed, in_flight=0)


def test_array_that_lost_a_task(run: RunDirectory, undisturbed: bytes) -> None:
    last = submit(run, "--array")
    under_way(run)
    call("scancel", f"{ids(run, 'array')[0]}_0")
    finished(run, last)
    check(run, undisturbed)


@pytest.mark.parametrize("mode", [(), ("--array",)])
def test_walltime(run: RunDirectory, slow: Slow, mode: tuple[str, ...]) -> None:
    """Told in time, a job drains and comes back to the queue, where it goes on; nothing is computed twice."""
    write_profile(run.path.parent, walltime="00:01:00", workers=1)
    (run.path.parent / "job.toml").write_text(slow.job.to_toml())
    finished(run, submit(run, *mode))
    check(run, slow.cube, in_flight=2, count=slow.job.draws.count)
    said = "".join(path.read_text() for path in run.path.glob("logs/*.err"))
    assert "told to end" in said
    assert "DUE TO TIME LIMIT" not in said


def test_status_and_stop(run: RunDirectory, slow: Slow) -> None:
    """From other shells; a job of somebody else's is left alone."""
    (run.path.parent / "other.sh").write_text("#!/bin/sh\n#SBATCH -o /dev/null\nsleep 100\n")
    other = call("sbatch", "--parsable", str(run.path.parent / "other.sh")).strip()
    (run.path.parent / "job.toml").write_text(slow.job.to_toml())  # not to be over before it is stopped
    driver = submit(run)
    under_way(run)
    found = json.loads(call(*COMMAND, "status", str(run.path), "--json"))
    assert found["state"] == "running"
    assert 0 < found["chunks_done"] < found["chunks_total"] == slow.job.draws.count // CHUNK
    assert found["workers"] == 2
    assert found["jobs"] == sorted([driver, *ids(run, "workers")])
    call(*COMMAND, "stop", str(run.path))
    wait_for(lambda: queued() == [other], "end of the run's jobs", 30.0)
    assert json.loads(call(*COMMAND, "status", str(run.path), "--json"))["state"] == "incomplete"
    finished(run, submit(run))
    check(run, slow.cube, count=slow.job.draws.count)
    assert json.loads(call(*COMMAND, "status", str(run.path), "--json"))["state"] == "done"
    assert "are intact" in call(*COMMAND, "verify", str(run.path))
    call("scancel", other)


def test_second_driver_is_refused(run: RunDirectory, undisturbed: bytes) -> None:
    driver = submit(run)
    under_way(run)
    words = ["run", str(run.path / "job.toml"), "-o", str(run.path), "--cluster", "none"]
    second = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    assert second.returncode == 5
    assert "another driver is at work there, process" in second.stderr
    finished(run, driver)
    check(run, undisturbed, in_flight=0)


def test_workers_without_the_folder(run: RunDirectory, undisturbed: bytes) -> None:
    """They bring their keys in their scripts, and send their shards to the driver, which is here."""
    write_profile(run.path.parent, shared_filesystem=False)
    words = [run.path.parent / "job.toml", "-o", run.path, "--cluster", run.path.parent / "queue.toml"]
    call(*COMMAND, "run", *map(str, words), "--chunk", str(CHUNK), "--no-report")
    check(run, undisturbed, in_flight=0)


def test_doctor(run: RunDirectory) -> None:
    done = call(*COMMAND, "doctor", "--cluster", str(run.path.parent / "queue.toml"), "-o", str(run.path.parent))
    assert "every worker has this machine's versions" in done
