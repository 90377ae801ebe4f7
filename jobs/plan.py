"""How a job is cut into chunks of draws, and what it will cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from results.schema import VARIABLES
from results.words import counted, duration, size

from .evaluate import sizes_of
from .jobfile import JobFile

# Rough costs on one core of a current machine, for the plan's estimate alone: seconds of a draw, for K = 3. They were
# measured for 1 to 20 targets and hold within a factor of three.
_SETUP_SECONDS = 2e-4
_SECONDS_PER_DESIGN = {"fdb": 2e-5, "cpa": 1.5e-5}  # along a curve, bounds apart; with the fourth power of K + 1
_SECONDS_OF_EXTREMES = {
    "fdb": 5e-4,
    "cpa": 1.5e-4,
}  # both; fdb with the fifth power while the interior point has a part
_MOST_FINISHED = 12  # targets up to which it has
_SECONDS_PER_BOUND = 5e-6
_PAPER_PATHS = 4
# Of a training draw, evaluated some dozens of times a weight and family: where all see the same directions, or not.
_SECONDS_OF_TRAINING = (1e-4, 1e-3)
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
        core_hours=(seconds * count + workers * _training_seconds(job)) / 3600.0,
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
    weights, growth = len(job.design.rho), paths / _PAPER_PATHS
    total = _SETUP_SECONDS * growth**3 + growth**3 * weights * len(job.labels) * _SECONDS_PER_BOUND
    if "per-draw" not in job.design.knowledge:
        return total
    inside = sum(0.0 < rho < 1.0 for rho in job.design.rho)
    for family in ("fdb", "cpa"):
        schemes = [scheme for scheme in job.design.schemes if scheme.startswith(family)]
        optimised = f"{family}-wcrb" in schemes
        if optimised:
            total += growth**4 * inside * _SECONDS_PER_DESIGN[family]
        if len(schemes) > optimised or (optimised and inside < weights):  # mixes, or the extremes themselves
            power = 5 if family == "fdb" and paths <= _MOST_FINISHED + 1 else 4
            total += growth**power * _SECONDS_OF_EXTREMES[family]
    return total


def _training_seconds(job: JobFile) -> float:
    """Estimated seconds, of each worker, for the designs that serve all draws."""
    if "average" not in job.design.knowledge:
        return 0.0
    moving = (
        job.draws.file is not None
        or job.draws.ue_position.kind != "fixed"
        or job.draws.target_positions.kind != "fixed"
    )
    families = len({scheme[:3] for scheme in job.design.schemes if scheme[:3] in _SECONDS_PER_DESIGN})
    paths = [scenario.targets + 1 for _, scenario in job.sweep_points()]
    growth = sum((each / _PAPER_PATHS) ** 3 for each in paths)
    return job.design.training_draws * len(job.design.rho) * families * growth * _SECONDS_OF_TRAINING[moving]


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
        f"about {duration(seconds)} of one core ({summary['core_hours']:.3g} core-hours), "
        f"{duration(seconds / cores)} on {cores}",
        f"  cube of about {size(summary['cube_bytes'])}",
    ]
    if until is not None:
        lines.append(f"  to be doubled, up to {counted(until.max, 'draw')}, until {until}")
    return "\n".join(lines)
