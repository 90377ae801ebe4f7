"""Chunks without designs, whose receipts and shards are real: for measuring what surrounds the work."""

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crbatch.results.shards import Shard, commit_shard

TEMPLATE = "template.nc"  # draws that were designed once, in the folder of a study


def empty_chunk(start: int) -> dict[str, Any]:
    """Return a receipt like that of `chunk.task.compute`, of about 300 bytes, for no work."""
    return {
        "start": start,
        "stop": start + 1,
        "sha256": f"{start:064x}",
        "bytes": 22_000_000,
        "evaluate_seconds": 4.0533,
        "commit_seconds": 0.2367,
        "host": "x" * 64,
    }


def sleeping_chunk(item: tuple[int, float]) -> dict[str, Any]:
    """Sleep for the seconds that come with a chunk's number, and return its receipt."""
    start, seconds = item
    time.sleep(seconds)
    return empty_chunk(start)


@dataclass(frozen=True)
class CommitItem:
    """A shard to commit: the first `draws` of those in a template file, as draws from `start` on."""

    template: str
    folder: str
    start: int
    draws: int


def commit_items(place: Path, name: str, draws: int, count: int) -> list[CommitItem]:
    """Shards to commit into a new folder of this name, all of as many draws of the template beside it."""
    (place / name).mkdir()
    return [CommitItem(str(place / TEMPLATE), str(place / name), i * draws, draws) for i in range(count)]


@lru_cache(maxsize=2)
def _template(path: str) -> xr.Dataset:
    return xr.load_dataset(path)


def commit_draws(item: CommitItem) -> tuple[Shard, float]:
    """Commit draws that are designed already: the shard, and the seconds it took."""
    part = _template(item.template).isel(draw=slice(0, item.draws))
    numbers = np.arange(item.start, item.start + item.draws, dtype=np.int64)
    part = part.assign_coords(draw=("draw", numbers, dict(part["draw"].attrs)))
    begun = time.perf_counter()
    shard = commit_shard(part, Path(item.folder), item.start, item.start + item.draws)
    return shard, time.perf_counter() - begun


def committing_chunk(item: CommitItem) -> dict[str, Any]:
    """Commit in place of designing, and return a chunk's receipt."""
    _, seconds = commit_draws(item)
    return empty_chunk(item.start) | {"commit_seconds": seconds}
