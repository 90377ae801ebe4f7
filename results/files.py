"""Files that are whole or not there, whatever ends the process or the machine.

Written under a temporary name, brought to the disk, renamed; then the folder is brought to the disk, too. A temporary
name is unpredictable, opened exclusively, and says which process of which machine writes it, so that the next run can
remove what a dead one left.
"""

import errno
import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil

_TEMPORARY = re.compile(r"\.[0-9a-f]{32}\.([A-Za-z0-9_-]*)\.(\d+)(\.[a-z]+)*\.tmp")
_FORGOTTEN_SECONDS = 86_400.0  # of another machine's file, whose process cannot be looked for


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", platform.node())[:64]


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Bring a closed file's bytes to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename in a folder last through a power cut, where the file system can do that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems know no fsync of a folder
            raise
    finally:
        os.close(descriptor)


def _temporary(folder: Path, suffix: str) -> Path:
    return folder / f".{uuid4().hex}.{_host()}.{os.getpid()}{suffix}"


@contextmanager
def temporary_file(folder: Path, suffix: str = ".tmp") -> Iterator[Path]:
    """Give a private temporary name in a folder; whatever is still there at the end is removed."""
    path = _temporary(folder, suffix)
    # Not tempfile's 0600: others may read results, if the user's umask lets them.
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        os.close(descriptor)
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder in a folder, which is removed at the end."""
    path = _temporary(folder, ".tmp")
    path.mkdir()
    try:
        yield path
    finally:
        _remove(path)


@contextmanager
def placed_file(path: Path, suffix: str = ".tmp", place: Callable[[Path, Path], None] = os.replace) -> Iterator[Path]:
    """Give a temporary name; what the block writes there is brought to the disk and then to its place, to last."""
    with temporary_file(path.parent, suffix) as temporary:
        yield temporary
        sync_file(temporary)
        place(temporary, path)
    sync_folder(path.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a small file in one step that lasts; a link in its place is replaced, not followed.

    Raises OSError with the path, if the disk is full or the folder cannot be written to; what was there stays.
    """
    try:
        with placed_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def replace_text(path: Path, text: str) -> None:
    """Write a small text file (UTF-8) as `replace_file` does."""
    replace_file(path, text.encode())


def create_text(path: Path, text: str) -> None:
    """Write a text file that must not be there yet, whole or not at all.

    Raises FileExistsError if it is there; OSError if it cannot be written.
    """
    with placed_file(path, place=os.link) as temporary:  # which fails where a rename would replace
        temporary.write_text(text, encoding="utf-8")


def remove_temporaries(folder: Path, processes: Collection[int]) -> None:
    """Remove what processes of this machine, which are no more, were writing in a folder."""
    for path, host, process, _ in _temporaries(folder):
        if host == _host() and process in processes:
            _remove(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that died were writing in a folder."""
    for path, host, process, last_sign in _temporaries(folder):
        if _is_dead(process, last_sign) if host == _host() else time.time() - last_sign > _FORGOTTEN_SECONDS:
            with suppress(PermissionError):  # another user's, which does no harm
                _remove(path)


def _temporaries(folder: Path) -> Iterator[tuple[Path, str, int, float]]:
    """What is temporary in a folder, with the machine and the process that write it, and when that last did."""
    with suppress(FileNotFoundError):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found:
                with suppress(FileNotFoundError):
                    yield path, found[1], int(found[2]), path.lstat().st_mtime


def _is_dead(process: int, last_sign: float) -> bool:
    """Whether a process of this machine is no more; its number may be another's since."""
    try:
        return bool(psutil.Process(process).create_time() > last_sign + 1.0)
    except psutil.NoSuchProcess:
        return True
