"""A tiny job and what the tests of jobs/ do with it."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crbatch.jobs.cli.app import main
from crbatch.jobs.driver.session import Outcome, run
from crbatch.jobs.errors import CommandError, Exit
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile
from crbatch.jobs.terminal.progress import Progress

QUIET = Progress(quiet=True)
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "name": "tiny",
    "scenario": {"target_positions_m": [[-10, 15], [5, 15]], "subcarriers": 64},
    "draws": {"count": 6},
    "design": {"schemes": ["fdb-wcrb", "cpa-wcrb", "fdb-wbf", "apa"], "rho": [0.0, 0.4, 1.0]},
}

DROPS: dict[str, Any] = {
    "count": 8,
    "ue_position": {"kind": "disc", "centre_m": [0, 18], "radius_m": 3},
    "target_positions": {"kind": "box", "x_m": [-15, 15], "y_m": [5, 25]},
    "ue_orientation": "uniform",
    "rcs": "swerling1",
}


def tiny_job(**changes: Any) -> JobFile:
    """Build the tiny job with some keys of some tables changed."""
    merged = {
        table: DOCUMENT.get(table, {}) | values if isinstance(values, dict) else values
        for table, values in changes.items()
    }
    return JobFile.model_validate(DOCUMENT | merged)


def write_job(folder: Path, **changes: Any) -> Path:
    path = folder / "tiny.toml"
    path.write_text(tiny_job(**changes).to_toml())
    return path


def run_tiny(folder: Path, job: JobFile | None = None, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"cluster": "none", "workers": None, "chunk": None, "report": False} | options
    return run(job or tiny_job(), RunDirectory(folder), progress=QUIET, **settings)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def crbatch(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    """Run the command line in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["crbatch", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def forked(folder: Path, job: JobFile, before: Callable[[], object] = lambda: None, **options: Any) -> int:
    """Start a run in a child of this process, after something else there; its number."""
    pid = os.fork()
    if pid == 0:
        code = Exit.BUG
        try:
            before()
            code = run_tiny(folder, job, **options).exit
        except CommandError as error:
            code = error.code
        except OSError:
            code = Exit.ENVIRONMENT
        finally:
            os._exit(int(code))
    return pid


def exit_code(pid: int) -> int:
    """Wait for a child to end."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def prepared(folder: Path, job: JobFile | None = None) -> RunDirectory:
    """The folder of a run that has not begun."""
    run_directory = RunDirectory(folder)
    run_directory.claim()
    run_directory.prepare(job or tiny_job(), QUIET)
    return run_directory
