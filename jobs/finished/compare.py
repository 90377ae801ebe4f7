"""The command `compare`: two cubes beside each other, as rows."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crbatch.results.accessor import open_cube
from crbatch.results.compare import common_part, compare, have_common_draws
from crbatch.results.errors import ResultsError
from crbatch.results.files import file_hash
from crbatch.results.points import nearest_weights
from crbatch.results.schema import DRAW_VARIABLES, validate
from crbatch.results.sizes import check_sizes, sizes_in
from crbatch.results.words import counted, in_short, said

from ..drops.classic import is_classic
from ..errors import CommandError, DamagedData, UsageProblem
from ..folder.rundir import RunDirectory, differences, flat
from ..jobfile.kinds import Kind, instead_of_cube, kind_of
from ..terminal.printable import one_line

_METRICS = ("crb_bp", "crb_ms", "objective")
# Of a row, beside the swept keys: its labels, and what its numbers begin with.
_LABELS, _NUMBERS = ("metric", "scheme", "rho"), ("a", "b", "ratio", "largest", "used")


def compare_cubes(first: Path, second: Path) -> dict[str, Any]:
    """What differs between two cubes.

    Result: fit for JSON: job (key -> both values), common_draws, and rows for every metric, point of the sweep, scheme
    and the weights nearest to 0, 0.5 and 1. Raises UsageProblem if one is no cube, or they have nothing in common;
    DamagedData if one cannot be read, or is not what its run recorded.
    """
    with ExitStack() as stack:
        a, b = (stack.enter_context(_opened(path)) for path in (first, second))
        try:
            left, right = common_part(a, b)
            weights = nearest_weights(left["rho"].values)
            left, right = _loaded(first, left.isel(rho=weights)), _loaded(second, right.isel(rho=weights))
            rows = [row for metric in _METRICS for row in _rows(compare(left, right, metric), metric)]
        except ResultsError as error:
            raise UsageProblem(f"{first}, {second}: {error}") from None
        return {
            "job": {key: list(values) for key, values in job_differences(a, b).items()},
            "common_draws": have_common_draws(left, right),
            "draws": left.sizes["draw"],
            "rows": rows,
        }


def job_differences(a: xr.Dataset, b: xr.Dataset) -> dict[str, tuple[Any, Any]]:
    """Keys in which the jobs of two cubes differ, with both values; None where a job lacks the key."""
    return differences(_job_of(a), _job_of(b))


def _job_of(cube: xr.Dataset) -> dict[str, Any]:
    return flat(json.loads(cube.attrs.get("job", "{}")))


def _opened(path: Path) -> xr.Dataset:
    """What is compared of a cube, not read yet."""
    kind = kind_of(path)
    file = path / "cube.nc" if kind in (Kind.RUN, Kind.FOLDER) else path
    if kind_of(file) is not Kind.NETCDF and kind is not Kind.RUN:
        raise UsageProblem(f"{path}: {instead_of_cube(path)}")
    if kind is Kind.RUN:
        _check_recorded(RunDirectory(path))
    if is_classic(file):  # no cube ever was
        raise UsageProblem(f"{path}: {instead_of_cube(file)}")
    with _reading(path):
        check_sizes(file, sizes_in(file, (*_METRICS, "status", *DRAW_VARIABLES)))
        cube = open_cube(path)
    try:
        lacks = [name for name in (*_METRICS, "status") if name not in cube]
        if lacks:
            raise UsageProblem(f"{path}: a NetCDF file, but no cube (it has no {lacks[0]}); give a cube or its folder")
        taken = cube[[name for name in (*_METRICS, "status", *DRAW_VARIABLES) if name in cube]]
        taken.set_close(cube.close)
        with _reading(path):
            _job_of(cube)
            validate(taken)
    except CommandError:
        cube.close()
        raise
    return taken


def _check_recorded(folder: RunDirectory) -> None:
    """Refuse a run's cube that is not there, or not as the run made it."""
    if not folder.cube.is_file():
        raise UsageProblem(f"{folder.path}: {instead_of_cube(folder.path)}")
    record = folder.journal.last("cube")
    if record and record["sha256"] != file_hash(folder.cube):
        raise DamagedData(f"{folder.cube}: its bytes are not those that the journal records; run the job again")


def _loaded(path: Path, cube: xr.Dataset) -> xr.Dataset:
    with _reading(path):
        return cube.load()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say in one line what the libraries make of a damaged cube, which may be any exception."""
    try:
        yield
    except Exception as error:
        raise DamagedData(f"{path}: a cube that cannot be read ({in_short(error)}); make it again") from None


def _rows(table: xr.Dataset, metric: str) -> list[dict[str, Any]]:
    frame = table.to_dataframe(dim_order=list(table["a"].dims)).reset_index()
    return [{"metric": metric, **{key: _plain(one) for key, one in row.items()}} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    """What JSON has; None for the other numbers."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def text(found: dict[str, Any]) -> str:
    """The comparison as lines."""
    lines = [one_line(f"{key}: {a} in A, {b} in B") for key, (a, b) in found["job"].items()]
    lines = lines or ["the jobs are the same"]
    together = "the same, compared one by one" if found["common_draws"] else "others: medians side by side"
    indices = "1 draw index" if found["draws"] == 1 else f"{found['draws']} draw indices"
    lines.append(f"{indices} in common, the draws are {together}")
    for row in found["rows"]:
        swept = [key for key in row if key not in _LABELS and not key.startswith(_NUMBERS)]
        where = ", ".join(f"{key} = {said(row[key])}" for key in swept)
        head = f"{row['metric']:<9}  {one_line(row['scheme']):<18} rho = {row['rho']:<5g} {where}"
        numbers = f"A {_number(row['a'])}  B {_number(row['b'])}"
        if "ratio" in row:
            numbers += (
                f"  B/A {_number(row['ratio'])} ({_number(row['ratio_lower'])} to {_number(row['ratio_upper'])}, "
                f"{counted(row['used'], 'draw')}; furthest from 1 by {_number(row['largest'])})"
            )
        lines.append(f"{head}  {numbers}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
