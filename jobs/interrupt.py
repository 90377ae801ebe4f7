"""Ctrl-C and SIGTERM, so that neither gets lost nor tears a lock in two.

An exception that a signal raises may come anywhere: within a callback of a C library, which swallows it, or between
a library's taking of a lock and its noting so, after which nobody gets the lock again. While chunks are computed, the
wish is therefore only written down, and the run looks at it after every chunk; a second signal does not wait.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_wished = False
_deferred = False


def listen() -> None:
    """Take SIGINT (unless the parent had it ignored) and SIGTERM for a wish to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)


def _note(number: int, frame: FrameType | None) -> None:
    global _wished
    first, _wished = not _wished, True
    if not (_deferred and first):
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[None]:
    """Within this block the first signal only makes a note, for `stop_if_wished`."""
    global _deferred
    _deferred = True
    try:
        yield
    finally:
        _deferred = False
    stop_if_wished()


def stop_if_wished() -> None:
    """Raise the interrupt that a signal asked for.

    Raises
    ------
    KeyboardInterrupt
        If a signal came.
    """
    if _wished:
        raise KeyboardInterrupt
