"""Stopping by precision: as many draws as `[draws] until` takes."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from crbatch.results.precision import worst_error
from crbatch.results.shards import Shard, covering
from crbatch.results.words import counted

from ..jobfile.schema import JobFile
from .rundir import RunDirectory


def as_precise(folder: RunDirectory, job: JobFile, shards: Sequence[Shard]) -> JobFile:
    """Give a job the draws that its precision takes, as far as finished draws tell.

    `folder`: the run, whose job.toml is brought up to date. `job`: its job. `shards`: finished draws. Result: the same
    job without `until`, with draws missing or with enough of them; otherwise with those of the next look. The answer
    does not depend on which other draws are finished.
    """
    until = job.draws.until
    while until is not None:
        cover, missing = covering(list(shards), job.draws.count)
        if missing:
            break
        looks = until.looks()
        found = worst_error(cover, job.draws.count, until.metric, until.statistic, until.confidence, looks)
        reached = found.relative_error <= until.relative_error
        error = found.relative_error if isfinite(found.relative_error) else None
        folder.journal.write("precision", draws=found.draws, relative_error=error, at=found.at, reached=reached)
        if reached or job.draws.count == until.max:
            break
        job = job.with_count(looks[looks.index(job.draws.count) + 1])
        folder.write_job(job)
    return job


def last_look(folder: RunDirectory, job: JobFile) -> dict[str, Any]:
    """What the look said that ended a run, under "precision"; nothing where none was asked for."""
    if job.draws.until is None:
        return {}
    goal = {"statistic": job.draws.until.wanted, "confidence": job.draws.until.confidence}
    for look in reversed(folder.journal.events("precision")):
        if look["draws"] == job.draws.count:
            return {"precision": goal | {word: look[word] for word in ("draws", "relative_error", "at", "reached")}}
    return {}


def precision_text(found: dict[str, Any]) -> str:
    """What `last_look` found, for people."""
    error, at = found["relative_error"], ", ".join(f"{key} = {value}" for key, value in found["at"].items())
    known = "is not known yet" if error is None else f"is known to {error:.3g} at the worst place"
    head = "precise enough" if found["reached"] else "NOT as precise as asked for"
    where = f" ({at})" if at else ""
    return f"{head}: {found['statistic']} {known}{where} after {counted(found['draws'], 'draw')}"
