"""What kind of thing a path is, so that a command that is given the wrong one can say what would be right."""

import errno
from enum import StrEnum
from pathlib import Path

from .packaged import packaged_jobs
from .toml import read_toml

JOB_FILE = "job.toml"  # in the folder of a run
_NETCDF = (b"\x89HDF\r\n\x1a\n", b"CDF\1", b"CDF\2", b"CDF\5")


class Kind(StrEnum):
    """Kinds of things that people give to commands, in words."""

    RUN = "the folder of a run"
    FOLDER = "a folder"
    JOB = "a job file"
    PROFILE = "a cluster profile"
    NETCDF = "a NetCDF file"
    FILE = "a file"
    NOTHING = "nothing"


def is_file(path: Path) -> bool:
    """Whether there is a file; a name that no file system takes is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def kind_of(path: Path) -> Kind:
    """Look what is there."""
    try:
        if path.is_dir():
            return Kind.RUN if (path / JOB_FILE).is_file() else Kind.FOLDER
        if not path.is_file():  # nor is a pipe read, which would lose what it holds
            return Kind.FILE if path.exists() else Kind.NOTHING
        with path.open("rb") as file:
            if file.read(len(_NETCDF[0])).startswith(_NETCDF):
                return Kind.NETCDF
        keys = read_toml(path).keys() if path.suffix == ".toml" else set()
    except (OSError, ValueError) as error:
        return Kind.NOTHING if getattr(error, "errno", None) == errno.ENAMETOOLONG else Kind.FILE
    if keys & {"schema", "scenario", "draws", "design"}:
        return Kind.JOB
    return Kind.PROFILE if "kind" in keys else Kind.FILE


def instead_of_job(path: Path) -> str | None:
    """What is wrong with a path as a job file, and what would be right; None where its content may say."""
    kind = kind_of(path)
    match kind:
        case Kind.RUN:
            here = f"{path / JOB_FILE} -o {path}"
            return f"{kind}, not a job file; give {here} to continue it, or look at it with status, verify or report"
        case Kind.NETCDF if (path.parent / JOB_FILE).is_file():
            return f"{kind}, not a job file; give {path.parent / JOB_FILE}, that of its run"
        case Kind.PROFILE:
            return f"{kind}, not a job file; give it with --cluster"
        case Kind.FOLDER | Kind.NETCDF:
            return f"{kind}, not a job file; give one (TOML) or a packaged job: see crbatch jobs"
    return None


def instead_of_run(path: Path) -> str | None:
    """What is wrong with a path as the folder of a run, and what would be right; None for any folder."""
    kind = kind_of(path)
    match kind:
        case Kind.RUN | Kind.FOLDER:
            return None
        case Kind.NOTHING if str(path) in packaged_jobs():
            return f"no such folder, but a packaged job; give the folder of its run, or make one: crbatch run {path}"
        case Kind.NOTHING:
            return "no such folder; give that of a run"
        case _ if (path.parent / JOB_FILE).is_file():
            return f"{kind} in the folder of a run; give {path.parent}"
        case Kind.JOB:
            return f"{kind}, not the folder of a run; give that folder, or make one: crbatch run {path}"
    return f"{kind}, not the folder of a run; give that"


def instead_of_cube(path: Path) -> str:
    """What is wrong with a path at which no cube can be read, and what would be right."""
    kind = kind_of(path)
    match kind:
        case Kind.RUN:
            return f"{kind} that has no cube yet; crbatch status {path} says how far it is"
        case Kind.FOLDER:
            return f"{kind} without cube.nc; give that of a finished run"
        case Kind.NOTHING:
            return "no such file or folder; give a cube, or the folder of a finished run"
        case Kind.NETCDF:
            return f"{kind}, but no cube that can be read; give one, or the folder of a finished run"
    return f"{kind}, not a cube; give one, or the folder of a finished run"
