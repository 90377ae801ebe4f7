"""A first look at a NetCDF file that may be anything: whether it can be read, and what it holds against its own size.

Memory is not taken for what was never written. And HDF5's library can die of a damaged file, or read it for ever, so a
child of this process reads it first.
"""

import faulthandler
import json
import os
import resource
from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path
from typing import Any, NoReturn
from warnings import catch_warnings, simplefilter

import netCDF4

from .errors import DamagedData

_SMALL = 100_000_000  # bytes of numbers that any file may hold
_CPU_SECONDS, _CPU_BYTES = 2, 20_000_000  # for reading a file: at least, and a second for as many bytes
_PACKED = 1100  # bytes of numbers in one byte of a file; deflate reaches 1032


def sizes_in(path: Path, names: Collection[str]) -> dict[str, int]:
    """Bytes that the variables of a NetCDF file take as 64-bit numbers; single numbers are left out.

    `path`: the file. `names`: variables that are going to be read, beside the coordinates. Raises DamagedData if it
    cannot be read.
    """
    reader, writer = os.pipe()
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # of other threads, whose locks the child does not need
        child = os.fork()
    if child == 0:
        _answer(path, names, writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise DamagedData("HDF5's library dies of it")
    found: dict[str, Any] = json.loads(said)
    if "error" in found:
        raise DamagedData(found["error"])
    return dict(found["sizes"])


def _answer(path: Path, names: Collection[str], pipe: int) -> NoReturn:
    """In the child: read, tell, and end."""
    faulthandler.disable()  # which would tell of a death that is no news
    try:
        seconds = _CPU_SECONDS + path.stat().st_size // _CPU_BYTES
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        found: dict[str, Any] = {"sizes": _read(path, names)}
    except BaseException as error:
        found = {"error": " ".join(str(error).split()) or type(error).__name__}
    os.write(pipe, json.dumps(found)[:60_000].encode())
    os._exit(0)


def _read(path: Path, names: Collection[str]) -> dict[str, int]:
    with netCDF4.Dataset(path) as file:
        sizes = {name: 8 * prod(one.shape) for name, one in file.variables.items() if one.ndim > 0}
        holders: list[Any] = [file, *file.variables.values()]
        for holder in holders:
            for name in holder.ncattrs():
                holder.getncattr(name)
        for name, variable in file.variables.items():
            if name in names or name in file.dimensions:
                check_sizes(path, {name: sizes.get(name, 0)})
                variable[...]
    return sizes


def check_sizes(path: Path, sizes: Mapping[str, int]) -> None:
    """Refuse what would take memory for nothing: numbers that were never written.

    Raises DamagedData, naming the variable, its bytes and those of the file.
    """
    there = path.stat().st_size
    for name, size in sizes.items():
        if size > _SMALL + _PACKED * there:
            raise DamagedData(
                f"{name} takes {size:.3g} bytes in a file of {there}, so most of it was never written; "
                "write as many draws as there are"
            )
