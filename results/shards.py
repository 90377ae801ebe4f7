"""Shards: the finished draws of one chunk, committed so that a crash leaves all of it or nothing.

A shard's name carries its range of draws and the hash of its bytes; nothing else counts as done.
"""

import hashlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import DamagedData
from .files import file_hash, placed_file, sync_file, sync_folder, temporary_file
from .schema import STATUS

_LOCKING = "HDF5_USE_FILE_LOCKING"
_CONTENT = "content_sha256"
_LOCK = threading.Lock()  # HDF5 is not safe for threads
_NAME = re.compile(r"draws-(\d{8,})-(\d{8,})-([0-9a-f]{64})\.nc")


@dataclass(frozen=True, order=True)
class Shard:
    """A committed file of draws start to stop - 1."""

    start: int
    stop: int
    sha256: str  # of the file's bytes, as its name says
    path: Path


def commit_shard(dataset: xr.Dataset, folder: Path, start: int, stop: int) -> Shard:
    """Write a shard: temporary name, close, fsync, hash, rename, fsync of the folder.

    `dataset`: the draws, with the attributes that say which job and code they are of. `folder`: where shards are.
    `start`, `stop`: range of draws. Result: the committed file; the one that was there if an equal one was. Raises
    OSError if the disk is full or the folder cannot be written to; nothing is left behind.
    """
    with temporary_file(folder, ".nc.tmp") as temporary:
        try:
            _write(dataset, temporary)
        except (PermissionError, RuntimeError) as error:  # what HDF5 makes of a full disk
            raise not_written(folder, error) from error
        sync_file(temporary)
        digest = file_hash(temporary)
        final = folder / f"draws-{start:08d}-{stop:08d}-{digest}.nc"
        os.replace(temporary, final)
    sync_folder(folder)
    return Shard(start, stop, digest, final)


def not_written(path: Path, error: Exception) -> OSError:
    """What to raise when HDF5 could not write, which tells no reason: locks that a user insists on may be one."""
    hint = "is the disk full?"
    if os.environ.get(_LOCKING, "FALSE").upper() not in ("FALSE", "0"):
        hint = f"is the disk full, or has it no locks? Then set {_LOCKING}=FALSE"
    return OSError(f"{path}: could not be written ({error}); {hint}")


def _write(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset as NetCDF-4, as it is.

    `to_netcdf` takes twice as long for a small shard, asks the scheduler of a Dask worker for a lock at every variable,
    and loads Dask's arrays for nothing.
    """
    with _LOCK, netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        file.set_fill_off()  # all of it will be written
        file.setncatts(dataset.attrs)
        file.setncattr(_CONTENT, _content_hash((str(name), one.values) for name, one in dataset.variables.items()))
        for dim, size in dataset.sizes.items():
            file.createDimension(str(dim), size)
        for name, array in dataset.variables.items():
            kind: Any = str if array.dtype == object else array.dtype
            variable = file.createVariable(str(name), kind, tuple(map(str, array.dims)))
            variable.setncatts(array.attrs)
            variable[:] = array.values


def commit_bytes(content: bytes, folder: Path, start: int, stop: int, sha256: str) -> Shard:
    """Commit a shard that was written elsewhere and came as bytes.

    Raises DamagedData if the bytes do not have that hash; OSError if the disk is full or the folder cannot be written
    to; nothing is left behind.
    """
    final = folder / f"draws-{start:08d}-{stop:08d}-{sha256}.nc"
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedData(f"{final}: came with other bytes than its worker wrote")
    with placed_file(final, ".nc.tmp") as temporary:
        temporary.write_bytes(content)
    return Shard(start, stop, sha256, final)


def list_shards(folder: Path) -> list[Shard]:
    """List the shards of a folder by their names, in draw order; what is no regular file is none."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        named = [(entry, _NAME.fullmatch(entry.name)) for entry in entries if entry.is_file(follow_symlinks=False)]
        return sorted(Shard(int(name[1]), int(name[2]), name[3], Path(entry)) for entry, name in named if name)


def strangers(folder: Path) -> list[Path]:
    """List what has a shard's name and is none, such as a pipe, a folder or a link."""
    with os.scandir(folder) as entries:
        named = [entry for entry in entries if _NAME.fullmatch(entry.name)]
        return sorted(Path(entry) for entry in named if not entry.is_file(follow_symlinks=False))


def verify_shard(shard: Shard) -> None:
    """Compare a shard's bytes with its name.

    Raises DamagedData if they differ.
    """
    if file_hash(shard.path) != shard.sha256:
        raise DamagedData(f"{shard.path}: its bytes do not have the hash in its name")


@contextmanager
def opened(shard: Shard) -> Iterator[netCDF4.Dataset]:
    """Open a shard whose bytes are those that its name promises.

    Raises DamagedData if they are not, or it is no NetCDF file.
    """
    verify_shard(shard)
    with reading(shard):
        file = netCDF4.Dataset(shard.path)
    with file:
        file.set_auto_maskandscale(False)
        yield file


@contextmanager
def reading(shard: Shard) -> Iterator[None]:
    """Say in one line what goes wrong with a shard's content.

    Raises DamagedData for whatever the libraries make of it; OSError if the system cannot read it.
    """
    try:
        yield
    except (OSError, RuntimeError, LookupError, AttributeError, TypeError, ValueError) as error:
        of_the_system = isinstance(error, OSError) and (error.errno or 0) > 0  # NetCDF's own are negative
        if of_the_system or isinstance(error, DamagedData):
            raise
        raise DamagedData(f"{shard.path}: no shard that can be read ({error})") from error


def _content_hash(arrays: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """Hash of names, shapes, types and numbers, coordinates included."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays):
        values = np.array([str(one) for one in array.ravel()]) if array.dtype == object else array
        digest.update(f"{name} {array.shape} {values.dtype.str}\n".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def check_labels(file: netCDF4.Dataset, shard: Shard, labels: Mapping[str, Sequence[Any]]) -> None:
    """Hold a shard's coordinates against its name and what they should be.

    `file`, `shard`: the shard, open. `labels`: coordinates apart from the draw, by name. Raises DamagedData if it has
    other draws than its name says, or other coordinates.
    """
    wanted = {**labels, "draw": range(shard.start, shard.stop)}
    with reading(shard):
        for name, values in wanted.items():
            if file[name].dimensions != (name,) or np.asarray(file[name][:]).tolist() != list(values):
                raise DamagedData(f"{shard.path}: its {name} is not what it should be; it was renamed or changed")


def shard_attrs(shard: Shard) -> dict[str, Any]:
    """Return the global attributes of a shard.

    Raises DamagedData if its bytes are not those of its name, or it cannot be read.
    """
    with opened(shard) as file, reading(shard):
        return {name: file.getncattr(name) for name in file.ncattrs()}


def check_content(shard: Shard, labels: Mapping[str, Sequence[Any]]) -> None:
    """Hold what is in a shard, whose bytes were verified, against its name, `labels` and what was written.

    Raises DamagedData as `check_labels`, or if its numbers were changed since, and its name with them.
    """
    with reading(shard), netCDF4.Dataset(shard.path) as file:
        file.set_auto_maskandscale(False)
        check_labels(file, shard, labels)
        found = _content_hash((name, np.asarray(variable[...])) for name, variable in file.variables.items())
        if found != file.getncattr(_CONTENT):
            raise DamagedData(f"{shard.path}: its numbers are not those that were written")


def count_uncertified(path: Path) -> int:
    """How many designs of a shard have a certificate that does not hold."""
    with netCDF4.Dataset(path) as file:
        return int((file["status"][:] == STATUS["uncertified"]).sum())


def covering(shards: Sequence[Shard], count: int) -> tuple[list[tuple[Shard, int, int]], list[tuple[int, int]]]:
    """Choose which shard gives which draws.

    `shards`: any number, perhaps overlapping (equal draws have equal values). `count`: how many draws are wanted.
    Result: (shard, first draw, last draw + 1) in draw order without overlap, and the ranges that none covers.
    """
    cover: list[tuple[Shard, int, int]] = []
    missing: list[tuple[int, int]] = []
    at = 0
    for shard in sorted(shards):
        start, stop = min(shard.start, count), min(shard.stop, count)
        if stop > at:
            if start > at:
                missing.append((at, start))
            if stop > start:
                cover.append((shard, max(at, start), stop))
            at = stop
    if at < count:
        missing.append((at, count))
    return cover, missing
