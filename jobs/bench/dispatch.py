"""`crbatch bench dispatch`: what a chunk costs beside its designs, and how far one driver carries.

Nothing is designed here but one shard's worth of draws: chunks are simulated, their costs are real.
"""

import itertools
import shutil
import timeit
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
from crbatch.cluster.leaving import at_stop
from crbatch.results.figures.bench import dispatch_figure
from crbatch.results.figures.panels import save
from crbatch.results.shards import Shard
from numpy.typing import ArrayLike, NDArray

from ..chunk.task import Chunk
from ..folder.journal import Journal
from ..jobfile.schema import load_job
from ..terminal.progress import Progress
from .disk import Files, measure_files
from .harness import BenchFolder, circumstances, cube_attributes, load_average, padded, quartiles
from .laps import MARKS, Lap, Laps, Setting, growth, measure_dispatch, measure_simulation
from .model import CHUNK_SECONDS, LONGEST, Costs, forecast, most_workers, rate, smallest_chunk
from .simulated import empty_chunk

WORKERS = (10, 100, 1_000, 10_000)
DESIGNS = (1e6, 1e9)
_CURVE_WORKERS = np.geomspace(1, 1e5, 61).round().astype(int).tolist()
_KEPT = 10_000  # chunks whose bookkeeping is weighed


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
    from_small, from_large = (np.array(files.cubes) / np.multiply(files.shards, files.sizes)).tolist()
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


def make_cube(
    setting: Setting, laps: Laps, sleeping: dict[float, Lap], appends: list[float], files: Files, before: list[float]
) -> xr.Dataset:
    """Every timing, labelled; the model's costs as attributes."""
    workers, counts, progress = setting.workers(), setting.counts(), np.linspace(0.0, 1.0, MARKS)

    def grid(value: Callable[[Lap], ArrayLike]) -> NDArray[np.float64]:
        return np.array([[value(laps.empty[n, count]) for count in counts] for n in workers])

    def resampled(one: Lap) -> NDArray[np.float64]:  # as many marks for a run of few chunks as for others
        return np.interp(progress, np.linspace(0.0, 1.0, len(one.memory)), one.memory)

    def timed(dims: str, values: ArrayLike, text: str) -> Any:
        return (dims.split(), np.asarray(values), {"units": "s", "long_name": text})

    made = [laps.committing[size] for size in files.sizes]
    slept = list(sleeping.values())
    bytes_ = {"units": "byte"}
    cube = xr.Dataset(
        {
            "wall": timed("workers chunks", grid(lambda one: one.wall), "time per empty chunk"),
            "cpu": timed("workers chunks", grid(lambda one: one.cpu), "driver and scheduler, per chunk"),
            "memory": (("workers", "chunks", "progress"), grid(resampled), bytes_ | {"long_name": "resident, driver"}),
            "journal": timed("append", appends, "append to the journal, synced"),
            "commit": timed("shard_draws repeat", padded(files.commits), "commit, driver"),
            "worker_commit": timed("shard_draws chunk", padded([one.commits for one in made]), "commit, in a worker"),
            "commit_cpu": timed(
                "shard_draws", [one.cpu for one in made], "driver and scheduler, per chunk that commits"
            ),
            "consolidation": timed("shard_draws", files.cubes, "consolidation from shards of this size"),
            "memory_growth": ((), growth(laps.empty), bytes_ | {"long_name": "driver's, for each chunk"}),
            "shards": ("shard_draws", files.shards, {"units": "1"}),
            "measured_rate": ("chunk_seconds", [1.0 / one.steady for one in slept], {"units": "s-1"}),
            "simulated_cpu": timed(
                "chunk_seconds", [one.cpu for one in slept], "driver and scheduler, per sleeping chunk"
            ),
        },
        dict(workers=workers, chunks=counts, progress=progress, shard_draws=files.sizes, chunk_seconds=[*sleeping]),
        cube_attributes("Cost of a chunk, and how a run scales", asdict(setting), before),
    )
    cube.attrs |= {f"cost_{name}": value for name, value in asdict(costs_of(laps, appends, files)).items()}
    return cube


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


def _simulation_rows(cube: xr.Dataset, costs: Costs, slots: int) -> list[dict[str, float]]:
    """Predicted beside measured chunks a second; sleeping chunks commit nothing, so they cost what empty ones do."""
    driver = costs.journal + float(cube["cpu"].isel(chunks=-1).max())
    return [
        {
            "chunk_seconds": seconds,
            "slots": slots,
            "asked": slots / seconds,
            "predicted": rate(slots, seconds + costs.gap, driver),
            "measured": cube["measured_rate"].sel(chunk_seconds=seconds).item(),
            "cpu_per_chunk": cube["simulated_cpu"].sel(chunk_seconds=seconds).item(),
            "driver": driver,
        }
        for seconds in cube["chunk_seconds"].values.tolist()
    ]


def _dispatch_rows(cube: xr.Dataset) -> list[dict[str, float]]:
    rows = []
    for workers, chunks in itertools.product(cube["workers"].values.tolist(), cube["chunks"].values.tolist()):
        one = cube.sel(workers=workers, chunks=chunks)
        first, *_, last = one["memory"].values.tolist()
        times = {"seconds": one["wall"].item(), "cpu_seconds": one["cpu"].item()}
        rows.append({"workers": workers, "chunks": chunks, **times, "memory_first": first, "memory_last": last})
    return rows


def _committing_rows(cube: xr.Dataset) -> list[dict[str, float]]:
    return [
        {
            "draws": size,
            "here_seconds": quartiles(cube["commit"].sel(shard_draws=size))[1],
            "worker_seconds": quartiles(cube["worker_commit"].sel(shard_draws=size))[1],
            "cpu_seconds": cube["commit_cpu"].sel(shard_draws=size).item(),
        }
        for size in cube["shard_draws"].values.tolist()
    ]


def report_of(cube: xr.Dataset) -> dict[str, Any]:
    """What a study's cube says, fit for JSON.

    Result: costs, dispatch (a row for each number of workers and chunks), committing, simulation, model, most_workers,
    memory_growth (bytes a chunk), settings, machine, load average before and after.
    """
    costs = Costs(**{one.name: np.asarray(cube.attrs[f"cost_{one.name}"]).item() for one in fields(Costs)})
    around = circumstances(cube)
    return {
        "costs": asdict(costs),
        "dispatch": _dispatch_rows(cube),
        "committing": _committing_rows(cube),
        "memory_growth": cube["memory_growth"].item(),
        "simulation": _simulation_rows(cube, costs, around["settings"]["slots"]),
        "model": model_rows(costs),
        "most_workers": most_workers(costs),
        **around,
    }


def run_dispatch(folder: BenchFolder, setting: Setting, progress: Progress) -> dict[str, Any]:
    """Measure, fit the model, hold it against a simulation, and write cube and figure.

    `folder`: where to, and whose disk is measured; an earlier study in it is replaced. Result: that of `report_of`, and
    files. Raises UsageProblem, DamagedData if the folder cannot be written to, or holds something else.
    """
    folder.prepare("dispatch", asdict(setting), resume=False)
    before = load_average()
    with TemporaryDirectory(prefix=".files-", dir=folder.path) as name, at_stop(lambda: shutil.rmtree(name)):
        place = Path(name)
        progress.say("committing and consolidating shards")
        files = measure_files(place, load_job(setting.job), setting)
        journal = Journal(place / "journal.jsonl")
        appends = timeit.repeat(lambda: journal.write("chunk", **empty_chunk(0)), number=1, repeat=setting.appends)
        laps = measure_dispatch(setting, place, progress)
        sleeping = measure_simulation(setting, Journal(place / "simulation.jsonl"), progress)
    cube = make_cube(setting, laps, sleeping, appends, files, before)
    folder.write_cube(cube)
    found = report_of(cube)
    costs = Costs(**found["costs"])
    curves = {
        seconds: [(n, forecast(costs, n, 1e9 * n, seconds).utilisation) for n in _CURVE_WORKERS]
        for seconds in (1.0, CHUNK_SECONDS, 15.0, LONGEST)
    }
    figure = dispatch_figure(found["simulation"], costs.gap, curves, found["most_workers"])
    return found | {"files": [str(folder.cube), *map(str, save(figure, folder.path, "dispatch"))]}
