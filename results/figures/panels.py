"""What all figures share: style, panels, files.

Sized for a two-column paper, readable in black and white. Nothing global is touched: no pyplot, and the style
holds only while a figure is made or saved.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from signal import SIGKILL
from typing import Any, ParamSpec
from warnings import catch_warnings, simplefilter

import matplotlib as mpl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..schemes import scheme_of

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
BLUE, VERMILION, GREEN, PURPLE, AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
SKY, BROWN = "#56B4E9", "#8C6D31"
DASHED = (0, (4, 1.6))
_SCHEME_STYLES: dict[str, dict[str, Any]] = {
    "fdb-wcrb": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "fdb-wbf": {"color": VERMILION, "marker": "s", "linestyle": "-"},
    "fdb-wvm": {"color": GREEN, "marker": "^", "linestyle": "-"},
    "cpa-wcrb": {"color": BLUE, "marker": "o", "linestyle": DASHED, "markerfacecolor": "white"},
    "cpa-wbf": {"color": VERMILION, "marker": "s", "linestyle": DASHED, "markerfacecolor": "white"},
    "cpa-wvm": {"color": GREEN, "marker": "^", "linestyle": DASHED, "markerfacecolor": "white"},
    "fdb-wbf:sqrt": {"color": VERMILION, "marker": "h", "linestyle": "-"},
    "fdb-wbf:randomization": {"color": AMBER, "marker": "v", "linestyle": (0, (6, 1.4, 1.4, 1.4))},
    "fdb-wbf:svd": {"color": SKY, "marker": "P", "linestyle": DASHED},
    "fdb-wbf:eigen": {"color": BROWN, "marker": "d", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    "fdb-wbf-aligned": {"color": PURPLE, "marker": "D", "linestyle": (0, (1, 1.2)), "markersize": 2.4, "zorder": 3.1},
    "apa": {"color": "black", "marker": "*", "linestyle": "none", "markersize": 7.0},
    "custom": {"color": AMBER, "marker": "X", "linestyle": (0, (5, 1, 1, 1)), "markersize": 5.0},
}
_KNOWLEDGE_COLOURS = {"nominal": AMBER, "average": PURPLE}
_STYLE_OF = {scheme_of(name): style for name, style in _SCHEME_STYLES.items()}
BY_FAMILY = tuple(_SCHEME_STYLES)  # the paper's six panels first
BY_METHOD = ("fdb-wcrb", "cpa-wcrb", "fdb-wbf", "cpa-wbf", "fdb-wvm", "cpa-wvm", *BY_FAMILY[6:])
WEIGHT_STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": DASHED},
    {"color": "black", "linestyle": "-"},
    {"color": VERMILION, "linestyle": (0, (1, 1.1))},
)
_KINDS = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}  # and what would make their bytes differ
_MEANWHILE = ("png", "pdf")


@contextmanager
def _drawn_in_style() -> Iterator[None]:
    """Draw and save with Matplotlib's defaults and our style: a matplotlibrc changes no byte."""
    with mpl.rc_context():
        for name in mpl.rcParamsDefault:
            if name != "backend":
                mpl.rcParams._set(name, mpl.rcParamsDefault._get(name))
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Make a figure in our style; it is laid out before the style ends, for ticks are born then."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _drawn_in_style():
            figure = function(*args, **kwargs)
            engine = figure.get_layout_engine()
            if engine is None:
                figure.draw_without_rendering()
            else:
                engine.execute(figure)
                figure.set_layout_engine(None)  # or it would be laid out again for each file
            return figure

    return wrapped


def panels(count: int, row_in: float, rest_in: float, share: bool = False) -> tuple[Figure, NDArray[Any]]:
    """Make a figure of up to three panels a row, one column wide for a single panel; axes may be shared."""
    columns, rows = min(count, 3), -(-count // 3)
    width = _SINGLE_COLUMN_IN if columns == 1 else DOUBLE_COLUMN_IN
    figure = Figure(figsize=(width, rest_in + row_in * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False)


def root_label(link: str, unit: str = "m") -> str:
    """Label of an axis with root bounds of BP or MS."""
    return rf"$\sqrt{{\mathrm{{CRB}}_\mathrm{{{link}}}}}$ ({unit})"


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


def save(figure: Figure, folder: str | os.PathLike[str], stem: str, kinds: Iterable[str] = tuple(_KINDS)) -> list[Path]:
    """Write a figure as PNG, PDF and SVG; equal figures give equal bytes.

    `figure`: any figure of this module. `folder`, `stem`: where to; the folder is made if need be. `kinds`: which of
    them. Result: the files, each there completely or not at all.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind in kinds:
        paths.append(home / f"{stem}.{kind}")
        temporary = home / f".{stem}.{os.getpid()}.{kind}"
        try:
            with _drawn_in_style():
                figure.savefig(temporary, metadata={_KINDS[kind]: None})
            temporary.replace(paths[-1])
        finally:
            temporary.unlink(missing_ok=True)
    return paths


@contextmanager
def saving(made: Mapping[str, Figure], folder: str | os.PathLike[str]) -> Iterator[None]:
    """Write figures under their stems, as `save` does; SVGs are there at once, the others at the end.

    A child of this process writes these meanwhile: they take as long as all else that a report does.

    Raises OSError if a file cannot be written, as `save` does.
    """

    def save_others() -> None:
        for stem, figure in made.items():
            save(figure, folder, stem, _MEANWHILE)

    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)  # of other threads, whose locks the child does not need
        child = os.fork()
    if child == 0:
        try:
            save_others()
        except BaseException:
            os._exit(1)
        os._exit(0)
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
        save_others()
