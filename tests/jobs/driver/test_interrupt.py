"""Ctrl-C at any moment: one line at once, exit code 130, nothing left behind, and the run goes on where it stood."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from crbatch.cluster.leaving import at_stop, undo_all
from crbatch.jobs.driver.status import status
from crbatch.jobs.errors import Exit
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.terminal.interrupt import listening
from job_cases import run_tiny, write_job

COMMAND = (sys.executable, "-P", "-m", "crbatch")
RUN_LINE = "crbatch: interrupted, stopping; finished draws are kept, run the same command again to continue"
# Phases that are too short to be met, made long: a pilot that never leaves its kernels, a block that takes for ever.
ENDLESS = """
import sys, time
from crbatch.jobs.terminal.interrupt import listen
listen()
import crbatch.jobs.chunk.task
from crbatch.jobs.driver import consolidation, session

def pilot(job, missing):
    sys.stderr.write("in the pilot\\n")
    while True:
        crbatch.jobs.chunk.task.evaluate(job, 0, 1)

def write_cube(cover, path, count, attrs, on_block):
    def endless(*_):
        sys.stderr.write("within the cube\\n")
        time.sleep(600)
    return whole(cover, path, count, attrs, endless)

whole = consolidation.write_cube
setattr({"pilot": session, "write_cube": consolidation}[sys.argv[1]], sys.argv[1], locals()[sys.argv.pop(1)])
from crbatch.jobs.cli.app import main
main()
"""


def answer_all() -> None:
    """Begin like a command in a terminal, whatever started these tests."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Command:
    """A command in a session of its own, as a terminal starts it."""

    def __init__(self, command: tuple[object, ...], place: Path, begin: Callable[[], Any] = answer_all) -> None:
        self.said = place / "said"
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=place, stdout=said, stderr=said, start_new_session=True,
                env=os.environ, preexec_fn=begin,
            )  # fmt: skip

    def wait_for(self, sign: Callable[[], object]) -> None:
        end = time.monotonic() + 120.0
        while not sign():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.002)

    def text(self) -> str:
        return self.said.read_text()

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.text()

    def is_listening(self) -> bool:
        """Whether it holds SIGINT back for the thread that waits for it."""
        blocked = next(
            line.split()[1]
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
            if line.startswith("SigBlk")
        )
        return bool(int(blocked, 16) >> (signal.SIGINT - 1) & 1)

    def workers(self) -> list[psutil.Process]:
        return [
            child
            for child in psutil.Process(self.process.pid).children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]

    def interrupted(self, number: int = signal.SIGINT, alone: bool = False) -> list[str]:
        """Send a signal, to all or to the driver alone; what was said after it has to be one line."""
        before = len(self.text().splitlines())
        (os.kill if alone else os.killpg)(self.process.pid, number)
        assert self.process.wait(60) == Exit.INTERRUPTED
        end = time.monotonic() + 30.0  # a worker that was only just forked finds its driver gone
        while left := [p.pid for p in psutil.process_iter() if self.is_mine(p)]:
            assert time.monotonic() < end, left
        lines = self.text().splitlines()
        assert "Traceback" not in self.text()
        assert len(lines) - before <= 1, self.text()
        return lines

    def is_mine(self, process: psutil.Process) -> bool:
        try:
            tracker = "resource_tracker" in " ".join(process.cmdline())  # ends by itself when the others have
            return os.getsid(process.pid) == self.process.pid and not tracker and process.status() != "zombie"
        except (psutil.Error, ProcessLookupError):
            return False


def check_folder(folder: RunDirectory) -> None:
    """What is left is whole, and does not count as failed."""
    assert list(folder.path.rglob(".*")) == []
    assert not (folder.path / "driver.lock").exists()
    found = status(folder)
    assert (found["state"], found["failed_draws"]) == ("incomplete", [])
    assert found["message"] == "interrupted; run the same command again to continue"


@pytest.mark.slow("interrupts processes")
def test_a_run_that_is_interrupted_in_every_phase_ends_with_the_right_cube(tmp_path: Path) -> None:
    folder = RunDirectory(tmp_path / "run")
    options = ("run", write_job(tmp_path), "-o", folder.path, "--chunk", 1, "--cluster")
    here, local = (*options, "none"), (*options, "local", "--workers", 2)

    def started(*words: object) -> Command:
        return Command((*COMMAND, *words), tmp_path)

    begun = started(*here)
    begun.wait_for(begun.is_listening)
    assert begun.interrupted()[-1].startswith("crbatch: interrupted, stopping")

    loading = started(*here)
    loading.wait_for(loading.says("loading the kernels"))
    assert loading.interrupted(alone=True)[-1] == RUN_LINE
    check_folder(folder)

    pilot = Command((sys.executable, "-P", "-c", ENDLESS, "pilot", *here), tmp_path)
    pilot.wait_for(pilot.says("in the pilot"))
    assert pilot.interrupted(signal.SIGTERM)[-1] == RUN_LINE
    check_folder(folder)

    for alone in (False, True):  # when the first worker exists, and when both do
        starting = started(*local)
        starting.wait_for(lambda it=starting, alone=alone: len(it.workers()) > alone)
        assert starting.interrupted(alone=alone)[-1] == RUN_LINE
        check_folder(folder)

    cube = Command((sys.executable, "-P", "-c", ENDLESS, "write_cube", *here), tmp_path)
    cube.wait_for(cube.says("within the cube"))
    assert cube.interrupted(signal.SIGHUP)[-1] == RUN_LINE
    check_folder(folder)

    report = started(*here)
    report.wait_for(report.says("drawing figures"))
    assert report.interrupted()[-1] == RUN_LINE
    assert status(folder)["state"] == "done"
    assert not folder.page.exists()

    assert started(*here).process.wait(120) == Exit.DONE
    assert folder.page.is_file()
    assert len(folder.journal.events("chunk")) == 6  # none was redone
    run_tiny(tmp_path / "fresh")
    assert folder.cube.read_bytes() == (tmp_path / "fresh" / "cube.nc").read_bytes()


@pytest.mark.slow("interrupts processes")
@pytest.mark.parametrize(
    ("words", "sign"),
    [
        (("plan", "paper"), None),
        (("report", "run"), None),
        (("verify", "run"), None),
        (("replay", "run", "--draw", 0), None),
        (("submit", "paper", "--cluster", "slurm"), None),
        (("doctor", "--cluster", "local"), "asking the workers"),
        (("bench", "antennas"), None),
        (("bench", "dispatch"), "committing"),
    ],
    ids=lambda words: " ".join(map(str, words)) if isinstance(words, tuple) else None,
)
def test_other_commands_end_in_one_line_too(tmp_path: Path, words: tuple[object, ...], sign: str | None) -> None:
    command = Command((*COMMAND, *words), tmp_path)
    command.wait_for(
        command.is_listening if sign is None else lambda: sign in command.text() or (tmp_path / sign).exists()
    )
    assert command.interrupted()[-1].startswith("crbatch: interrupted, stopping")
    assert [path.name for path in tmp_path.rglob(".*")] == []


WAITING = """
import sys, time
from crbatch.jobs.terminal.interrupt import keeps, listen, unbroken
listen()
keeps("all is kept")
from crbatch.cluster.leaving import at_stop
with {block}:
    sys.stderr.write("here\\n")
    time.sleep({seconds})
    sys.stderr.write("done\\n")
time.sleep(600)
"""


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    code = WAITING.format(block="at_stop(lambda: time.sleep(600))", seconds=600)
    stuck = Command((sys.executable, "-P", "-c", code), tmp_path)
    stuck.wait_for(stuck.says("here"))
    os.kill(stuck.process.pid, signal.SIGINT)
    stuck.wait_for(stuck.says("interrupted"))
    assert stuck.interrupted() == ["here", "crbatch: interrupted, stopping; all is kept"]


def test_what_must_not_be_left_half_done_is_waited_for(tmp_path: Path) -> None:
    code = WAITING.format(block="unbroken()", seconds="0.3)\n    open('whole', 'w').close(")
    command = Command((sys.executable, "-P", "-c", code), tmp_path)
    command.wait_for(command.says("here"))
    command.interrupted()
    assert (tmp_path / "whole").exists()


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    code = WAITING.format(block="unbroken()", seconds=0)
    command = Command(
        (sys.executable, "-P", "-c", code), tmp_path, begin=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    command.wait_for(command.says("done"))
    os.kill(command.process.pid, signal.SIGHUP)
    assert command.interrupted(signal.SIGTERM)[-1] == "crbatch: interrupted, stopping; all is kept"


def test_signals_are_as_they_were_afterwards() -> None:
    def now() -> tuple[object, ...]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]
        return signal.pthread_sigmask(signal.SIG_BLOCK, ()), handlers, threading.active_count()

    before = now()
    with listening():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        with listening():
            pass
        assert now() != before
    assert now() == before


def test_what_is_over_is_not_undone_and_what_fails_stops_nothing() -> None:
    undone: list[str] = []

    def fail() -> None:
        raise OSError

    with at_stop(lambda: undone.append("outer")), at_stop(fail), at_stop(lambda: undone.append("inner")):
        with at_stop(lambda: undone.append("over")):
            pass
        undo_all()
    undo_all()
    assert undone == ["inner", "outer"]
