"""The report's page: one HTML file that needs no network, is readable without JavaScript, and can be printed.

Numbers come from `results.statistics`; this file chooses and words them, the template lays them out.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import xarray as xr

from .accessor import CubeAccessor
from .figures.panels import style_of
from .points import nearest_weights, swept_keys
from .schemes import label_of, scheme_of
from .statements.text import Table, table_of, title_of
from .statements.verdicts import Statement
from .statistics import mean, paired, quantile
from .words import counted, said

METRICS = {"crb_bp": "the UE's position (BP)", "crb_ms": "all sensed positions (MS)"}
_LEVELS = np.linspace(0.0, 1.0, 41)  # with 5, 25, 50, 75 and 95 %
_MOST_CELLS = 20_000  # scheme x rho x points of the sweep that a page holds
_SMALL_SPREAD = 1.05  # 95 % over 5 % quantile, below which the draws hardly matter
_TRUST = ("", "its variance may not exist", "it may not exist")


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its file (SVG or PNG), what it shows in words, and a caption."""

    path: Path
    alt: str
    caption: str

    @property
    def source(self) -> str:
        """The file as a data URL."""
        kind = {".svg": "svg+xml", ".png": "png"}[self.path.suffix]
        return f"data:image/{kind};base64,{base64.b64encode(self.path.read_bytes()).decode()}"


def render(
    cube: xr.Dataset,
    *,
    what: Sequence[tuple[str, str]],
    pictures: Sequence[Picture],
    statements: Sequence[Statement],
    verdicts: Table | None,
    tables: Mapping[str, Sequence[tuple[str, str]]],
) -> str:
    """Write the page of a cube, in HTML.

    `what`: what was run and what varied, label and words. `statements`: the paper's, judged. `verdicts`: which of them
    hold at which point of the sweep, as `results.statements.text.verdict_table` has it. `tables`: by title, rows of
    label and value: timings, provenance, citation.
    """
    whole, cube = cube, _that_fits(cube)
    bounds = {metric: quantile(cube, metric, _LEVELS) for metric in METRICS}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crbatch.results"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    data = json.dumps(_data(cube, bounds), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return environment.get_template("report.html.j2").render(
        title=str(CubeAccessor(cube).job.get("name", "cube")),
        what=what,
        answers=answers(cube, bounds, CubeAccessor(whole).status()),
        warnings=[*warnings(cube, bounds), *_left_out(whole, cube)],
        rows=list(_rows(cube, bounds)),
        sweep=swept_keys(cube),
        pictures=pictures,
        statements=[(title_of(one), one, table_of(one)) for one in statements],
        verdicts=verdicts,
        tables=tables,
        data=data,
    )


def _that_fits(cube: xr.Dataset) -> xr.Dataset:
    """The cube, or as many values of its longest swept key as a page can hold."""
    while (cells := math.prod(n for dim, n in cube["status"].sizes.items() if dim != "draw")) > _MOST_CELLS:
        longest = max((*swept_keys(cube), "rho"), key=lambda dim: cube.sizes[dim])
        if cube.sizes[longest] == 1:
            break
        keep = max(1, cube.sizes[longest] * _MOST_CELLS // cells)
        cube = cube.isel({longest: np.unique(np.linspace(0, cube.sizes[longest] - 1, keep).round().astype(int))})
    return cube


def _left_out(whole: xr.Dataset, cube: xr.Dataset) -> list[str]:
    """Say which values of swept keys and weights are in the cube alone, for want of room on the page."""
    return [
        f"Of {whole.sizes[dim]} values of {dim} this page holds {cube.sizes[dim]}; the cube and the CSV files have all."
        for dim in map(str, whole["status"].dims)
        if whole.sizes[dim] > cube.sizes[dim]
    ]


def length(value: float) -> str:
    """A length in the unit in which it is read best."""
    if math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "infinite" if value > 0 else "no limit"
    units = ((0.01, 1e3, "mm"), (1.0, 1e2, "cm"), (1e3, 1.0, "m"), (math.inf, 1e-3, "km"))
    scale, unit = next((scale, unit) for below, scale, unit in units if value < below)
    return f"{value * scale:.4g} {unit}"


def _first(cube: xr.Dataset) -> tuple[str, int, str]:
    """Scheme, weight and words of the design that the page speaks of first: the best one at even weights."""
    schemes = [str(scheme) for scheme in cube["scheme"].values]
    scheme = "fdb-wcrb" if "fdb-wcrb" in schemes else schemes[0]
    weights = nearest_weights(cube["rho"].values)
    place = weights[len(weights) // 2]
    return scheme, place, f"{label_of(scheme)} at rho = {cube['rho'].values[place]:g}"


def answers(cube: xr.Dataset, bounds: Mapping[str, xr.Dataset], counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """What the run says, in sentences: a short answer and the words around it; counts of designs by status."""
    scheme, place, words = _first(cube)
    where = _where(cube)
    found = []
    for metric, name in METRICS.items():
        one = _first_point(bounds[metric]).sel(scheme=scheme).isel(rho=place).sel(quantile=0.95, method="nearest")
        found.append(
            (
                length(one["value"].item()),
                f"95 % of draws have a root bound of {name} within this: {words}{where}; 95 % interval "
                f"{length(one['lower'].item())} to {length(one['upper'].item())}, {_of_draws(one)}.",
            )
        )
    if cube.sizes["scheme"] > 1:
        others = _compared(cube, scheme)
        one_weight = _first_point(cube[["objective", "status"]]).sel(scheme=[scheme, *others]).isel(rho=[place])
        ratio = paired(one_weight, "objective", scheme, root=False).isel(rho=0)
        for other in others:
            one = ratio.sel(scheme=other).isel(quantile=0)
            cost, low, high = (100.0 * (one[name].item() - 1.0) for name in ("value", "lower", "upper"))
            found.append(
                (
                    f"{cost:+.3g} %" if math.isfinite(cost) else "no ratio",
                    f"weighted bound of {label_of(other)} over {words}, draw by draw: the median{where}; 95 % "
                    f"interval {low:+.3g} to {high:+.3g} %, {_of_draws(one)}.",
                )
            )
    total = sum(counts.values())
    proven = counts["certified"] + counts["closed_form"]
    share = "100 %" if proven == total else f"{math.floor(1e4 * proven / total) / 1e2:g} %"
    lost = ", ".join(f"{counts[w]} {w}" for w in ("uncertified", "unidentifiable", "failed", "not_computed"))
    words = f"of {counted(total, 'design')} certified or mixed from certified ones; {lost.replace('_', ' ')}."
    return [*found, (share, words)]


def _compared(cube: xr.Dataset, scheme: str) -> list[str]:
    """Schemes that the first screen sets beside the first one: other knowledge, else the best codebook and APA."""
    others = [str(name) for name in cube["scheme"].values if name != scheme]
    same = [name for name in others if name.startswith(f"{scheme}@")]
    return same or [name for name in ("cpa-wcrb", "apa") if name in others]


def _of_draws(one: xr.Dataset) -> str:
    out = sum(one[name].item() for name in ("uncertified", "failed", "undefined"))
    words = counted(one["used"].item(), "draw")
    words += f", {one['infinite'].item()} of them infinite" if one["infinite"].item() else ""
    return words + (f", {out} left out" if out else "")


def _first_point(table: xr.Dataset) -> xr.Dataset:
    """The first point of the sweep."""
    kept = ("draw", "scheme", "rho", "quantile")
    return table.isel({dim: 0 for dim in table.dims if dim not in kept}, drop=True)


def _where(cube: xr.Dataset) -> str:
    """Say at which point of the sweep."""
    names = swept_keys(cube)
    return " at " + ", ".join(f"{name} = {said(cube[name].values[0])}" for name in names) if names else ""


def warnings(cube: xr.Dataset, bounds: Mapping[str, xr.Dataset]) -> list[str]:
    """What a reader of the numbers has to know: heavy tails, hardly any spread, draws left out, few draws."""
    scheme, place, words = _first(cube)
    found = []
    for metric, name in METRICS.items():
        shown = _first_point(cube[[metric, "status"]]).sel(scheme=[scheme]).isel(rho=[place])
        one = mean(shown, metric, root=False)
        trust, index = int(one["trust"].item()), one["tail_index"].item()
        if trust and one["used"].item() > 1:
            found.append(
                f"Do not quote the mean CRB of {name}: {_TRUST[trust]} (tail index {index:.2g}, {words}). "
                "The medians and quantiles here are sound."
            )
        spread = _first_point(bounds[metric]).sel(scheme=scheme).isel(rho=place)["value"]
        low, high = (spread.sel(quantile=level, method="nearest").item() for level in (0.05, 0.95))
        if math.isfinite(high) and low > 0.0 and 1.0 < high / low < _SMALL_SPREAD:
            found.append(
                f"The draws hardly move the bound of {name}: its 95 % quantile is {100 * (high / low - 1):.2g} % "
                f"above its 5 % quantile ({words})."
            )
    out = int(sum(bounds["crb_bp"][name].sum().item() for name in ("uncertified", "failed")))
    if out:
        words = "1 design has" if out == 1 else f"{out} designs have"
        found.append(f"{words} no certificate or failed: left out of quantiles, and counted there.")
    if cube.sizes["draw"] < 100:
        words = "1 draw is" if cube.sizes["draw"] == 1 else f"{cube.sizes['draw']} draws are"
        found.append(f"{words} few: look at the intervals before quoting a number.")
    return found


def _rows(cube: xr.Dataset, bounds: Mapping[str, xr.Dataset]) -> Any:
    """One row of the table for each point of the sweep, scheme and weight."""
    names = swept_keys(cube)
    key = set(nearest_weights(cube["rho"].values))
    shown = [int(np.argmin(np.abs(_LEVELS - level))) for level in (0.05, 0.5, 0.95)]
    for point in np.ndindex(*(cube.sizes[name] for name in names)):
        at = dict(zip(names, point, strict=True))
        tables = [table.isel(at).isel(quantile=shown).load() for table in bounds.values()]
        for s, scheme in enumerate(cube["scheme"].values.tolist()):
            for r, rho in enumerate(cube["rho"].values.tolist()):
                cells = []
                for table in tables:
                    one = table.isel(scheme=s, rho=r)
                    columns = (one[name].values.tolist() for name in ("value", "lower", "upper"))
                    for value, lower, upper in zip(*columns, strict=True):
                        cells.append((length(value), f"{length(lower)} to {length(upper)}", value))
                yield {
                    "point": "-".join(map(str, point)),
                    "swept": [said(cube[name].values[i]) for name, i in at.items()],
                    "scheme": label_of(scheme),
                    "s": s,
                    "r": r,
                    "rho": f"{rho:g}",
                    "key": r in key and not any(point),
                    "cells": cells,
                    "draws": _of_draws(one),
                }


def _data(cube: xr.Dataset, bounds: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """What the page's script draws from; infinite numbers as "inf", missing ones as null."""
    names = swept_keys(cube)
    middle = int(np.argmin(np.abs(_LEVELS - 0.5)))
    quantiles, intervals = {}, {}
    for metric, table in bounds.items():
        ordered = table.transpose(*names, "scheme", "rho", "quantile")
        shape = (-1, *ordered["value"].shape[len(names) :])
        quantiles[metric] = _plain(ordered["value"].values.reshape(shape))
        limits = np.stack([ordered[n].values.reshape(shape)[..., middle] for n in ("lower", "upper")], axis=-1)
        intervals[metric] = _plain(limits)
    return {
        "sweep": [{"name": name, "values": cube[name].values.tolist()} for name in names],
        "schemes": [
            {"name": label_of(name), "color": style_of(name)["color"], "dash": scheme_of(name).family == "cpa"}
            for name in map(str, cube["scheme"].values)
        ],
        "rho": cube["rho"].values.tolist(),
        "levels": _LEVELS.tolist(),
        "metrics": {"crb_bp": "root CRB of BP (m)", "crb_ms": "root CRB of MS (m)"},
        "quantiles": quantiles,
        "intervals": intervals,
        "draws": cube.sizes["draw"],
    }


def _plain(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return [_plain(value) for value in (values if values.ndim > 1 else values.tolist())]
    if math.isnan(values):
        return None
    return float(f"{values:.6g}") if math.isfinite(values) else ("inf" if values > 0 else "-inf")
