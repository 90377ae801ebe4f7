"""Simulated chunks through real clusters: what `crbatch bench dispatch` takes the driver's and workers' costs from."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from crbatch.cluster.connect import connect
from crbatch.cluster.dispatch import dispatch
from crbatch.cluster.local import simulated
from crbatch.cluster.machine import usable_cores

from ..folder.journal import Journal
from ..terminal.progress import Progress
from .simulated import commit_items, committing_chunk, empty_chunk, sleeping_chunk

SIMULATED = (0.05, 0.2, 0.5, 1.0)  # s that a simulated chunk sleeps
MARKS = 11  # of memory, along a run


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
    """One run of simulated chunks."""

    wall: float  # s per chunk, of the whole run,
    steady: float  # and of its middle half, without the first and the last round
    cpu: float  # s per chunk of this process, driver and scheduler
    memory: list[float]  # of this process, on the way, bytes
    commits: list[float]  # s of each commit, where chunks commit


def lap(client: Any, function: Callable[[Any], Any], items: Sequence[Any], journal: Journal | None = None) -> Lap:
    """Dispatch simulated chunks and write them down, as a run does."""
    here, chunks = psutil.Process(), len(items)
    marks = {round(i * (chunks - 1) / (MARKS - 1)) for i in range(MARKS)}
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
    total = len(setting.workers()) * len(setting.counts()) + len(setting.sizes())
    with progress.bar("chunks without designs", total) as advance:
        for workers in setting.workers():
            with connect("local", workers) as client:
                lap(client, empty_chunk, warming)
                for count in setting.counts():
                    empty[workers, count] = lap(client, empty_chunk, range(count))
                    advance(1)
        with connect("local", min(usable_cores(), setting.max_workers)) as client:
            for size in setting.sizes():
                items = commit_items(place, f"worker-shards-{size}", size, setting.commits)
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


def growth(laps: Mapping[tuple[int, int], Lap]) -> float:
    """Bytes that the driver's memory grows by for each chunk, from the middle of the longest runs to their end."""
    many = max(count for _, count in laps)
    found = [
        (taken.memory[-1] - taken.memory[len(taken.memory) // 2]) / (many / 2.0)
        for (_, count), taken in laps.items()
        if count == many
    ]
    return float(np.median(found))
