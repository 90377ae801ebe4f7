"""The command line of the timing studies; nothing heavy is imported before a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import Exit, UsageProblem
from ..terminal.interrupt import keeps
from ..terminal.output import print_result
from .options import JsonOption, output_to

app = typer.Typer(
    name="bench",
    help="Measure run times: against other solvers, against the number of transmit antennas, and of what is not design."
    "\n\nSolvers are timed on one core with one thread, and every design is judged by the same certificate. Leave the "
    "machine alone meanwhile: the load average is recorded.",
    no_args_is_help=True,
)


@app.command()
def speed(
    output: Annotated[Path, output_to("Folder for bench.nc and the figure.")] = Path("bench-speed"),
    draws: Annotated[int, typer.Option(min=1, help="Draws that every method designs beams for, one by one.")] = 4,
    batch: Annotated[int, typer.Option(min=1, help="Draws that crbatch designs at once, the same first.")] = 1024,
    rounds: Annotated[int, typer.Option(min=1, help="How often every method is timed, in turn.")] = 5,
    rho: Annotated[float, typer.Option(min=0.0, max=1.0, help="Weight of positioning against sensing.")] = 0.5,
    tx_antennas: Annotated[int, typer.Option("--tx-antennas", min=2, max=4096, help="Transmit antennas M_T.")] = 16,
    targets: Annotated[int, typer.Option(min=1, help="The first so many of the paper's targets.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 2025,
    space: Annotated[bool, typer.Option("--space", help="In space, with 8 x 8 antennas, beside the plane.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Count certified designs a second: crbatch, CVXPY with Clarabel and SCS, and Clarabel alone, in one run.

    Methods take turns on the same draws: the paper's geometry with random phases, then random drops.

    A gap above 1e-4 is a failure and counted as such; crbatch is held to 1e-6.

    The set-up of a draw counts for crbatch alone.
    """
    from crbatch.engine.errors import ScenarioError

    from ..bench.harness import TOLERANCE, BenchFolder
    from ..bench.interleaved import Setting
    from ..bench.speed import OURS, run_speed
    from ..bench.tables import speed_text
    from ..terminal.progress import Progress

    setting = Setting(64 if space else tx_antennas, targets, rho, draws, batch, rounds, seed, space)
    try:
        setting.scenario()
    except ScenarioError as error:
        raise UsageProblem(f"--targets: {error}") from None
    result = run_speed(BenchFolder(output), setting, Progress(quiet=as_json))
    print_result(result, as_json, "" if as_json else speed_text(result))
    if any(row["worst_gap"] > TOLERANCE for row in result["rows"] if row["method"] in OURS):
        raise typer.Exit(int(Exit.SOME_UNCERTIFIED))


@app.command()
def antennas(
    output: Annotated[Path, output_to("Folder for measurements, bench.nc and the figure.")] = Path("bench-antennas"),
    budget: Annotated[
        float,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            help="For each method and size. A method is not started at a size where one call is expected to take "
            "longer, judging by its last two sizes, and repeats end when it is spent.",
        ),
    ] = 60.0,
    repeats: Annotated[int, typer.Option(min=1, help="Times that each method and size is measured.")] = 7,
    max_antennas: Annotated[
        int, typer.Option("--max-antennas", min=2, max=4096, help="Sizes are 8, 16, 32, ... up to this or 1,024.")
    ] = 1024,
    as_json: JsonOption = False,
) -> None:
    """Measure run time against the number of transmit antennas, and fit its growth.

    The paper's programs (15), (18), (19) by CVXPY and Clarabel, (15) on the exact reduced cone, and the closed forms.

    Beside them crbatch with its set-up, and Fisher information by every subcarrier and in closed form.

    Run it again to continue after an interruption: what is measured is not measured again.
    """
    keeps("measurements are kept, run the same command again to continue")
    from ..bench.antennas import Setting, run_antennas
    from ..bench.harness import BenchFolder
    from ..bench.tables import antennas_text
    from ..terminal.progress import Progress

    result = run_antennas(BenchFolder(output), Setting(max_antennas, budget, repeats), Progress(quiet=as_json))
    print_result(result, as_json, "" if as_json else antennas_text(result))


@app.command()
def dispatch(
    output: Annotated[
        Path,
        output_to("Folder for bench.nc and the figure; its disk is measured."),
    ] = Path("bench-dispatch"),
    chunks: Annotated[int, typer.Option(min=4, help="Empty chunks of the longest run.")] = 1000,
    max_workers: Annotated[
        int, typer.Option("--max-workers", min=1, max=16, help="Local workers are 1, 2, 4, ... up to this.")
    ] = 4,
    slots: Annotated[int, typer.Option(min=2, max=1024, help="Sleeping workers of the simulation.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.0, help="Of each simulated run, at least two rounds.")] = 4.0,
    appends: Annotated[int, typer.Option(min=1, help="Lines appended to a journal.")] = 200,
    draws: Annotated[int, typer.Option(min=2, help="Draws in a shard.")] = 256,
    commits: Annotated[int, typer.Option(min=1, help="Shards committed by workers.")] = 40,
    as_json: JsonOption = False,
) -> None:
    """Measure what a chunk costs beside its designs, and say how far one driver carries.

    Empty chunks through local workers, the journal, commits and consolidation give a model of load and utilisation.

    The model is held against a simulation with many workers that sleep, and says from how many workers on to use
    larger chunks, or no driver at all.
    """
    from ..bench.dispatch import run_dispatch
    from ..bench.harness import BenchFolder
    from ..bench.laps import Setting
    from ..bench.tables import dispatch_text
    from ..terminal.progress import Progress

    setting = Setting(chunks, max_workers, slots, seconds, appends, draws, commits)
    result = run_dispatch(BenchFolder(output), setting, Progress(quiet=as_json))
    print_result(result, as_json, "" if as_json else dispatch_text(result))


@app.command()
def table(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a study, with its bench.nc.")],
) -> None:
    """Print a study's figures as tables in Markdown, from its bench.nc: the README's are made by it."""
    from ..bench.harness import BenchFolder
    from ..bench.tables import markdown

    print_result({}, False, markdown(*BenchFolder(folder).read_cube()))
