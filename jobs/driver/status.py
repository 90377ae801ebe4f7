"""How far a run is, for anyone who can read its folder, and how to end it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crbatch.cluster import batch
from crbatch.results.cube import Cover
from crbatch.results.shards import Shard, count_uncertified, covering, list_shards
from crbatch.results.words import counted, duration_text, said

from ..errors import EnvironmentProblem, of_the_environment
from ..folder.journal import last
from ..folder.lock import driver_of
from ..folder.rundir import RunDirectory
from ..folder.until import last_look, precision_text
from ..jobfile.schema import JobFile
from .plan import make_plan
from .watch import silence

#: Draws that the preview rests on at most; it is to be cheap.
PREVIEW_DRAWS = 4096


def status(folder: RunDirectory) -> dict[str, Any]:
    """Say how far a run is; nothing is written.

    `folder`: a run, at work or not. Result: state ("running", "incomplete", "done" or "failed"), chunks_done,
    chunks_total, draws_done, draws_total, uncertified (designs so far), failed_draws, workers, jobs (of a batch system,
    that are not over), designs_per_second and seconds_left (None if unknown), preview, message; with `[draws] until`,
    also precision.
    """
    job = folder.job()
    events = folder.journal.all()  # before the shards: each of its chunks has one
    shards = list_shards(folder.shards)
    receipts = {
        (event["start"], event["stop"], event["sha256"]): event for event in events if event["event"] == "chunk"
    }
    damaged: list[Shard] = []
    while True:
        cover, missing = covering([shard for shard in shards if shard not in damaged], job.draws.count)
        try:
            seen, uncertified = preview(cover, job), sum(_uncertified(shard, receipts) for shard, _, _ in cover)
            break
        except _Unreadable as error:  # as if it was not there: that is how the next run takes it
            damaged.append(error.shard)
    driver = driver_of(folder.path)
    jobs = jobs_alive(events)
    left = sum(stop - start for start, stop in missing)
    rate = _draws_per_second(events)
    designs = len(job.sweep_points()) * len(job.labels) * len(job.design.rho)  # of a draw
    state, message = _state(folder, job, events, running=driver is not None or bool(jobs))
    if state == "running" and left:
        message = silence(events)
    if damaged and missing:  # else others have been made in their place
        unread = f"{counted(len(damaged), 'shard')} cannot be read, such as {damaged[0].path.name}; run the job again"
        message = "; ".join(filter(None, (message, unread)))
    return {
        "state": state,
        "chunks_done": len(cover),
        "chunks_total": len(cover) + _chunks_left(folder, job, events, cover, missing),
        "draws_done": job.draws.count - left,
        "draws_total": job.draws.count,
        "uncertified": uncertified,
        "failed_draws": sorted({event["start"] for event in receipts.values() if "failed" in event}),
        "workers": _workers(events, jobs) if state == "running" else 0,
        "jobs": sorted(jobs),
        "designs_per_second": None if rate is None else round(rate * designs, 1),
        "seconds_left": round(left / rate, 1) if rate and left and state == "running" else None,
        "preview": seen,
        "message": message,
        **last_look(folder, job),
    }


def _chunks_left(
    folder: RunDirectory, job: JobFile, events: list[dict[str, Any]], cover: Cover, missing: list[tuple[int, int]]
) -> int:
    """Chunks of the last plan, a driver's or an array's, that are not finished; of a new one if there was none.

    A shard that its worker has just written is finished before the driver notes it.
    """
    noted = {(event["start"], event["stop"]) for event in events if event["event"] == "chunk"}
    new = sum((shard.start, shard.stop) not in noted for shard, _, _ in cover)
    left, in_array = None, False
    for event in events:
        if event["event"] == "start":
            left, in_array = event["chunks"], False
        elif event["event"] == "jobs" and event["role"] == "array":
            in_array = True
        elif event["event"] == "chunk" and left is not None:
            left -= 1
    size = _chunk_of_plan(folder) if in_array else None
    if size is not None:  # counted from draw 0, and none notes that it begins
        return len({n for start, stop in missing for n in range(start // size, (stop - 1) // size + 1)})
    return len(make_plan(job, missing).chunks) if left is None else max(left - new, len(missing))


def _chunk_of_plan(folder: RunDirectory) -> int | None:
    """Draws in a chunk by plan.json; None if it cannot be read."""
    try:
        size = json.loads((folder.path / "plan.json").read_bytes())["chunk_draws"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return size if isinstance(size, int) and size > 0 else None


def _state(folder: RunDirectory, job: JobFile, events: list[dict[str, Any]], running: bool) -> tuple[str, str | None]:
    """The state in a word, and what ended the last driver where it did not end by itself."""
    if running:
        return "running", None
    if folder.cube_is_current(job):
        return "done", None
    match last(events, "start", "error", "interrupted"):
        case {"event": "error", "message": message}:
            return "failed", message
        case {"event": "interrupted"}:
            return "incomplete", "interrupted; run the same command again to continue"
    return "incomplete", None


def jobs_alive(events: list[dict[str, Any]]) -> set[str]:
    """Numbers of the run's batch jobs that are not over.

    Raises EnvironmentProblem if the batch system does not answer.
    """
    with of_the_environment():
        return batch.alive(number for event in events if event["event"] == "jobs" for number in event["ids"])


def _workers(events: list[dict[str, Any]], jobs: set[str]) -> int:
    """Workers that are there: jobs of the queue, or what the last driver found when it connected."""
    if jobs:
        roles = [event for event in events if event["event"] == "jobs" and event["role"] in ("workers", "array")]
        return len(jobs & {number for event in roles for number in event["ids"]})
    connected = last(events, "connected")
    return int(connected["workers"]) if connected else 0


def _draws_per_second(events: list[dict[str, Any]]) -> float | None:
    """Draws a second since the last start, from the second chunk on: the first one waits for workers to start."""
    begun = max((n for n, event in enumerate(events) if event["event"] == "start"), default=0)
    chunks = [event for event in events[begun:] if event["event"] == "chunk" and "rebuilt" not in event]
    if len(chunks) < 2 or chunks[-1]["time"] <= chunks[0]["time"]:
        return None
    draws = sum(event["stop"] - event["start"] for event in chunks[1:])
    return float(draws / (chunks[-1]["time"] - chunks[0]["time"]))


def _uncertified(shard: Shard, receipts: dict[tuple[int, int, str], dict[str, Any]]) -> int:
    receipt = receipts.get((shard.start, shard.stop, shard.sha256))
    if receipt:
        return int(receipt["uncertified"])
    with _reading(shard):
        return count_uncertified(shard.path)


class _Unreadable(Exception):
    def __init__(self, shard: Shard) -> None:
        super().__init__(shard)
        self.shard = shard


@contextmanager
def _reading(shard: Shard) -> Iterator[None]:
    """Tell which shard is damaged, of which the libraries may make any exception."""
    try:
        yield
    except Exception:
        raise _Unreadable(shard) from None


def preview(cover: Cover, job: JobFile) -> dict[str, Any]:
    """Medians over the draws that are there from the first one without a gap, at the weight next to 1/2.

    What has finished first is not a fair sample: hard draws take longer. A prefix in draw order is one.

    Result: draws (how many it rests on), rho, and rows: scheme, at (swept keys), sqrt_crb_bp_m, sqrt_crb_ms_m.
    """
    rho = min(job.design.rho, key=lambda weight: abs(weight - 0.5))
    parts = []
    at = 0
    for shard, start, stop in cover:
        if start != at or at >= PREVIEW_DRAWS:
            break
        with _reading(shard), xr.open_dataset(shard.path, engine="netcdf4") as data:
            part = data[["crb_bp", "crb_ms"]].sel(draw=slice(start, stop - 1), rho=rho)
            parts.append(part.isel(draw=slice(0, PREVIEW_DRAWS - at)).load())
        at = stop
    rows: list[dict[str, Any]] = []
    if parts:
        middle = xr.concat(parts, "draw").map(np.sqrt).median("draw", skipna=True)
        frame = middle.to_dataframe(dim_order=list(middle["crb_bp"].dims)).reset_index()
        for one in frame.to_dict("records"):
            row = {f"sqrt_{name}_m": one[name] for name in ("crb_bp", "crb_ms")}
            rows.append({"scheme": one["scheme"], "at": {key: one[key] for key in job.sweep}, **row})
    return {"draws": min(at, PREVIEW_DRAWS), "rho": rho, "rows": rows}


def stop(folder: RunDirectory) -> tuple[list[str], int | None]:
    """End a run's own jobs, or its driver if it is on this machine; finished draws stay.

    Result: numbers of the batch jobs and of the driver's process that were told to end, if any. Raises
    EnvironmentProblem if the driver is on another machine, or the batch system does not answer.
    """
    folder.job()
    jobs = jobs_alive(folder.journal.all())
    if jobs:
        with of_the_environment():
            batch.cancel(jobs)
        return sorted(jobs), None
    driver = driver_of(folder.path)
    if driver is None:
        return [], None
    if not driver.is_here:
        raise EnvironmentProblem(f"{folder.path}: its driver is {driver}; stop it from there")
    try:
        os.kill(driver.pid, signal.SIGTERM)
    except PermissionError:
        raise EnvironmentProblem(f"{folder.path}: its driver is process {driver.pid} of another user") from None
    return [], driver.pid


def text(folder: Path, found: dict[str, Any]) -> str:
    """What `status` found, for people."""
    lines = [
        f"{folder}: {found['state']}" + (f" ({found['message']})" if found["message"] else ""),
        f"  {found['chunks_done']} of {counted(found['chunks_total'], 'chunk')}, {found['draws_done']} of "
        f"{counted(found['draws_total'], 'draw')}, {counted(found['uncertified'], 'design')} uncertified",
    ]
    if "precision" in found:
        lines.append(f"  {precision_text(found['precision'])}")
    if found["failed_draws"]:
        lines.append(f"  failed draws: {', '.join(map(str, found['failed_draws'][:20]))}")
    if found["state"] == "running":
        speed = "" if found["designs_per_second"] is None else f", {found['designs_per_second']:.0f} designs a second"
        left = "" if found["seconds_left"] is None else f", {duration_text(found['seconds_left'])} left"
        jobs = f" (jobs {', '.join(found['jobs'])})" if found["jobs"] else ""
        lines.append(f"  {counted(found['workers'], 'worker')}{jobs}{speed}{left}")
    seen = found["preview"]
    if seen["rows"]:
        lines.append(f"  medians over draws 0 to {seen['draws'] - 1} at rho = {seen['rho']:g}, sqrt CRB in m:")
        for row in seen["rows"]:
            place = " ".join(f"{key}={said(value)}" for key, value in row["at"].items())
            bounds = f"BP {row['sqrt_crb_bp_m']:<9.4g} MS {row['sqrt_crb_ms_m']:.4g}"
            lines.append(f"    {row['scheme']:<16} {bounds}  {place}".rstrip())
    return "\n".join(lines)
