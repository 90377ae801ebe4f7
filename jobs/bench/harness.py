"""What the studies share: one core, the clock, the machine's description, and the folder they write."""

import gc
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from crbatch.cluster.machine import cpu_model
from crbatch.cluster.threads import THREAD_VARIABLES
from crbatch.results.files import replace_text, temporary_file
from numpy.typing import ArrayLike, NDArray

from ..errors import DamagedData, UsageProblem
from ..folder.journal import Journal
from ..identity import code_key, versions

T = TypeVar("T")

TOLERANCE = 1e-6  # what ours is held to
FAILED = 1e-4  # a gap above this is no design
_RECORD = "bench.json"


@contextmanager
def on_one_core() -> Iterator[None]:
    """Keep this process on one core, which its clock then means, and give back what it had."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    gc.collect()
    gc.freeze()  # what is loaded already stays; to look through it before every call would take longer than the call
    try:
        yield
    finally:
        gc.unfreeze()
        os.sched_setaffinity(0, before)


def timed(function: Callable[[], T]) -> tuple[float, T]:
    """Call a function, the garbage of others collected before and none during it: seconds, and what it returns."""
    gc.collect()
    gc.disable()
    try:
        begun = time.perf_counter()
        result = function()
        return time.perf_counter() - begun, result
    finally:
        gc.enable()


def quartiles(values: ArrayLike) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of finite values; NaN if there are none."""
    array = np.asarray(values, np.float64)
    finite = array[np.isfinite(array)]
    low, middle, high = np.percentile(finite if finite.size else np.nan, (25.0, 50.0, 75.0)).tolist()
    return low, middle, high


def fitted_slope(sizes: ArrayLike, seconds: ArrayLike, upper: int = 4) -> float:
    """Exponent a of seconds = c size^a, by least squares in logarithms over the upper sizes that were measured.

    `sizes`, `seconds`: (size,), sizes rising; NaN where nothing was measured. `upper`: how many of the largest measured
    sizes to fit; growth at small sizes is overhead. Result: NaN with fewer than two points.
    """
    x, y = np.asarray(sizes, np.float64), np.asarray(seconds, np.float64)
    known = np.flatnonzero(np.isfinite(y))[-upper:]
    if known.size < 2:
        return float("nan")
    table = np.stack((np.log(x[known]), np.ones(known.size)), axis=1)
    return float(np.linalg.lstsq(table, np.log(y[known]), rcond=None)[0][0])


def machine() -> dict[str, Any]:
    """CPU model, cores this process may use, thread settings and versions; no names of hosts or users."""
    found = dict(versions())
    for library in ("scipy", "scs"):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": {name: os.environ.get(name, "unset") for name in THREAD_VARIABLES},
        "versions": found,
    }


def load_average() -> list[float]:
    """Load of the machine over 1, 5 and 15 minutes: above one, somebody else was timed as well."""
    return [round(value, 2) for value in os.getloadavg()]


@dataclass(frozen=True)
class BenchFolder:
    """The folder of a study: bench.json (what was asked for, and where), measurements.jsonl, bench.nc and figures."""

    path: Path

    @property
    def journal(self) -> Journal:
        """What was measured, a line each."""
        return Journal(self.path / "measurements.jsonl")

    @property
    def cube(self) -> Path:
        """The cube of timings."""
        return self.path / "bench.nc"

    def prepare(self, study: str, settings: Mapping[str, Any], resume: bool) -> None:
        """Make the folder this study's, or check that it is.

        `study`: ``speed``, ``antennas`` or ``dispatch``. `settings`: what was asked for; plain JSON values. `resume`:
        whether measurements that are there will be used: then settings, machine and code must be the same. Raises
        UsageProblem if it cannot be written to; DamagedData if it holds something else; nothing is touched then.
        """
        record = {"study": study, "settings": dict(settings), "machine": machine(), "code": code_key()}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            empty = not any(self.path.iterdir())
        except OSError as error:
            no_folder = isinstance(error, FileExistsError | NotADirectoryError)
            why = "not a folder" if no_folder else f"cannot be written to ({error.strerror})"
            raise UsageProblem(f"{self.path}: {why}; choose another with -o") from None
        if not empty:
            found = self._record()
            if found.get("study") != study:
                raise DamagedData(f"{self.path}: not empty and not a folder of bench {study}; choose another with -o")
            if resume and found != record:
                raise DamagedData(
                    f"{self.path}: measured otherwise ({_difference(found, record)}); choose another folder with -o"
                )
        replace_text(self.path / _RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")

    def _record(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found = json.loads((self.path / _RECORD).read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def write_cube(self, cube: xr.Dataset) -> None:
        """Write bench.nc whole or not at all."""
        with temporary_file(self.path, ".nc.tmp") as temporary:
            cube.to_netcdf(temporary, engine="netcdf4", format="NETCDF4")
            os.replace(temporary, self.cube)

    def read_cube(self) -> tuple[str, xr.Dataset]:
        """Name of the study, and its cube in memory.

        Raises UsageProblem if this is no folder of a finished study; DamagedData if the cube cannot be read.
        """
        study = self._record().get("study")
        if not isinstance(study, str) or not self.cube.is_file():
            raise UsageProblem(f"{self.path}: no folder of a finished study; make one with crbatch bench")
        try:
            return study, xr.load_dataset(self.cube, engine="netcdf4")
        except (OSError, ValueError) as error:
            raise DamagedData(f"{self.cube}: cannot be read ({error}); measure again") from None


def _difference(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    for table in ("settings", "machine"):
        left, right = mine.get(table, {}), other.get(table, {})
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                return f"{key}: {left.get(key, 'unset')} there, {right.get(key, 'unset')} here"
    return "by other code of crbatch"


def cube_attributes(title: str, settings: Mapping[str, Any], before: Sequence[float]) -> dict[str, str]:
    """Global attributes of a cube of timings; `before` is the load average when the study began."""
    here = machine()
    return {
        "Conventions": "CF-1.11",
        "title": title,
        "source": f"crbatch {here['versions']['crbatch']}",
        "settings": json.dumps(dict(settings), sort_keys=True),
        "cpu_model": here["cpu"],
        "cores": str(here["cores"]),
        "threads": json.dumps(here["threads"], sort_keys=True),
        "versions": json.dumps(here["versions"], sort_keys=True),
        "load_average_before": json.dumps(list(before)),
        "load_average_1_5_15_min": json.dumps(load_average()),
    }


def circumstances(cube: xr.Dataset) -> dict[str, Any]:
    """What the attributes of a cube of timings say: settings, machine, load average before and after."""
    settings, threads, libraries, before, after = (
        json.loads(cube.attrs[name])
        for name in ("settings", "threads", "versions", "load_average_before", "load_average_1_5_15_min")
    )
    here = {"cpu": cube.attrs["cpu_model"], "cores": int(cube.attrs["cores"]), "threads": threads}
    return {
        "settings": settings,
        "machine": here | {"versions": libraries},
        "load_average": {"before": before, "after": after},
    }


def padded(rows: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Rows of unequal length as one array, of a column at least; NaN where a row has ended."""
    arrays = [np.asarray(row, np.float64).ravel() for row in rows]
    out = np.full((len(arrays), max((1, *(array.size for array in arrays)))), np.nan)
    for place, array in zip(out, arrays, strict=True):
        place[: array.size] = array
    return out
