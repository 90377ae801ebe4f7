"""A private folder whose files are loaded as code: reached, read and written by descriptor.

Whoever can exchange a file of it, the folder itself or one above it can run code as its user. So the way there is
walked from the root, step by step: each folder belongs to the user or to root, and others may not write to it (or may
not rename what is another's, as in /tmp). What was checked is held by its descriptor, not looked up again by its name.
Test: test_kernelstore.
"""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW  # to pass through, which may be all that is allowed
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe in a file's place holds up nobody
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS = 40
_LOOK_SECONDS = 0.1
_Given = TypeVar("_Given")
_PATIENCE = 900.0  # s; whoever compiles for longer than this has been stopped, not slowed down


class KernelFolder:
    """A folder of the user's own; made where it is missing.

    Parameters
    ----------
    path
        Where it is.
    make
        Whether it is made, with the folders above it, if it is missing.

    Notes
    -----
    All methods raise `OSError` with a path in it: also where a folder or file is not private.
    """

    def __init__(self, path: Path, make: bool = True) -> None:
        self.path = path
        self._make = make
        self._held: int | None = None

    def read(self, name: str) -> bytes | None:
        """Bytes of a file; None if there is none."""
        try:
            descriptor = os.open(name, _FILE, dir_fd=self._descriptor())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._named(error, name) from None
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & _OTHERS_WRITE:
            os.close(descriptor)
            raise OSError(errno.EPERM, "not a file of yours that nobody else can write to", str(self.path / name))
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place, whole; whoever reads meanwhile finds the old one or the new one."""
        self._twice(lambda folder: self._write(folder, name, data), name)

    def _write(self, folder: int, name: str, data: bytes) -> None:
        fresh = f"{name}.{uuid4().hex[:16]}.tmp"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(fresh, dir_fd=folder)
            raise

    def remove(self, beginning: str) -> None:
        """Remove the files whose names begin so."""
        folder = self._descriptor()
        for name in os.listdir(folder):
            if name.startswith(beginning):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)

    def lock(self, name: str, on_wait: Callable[[], object]) -> int:
        """Take a lock that ends with its process, or when the descriptor that is returned is closed.

        `on_wait` is called if somebody else has it. Where there are no locks, or somebody sits on one for a quarter of
        an hour, it goes without.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = self._twice(lambda folder: os.open(name, flags, 0o600, dir_fd=folder), name)
        if not _locked(descriptor):
            on_wait()
            end = time.monotonic() + _PATIENCE
            while not _locked(descriptor) and time.monotonic() < end:
                time.sleep(_LOOK_SECONDS)
        return descriptor

    def _descriptor(self) -> int:
        if self._held is None:
            self._held = _private(self.path, self._make)
        return self._held

    def _twice(self, call: Callable[[int], _Given], name: str) -> _Given:
        """Call with the folder's descriptor; once more if the folder was removed, by its user or at a boot."""
        try:
            try:
                return call(self._descriptor())
            except FileNotFoundError:
                if self._held is not None:
                    os.close(self._held)
                    self._held = None
                return call(self._descriptor())
        except OSError as error:
            raise self._named(error, name) from None

    def _named(self, error: OSError, name: str) -> OSError:
        """The same error, with the path in it that calls by descriptor do not know."""
        path = error.filename if str(error.filename).startswith("/") else str(self.path / name)
        return type(error)(error.errno, error.strerror, path)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # this file system has no locks
    return True


def _private(path: Path, make: bool) -> int:
    """Descriptor of a folder that nobody but its user, and root, can change or exchange."""
    steps = list(reversed(path.absolute().parts[1:]))
    at, links = os.open("/", _FOLDER), 0
    trusted = {0, os.getuid(), os.fstat(at).st_uid}  # in a container, whoever stands for root
    try:
        while steps:
            step = steps.pop()
            try:
                below = _step(at, step, make)
            except OSError as error:
                if links == _MOST_LINKS or not _is_link(at, step, trusted):
                    where = f"{error.strerror} in {_name(at)}, which is user {os.fstat(at).st_uid}'s"
                    raise type(error)(error.errno, where, str(path)) from None
                links += 1
                target = Path(os.readlink(step, dir_fd=at))
                below = os.open("/" if target.is_absolute() else ".", _FOLDER, dir_fd=at)
                steps += reversed([part for part in target.parts if part != "/"])
            os.close(at)
            at = below
            info = os.fstat(at)
            others = info.st_mode & _OTHERS_WRITE and (not steps or not info.st_mode & stat.S_ISVTX)
            if others or info.st_uid not in trusted:
                why = f"not private: others can exchange what is in {_name(at)}"
                raise PermissionError(errno.EPERM, why, str(path))
        if info.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, f"not yours, but user {info.st_uid}'s", str(path))
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
    finally:
        os.close(at)


def _name(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _step(at: int, step: str, make: bool) -> int:
    try:
        return os.open(step, _FOLDER, dir_fd=at)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            os.mkdir(step, 0o700, dir_fd=at)
        return os.open(step, _FOLDER, dir_fd=at)


def _is_link(at: int, step: str, trusted: set[int]) -> bool:
    """Whether this is a link of somebody who could lead us elsewhere anyhow."""
    with suppress(OSError):
        info = os.stat(step, dir_fd=at, follow_symlinks=False)
        return stat.S_ISLNK(info.st_mode) and info.st_uid in trusted
    return False
