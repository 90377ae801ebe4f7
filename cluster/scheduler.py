"""Options of the schedulers that run in this process, so that its memory does not grow with the number of tasks."""

from collections.abc import Iterable
from typing import Any

from distributed.scheduler import DEFAULT_EXTENSIONS
from distributed.spans import SpanMetadata, SpansSchedulerExtension


class _Spans(SpansSchedulerExtension):
    """Dask's own, which would keep a note of every submission until the scheduler ends: 0.2 kB for each task."""

    def observe_tasks(self, tss: Iterable[Any], code: tuple[Any, ...], span_metadata: SpanMetadata) -> Any:
        return super().observe_tasks(tss, code, SpanMetadata(collections=[]))


def scheduler_options() -> dict[str, Any]:
    """Options of a scheduler for `dispatch`, which answers the loss of a worker itself, at once."""
    return {"allowed_failures": 0, "extensions": {**DEFAULT_EXTENSIONS, "spans": _Spans}}
