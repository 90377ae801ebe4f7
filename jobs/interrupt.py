"""Ctrl-C, SIGTERM, SIGHUP and SIGUSR1, so that none gets lost or tears a lock in two.

An exception that a signal raises may come anywhere: within a callback of a C library, which swallows it, or between
a library's taking of a lock and its noting so, after which nobody gets the lock again. While chunks are computed, the
wish is therefore only written down, and the run looks at it after every chunk; a second signal does not wait.

SIGUSR1, which batch systems send before walltime, asks to drain: what has begun is finished, and nothing more begun.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_wished = False
_deferred = False
_draining = False


def listen() -> None:
    """Take SIGINT, SIGTERM and SIGHUP (unless the parent had them ignored) for a wish to stop, SIGUSR1 to drain."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    signal.signal(signal.SIGUSR1, _drain)


def _drain(number: int, frame: FrameType | None) -> None:
    global _draining
    _draining = True


def draining() -> bool:
    """Whether nothing more is to be begun."""
    return _draining


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
