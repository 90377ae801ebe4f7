"""One driver a folder. Two would only waste work: shards are committed whole, under names that their bytes decide."""

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from crbatch.cluster.leaving import at_stop
from crbatch.results.files import temporary_file
from filelock import LeaseSettingsMismatch, SoftFileLease, Timeout

from ..errors import EnvironmentProblem
from ..terminal.progress import Progress

FILE = "driver.lock"
#: Seconds after which a driver on another host that gives no sign of life is taken for dead.
LEASE_SECONDS = 30.0
_MARGIN_SECONDS = 10.0
_WRITING_SECONDS = 2.0  # between the making of a lock and its content
_LOOK_SECONDS = 0.2
_UNKNOWN = "whose host is not known"


@dataclass(frozen=True)
class Driver:
    """The process that holds a run's folder."""

    host: str
    pid: int

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, among the processes that we see."""
        name, _, namespace = self.host.partition("?pidns-")  # which a container's lock carries
        return name == socket.gethostname() and namespace in ("", f"{Path('/proc/self/ns/pid').stat().st_ino:x}")

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def hold(folder: Path, progress: Progress) -> Iterator[None]:
    """Be the folder's only driver within this block.

    The lock of a process that died on this machine is taken at once; so is what is no lock, such as the empty file
    that a power cut leaves, and that of another machine which has shown no sign of life for `LEASE_SECONDS`.

    Raises EnvironmentProblem, naming the driver that is there, or what keeps the lock from being written.
    """
    lease = _lease(folder)
    try:
        _acquire(lease, folder, progress)
    except OSError as error:
        reason = error.strerror or error
        raise EnvironmentProblem(
            f"{folder / FILE}: cannot be written ({reason}); make room, or choose another -o"
        ) from None
    with at_stop(lambda: (folder / FILE).unlink(missing_ok=True)):
        try:
            yield
        finally:
            lease.release()


def _acquire(lease: SoftFileLease, folder: Path, progress: Progress) -> None:
    end = time.monotonic() + LEASE_SECONDS + _MARGIN_SECONDS
    waiting = False
    while True:
        with _one_at_a_time(folder):
            _retire(folder, progress)
            with suppress(Timeout, LeaseSettingsMismatch):
                lease.acquire(timeout=0)
                return
        other = driver_of(folder)
        if (other is not None and other.is_here) or time.monotonic() > end:
            raise EnvironmentProblem(_refusal(folder, other))
        if not waiting:
            progress.say(f"waiting up to {LEASE_SECONDS:.0f} s for a sign of life of the driver {other or _UNKNOWN}")
        waiting = True
        time.sleep(_LOOK_SECONDS)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let no other process of this machine judge and take the lock meanwhile: it could retire ours."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _retire(folder: Path, progress: Progress) -> None:
    """Take away what is no lock, and the lock of another machine's driver that has long been silent."""
    path = folder / FILE
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        os.replace(path, path.with_name(f"{FILE}.damaged"))
        return
    with temporary_file(folder) as stamp:  # by the clock that stamps the folder's files, which may be a server's
        silent = stamp.stat().st_mtime - status.st_mtime
    driver = _named(folder)
    if driver is None:
        if silent > _WRITING_SECONDS:
            path.unlink(missing_ok=True)
    elif not driver.is_here and silent > LEASE_SECONDS + _MARGIN_SECONDS:
        progress.say(f"the driver {driver} has been silent for {silent:.0f} s; going on")
        path.unlink(missing_ok=True)


def refuse_driver(folder: Path) -> None:
    """Refuse a folder in which a driver is at work.

    Raises EnvironmentProblem, naming it.
    """
    other = driver_of(folder)
    if other is not None:
        raise EnvironmentProblem(_refusal(folder, other))


def driver_of(folder: Path) -> Driver | None:
    """The living driver of a folder; None if there is none, or it has been silent for too long."""
    path = folder / FILE
    try:
        age = time.time() - path.lstat().st_mtime
    except FileNotFoundError:
        return None
    driver = _named(folder)
    if driver is None:
        return None
    lives = _holds(driver.pid, path) if driver.is_here else age < LEASE_SECONDS + _MARGIN_SECONDS
    return driver if lives else None


def _named(folder: Path) -> Driver | None:
    """The driver that the lock names, living or not; None if there is no whole lock."""
    owner = _lease(folder).owner
    if owner is None or owner.pid is None or owner.hostname is None:
        return None
    return Driver(owner.hostname, owner.pid)


def _lease(folder: Path) -> SoftFileLease:
    return SoftFileLease(folder / FILE, lease_duration=LEASE_SECONDS)


def _refusal(folder: Path, other: Driver | None) -> str:
    return (
        f"{folder}: another driver is at work there, {other or _UNKNOWN}; "
        f"crbatch status {folder} follows it, crbatch stop {folder} ends it"
    )


def _holds(pid: int, path: Path) -> bool:
    """Whether a process has the lock open, as its holder does: numbers are used again, and locks can be forged."""
    if pid == os.getpid():
        return True
    try:
        process = psutil.Process(pid)
        try:
            return any(os.path.samefile(file.path, path) for file in process.open_files())
        except psutil.AccessDenied:  # another user's
            return bool(process.create_time() <= path.lstat().st_mtime + 1.0)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
