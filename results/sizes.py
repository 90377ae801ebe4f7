"""What a file says that it holds against its own size: memory is not taken for what was never written."""

from collections.abc import Mapping
from math import prod
from pathlib import Path

import netCDF4

from .errors import DamagedData

_SMALL = 100_000_000  # bytes of numbers that any file may hold
_PACKED = 1100  # bytes of numbers in one byte of a file; deflate reaches 1032


def sizes_in(path: Path) -> dict[str, int]:
    """Bytes that the variables of a NetCDF file take as 64-bit numbers; single numbers are left out."""
    with netCDF4.Dataset(path) as file:
        return {name: 8 * prod(one.shape) for name, one in file.variables.items() if one.ndim > 0}


def check_sizes(path: Path, sizes: Mapping[str, int]) -> None:
    """Refuse what would take memory for nothing: numbers that were never written.

    Raises
    ------
    DamagedData
        Naming the variable, its bytes and those of the file.
    """
    there = path.stat().st_size
    for name, size in sizes.items():
        if size > _SMALL + _PACKED * there:
            raise DamagedData(
                f"{name} takes {size:.3g} bytes in a file of {there}, so most of it was never written; "
                "write as many draws as there are"
            )
