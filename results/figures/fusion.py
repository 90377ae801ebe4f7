"""The figure of what both observations tell together, beside what each tells alone."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import statistics
from ..points import at_one_point, nearest_weights, swept_keys
from ..schema import is_words
from ..schemes import label_of
from .panels import BLUE, DASHED, VERMILION, panels, styled

_ALONE_BP: dict[str, Any] = {"color": BLUE, "linestyle": DASHED}
_ALONE_MS: dict[str, Any] = {"color": VERMILION, "linestyle": (0, (1, 1.1))}
_FUSED: dict[str, Any] = {"color": "black", "linestyle": "-"}
_NAMES = (("BP alone", _ALONE_BP), ("MS alone", _ALONE_MS), ("both together", _FUSED))
_LEVELS = [0.05, 0.5, 0.95]


@styled
def fusion(cube: xr.Dataset) -> Figure:
    """Draw root bounds along rho, of each observation alone and of both together, of the first scheme.

    `cube`: as `results.schema` has it; of swept keys the first value, of ``targets`` the last. Result: a panel for the
    UE's position and one for all positions, medians with the range of 5 to 95 % of the draws; where one number is
    swept, one more for the UE's position along it, at the weight nearest to 0.5.
    """
    scheme = str(cube["scheme"].values[0])
    one = cube[["crb_bp", "crb_ms_target", "crb_ms", "crb_bp_fused", "crb_ms_fused", "status"]].sel(scheme=[scheme])
    first, where = at_one_point(one)
    first = first.sortby("rho")
    keys = swept_keys(cube)
    swept = keys[0] if len(keys) == 1 and not is_words(cube[keys[0]].values) and cube.sizes[keys[0]] > 1 else None
    figure, grid = panels(2 if swept is None else 3, 2.3, 0.6)
    axes = grid.ravel()
    along = first["rho"].values
    _curves(axes[0], along, {"crb_bp": _ALONE_BP, "ue": _ALONE_MS, "crb_bp_fused": _FUSED}, first)
    _curves(axes[1], along, {"crb_ms": _ALONE_MS, "crb_ms_fused": _FUSED}, first)
    axes[0].set(xlabel=r"$\rho$", ylabel="Root bound (m)", title=f"(a) UE position{where and ', ' + where}")
    axes[1].set(xlabel=r"$\rho$", title="(b) All positions")
    if swept is not None:
        weights = nearest_weights(cube["rho"].values)
        place = weights[len(weights) // 2]
        moved = one.isel(rho=[place]).sortby(swept)
        _curves(axes[2], moved[swept].values, {"crb_bp": _ALONE_BP, "ue": _ALONE_MS, "crb_bp_fused": _FUSED}, moved)
        axes[2].set(xlabel=swept, title=rf"(c) UE position, $\rho$ = {cube['rho'].values[place]:g}")
        if (moved[swept].values > 0.0).all() and moved[swept].values[-1] > 10.0 * moved[swept].values[0]:
            axes[2].set_xscale("log")
    figure.suptitle(label_of(scheme), fontsize=8)
    handles = [Line2D([], [], label=name, **style) for name, style in _NAMES]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _curves(axes: Axes, x: Any, styles: dict[str, dict[str, Any]], cube: xr.Dataset) -> None:
    """Medians and ranges of some bounds over the draws; "ue" is MS's on the UE."""
    for name, style in styles.items():
        source = cube[["status"]].assign(crb_ms=cube["crb_ms_target"].isel(path=0)) if name == "ue" else cube
        found = statistics.quantile(source, "crb_ms" if name == "ue" else name, _LEVELS)["value"]
        values = np.where(np.isfinite(found), found, np.nan).reshape(len(x), len(_LEVELS))
        axes.fill_between(x, values[:, 0], values[:, 2], color=style["color"], alpha=0.10, linewidth=0)
        axes.plot(x, values[:, 1], **style)
        if (values > 0.0).any():  # Matplotlib has no logarithm of nothing
            axes.set_yscale("log")
