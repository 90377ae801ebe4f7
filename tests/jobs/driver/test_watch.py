"""A run that gets nowhere says so: on the terminal, ever more seldom, and in `status`."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from crbatch.cluster.dispatch import describe_workers
from crbatch.jobs.driver import chunks, watch
from crbatch.jobs.driver.status import status
from crbatch.jobs.driver.watch import Watch, silence
from crbatch.jobs.folder.rundir import RunDirectory
from job_cases import run_tiny, tiny_job


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(watch.time, "time", lambda: now[0])
    return now


def test_said_after_ten_chunks_and_then_each_time_the_silence_has_doubled(clock: list[float]) -> None:
    said: list[str] = []
    seen = Watch(4.0, said.append, lambda: "workers there: 2")
    times = []
    for _ in range(1000):
        clock[0] += 1.0
        before = len(said)
        seen.look()
        if len(said) > before:
            times.append(clock[0] - 1000.0)
    assert times == [40.0, 80.0, 160.0, 320.0, 640.0]
    assert said[0] == "nothing finished for 40 s; a chunk should take 4.0 s; workers there: 2"
    seen.finished()
    clock[0] += 39.0
    seen.look()
    assert len(said) == 5
    clock[0] += 1.0
    seen.look()
    assert len(said) == 6


def test_short_chunks_are_given_some_time(clock: list[float]) -> None:
    assert watch.patience(0.1) == 20.0


START = {"event": "start", "time": 1000.0, "chunk_seconds": 4.0}
CHUNK = {"event": "chunk", "time": 1100.0}


@pytest.mark.parametrize(
    ("events", "now", "says"),
    [
        ([], 9000.0, None),
        ([START], 1039.0, None),
        ([START], 1041.0, "nothing finished for 41 s; a chunk should take 4.0 s"),
        ([START, {"event": "connected", "time": 1030.0}], 1041.0, None),
        ([START, CHUNK], 1139.0, None),
        ([START, CHUNK], 1700.0, "nothing finished for 10 min; a chunk should take 4.0 s"),
        ([START, CHUNK, {"event": "interrupted", "time": 1101.0}], 9000.0, None),  # the next one waits in a queue
        ([{"event": "start", "time": 1000.0}, CHUNK], 9000.0, None),  # of a version that noted no times
    ],
)
def test_what_a_journal_says(clock: list[float], events: list[dict[str, Any]], now: float, says: str | None) -> None:
    clock[0] = now
    assert silence(events) == says


def test_workers_are_described() -> None:
    class Client:
        def __init__(self, *states: str) -> None:
            self.states = states

        def scheduler_info(self, n_workers: int) -> dict[str, Any]:
            assert n_workers == -1
            return {"workers": {str(n): {"status": state} for n, state in enumerate(self.states)}}

    def describe(*states: str) -> str:
        return describe_workers(Client(*states))  # type: ignore[arg-type]

    assert describe() == "workers there: 0"
    assert describe("running", "paused") == "workers there: 2, 1 of them paused for want of memory"


def test_start_says_how_long_a_chunk_should_take(tmp_path: Path) -> None:
    run_tiny(tmp_path / "run", chunk=2)
    (start,) = RunDirectory(tmp_path / "run").journal.events("start")
    assert start["chunk_seconds"] == pytest.approx(2 * start["draw_seconds"], abs=1e-3)
    assert chunks.Watch is Watch


@pytest.mark.slow("stops workers")
def test_stopped_workers_are_noticed_and_go_on(tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text(tiny_job(draws={"count": 30_000}).to_toml())
    folder = RunDirectory(tmp_path / "run")
    words = ["run", str(job), "-o", str(folder.path), "--cluster", "local", "--chunk", "100", "--no-report"]
    log = tmp_path / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen([sys.executable, "-P", "-m", "crbatch", *words], stderr=stderr)
    try:
        wait_for(lambda: list(folder.shards.glob("*.nc")))
        workers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        for worker in workers:
            os.kill(worker.pid, signal.SIGSTOP)
        assert status(folder)["message"] is None
        wait_for(lambda: "nothing finished for" in log.read_text())
        assert re.search(rf"nothing finished for .*; workers there: {len(workers)}", log.read_text())
        found = status(folder)
        assert found["state"] == "running"
        assert re.match(r"nothing finished for \d+ s; a chunk should take", found["message"])
        for worker in workers:
            os.kill(worker.pid, signal.SIGCONT)
        assert process.wait(200) == 0
        assert log.read_text().count("nothing finished") == 1
    finally:
        process.kill()


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 120.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
