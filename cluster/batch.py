"""Jobs of a batch system: their scripts, and what is submitted, alive or cancelled.

Scripts are plain strings made by dask-jobqueue's templates, where only checked words of a profile are filled in.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .errors import ClusterError
from .profiles import PbsProfile, QueueProfile, SlurmProfile
from .settings import PRIVATE_SHELL
from .threads import WORKER_ENVIRONMENT

_CALL_SECONDS = 60.0
_SAFE_FOLDER = re.compile(r"[A-Za-z0-9_.,+=@/-]+")
#: Seconds before walltime at which a job is told to finish what it has begun.
NOTICE_SECONDS = 60
_ENDED = ("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT")


def job_name(name: str) -> str:
    """The name of a run's jobs: what a batch system takes, whatever the run is called."""
    return ("crbatch-" + re.sub(r"[^A-Za-z0-9_.-]", "_", name))[:40]


def check_folder(folder: Path) -> None:
    """Refuse a folder whose path a job script could not hold as it is.

    Raises ClusterError if the path has blanks or signs that a shell or batch system would read as its own.
    """
    if not _SAFE_FOLDER.fullmatch(str(folder)):
        raise ClusterError(f"{folder}: a batch job's folder may have letters, digits and _.,+=@/- only; choose another")


def template(profile: QueueProfile, name: str, logs: Path, directives: Sequence[str] = ()) -> Any:
    """The options of dask-jobqueue that say what a job of this profile is like."""
    return {
        "queue": profile.queue or None,
        "account": profile.account or None,
        "walltime": _walltime(profile),
        "cores": profile.cores,
        "processes": profile.cores,
        "memory": profile.memory,
        "job_name": job_name(name),
        "log_directory": None,  # it would be made at once, and a script is only a text
        "job_extra_directives": [*_logs(profile, logs), *profile.directives, *directives],
        "job_script_prologue": [*prologue(profile), *PRIVATE_SHELL],
        "python": f"{shlex.quote(sys.executable)} -P",
        "local_directory": '"$scratch"',
        "worker_extra_args": ["--memory-limit", "0"],  # the batch system's is the one that holds
        "death_timeout": 60,
        "shebang": "#!/usr/bin/env bash",
    }


def _logs(profile: QueueProfile, folder: Path) -> list[str]:
    if not profile.shared_filesystem:
        folder = Path("/tmp")  # of whatever node the job runs on
    if isinstance(profile, PbsProfile):
        return [f"-o {folder}/", f"-e {folder}/"]
    return [f"-o {folder}/%x-%j.out", f"-e {folder}/%x-%j.err"]


def prologue(profile: QueueProfile) -> list[str]:
    """Shell lines before the work: threads pinned, a scratch folder, the time at which the job ends, the user's own."""
    scratch = profile.scratch
    if scratch.startswith("$"):
        name, _, rest = scratch[1:].partition("/")
        scratch = f"${{{name}:-/tmp}}" + (f"/{rest}" if rest else "")
    return [
        *(f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()),
        f"export CRBATCH_END=$(($(date +%s) + {profile.walltime_seconds}))",
        *profile.prologue,
        f'mkdir -p "{scratch}" && scratch=$(mktemp -d "{scratch}/crbatch-XXXXXXXX") || exit 1',
        "trap 'rm -rf \"$scratch\"' EXIT",
    ]


def driver_script(profile: QueueProfile, name: str, logs: Path, command: Sequence[str]) -> str:
    """Script of a job that runs a whole run, and comes back to the queue when walltime ends it unfinished."""
    return _script(profile, name, logs, _signal(profile), _returning(profile, shlex.join(command)))


def array_script(profile: QueueProfile, name: str, logs: Path, command: Sequence[str], tasks: int) -> str:
    """Script of an array of `tasks` jobs; each finds its number from 0 as the command's last word."""
    number = "$SLURM_ARRAY_TASK_ID" if isinstance(profile, SlurmProfile) else "$PBS_ARRAY_INDEX"
    array = f"--array=0-{tasks - 1}" if isinstance(profile, SlurmProfile) else f"-J 0-{tasks - 1}"
    work = f'{shlex.join(command)} "{number}"'
    return _script(profile, name, logs, [array, *_signal(profile)], _returning(profile, work))


def worker_script(profile: QueueProfile, name: str, logs: Path, scheduler: str) -> str:
    """Script of a job with worker processes, as dask-jobqueue submits it."""
    return str(_job_class(profile)(scheduler=scheduler, name="0", **template(profile, name, logs)).job_script())


def _job_class(profile: QueueProfile) -> Any:
    from dask_jobqueue.pbs import PBSJob
    from dask_jobqueue.slurm import SLURMJob

    return PBSJob if isinstance(profile, PbsProfile) else SLURMJob


def _script(profile: QueueProfile, name: str, logs: Path, directives: Sequence[str], body: str) -> str:
    job = _job_class(profile)(scheduler="", name="0", **template(profile, name, logs, directives))
    return "\n".join([job.shebang, job.job_header, *prologue(profile), body, ""])


def _signal(profile: QueueProfile) -> list[str]:
    """What makes a job be told before its walltime, and come back after its node was lost."""
    if isinstance(profile, PbsProfile):
        return ["-r y"]
    return [f"--signal=B:USR1@{min(NOTICE_SECONDS, profile.walltime_seconds // 3)}", "--requeue", "--open-mode=append"]


def _returning(profile: QueueProfile, work: str) -> str:
    """Shell lines that run `work`, pass on signals, and put the job back into its queue if work is left (exit 3)."""
    again = "qrerun" if isinstance(profile, PbsProfile) else "scontrol requeue"
    number = "$PBS_JOBID" if isinstance(profile, PbsProfile) else "$SLURM_JOB_ID"
    return "\n".join(
        [
            f"{work} &",
            "work=$!",
            "trap 'kill -USR1 $work' USR1",
            "trap 'kill -TERM $work' TERM",
            'wait "$work"; code=$?',
            'while kill -0 "$work" 2>/dev/null; do wait "$work"; code=$?; done  # a signal ends a wait, not the work',
            f'if [ "$code" = 3 ]; then {again} "{number}"; fi',
            'exit "$code"',
        ]
    )


def _walltime(profile: QueueProfile) -> str:
    seconds = profile.walltime_seconds
    if isinstance(profile, SlurmProfile):
        return profile.walltime
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


# ---- a batch system's programs


def submit(script: Path, *options: str) -> str:
    """Hand a SLURM script in; its job's number.

    Raises ClusterError with what sbatch said.
    """
    out = _call("sbatch", "--parsable", *options, str(script))
    return out.strip().partition(";")[0]


def alive(ids: Iterable[str]) -> set[str]:
    """Which of these SLURM jobs are waiting, running or ending.

    Raises ClusterError if SLURM does not answer.
    """
    wanted = set(ids)
    if not wanted:
        return set()
    # The user's own jobs, not those asked for: squeue fails if it has forgotten one of them.
    out = _call("squeue", "--noheader", "--me", "--states=all", "--format=%A %F %T")
    found = set()
    for line in out.splitlines():
        number, array, state = line.split()
        if state not in _ENDED:
            found |= {number, array}
    return wanted & found


def cancel(ids: Iterable[str]) -> None:
    """Cancel SLURM jobs; those that are gone already are no error.

    Raises ClusterError if the batch system refuses.
    """
    wanted = sorted(set(ids))
    if wanted:
        _call("scancel", *wanted)


def _call(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_CALL_SECONDS, check=False)
    except FileNotFoundError:
        raise ClusterError(f"{words[0]}: no such program here; is this a machine of the cluster?") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{words[0]}: no answer within {_CALL_SECONDS:.0f} s") from None
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise ClusterError(f"{shlex.join(words)}: {said}")
    return done.stdout
