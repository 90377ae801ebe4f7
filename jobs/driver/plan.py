"""How a job is cut into chunks of draws, and what it will cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

from crbatch.results.schema import variables_of
from crbatch.results.words import counted, duration_text, size_text

from ..chunk.evaluate import sizes_of
from ..errors import UsageProblem
from ..jobfile.schema import JobFile
from . import cost

_CHUNK_SECONDS = 4.0
_LARGEST_CHUNK = 4096
# In memory there are some copies of a chunk at a time.
_CHUNK_BYTES = 250_000_000
_DRAW_BYTES = 500_000_000
# Less is lost in writing and sending chunks: 50 ms of a worker, and of the driver 6 ms of its half core.
_LEAST_SECONDS = 0.5
_LEAST_SECONDS_PER_WORKER = 0.012


@dataclass(frozen=True)
class Plan:
    """What a run will do."""

    draws: int
    points: int  # of the sweep
    designs: int  # in all
    chunk: int  # draws in one, at most
    chunks: tuple[tuple[int, int], ...]  # ranges of draws still to compute
    draw_seconds: float  # of one core, estimated or measured
    training_seconds: float  # estimate of what each process takes before its first draw, with beams for the average
    processes: int  # the driver, which tries the first draws out, and worker processes beside it if any
    bytes: int  # of the cube, estimated

    @property
    def core_hours(self) -> float:
        """Estimate for all draws."""
        return (self.draw_seconds * self.draws + self.training_seconds * self.processes) / 3600.0

    def summary(self) -> dict[str, Any]:
        """The plan's figures, fit for JSON."""
        return {
            "draws": self.draws,
            "sweep_points": self.points,
            "designs": self.designs,
            "chunk_draws": self.chunk,
            "chunks": len(self.chunks),
            "core_hours": float(f"{self.core_hours:.6g}"),
            "draw_seconds": float(f"{self.draw_seconds:.6g}"),
            "training_seconds": float(f"{self.training_seconds:.6g}"),
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
    """Plan a job, its chunks in draw order.

    `missing`: ranges of draws still to compute; all by default. `chunk`: draws in a chunk; by default some seconds'
    work, and less towards the end, so that all workers end together. `workers`: worker processes. `draw_seconds`: of
    one core, as a pilot measured them; a rough guess by default. `even`: whether chunks are given out beforehand, and
    so have to be of one size.
    """
    count = job.draws.count
    points = job.sweep_points()
    largest = max(1, _CHUNK_BYTES // _draw_bytes(job))
    seconds = draw_seconds or cost.draw_seconds(job)
    least = min(chunk or _least(count, workers, seconds), largest)
    if chunk is not None:
        chunk = min(chunk, largest)
    else:
        chunk = max(1, min(int(_CHUNK_SECONDS / seconds), _LARGEST_CHUNK, largest, count))
        if even:
            chunk = least = min(chunk, max(1, count // (4 * workers)))
    return Plan(
        draws=count,
        points=len(points),
        designs=count * len(points) * len(job.labels) * len(job.design.rho),
        chunk=chunk,
        chunks=tuple(_cut([(0, count)] if missing is None else missing, chunk, least, 2 * workers)),
        draw_seconds=seconds,
        training_seconds=cost.training_seconds(job),
        processes=workers + (workers > 1),
        bytes=count * _draw_bytes(job),
    )


def check_size(job: JobFile) -> int:
    """Bytes of the cube; a job whose draws do not fit into memory is refused.

    Raises UsageProblem, naming the key and the size.
    """
    if _draw_bytes(job) > _DRAW_BYTES:
        raise UsageProblem(
            f"{sizes_text(job)}, and at most {size_text(_DRAW_BYTES)} a draw can be computed; "
            "keep less, or ask for fewer schemes, weights or points of the sweep"
        )
    return _draw_bytes(job) * job.draws.count


def sizes_text(job: JobFile) -> str:
    """How large the results are, and by which key."""
    draw, key = _draw_bytes(job), "output.keep" if job.output.keep else "draws.count"
    return f"{key}: results take {size_text(draw)} a draw, {size_text(draw * job.draws.count)} in all"


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


def _draw_bytes(job: JobFile) -> int:
    """Bytes of one draw in the cube, at all points of the sweep."""
    sizes = {"draw": 1, **sizes_of(job)}
    per_point = sum(
        int(variable.dtype[1]) * prod(sizes[dim] for dim in variable.dims)
        for variable in variables_of(job.output.keep, job.scenario.dimensions).values()
    )
    return len(job.sweep_points()) * per_point


def text(job: JobFile, summary: dict[str, Any], cores: int) -> str:
    """What a plan says, for people."""
    drawing, training, until = summary["draw_seconds"] * summary["draws"], summary["training_seconds"], job.draws.until
    wall = drawing / cores + training * (2 if cores > 1 else 1)
    factors = (
        counted(summary["draws"], "draw"),
        counted(summary["sweep_points"], "point") + " of the sweep",
        counted(len(job.labels), "scheme"),
        counted(len(job.design.rho), "weight"),
    )
    lines = [
        f"{job.name}: {counted(summary['designs'], 'design')} ({' x '.join(factors)})",
        f"  {counted(summary['chunks'], 'chunk')} of up to {counted(summary['chunk_draws'], 'draw')}",
        f"  about {duration_text(3600.0 * summary['core_hours'])} of one core, "
        f"{duration_text(wall)} on {cores}, within a factor of about 3",
        f"  cube of about {size_text(summary['cube_bytes'])}",
    ]
    if training:
        lines.insert(3, f"  of which training takes about {duration_text(training)} in each process")
    if until is not None:
        lines.append(f"  to be doubled, up to {until.max} draws, until {until}")
    return "\n".join(lines)
