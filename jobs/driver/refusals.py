"""What is refused before anything is written: a job that no engine call could do, a folder that could not take it."""

import shutil
from pathlib import Path

from crbatch.engine.beamforming.schemes import check_slots, design
from crbatch.engine.draws import fixed_draw
from crbatch.engine.errors import DesignError
from crbatch.results.words import size_text

from ..chunk.beams import load_beams
from ..chunk.draws import check_draws
from ..errors import UsageProblem
from ..jobfile.schema import JobFile
from .plan import check_size, sizes_text


def check_job(job: JobFile, source: str) -> None:
    """Refuse a job that no engine call could do, before anything is written.

    Raises UsageProblem, naming the file and the key.
    """
    try:
        for _, scenario in job.sweep_points():
            check_slots(scenario, job.design.schemes, job.design.wbf_factor)
        if job.custom_path is not None:
            scenario = job.sweep_points()[0][1]
            design(scenario, fixed_draw(scenario), ["apa"], job.design.rho, custom=load_beams(job))
        check_draws(job)
    except DesignError as error:
        key = "design.custom" if "custom" in str(error) else "scenario.slots"
        raise UsageProblem(f"{source}: {key}: {error}") from None


def check_place(job: JobFile, folder: Path) -> None:
    """Refuse a folder that could never hold what a job gives, before anything is written.

    `job`: a checked job. `folder`: where its results are to be; it need not be there yet. Raises UsageProblem, naming
    the folder or the key, and what would be right.
    """
    name = str(folder.resolve())
    other = "choose another with -o"
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageProblem(f"{folder}: {name} is no UTF-8 name, which NetCDF files need; {other}") from None
    if "\\" in name:  # which NetCDF's library takes for a slash
        raise UsageProblem(f"{folder}: {name} has a backslash, which NetCDF files cannot; {other}")
    needed = 2 * check_size(job)  # shards, and the cube that is made of them
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    disk = shutil.disk_usage(there).total
    if 0 < disk < needed:  # some file systems say 0
        raise UsageProblem(
            f"{sizes_text(job)} and as much again until they are put together, and the disk of {folder} has "
            f"{size_text(disk)}; lower draws.count, keep less, or choose another disk with -o"
        )
