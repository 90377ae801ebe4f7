"""The figures of a run: trade-off curves, beampatterns, and the check of the paper's claims.

Sized for a two-column paper, readable in black and white. Nothing global is touched: no pyplot, and the style
holds only while a figure is made or saved.
"""

import io
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, MultipleLocator, NullLocator
from numpy.typing import NDArray

from .claims import Claim, at_first_point, is_ratio, label_of, nearest_weights
from .schema import STATUS_FLAGS

P = ParamSpec("P")

_SINGLE_COLUMN_IN = 3.5
_DOUBLE_COLUMN_IN = 7.16
_STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral",  # Times-like, and shipped with Matplotlib
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
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
    "legend.handlelength": 2.8,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "crbatch",
}
# Okabe-Ito colours. Colour and marker say the method, line and fill the family.
_BLUE, _VERMILION, _GREEN, _PURPLE, _AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
_DASHED = (0, (4, 1.6))
_SCHEME_STYLES: dict[str, dict[str, Any]] = {
    "fdb-wcrb": {"color": _BLUE, "marker": "o", "linestyle": "-"},
    "fdb-wbf": {"color": _VERMILION, "marker": "s", "linestyle": "-"},
    "fdb-wvm": {"color": _GREEN, "marker": "^", "linestyle": "-"},
    "fdb-wbf-aligned": {"color": _PURPLE, "marker": "D", "linestyle": (0, (1, 1.2))},
    "cpa-wcrb": {"color": _BLUE, "marker": "o", "linestyle": _DASHED, "markerfacecolor": "white"},
    "cpa-wbf": {"color": _VERMILION, "marker": "s", "linestyle": _DASHED, "markerfacecolor": "white"},
    "cpa-wvm": {"color": _GREEN, "marker": "^", "linestyle": _DASHED, "markerfacecolor": "white"},
    "apa": {"color": "black", "marker": "*", "linestyle": "none", "markersize": 7.0},
    "custom": {"color": _AMBER, "marker": "X", "linestyle": (0, (5, 1, 1, 1)), "markersize": 5.0},
}
_PAPER_PANELS = ("fdb-wcrb", "fdb-wbf", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "cpa-wvm")
_WEIGHT_STYLES: tuple[dict[str, Any], ...] = (
    {"color": _BLUE, "linestyle": _DASHED},
    {"color": "black", "linestyle": "-"},
    {"color": _VERMILION, "linestyle": (0, (1, 1.1))},
)
_FLOOR_DB = -40.0
# Publishable designs, and draws whose bound is infinite whatever one sends.
_SHOWN_STATUS = [v for v, word in STATUS_FLAGS.items() if word in ("certified", "closed_form", "unidentifiable")]


def _styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a figure in our style; it is laid out before the style ends, for ticks are born at drawing."""

    @wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            figure = function(*args, **kwargs)
            figure.draw_without_rendering()
            return figure

    return styled


@_styled
def tradeoff(cube: xr.Dataset) -> Figure:
    """Draw the paper's Fig. 3: positioning against sensing, a curve over rho for every scheme.

    A point is the median over draws of each root bound. An infinite bound counts as infinite in its median;
    uncertified, failed and missing designs are left out. Each panel says how many there are of both.

    Parameters
    ----------
    cube
        As `results.schema` has it; one panel for each value of ``targets``, the first of other swept keys.

    Returns
    -------
    matplotlib.figure.Figure
        One column wide for one panel, else two.
    """
    first, where = at_first_point(cube[["objective", "crb_bp", "crb_ms", "status"]])
    first = first.sortby("rho").compute()
    swept = "targets" in first["status"].dims
    panels = [first.isel(targets=i) for i in range(first.sizes["targets"])] if swept else [first]
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    width = _SINGLE_COLUMN_IN if columns == 1 else _DOUBLE_COLUMN_IN
    figure = Figure(figsize=(width, 0.7 + 2.4 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    medians = [_median_roots(panel) for panel in panels]
    scale, unit = _length_unit(np.stack(medians))
    for axes, panel, median in zip(grid.flat, panels, medians, strict=False):
        _draw_curves(axes, scale * median, panel)
        _say_not_shown(axes, panel, median)
    if swept:
        for letter, axes, panel in zip("abcdefghijklmnopqrstuvwxyz", grid.flat, panels, strict=False):
            axes.set_title(f"({letter}) $K = {panel['targets'].item():g}$")
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    _log_axes(grid[0, 0], scale * np.stack(medians))
    # Not the figure's own label, which the layout would put under the legend.
    for axes in grid[-1]:
        axes.set_xlabel(rf"$\sqrt{{\mathrm{{CRB}}_\mathrm{{MS}}}}$ ({unit})")
    figure.supylabel(rf"$\sqrt{{\mathrm{{CRB}}_\mathrm{{BP}}}}$ ({unit})", fontsize=8.5)
    if where:
        figure.suptitle(where, fontsize=8.5)
    handles = [Line2D([], [], label=label_of(s), **_style_of(s)) for s in first["scheme"].values.tolist()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if columns > 1 else 3)
    return figure


def _style_of(scheme: str) -> dict[str, Any]:
    style = _SCHEME_STYLES.get(scheme, _SCHEME_STYLES["custom"])
    return {"markersize": 3.6, "markeredgewidth": 0.7, **style}


def _shown(panel: xr.Dataset) -> xr.DataArray:
    """Designs that enter the medians."""
    return panel["status"].isin(_SHOWN_STATUS) & panel["crb_bp"].notnull() & panel["crb_ms"].notnull()


def _median_roots(panel: xr.Dataset) -> NDArray[np.float64]:
    """Median root bounds in m, (MS and BP, scheme, rho); infinite where most are, NaN where there is none."""
    order = ("scheme", "rho", "draw")
    bounds = np.stack([panel[name].transpose(*order).values for name in ("crb_ms", "crb_bp")])
    shown = _shown(panel).transpose(*order).values
    out = np.full(bounds.shape[:3], np.nan)
    for s, r in np.ndindex(*shown.shape[:2]):
        if shown[s, r].any():
            ordered = np.sort(np.sqrt(bounds[:, s, r, shown[s, r]]), axis=-1)
            n = ordered.shape[-1]
            out[:, s, r] = (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2.0  # without inf - inf
    return out


def _length_unit(lengths_m: NDArray[np.float64]) -> tuple[float, str]:
    finite = lengths_m[np.isfinite(lengths_m)]
    return (100.0, "cm") if finite.size == 0 or np.median(finite) < 1.0 else (1.0, "m")


def _draw_curves(axes: Axes, median: NDArray[np.float64], panel: xr.Dataset) -> None:
    """Draw every scheme's curve, a marker at up to six weights; the weights 0 and 1 are ringed and named."""
    rho = panel["rho"].values
    marked = np.unique(np.round(np.linspace(0, rho.size - 1, 6)).astype(int)).tolist()
    named: list[NDArray[np.float64]] = []
    for layer, (scheme, (ms, bp)) in enumerate(zip(panel["scheme"].values, median.swapaxes(0, 1), strict=True)):
        finite = np.isfinite(ms) & np.isfinite(bp)
        x, y = np.where(finite, ms, np.nan), np.where(finite, bp, np.nan)
        axes.plot(x, y, markevery=marked, label=str(scheme), zorder=3.0 - 0.01 * layer, **_style_of(str(scheme)))
        if scheme == "apa":
            continue
        for place in np.flatnonzero(np.isin(rho, (0.0, 1.0)) & finite):
            _name_end(axes, np.array([x[place], y[place]]), float(rho[place]), named)


def _name_end(axes: Axes, point: NDArray[np.float64], rho: float, named: list[NDArray[np.float64]]) -> None:
    """Ring an end of a curve and say its weight, once for all schemes that end there."""
    if any(np.allclose(point, other, rtol=0.02, atol=0.0) for other in named):
        return
    named.append(point)
    axes.plot(*point, marker="o", markersize=7.0, markerfacecolor="none", markeredgecolor="0.25", markeredgewidth=0.6)
    below = rho == 1.0
    axes.annotate(
        rf"$\rho = {rho:g}$",
        (point[0], point[1]),
        xytext=(0.0, -5.0) if below else (6.0, 0.0),
        textcoords="offset points",
        ha="center" if below else "left",
        va="top" if below else "center",
    )


def _say_not_shown(axes: Axes, panel: xr.Dataset, median: NDArray[np.float64]) -> None:
    """Write in the panel how many designs and points its curves do not show."""
    shown = _shown(panel)
    infinite = shown & (np.isinf(panel["crb_bp"]) | np.isinf(panel["crb_ms"]))
    left_out = shown.size - int(shown.sum())
    points = int((~np.isfinite(median)).any(axis=0).sum())
    lines = [
        f"{left_out} of {shown.size} designs left out (not certified)" if left_out else "",
        f"{int(infinite.sum())} of {shown.size} designs infinite" if infinite.any() else "",
        f"{points} of {median[0].size} points not drawn (no finite median)" if points else "",
    ]
    text = "\n".join(line for line in lines if line)
    axes.text(0.97, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=7, zorder=5)


def _log_axes(axes: Axes, values: NDArray[np.float64]) -> None:
    """Log axes with readable ticks, and room at the ends for the marks."""
    drawn: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1, keepdims=True))
    for axis, numbers in zip("xy", np.moveaxis(values, 1, 0), strict=True):
        finite = numbers[drawn[:, 0]]
        low, high = (finite.min(), finite.max()) if finite.size else (1.0, 10.0)
        pad = (high / low) ** 0.08 * 1.01
        axes.set(**{f"{axis}scale": "log", f"{axis}lim": (low / pad, high * pad)})
        ticks = axes.xaxis if axis == "x" else axes.yaxis
        narrow = high / low < 4.0
        ticks.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]) if narrow else LogLocator(subs=(1, 2, 5)))
        ticks.set_minor_locator(NullLocator())
        ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


@_styled
def beampatterns(pattern: xr.DataArray, aod_deg: Mapping[str, float]) -> Figure:
    """Draw the paper's Fig. 2: transmit beampatterns, a panel for each scheme, curves for rho = 0, 0.5 and 1.

    Parameters
    ----------
    pattern
        Power towards each angle, W, with dimensions (scheme, rho, angle_deg); all its schemes are drawn, the
        paper's six first, at its weights nearest to 0, 0.5 and 1.
    aod_deg
        Label of each path (UE, T1, ...) and its angle from broadside, deg.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide; in dB relative to the strongest beam of all panels.
    """
    schemes = pattern["scheme"].values.tolist()
    schemes.sort(key=lambda name: _PAPER_PANELS.index(name) if name in _PAPER_PANELS else len(_PAPER_PANELS))
    places = nearest_weights(pattern["rho"].values)
    drawn = pattern.transpose("scheme", "rho", "angle_deg").isel(rho=places)
    drawn = drawn.sel(scheme=schemes)
    with np.errstate(divide="ignore", invalid="ignore"):
        level = 10.0 * np.log10(drawn.values / np.nanmax(drawn.values))
    columns = min(len(schemes), 3)
    rows = -(-len(schemes) // columns)
    width = _SINGLE_COLUMN_IN if columns == 1 else _DOUBLE_COLUMN_IN
    figure = Figure(figsize=(width, 0.5 + 1.55 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for i, (axes, scheme) in enumerate(zip(grid.flat, schemes, strict=False)):
        for line, style in zip(level[i], _WEIGHT_STYLES, strict=False):
            axes.plot(drawn["angle_deg"].values, np.maximum(line, 2.0 * _FLOOR_DB), **style)
        _mark_paths(axes, aod_deg)
        axes.set_title(f"({chr(ord('a') + i)}) {label_of(scheme)}", pad=11)
        axes.label_outer()
    for axes in grid.flat[len(schemes) :]:
        axes.set_visible(False)
    grid[0, 0].set(xlim=(-90, 90), ylim=(_FLOOR_DB, 2.0))
    grid[0, 0].xaxis.set_major_locator(MultipleLocator(30))
    grid[0, 0].yaxis.set_major_locator(MultipleLocator(10))
    grid[-1, columns // 2].set_xlabel("Angle from broadside (deg)")
    figure.supylabel("Beampattern (dB)", fontsize=8.5)
    handles = [
        Line2D([], [], label=rf"$\rho = {rho:g}$", **style)
        for rho, style in zip(drawn["rho"].values, _WEIGHT_STYLES, strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _mark_paths(axes: Axes, aod_deg: Mapping[str, float]) -> None:
    """Mark each path by a thin line, named above the panel; neighbours share a name."""
    groups: list[list[tuple[str, float]]] = []
    for label, angle in sorted(aod_deg.items(), key=lambda item: item[1]):
        axes.axvline(angle, color="0.45", linewidth=0.5, linestyle=(0, (2, 1.5)), zorder=1.5)
        if groups and angle - groups[-1][-1][1] < 12.0:
            groups[-1].append((label, angle))
        else:
            groups.append([(label, angle)])
    for group in groups:
        middle = (group[0][1] + group[-1][1]) / 2.0
        axes.annotate(
            ",".join(label for label, _ in group),
            (middle, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0.0, 1.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7,
        )


@_styled
def claims_figure(claims: Sequence[Claim]) -> Figure:
    """Draw the measured ratios of every claim that the cube can answer, with the threshold 1.

    Parameters
    ----------
    claims
        From `section_claims`.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns wide, a panel under the other.
    """
    answered = [claim for claim in claims if claim.holds is not None]
    sizes = [len(claim.measured) + 4.0 for claim in answered]
    figure = Figure(figsize=(_DOUBLE_COLUMN_IN, 0.3 + 0.15 * sum(sizes, start=5.0 * (not answered))))
    if not answered:
        figure.text(0.5, 0.5, "No claim can be told from this cube.", ha="center", va="center")
        return figure
    grid = figure.subplots(len(answered), 1, height_ratios=sizes, squeeze=False)
    for axes, claim in zip(grid[:, 0], answered, strict=True):
        _claim_panel(axes, claim)
    return figure


def _claim_panel(axes: Axes, claim: Claim) -> None:
    """Draw a row for each comparison: a bar over its range, a mark for each ratio."""
    columns = [column for column in next(iter(claim.measured.values())) if is_ratio(column)]
    by_rho = columns[0].startswith("rho")
    markers = ("<", "o", ">") if by_rho else ("|", "o", "|")
    colour = _BLUE if claim.holds else _VERMILION
    table = np.array([[row[column] for column in columns] for row in claim.measured.values()])
    heights = np.arange(len(table))
    axes.axvline(1.0, color="black", linewidth=0.8, zorder=1.5)
    for height, ratios in zip(heights, table, strict=True):
        finite = ratios[np.isfinite(ratios)]
        axes.plot(
            [finite.min(initial=np.inf), finite.max(initial=-np.inf)] if finite.size else [],
            [height] * 2 if finite.size else [],
            color=colour,
            linewidth=1.0,
        )
    for column, marker, ratios in zip(columns, markers, table.T, strict=False):
        axes.plot(ratios, heights, color=colour, marker=marker, markersize=3.6, linestyle="none", label=column)
    axes.set_yticks(heights, list(claim.measured))
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.set_title(f"{claim.name}: {'holds' if claim.holds else 'does not hold'}", loc="left")
    axes.set_xlabel(claim.quantity)


def save(figure: Figure, folder: str | os.PathLike[str], stem: str) -> list[Path]:
    """Write a figure as PNG, PDF and SVG; equal figures give equal bytes.

    Parameters
    ----------
    figure
        Any figure of this module.
    folder, stem
        Where to; the folder is made if need be.

    Returns
    -------
    list of Path
        The three files, each there completely or not at all.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    metadata: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None},
        "svg": {"Date": None},
    }
    paths = []
    for kind, fields in metadata.items():
        buffer = io.BytesIO()
        with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
            figure.savefig(buffer, format=kind, metadata=fields)
        paths.append(home / f"{stem}.{kind}")
        _write(paths[-1], buffer.getvalue())
    return paths


def _write(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside it, then rename."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
