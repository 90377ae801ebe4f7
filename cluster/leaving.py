"""What a process has to undo that is ended by a signal and unwinds nothing: what would outlive it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_undoings: list[Callable[[], object]] = []


@contextmanager
def at_stop(undo: Callable[[], object]) -> Iterator[None]:
    """Call a function, from another thread, if this process is ended by a signal within the block."""
    _undoings.append(undo)
    try:
        yield
    finally:
        _undoings.remove(undo)


def undo_at_stop(undo: Callable[[], object]) -> None:
    """Call a function if this process is ended by a signal, whenever that is."""
    if undo not in _undoings:
        _undoings.append(undo)


def undo_all() -> None:
    """Undo everything, what was begun last first; what cannot be undone keeps nothing else from it."""
    for undo in reversed(tuple(_undoings)):
        with suppress(Exception):
            undo()
