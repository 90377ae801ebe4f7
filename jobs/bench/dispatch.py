"""`crbatch bench dispatch`: what a chunk costs beside its designs, and how far one driver carries.

Nothing is designed here but one shard's worth of draws: chunks are simulated, their costs are real.
"""

import itertools
import shutil
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import xarray as xr
from crbatch.cluster.connect import connect, usable_cores
from crbatch.cluster.dispatch import dispatch
from crbatch.cluster.leaving import at_stop
from crbatch.cluster.simulated import simulated
from crbatch.results.cube import write_cube
from crbatch.results.figures.bench import dispatch_figure
from crbatch.results.figures.figures import save
from crbatch.results.shards import Shard, covering
from numpy.typing import ArrayLike, NDArray

from ..chunk.evaluate import evaluate
from ..chunk.simulated import CommitItem, commit_draws, committing_chunk, empty_chunk, sleeping_chunk
from ..chunk.task import Chunk, warm_up
from ..driver.run import cube_attrs
from ..folder.journal import Journal
from ..jobfile.schema import JobFile, load_job
from ..terminal.progress import Progress
from .harness import BenchFolder, cube_attributes, load_average, machine, padded, quartiles
from .model import LONGEST, Costs, forecast, most_workers, rate, smallest_chunk

WORKERS = (10, 100, 1_000, 10_000)
DESIGNS = (1e6, 1e9)
CHUNK_SECONDS = 4.0
SIMULATED = (0.05, 0.2, 0.5, 1.0)  # s that a simulated chunk sleeps
_MARKS = 11  # of memory, along a run
_KEPT = 10_000  # chunks whose bookkeeping is weighed
_REPEATS = 5
_TEMPLATE = "template.nc"


@dataclass(frozen=True)
class Setting:
    """What is measured: how many chunks and workers, sleeping slots, journal lines, and draws in a shard."""

    chunks: int = 1000
    max_workers: int = 4
    slots: int = 64
    seconds: float = 4.0
    appends: int = 200
    draws: int = 256
    commits: int = 40
    job: str = "phases"

    def workers(self) -> list[int]:
        """Numbers of local workers to measure with."""
        return [n for n in (1, 2, 4, 8, 16) if n <= self.max_workers]

    def sizes(self) -> list[int]:
        """Draws in a small and in a large shard."""
        return [max(1, self.draws // 8), self.draws]

    def counts(self) -> list[int]:
        """Numbers of chunks to measure with."""
        return [max(1, self.chunks // 4), self.chunks]


@dataclass(frozen=True)
class Lap:
    """One run of simulated chunks.

    Attributes
    ----------
    wall, steady
        Seconds per chunk: of the whole run, and of its middle half, without the first and the last round.
    cpu
        Of this process, driver and scheduler, per chunk.
    memory
        Of this process, on the way.
    commits
        Seconds of each commit, where chunks commit.
    """

    wall: float
    steady: float
    cpu: float
    memory: list[float]
    commits: list[float]


def lap(client: Any, function: Callable[[Any], Any], items: Sequence[Any], journal: Journal | None = None) -> Lap:
    """Dispatch simulated chunks and write them down, as a run does."""
    here, chunks = psutil.Process(), len(items)
    marks = {round(i * (chunks - 1) / (_MARKS - 1)) for i in range(_MARKS)}
    memory: list[float] = []
    commits: list[float] = []
    quarter, times = chunks // 4, []
    before, begun = here.cpu_times(), time.perf_counter()
    for done, (_, receipt) in enumerate(dispatch(client, function, items)):
        if journal is not None:
            journal.write("chunk", **receipt)
        if function is committing_chunk:
            commits.append(receipt["commit_seconds"])
        if done in (quarter, 3 * quarter):
            times.append(time.perf_counter())
        if done in marks:
            memory.append(float(here.memory_info().rss))
    wall, after = time.perf_counter() - begun, here.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    steady = (times[1] - times[0]) / (2 * quarter) if quarter else wall / chunks
    return Lap(wall / chunks, steady, cpu / chunks, memory, commits)


@dataclass(frozen=True)
class Laps:
    """Empty chunks by numbers of local workers and of chunks; and chunks that commit, by draws of a shard."""

    empty: dict[tuple[int, int], Lap]
    committing: dict[int, Lap]


def measure_dispatch(setting: Setting, place: Path, progress: Progress) -> Laps:
    """Run empty chunks through local workers, then through as many as there are cores chunks that commit a shard."""
    empty, committing = {}, {}
    warming = range(max(20, setting.chunks // 10))  # connections, code and caches are there from then on
    grid = list(itertools.product(setting.workers(), setting.counts()))
    with progress.bar("chunks without designs", total=len(grid) + len(setting.sizes())) as advance:
        for workers in setting.workers():
            with connect("local", workers) as client:
                lap(client, empty_chunk, warming)
                for count in setting.counts():
                    empty[workers, count] = lap(client, empty_chunk, range(count))
                    advance(1)
        with connect("local", min(usable_cores(), setting.max_workers)) as client:
            for size in setting.sizes():
                home = place / f"worker-shards-{size}"
                home.mkdir()
                items = [CommitItem(str(place / _TEMPLATE), str(home), i * size, size) for i in range(setting.commits)]
                lap(client, committing_chunk, items[:4])
                committing[size] = lap(client, committing_chunk, items)
                advance(1)
    return Laps(empty, committing)


def measure_simulation(setting: Setting, journal: Journal, progress: Progress) -> dict[float, Lap]:
    """Laps of sleeping chunks on a cluster of many slots, with the journal, by seconds of a chunk."""
    found = {}
    with simulated(setting.slots) as client, progress.bar("sleeping chunks", total=len(SIMULATED)) as advance:
        lap(client, empty_chunk, range(max(20, setting.chunks // 10)))
        for seconds in SIMULATED:
            # As many as the slots could do in the time, but not more than the setting's.
            count = max(2 * setting.slots, min(int(setting.seconds * setting.slots / seconds), setting.chunks))
            found[seconds] = lap(client, sleeping_chunk, [(i, seconds) for i in range(count)], journal)
            advance(1)
    return found


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
    dataset.to_netcdf(place / _TEMPLATE, engine="netcdf4", format="NETCDF4")
    commits, counts, cubes = [], [], []
    for size in setting.sizes():
        home = place / f"shards-{size}"
        home.mkdir()
        count = max(_REPEATS, setting.draws * _REPEATS // size)
        made = [commit_draws(CommitItem(str(place / _TEMPLATE), str(home), i * size, size)) for i in range(count)]
        commits.append([seconds for _, seconds in made])
        counts.append(count)
        cubes.append(_consolidated([shard for shard, _ in made], place / f"{size}.nc", job))
    return Files(design, designs, setting.sizes(), commits, counts, cubes)


def _consolidated(shards: list[Shard], path: Path, job: JobFile) -> float:
    count = shards[-1].stop
    begun = time.perf_counter()
    write_cube(covering(shards, count)[0], path, count, cube_attrs(job))
    return time.perf_counter() - begun


def line(sizes: ArrayLike, seconds: ArrayLike) -> tuple[float, float]:
    """Fixed and proportional part of costs at two sizes, neither below zero."""
    (x, more), (y, higher) = np.asarray(sizes, np.float64), np.asarray(seconds, np.float64)
    slope = max((higher - y) / (more - x), 0.0)
    return float(max(min(y, higher) - slope * min(x, more), 0.0)), float(slope)


def bookkeeping_bytes() -> float:
    """Bytes that a run's driver keeps of each chunk: its range, its item, and its shard once it is finished."""
    tracemalloc.start()
    try:
        kept: list[Any] = []
        for i in range(_KEPT):
            path = Path("/data/run/shards") / f"draws-{i:08d}-{i + 1:08d}-{i:064x}.nc"
            kept.append(((i, i + 1), Chunk("/data/run", i, i + 1, "job", "code"), Shard(i, i + 1, f"{i:064x}", path)))
        return tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()


def costs_of(laps: Laps, appends: list[float], files: Files) -> Costs:
    """Fit the model's costs.

    The driver's is taken from chunks that commit: what a worker asks of the scheduler meanwhile counts. A worker's
    gap is what a lone worker takes for an empty chunk.
    """
    many = max(count for _, count in laps.empty)
    full = {workers: taken for (workers, count), taken in laps.empty.items() if count == many}
    small, large = files.sizes
    shard, shard_draw = line(files.sizes, [quartiles(laps.committing[size].commits)[1] for size in files.sizes])
    # Per draw, consolidation costs its own part and a share of its shard's.
    from_small, from_large = (
        seconds / (count * size) for seconds, count, size in zip(files.cubes, files.shards, files.sizes, strict=True)
    )
    cube_shard = max((from_small - from_large) / (1.0 / small - 1.0 / large), 0.0)
    return Costs(
        dispatch=max(min(taken.cpu for taken in laps.committing.values()), min(taken.cpu for taken in full.values())),
        journal=quartiles(appends)[1],
        gap=full[min(full)].wall,
        shard=shard,
        shard_draw=shard_draw,
        cube_shard=cube_shard,
        cube_draw=max(from_large - cube_shard / large, 0.0),
        design=files.design,
        designs_per_draw=files.designs_per_draw,
        memory=max(taken.memory[0] for taken in full.values()),
        memory_chunk=bookkeeping_bytes(),
    )


def model_rows(costs: Costs) -> list[dict[str, Any]]:
    """The model at some numbers of workers and designs, with the smallest chunks that the driver can feed."""
    rows = []
    for workers, designs in itertools.product(WORKERS, DESIGNS):
        smallest = smallest_chunk(costs, workers)
        chunk = max(CHUNK_SECONDS, smallest)
        rows.append(
            {
                "workers": workers,
                "designs": designs,
                "smallest_chunk_seconds": smallest,
                "chunk_seconds": chunk,
                "load_at_4_s": forecast(costs, workers, designs, CHUNK_SECONDS).load,
                "driver": smallest <= LONGEST,
                **asdict(forecast(costs, workers, designs, chunk)),
            }
        )
    return rows


def simulation_rows(setting: Setting, costs: Costs, laps: Laps, sleeping: dict[float, Lap]) -> list[dict[str, float]]:
    """Predicted beside measured chunks a second; sleeping chunks commit nothing, so they cost what empty ones do."""
    many = max(count for _, count in laps.empty)
    driver = costs.journal + max(taken.cpu for (_, count), taken in laps.empty.items() if count == many)
    return [
        {
            "chunk_seconds": seconds,
            "slots": setting.slots,
            "asked": setting.slots / seconds,
            "predicted": rate(setting.slots, seconds + costs.gap, driver),
            "measured": 1.0 / taken.steady,
            "cpu_per_chunk": taken.cpu,
            "driver": driver,
        }
        for seconds, taken in sleeping.items()
    ]


def growth(laps: Mapping[tuple[int, int], Lap]) -> float:
    """Bytes that the driver's memory grows by for each chunk, from the middle of the longest runs to their end."""
    many = max(count for _, count in laps)
    found = [
        (taken.memory[-1] - taken.memory[len(taken.memory) // 2]) / (many / 2.0)
        for (_, count), taken in laps.items()
        if count == many
    ]
    return float(np.median(found))


def make_cube(setting: Setting, laps: Laps, appends: list[float], files: Files, found: dict[str, Any]) -> xr.Dataset:
    """Every timing, labelled; the model's costs as attributes."""
    workers, counts = setting.workers(), setting.counts()

    def grid(name: str) -> NDArray[np.float64]:
        return np.array([[getattr(laps.empty[n, count], name) for count in counts] for n in workers])

    memory = np.array([[_resampled(laps.empty[n, count].memory) for count in counts] for n in workers])
    rows = found["simulation"]
    seconds = {"units": "s"}
    cube = xr.Dataset(
        {
            "wall": (("workers", "chunks"), grid("wall"), seconds | {"long_name": "time per empty chunk"}),
            "cpu": (("workers", "chunks"), grid("cpu"), seconds | {"long_name": "driver and scheduler, per chunk"}),
            "memory": (("workers", "chunks", "progress"), memory, {"units": "byte", "long_name": "resident, driver"}),
            "journal": ("append", np.array(appends), seconds | {"long_name": "append to the journal, synced"}),
            "commit": (("shard_draws", "repeat"), padded(files.commits), seconds | {"long_name": "commit, driver"}),
            "worker_commit": (
                ("shard_draws", "chunk"), padded([laps.committing[size].commits for size in files.sizes]),
                seconds | {"long_name": "commit, in a worker"},
            ),
            "commit_cpu": (
                "shard_draws", np.array([laps.committing[size].cpu for size in files.sizes]),
                seconds | {"long_name": "driver and scheduler, per chunk that commits"},
            ),
            "consolidation": (
                "shard_draws", np.array(files.cubes), seconds | {"long_name": "consolidation from shards of this size"}
            ),
            "shards": ("shard_draws", np.array(files.shards), {"units": "1"}),
            "measured_rate": ("chunk_seconds", np.array([row["measured"] for row in rows]), {"units": "s-1"}),
            "predicted_rate": ("chunk_seconds", np.array([row["predicted"] for row in rows]), {"units": "s-1"}),
        },
        {
            "workers": np.array(workers),
            "chunks": np.array(counts),
            "progress": np.linspace(0.0, 1.0, _MARKS),
            "shard_draws": np.array(files.sizes),
            "chunk_seconds": np.array([row["chunk_seconds"] for row in rows]),
        },
    )  # fmt: skip
    cube.attrs = cube_attributes("Cost of a chunk, and how a run scales", asdict(setting), load_average())
    cube.attrs |= {f"cost_{name}": value for name, value in found["costs"].items()}
    return cube


def _resampled(values: list[float]) -> NDArray[np.float64]:
    """As many marks for a run of few chunks as for others."""
    return np.interp(np.linspace(0.0, 1.0, _MARKS), np.linspace(0.0, 1.0, len(values)), values)


@contextmanager
def _workspace(folder: BenchFolder) -> Iterator[Path]:
    """A folder on the disk that is measured, for files that nobody keeps."""
    with TemporaryDirectory(prefix=".files-", dir=folder.path) as name, at_stop(lambda: shutil.rmtree(name)):
        yield Path(name)


def run_dispatch(folder: BenchFolder, setting: Setting, progress: Progress) -> dict[str, Any]:
    """Measure, fit the model, hold it against a simulation, and write cube and figure.

    Parameters
    ----------
    folder
        Where to, and whose disk is measured; an earlier study in it is replaced.
    setting
        What to measure.
    progress
        Told of every lap.

    Returns
    -------
    dict
        costs, dispatch (a row for each number of workers and chunks), simulation, model, most_workers,
        memory_growth (bytes a chunk), machine, load average before and after, files.

    Raises
    ------
    UsageProblem, DamagedData
        If the folder cannot be written to, or holds something else.
    """
    folder.prepare("dispatch", asdict(setting), resume=False)
    before = load_average()
    with _workspace(folder) as place:
        progress.say("committing and consolidating shards")
        files = measure_files(place, load_job(setting.job), setting)
        appends = measure_journal(Journal(place / "journal.jsonl"), setting.appends)
        laps = measure_dispatch(setting, place, progress)
        sleeping = measure_simulation(setting, Journal(place / "simulation.jsonl"), progress)
    costs = costs_of(laps, appends, files)
    found: dict[str, Any] = {
        "settings": asdict(setting),
        "costs": asdict(costs),
        "dispatch": [
            {"workers": workers, "chunks": count, "seconds": taken.wall, "cpu_seconds": taken.cpu,
             "memory_first": taken.memory[0], "memory_last": taken.memory[-1]}
            for (workers, count), taken in laps.empty.items()
        ],
        "committing": _committing_rows(laps, files),
        "memory_growth": growth(laps.empty),
        "simulation": simulation_rows(setting, costs, laps, sleeping),
        "model": model_rows(costs),
        "most_workers": most_workers(costs),
        "machine": machine(),
        "load_average": {"before": before, "after": load_average()},
    }  # fmt: skip
    folder.write_cube(make_cube(setting, laps, appends, files, found))
    curves = {
        seconds: [(n, forecast(costs, n, 1e9 * n, seconds).utilisation) for n in _figure_workers()]
        for seconds in (1.0, CHUNK_SECONDS, 15.0, LONGEST)
    }
    figure = dispatch_figure(found["simulation"], costs.gap, curves, found["most_workers"])
    return found | {"files": [str(folder.cube), *map(str, save(figure, folder.path, "dispatch"))]}


def _committing_rows(laps: Laps, files: Files) -> list[dict[str, float]]:
    return [
        {
            "draws": size,
            "here_seconds": quartiles(here)[1],
            "worker_seconds": quartiles(laps.committing[size].commits)[1],
            "cpu_seconds": laps.committing[size].cpu,
        }
        for size, here in zip(files.sizes, files.commits, strict=True)
    ]


def _figure_workers() -> list[int]:
    return [round(value) for value in np.geomspace(1, 1e5, 61)]
