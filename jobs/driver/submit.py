"""Hand a whole run to a batch system: as a driver job with worker jobs, or as an array of jobs without a driver."""

import sys
from dataclasses import dataclass
from pathlib import Path

from crbatch.cluster import batch
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.profiles import PbsProfile, QueueProfile, profile_toml
from crbatch.results.files import replace_text
from crbatch.results.shards import covering, list_shards
from crbatch.results.words import counted

from ..chunk.task import Chunk, compute, warm_up
from ..errors import EnvironmentProblem, IncompleteRun, UsageProblem
from ..folder.lock import hold, refuse_driver
from ..folder.rundir import RunDirectory, write_plan
from ..identity import code_key
from ..jobfile.kinds import JOB_FILE
from ..jobfile.schema import JobFile
from ..terminal.interrupt import draining
from ..terminal.progress import Progress
from .plan import make_plan
from .status import jobs_alive

PROFILE_FILE = "cluster.toml"


@dataclass(frozen=True)
class Scripts:
    """What is handed to the batch system.

    Attributes
    ----------
    main
        The driver's script, or that of the array.
    role
        "driver" or "array".
    finish
        Script of the job that makes the cube when the array has ended.
    worker
        What the driver will submit, for the user to see.
    """

    main: str
    role: str
    finish: str | None = None
    worker: str | None = None


def scripts(job: JobFile, folder: Path, profile: QueueProfile, *, array: bool, chunk: int | None = None) -> Scripts:
    """Write the job scripts of a run as strings; nothing else happens.

    Parameters
    ----------
    job
        A checked job.
    folder
        The run's folder, absolute.
    profile
        What a job of the batch system is like.
    array
        Whether to do without a driver.
    chunk
        Draws in a chunk; chosen by default.

    Returns
    -------
    Scripts
        Fit for ``sbatch`` or ``qsub``.

    Raises
    ------
    UsageProblem
        If the folder's path cannot stand in a script.
    """
    if not profile.shared_filesystem:
        raise UsageProblem("a driver in the queue has to see the run's folder; where none is shared, use run instead")
    if array and job.draws.until is not None:
        raise UsageProblem("draws.until: how many draws there are to be takes a driver; leave out --array")
    try:
        batch.check_folder(folder)
        python = [sys.executable, "-P", "-m", "crbatch"]
        logs = folder / "logs"
        run = [*python, "run", str(folder / JOB_FILE), "-o", str(folder), "--cluster"]
        options = [] if chunk is None else ["--chunk", str(chunk)]
        if array:
            work = [*python, "work", str(folder), *options, "--of", str(profile.workers), "--share"]
            return Scripts(
                batch.array_script(profile, job.name, logs, work, profile.workers),
                "array",
                finish=batch.driver_script(profile, job.name, logs, [*run, "none", *options]),
            )
        return Scripts(
            batch.driver_script(profile, job.name, logs, [*run, str(folder / PROFILE_FILE), *options]),
            "driver",
            worker=batch.worker_script(profile, job.name, logs, "tls://SCHEDULER"),
        )
    except ClusterError as error:
        raise UsageProblem(str(error)) from None


def submit(
    job: JobFile, folder: RunDirectory, profile: QueueProfile, *, array: bool, chunk: int | None = None
) -> list[str]:
    """Prepare the run's folder and hand its jobs in.

    Parameters
    ----------
    job, folder
        What to compute and where to.
    profile
        What a job is like; kept beside the run.
    array
        Whether to do without a driver.
    chunk
        Draws in a chunk; chosen by default.

    Returns
    -------
    list of str
        Numbers of the jobs, the one to wait for last.

    Raises
    ------
    CommandError
        If the folder is another's, jobs of this run are still there, or the batch system refuses.
    """
    if isinstance(profile, PbsProfile):
        raise UsageProblem("PBS jobs are not submitted from here; print the scripts with --dry-run, and qsub them")
    made = scripts(job, folder.path.resolve(), profile, array=array, chunk=chunk)
    folder.claim()
    refuse_second(folder)
    with hold(folder.path, Progress(quiet=True)):
        folder.prepare(job, Progress(quiet=True))
    (folder.path / "logs").mkdir(exist_ok=True)
    replace_text(folder.path / PROFILE_FILE, profile_toml(profile))
    if array:
        plan = make_plan(job, chunk=chunk, workers=profile.workers, even=True)
        write_plan(folder.path / "plan.json", {**plan.summary(), "job_key": job.key(), "code_key": code_key()})
    ids = []
    try:
        ids.append(_hand_in(folder, made.role, made.main))
        if made.finish is not None:
            ids.append(_hand_in(folder, "finish", made.finish, f"--dependency=afterany:{ids[0]}"))
    except ClusterError as error:
        batch.cancel(ids)
        raise EnvironmentProblem(str(error)) from error
    return ids


def _hand_in(folder: RunDirectory, role: str, script: str, *options: str) -> str:
    path = folder.path / "logs" / f"{role}.sh"
    replace_text(path, script)
    number = batch.submit(path, *options)
    folder.journal.write("jobs", role=role, ids=[number], job=folder.job().canonical())
    return number


def refuse_second(folder: RunDirectory) -> None:
    """Refuse to submit a run that is being worked on.

    Raises EnvironmentProblem, naming the driver or the jobs.
    """
    refuse_driver(folder.path)
    there = jobs_alive(folder.journal.all())
    if there:
        raise EnvironmentProblem(
            f"{folder.path}: its jobs {', '.join(sorted(there))} are still in the queue; "
            f"crbatch status {folder.path} follows them, crbatch stop {folder.path} ends them"
        )


def work(folder: RunDirectory, share: int, of: int, progress: Progress, chunk: int | None = None) -> int:
    """Compute one share of a run's chunks in this process: every `of`-th of the plan, those that are missing.

    The plan's chunks are counted from draw 0 whatever is finished, so that shares never overlap.

    Parameters
    ----------
    folder
        A run that was submitted.
    share, of
        Which share, from 0, of how many.
    progress
        Tells the user.
    chunk
        Draws in a chunk; chosen by default, the same for every share.

    Returns
    -------
    int
        How many chunks were computed.

    Raises
    ------
    IncompleteRun
        If a signal ended the work before its share was done.
    """
    job = folder.job()
    warm_up()
    cover = [(low, high) for _, low, high in covering(list_shards(folder.shards), job.draws.count)[0]]
    mine = make_plan(job, chunk=chunk, workers=of, even=True).chunks[share::of]
    todo = [
        Chunk(str(folder.path.resolve()), start, stop, job.key(), code_key())
        for start, stop in mine
        if not any(low <= start and stop <= high for low, high in cover)
    ]
    draws = sum(stop - start for start, stop in mine)
    done = 0
    with progress.bar("draws", draws, draws - sum(one.stop - one.start for one in todo)) as advance:
        for one in todo:
            compute(one)
            advance(one.stop - one.start)
            done += 1
            if draining() and done < len(todo):
                raise IncompleteRun(
                    f"{folder.path}: told to end, {counted(len(todo) - done, 'chunk')} of this share to go"
                )
    return done
