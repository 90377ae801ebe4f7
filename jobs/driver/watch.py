"""Whether a run still gets on: what is said when no chunk was finished for ten times as long as one should take."""

import time
from collections.abc import Callable
from typing import Any

from crbatch.results.words import duration_text

from ..folder.journal import last

_TIMES = 10
_LEAST_SECONDS = 20.0  # workers load kernels before their first chunk, and machines are busy
_ENDS = ("interrupted", "error", "end")


class Watch:
    """Says that nothing was finished for long, then each time the silence has doubled."""

    def __init__(self, chunk_seconds: float, say: Callable[[str], None], workers: Callable[[], str]) -> None:
        self._chunk_seconds = chunk_seconds
        self._say = say
        self._workers = workers
        self.finished()

    def finished(self) -> None:
        """Note that a chunk was finished, or that the wait begins."""
        self._since = time.monotonic()
        self._until = patience(self._chunk_seconds)

    def look(self) -> None:
        """Say so if it has been too long."""
        silent = time.monotonic() - self._since
        if silent >= self._until:
            self._until = 2.0 * silent
            self._say(f"{silence_text(silent, self._chunk_seconds)}; {self._workers()}")


def patience(chunk_seconds: float) -> float:
    """Seconds without a finished chunk that are no cause for worry."""
    return max(_TIMES * chunk_seconds, _LEAST_SECONDS)


def silence_text(silent: float, chunk_seconds: float) -> str:
    """What is said about a silence."""
    return f"nothing finished for {duration_text(silent)}; a chunk should take {duration_text(chunk_seconds)}"


def silence(events: list[dict[str, Any]]) -> str | None:
    """What a journal says about a driver that is at work: for how long nothing was finished, if that is too long."""
    start, step = last(events, "start"), last(events, "start", "connected", "chunk", *_ENDS)
    chunk_seconds = (start or {}).get("chunk_seconds")
    if chunk_seconds is None or step is None or step["event"] in _ENDS:
        return None  # that driver is gone, and the next one waits in a queue
    silent = time.time() - step["time"]
    return silence_text(silent, chunk_seconds) if silent >= patience(chunk_seconds) else None
