"""The command line. Data on stdout, progress on stderr; heavy imports only where a command needs them."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from . import given
from .bench.cli import app as bench_app
from .errors import CommandError, Exit, UsageProblem
from .terminal.interrupt import keeps, listening, rest_if_stopping
from .terminal.output import print_result
from .terminal.shown import one_line

_GOES_ON = "finished draws are kept, run the same command again to continue"
_EXITS = (
    "Exit codes: 0 done, 1 bug, 2 usage or job file, 3 incomplete and resumable, 4 done but some draws failed or "
    "are uncertified or none is identifiable, 5 environment, 6 damaged or foreign data, 130 interrupted."
)

# New objects between two collections: modules and figures are made of many, and hardly any of them is garbage.
_GC_THRESHOLD = 20_000

app = typer.Typer(
    name="crbatch",
    help="Cramer-Rao bounds and certified beam designs for joint bistatic positioning (BP) and monostatic sensing "
    "(MS), in batches of random draws.\n\nStart with [bold]crbatch run smoke[/bold], then [bold]crbatch init "
    "my.toml[/bold] for a job file of your own.",
    epilog=_EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(bench_app)

JobArgument = Annotated[
    str,
    typer.Argument(metavar="JOB", help="A job file (TOML), or the name of a packaged job: see `crbatch jobs`."),
]
FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and no progress.")]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="PROFILE",
        help="none: in this process. local: worker processes on this machine. Or a profile of your own, a TOML file "
        "or its name: an existing scheduler, SLURM, ssh. By default none if the plan says under 5 s, else local.",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes; all usable cores by default.")
]
InsecureOption = Annotated[
    bool, typer.Option("--insecure-tcp", help="Accept a scheduler that is reached over a network unencrypted.")
]
ChunkOption = Annotated[
    int | None, typer.Option("--chunk", min=1, help="Draws in a chunk; some seconds' work by default.")
]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"crbatch {version('crbatch')}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    job: JobArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder of the run; ./NAME of the job by default."),
    ] = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    chunk: ChunkOption = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Make figures at the end.")] = True,
    insecure_tcp: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute a job: designs, certificates and bounds into DIR/cube.nc, figures into DIR/report.

    Run it again to continue after an interruption, or after raising `draws.count` or changing `draws.until`:
    finished draws are not redone.
    """
    keeps(_GOES_ON)
    from .driver.place import check_place
    from .driver.run import check_job
    from .driver.run import run as run_job
    from .driver.summary import run_text
    from .terminal.progress import Progress

    profile = None if cluster is None else given.profile(cluster)
    checked = given.job(job)
    folder = given.folder(output or Path(checked.name))
    check_place(checked, folder.path)
    check_job(checked, job)
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


@app.command()
def submit(
    job: JobArgument,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder of the run; ./NAME of the job by default."),
    ] = None,
    cluster: Annotated[
        str, typer.Option("--cluster", metavar="PROFILE", help="A profile of a batch system: TOML file or name.")
    ] = "slurm",
    array: Annotated[
        bool,
        typer.Option("--array", help="Without a driver: each of the profile's jobs takes its share of chunks."),
    ] = False,
    chunk: ChunkOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the job scripts, and do nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Hand a whole run to a batch system and return at once; follow it with `crbatch status DIR`.

    A driver job keeps the profile's worker jobs busy and replaces those that are lost; it comes back to the queue
    when its walltime ends. You can log out.
    """
    keeps("jobs that were handed in go on, crbatch status DIR names them and crbatch stop DIR ends them")
    from crbatch.cluster.profiles import PbsProfile, SlurmProfile

    from .driver.place import check_place
    from .driver.run import check_job
    from .driver.submit import scripts
    from .driver.submit import submit as submit_run

    profile = given.profile(cluster)
    if not isinstance(profile, SlurmProfile | PbsProfile):
        raise UsageProblem(f'--cluster: a profile of kind "{profile.kind}" has no queue; use run instead of submit')
    checked = given.job(job)
    folder = given.folder(output or Path(checked.name))
    check_place(checked, folder.path)
    check_job(checked, job)
    if dry_run:
        made = scripts(checked, folder.path.resolve(), profile, array=array, chunk=chunk)
        shown = {made.role: made.main, "finish": made.finish, "worker": made.worker}
        shown = {role: text for role, text in shown.items() if text is not None}
        print_result(shown, as_json, "\n".join(f"#### {role}\n{text}" for role, text in shown.items()))
        return
    ids = submit_run(checked, folder, profile, array=array, chunk=chunk)
    print_result(
        {"folder": str(folder.path), "jobs": ids},
        as_json,
        f"{folder.path}: submitted as {', '.join(ids)}\n  crbatch status {folder.path} follows it, "
        f"crbatch stop {folder.path} ends it",
    )


@app.command()
def status(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Say how far a run is: state, chunks, designs a second, time left, and a preview that is not biased."""
    from .driver.status import status as find_status
    from .driver.status import text

    found = find_status(given.folder(folder))
    print_result(found, as_json, text(folder, found))


@app.command()
def stop(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """End a run's own batch jobs, or its driver on this machine; finished draws stay, `run` or `submit` continues."""
    from .driver.status import stop as stop_run

    ended = stop_run(given.folder(folder))
    pid = ended.driver.pid if ended.driver else None
    told = f"jobs {', '.join(ended.jobs)} are cancelled" if ended.jobs else "nothing was at work"
    if pid is not None:
        told = f"process {pid} was told to end"
    print_result({"jobs": ended.jobs, "pid": pid}, as_json, f"{folder}: {told}")


@app.command(hidden=True)
def work(
    folder: FolderArgument,
    share: Annotated[int, typer.Option("--share", min=0, help="Which share, from 0.")],
    of: Annotated[int, typer.Option("--of", min=1, help="Of how many shares.")],
    chunk: ChunkOption = None,
) -> None:
    """Compute one share of a submitted run's chunks: what each job of an array does."""
    keeps(_GOES_ON)
    from crbatch.results.words import counted

    from .driver.submit import work as work_share
    from .terminal.progress import Progress

    done = work_share(given.folder(folder), share, of, Progress(), chunk)
    sys.stdout.write(f"share {share} of {of}: {counted(done, 'chunk')}\n")


@app.command()
def plan(
    job: JobArgument, chunk: ChunkOption = None, workers: WorkersOption = None, as_json: JsonOption = False
) -> None:
    """Dry run: say how many designs and chunks a job has, and estimate core-hours and bytes."""
    from crbatch.cluster.connect import usable_cores

    from .driver.plan import check_size, make_plan, text
    from .driver.run import check_job

    checked = given.job(job)
    check_size(checked)
    check_job(checked, job)
    cores = workers or usable_cores()
    summary = make_plan(checked, chunk=chunk, workers=cores).summary()
    print_result(summary | {"workers": cores}, as_json, text(checked, summary, cores))


@app.command()
def jobs(as_json: JsonOption = False) -> None:
    """List the packaged jobs."""
    from .jobfile.packaged import packaged_jobs

    found = packaged_jobs()
    width = max(map(len, found))
    print_result(found, as_json, "\n".join(f"{name:<{width}}  {line}" for name, line in found.items()))


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Job file to write; must not exist.")] = Path("job.toml"),
    template: Annotated[
        str,
        typer.Option("--from", metavar="NAME", help="Start from a packaged job instead of all the defaults."),
    ] = "template",
) -> None:
    """Write a commented job file to start from."""
    from crbatch.results.files import create_text

    from .jobfile.packaged import packaged_jobs, packaged_text

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


@app.command()
def report(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Make the report of a finished run again: one page, DIR/report/report.html, and its figures and tables.

    The page needs no network. Figures are written as PNG, PDF and SVG, quantiles as CSV, and the check of the paper's
    claims as text and JSON.
    """
    from .finished.report import write_report

    directory = given.folder(folder)
    directory.complete_cube()
    write_report(directory, directory.job())
    files = sorted(str(path) for path in directory.report.iterdir())
    print_result(
        {"files": files},
        as_json,
        "\n".join([*files, "", f"open {directory.page} in a browser"]),
    )


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A cube, or the folder of a finished run.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two cubes: what differs in their jobs, and the bounds of B over those of A, draw by draw if they can be.

    Draws can be compared one by one where both cubes have the same; else medians stand side by side.
    """
    from .finished.compare import compare_cubes, text

    found = compare_cubes(first, second)
    print_result(found, as_json, text(found))


@app.command()
def replay(
    folder: FolderArgument,
    draw: Annotated[int, typer.Option("--draw", metavar="I", min=0, help="Index of the draw.")],
    as_json: JsonOption = False,
) -> None:
    """Compute one draw again, alone, and compare it with the cube bit for bit."""
    from .finished.check import replay as replay_draw

    result = replay_draw(given.folder(folder), draw)
    rows = [
        "  ".join(f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in row.items())
        for row in result["designs"]
    ]
    verdict = "identical to the cube, bit for bit"
    if not result["identical"]:
        verdict = f"differs from the cube in {', '.join(result['different'])}"
    print_result(result, as_json, "\n".join([*rows, *result["reasons"], f"draw {draw}: {verdict}"]))
    if not result["identical"]:
        raise typer.Exit(int(Exit.DAMAGED))


@app.command()
def verify(
    folder: FolderArgument,
    every: Annotated[bool, typer.Option("--all", help="Replay every draw, not a sample of four.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a run: shards by hash and label, the cube against them, replay and certificates of a sample, from scratch.

    A draw that is replayed has to come out bit for bit; a sample tells nothing of the other draws, --all does.
    """
    from crbatch.results.words import counted

    from .finished.check import verify as verify_run
    from .terminal.progress import Progress

    result = verify_run(given.folder(folder), every=every, progress=Progress(quiet=as_json))
    print_result(
        result,
        as_json,
        f"{folder}: {counted(result['shards'], 'shard')} and the cube are intact, "
        f"{counted(result['draws'], 'draw')} complete\n"
        f"  {result['draws_replayed']} of {counted(result['draws'], 'draw')} replayed bit for bit; "
        f"{counted(result['designs_recomputed'], 'design')} recomputed by the explicit sum over subcarriers, "
        f"largest gap {result['largest_gap']:.2e}",
    )


@app.command()
def doctor(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder that a run would write to.")
    ] = Path("."),
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

    from .doctor.examine import examine
    from .doctor.text import doctor_text, verdict
    from .terminal.progress import Progress

    profile = None if cluster is None else given.profile(cluster)
    lines = examine(profile, workers, output, Progress(quiet=as_json), insecure_tcp)
    print_result({"checks": [asdict(line) for line in lines], "verdict": verdict(lines)}, as_json, doctor_text(lines))
    if any(line.state == "problem" for line in lines):
        raise typer.Exit(int(Exit.ENVIRONMENT))


def main() -> None:
    """Run the command line; every expected problem ends in one line on stderr and its exit code."""
    gc.set_threshold(_GC_THRESHOLD)
    with listening():
        _command()


def _command() -> None:
    try:
        from crbatch.cluster.threads import THREAD_VARIABLES

        # Before NumPy or Numba are loaded: one thread a process, as in the workers.
        os.environ.update(THREAD_VARIABLES)
        os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # as in the workers, whatever the user's says
        app(prog_name="crbatch")
    except CommandError as error:
        _end(str(error), error.code)
    except OSError as error:
        _end(str(error), Exit.ENVIRONMENT)
    finally:
        gc.freeze()  # what is left at the end is not looked through again, which would take 0.5 s


def _end(problem: str, code: Exit) -> NoReturn:
    rest_if_stopping()
    sys.stderr.write(f"crbatch: {one_line(problem)}\n")
    sys.exit(int(code))
