"""What shards cost: their commits, and their consolidation."""

import time
from dataclasses import dataclass
from pathlib import Path

from crbatch.results.cube import write_cube
from crbatch.results.shards import covering

from ..chunk.evaluate import evaluate
from ..chunk.task import warm_up
from ..driver.consolidation import cube_attrs
from ..jobfile.schema import JobFile
from .laps import Setting
from .simulated import TEMPLATE, commit_draws, commit_items

_REPEATS = 5


@dataclass(frozen=True)
class Files:
    """Seconds of a design, and for each number of draws in a shard: commits here, shards, and their consolidation."""

    design: float
    designs_per_draw: int
    sizes: list[int]
    commits: list[list[float]]
    shards: list[int]
    cubes: list[float]


def measure_files(place: Path, job: JobFile, setting: Setting) -> Files:
    """Design one shard's worth of draws, commit it in two sizes, and consolidate them."""
    warm_up()
    evaluate(job, 0, 1)
    begun = time.perf_counter()
    dataset = evaluate(job, 0, setting.draws)
    designs = len(job.sweep_points()) * len(job.design.schemes) * len(job.design.rho)
    design = (time.perf_counter() - begun) / (setting.draws * designs)
    dataset.to_netcdf(place / TEMPLATE, engine="netcdf4", format="NETCDF4")
    commits, counts, cubes = [], [], []
    for size in setting.sizes():
        count = max(_REPEATS, setting.draws * _REPEATS // size)
        items = commit_items(place, f"shards-{size}", size, count)
        shards, seconds = zip(*map(commit_draws, items), strict=True)
        commits.append(list(seconds))
        counts.append(count)
        begun = time.perf_counter()
        write_cube(covering(shards, count * size)[0], place / f"{size}.nc", count * size, cube_attrs(job))
        cubes.append(time.perf_counter() - begun)
    return Files(design, designs, setting.sizes(), commits, counts, cubes)
