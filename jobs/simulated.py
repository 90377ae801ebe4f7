"""Chunks without work, whose receipts are real: for measuring what surrounds the work."""

import time
from typing import Any


def empty_chunk(start: int) -> dict[str, Any]:
    """Return a receipt like that of `jobs.task.compute`, of about 300 bytes, for no work."""
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
