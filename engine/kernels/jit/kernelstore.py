"""Where compiled kernels are kept, and where else if they cannot be kept there: a run goes on without its cache.

A folder that cannot be used (somebody else's, on a full or read-only disk, a file in its place) is said once, in one
line. What is compiled then goes to a stand-in, which all processes that this one starts share, and which is removed
when this one ends.
"""

import atexit
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .kernelfolder import KernelFolder

#: Names the stand-in to the processes that this one starts.
STAND_IN = "CRBATCH_STAND_IN"
STAND_IN_PREFIX = "crbatch-numba-"
_IN_USE = "in-use"  # a file that is locked while the stand-in's maker lives, however it ends
_OTHER_PLACES = ("/tmp", "/dev/shm")
_ROOM = 64 * 2**20  # bytes; all kernels take about half of it

_log = logging.getLogger("crbatch")  # where nobody has set up a log, its lines are on stderr as they are


class KernelStore:
    """Files of kernels: in the usual folder, or a stand-in.

    Parameters
    ----------
    usual
        The folder to use where it can be used.
    """

    def __init__(self, usual: Path) -> None:
        self.usual = KernelFolder(usual)
        inherited = os.environ.get(STAND_IN, "")
        there = os.path.isdir(inherited)  # not on another machine, to which a batch system took the variable
        self._stand_in = KernelFolder(Path(inherited), make=False) if there else None
        self._made: tuple[Path, int] | None = None
        self._keeps = True

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, from the first folder that has it; None if none has."""
        for folder in (self.usual, self._stand_in):
            try:
                data = folder.read(name) if folder else None
            except OSError:
                continue  # what cannot be read is compiled, and to be written then, which tells what is wrong
            if data is not None:
                return data
        return None

    def write(self, name: str, data: bytes) -> None:
        """Keep a file, where anything can be kept."""
        while self._keeps:
            try:
                return self._writable().write(name, data)
            except OSError as error:
                self._give_up(error)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Hold the store's lock, so that of several processes one compiles and the others wait for it.

        Yields
        ------
        bool
            Whether anything can be kept.
        """
        held = None
        while self._keeps and held is None:
            folder = self._writable()
            try:
                held = folder.lock("lock", self._say_waiting)
                _check_room(folder.path)
            except OSError as error:
                self._give_up(error)
        try:
            yield self._keeps
        finally:
            if held is not None:
                os.close(held)

    def trouble(self) -> str:
        """Why the usual folder cannot be used; empty if it can. For this it is tried out."""
        name = f"try-{os.getpid()}"
        try:
            self.usual.write(name, b"")
            self.usual.remove(name)
            _check_room(self.usual.path)
        except OSError as error:
            return _words(error)
        return ""

    def remove_stand_in(self) -> None:
        """Remove the stand-in that this process made; one of its parent's stays."""
        if self._made and self._made[1] == os.getpid():
            shutil.rmtree(self._made[0], ignore_errors=True)
            os.environ.pop(STAND_IN, None)

    def _writable(self) -> KernelFolder:
        return self._stand_in or self.usual

    def _give_up(self, error: OSError) -> None:
        """Go on without the folder that was to be written to."""
        folder = _new_folder() if self._made is None else None
        if folder is None:
            self._keeps = False
            _say(f"warning: {_words(error)}; kernels are not kept: every process compiles its own, for minutes")
            return
        self._made, self._stand_in = (folder.path, os.getpid()), folder
        os.environ[STAND_IN] = str(folder.path)
        atexit.register(self.remove_stand_in)
        told = f"{_words(error)}; kernels are compiled into {folder.path} for this run alone (see crbatch doctor)"
        _say(f"warning: {told}")

    def _say_waiting(self) -> None:
        _say(f"another process compiles the kernels into {self._writable().path}; waiting for it")


def _say(words: str) -> None:
    _log.warning("crbatch: %s", words)


def _words(error: OSError) -> str:
    return f"kernel cache {error.filename}: {error.strerror}"


def _check_room(path: Path) -> None:
    info = os.statvfs(path)
    if info.f_bavail * info.f_frsize < _ROOM:
        raise OSError(errno.ENOSPC, f"less than {_ROOM >> 20} MiB are free", str(path))


def _new_folder() -> KernelFolder | None:
    """A private folder for as long as a run lasts; None if there is room for it nowhere."""
    for place in dict.fromkeys((_temporary(), *_OTHER_PLACES)):
        with suppress(OSError):  # the next one may do
            _check_room(Path(place))
            path = Path(tempfile.mkdtemp(prefix=f"{STAND_IN_PREFIX}{os.getpid()}-", dir=place))
            folder = KernelFolder(path, make=False)
            try:
                folder.lock(_IN_USE, lambda: None)
            except OSError:
                path.rmdir()
                continue
            return folder
    return None


def _temporary() -> str:
    """The folder for temporary files, as the environment names it: not the next best, if that one is full."""
    named = filter(None, (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")))
    return next((path for path in named if os.path.isdir(path)), "/tmp")


def usual_root() -> Path:
    """Folder that the user names in NUMBA_CACHE_DIR, or one of the user's own among the temporary files."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    return Path(named).absolute() if named else Path(_temporary()).absolute() / f"crbatch-{os.getuid()}"
