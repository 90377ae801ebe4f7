"""The figures of the timing studies, in the style of the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from ..words import noun
from .panels import AMBER, BLUE, DASHED, DOUBLE_COLUMN_IN, GREEN, PURPLE, SKY, VERMILION, styled

_OURS = ("batch", "alone", "front")
# Colour says the problem, line the kind: solid ours, dashed general solvers, dotted the FIM alone.
_DOTTED = (0, (1, 1.2))
_STYLES: Mapping[str, Mapping[str, Any]] = {
    "sdp-full": {"color": VERMILION, "marker": "o", "linestyle": DASHED},
    "sdp-reduced": {"color": AMBER, "marker": "s", "linestyle": DASHED},
    "sdp-wbf": {"color": PURPLE, "marker": "^", "linestyle": DASHED},
    "sdp-wvm": {"color": "0.35", "marker": "v", "linestyle": DASHED},
    "closed": {"color": GREEN, "marker": "D", "linestyle": "-"},
    "cpa": {"color": SKY, "marker": "s", "linestyle": "-"},
    "fdb": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "fim-explicit": {"color": "black", "marker": "x", "linestyle": _DOTTED},
    "fim-separable": {"color": "black", "marker": "+", "linestyle": _DOTTED},
}


def _seconds(value: float, _: object = None) -> str:
    """A tick of a time axis in the unit that one would say it in."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= 0.999 * size:
            return f"{value / size:g} {unit}"
    return f"{value / 1e-9:g} ns"


def _time_axis(axis: Any) -> None:
    axis.set_major_locator(LogLocator(base=10.0, numticks=12))
    axis.set_major_formatter(FuncFormatter(_seconds))
    axis.set_minor_locator(LogLocator(base=10.0, subs=tuple(range(2, 10)), numticks=12))
    axis.set_minor_formatter(NullFormatter())
    axis.axes.tick_params(which="minor", length=1.5, width=0.4)


@styled
def speed_figure(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str], sets: Mapping[str, str]) -> Figure:
    """Draw the time per design of every method, a panel for each set of draws.

    `rows`: with ``set``, ``method``, ``seconds``, ``seconds_quartiles``, ``times_ours``, ``judged`` and ``failures``.
    `labels`, `sets`: names of methods, in order from above, and of sets. Result: two columns wide; a dot at the median,
    a bar over the quartiles, and how many times ours it is.
    """
    figure = Figure(figsize=(DOUBLE_COLUMN_IN, 0.75 + 0.2 * len(labels)), layout="constrained")
    grid = figure.subplots(1, len(sets), sharex=True, sharey=True, squeeze=False)[0]
    for i, (axes, (name, title)) in enumerate(zip(grid, sets.items(), strict=True)):
        mine = {row["method"]: row for row in rows if row["set"] == name}
        axes.set_xscale("log")
        for height, method in enumerate(labels):
            _speed_row(axes, height, mine[method], method in _OURS)
        axes.set(yticks=range(len(labels)), yticklabels=list(labels.values()), ylim=(len(labels) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.set_title(f"({chr(ord('a') + i)}) {title}")
        axes.set_xlabel("Time per design on one core")
        axes.grid(False, axis="y")
    times = np.array([row["seconds"] for row in rows])
    low, high = np.nanmin(times), np.nanmax(times)
    grid[0].set_xlim(low / 2.5, high * (high / low) ** 0.3)  # room for the ratios
    _time_axis(grid[0].xaxis)
    return figure


def _speed_row(axes: Axes, height: int, row: Mapping[str, Any], ours: bool) -> None:
    colour = BLUE if ours else VERMILION
    wide: dict[str, Any] = {"linewidth": 2.6, "alpha": 0.45, "solid_capstyle": "butt"}
    axes.plot(row["seconds_quartiles"], (height, height), color=colour, **wide)
    axes.plot(row["seconds"], height, marker="o" if ours else "s", markersize=4.0, color=colour)
    ratio = row["times_ours"]
    text = "1" if ratio == 1.0 else f"{ratio:.2g}" if ratio < 10.0 else f"{float(f'{ratio:.3g}'):,.0f}"
    note = f"  failed: {row['failures']} of {row['judged']}" if row["failures"] else ""
    place = (max(row["seconds"], row["seconds_quartiles"][1]), height)
    axes.annotate(rf"{text}$\times${note}", place, (6, 0), textcoords="offset points", va="center", fontsize=7)


@styled
def antennas_figure(sizes: Sequence[int], rows: Sequence[Mapping[str, Any]], order: int, anchor: str) -> Figure:
    """Draw run time against the number of transmit antennas, both logarithmic.

    `sizes`: transmit antennas, rising. `rows`: with ``method``, ``label``, and for each size ``seconds`` and
    ``seconds_quartiles``, NaN where it was not measured. `order`, `anchor`: the paper's line grows with this power,
    from the first measured point of this method. Result: one and a half columns wide; every curve is named at its end.
    """
    x = np.asarray(sizes, np.float64)
    known = [row for row in rows if np.isfinite(row["seconds"]).any()]
    figure = Figure(figsize=(5.6, 3.9), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel="Transmit antennas $M_T$", ylabel="Time on one core")
    every = np.array([row["seconds_quartiles"] for row in known]) if known else np.ones(1)
    low, high = np.nanmin(every) / 2.0, np.nanmax(every) * 6.0
    for row in known:
        style = _STYLES[row["method"]]
        axes.fill_between(x, *np.transpose(row["seconds_quartiles"]), color=style["color"], alpha=0.18, linewidth=0.0)
        axes.plot(x, row["seconds"], markersize=3.8, markeredgewidth=0.8, **style)
        if row["method"] == anchor:
            _paper_line(axes, x, row["seconds"], order, high)
    axes.set_xlim(x[0] / 1.15, x[-1] * (x[-1] / x[0]) ** 0.48 if x.size > 1 else x[0] * 4.0)
    axes.set_ylim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(x.tolist()))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    _time_axis(axes.yaxis)
    _name_ends(axes, x, known)
    return figure


def _paper_line(axes: Axes, x: NDArray[np.float64], seconds: Sequence[float], order: int, ceiling: float) -> None:
    """The paper's complexity from the first measured point up to the top of the panel, named along its slope."""
    first = np.flatnonzero(np.isfinite(seconds))[0]
    ends = np.array([x[first], min(x[-1], x[first] * (ceiling / seconds[first]) ** (1.0 / order))])
    line = seconds[first] * (ends / x[first]) ** order
    axes.plot(ends, line, color="0.45", linewidth=0.8, zorder=1.9)
    note: dict[str, Any] = {"textcoords": "offset points", "color": "0.35", "fontsize": 7}
    axes.annotate(rf"$O(M_T^{order})$, Section III-C", (ends[1], line[1]), (5, -7), **note)


def _name_ends(axes: Axes, x: NDArray[np.float64], rows: Sequence[Mapping[str, Any]]) -> None:
    """Name each curve beside its last point; names of curves that end at one size are kept apart."""
    low, high = axes.get_ylim()
    gap = np.log(high / low) / 27.0  # as many names fit above each other
    groups: dict[int, list[tuple[float, str, str]]] = {}
    for row in rows:
        last = int(np.flatnonzero(np.isfinite(row["seconds"]))[-1])
        groups.setdefault(last, []).append((float(np.log(row["seconds"][last])), row["method"], row["label"]))
    for last, names in groups.items():
        names.sort()
        heights = _spread([height for height, _, _ in names], gap)
        for (true, method, label), place in zip(names, heights, strict=True):
            axes.annotate(
                label, (x[last], np.exp(true)), (x[last] * 1.13, np.exp(place)), fontsize=7,
                color=_STYLES[method]["color"], va="center", zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6},
            )  # fmt: skip


def _spread(heights: list[float], gap: float) -> list[float]:
    """Rising heights as near to their own as they go, a gap or more apart."""
    for _ in range(200):
        for i in range(1, len(heights)):
            short = gap - (heights[i] - heights[i - 1])
            if short > 0.0:
                heights[i - 1] -= short / 2.0
                heights[i] += short / 2.0
    return heights


@styled
def dispatch_figure(
    simulation: Sequence[Mapping[str, float]],
    gap: float,
    curves: Mapping[float, Sequence[tuple[int, float]]],
    most_workers: int,
) -> Figure:
    """Draw how far one driver carries: measured beside the model, and the model at any number of workers.

    `simulation`: with ``chunk_seconds``, ``slots``, ``driver`` (s for each chunk), and ``measured`` (chunks a second).
    `gap`: what a worker waits from one chunk to the next, s. `curves`: by seconds of a chunk, numbers of workers with
    the share of their time that goes into designs. `most_workers`: from where on there is no driver that could feed
    them. Result: two columns wide.
    """
    figure = Figure(figsize=(DOUBLE_COLUMN_IN, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    slots, driver = simulation[0]["slots"], simulation[0]["driver"]
    x = np.array([row["chunk_seconds"] for row in simulation])
    t = np.geomspace(x[0] / 2.0, 2.0 * x[-1], 200)
    left.set(xscale="log", yscale="log", xlabel="Seconds of a chunk", ylabel="Chunks a second")
    left.plot(t, slots / t, color="0.5", linewidth=0.8, linestyle=DASHED, label="no overhead")
    left.plot(t, np.minimum(slots / (t + gap), 1.0 / driver), color=BLUE, label="model")
    left.plot(x, [row["measured"] for row in simulation], "o", color=VERMILION, markersize=4.0, label="measured")
    left.set_title(f"(a) {slots:g} sleeping {noun(slots, 'worker')}")
    left.legend(fontsize=7)
    _time_axis(left.xaxis)
    colours = (VERMILION, BLUE, GREEN, PURPLE)
    for (seconds, points), colour in zip(curves.items(), colours, strict=False):
        n, share = zip(*points, strict=True)
        right.plot(n, share, color=colour, label=f"chunks of {seconds:g} s")
    right.axvline(most_workers, color="0.5", linewidth=0.8, linestyle=DASHED)
    note = {"textcoords": "offset points", "fontsize": 7, "color": "0.35"}
    right.annotate("array mode beyond", (most_workers, 1.06), (-4, 0), ha="right", va="center", **note)
    right.set(xscale="log", ylim=(0.0, 1.12), xlabel="Workers", ylabel="Workers' time spent on designs")
    right.set_title("(b) the model")
    right.legend(fontsize=7, loc="lower left")
    return figure
