"""Statements (i) to (iii) of the reference paper: where beams point."""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from ..estimates import Array, median_with_limits
from ..points import good
from ..schemes import FAMILIES, label_of
from .verdicts import FAILS, HOLDS, SAME, UNKNOWN, Row, Statement, counts, limits, summed_up


def strong_ue_beam(parts: Mapping[str, xr.Dataset]) -> Statement:
    """(i): for BP, the beams of FDB and CPA toward the UE are strong."""
    return summed_up(
        "i",
        "BP: strong beams toward the UE",
        "In BP, the beams of FDB and CPA toward the UE are strong.",
        "power toward the UE, and over that toward the strongest target, dB over uniform radiation, at rho = 1",
        _gain_rows(parts, 1.0, lambda ue, over: ue),
        "Strong: more than uniform radiation sends there (0 dB). It need not be the strongest beam.",
        'needs keep = ["beam_gain"], rho = 1 and an fdb or cpa scheme',
    )


def strongest_ue_beam(parts: Mapping[str, xr.Dataset]) -> Statement:
    """(ii): for MS, the UE's beam is the strongest."""
    return summed_up(
        "ii",
        "MS: the UE's beam is the strongest",
        "In MS, the beam toward the UE is the strongest, since its RCS is the smallest.",
        "power toward the UE, and over that toward the strongest target, dB over uniform radiation, at rho = 0",
        _gain_rows(parts, 0.0, lambda ue, over: over),
        "",
        'needs keep = ["beam_gain"], rho = 0, a target and an fdb or cpa scheme',
    )


def _gain_rows(
    parts: Mapping[str, xr.Dataset], weight: float, judge: Callable[[Array, Array], Array]
) -> dict[str, Row]:
    """The UE's beam of the extreme design of each family; `judge` picks what has to be above 0 dB."""
    rows = {}
    for suffix, part in parts.items():
        if "beam_gain" not in part or weight not in part["rho"].values:
            continue
        for scheme in _one_of_each_family(part):
            one = part.sel(scheme=scheme, rho=weight)
            with np.errstate(divide="ignore"):
                level = 10.0 * np.log10(one["beam_gain"].where(good(one)).transpose("draw", "path").values)
            ue, targets = level[:, 0], level[:, 1:]
            over = ue - targets.max(axis=1) if targets.shape[1] else np.full_like(ue, np.nan)
            lower = float(median_with_limits(judge(ue, over))[1])
            numbers = limits("UE", ue) | limits("UE over", over)
            verdict = UNKNOWN if not np.isfinite(lower) else (HOLDS if lower > 0.0 else FAILS)
            rows[f"{label_of(scheme)}{suffix}{_strongest(targets)}"] = Row(numbers | counts(ue), verdict)
    return rows


def _one_of_each_family(part: xr.Dataset) -> list[str]:
    """The scheme that gives each family's extreme designs."""
    known = set(part["scheme"].values.tolist())
    pairs = ((f"{family}-wcrb", f"{family}-wvm") for family in FAMILIES)
    return [next(name for name in pair if name in known) for pair in pairs if not known.isdisjoint(pair)]


def _strongest(targets: Array) -> str:
    """Which target's beam is the strongest in most draws, to be added to a label."""
    known = targets[np.isfinite(targets).all(axis=1)]
    if known.size == 0:
        return ""
    return f" (T{1 + int(np.bincount(known.argmax(axis=1)).argmax())})"


def apa_flat(parts: Mapping[str, xr.Dataset]) -> Statement:
    """(iii): equal powers know no difference between BP and MS."""
    rows = {}
    for suffix, part in parts.items():
        if "apa" in part["scheme"].values:
            apa = part.sel(scheme="apa")
            for name, words in (("beam_gain", "beams"), ("crb_bp", "BP bound"), ("crb_ms", "MS bound")):
                if name in apa:
                    values = apa[name].where(good(apa))
                    with np.errstate(invalid="ignore"):  # infinite at all weights, there is no ratio
                        spread = (values.max("rho") / values.min("rho")).transpose("draw", ...).values
                    largest = float(np.fmax.reduce(spread, axis=None, initial=-np.inf))
                    verdict = UNKNOWN if largest == -np.inf else (HOLDS if largest <= SAME else FAILS)
                    rows[f"{words}{suffix}"] = Row(
                        {"largest": largest} | counts(spread.reshape(len(spread), -1)[:, 0]), verdict
                    )
    return summed_up(
        "iii",
        "APA shows no difference",
        "Equal powers send the same beams in BP and MS.",
        "largest over rho / smallest over rho, the largest of all draws",
        rows,
        "By construction.",
        "needs apa",
    )
