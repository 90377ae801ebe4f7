"""The figures of a run: trade-off curves, beampatterns, and the check of the paper's claims.

Sized for a two-column paper, readable in black and white. Nothing global is touched: no pyplot, and the style
holds only while a figure is made or saved.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from .claims import at_first_point, good, label_of

P = ParamSpec("P")

SINGLE_COLUMN_IN = 3.5
DOUBLE_COLUMN_IN = 7.16
_STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral",  # Times-like, and shipped with Matplotlib
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.4,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "crbatch",
}
# Okabe-Ito colours: hue and marker say the method, line and fill the family, each alone tells them apart.
_BLUE, _ORANGE, _GREEN, _PURPLE, _AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
_DASHED = (0, (4, 1.6))
_SCHEME_STYLES: dict[str, dict[str, Any]] = {
    "fdb-wcrb": {"color": _BLUE, "marker": "o", "linestyle": "-"},
    "fdb-wbf": {"color": _ORANGE, "marker": "s", "linestyle": "-"},
    "fdb-wvm": {"color": _GREEN, "marker": "^", "linestyle": "-"},
    "fdb-wbf-aligned": {"color": _PURPLE, "marker": "D", "linestyle": (0, (1, 1.2))},
    "cpa-wcrb": {"color": _BLUE, "marker": "o", "linestyle": _DASHED, "markerfacecolor": "white"},
    "cpa-wbf": {"color": _ORANGE, "marker": "s", "linestyle": _DASHED, "markerfacecolor": "white"},
    "cpa-wvm": {"color": _GREEN, "marker": "^", "linestyle": _DASHED, "markerfacecolor": "white"},
    "apa": {"color": "black", "marker": "*", "linestyle": "none", "markersize": 7},
    "custom": {"color": _AMBER, "marker": "X", "linestyle": (0, (5, 1, 1, 1)), "markersize": 5},
}
_PAPER_PANELS = ("fdb-wcrb", "fdb-wbf", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "cpa-wvm")
_FLOOR_DB = -40.0


def _styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a figure in our style; it is laid out before the style ends, for ticks are born at drawing."""

    @wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            figure = function(*args, **kwargs)
            figure.draw_without_rendering()  # type: ignore[no-untyped-call]
            return figure

    return styled


@_styled
def tradeoff(cube: xr.Dataset) -> Figure:
    """Draw the paper's Fig. 3: positioning against sensing, a curve over rho for every scheme.

    Each point is the median over draws of either root bound. An infinite bound counts as infinite in its
    median; uncertified, failed and missing designs are left out; each panel says how many there are of both.

    Parameters
    ----------
    cube
        As `results.schema` has it; one panel for each value of ``targets``, the first of other swept keys.

    Returns
    -------
    matplotlib.figure.Figure
        One or two columns wide.
    """
    first, where = at_first_point(cube[["crb_bp", "crb_ms", "status"]])
    first = first.compute()
    counts = first["targets"].values.tolist() if "targets" in first["status"].dims else [None]
    columns = min(len(counts), 3)
    rows = -(-len(counts) // columns)
    width = SINGLE_COLUMN_IN if columns == 1 else DOUBLE_COLUMN_IN
    figure = Figure(figsize=(width, 0.7 + 2.35 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = [first if k is None else first.sel(targets=k) for k in counts]
    medians = [_medians(panel) for panel in panels]
    scale, unit = _length_unit(medians)
    for axes, panel, median, k, letter in zip(grid.flat, panels, medians, counts, "abcdefghijkl", strict=False):
        _tradeoff_panel(axes, median * scale, panel["rho"].values, panel["scheme"].values.tolist())
        _say_left_out(axes, panel, median)
        if k is not None:
            axes.set_title(f"({letter}) $K = {k:g}$ {'target' if k == 1 else 'targets'}")
    for axes in grid.flat[len(counts) :]:
        axes.set_visible(False)
    _log_axes(grid[0, 0], medians, scale)
    for axes in grid[-1]:
        axes.set_xlabel(rf"$\sqrt{{\mathrm{{CRB}}_\mathrm{{MS}}}}$ ({unit})")
    for axes in grid[:, 0]:
        axes.set_ylabel(rf"$\sqrt{{\mathrm{{CRB}}_\mathrm{{BP}}}}$ ({unit})")
    if where:
        figure.suptitle(where, fontsize=8)
    handles = [Line2D([], [], label=label_of(s), **_style_of(s)) for s in first["scheme"].values.tolist()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if columns > 1 else 3)
    return figure


def _style_of(scheme: str) -> dict[str, Any]:
    style = {
        "markersize": 3.4,
        "markeredgewidth": 0.7,
        **_SCHEME_STYLES.get(scheme, _SCHEME_STYLES["custom"]),
    }
    return style


def _medians(panel: xr.Dataset) -> NDArray[np.float64]:
    """Median root bounds (MS, BP) in m, (2, scheme, rho); NaN where no draw has any, infinite where most are."""
    bounds = np.stack([panel[name].transpose("scheme", "rho", "draw").values for name in ("crb_ms", "crb_bp")])
    keep = _kept(panel)
    out = np.full(bounds.shape[:3], np.nan)
    for s, r in np.ndindex(keep.shape[:2]):
        if keep[s, r].any():
            # Of the draws, not of the roots: an even count averages two squares.
            out[:, s, r] = np.sqrt(_median(bounds[:, s, r, keep[s, r]]))
    return out


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median along the last axis of values that may be infinite (without inf - inf)."""
    ordered = np.sort(values, axis=-1)
    n = values.shape[-1]
    return np.asarray((ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2.0)


def _kept(panel: xr.Dataset) -> NDArray[np.bool_]:
    """Designs that enter the medians, (scheme, rho, draw): publishable, or infinite for good reason."""
    bp, ms = panel["crb_bp"], panel["crb_ms"]
    infinite = np.isinf(bp) | np.isinf(ms)
    unidentifiable = infinite & (panel["status"] == 2)
    return ((good(panel) | unidentifiable) & ~np.isnan(bp) & ~np.isnan(ms)).transpose("scheme", "rho", "draw").values


def _length_unit(medians: Sequence[NDArray[np.float64]]) -> tuple[float, str]:
    values = np.concatenate([m.ravel() for m in medians])
    finite = values[np.isfinite(values)]
    return (100.0, "cm") if finite.size == 0 or np.median(finite) < 1.0 else (1.0, "m")
