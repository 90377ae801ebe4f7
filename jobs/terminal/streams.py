"""Standard streams as they may be: closed, on a full disk, or a pipe that nobody reads any more. The work goes on.

Nothing heavy is imported here: this comes before all else.
"""

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from .printable import one_line

_GONE = (errno.EPIPE, errno.EBADF, errno.EIO)  # nobody wants to read any more; no news for the user


def guard() -> None:
    """Let no failing write on stdout or stderr end the work; what is lost of stdout is said on stderr, once.

    Closed streams are opened on ``/dev/null``: the next file that is opened would get their numbers, and what is
    meant for the terminal.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout, sys.stderr = _text(1, sys.stdout), _text(2, sys.stderr)


def _text(number: int, before: TextIO | None) -> TextIO:
    """A text stream that never fails: not by its file, nor by what the terminal's encoding lacks."""
    encoding = "utf-8" if before is None else before.encoding
    file = _Tolerant(number, "w", closefd=False)
    at_once = number == 2 or file.isatty()
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=at_once)


class _Tolerant(io.FileIO):
    """A file whose writes never fail."""

    _told = False

    def write(self, data: Any, /) -> int:
        """Write, or drop what cannot be written."""
        while True:
            try:
                written = super().write(data)
            except OSError as error:
                if self.fileno() == 1 and error.errno not in _GONE and not self._told:
                    self._told = True
                    why = one_line(error.strerror or str(error))
                    sys.stderr.write(f"crbatch: the answer on stdout is lost ({why})\n")
                return memoryview(data).nbytes
            if written is not None:
                return written
            select.select((), (self,), ())  # of another program that left the terminal non-blocking
