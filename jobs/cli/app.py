"""The command line. Data on stdout, progress on stderr; heavy imports only where a command needs them."""

import gc
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from ..errors import CommandError, Exit
from ..terminal.interrupt import listening, rest_if_stopping
from ..terminal.printable import one_line
from . import after, before, runs
from .bench import app as bench_app

_EXITS = (
    "Exit codes: 0 done, 1 bug, 2 usage or job file, 3 incomplete and resumable, 4 done but some draws failed or "
    "are uncertified or none is identifiable, 5 environment, 6 damaged or foreign data, 130 interrupted."
)

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
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(runs.run, runs.submit, runs.status, runs.stop, before.plan, before.jobs, before.init),
    *(after.report, after.compare, after.replay, after.verify, before.doctor),
)
for _one in _COMMANDS:
    app.command()(_one)
app.command(hidden=True)(runs.work)


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


def main() -> None:
    """Run the command line; every expected problem ends in one line on stderr and its exit code."""
    # New objects between two collections: modules and figures are made of many, and hardly any of them is garbage.
    gc.set_threshold(20_000)
    with listening():
        try:
            from crbatch.cluster.threads import THREAD_VARIABLES

            # Before NumPy or Numba are loaded: one thread a process, as in the workers.
            os.environ.update(THREAD_VARIABLES)
            os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # as in the workers, whatever the user's says
            app(prog_name="crbatch")
        except (CommandError, OSError) as error:
            rest_if_stopping()
            sys.stderr.write(f"crbatch: {one_line(error)}\n")
            sys.exit(int(error.code if isinstance(error, CommandError) else Exit.ENVIRONMENT))
        finally:
            gc.freeze()  # what is left at the end is not looked through again, which would take 0.5 s
