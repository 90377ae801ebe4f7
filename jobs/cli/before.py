"""Commands before a run: what it would cost, which jobs there are, a job file to start from, and the doctor."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import Exit, UsageProblem
from ..terminal.output import print_result
from ..terminal.printable import one_line
from . import given
from .options import ChunkOption, InsecureOption, JobArgument, JsonOption, WorkersOption, output_to


def plan(
    job: JobArgument, chunk: ChunkOption = None, workers: WorkersOption = None, as_json: JsonOption = False
) -> None:
    """Dry run: say how many designs and chunks a job has, and estimate core-hours and bytes."""
    from crbatch.cluster.machine import usable_cores

    from ..driver.plan import check_size, make_plan, text
    from ..driver.refusals import check_job

    checked = given.job(job)
    check_size(checked)
    check_job(checked, job)
    cores = workers or usable_cores()
    summary = make_plan(checked, chunk=chunk, workers=cores).summary()
    print_result(summary | {"workers": cores}, as_json, text(checked, summary, cores))


def jobs(as_json: JsonOption = False) -> None:
    """List the packaged jobs."""
    from ..jobfile.packaged import packaged_jobs

    found = packaged_jobs()
    width = max(map(len, found))
    print_result(found, as_json, "\n".join(f"{name:<{width}}  {line}" for name, line in found.items()))


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Job file to write; must not exist.")] = Path("job.toml"),
    template: Annotated[
        str, typer.Option("--from", metavar="NAME", help="Start from a packaged job instead of all the defaults.")
    ] = "template",
) -> None:
    """Write a commented job file to start from."""
    from crbatch.results.files import create_text

    from ..jobfile.packaged import packaged_jobs, packaged_text

    names = ("template", *packaged_jobs())
    if template not in names:
        raise UsageProblem(f"--from: no packaged job {template!r}; there are {', '.join(names)}")
    try:
        create_text(path, packaged_text(template))
    except FileExistsError:
        raise UsageProblem(f"{path}: exists already; choose another name") from None
    except OSError as error:
        raise UsageProblem(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    sys.stdout.write(one_line(f"{path}: written; edit it, then crbatch plan {path}") + "\n")


def doctor(
    output: Annotated[Path, output_to("Folder that a run would write to.")] = Path("."),
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="PROFILE", help="Check the workers of this profile too, as `run` has them."),
    ] = None,
    workers: WorkersOption = None,
    insecure_tcp: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check whether this machine, and with --cluster its workers, have what a run needs.

    Each line is ok, a warning (a run works, but ...) or a problem, with what to do about it. Nothing is left behind.

    Exit code 5 if there is a problem, else 0.
    """
    from dataclasses import asdict

    from ..doctor.examine import examine
    from ..doctor.text import doctor_text, verdict
    from ..terminal.progress import Progress

    profile = None if cluster is None else given.profile(cluster)
    lines = examine(profile, workers, output, Progress(quiet=as_json), insecure_tcp)
    print_result({"checks": [asdict(line) for line in lines], "verdict": verdict(lines)}, as_json, doctor_text(lines))
    if any(line.state == "problem" for line in lines):
        raise typer.Exit(int(Exit.ENVIRONMENT))
