"""What a folder can do: write, sync, rename, lock, and be the same one for every machine.

Everything happens in a scratch folder.
"""

import fcntl
import os
import secrets
import statistics
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crbatch.results.files import sync_file, sync_folder

from .facts import filesystem_of

_REPEATS = 5
_PATIENCE = 5.0  # s; as long may a network file system keep an old view of a folder


def folder_facts(place: Path) -> dict[str, Any]:
    """Try a scratch folder out.

    Result: filesystem; sync_file, sync_folder (median seconds, or the error); rename and lock (empty, or what went
    wrong); bytes_free, inodes_free (None where the file system has no limit of them).
    """
    space = os.statvfs(place)  # what a user may take; it knows of no quotas
    return {
        "filesystem": filesystem_of(place),
        "sync_file": _timed(lambda: _write_synced(place / "file", "x" * 4096)),
        "sync_folder": _timed(lambda: sync_folder(place)),
        "rename": _said(lambda: _rename(place)),
        "lock": _said(lambda: _lock(place / "lock")),
        "bytes_free": space.f_bavail * space.f_frsize,
        "inodes_free": space.f_favail if space.f_files else None,
    }


def _timed(action: Callable[[], None]) -> float | str:
    try:
        return statistics.median(timeit.repeat(action, number=1, repeat=_REPEATS))
    except OSError as error:
        return f"{error}"


def _said(action: Callable[[], None]) -> str:
    try:
        action()
    except OSError as error:
        return f"{error}"
    return ""


def _write_synced(path: Path, text: str) -> None:
    path.write_text(text)
    sync_file(path)


def _rename(place: Path) -> None:
    """Replace a file that is being read: the new name has the new bytes, the reader keeps the old ones."""
    old, new = place / "name", place / "temporary"
    old.write_text("old")
    new.write_text("new")
    with old.open() as reader:
        os.replace(new, old)
        if old.read_text() != "new" or reader.read() != "old":
            raise OSError("a replaced file shows neither its old nor its new bytes")


def _lock(path: Path) -> None:
    """Lock a file in both ways there are; a second taker has to be turned away."""
    with path.open("w") as one, path.open("w") as other:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _can_lock(other):
            raise OSError("flock lets two have the same lock")
        fcntl.flock(one, fcntl.LOCK_UN)
        fcntl.lockf(one, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _can_lock(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def held_token(place: Path, token: str) -> Iterator[None]:
    """Lay a token out for the workers, and hold a lock beside it, for as long as they are asked."""
    _write_synced(place / "token", token)
    sync_folder(place)
    with (place / "held").open("w") as file:
        with suppress(OSError):  # `folder_facts` tells of it; the workers' half then says nothing
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def exchange(place: str, token: str) -> dict[str, Any]:
    """Read the driver's token in a worker, and leave one of its own.

    `place`: the scratch folder, as the driver calls it. `token`: what its file must hold. Result: name: of the file
    that was left for the driver; seen: whether the driver's token was there; written: empty, or why ours could not be;
    lock_refused: whether the lock that the driver holds was refused here.
    """
    folder, name = Path(place), f"from-{secrets.token_hex(8)}"
    seen = wait_for(folder / "token", token)
    written = _said(lambda: _write_synced(folder / name, token))
    return {"name": name, "seen": seen, "written": written, "lock_refused": seen and _is_held(folder / "held")}


def wait_for(path: Path, text: str, patience: float = _PATIENCE) -> bool:
    """Whether a file of another machine appears with this text, before patience (s) is over."""
    end = time.monotonic() + patience
    while True:
        # An error says that it is not there yet, or somebody else's: both are "no".
        with suppress(OSError, UnicodeDecodeError), os.scandir(path.parent):  # refreshes a network file system's view
            if path.read_text() == text:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.1)


def _is_held(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            return not _can_lock(file)
    except OSError:
        return False
