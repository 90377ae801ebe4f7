"""The statements of the reference paper's Section IV (and III-C), judged on a cube: reported, never asserted.

Curves are compared as the paper draws them, at an equal root bound (`results.curves`); every number is a median over
the draws with its exact 95 % interval. Only designs that are certified, or of closed form over certified ones, enter;
each row says how many draws did and how many were left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from ..points import at_first_point, swept_keys
from ..words import said
from .beams import apa_flat, strong_ue_beam, strongest_ue_beam
from .curves import Curves
from .tradeoffs import fdb_beats_cpa, gap_grows, trades_off, wcrb_best, wvm_beats_wbf, wvm_close
from .verdicts import FAILS, HOLDS, IN_PART, Row, Statement, summed_up

MOST_DRAWS = 1000  # the first ones are judged: a median of more is no better known than one has to know here
_VARIABLES = ["crb_bp", "crb_ms", "status", "gap", "beam_gain"]


def judged(cube: xr.Dataset) -> list[Statement]:
    """Judge every statement on a cube.

    `cube`: as `results.schema` has it. Of a swept key other than ``targets`` the first value is taken, of the draws the
    first `MOST_DRAWS`. Result: always the same ones in the same order; one that the cube cannot answer says so.
    """
    _, found, _ = next(judged_at_points(cube))
    _, where = at_first_point(cube)
    if not where:
        return found
    note = f"At {where}, the first point of the sweep."
    return [replace(one, note=f"{one.note} {note}".strip()) for one in found]


def judged_at_points(cube: xr.Dataset) -> Iterator[tuple[tuple[Any, ...], list[Statement], xr.Dataset]]:
    """Judge every statement at every point of the sweep, ``targets`` apart.

    Yields the values of the swept keys, the statements, and the point's bounds in memory.
    """
    kept = cube[[name for name in _VARIABLES if name in cube]].isel(draw=slice(MOST_DRAWS))
    keys = [key for key in swept_keys(kept) if key != "targets"]
    for index in np.ndindex(*(kept.sizes[key] for key in keys)):
        point = kept.isel(dict(zip(keys, index, strict=True))).load()
        yield tuple(point[key].item() for key in keys), _judged_at(point), point


def _judged_at(point: xr.Dataset) -> list[Statement]:
    by_targets = _by_targets(point)
    curves = {suffix: Curves(one) for suffix, one in by_targets.items()}
    schemes = [str(name) for name in point["scheme"].values]
    return [
        strong_ue_beam(by_targets),
        strongest_ue_beam(by_targets),
        apa_flat(by_targets),
        trades_off(by_targets, schemes),
        fdb_beats_cpa(curves, schemes),
        wcrb_best(curves, schemes),
        wvm_beats_wbf(curves, schemes),
        wvm_close(curves, schemes),
        gap_grows(curves, schemes),
        _times(),
    ]


def _by_targets(point: xr.Dataset) -> dict[str, xr.Dataset]:
    """Parts of a cube by what to add to a label, in ascending order of targets; the cube itself if not swept."""
    if "targets" not in point["status"].dims:
        return {"": point}
    counts = sorted(point["targets"].values.tolist())
    return {
        f", K = {said(k)}": point.sel(targets=k).isel(path=slice(int(k) + 1), missing_dims="ignore") for k in counts
    }


def _times(rows: Mapping[str, Row] | None = None) -> Statement:
    return summed_up(
        "ix",
        "(18) and (19) take less time than (15)",
        "Section III-C: the programs of WBF and WVM take less time than that of WCRB.",
        "time of (15) / of the program named; lower and upper from the extremes of all repeats",
        rows or {},
        "(18) as the lifted program that gives its optimum; the closed forms give what (18) and (19) do.",
        "a cube of draws has no run times; crbatch bench antennas measures and judges it",
    )


_PROGRAMS = {"sdp-wbf": "(18) lifted", "sdp-wvm": "(19)", "closed": "closed forms of (18), (19)"}


def judged_times(bench: xr.Dataset) -> Statement:
    """Judge the statement on run times by a cube of ``crbatch bench antennas``.

    `bench`: seconds over (algorithm, tx_antennas, repeat), NaN where nothing was measured.
    """
    rows, measured = {}, {"sdp-full", *_PROGRAMS} & set(bench["algorithm"].values.tolist())
    for name, label in _PROGRAMS.items():
        if not {"sdp-full", name} <= measured:
            continue
        for size in bench["tx_antennas"].values.tolist():
            whole, own = (bench["seconds"].sel(algorithm=one, tx_antennas=size).values for one in ("sdp-full", name))
            if np.isfinite(whole).any() and np.isfinite(own).any():
                median = float(np.nanmedian(whole) / np.nanmedian(own))
                lower, upper = float(np.nanmin(whole) / np.nanmax(own)), float(np.nanmax(whole) / np.nanmin(own))
                verdict = HOLDS if lower > 1.0 else (FAILS if upper < 1.0 else IN_PART)
                rows[f"{label}, {size} antennas"] = Row({"median": median, "lower": lower, "upper": upper}, verdict)
    return _times(rows)
