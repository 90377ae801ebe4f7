"""What people give to commands: jobs, profiles, folders of runs. What these need is loaded only when they are given."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import CommandError, UsageProblem
from ..jobfile.kinds import JOB_FILE, Kind, kind_of
from ..terminal.printable import one_line


def job(name: str) -> Any:
    """A checked job; doubts about it go to stderr, and hold up nothing.

    Raises UsageProblem if there is no such job, or it is no valid one.
    """
    from ..jobfile.doubts import doubts
    from ..jobfile.schema import JobError, load_job

    try:
        checked: Any = load_job(name)
    except JobError as error:
        path, checked = Path(name), None
        if path.name == JOB_FILE:
            with suppress(CommandError):  # a run's own, damaged: the run's journal may have it
                checked = folder(path.parent).job()
        if checked is None:
            raise UsageProblem(str(error)) from None
    for line in doubts(checked):
        sys.stderr.write(f"crbatch: warning: {one_line(line)}\n")
    return checked


def profile(name: str) -> Any:
    """A checked profile of a cluster.

    Raises UsageProblem if there is no such profile, or it is no valid one.
    """
    from crbatch.cluster.errors import ClusterError
    from crbatch.cluster.profiles import load_profile

    try:
        return load_profile(name)
    except ClusterError as error:
        kind = kind_of(Path(name))
        if kind in (Kind.JOB, Kind.RUN, Kind.FOLDER, Kind.NETCDF):
            raise UsageProblem(f"--cluster: {name}: {kind}, not a cluster profile; see README, On a cluster") from None
        raise UsageProblem(f"--cluster: {error}") from None


def folder(path: Path) -> Any:
    """The folder of a run."""
    from ..folder.rundir import RunDirectory

    return RunDirectory(path)


def run(name: str, output: Path | None) -> tuple[Any, Any]:
    """A checked job, and the folder of its run, after all that can be refused before its start."""
    from ..driver.refusals import check_job, check_place

    checked = job(name)
    directory = folder(output or Path(checked.name))
    check_place(checked, directory.path)
    check_job(checked, name)
    return checked, directory
