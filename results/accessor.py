"""The common questions to a cube in one line each: ``cube.crb.median()``, ``cube.crb.front("fdb-wcrb")``.

Importing this module gives every xarray dataset the accessor ``crb``; `open_cube` opens a file with it.
"""

import json
import os
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from . import fronts, statistics
from .errors import ResultsError
from .points import swept_keys
from .samples import slabs
from .schema import STATUS_FLAGS
from .words import said


def open_cube(path: str | os.PathLike[str]) -> xr.Dataset:
    """Open a cube, or that of a run's folder, lazily; close it or use it in a `with`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    place = Path(path)
    return xr.open_dataset(place / "cube.nc" if place.is_dir() else place, engine="netcdf4")


@xr.register_dataset_accessor("crb")  # type: ignore[no-untyped-call]
class CubeAccessor:
    """Statistics of a cube over its draws; see `results.statistics` and `results.fronts` for what they mean.

    Bounds are root bounds (m, rad, s) unless ``root=False``; metric is a variable of the cube, ``crb_bp`` by default.
    """

    def __init__(self, cube: xr.Dataset) -> None:
        if not {"crb_bp", "crb_ms", "status"} <= set(cube.data_vars):
            raise ResultsError("this dataset is no cube of crbatch: it has no crb_bp, crb_ms and status")
        self._cube = cube

    def median(self, metric: str = "crb_bp", **options: Any) -> xr.Dataset:
        """Median with its exact confidence interval; options as for `statistics.quantile`."""
        return self.quantile(0.5, metric, **options).squeeze("quantile", drop=True)

    def quantile(self, q: ArrayLike, metric: str = "crb_bp", **options: Any) -> xr.Dataset:
        """Quantiles with exact confidence intervals: `statistics.quantile`."""
        return statistics.quantile(self._cube, metric, q, **options)

    def mean(self, metric: str = "crb_bp", **options: Any) -> xr.Dataset:
        """Mean with its standard error and the tail index that says whether it exists: `statistics.mean`."""
        return statistics.mean(self._cube, metric, **options)

    def outage(self, threshold: ArrayLike, metric: str = "crb_bp", **options: Any) -> xr.Dataset:
        """Probability of a (root) bound above a threshold: `statistics.outage`."""
        return statistics.outage(self._cube, metric, threshold, **options)

    def cdf(self, points: ArrayLike, metric: str = "crb_bp", **options: Any) -> xr.Dataset:
        """Distribution function with a band: `statistics.cdf`."""
        return statistics.cdf(self._cube, metric, points, **options)

    def paired(self, reference: str, metric: str = "crb_bp", **options: Any) -> xr.Dataset:
        """Ratio of each scheme's bound to that of a reference, draw by draw: `statistics.paired`."""
        return statistics.paired(self._cube, metric, reference, **options)

    def front(self, scheme: str, **options: Any) -> xr.Dataset:
        """Trade-off curve of a scheme: `fronts.front`."""
        return fronts.front(self._cube, scheme, **options)

    def hypervolumes(self, reference: str = "apa") -> xr.DataArray:
        """Hypervolume of each scheme's curve in each draw: `fronts.hypervolumes`."""
        return fronts.hypervolumes(self._cube, reference)

    def power_loss(self) -> xr.DataArray:
        """Power that optimal beams could save for the same bounds, at most, dB: `fronts.power_loss`."""
        return fronts.power_loss(self._cube)

    @property
    def job(self) -> dict[str, Any]:
        """The job that the cube comes from, every default filled in."""
        found: dict[str, Any] = json.loads(self._cube.attrs.get("job", "{}"))
        return found

    def status(self) -> dict[str, int]:
        """How many designs there are of each status."""
        found = dict.fromkeys(STATUS_FLAGS.values(), 0)
        for slab in slabs(self._cube[["status"]]):
            for value, word in STATUS_FLAGS.items():
                found[word] += int(np.count_nonzero(slab["status"].values == value))
        return found

    def _lines(self) -> list[tuple[str, str]]:
        sizes = self._cube.sizes
        schemes, rho = self._cube["scheme"].values.tolist(), self._cube["rho"].values
        swept = swept_keys(self._cube)
        return [
            ("job", str(self.job.get("name", "unknown"))),
            ("draws", str(sizes["draw"])),
            ("schemes", ", ".join(schemes)),
            ("rho", f"{rho.size} from {rho.min():g} to {rho.max():g}"),
            *((name, ", ".join(map(said, self._cube[name].values.tolist()))) for name in swept),
            ("designs", ", ".join(f"{count} {word}" for word, count in self.status().items() if count)),
        ]

    def __repr__(self) -> str:
        lines = self._lines()
        width = max(len(name) for name, _ in lines)
        return "\n".join(["crbatch cube", *(f"  {name:<{width}}  {value}" for name, value in lines)])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in self._lines())
        return f"<table><caption>crbatch cube</caption>{rows}</table>"


def write_csv(table: xr.Dataset, path: str | os.PathLike[str]) -> None:
    """Write any result of the statistics as CSV, one row for each combination of its coordinates.

    Units stand in the column names, as in ``value [m]``; numbers are written so that they read back exactly.

    Raises
    ------
    ResultsError
        If the table has the draws as a dimension, which makes a file too large to be of use.
    """
    if "draw" in table.dims:
        raise ResultsError("a table with every draw is a cube; write it as NetCDF, or take a statistic first")
    frame = table.to_dataframe().reset_index()
    kinds = {str(name): table[name].attrs.get("units", "1") for name in table.variables}
    frame = frame.rename(columns={name: f"{name} [{unit}]" for name, unit in kinds.items() if unit != "1"})
    frame.to_csv(path, index=False, lineterminator="\n")
