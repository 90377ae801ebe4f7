"""Folders for the time of a process, and what is done about those whose process was killed."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .leaving import passing_folder

_LOCK = "in-use"
_YOUNG_SECONDS = 60.0  # between a folder's making and its lock


@contextmanager
def scratch_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a private folder that is gone afterwards, and remove those that killed processes of this user left.

    Whether a process is alive is known by a lock on a file in it, which the kernel takes back however a process ends.

    `prefix`: what such folders' names begin with. `parent`: where they lie; the temporary folder by default.
    """
    parent = parent or Path(tempfile.gettempdir())
    remove_left(prefix, parent)
    with passing_folder(prefix, parent) as folder:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with suppress(OSError):  # a file system without locks, where nobody removes what others left
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        finally:
            os.close(lock)


def remove_left(prefix: str, parent: Path | None = None) -> None:
    """Remove this user's folders of dead processes; from the temporary folder by default."""
    for folder in (parent or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
        with suppress(OSError):  # gone meanwhile, or on a file system without locks
            if _is_left(folder):
                shutil.rmtree(folder)


def _is_left(folder: Path) -> bool:
    found = folder.lstat()
    if not folder.is_dir() or folder.is_symlink() or found.st_uid != os.getuid():
        return False
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - found.st_mtime > _YOUNG_SECONDS
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
