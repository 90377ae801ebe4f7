"""What comes of reading a file of draws."""

from pathlib import Path

from crbatch.jobs.drops import Drops, read_drops


def outcome(path: Path) -> Drops | str:
    """The draws, or the type and words of the ValueError; other exceptions pass."""
    try:
        return read_drops(path)
    except ValueError as error:
        return f"{type(error).__name__}: {error}"
