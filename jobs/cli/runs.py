"""Commands that make a run, or look after one that is at work."""

import sys
from typing import Annotated

import typer

from ..errors import UsageProblem
from ..terminal.interrupt import keeps
from ..terminal.output import print_result
from . import given, options


def run(
    job: options.JobArgument,
    output: options.OutputOption = None,
    cluster: options.ClusterOption = None,
    workers: options.WorkersOption = None,
    chunk: options.ChunkOption = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Make figures at the end.")] = True,
    insecure_tcp: options.InsecureOption = False,
    as_json: options.JsonOption = False,
) -> None:
    """Compute a job: designs, certificates and bounds into DIR/cube.nc, figures into DIR/report.

    Run it again to continue after an interruption, or after raising `draws.count` or changing `draws.until`:
    finished draws are not redone.
    """
    keeps(options.GOES_ON)
    from ..driver.session import run as run_job
    from ..driver.summary import run_text
    from ..terminal.progress import Progress

    profile = None if cluster is None else given.profile(cluster)
    checked, folder = given.run(job, output)
    outcome = run_job(
        checked,
        folder,
        cluster=profile,
        workers=workers,
        chunk=chunk,
        report=report,
        progress=Progress(quiet=as_json),
        insecure_tcp=insecure_tcp,
    )
    print_result(outcome.summary | {"nothing_left": outcome.nothing_left}, as_json, run_text(outcome))
    raise typer.Exit(int(outcome.exit))


def submit(
    job: options.JobArgument,
    output: options.OutputOption = None,
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="PROFILE", help="A profile of a batch system: TOML file or name.")
    ] = "slurm",
    array: Annotated[
        bool, typer.Option("--array", help="Without a driver: each of the profile's jobs takes its share of chunks.")
    ] = False,
    chunk: options.ChunkOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the job scripts, and do nothing.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Hand a whole run to a batch system and return at once; follow it with `crbatch status DIR`.

    A driver job keeps the profile's worker jobs busy and replaces those that are lost; it comes back to the queue
    when its walltime ends. You can log out.
    """
    keeps("jobs that were handed in go on, crbatch status DIR names them and crbatch stop DIR ends them")
    from crbatch.cluster.profiles import PbsProfile, SlurmProfile

    from ..driver.submit import scripts
    from ..driver.submit import submit as submit_run

    profile = given.profile(cluster)
    if not isinstance(profile, SlurmProfile | PbsProfile):
        raise UsageProblem(f'--cluster: a profile of kind "{profile.kind}" has no queue; use run instead of submit')
    checked, folder = given.run(job, output)
    if dry_run:
        shown = scripts(checked, folder.path.resolve(), profile, array=array, chunk=chunk)
        print_result(shown, as_json, "\n".join(f"#### {role}\n{text}" for role, text in shown.items()))
        return
    ids = submit_run(checked, folder, profile, array=array, chunk=chunk)
    print_result(
        {"folder": str(folder.path), "jobs": ids},
        as_json,
        f"{folder.path}: submitted as {', '.join(ids)}\n  crbatch status {folder.path} follows it, "
        f"crbatch stop {folder.path} ends it",
    )


def status(folder: options.FolderArgument, as_json: options.JsonOption = False) -> None:
    """Say how far a run is: state, chunks, designs a second, time left, and a preview that is not biased."""
    from ..driver.status import status as find_status
    from ..driver.status import text

    found = find_status(given.folder(folder))
    print_result(found, as_json, text(folder, found))


def stop(folder: options.FolderArgument, as_json: options.JsonOption = False) -> None:
    """End a run's own batch jobs, or its driver on this machine; finished draws stay, `run` or `submit` continues."""
    from ..driver.status import stop as stop_run

    jobs, pid = stop_run(given.folder(folder))
    told = f"jobs {', '.join(jobs)} are cancelled" if jobs else "nothing was at work"
    if pid is not None:
        told = f"process {pid} was told to end"
    print_result({"jobs": jobs, "pid": pid}, as_json, f"{folder}: {told}")


def work(
    folder: options.FolderArgument,
    share: Annotated[int, typer.Option("--share", min=0, help="Which share, from 0.")],
    of: Annotated[int, typer.Option("--of", min=1, help="Of how many shares.")],
    chunk: options.ChunkOption = None,
) -> None:
    """Compute one share of a submitted run's chunks: what each job of an array does."""
    keeps(options.GOES_ON)
    from crbatch.results.words import counted

    from ..driver.submit import work as work_share
    from ..terminal.progress import Progress

    done = work_share(given.folder(folder), share, of, Progress(), chunk)
    sys.stdout.write(f"share {share} of {of}: {counted(done, 'chunk')}\n")
