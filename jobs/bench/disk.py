"""What the disk costs: appends to a journal, commits of shards, and their consolidation."""

import time
from dataclasses import dataclass
from pathlib import Path

from crbatch.results.cube import write_cube
from crbatch.results.shards import Shard, covering

from ..chunk.evaluate import evaluate
from ..chunk.task import warm_up
from ..driver.consolidation import cube_attrs
from ..folder.journal import Journal
from ..jobfile.schema import JobFile
from .laps import Setting
from .simulated import TEMPLATE, CommitItem, commit_draws, empty_chunk

_REPEATS = 5


def measure_journal(journal: Journal, appends: int) -> list[float]:
    """Seconds of each append with its sync."""
    seconds = []
    for i in range(appends):
        begun = time.perf_counter()
        journal.write("chunk", **empty_chunk(i))
        seconds.append(time.perf_counter() - begun)
    return seconds


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
        home = place / f"shards-{size}"
        home.mkdir()
        count = max(_REPEATS, setting.draws * _REPEATS // size)
        made = [commit_draws(CommitItem(str(place / TEMPLATE), str(home), i * size, size)) for i in range(count)]
        commits.append([seconds for _, seconds in made])
        counts.append(count)
        cubes.append(_consolidated([shard for shard, _ in made], place / f"{size}.nc", job))
    return Files(design, designs, setting.sizes(), commits, counts, cubes)


def _consolidated(shards: list[Shard], path: Path, job: JobFile) -> float:
    count = shards[-1].stop
    begun = time.perf_counter()
    write_cube(covering(shards, count)[0], path, count, cube_attrs(job))
    return time.perf_counter() - begun
