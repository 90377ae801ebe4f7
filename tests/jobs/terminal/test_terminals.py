"""Streams that are closed, full or no longer read: the work goes on, and its exit code stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crbatch.jobs.errors import Exit
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.terminal.printable import lines, one_line
from job_cases import write_job

COMMAND = (sys.executable, "-P", "-m", "crbatch")
LOST = "crbatch: the answer on stdout is lost (No space left on device)"
ANSWER = "cube: out/cube.nc"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_job(tmp_path)


def started(folder: Path, *words: object, redirected: str = "", **options: object) -> subprocess.Popen[str]:
    """Start a command as a shell does, with its streams redirected."""
    command = ["sh", "-c", f'exec "$@" {redirected}', "sh", *COMMAND, *map(str, words)]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def run_of(tiny: Path, redirected: str, *more: str) -> tuple[int, str, str]:
    process = started(
        tiny.parent, "run", tiny.name, "-o", "out", "--cluster", "none", "--no-report", *more, redirected=redirected
    )
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize(
    "redirected", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1"]
)
def test_streams_that_cannot_be_written_do_not_end_a_run(tiny: Path, redirected: str) -> None:
    code, out, err = run_of(tiny, redirected)
    assert code == Exit.DONE, err
    folder = RunDirectory(tiny.parent / "out")
    assert folder.cube_is_current(folder.job())
    assert "Traceback" not in err
    assert (LOST in err) == (redirected == ">/dev/full")
    assert (ANSWER in out) == (redirected[0] == "2"), out


@pytest.mark.parametrize("command", [("plan", "tiny.toml"), ("jobs", "--json"), ("--help",), ("--version",)])
def test_answers_that_cannot_be_written_are_told_of(tiny: Path, command: tuple[str, ...]) -> None:
    process = started(tiny.parent, *command, redirected=">/dev/full")
    _, err = process.communicate(timeout=120)
    assert err.splitlines()[-1:] == [LOST]
    assert process.returncode == 0


@pytest.mark.slow("starts processes")
def test_closed_streams_are_no_files_of_a_run(tiny: Path) -> None:
    """What is opened first would get their numbers, and what is meant for the terminal."""
    run_of(tiny, "")
    before = {path.name: path.read_bytes() for path in (tiny.parent / "out").glob("*.nc")}
    code, _, _ = run_of(tiny, ">&- 2>&-", "--report")
    assert code == Exit.DONE
    assert before == {path.name: path.read_bytes() for path in (tiny.parent / "out").glob("*.nc")}
    assert (tiny.parent / "out" / "report" / "report.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("cluster", ["none", "local"])
def test_a_pipe_that_is_read_no_more(tiny: Path, cluster: str) -> None:
    """As by `2>&1 | head -1`."""
    process = started(
        tiny.parent, "run", tiny.name, "-o", "out", "--cluster", cluster, "--workers", 1, "--no-report",
        redirected="2>&1",
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "looking for finished draws ...\n"
    with process:
        process.stdout.close()
        assert process.wait(120) == Exit.DONE
    folder = RunDirectory(tiny.parent / "out")
    assert folder.cube_is_current(folder.job())


@pytest.mark.slow("starts processes")
def test_a_refusal_keeps_its_code(tiny: Path) -> None:
    for redirected in ("2>/dev/full", "2>&-", ">&- 2>&-"):
        process = started(tiny.parent, "plan", "no.toml", redirected=redirected)
        assert process.communicate(timeout=120) == ("", "")
        assert process.returncode == Exit.USAGE


@pytest.mark.slow("interrupts processes")
@pytest.mark.parametrize("pause", [0.0, 0.05, 0.3])
def test_three_interrupts_end_in_one_line(tmp_path: Path, pause: float) -> None:
    job = write_job(tmp_path, draws={"count": 20_000})
    process = started(
        tmp_path, "run", job.name, "-o", "out", "--cluster", "local", "--workers", 1, "--no-report",
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    line = process.stderr.readline()
    for _ in range(3):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(pause)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.INTERRUPTED
    assert line == "looking for finished draws ...\n"
    assert [said for said in err.splitlines() if "interrupted" not in said and not said.endswith(" ...")] == []


HOSTILE = ["\x1b[31mred", "bell\a", "one\ntwo", "back\b\r", "c1\x9b31m", "turned\u202eround", "latin\udce9"]


@pytest.mark.parametrize("name", HOSTILE)
def test_control_characters_are_spelled_out(name: str) -> None:
    shown = one_line(name)
    assert shown.isprintable()
    assert shown.encode()
    assert lines(f"{name}\n{name}").count("\n") == 1 + 2 * name.count("\n")


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("command", ["status", "plan", "verify", "run", "compare x", "init --from"])
def test_no_name_reaches_the_terminal_raw(tmp_path: Path, command: str) -> None:
    process = started(tmp_path, *command.split(), "".join(HOSTILE), errors="surrogateescape")
    out, err = process.communicate(timeout=120)
    assert process.returncode == Exit.USAGE
    assert (out + err).replace("\n", "").isprintable(), err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
