"""The figure of where draws are, seen from above, and how well each is found."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ..points import at_one_point, nearest_weights
from ..schemes import label_of
from .panels import panels, styled

_MOST = 4000  # points in a panel


@styled
def places(cube: xr.Dataset, bs_position_m: Sequence[float], bs_broadside_deg: float) -> Figure:
    """Draw UEs and targets from above, coloured by the root bound of each, of the first scheme, rho nearest to 0.5.

    `cube`: as `results.schema` has it; of swept keys the first value, of ``targets`` the last. `bs_position_m`,
    `bs_broadside_deg`: where the BS is and where it faces. Result: a panel for the UE, found by BP, and one for the
    targets, found by MS, if there are any; colours end at 5 and 95 % of the draws.
    """
    scheme = str(cube["scheme"].values[0])
    names = [name for name in ("crb_bp", "crb_ms_target", "ue_position", "target_position", "status") if name in cube]
    first, where = at_one_point(cube[names].sel(scheme=scheme))
    weights = nearest_weights(first["rho"].values)
    one = first.isel(rho=weights[len(weights) // 2]).load()
    shown = {"UE": (one["ue_position"].values, one["crb_bp"].values)}
    if "target_position" in one:
        targets = one["target_position"].transpose("draw", "target", ...).values
        found = one["crb_ms_target"].transpose("draw", "path").values[:, 1:]
        shown["Targets"] = targets.reshape(-1, targets.shape[-1]), found.reshape(-1)
    figure, grid = panels(len(shown), 2.9, 0.35)
    for axes, (words, (position, bound)), link in zip(grid.flat, shown.items(), ("BP", "MS"), strict=False):
        known = np.flatnonzero(np.isfinite(bound) & (bound > 0.0))[:_MOST]
        root = np.sqrt(bound[known])
        low, high = np.quantile(root, [0.05, 0.95]) if known.size else (0.1, 1.0)
        norm = LogNorm(low / 1.001, high * 1.001)
        points = axes.scatter(*position[known, :2].T, c=root, norm=norm, cmap="viridis_r", s=4.0, linewidths=0)
        figure.colorbar(points, ax=axes, label="Root bound (m)", extend="both", shrink=0.85)
        turn = np.radians(bs_broadside_deg)
        axes.plot(*bs_position_m[:2], "s", color="black", markersize=4.0)
        axes.quiver(*bs_position_m[:2], np.cos(turn), np.sin(turn), scale=9.0, width=0.006)
        axes.set_axisbelow(True)
        axes.set(aspect="equal", xlabel="x (m)", title=f"{words}, {link}{_heights(position)}")
    grid[0, 0].set_ylabel("y (m)")
    rho = f"{label_of(scheme)}, " + rf"$\rho$ = {one['rho'].item():g}"
    figure.suptitle(", ".join(filter(None, [rho, where])), fontsize=8)
    return figure


def _heights(position: np.ndarray) -> str:
    if position.shape[1] < 3:
        return ""
    low, high = position[:, 2].min(), position[:, 2].max()
    return f", z = {low:.3g} m" if high - low < 1e-9 else f", z from {low:.2g} to {high:.2g} m"
