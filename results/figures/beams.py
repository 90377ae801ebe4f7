"""Beampatterns: the reference paper's Fig. 2 panel for panel, and all schemes at three weights."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ..points import nearest_weights
from ..schemes import label_of
from .panels import BY_FAMILY, WEIGHT_STYLES, label_edges, ordered, panels, style_of, styled

_FLOOR_DB = -35.0
_PAPER_LINKS = (("BP", 1.0), ("MS", 0.0))
PAPER_SCHEMES = {"FDB": "fdb-wcrb", "CPA": "cpa-wcrb", "APA": "apa"}


@styled
def paper_beampatterns(beams: xr.Dataset) -> Figure:
    """Draw the paper's Fig. 2: BP (rho = 1) above MS (rho = 0), the extreme beams of FDB, CPA and APA.

    `beams`: gains over uniform radiation: ``total`` (scheme, rho, angle_deg); ``at_path`` (scheme, rho, path), at the
    angles ``aod_deg`` of paths named UE, T1, ...; and ``slot`` (scheme, rho, beam, angle_deg), single columns of W.
    Result: two columns wide, six panels; thin lines are the beams of single slots, dots the power toward each path.
    """
    names = [(link, family) for link, _ in _PAPER_LINKS for family in PAPER_SCHEMES]
    figure, grid = panels(len(names), 1.5, 0.3, share=True)
    aod_deg = dict(zip(beams["path"].values.tolist(), beams["aod_deg"].values.tolist(), strict=True))
    rho = dict(_PAPER_LINKS)
    for i, (axes, (link, family)) in enumerate(zip(grid.flat, names, strict=True)):
        one = beams.sel(scheme=PAPER_SCHEMES[family], rho=rho[link])
        for slot in one["slot"].transpose("beam", "angle_deg").values:
            axes.plot(one["angle_deg"].values, _decibels(slot), color="0.62", linewidth=0.45, zorder=2.0)
        colour = style_of(PAPER_SCHEMES["FDB"])["color"]
        axes.plot(one["angle_deg"].values, _decibels(one["total"].values), color=colour, linewidth=1.1, zorder=2.2)
        at_path = _decibels(one["at_path"].values)
        axes.plot(list(aod_deg.values()), at_path, "o", color="black", markersize=2.6, zorder=2.4, label="paths")
        _mark_paths(axes, aod_deg)
        axes.set_title(f"({chr(ord('a') + i)}) {link}-{family}", pad=12)
    top = 5.0 * np.ceil((float(_decibels(beams["total"].values).max()) + 1.0) / 5.0)
    grid[0, 0].set(xlim=(-90, 90), ylim=(top - 40.0, top), xticks=range(-60, 61, 30))
    label_edges(grid, len(names), "Angle from broadside (deg)", "Gain (dB)")
    return figure


def _decibels(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nulls are cut well below what is shown, so that their flanks keep their slope."""
    return 10.0 * np.log10(np.maximum(gain, 1e-8))


@styled
def beampatterns(pattern: xr.DataArray, aod_deg: Mapping[str, float]) -> Figure:
    """Draw transmit beampatterns, a panel for each scheme, curves for rho = 0, 0.5 and 1.

    `pattern`: power towards each angle, W, with dimensions (scheme, rho, angle_deg); all its schemes are drawn, the
    paper's six first, at its weights nearest to 0, 0.5 and 1. `aod_deg`: label of each path (UE, T1, ...) and its angle
    from broadside, deg. Result: two columns wide; in dB relative to the strongest beam of all panels.
    """
    schemes = ordered(pattern["scheme"].values.tolist(), BY_FAMILY)
    drawn = pattern.transpose("scheme", "rho", "angle_deg").sel(scheme=schemes)
    drawn = drawn.isel(rho=nearest_weights(pattern["rho"].values))
    strongest = drawn.max().item()
    figure, grid = panels(len(schemes), 1.5, 0.45, share=True)
    for i, (axes, scheme) in enumerate(zip(grid.flat, schemes, strict=False)):
        for power, style in zip(drawn.values[i], WEIGHT_STYLES, strict=False):
            axes.plot(drawn["angle_deg"].values, _decibels(power / strongest), **style)
        _mark_paths(axes, aod_deg)
        axes.set_title(f"({chr(ord('a') + i)}) {label_of(scheme)}", pad=12)
    edge = round(float(drawn["angle_deg"][-1]))
    ticks = range(-60, 61, 30) if edge == 90 else range(-120, 121, 60)
    grid[0, 0].set(xlim=(-edge, edge), ylim=(_FLOOR_DB, 2.0), xticks=ticks, yticks=range(-30, 1, 10))
    label_edges(grid, len(schemes), "Angle from broadside (deg)", "Relative power (dB)")
    styles = zip(drawn["rho"].values, WEIGHT_STYLES, strict=False)
    handles = [Line2D([], [], label=rf"$\rho = {rho:g}$", **style) for rho, style in styles]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _mark_paths(axes: Axes, aod_deg: Mapping[str, float]) -> None:
    """Mark each path by a thin line, named above the panel; neighbours share a name."""
    groups: list[list[tuple[str, float]]] = []
    for label, angle in sorted(aod_deg.items(), key=lambda item: item[1]):
        axes.axvline(angle, color="0.45", linewidth=0.5, linestyle=(0, (2, 1.5)), zorder=1.8)
        if groups and angle - groups[-1][-1][1] < 12.0:
            groups[-1].append((label, angle))
        else:
            groups.append([(label, angle)])
    for group in groups:
        name, middle = ",".join(label for label, _ in group), (group[0][1] + group[-1][1]) / 2.0
        axes.text(middle, 1.02, name, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=7)
