"""Consolidation: shards into one NetCDF-4 cube whose bytes depend on the job and its data alone.

The cube is written in blocks of draws whose size follows from the shapes only, so shard sizes leave no trace;
each block goes to disk in whole HDF5 chunks, variable by variable. Memory is one block, however many shards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import DamagedData
from .files import file_hash, placed_file
from .schema import VARIABLES, is_words
from .shards import Shard, check_labels, not_written, opened, reading, verify_shard

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
    """Write the cube of draws 0 to count - 1, which is replaced in one step when complete.

    `cover`: which shard gives which draws, complete and in draw order, as `shards.covering` has it. `attrs`: global
    attributes; nothing that differs between two runs of one job. `on_block`: called with (draws written, count).
    Result: SHA-256 of the cube's bytes (hex). Raises DamagedData if a shard is not what its name says; OSError if the
    cube cannot be written: one that was there stays.
    """
    template = _template(cover[0][0])
    with placed_file(path, ".cube.tmp") as temporary:
        try:
            with netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
                block = _define(file, template, count, attrs)
                for start, stop, arrays in _blocks(cover, template, block, count):
                    _write_block(file, arrays, start, stop)
                    if on_block is not None:
                        on_block(stop, count)
        except (PermissionError, RuntimeError) as error:  # what HDF5 makes of a full disk
            raise not_written(path, error) from error
        digest = file_hash(temporary)
    return digest


def check_cube(cover: Cover, path: Path, count: int) -> None:
    """Compare a cube with its shards, bit for bit, coordinates included.

    `cover`, `path`, `count`: as for `write_cube`. Raises DamagedData, naming the variable and the draws that differ, or
    the shard that is damaged.
    """
    template = _template(cover[0][0])
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        labels, names = _labels(template), [name for name in VARIABLES if name in template]
        if set(file.variables) != {*names, *labels, "draw"} or file["draw"].shape != (count,):
            raise DamagedData(f"{path}: has other variables or draws than its shards")
        for name, values in labels.items():
            if file[name][:].tolist() != values:
                raise DamagedData(f"{path}: its {name} is not that of its shards")
        block = _block_draws(template, names, count)
        for start, stop, arrays in _blocks(cover, template, block, count):
            for name, array in {**arrays, "draw": np.arange(start, stop)}.items():
                axis = file[name].dimensions.index("draw")
                if file[name][(*[slice(None)] * axis, slice(start, stop))].tobytes() != array.tobytes():
                    raise DamagedData(f"{path}: {name} of draws {start} to {stop - 1} is not that of its shards")


def _define(file: netCDF4.Dataset, template: xr.Dataset, count: int, attrs: Mapping[str, str]) -> int:
    """Write dimensions, attributes, coordinates and empty variables; return the draws in a block."""
    # Set before anything is written: no fill of what will be overwritten, no dates, a fixed order.
    file.set_fill_off()
    for name, value in sorted(attrs.items()):
        file.setncattr_string(name, value)
    names = [name for name in VARIABLES if name in template]
    sweep = [str(dim) for dim in template[names[0]].dims[: -len(VARIABLES[names[0]].dims)]]
    for dim in dict.fromkeys(str(dim) for name in names for dim in template[name].dims):
        file.createDimension(dim, count if dim == "draw" else template.sizes[dim])
    for name in (*sweep, "draw", "scheme", "rho"):
        values = template[name].values
        coordinate = file.createVariable(name, str if is_words(values) else values.dtype, (name,))
        coordinate.setncatts(template[name].attrs)
        if name != "draw":
            coordinate[:] = values.astype(object) if is_words(values) else values
    block = _block_draws(template, names, count)
    for name in names:
        array = template[name]
        dims = tuple(str(dim) for dim in array.dims)
        points = int(np.prod([template.sizes[dim] for dim in sweep], dtype=int))
        draws = _power_of_two(_CHUNK_BYTES // (array.nbytes // points), block)
        chunks = [1 if d in sweep else draws if d == "draw" else file.dimensions[d].size for d in dims]
        variable = file.createVariable(
            name,
            array.dtype,
            dims,
            chunksizes=chunks,
            fletcher32=array.dtype.kind == "f",
            chunk_cache=int(np.prod(chunks)) * array.dtype.itemsize,  # by default 16 MB of what is already written
        )
        variable.setncatts(array.attrs)
    return block


def _block_draws(template: xr.Dataset, names: Sequence[str], count: int) -> int:
    """Draws that are held in memory at a time."""
    return _power_of_two(_BLOCK_BYTES // sum(template[name].nbytes for name in names), count)


def _power_of_two(most: int, limit: int) -> int:
    """Return the largest power of two up to `most`, but at least 1 and at most `limit`."""
    return min(1 << max(int(most), 1).bit_length() - 1, limit)


def _write_block(file: netCDF4.Dataset, arrays: dict[str, NDArray[Any]], start: int, stop: int) -> None:
    """Write draws start to stop - 1 chunk by chunk."""
    file["draw"][start:stop] = np.arange(start, stop)
    for name, array in arrays.items():
        variable = file.variables[name]
        axis = variable.dimensions.index("draw")
        step = int(variable.chunking()[axis])
        for point in np.ndindex(array.shape[:axis]):
            for low in range(start, stop, step):
                high = min(low + step, stop)
                variable[(*point, slice(low, high))] = array[(*point, slice(low - start, high - start))]


def _template(shard: Shard) -> xr.Dataset:
    """One draw, for the names, sizes, coordinates and attributes that a cube's shards share."""
    verify_shard(shard)
    with reading(shard), xr.open_dataset(shard.path, engine="netcdf4") as first:
        return first.isel(draw=slice(0, 1)).load()


def _labels(template: xr.Dataset) -> dict[str, list[Any]]:
    """Coordinates that all shards of a cube share."""
    return {str(name): template[name].values.tolist() for name in template.coords if name != "draw"}


def _blocks(
    cover: Cover, template: xr.Dataset, block: int, count: int
) -> Iterator[tuple[int, int, dict[str, NDArray[Any]]]]:
    """Gather draws block by block from the shards that hold them, each read once and held against its name first."""
    axes = {name: template[name].dims.index("draw") for name in VARIABLES if name in template}
    labels = _labels(template)
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in axes}
    for shard, low, high in cover:
        with opened(shard) as file:
            check_labels(file, shard, labels)
            while low < high:
                stop = min(high, (low // block + 1) * block)
                with reading(shard):
                    for name, axis in axes.items():
                        inside = (*[slice(None)] * axis, slice(low - shard.start, stop - shard.start))
                        parts[name].append(file[name][inside])
                if stop % block == 0 or stop == count:
                    start = (stop - 1) // block * block
                    yield start, stop, {name: np.concatenate(pieces, axis=axes[name]) for name, pieces in parts.items()}
                    parts = {name: [] for name in axes}
                low = stop
