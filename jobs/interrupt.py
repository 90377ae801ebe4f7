"""Ctrl-C and SIGTERM, so that neither gets lost.

Python raises KeyboardInterrupt wherever it happens to be, and what it happens to be in may swallow it (a callback
of a C library, a finaliser). So the wish is also written down, and the run looks at it after every chunk.
"""

import signal
from types import FrameType

_wished = False


def listen() -> None:
    """Take SIGINT (unless the parent had it ignored) and SIGTERM for a wish to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)


def _note(number: int, frame: FrameType | None) -> None:
    global _wished
    _wished = True
    raise KeyboardInterrupt


def stop_if_wished() -> None:
    """Raise the interrupt again if somebody swallowed it.

    Raises
    ------
    KeyboardInterrupt
        If a signal came.
    """
    if _wished:
        raise KeyboardInterrupt
