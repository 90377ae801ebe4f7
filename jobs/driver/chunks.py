"""Chunks of a plan on their way: sent to workers, committed, written down; until all are, or there is no time left."""

from contextlib import closing, suppress
from itertools import takewhile
from typing import Any

from crbatch.cluster.dispatch import Failure, Poison, describe_workers, dispatch
from crbatch.cluster.walltime import seconds_left
from crbatch.results.shards import Shard, commit_bytes

from ..chunk.task import Chunk, compute, flag_as_failed, halves
from ..errors import CommandError, UsageProblem
from ..folder.rundir import RunDirectory
from ..identity import code_key, versions
from ..jobfile.schema import JobFile
from ..terminal.interrupt import draining, rest_if_stopping
from ..terminal.progress import Progress
from .plan import Plan
from .watch import Watch
from .workers import Place

_LAST_SECONDS = 8.0  # before walltime, for ending in order


class _NoTimeLeft(Exception):
    """The batch job is about to end."""


def note_plan(job: JobFile, folder: RunDirectory, plan: Plan, place: Place) -> None:
    """Note a plan that is about to be carried out.

    Raises UsageProblem if workers would not see a file that the job names.
    """
    if job.files and not place.sees_folder:
        key = next(iter(job.files))
        raise UsageProblem(f"{key}: its file has to be seen by the workers, which share no file system")
    folder.write_plan(job, plan.summary())
    folder.journal.write(
        "start",
        cluster=place.profile.kind,
        workers=place.workers,
        chunks=len(plan.chunks),
        chunk=plan.chunk,
        draw_seconds=round(plan.draw_seconds, 9),
        chunk_seconds=round(_chunk_seconds(plan), 3),
        job=job.canonical(),
        job_key=job.key(),
        versions=versions(),
    )


def compute_chunks(
    job: JobFile, folder: RunDirectory, plan: Plan, place: Place, client: Any, progress: Progress
) -> list[Shard]:
    """Dispatch the chunks of a plan through a client of its place; return their shards."""
    text = None if place.sees_folder else job.to_toml()
    items = [Chunk(str(folder.path.resolve()), a, b, job.key(), code_key(), text) for a, b in plan.chunks]
    shards = []
    done = job.draws.count - sum(b - a for a, b in plan.chunks)
    with progress.bar("draws", job.draws.count, done) as advance:
        poison = Poison(halves, fatal=(CommandError, OSError, MemoryError))
        watch = Watch(_chunk_seconds(plan), progress.say, lambda: describe_workers(client))

        def look_up() -> None:  # while nothing arrives
            if _out_of_time():
                raise _NoTimeLeft
            watch.look()

        until_draining = takewhile(lambda _: not draining(), items)
        finished = dispatch(client, compute, until_draining, poison=poison, on_pause=look_up)
        with closing(finished), suppress(_NoTimeLeft):  # on an error, what is out is cancelled at once
            for chunk, result in finished:
                rest_if_stopping()
                watch.finished()
                receipt = _committed(job, folder, chunk, result)
                folder.journal.write("chunk", **receipt)
                shards.append(_shard(folder, receipt))
                advance(chunk.stop - chunk.start)
                if _out_of_time():
                    break
    return shards


def _chunk_seconds(plan: Plan) -> float:
    """What a worker should take for its first chunk."""
    return plan.chunk * plan.draw_seconds + plan.training_seconds


def _out_of_time() -> bool:
    """Whether what is still out could no longer be waited for."""
    return draining() and seconds_left() < _LAST_SECONDS


def _committed(job: JobFile, folder: RunDirectory, chunk: Chunk, result: dict[str, Any] | Failure) -> dict[str, Any]:
    """The receipt of a chunk whose shard lies in the run's folder, whoever has to put it there."""
    if isinstance(result, Failure):
        return flag_as_failed(job, chunk, result.reason)
    content = result.pop("content", None)
    if content is not None:
        commit_bytes(content, folder.shards, result["start"], result["stop"], result["sha256"])
        result["bytes"] = len(content)
    return result


def _shard(folder: RunDirectory, receipt: dict[str, Any]) -> Shard:
    start, stop, digest = receipt["start"], receipt["stop"], receipt["sha256"]
    return Shard(start, stop, digest, folder.shards / f"draws-{start:08d}-{stop:08d}-{digest}.nc")
