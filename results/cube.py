"""Consolidation: shards into one NetCDF-4 cube whose bytes depend on the job and its data alone.

The cube is written in blocks of draws whose size follows from the shapes only, so shard sizes leave no trace;
each block goes to disk in whole HDF5 chunks, variable by variable. Memory is one block, however many shards.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .schema import VARIABLES
from .shards import Shard, file_hash, sync_file, sync_folder, temporary_file

_BLOCK_BYTES = 32 * 2**20
_CHUNK_BYTES = 4 * 2**20  # well below HDF5's chunk cache: a larger chunk would change the file's bytes

Cover = Sequence[tuple[Shard, int, int]]


def write_cube(
    cover: Cover,
    path: Path,
    count: int,
    attrs: Mapping[str, str],
    on_block: Callable[[int, int], None] | None = None,
) -> str:
    """Write the cube of draws 0 to count - 1.

    Parameters
    ----------
    cover
        Which shard gives which draws, complete and in draw order, as `shards.covering` has it.
    path
        The cube, replaced in one step when complete.
    count
        Number of draws.
    attrs
        Global attributes; nothing that differs between two runs of one job.
    on_block
        Called with (draws written, count).

    Returns
    -------
    str
        SHA-256 of the cube's bytes (hex).

    Raises
    ------
    OSError
        If it cannot be written; a cube that was there stays.
    """
    with temporary_file(path.parent, ".cube.tmp") as temporary:
        with xr.open_dataset(cover[0][0].path, engine="netcdf4") as first:
            template = first.isel(draw=slice(0, 1)).load()
        try:
            with netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
                block = _define(file, template, count, attrs)
                for start in range(0, count, block):
                    stop = min(start + block, count)
                    _write_block(file, template, cover, start, stop)
                    if on_block is not None:
                        on_block(stop, count)
        except (PermissionError, RuntimeError) as error:  # what HDF5 makes of a full disk
            raise OSError(f"{path}: the cube could not be written ({error}); is the disk full?") from error
        sync_file(temporary)
        digest = file_hash(temporary)
        os.replace(temporary, path)
    sync_folder(path.parent)
    return digest


def _define(file: netCDF4.Dataset, template: xr.Dataset, count: int, attrs: Mapping[str, str]) -> int:
    """Write dimensions, attributes, coordinates and empty variables; return the draws in a block."""
    # Set before anything is written: no fill of what will be overwritten, no dates, a fixed order.
    file.set_fill_off()
    for name, value in sorted(attrs.items()):
        file.setncattr_string(name, value)
    names = [name for name in VARIABLES if name in template]
    sweep = [str(dim) for dim in template[names[0]].dims[: -len(VARIABLES[names[0]].dims)]]
    for dim in dict.fromkeys((*sweep, *(dim for name in names for dim in VARIABLES[name].dims))):
        file.createDimension(dim, count if dim == "draw" else template.sizes[dim])
    for name in (*sweep, "draw", "scheme", "rho"):
        values = np.arange(count, dtype=np.int64) if name == "draw" else template[name].values
        kind = str if name == "scheme" else values.dtype
        coordinate = file.createVariable(name, kind, (name,))
        coordinate.setncatts(template[name].attrs)
        coordinate[:] = values.astype(object) if name == "scheme" else values
    per_draw = sum(template[name].nbytes for name in names)
    block = _power_of_two(_BLOCK_BYTES // per_draw, count)
    for name in names:
        array = template[name]
        dims = tuple(str(dim) for dim in array.dims)
        points = int(np.prod([template.sizes[dim] for dim in sweep], dtype=int))
        draws = _power_of_two(_CHUNK_BYTES // (array.nbytes // points), block)
        chunks = [1 if d in sweep else draws if d == "draw" else file.dimensions[d].size for d in dims]
        variable = file.createVariable(name, array.dtype, dims, chunksizes=chunks, fletcher32=array.dtype.kind == "f")
        variable.setncatts(array.attrs)
    return block


def _power_of_two(most: int, limit: int) -> int:
    """Return the largest power of two up to `most`, but at least 1 and at most `limit`."""
    return min(1 << max(int(most), 1).bit_length() - 1, limit)


def _write_block(file: netCDF4.Dataset, template: xr.Dataset, cover: Cover, start: int, stop: int) -> None:
    """Gather draws start to stop - 1 from the shards that hold them and write them chunk by chunk."""
    arrays = _gather(template, cover, start, stop)
    for name, array in arrays.items():
        variable = file.variables[name]
        axis = variable.dimensions.index("draw")
        step = int(variable.chunking()[axis])
        for point in np.ndindex(array.shape[:axis]):
            for low in range(start, stop, step):
                high = min(low + step, stop)
                variable[(*point, slice(low, high))] = array[(*point, slice(low - start, high - start))]


def _gather(template: xr.Dataset, cover: Cover, start: int, stop: int) -> dict[str, NDArray[Any]]:
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in VARIABLES if name in template}
    for shard, low, high in cover:
        if high <= start or low >= stop:
            continue
        with xr.open_dataset(shard.path, engine="netcdf4") as source:
            inside = slice(max(low, start) - shard.start, min(high, stop) - shard.start)
            for name, pieces in parts.items():
                pieces.append(source[name].isel(draw=inside).values)
    return {name: np.concatenate(pieces, axis=template[name].dims.index("draw")) for name, pieces in parts.items()}
