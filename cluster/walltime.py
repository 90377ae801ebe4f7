"""What a worker does near the end of its batch job: begin nothing that it could not finish, and make room."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Receipt = TypeVar("Receipt")

#: Unix time at which the job of this process ends; set by job scripts.
END_VARIABLE = "CRBATCH_END"
_RESERVE_SECONDS = 10.0  # for closing files and saying goodbye
_CAUTION = 1.5  # an item may take longer than the longest before it

_longest = 0.0


class OutOfTime(Exception):
    """The worker's job ends too soon for another item; nothing was done."""


def seconds_left() -> float:
    """Seconds until the batch job of this process ends; infinite outside of one."""
    end = os.environ.get(END_VARIABLE)
    return float(end) - time.time() if end else float("inf")


@dataclass(frozen=True)
class InTime(Generic[Item, Receipt]):
    """A function that is only called where walltime leaves room for what the longest call so far took."""

    function: Callable[[Item], Receipt]

    def __call__(self, item: Item) -> Receipt:
        """Call the function.

        Raises OutOfTime if the job is about to end; its worker then leaves the cluster.
        """
        global _longest
        if seconds_left() < _CAUTION * _longest + _RESERVE_SECONDS:
            _leave()
            raise OutOfTime
        begun = time.monotonic()
        try:
            return self.function(item)
        finally:
            _longest = max(_longest, time.monotonic() - begun)


def _leave() -> None:
    """Close this worker once its answer is out; its queued items go elsewhere."""
    from distributed import get_worker

    worker = get_worker()
    worker.loop.add_callback(worker.close_gracefully, restart=False, reason="walltime")
