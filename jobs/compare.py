"""The command `compare`: two cubes beside each other, as rows."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from results.accessor import open_cube
from results.claims import nearest_weights
from results.compare import common_part, compare, have_common_draws
from results.errors import ResultsError
from results.words import counted

from .errors import UsageProblem
from .kinds import instead_of_cube
from .rundir import flat

_METRICS = ("crb_bp", "crb_ms", "objective")


def compare_cubes(first: Path, second: Path) -> dict[str, Any]:
    """What differs between two cubes.

    Returns
    -------
    dict
        Fit for JSON: job (key -> both values), common_draws, and rows for every metric, point of the sweep, scheme and
        the weights nearest to 0, 0.5 and 1.

    Raises
    ------
    UsageProblem
        If one cannot be opened, or they have nothing in common.
    """
    with ExitStack() as stack:
        a, b = (stack.enter_context(_opened(path)) for path in (first, second))
        try:
            left, right = common_part(a, b)
            weights = nearest_weights(left["rho"].values)
            left, right = left.isel(rho=weights).load(), right.isel(rho=weights).load()
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
    left, right = (flat(json.loads(cube.attrs.get("job", "{}"))) for cube in (a, b))
    keys = sorted(left.keys() | right.keys())
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def _opened(path: Path) -> xr.Dataset:
    try:
        cube = open_cube(path)
    except (OSError, ValueError):
        raise UsageProblem(f"{path}: {instead_of_cube(path)}") from None
    lacks = [name for name in (*_METRICS, "status") if name not in cube]
    if lacks:
        cube.close()
        raise UsageProblem(f"{path}: a NetCDF file, but no cube (it has no {lacks[0]}); give a cube or its folder")
    return cube


def _rows(table: xr.Dataset, metric: str) -> list[dict[str, Any]]:
    rows = []
    for place in np.ndindex(table["a"].shape):
        one = table.isel(dict(zip(table["a"].dims, place, strict=True)))
        labels = {str(name): value.item() for name, value in one.coords.items()}
        numbers = {str(name): _plain(value.item()) for name, value in one.data_vars.items()}
        rows.append({"metric": metric, **labels, **numbers})
    return rows


def _plain(value: float) -> float | None:
    """A number that JSON has; None for the others."""
    return value if np.isfinite(value) else None


def text(found: dict[str, Any]) -> str:
    """The comparison as lines."""
    lines = [f"{key}: {a} in A, {b} in B" for key, (a, b) in found["job"].items()] or ["the jobs are the same"]
    together = "the same, compared one by one" if found["common_draws"] else "others: medians side by side"
    indices = "1 draw index" if found["draws"] == 1 else f"{found['draws']} draw indices"
    lines.append(f"{indices} in common, the draws are {together}")
    for row in found["rows"]:
        known = (
            "metric",
            "scheme",
            "rho",
            *(key for key in row if key.startswith(("a", "b", "ratio", "largest", "used"))),
        )
        where = ", ".join(f"{key} = {row[key]:g}" for key in row if key not in known)
        head = f"{row['metric']:<9}  {row['scheme']:<18} rho = {row['rho']:<5g} {where}"
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
