"""Progress on stderr: a bar with the time left on a terminal, now and then a line elsewhere, or nothing.

Whatever stderr is, Python writes a line as soon as it ends.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crbatch.results.words import duration_text

from .printable import one_line

_LINE_SECONDS = 30.0


class Progress:
    """Tells the user how far a command is."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.animated = not quiet and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """Tell what happens next."""
        if not self.quiet:
            sys.stderr.write(f"{one_line(text)} ...\n")

    def note(self, text: str) -> None:
        """Tell what the user has to know, quiet or not."""
        sys.stderr.write(f"crbatch: {text}\n")

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Show `total` steps of something, of which some are `done`; yields a function that advances by some.

        The time that is left follows from the steps that are made now.
        """
        if self.animated:
            yield from self._animated(label, total, done)
        else:
            yield from self._lines(label, total, done)

    def _animated(self, label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
        from rich import progress as rich
        from rich.console import Console

        columns = (
            *(rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn()),
            *(rich.TimeElapsedColumn(), rich.TextColumn("left"), rich.TimeRemainingColumn()),
        )
        with rich.Progress(*columns, console=Console(stderr=True)) as bars:
            task = bars.add_task(label, total=total, completed=done)
            yield lambda steps: bars.advance(task, steps)

    def _lines(self, label: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
        begun = last = time.monotonic()
        before = done

        def advance(steps: int) -> None:
            nonlocal done, last
            done += steps
            now = time.monotonic()
            if self.quiet or (now - last < _LINE_SECONDS and done < total):
                return
            last = now
            spent = now - begun
            left = spent * (total - done) / (done - before)
            sys.stderr.write(f"{label}: {done} of {total}, {duration_text(spent)}, {duration_text(left)} left\n")

        yield advance
