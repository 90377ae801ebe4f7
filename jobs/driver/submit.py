"""Hand a whole run to a batch system: as a driver job with worker jobs, or as an array of jobs without a driver."""

import sys
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
from ..folder.rundir import RunDirectory
from ..identity import code_key
from ..jobfile.kinds import JOB_FILE
from ..jobfile.schema import JobFile
from ..terminal.interrupt import draining
from ..terminal.progress import Progress
from .plan import make_plan
from .status import jobs_alive

PROFILE_FILE = "cluster.toml"


def scripts(
    job: JobFile, folder: Path, profile: QueueProfile, *, array: bool, chunk: int | None = None
) -> dict[str, str]:
    """Write the job scripts of a run, fit for ``sbatch`` or ``qsub``; nothing else happens.

    `folder`: the run's, absolute. `array`: whether to do without a driver. `chunk`: draws in a chunk; chosen by
    default. Result: by role: "driver", and "worker" for the user to see what it will submit; or "array", and "finish",
    which makes the cube when the array has ended. Raises UsageProblem if the path cannot stand in a script.
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
            return {
                "array": batch.array_script(profile, job.name, logs, work, profile.workers),
                "finish": batch.driver_script(profile, job.name, logs, [*run, "none", *options]),
            }
        return {
            "driver": batch.driver_script(profile, job.name, logs, [*run, str(folder / PROFILE_FILE), *options]),
            "worker": batch.worker_script(profile, job.name, logs, "tls://SCHEDULER"),
        }
    except ClusterError as error:
        raise UsageProblem(str(error)) from None


def submit(
    job: JobFile, folder: RunDirectory, profile: QueueProfile, *, array: bool, chunk: int | None = None
) -> list[str]:
    """Prepare the run's folder, where `profile` is kept, and hand its jobs in; arguments as of `scripts`.

    Result: numbers of the jobs, the one to wait for last. Raises CommandError if the folder is another's, jobs of this
    run are still there, or the batch system refuses.
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
        folder.write_plan(job, make_plan(job, chunk=chunk, workers=profile.workers, even=True).summary())
    ids = []
    try:
        if array:
            ids.append(_hand_in(folder, "array", made["array"]))
            ids.append(_hand_in(folder, "finish", made["finish"], f"--dependency=afterany:{ids[0]}"))
        else:
            ids.append(_hand_in(folder, "driver", made["driver"]))
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

    `folder`: a run that was submitted. `share`: from 0. `chunk`: draws in a chunk, the same for every share; chosen by
    default. Result: how many chunks were computed. Raises IncompleteRun if a signal ended the work before that.
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
    with progress.bar("draws", draws, draws - sum(one.stop - one.start for one in todo)) as advance:
        for done, one in enumerate(todo, 1):
            compute(one)
            advance(one.stop - one.start)
            if draining() and done < len(todo):
                left = counted(len(todo) - done, "chunk")
                raise IncompleteRun(f"{folder.path}: told to end, {left} of this share to go")
    return len(todo)
