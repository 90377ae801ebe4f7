"""One driver a folder. Two would only waste work: shards are committed whole, under names that their bytes decide."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import SoftFileLease, Timeout

from cluster.leaving import at_stop

from .errors import EnvironmentProblem
from .progress import Progress

FILE = "driver.lock"
#: Seconds after which a driver on another host that gives no sign of life is taken for dead.
LEASE_SECONDS = 30.0
_MARGIN_SECONDS = 10.0


@dataclass(frozen=True)
class Driver:
    """The process that holds a run's folder.

    Attributes
    ----------
    host, pid
        Where it runs.
    """

    host: str
    pid: int

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()


@contextmanager
def hold(folder: Path, progress: Progress) -> Iterator[None]:
    """Be the folder's only driver within this block.

    The lock of a process that died on this machine is taken at once; that of another machine when it has shown no
    sign of life for `LEASE_SECONDS`.

    Raises
    ------
    EnvironmentProblem
        Naming the driver that is there.
    """
    lease = _lease(folder)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        other = driver_of(folder)
        if other is None or not other.is_here:
            progress.say(f"waiting {LEASE_SECONDS:.0f} s for a sign of life of the driver {_name(other)}")
            _acquire_patiently(lease, folder)
        else:
            raise EnvironmentProblem(_refusal(folder, other)) from None
    with at_stop(lambda: (folder / FILE).unlink(missing_ok=True)):
        try:
            yield
        finally:
            lease.release()


def refuse_driver(folder: Path) -> None:
    """Refuse a folder in which a driver is at work.

    Raises
    ------
    EnvironmentProblem
        Naming it.
    """
    other = driver_of(folder)
    if other is not None:
        raise EnvironmentProblem(_refusal(folder, other))


def driver_of(folder: Path) -> Driver | None:
    """The living driver of a folder; None if there is none, or it has been silent for too long."""
    path = folder / FILE
    try:
        age = time.time() - path.stat().st_mtime
        owner = _lease(folder).owner
    except FileNotFoundError:
        return None
    if owner is None or owner.pid is None or owner.hostname is None:
        return None
    driver = Driver(owner.hostname, owner.pid)
    if driver.is_here:
        return driver if _is_that_process(driver.pid, time.time() - age) else None
    return driver if age < LEASE_SECONDS + _MARGIN_SECONDS else None


def _lease(folder: Path) -> SoftFileLease:
    return SoftFileLease(folder / FILE, lease_duration=LEASE_SECONDS)


def _acquire_patiently(lease: SoftFileLease, folder: Path) -> None:
    try:
        lease.acquire(timeout=LEASE_SECONDS + _MARGIN_SECONDS)
    except Timeout:
        raise EnvironmentProblem(_refusal(folder, driver_of(folder))) from None


def _refusal(folder: Path, other: Driver | None) -> str:
    return (
        f"{folder}: another driver is at work there, {_name(other)}; "
        f"crbatch status {folder} follows it, crbatch stop {folder} ends it"
    )


def _name(driver: Driver | None) -> str:
    return "whose host is not known" if driver is None else f"process {driver.pid} on {driver.host}"


def _is_that_process(pid: int, last_sign: float) -> bool:
    """Whether a process lives that was there at the lock's last sign of life: numbers are used again."""
    if pid == os.getpid():
        return True
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= last_sign + 1.0 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
