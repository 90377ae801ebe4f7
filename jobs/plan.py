"""How a job is cut into chunks of draws, and what it will cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from results.schema import VARIABLES
from results.words import counted

from .evaluate import sizes_of
from .jobfile import JobFile

# Rough costs on one core of a current machine, for the plan's estimate alone: seconds per certified design
# (set-up and bounds included), which grow with the number of reduced unknowns as (K + 1)^3.
_SECONDS_PER_DESIGN = {"fdb-wcrb": 5e-5, "cpa-wcrb": 3e-5}
_SECONDS_PER_BOUND = 5e-6
_PAPER_PATHS = 4
_CHUNK_SECONDS = 4.0
_LARGEST_CHUNK = 4096
# Less is lost in writing and sending chunks: 50 ms of a worker, and of the driver 6 ms of its half core.
_LEAST_SECONDS = 0.5
_LEAST_SECONDS_PER_WORKER = 0.012


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    draws, points, designs
        Draws, points of the sweep, and designs in all.
    chunk
        Draws in a chunk, at most.
    chunks
        Ranges of draws still to compute.
    core_hours
        Estimate for all draws.
    bytes
        Estimated size of the cube.
    """

    draws: int
    points: int
    designs: int
    chunk: int
    chunks: tuple[tuple[int, int], ...]
    core_hours: float
    bytes: int

    def summary(self) -> dict[str, Any]:
        """The plan's figures, fit for JSON."""
        return {
            "draws": self.draws,
            "sweep_points": self.points,
            "designs": self.designs,
            "chunk_draws": self.chunk,
            "chunks": len(self.chunks),
            "core_hours": round(self.core_hours, 6),
            "cube_bytes": self.bytes,
        }


def make_plan(
    job: JobFile,
    missing: list[tuple[int, int]] | None = None,
    chunk: int | None = None,
    workers: int = 1,
    draw_seconds: float | None = None,
    even: bool = False,
) -> Plan:
    """Plan a job.

    Parameters
    ----------
    job
        A checked job.
    missing
        Ranges of draws still to compute; all by default.
    chunk
        Draws in a chunk; by default some seconds' work, and less towards the end, so that all workers end together.
    workers
        Worker processes.
    draw_seconds
        Seconds of one core for a draw, as a pilot measured them; a rough guess by default.
    even
        Whether chunks are given out beforehand, and so have to be of one size.

    Returns
    -------
    Plan
        With its chunks in draw order.
    """
    count = job.draws.count
    points = job.sweep_points()
    seconds = draw_seconds or sum(_draw_seconds(job, scenario.targets + 1) for _, scenario in points)
    ranges = [(0, count)] if missing is None else missing
    least = chunk or _least(count, workers, seconds)
    if chunk is None:
        chunk = max(1, min(int(_CHUNK_SECONDS / seconds), _LARGEST_CHUNK, count))
        if even:
            chunk = least = min(chunk, max(1, count // (4 * workers)))
    chunks = tuple(_cut(ranges, chunk, least, 2 * workers))
    return Plan(
        draws=count,
        points=len(points),
        designs=count * len(points) * len(job.labels) * len(job.design.rho),
        chunk=chunk,
        chunks=chunks,
        core_hours=seconds * count / 3600.0,
        bytes=count * _draw_bytes(job),
    )


def _least(count: int, workers: int, seconds: float) -> int:
    """Draws of the smallest chunk that is worth its overhead; where there are few draws, each worker gets some."""
    for_driver = min(_LEAST_SECONDS_PER_WORKER * workers, seconds * count / workers)
    return ceil(max(_LEAST_SECONDS, for_driver) / seconds)


def _cut(ranges: list[tuple[int, int]], most: int, least: int, share: int) -> Iterator[tuple[int, int]]:
    """Cut ranges into chunks of 1 / share of the draws that are left, within limits."""
    left = sum(stop - start for start, stop in ranges)
    for start, stop in ranges:
        while start < stop:
            end = min(start + min(most, max(least, ceil(left / share))), stop)
            yield start, end
            left -= end - start
            start = end


def _draw_seconds(job: JobFile, paths: int) -> float:
    """Estimated seconds of one core for one draw at one point of the sweep."""
    weights = len(job.design.rho)
    growth = (paths / _PAPER_PATHS) ** 3
    total = 2e-4 * growth
    for family in ("fdb", "cpa"):
        if any(scheme.startswith(family) for scheme in job.design.schemes):
            solved = weights if f"{family}-wcrb" in job.design.schemes else 2
            total += growth * solved * _SECONDS_PER_DESIGN[f"{family}-wcrb"]
    return total + growth * weights * len(job.labels) * _SECONDS_PER_BOUND


def _draw_bytes(job: JobFile) -> int:
    """Bytes of one draw in the cube, at all points of the sweep."""
    sizes = {"draw": 1, **sizes_of(job)}
    per_point = sum(
        int(variable.dtype[1]) * prod(sizes[dim] for dim in variable.dims)
        for variable in VARIABLES.values()
        if variable.keep is None or variable.keep in job.output.keep
    )
    return len(job.sweep_points()) * per_point


def text(job: JobFile, summary: dict[str, Any], cores: int) -> str:
    """What a plan says, for people."""
    seconds, until = summary["core_hours"] * 3600.0, job.draws.until
    lines = [
        f"{job.name}: {counted(summary['designs'], 'design')} ({counted(summary['draws'], 'draw')} x "
        f"{counted(summary['sweep_points'], 'point')} of the sweep x {counted(len(job.labels), 'scheme')} x "
        f"{counted(len(job.design.rho), 'weight')})",
        f"  {counted(summary['chunks'], 'chunk')} of {counted(summary['chunk_draws'], 'draw')}, "
        f"about {seconds:.0f} s of one core "
        f"({summary['core_hours']:.3g} core-hours), {seconds / cores:.0f} s on {cores}",
        f"  cube of about {summary['cube_bytes'] / 1e6:.1f} MB",
    ]
    if until is not None:
        lines.append(f"  to be doubled, up to {counted(until.max, 'draw')}, until {until}")
    return "\n".join(lines)
