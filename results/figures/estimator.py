"""The figure of an estimator's errors beside the bounds: whether, and from where on, it reaches them."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.special import chdtri, ndtri

from ..errors import ResultsError
from ..points import nearest_weights, swept_keys
from ..schema import is_words
from ..schemes import label_of
from ..words import said
from .panels import DOUBLE_COLUMN_IN, style_of, styled

_CONFIDENCE = 0.99


def estimator_table(cube: xr.Dataset, scheme: str, link: str) -> xr.Dataset:
    """Root-mean-square errors and NEES beside the bound, at the weight nearest to 0.5.

    `cube`: with ``error_*`` and ``nees_*``. `scheme`, `link`: one of its schemes; "bp" or "ms". Result: over the swept
    keys: bound, the root of the mean bound, m; rmse with its 99 % interval lower, upper, m; nees with nees_lower,
    nees_upper, where the mean of as many efficient estimates lies with 99 %; used and left_out, draws whose estimate
    converged or did not.
    """
    weights = nearest_weights(cube["rho"].values)
    one = cube.sel(scheme=scheme).isel(rho=weights[len(weights) // 2])
    error, bound = one[f"error_{link}"], one[f"crb_{link}"]
    used = error.notnull()
    count = used.sum("draw")
    square, spread = error.mean("draw"), error.std("draw", ddof=1)
    reach = ndtri(0.5 + 0.5 * _CONFIDENCE) * spread / np.sqrt(count)
    targets = one["targets"] if "targets" in one["status"].dims else one.sizes.get("target", 0)
    size = one.sizes.get("xyz", 2) * (1 if link == "bp" else 1 + targets)
    freedom = np.maximum(count * size, 1)
    half = 0.5 * (1.0 - _CONFIDENCE)
    return xr.Dataset(
        {
            "bound": np.sqrt(bound.where(used).mean("draw")),
            "rmse": np.sqrt(square),
            "lower": np.sqrt(np.maximum(square - reach, 0.0)),
            "upper": np.sqrt(square + reach),
            "nees": one[f"nees_{link}"].mean("draw"),
            "nees_lower": xr.apply_ufunc(lambda n: chdtri(n, 1.0 - half) / n, freedom),
            "nees_upper": xr.apply_ufunc(lambda n: chdtri(n, half) / n, freedom),
            "used": count,
            "left_out": (~used).sum("draw"),
        }
    )


@styled
def estimator(cube: xr.Dataset) -> Figure:
    """Draw root-mean-square errors against the bounds above, NEES below, along the swept key.

    `cube`: with ``error_*`` and ``nees_*`` (``[output] keep = ["errors"]``), and one swept key or none. Result: two
    columns wide; BP left, MS right. Bars are 99 % intervals of the root-mean-square error, the shaded range is where 99
    % of NEES means lie if the estimator is efficient. Raises ResultsError if more than one key is swept.
    """
    swept = swept_keys(cube)
    if len(swept) > 1:
        raise ResultsError(f"errors are drawn along one swept key; this cube has {', '.join(swept)}")
    places = cube[swept[0]].values if swept else np.zeros(1)
    x = np.arange(places.size, dtype=float) if is_words(places) else places.astype(float)
    figure = Figure(figsize=(DOUBLE_COLUMN_IN, 4.0), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True, height_ratios=[2, 1])
    schemes = [str(name) for name in cube["scheme"].values]
    lost = []
    for column, link in enumerate(("bp", "ms")):
        top, bottom = grid[:, column]
        for scheme in schemes:
            table = estimator_table(cube, scheme, link)
            values = {str(name): np.atleast_1d(table[name].values) for name in table}
            style = style_of(scheme)
            rmse = values["rmse"]
            bars = np.maximum([rmse - values["lower"], values["upper"] - rmse], 0.0)
            top.plot(x, values["bound"], color=style["color"])
            top.errorbar(x, rmse, bars, color=style["color"], fmt=style["marker"], markersize=4, mfc="white", capsize=2)
            bottom.fill_between(x, values["nees_lower"], values["nees_upper"], color="0.85", linewidth=0)
            bottom.plot(x, values["nees"], color=style["color"], marker=style["marker"], markersize=3.6)
            lost += [f"{link.upper()}, {label_of(scheme)}: {n} of {n + m} at {said(at)}"
                     for at, n, m in zip(places, values["left_out"], values["used"], strict=True) if n]  # fmt: skip
        bottom.axhline(1.0, color="black", linewidth=0.6)
        top.set(yscale="log", title=f"({'ab'[column]}) {link.upper()}")
        bottom.set(xlabel=swept[0] if swept else "")
        if is_words(places):
            bottom.set_xticks(x, list(map(said, places)))
    grid[0, 0].set_ylabel("Root bound, RMSE (m)")
    grid[1, 0].set_ylabel("NEES")
    names = [Line2D([], [], color=style_of(scheme)["color"], label=f"bound, {label_of(scheme)}") for scheme in schemes]
    points = Line2D([], [], color="0.3", marker="o", mfc="white", linestyle="none", label="ML, 99 % interval")
    figure.legend(handles=[*names, points], loc="outside lower center", ncols=4)
    if lost:
        figure.suptitle("Left out, not converged: " + "; ".join(lost), fontsize=6.5, wrap=True)
    return figure
