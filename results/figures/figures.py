"""The figure of a run, trade-off curves, and what all figures share: style, panels, files.

Sized for a two-column paper, readable in black and white. Nothing global is touched: no pyplot, and the style
holds only while a figure is made or saved.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from signal import SIGKILL
from typing import Any, NoReturn, ParamSpec
from warnings import catch_warnings, simplefilter

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from ..points import at_first_point
from ..schema import STATUS_FLAGS
from ..schemes import label_of, scheme_of
from ..words import counted
from .settings import drawn_with

P = ParamSpec("P")

_SINGLE_COLUMN_IN, DOUBLE_COLUMN_IN = 3.5, 7.16
_STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral",  # Times-like, and shipped with Matplotlib
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.4,
    **dict.fromkeys(("xtick.direction", "ytick.direction"), "in"),
    **dict.fromkeys(("xtick.major.width", "ytick.major.width"), 0.5),
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.3,
    **dict.fromkeys(("figure.autolayout", "figure.constrained_layout.use"), False),
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    **dict.fromkeys(("figure.dpi", "savefig.dpi"), 300),  # widths of text, and so the layout, hang on it
    "pdf.fonttype": 42,
    "svg.hashsalt": "crbatch",
}
# Okabe-Ito colours. Colour and marker say the method, line and fill the family.
_BLUE, _VERMILION, _GREEN, _PURPLE, _AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
_SKY, _BROWN = "#56B4E9", "#8C6D31"
_DASHED = (0, (4, 1.6))
_SCHEME_STYLES: dict[str, dict[str, Any]] = {
    "fdb-wcrb": {"color": _BLUE, "marker": "o", "linestyle": "-"},
    "fdb-wbf": {"color": _VERMILION, "marker": "s", "linestyle": "-"},
    "fdb-wvm": {"color": _GREEN, "marker": "^", "linestyle": "-"},
    "cpa-wcrb": {"color": _BLUE, "marker": "o", "linestyle": _DASHED, "markerfacecolor": "white"},
    "cpa-wbf": {"color": _VERMILION, "marker": "s", "linestyle": _DASHED, "markerfacecolor": "white"},
    "cpa-wvm": {"color": _GREEN, "marker": "^", "linestyle": _DASHED, "markerfacecolor": "white"},
    "fdb-wbf:sqrt": {"color": _VERMILION, "marker": "h", "linestyle": "-"},
    "fdb-wbf:randomization": {"color": _AMBER, "marker": "v", "linestyle": (0, (6, 1.4, 1.4, 1.4))},
    "fdb-wbf:svd": {"color": _SKY, "marker": "P", "linestyle": _DASHED},
    "fdb-wbf:eigen": {"color": _BROWN, "marker": "d", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    "fdb-wbf-aligned": {"color": _PURPLE, "marker": "D", "linestyle": (0, (1, 1.2)), "markersize": 2.4, "zorder": 3.1},
    "apa": {"color": "black", "marker": "*", "linestyle": "none", "markersize": 7.0},
    "custom": {"color": _AMBER, "marker": "X", "linestyle": (0, (5, 1, 1, 1)), "markersize": 5.0},
}
_STYLE_OF = {scheme_of(name): style for name, style in _SCHEME_STYLES.items()}
_KNOWLEDGE_COLOURS = {"nominal": _AMBER, "average": _PURPLE}
BY_FAMILY = tuple(_SCHEME_STYLES)  # the paper's six panels first
_BY_METHOD = ("fdb-wcrb", "cpa-wcrb", "fdb-wbf", "cpa-wbf", "fdb-wvm", "cpa-wvm", *BY_FAMILY[6:])
WEIGHT_STYLES: tuple[dict[str, Any], ...] = (
    {"color": _BLUE, "linestyle": _DASHED},
    {"color": "black", "linestyle": "-"},
    {"color": _VERMILION, "linestyle": (0, (1, 1.1))},
)
# Publishable designs, and draws whose bound is infinite whatever one sends.
_SHOWN_STATUS = [v for v, word in STATUS_FLAGS.items() if word in ("certified", "closed_form", "unidentifiable")]


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a figure in our style; it is laid out before the style ends, for ticks are born then."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with drawn_with(_STYLE):
            figure = function(*args, **kwargs)
            engine = figure.get_layout_engine()
            if engine is None:
                figure.draw_without_rendering()
            else:
                engine.execute(figure)
                figure.set_layout_engine(None)  # or it would be laid out again for each file
            return figure

    return wrapped


@styled
def tradeoff(cube: xr.Dataset) -> Figure:
    """Draw positioning against sensing, a curve over rho for every scheme: the form of the paper's Fig. 3.

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
    parts = [first.isel(targets=i) for i in range(first.sizes["targets"])] if swept else [first]
    medians = [_median_roots(panel) for panel in parts]
    scale, unit = _length_unit(np.stack(medians))
    figure, grid = panels(len(parts), 2.4, 0.75, share=True)
    drawn = np.stack([np.where(np.isfinite(median).all(axis=0), median, np.nan) for median in medians])
    _log_axis(grid[0, 0], "x", scale * drawn[:, 0])
    _log_axis(grid[0, 0], "y", scale * drawn[:, 1])
    for i, (axes, panel, median) in enumerate(zip(grid.flat, parts, medians, strict=False)):
        _draw_curves(axes, scale * median, panel)
        _say_not_shown(axes, panel, median)
        if swept:
            axes.set_title(f"({chr(ord('a') + i)}) $K = {panel['targets'].item():g}$")
    names = [rf"$\sqrt{{\mathrm{{CRB}}_\mathrm{{{link}}}}}$ ({unit})" for link in ("MS", "BP")]
    label_edges(grid, len(parts), *names)
    if where:
        figure.suptitle(where, fontsize=8)
    order, columns = (_BY_METHOD, 4) if len(parts) > 1 else (BY_FAMILY, 3)
    schemes = ordered(first["scheme"].values.tolist(), order)
    handles = [Line2D([], [], label=label_of(scheme), **style_of(scheme)) for scheme in schemes]
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def panels(count: int, row_in: float, rest_in: float, share: bool = False) -> tuple[Figure, NDArray[Any]]:
    """Make a figure of up to three panels a row, one column wide for a single panel; axes may be shared."""
    columns, rows = min(count, 3), -(-count // 3)
    width = _SINGLE_COLUMN_IN if columns == 1 else DOUBLE_COLUMN_IN
    figure = Figure(figsize=(width, rest_in + row_in * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False)


def label_edges(grid: NDArray[Any], used: int, x_label: str, y_label: str) -> None:
    """Label the lowest panel of each column and the first of each row; hide panels that are not used."""
    for i, axes in enumerate(grid.flat):
        axes.set_visible(i < used)
        if i + grid.shape[1] >= used:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(x_label)
    for axes in grid[:, 0]:
        axes.set_ylabel(y_label)


def ordered(schemes: Sequence[str], order: Sequence[str]) -> list[str]:
    """Schemes in some order, those that it does not name last."""
    return sorted(schemes, key=lambda scheme: order.index(scheme) if scheme in order else len(order))


def style_of(scheme: str) -> dict[str, Any]:
    """Colour, line and marker of a scheme, as Matplotlib takes them."""
    parsed = scheme_of(scheme)
    own = _STYLE_OF.get(parsed._replace(knowledge=None), _SCHEME_STYLES["custom"])
    style = {"markersize": 3.6, "markeredgewidth": 0.7, **own}
    colour = _KNOWLEDGE_COLOURS.get(parsed.knowledge or "")
    return style if colour is None else style | {"color": colour}


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


_KINDS = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}  # and what would make their bytes differ


def save(figure: Figure, folder: str | os.PathLike[str], stem: str, kinds: Iterable[str] = tuple(_KINDS)) -> list[Path]:
    """Write a figure as PNG, PDF and SVG; equal figures give equal bytes.

    Parameters
    ----------
    figure
        Any figure of this module.
    folder, stem
        Where to; the folder is made if need be.
    kinds
        Which of them.

    Returns
    -------
    list of Path
        The files, each there completely or not at all.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind in kinds:
        paths.append(home / f"{stem}.{kind}")
        temporary = home / f".{stem}.{os.getpid()}.{kind}"
        try:
            with drawn_with(_STYLE):
                figure.savefig(temporary, metadata={_KINDS[kind]: None})
            temporary.replace(paths[-1])
        finally:
            temporary.unlink(missing_ok=True)
    return paths


@contextmanager
def saving(made: Mapping[str, Figure], folder: str | os.PathLike[str]) -> Iterator[None]:
    """Write figures under their stems, as `save` does; SVGs are there at once, the others at the end.

    A child of this process writes these meanwhile: they take as long as all else that a report does.

    Raises
    ------
    OSError
        If a file cannot be written, as `save` does.
    """
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # of other threads, whose locks the child does not need
        child = os.fork()
    if child == 0:
        _save_and_end(made, folder)
    try:
        for stem, figure in made.items():
            save(figure, folder, stem, ["svg"])
        yield
        done = os.waitpid(child, 0)[1] == 0
        child = 0
    finally:
        if child:
            os.kill(child, SIGKILL)
            os.waitpid(child, 0)
    if not done:  # what went wrong there goes wrong here, and is told, or not at all
        for stem, figure in made.items():
            save(figure, folder, stem, _MEANWHILE)


_MEANWHILE = ("png", "pdf")


def _save_and_end(made: Mapping[str, Figure], folder: str | os.PathLike[str]) -> NoReturn:
    try:
        for stem, figure in made.items():
            save(figure, folder, stem, _MEANWHILE)
    except BaseException:
        os._exit(1)
    os._exit(0)
