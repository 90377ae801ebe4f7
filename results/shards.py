"""Shards: the finished draws of one chunk, committed so that a crash leaves all of it or nothing.

A shard's name carries its range of draws and the hash of its bytes; nothing else counts as done.
"""

import errno
import hashlib
import os
import re
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import netCDF4
import xarray as xr

from .errors import DamagedData
from .schema import STATUS_FLAGS

UNCERTIFIED = next(value for value, name in STATUS_FLAGS.items() if name == "uncertified")
_LOCK = threading.Lock()  # HDF5 is not safe for threads
_NAME = re.compile(r"draws-(\d{8,})-(\d{8,})-([0-9a-f]{64})\.nc")


@dataclass(frozen=True, order=True)
class Shard:
    """A committed file of draws start to stop - 1.

    Attributes
    ----------
    start, stop
        Range of draws.
    sha256
        Hash of the file's bytes, as its name says.
    path
        Where it is.
    """

    start: int
    stop: int
    sha256: str
    path: Path


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


@contextmanager
def temporary_file(folder: Path, suffix: str) -> Iterator[Path]:
    """Give a private temporary name in a folder; whatever is still there at the end is removed."""
    path = folder / f".{uuid4().hex}.{os.getpid()}{suffix}"
    # Not tempfile's 0600: others may read results, if the user's umask lets them.
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        os.close(descriptor)
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_temporaries(folder: Path, processes: Collection[int]) -> None:
    """Remove what processes of this machine, which are no more, were writing in a folder."""
    for path in folder.glob(".*.tmp"):
        if any(f".{process}." in path.name for process in processes):
            path.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Bring a closed file's bytes to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def commit_shard(dataset: xr.Dataset, folder: Path, start: int, stop: int) -> Shard:
    """Write a shard: temporary name, close, fsync, hash, rename, fsync of the folder.

    Parameters
    ----------
    dataset
        The draws, with the attributes that say which job and code they are of.
    folder
        Where shards are.
    start, stop
        Range of draws.

    Returns
    -------
    Shard
        The committed file; the one that was there if an equal one was.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written to; nothing is left behind.
    """
    with temporary_file(folder, ".nc.tmp") as temporary:
        try:
            _write(dataset, temporary)
        except (PermissionError, RuntimeError) as error:  # what HDF5 makes of a full disk
            raise OSError(f"{folder}: the shard could not be written ({error}); is the disk full?") from error
        sync_file(temporary)
        digest = file_hash(temporary)
        final = folder / f"draws-{start:08d}-{stop:08d}-{digest}.nc"
        os.replace(temporary, final)
    sync_folder(folder)
    return Shard(start, stop, digest, final)


def _write(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as NetCDF-4, as it is.

    `to_netcdf` takes twice as long for a small shard, asks the scheduler of a Dask worker for a lock at every variable,
    and loads Dask's arrays for nothing.
    """
    with _LOCK, netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.set_fill_off()  # all of it will be written
        file.setncatts(dataset.attrs)
        for dim, size in dataset.sizes.items():
            file.createDimension(str(dim), size)
        for name, array in dataset.variables.items():
            kind: Any = str if array.dtype == object else array.dtype
            variable = file.createVariable(str(name), kind, tuple(map(str, array.dims)))
            variable.setncatts(array.attrs)
            variable[:] = array.values


def commit_bytes(content: bytes, folder: Path, start: int, stop: int, sha256: str) -> Shard:
    """Commit a shard that was written elsewhere and came as bytes.

    Raises
    ------
    DamagedData
        If the bytes do not have that hash.
    OSError
        If the disk is full or the folder cannot be written to; nothing is left behind.
    """
    final = folder / f"draws-{start:08d}-{stop:08d}-{sha256}.nc"
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedData(f"{final}: came with other bytes than its worker wrote")
    with temporary_file(folder, ".nc.tmp") as temporary:
        temporary.write_bytes(content)
        sync_file(temporary)
        os.replace(temporary, final)
    sync_folder(folder)
    return Shard(start, stop, sha256, final)


def list_shards(folder: Path) -> list[Shard]:
    """List the shards of a folder by their names, in draw order; other files are not looked at."""
    if not folder.is_dir():
        return []
    found = []
    for entry in folder.iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append(Shard(int(match[1]), int(match[2]), match[3], entry))
    return sorted(found)


def verify_shard(shard: Shard) -> None:
    """Compare a shard's bytes with its name.

    Raises
    ------
    DamagedData
        If they differ.
    """
    if file_hash(shard.path) != shard.sha256:
        raise DamagedData(f"{shard.path}: its bytes do not have the hash in its name")


def shard_attrs(shard: Shard) -> dict[str, Any]:
    """Return the global attributes of a shard.

    Raises
    ------
    DamagedData
        If the file cannot be read.
    """
    try:
        with netCDF4.Dataset(shard.path) as file:
            return {name: file.getncattr(name) for name in file.ncattrs()}
    except OSError as error:
        raise DamagedData(f"{shard.path}: not a readable NetCDF file ({error})") from error


def count_uncertified(path: Path) -> int:
    """How many designs of a shard have a certificate that does not hold."""
    with netCDF4.Dataset(path) as file:
        return int((file["status"][:] == UNCERTIFIED).sum())


def covering(shards: Sequence[Shard], count: int) -> tuple[list[tuple[Shard, int, int]], list[tuple[int, int]]]:
    """Choose which shard gives which draws.

    Parameters
    ----------
    shards
        Any number, perhaps overlapping (equal draws have equal values).
    count
        How many draws are wanted.

    Returns
    -------
    tuple
        (shard, first draw, last draw + 1) in draw order without overlap, and the ranges that none covers.
    """
    cover: list[tuple[Shard, int, int]] = []
    missing: list[tuple[int, int]] = []
    at = 0
    for shard in sorted(shards):
        if at >= count:
            break
        if shard.stop <= at:
            continue
        if shard.start > at:
            missing.append((at, min(shard.start, count)))
            at = shard.start
        if at < count:
            cover.append((shard, at, min(shard.stop, count)))
            at = shard.stop
    if at < count:
        missing.append((at, count))
    return cover, missing
