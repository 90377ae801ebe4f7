"""Figures of what the draws do: distributions of the bounds, their spread along rho, and the certified gaps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .. import statistics
from ..points import at_one_point, good, nearest_weights
from ..samples import slabs
from ..schemes import label_of
from .panels import panels, root_label, style_of, styled

_LINKS = (("crb_bp", "BP"), ("crb_ms", "MS"))
_POINTS = 300


@styled
def distributions(cube: xr.Dataset) -> Figure:
    """Draw the distribution of both root bounds over the draws, with bands, at the weight nearest to 0.5.

    `cube`: as `results.schema` has it; of swept keys the first value, of ``targets`` the last. Result: two panels; the
    bands are 95 % ones that hold over the whole axis. A curve that ends below 1 has infinite bounds.
    """
    first, where = at_one_point(cube)
    weights = nearest_weights(first["rho"].values)
    first = first.isel(rho=[weights[len(weights) // 2]])
    schemes = [str(name) for name in first["scheme"].values]
    figure, axes = _two_panels(", ".join(filter(None, [rf"$\rho$ = {first['rho'].values[0]:g}", where])), schemes)
    for panel, (metric, link) in zip(axes, _LINKS, strict=True):
        values = np.sqrt(first[metric].values)
        finite = values[np.isfinite(values) & (values > 0.0)]
        low, high = np.quantile(finite, [0.0, 0.998]) if finite.size else (0.1, 1.0)
        points = np.geomspace(low / 1.02, high * 1.02, _POINTS)
        found = statistics.cdf(first, metric, points).squeeze("rho")
        for scheme in schemes:
            one, style = found.sel(scheme=scheme), _line_of(scheme)
            panel.fill_between(points, one["lower"], one["upper"], color=style["color"], alpha=0.10, linewidth=0)
            panel.plot(points, one["value"], **style)
        _logarithmic(panel, "x", points)
        panel.set(ylim=(0.0, 1.0), xlabel=root_label(link))
    axes[0].set_ylabel("Share of draws")
    return figure


@styled
def spread(cube: xr.Dataset) -> Figure:
    """Draw the median of both root bounds along rho, with the range of 5 to 95 % of the draws.

    `cube`: as for `distributions`. Result: two panels, a curve and a range for each scheme.
    """
    first, where = at_one_point(cube)
    first = first.sortby("rho")
    rho = first["rho"].values
    schemes = [str(name) for name in first["scheme"].values]
    figure, axes = _two_panels(where, schemes)
    for panel, (metric, link) in zip(axes, _LINKS, strict=True):
        found = statistics.quantile(first, metric, [0.05, 0.5, 0.95])["value"]
        for scheme in schemes:
            low, median, high = np.where(np.isfinite(found), found, np.nan)[schemes.index(scheme)].T
            style = _line_of(scheme)
            panel.fill_between(rho, low, high, color=style["color"], alpha=0.10, linewidth=0)
            panel.plot(rho, median, **style)
        shown = found.values[np.isfinite(found.values)]
        _logarithmic(panel, "y", shown if shown.size else np.array([0.1, 1.0]))
        panel.set(xlabel=r"$\rho$", ylabel=root_label(link))
    return figure


@styled
def certificates(cube: xr.Dataset, tolerance: float) -> Figure:
    """Draw a histogram of the certified gaps of all designs that optimise something.

    `cube`: as `results.schema` has it. `tolerance`: the gap that the job asked for. Result: one column wide; the title
    says which share is certified.
    """
    edges = np.arange(-17.0, 1.01, 0.25)
    counts = np.zeros(edges.size - 1)
    optimised = proven = 0
    for slab in slabs(cube[["gap", "status"]]):
        gaps = slab["gap"].values
        known = ~np.isnan(gaps)
        optimised += int(known.sum())
        proven += int((known & good(slab).values).sum())
        counts += np.histogram(np.log10(np.clip(gaps[known], 1e-17, 10.0)), edges)[0]
    figure = Figure(figsize=(3.5, 2.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(10.0 ** edges[:-1], counts, np.diff(10.0**edges), align="edge", color=style_of("fdb-wcrb")["color"])
    axes.axvline(tolerance, color="black", linewidth=0.8, linestyle=(0, (4, 1.6)))
    seen = edges[:-1][counts > 0]
    low = seen.min() if seen.size else -9.0
    right = max(seen.max() + 0.5 if seen.size else 0.0, np.log10(tolerance) + 0.5)
    axes.set(xscale="log", yscale="symlog" if counts.max(initial=0.0) > 100 else "linear")
    axes.set_axisbelow(True)
    axes.set(xlim=(10.0 ** (low - 0.25), 10.0**right), xlabel="Certified relative gap", ylabel="Designs")
    share = f"{proven} of {optimised}" if optimised else "No design optimises anything;"
    axes.set_title(f"{share} optimised designs certified; dashed: tolerance {tolerance:g}", fontsize=7.5)
    return figure


def _logarithmic(axes: Axes, name: str, values: Any) -> None:
    low, high = float(np.min(values)), float(np.max(values))
    room = (high / low) ** 0.04 * 1.002
    scale = "log" if high / low >= 3.0 else "linear"
    axes.set(**{f"{name}scale": scale, f"{name}lim": (low / room, high * room)})


def _line_of(scheme: str) -> dict[str, Any]:
    """Colour and line of a scheme; dots for one that figures of the trade-off show as a single mark."""
    style = style_of(scheme)
    line = (0, (1, 1)) if style["linestyle"] == "none" else style["linestyle"]
    return {"color": style["color"], "linestyle": line}


def _two_panels(title: str, schemes: Sequence[str]) -> tuple[Figure, NDArray[Any]]:
    """A panel for each link, below a title and above all schemes."""
    figure, axes = panels(2, 2.6, 0.7)
    if title:
        figure.suptitle(title, fontsize=8)
    handles = [Line2D([], [], label=label_of(scheme), **_line_of(scheme)) for scheme in schemes]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure, axes.ravel()
