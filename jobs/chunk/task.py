"""What a worker does with a chunk: evaluate it, commit the shard, and return a small receipt."""

import json
import time
import tomllib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xarray as xr
from crbatch.cluster.leaving import undo_at_stop
from crbatch.results.schema import STATUS
from crbatch.results.shards import Shard, commit_shard

from ..errors import EnvironmentProblem
from ..identity import code_key, versions
from ..jobfile.schema import JobFile, load_job
from .evaluate import evaluate, failed

_PILOT_SECONDS = 0.1
_PILOT_SHARE = 1 / 16  # of the draws at most


@dataclass(frozen=True)
class Chunk:
    """Draws start to stop - 1 of the job in a run's folder."""

    folder: str
    start: int
    stop: int
    job_key: str  # what a worker's own job and code have to be
    code_key: str
    job: str | None = None  # the job file's text where workers do not see the folder; they then send their shard back

    def __repr__(self) -> str:
        return f"draws {self.start} to {self.stop - 1}"


def halves(chunk: Chunk) -> list[Chunk]:
    """Split a chunk in two; nothing if it is a single draw."""
    middle = (chunk.start + chunk.stop) // 2
    if middle == chunk.start:
        return []
    return [replace(chunk, stop=middle), replace(chunk, start=middle)]


@lru_cache(maxsize=4)
def _job(folder: str, job_key: str, text: str | None) -> JobFile:
    job = load_job(Path(folder) / "job.toml") if text is None else JobFile.model_validate(tomllib.loads(text))
    if job.key() != job_key:
        raise EnvironmentProblem(f"{folder}: its job changed while the run was going on")
    return job


def compute(chunk: Chunk) -> dict[str, Any]:
    """Evaluate and commit one chunk.

    `chunk`: what to do. Result: start, stop, sha256, bytes, seconds (evaluation and commit), of less than 1 kB; and
    `content`, the shard itself, for a folder that this process does not see. Raises EnvironmentProblem if this process
    runs other code than the driver.
    """
    job = _job(chunk.folder, chunk.job_key, chunk.job)
    if code_key() != chunk.code_key:
        raise EnvironmentProblem("a worker has other versions or sources than the driver; install the same")
    begun = time.perf_counter()
    dataset = evaluate(job, chunk.start, chunk.stop)
    evaluated = time.perf_counter()
    if chunk.job is None:
        shard = _commit(dataset, chunk, Path(chunk.folder) / "shards")
        receipt: dict[str, Any] = {"bytes": shard.path.stat().st_size}
    else:
        with TemporaryDirectory(prefix="crbatch-") as scratch:
            shard = _commit(dataset, chunk, Path(scratch))
            receipt = {"content": shard.path.read_bytes()}
    return receipt | {
        **_named(shard),
        "uncertified": int((dataset["status"].values == STATUS["uncertified"]).sum()),
        "evaluate_seconds": round(evaluated - begun, 4),
        "commit_seconds": round(time.perf_counter() - evaluated, 4),
    }


def flag_as_failed(job: JobFile, chunk: Chunk, reason: str) -> dict[str, Any]:
    """Commit draws that no worker could compute, flagged as failed; the receipt tells the reason."""
    shard = _commit(failed(job, chunk.start, chunk.stop), chunk, Path(chunk.folder) / "shards")
    return {**_named(shard), "bytes": shard.path.stat().st_size, "uncertified": 0, "failed": reason}


def _named(shard: Shard) -> dict[str, Any]:
    return {"start": shard.start, "stop": shard.stop, "sha256": shard.sha256}


def _commit(dataset: xr.Dataset, chunk: Chunk, folder: Path) -> Shard:
    dataset.attrs = {
        "job_key": chunk.job_key,
        "code_key": chunk.code_key,
        "versions": json.dumps(versions(), sort_keys=True),
    }
    return commit_shard(dataset, folder, chunk.start, chunk.stop)


def pilot(job: JobFile, missing: list[tuple[int, int]]) -> float:
    """Seconds that a draw takes on one core, measured on the first ones that are missing; nothing is kept of them."""
    start, stop = missing[0]

    def seconds_of(draws: int) -> float:
        begun = time.perf_counter()
        evaluate(job, start, start + draws)
        return time.perf_counter() - begun

    seconds_of(1)  # whatever is loaded or compiled only now is not the draws' doing
    draws, seconds = 1, seconds_of(1)
    more = 8
    while more <= _PILOT_SHARE * (stop - start):
        draws, seconds = more, seconds_of(more)
        if seconds >= _PILOT_SECONDS:
            break
        more *= 2
    if draws > 1:  # others on this machine, or a kernel that is loaded for several draws only, may have come between
        seconds = min(seconds, seconds_of(draws))
    return seconds / draws


def warm_up(_: object = None) -> None:
    """Compile or load every kernel, in this process; what it keeps meanwhile goes when a signal ends it."""
    from crbatch.engine.warm import load_kernels, remove_stand_in

    undo_at_stop(remove_stand_in)
    load_kernels()
