"""Commands on what a run has left: report, comparison, replay and verification."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import Exit
from ..terminal.output import print_result
from . import given
from .options import FolderArgument, JsonOption


def report(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Make the report of a finished run again: one page, DIR/report/report.html, and its figures and tables.

    The page needs no network. Figures are written as PNG, PDF and SVG, quantiles as CSV, and the check of the paper's
    claims as text and JSON.
    """
    from ..finished.report import write_report

    directory = given.folder(folder)
    directory.complete_cube()
    write_report(directory, directory.job())
    files = sorted(str(path) for path in directory.report.iterdir())
    print_result({"files": files}, as_json, "\n".join([*files, "", f"open {directory.page} in a browser"]))


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A cube, or the folder of a finished run.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two cubes: what differs in their jobs, and the bounds of B over those of A, draw by draw if they can be.

    Draws can be compared one by one where both cubes have the same; else medians stand side by side.
    """
    from ..finished.compare import compare_cubes, text

    found = compare_cubes(first, second)
    print_result(found, as_json, text(found))


def replay(
    folder: FolderArgument,
    draw: Annotated[int, typer.Option("--draw", metavar="I", min=0, help="Index of the draw.")],
    as_json: JsonOption = False,
) -> None:
    """Compute one draw again, alone, and compare it with the cube bit for bit."""
    from ..finished.check import replay as replay_draw

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


def verify(
    folder: FolderArgument,
    every: Annotated[bool, typer.Option("--all", help="Replay every draw, not a sample of four.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a run: shards by hash and label, the cube against them, replay and certificates of a sample, from scratch.

    A draw that is replayed has to come out bit for bit; a sample tells nothing of the other draws, --all does.
    """
    from crbatch.results.words import counted

    from ..finished.check import verify as verify_run
    from ..terminal.progress import Progress

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
