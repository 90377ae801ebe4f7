"""The figure of a run: trade-off curves of positioning against sensing."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ..estimates import median_with_limits
from ..points import at_first_point
from ..samples import COUNTED
from ..schemes import label_of
from ..words import counted
from .panels import BY_FAMILY, BY_METHOD, label_edges, ordered, panels, root_label, style_of, styled


@styled
def tradeoff(cube: xr.Dataset) -> Figure:
    """Draw positioning against sensing, a curve over rho for every scheme: the form of the paper's Fig. 3.

    A point is the median over draws of each root bound. An infinite bound counts as infinite in its median;
    uncertified, failed and missing designs are left out. Each panel says how many there are of both.

    `cube`: as `results.schema` has it; one panel for each value of ``targets``, the first of other swept keys. Result:
    one column wide for one panel, else two.
    """
    first, where = at_first_point(cube[["objective", "crb_bp", "crb_ms", "status"]])
    first = first.sortby("rho").compute()
    swept = "targets" in first["status"].dims
    parts = [first.isel(targets=i) for i in range(first.sizes["targets"])] if swept else [first]
    medians = [_median_roots(panel) for panel in parts]
    lengths = np.stack(medians)
    finite = lengths[np.isfinite(lengths)]
    scale, unit = (100.0, "cm") if finite.size == 0 or np.median(finite) < 1.0 else (1.0, "m")
    figure, grid = panels(len(parts), 2.4, 0.75, share=True)
    drawn = np.stack([np.where(np.isfinite(median).all(axis=0), median, np.nan) for median in medians])
    _log_axis(grid[0, 0], "x", scale * drawn[:, 0])
    _log_axis(grid[0, 0], "y", scale * drawn[:, 1])
    for i, (axes, panel, median) in enumerate(zip(grid.flat, parts, medians, strict=False)):
        _draw_curves(axes, scale * median, panel)
        _say_not_shown(axes, panel, median)
        if swept:
            axes.set_title(f"({chr(ord('a') + i)}) $K = {panel['targets'].item():g}$")
    label_edges(grid, len(parts), root_label("MS", unit), root_label("BP", unit))
    if where:
        figure.suptitle(where, fontsize=8)
    order, columns = (BY_METHOD, 4) if len(parts) > 1 else (BY_FAMILY, 3)
    schemes = ordered(first["scheme"].values.tolist(), order)
    handles = [Line2D([], [], label=label_of(scheme), **style_of(scheme)) for scheme in schemes]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _shown(panel: xr.Dataset) -> xr.DataArray:
    """Designs that enter the medians."""
    return panel["status"].isin(COUNTED) & panel["crb_bp"].notnull() & panel["crb_ms"].notnull()


def _median_roots(panel: xr.Dataset) -> NDArray[np.float64]:
    """Median root bounds in m, (MS and BP, scheme, rho); infinite where most are, NaN where there is none."""
    order = ("scheme", "rho", "draw")
    shown = [panel[name].where(_shown(panel)).transpose(*order).values for name in ("crb_ms", "crb_bp")]
    return median_with_limits(np.sqrt(shown))[0]


def _draw_curves(axes: Axes, median: NDArray[np.float64], panel: xr.Dataset) -> None:
    """Draw every scheme's curve, a marker at up to six weights; the weights 0 and 1 are ringed and named."""
    rho = panel["rho"].values
    marked = np.unique(np.round(np.linspace(0, rho.size - 1, 6)).astype(int)).tolist()
    named: list[tuple[float, Any]] = []  # (rho, place in the panel)
    for layer, (scheme, points) in enumerate(zip(panel["scheme"].values, median.swapaxes(0, 1), strict=True)):
        finite = np.isfinite(points).all(axis=0)
        style = {"label": scheme, "zorder": 3.0 - 0.01 * layer, **style_of(scheme)}
        if (points[:, finite] == points[:, finite][:, :1]).all():  # apa, or one covariance for every weight
            axes.plot(*points[:, finite][:, :1], **style)
            continue
        axes.plot(*np.where(finite, points, np.nan), markevery=marked, **style)
        for place in np.flatnonzero(np.isin(rho, (0.0, 1.0)) & finite):
            _name_end(axes, points[:, place], float(rho[place]), named)


def _name_end(axes: Axes, point: NDArray[np.float64], rho: float, named: list[tuple[float, Any]]) -> None:
    """Ring an end of a curve and say its weight, once for all schemes that end there or close by."""
    place = (axes.transData - axes.transAxes).transform(point)
    nearest = min((float(np.abs(place - other).max()) for weight, other in named if weight == rho), default=1.0)
    if nearest < 0.005:
        return
    named.append((rho, place))
    axes.plot(*point, marker="o", markersize=7.0, mfc="none", mec="0.25", mew=0.6)
    if nearest > 0.12:
        offset, va = ((0.0, -4.5), "top") if rho == 1.0 else ((0.0, 4.5), "bottom")
        axes.annotate(rf"$\rho = {rho:g}$", tuple(point), offset, textcoords="offset points", ha="center", va=va)


def _say_not_shown(axes: Axes, panel: xr.Dataset, median: NDArray[np.float64]) -> None:
    """Write in the panel how many designs and points its curves do not show."""
    shown = _shown(panel)
    infinite = shown & (np.isinf(panel["crb_bp"]) | np.isinf(panel["crb_ms"]))
    left_out = shown.size - int(shown.sum())
    points = int((~np.isfinite(median)).any(axis=0).sum())
    lines = [
        f"{left_out} of {counted(shown.size, 'design')} left out (no certificate)" if left_out else "",
        f"{int(infinite.sum())} of {counted(shown.size, 'design')} infinite (in the medians)" if infinite.any() else "",
        f"{points} of {counted(median[0].size, 'point')} not drawn (no finite median)" if points else "",
    ]
    text = "\n".join(filter(None, lines))
    axes.text(0.97, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=7, zorder=5)


def _log_axis(axes: Axes, name: str, values: NDArray[np.float64]) -> None:
    """Set one logarithmic axis, with ticks that can be read and room at the ends for marks and names."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (1.0, 10.0)
    room = (high / low) ** 0.12 * 1.005
    axes.set(**{f"{name}scale": "log", f"{name}lim": (low / room, high * room)})
    axis = axes.xaxis if name == "x" else axes.yaxis
    if high / low < 4.0:
        axis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    else:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if high / low < 20.0 else (1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
