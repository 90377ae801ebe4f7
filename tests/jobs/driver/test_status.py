"""How far a run is, seen from another process, and how it is ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crbatch.cluster import batch
from crbatch.jobs.driver.plan import make_plan
from crbatch.jobs.driver.status import PREVIEW_DRAWS, jobs_alive, preview, status, stop
from crbatch.jobs.driver.submit import work
from crbatch.jobs.errors import EnvironmentProblem, Exit
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.terminal.progress import Progress
from crbatch.results.shards import covering, list_shards
from job_cases import QUIET, crbatch, digests, run_tiny, tiny_job, write_job

COMMAND = (sys.executable, "-P", "-m", "crbatch", "run")
COUNT = 200


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = RunDirectory(tmp_path_factory.mktemp("status") / "run")
    run_tiny(folder.path, chunk=2)
    return folder


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[RunDirectory, "subprocess.Popen[str]"]]:
    job, folder = write_job(tmp_path, draws={"count": COUNT}), RunDirectory(tmp_path / "run")
    words = [*COMMAND, job, "-o", folder.path, "--no-report", "--chunk", "1", "--cluster", "none"]
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup a child would inherit that it is ignored
    process = subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGHUP, before)
    wait_for(lambda: len(list_shards(folder.shards)) > 3)
    yield folder, process
    process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120.0
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_finished_run(done: RunDirectory) -> None:
    before = digests(done.path)
    found = status(done)
    assert digests(done.path) == before
    assert found["state"] == "done"
    assert (found["chunks_done"], found["chunks_total"]) == (3, 3)
    assert (found["draws_done"], found["draws_total"], found["uncertified"]) == (6, 6, 0)
    assert found["workers"] == 0
    assert found["seconds_left"] is None


def test_a_shard_that_is_not_noted_yet_is_counted_once(tmp_path: Path) -> None:
    """As it is for a moment after a worker has written it."""
    folder = RunDirectory(tmp_path / "run")
    run_tiny(folder.path, chunk=2)
    lines = folder.journal.path.read_text().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if '"chunk"' in line)
    folder.journal.path.write_text("".join(lines[:last]))
    found = status(folder)
    assert (found["chunks_done"], found["chunks_total"]) == (3, 3)


def test_preview_is_the_cubes_medians(done: RunDirectory) -> None:
    found = status(done)["preview"]
    assert (found["draws"], found["rho"]) == (6, 0.4)
    with xr.open_dataset(done.cube) as cube:
        for row in found["rows"]:
            one = cube.sel(scheme=row["scheme"], rho=0.4)
            assert row["sqrt_crb_bp_m"] == pytest.approx(np.median(np.sqrt(one.crb_bp)))
            assert row["sqrt_crb_ms_m"] == pytest.approx(np.median(np.sqrt(one.crb_ms)))
    assert [row["scheme"] for row in found["rows"]] == ["fdb-wcrb", "cpa-wcrb", "fdb-wbf", "apa"]


def test_preview_of_a_sweep_names_the_points(tmp_path: Path) -> None:
    job = tiny_job(sweep={"targets": [1, 2]}, draws={"count": 2})
    run_tiny(tmp_path / "run", job)
    rows = status(RunDirectory(tmp_path / "run"))["preview"]["rows"]
    assert {row["at"]["targets"] for row in rows} == {1, 2}
    assert len(rows) == 8


def test_preview_rests_on_the_first_draws_alone(done: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws beyond a gap do not count, whatever has finished."""
    job = done.job()
    cover, _ = covering(list_shards(done.shards), 6)
    assert preview([cover[0], cover[2]], job) == preview(cover[:1], job)
    assert preview(cover[:1], job)["draws"] == 2
    assert preview(cover[1:], job) == {"draws": 0, "rho": 0.4, "rows": []}
    monkeypatch.setattr("crbatch.jobs.driver.status.PREVIEW_DRAWS", 3)
    assert preview(cover, job)["draws"] == 3
    assert PREVIEW_DRAWS == 4096


@pytest.mark.slow("starts processes")
def test_run_at_work_seen_from_outside(running: tuple[RunDirectory, "subprocess.Popen[str]"]) -> None:
    folder, _ = running
    found = status(folder)
    assert found["state"] == "running"
    assert found["chunks_total"] == found["draws_total"] == COUNT
    assert 0 < found["chunks_done"] == found["draws_done"] < COUNT
    assert found["workers"] == 1
    assert found["designs_per_second"] > 0
    assert found["seconds_left"] > 0
    assert found["preview"]["draws"] > 0


@pytest.mark.slow("stops processes")
def test_stopped_run_is_incomplete_and_goes_on(running: tuple[RunDirectory, "subprocess.Popen[str]"]) -> None:
    folder, process = running
    assert stop(folder) == ([], process.pid)
    assert process.wait(60) == Exit.INTERRUPTED
    assert status(folder)["state"] == "incomplete"
    assert stop(folder) == ([], None)
    run_tiny(folder.path, tiny_job(draws={"count": COUNT}))
    assert status(folder)["state"] == "done"


@pytest.mark.slow("interrupts processes")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, Exit.INTERRUPTED), (signal.SIGUSR1, Exit.INCOMPLETE)])
def test_hang_up_and_drain(
    running: tuple[RunDirectory, "subprocess.Popen[str]"], number: signal.Signals, code: Exit
) -> None:
    folder, process = running
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == code
    assert "run the same command again to continue" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert status(folder)["state"] == "incomplete"
    executions = [event["start"] for event in folder.journal.events("chunk")]
    assert len(executions) == len(set(executions))
    unnoted = len(list_shards(folder.shards)) - len(executions)
    assert unnoted == 0 or (unnoted == 1 and number == signal.SIGHUP)  # which may come between a shard and its note


def test_drivers_that_never_finish_a_chunk_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A walltime that is too short for one chunk would else send the job back to the queue for ever."""
    for module in ("session", "chunks"):
        monkeypatch.setattr(f"crbatch.jobs.driver.{module}.draining", lambda: True)
    monkeypatch.setattr("sys.argv", ["crbatch"])
    job = write_job(tmp_path)
    codes = [crbatch(monkeypatch, "run", job, "-o", tmp_path / "run", "--cluster", "none") for _ in range(4)]
    assert codes == [Exit.INCOMPLETE] * 3 + [Exit.ENVIRONMENT]


def test_failed_run_says_why_until_it_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device", "shards")

    folder = RunDirectory(tmp_path / "run")
    monkeypatch.setattr("crbatch.jobs.chunk.task.commit_shard", no_space)
    with pytest.raises(OSError, match="No space"):
        run_tiny(folder.path)
    monkeypatch.undo()
    found = status(folder)
    assert found["state"] == "failed"
    assert "No space left" in found["message"]
    assert folder.journal.events("error")[0]["code"] == Exit.ENVIRONMENT
    run_tiny(folder.path)
    assert status(folder)["state"] == "done"


def test_uncertified_designs_of_a_lost_journal_are_counted(done: RunDirectory, tmp_path: Path) -> None:
    job = tiny_job(
        scenario={"target_positions_m": [[-2.49, 10], [5, 15]]}, design={"gap_tolerance": 1e-9}, draws={"count": 2}
    )
    outcome = run_tiny(tmp_path / "run", job)
    folder = RunDirectory(tmp_path / "run")
    assert status(folder)["uncertified"] == outcome.summary["uncertified"] > 0
    folder.journal.path.unlink()
    assert status(folder)["uncertified"] == outcome.summary["uncertified"]


# ---- batch jobs


def with_jobs(folder: RunDirectory, monkeypatch: pytest.MonkeyPatch, alive: set[str]) -> list[Any]:
    folder.claim()
    folder.prepare(tiny_job(), QUIET)
    folder.journal.write("jobs", role="driver", ids=["40"])
    folder.journal.write("jobs", role="workers", ids=["41", "42"])
    cancelled: list[Any] = []
    monkeypatch.setattr(batch, "alive", lambda ids: alive & set(ids))
    monkeypatch.setattr(batch, "cancel", lambda ids: cancelled.append(set(ids)))
    return cancelled


def test_jobs_in_the_queue_are_a_run_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunDirectory(tmp_path / "run")
    with_jobs(folder, monkeypatch, {"40", "42", "99"})
    found = status(folder)
    assert (found["state"], found["jobs"], found["workers"]) == ("running", ["40", "42"], 1)


def test_stop_cancels_own_jobs_that_are_alive_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunDirectory(tmp_path / "run")
    cancelled = with_jobs(folder, monkeypatch, {"40", "42", "99"})
    assert stop(folder) == (["40", "42"], None)
    assert cancelled == [{"40", "42"}]


def test_queue_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunDirectory(tmp_path / "run")
    with_jobs(folder, monkeypatch, set())
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="squeue: no such program"):
        jobs_alive(folder.journal.all())


def test_driver_on_another_machine_is_not_stopped_from_here(
    done: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crbatch.jobs.folder.lock import Driver

    monkeypatch.setattr("crbatch.jobs.driver.status.driver_of", lambda folder: Driver("elsewhere", os.getpid()))
    with pytest.raises(EnvironmentProblem, match="on elsewhere; stop it from there"):
        stop(done)


def test_commands(done: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert crbatch(monkeypatch, "status", done.path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= {"state", "chunks_done", "chunks_total", "draws_done", "draws_total", "uncertified"}
    assert crbatch(monkeypatch, "status", done.path) == 0
    assert "3 of 3 chunks, 6 of 6 draws" in capsys.readouterr().out
    assert crbatch(monkeypatch, "stop", done.path) == 0
    assert "nothing was at work" in capsys.readouterr().out
    assert crbatch(monkeypatch, "status", done.path / "shards") == Exit.DAMAGED


def test_chunks_of_an_array_are_those_of_its_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before any has begun, and without the plan, whose file may be damaged."""
    folder = RunDirectory(tmp_path / "run")
    with_jobs(folder, monkeypatch, {"50"})
    folder.journal.write("start", cluster="slurm", chunks=1)
    folder.journal.write("jobs", role="array", ids=["50"])
    folder.write_plan(tiny_job(), make_plan(tiny_job(), chunk=2, workers=2, even=True).summary())
    counts = [(found := status(folder))["chunks_done"], found["chunks_total"]]
    for share in range(2):
        work(folder, share, 2, Progress(quiet=True), 2)
        counts += [(found := status(folder))["chunks_done"], found["chunks_total"]]
    assert counts == [0, 3, 2, 3, 3, 3]
    for damaged in ("", "[" * 2_000, "1" * 5_000, '{"chunk_draws": "2"}', '{"chunk_draws": 0}', "[]"):
        (folder.path / "plan.json").write_text(damaged)
        assert status(folder)["chunks_done"] == 3


@pytest.mark.parametrize("journal", [True, False])
def test_damaged_shards_are_none(tmp_path: Path, journal: bool) -> None:
    """They are told of, and the rest is counted: the next run makes them again."""
    folder = RunDirectory(tmp_path / "run")
    run_tiny(folder.path, chunk=2)
    if not journal:
        folder.journal.path.unlink()
    first, second, third = list_shards(folder.shards)
    content = second.path.read_bytes()
    second.path.write_bytes(content[:200])
    third.path.write_bytes(bytes(len(content)))
    found = status(folder)
    assert found["preview"]["draws"] == 2
    assert "cannot be read, such as " + second.path.name in found["message"]
    assert found["draws_done"] == (4 if journal else 2)
    first.path.write_bytes(b"")
    assert status(folder)["preview"]["draws"] == 0
    run_tiny(folder.path)
    assert status(folder)["message"] is None
