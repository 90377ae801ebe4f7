"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated, Any

import typer

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job file (TOML), or the name of a packaged job: see `crbatch jobs`.")
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


def output_to(what: str) -> Any:
    """The option for the folder that a command writes to."""
    return typer.Option("-o", "--output", metavar="DIR", help=what)


OutputOption = Annotated[Path | None, output_to("Folder of the run; ./NAME of the job by default.")]

GOES_ON = "finished draws are kept, run the same command again to continue"
