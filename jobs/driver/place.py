"""Whether a folder can take the results of a job: by its name, and by its disk."""

import shutil
from pathlib import Path

from ..errors import UsageProblem
from ..jobfile.schema import JobFile
from ..terminal.units import size_text
from .plan import check_size, sizes_text


def check_place(job: JobFile, folder: Path) -> None:
    """Refuse a folder that could never hold what a job gives, before anything is written.

    Parameters
    ----------
    job
        A checked job.
    folder
        Where its results are to be; it need not be there yet.

    Raises
    ------
    UsageProblem
        Naming the folder or the key, and what would be right.
    """
    _check_name(folder)
    needed = 2 * check_size(job)  # shards, and the cube that is made of them
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    disk = shutil.disk_usage(there).total
    if 0 < disk < needed:  # some file systems say 0
        raise UsageProblem(
            f"{sizes_text(job)} and as much again until they are put together, and the disk of {folder} has "
            f"{size_text(disk)}; lower draws.count, keep less, or choose another disk with -o"
        )


def _check_name(folder: Path) -> None:
    """Refuse what NetCDF's library cannot open: it takes UTF-8 only, and a backslash for a slash."""
    name = str(folder.resolve())
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageProblem(
            f"{folder}: {name} is no UTF-8 name, which NetCDF files need; choose another with -o"
        ) from None
    if "\\" in name:
        raise UsageProblem(f"{folder}: {name} has a backslash, which NetCDF files cannot; choose another with -o")
