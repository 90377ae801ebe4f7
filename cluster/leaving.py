"""What a process has to undo that is ended by a signal and unwinds nothing: what would outlive it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

_undoings: list[Callable[[], object]] = []


@contextmanager
def at_stop(undo: Callable[[], object]) -> Iterator[None]:
    """Call a function, from another thread, if this process is ended by a signal within the block."""
    _undoings.append(undo)
    try:
        yield
    finally:
        _undoings.remove(undo)


@contextmanager
def passing_folder(prefix: str, parent: Path) -> Iterator[Path]:
    """Make a folder that its owner alone can enter, and remove it however the block or the process ends."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    remove = partial(shutil.rmtree, folder, ignore_errors=True)  # a vanished folder is as good
    with at_stop(remove):
        try:
            yield folder
        finally:
            remove()


def undo_at_stop(undo: Callable[[], object]) -> None:
    """Call a function if this process is ended by a signal, whenever that is."""
    if undo not in _undoings:
        _undoings.append(undo)


def undo_all() -> None:
    """Undo everything, what was begun last first; what cannot be undone keeps nothing else from it."""
    for undo in reversed(tuple(_undoings)):
        with suppress(Exception):
            undo()
