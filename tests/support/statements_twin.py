"""The verdicts on the paper's statements once more, from a cube's file: draw by draw and segment by segment.

It shares no code with `results` and was written from the rules in words; slow and plain on purpose.
"""

from functools import cache
from itertools import pairwise
from math import comb, exp, inf, isfinite, isnan, log, log10, nan
from types import SimpleNamespace

import netCDF4
import numpy as np

HOLDS, PARTLY, NOT, UNKNOWN = "holds", "holds in part", "does not hold", "cannot tell"
FAMILIES = ("fdb", "cpa")
AXES = ("bp", "ms")  # which bound is equal
LEVELS = [j / 10 for j in range(1, 10)]
ROUNDING = 1e-12


def statements(path):
    """Of each statement its verdict and its rows: (verdict, {key: (verdict, numbers)})."""
    parts = read(path)
    rows = {
        "i": gains(parts, 1.0),
        "ii": gains(parts, 0.0),
        "iii": flatness(parts),
        "iv": ends(parts),
        "v": compared(parts, fdb_pairs, better),
        "vi": compared(parts, wcrb_pairs, not_worse),
        "vii a": compared(parts, wbf_pairs, better),
        "vii b": compared(parts, close_pairs, close),
        "viii": growth(parts),
        "ix": {},
    }
    return {name: (overall(verdict for verdict, _ in found.values()), found) for name, found in rows.items()}


def overall(verdicts):
    told = {verdict for verdict in verdicts if verdict != UNKNOWN}
    return UNKNOWN if not told else told.pop() if len(told) == 1 else PARTLY


# The file.


def read(path):
    """A part of the cube per number of targets: arrays over (draw, scheme, rho), NaN where nothing is certified."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_mask(False)
        swept = "targets" in file["status"].dimensions
        counts = [int(count) for count in file["targets"][:]] if swept else [None]
        rho = np.array(file["rho"][:], float)
        order = np.argsort(rho)
        names = [str(name) for name in file["scheme"][:]]
        parts = []
        for place in np.argsort(counts) if swept else [None]:
            status = taken(file["status"], place)
            arrays = {name: taken(file[name], place) for name in ("crb_bp", "crb_ms", "gap") if name in file.variables}
            if "beam_gain" in file.variables:
                arrays["beam_gain"] = taken(file["beam_gain"], place)
            for name, values in arrays.items():
                values = values.astype(float)
                values[(status != 0) & (status != 4)] = nan
                arrays[name] = values[:, :, order]
            parts.append(
                SimpleNamespace(
                    targets=counts[0] if place is None else counts[place],
                    names=names,
                    rho=[float(weight) for weight in rho[order]],
                    bp=arrays["crb_bp"],
                    ms=arrays["crb_ms"],
                    gain=arrays.get("beam_gain"),
                    largest_gap=max([1e-6, *(gap for gap in arrays.get("gap", np.zeros(0)).ravel() if isfinite(gap))]),
                )
            )
    return parts


def taken(variable, place):
    """The first 1000 draws, one number of targets, the first value of every other swept key."""
    ours = {"draw": slice(0, 1000), "scheme": slice(None), "rho": slice(None), "path": slice(None), "targets": place}
    return np.array(variable[tuple(ours.get(name, 0) for name in variable.dimensions)])


# Medians.


@cache
def rank(n):
    """The largest l with P(Bin(n, 1/2) <= l - 1) <= 0.025."""
    found, below = 0, 0
    while True:
        below += comb(n, found)
        if 40 * below > 2**n:
            return found
        found += 1


def middle(values):
    """Median, lower and upper limit, used and left out."""
    x = sorted(float(value) for value in values if not isnan(value))
    n = len(x)
    if n == 0:
        return SimpleNamespace(median=nan, lower=nan, upper=nan, used=0, left_out=len(values))
    median = x[n // 2] if n % 2 else (x[n // 2 - 1] + x[n // 2]) / 2
    order = rank(n)
    lower, upper = (x[order - 1], x[n - order]) if order else (-inf, inf)
    return SimpleNamespace(median=median, lower=lower, upper=upper, used=n, left_out=len(values) - n)


def single_number(ratios, blur=0.0):
    found = middle(ratios)
    numbers = {"median": found.median, "lower": found.lower, "upper": found.upper} | counts(found)
    if found.used == 0 or found.lower == -inf:
        return UNKNOWN, numbers
    if 1 + ROUNDING < found.lower <= exp(blur):
        return UNKNOWN, numbers
    return HOLDS if found.lower > 1 + ROUNDING else NOT, numbers


def counts(found):
    return {"used": found.used, "left out": found.left_out}


# Beams.


def gains(parts, weight):
    """(i) at rho = 1, (ii) at rho = 0: what goes to the UE, in dB, and how far above the strongest target."""
    rows = {}
    for part in parts:
        for family in FAMILIES:
            schemes = [f"{family}-{mix}" for mix in ("wcrb", "wvm") if f"{family}-{mix}" in part.names]
            if not schemes or weight not in part.rho or part.gain is None:
                continue
            gain = part.gain[:, part.names.index(schemes[0]), part.rho.index(weight)]
            level = [decibel(draw[0]) for draw in gain]
            strongest = [decibel(max((g for g in draw[1:] if not isnan(g)), default=nan)) for draw in gain]
            own, over = middle(level), middle([a - b for a, b in zip(level, strongest, strict=True)])
            judged = own if weight == 1 else over
            verdict = HOLDS if judged.lower > 0 else NOT if isfinite(judged.lower) else UNKNOWN
            numbers = {
                f"{name}{column}": getattr(found, field)
                for name, found in (("UE", own), ("UE over", over))
                for column, field in (("", "median"), (", lower", "lower"), (", upper", "upper"))
            }
            rows[schemes[0], part.targets] = verdict, numbers | counts(own)
    return rows


def decibel(gain):
    return nan if isnan(gain) else -inf if gain == 0 else 10 * log10(gain)


def flatness(parts):
    """(iii): how far APA moves with rho."""
    rows = {}
    for part in parts:
        if "apa" not in part.names:
            continue
        for name in ("gain", "bp", "ms"):
            if getattr(part, name) is None:
                continue
            values = getattr(part, name)[:, part.names.index("apa")].reshape(len(part.bp), len(part.rho), -1)
            ratios = [[moved(values[draw, :, path]) for path in range(values.shape[2])] for draw in range(len(values))]
            worst = max((ratio for draw in ratios for ratio in draw if not isnan(ratio)), default=-inf)
            verdict = UNKNOWN if worst == -inf else HOLDS if worst <= 1 + ROUNDING else NOT
            used = sum(not isnan(draw[0]) for draw in ratios)
            rows[name, part.targets] = verdict, {"largest": worst, "used": used, "left out": len(ratios) - used}
    return rows


def moved(values):
    """Largest over smallest; NaN where that is nothing, or nothing over nothing, or infinite over infinite."""
    known = [float(value) for value in values if not isnan(value)]
    low, high = min(known, default=nan), max(known, default=nan)
    return nan if low == high and low in (0, inf) else inf if low == 0 else high / low


# The ends.


def ends(parts):
    """(iv): what either bound loses from its own end to the other's."""
    rows = {}
    for part in parts:
        if not {0.0, 1.0} <= set(part.rho):
            continue
        first, last = part.rho.index(0.0), part.rho.index(1.0)
        for scheme, name in enumerate(part.names):
            if name.split("@")[0] not in ("apa", "custom"):
                for axis, worse, best in (("bp", first, last), ("ms", last, first)):
                    bound = getattr(part, axis)[:, scheme]
                    ratios = [exp(log_root(draw[worse]) - log_root(draw[best])) for draw in bound]
                    rows[name, axis, part.targets] = single_number(ratios)
    return rows


# Curves.


def log_root(bound):
    return nan if isnan(bound) or bound < 0 else -inf if bound == 0 else 0.5 * log(bound)


def curve(part, draw, name, axis):
    """(x, y) per weight: x the bound that is made equal, y the other."""
    scheme = part.names.index(name)
    bp, ms = part.bp[draw, scheme], part.ms[draw, scheme]
    x, y = (bp, ms) if axis == "bp" else (ms, bp)
    return [(log_root(a), log_root(b)) for a, b in zip(x, y, strict=True)]


def thinned(points):
    """Every second point and the last."""
    return [point for i, point in enumerate(points) if i % 2 == 0 or i == len(points) - 1]


def at_level(points, level):
    """The smallest y of the segments that contain a level; NaN where none does."""
    found = []
    for (x0, y0), (x1, y1) in pairwise(points):
        if not all(map(isfinite, (x0, y0, x1, y1))) or not min(x0, x1) <= level <= max(x0, x1):
            continue
        found.append(min(y0, y1) if x0 == x1 else y0 + (y1 - y0) * (level - x0) / (x1 - x0))
    return min(found, default=nan)


def levels_of(top, bottom):
    """Nine levels between the ends that two curves share."""
    xs = [[x for x, y in points if isfinite(x) and isfinite(y)] for points in (top, bottom)]
    if not all(xs):
        return [nan] * len(LEVELS)
    low, high = max(map(min, xs)), min(map(max, xs))
    return [nan] * len(LEVELS) if high < low else [low + j * (high - low) for j in LEVELS]


def tangent(part, draw, name, axis, level):
    """Log root of the highest of the lines that no design of the family lies below, at a level."""
    scheme, fixed, height = part.names.index(name), exp(2 * level), nan
    for rho, bp, ms in zip(part.rho, part.bp[draw, scheme], part.ms[draw, scheme], strict=True):
        objective = (rho * bp if rho > 0 else 0.0) + ((1 - rho) * ms if rho < 1 else 0.0)
        ours, other = (rho, 1 - rho) if axis == "bp" else (1 - rho, rho)
        if other > 0 and isfinite(objective):
            line = (objective - ours * fixed) / other
            height = line if isnan(height) else max(height, line)
    return log_root(height)


def comparison(part, top, bottom, axis):
    """Log ratios (draw, place), their means (draw) and the blur (place) of one scheme over another."""
    ratios, rough, moves, above_tangent = [], [], [], {name: [] for name in (top, bottom) if name.endswith("-wcrb")}
    for draw in range(len(part.bp)):
        curves = {name: curve(part, draw, name, axis) for name in (top, bottom)}
        levels = levels_of(curves[top], curves[bottom])
        full = [at_level(curves[top], level) - at_level(curves[bottom], level) for level in levels]
        thin = [
            sum(abs(at_level(thinned(points), x) - at_level(points, x)) for points in curves.values()) for x in levels
        ]
        ratios.append(full)
        rough.append([at_level(thinned(curves[top]), x) - at_level(thinned(curves[bottom]), x) for x in levels])
        moves.append([inf if isnan(b) and not isnan(a) else b for a, b in zip(full, thin, strict=True)])
        for name, kept in above_tangent.items():
            y = [at_level(curves[name], level) for level in levels]
            linear = [(exp(2 * a), exp(2 * b)) for a, b in curves[name]]
            kept.append(
                [
                    greater(a - tangent(part, draw, name, axis, x), chord(linear, x) - a)
                    for a, x in zip(y, levels, strict=True)
                ]
            )
    blur = []
    for place in range(len(LEVELS)):
        medians = [middle([draw[place] for draw in kept]).median for kept in (moves, *above_tangent.values())]
        blur.append(nan if any(map(isnan, medians)) else part.largest_gap + max(medians))
    mean, thin_mean = ([sum(draw) / len(draw) for draw in each] for each in (ratios, rough))
    return SimpleNamespace(ratios=ratios, mean=mean, thin_mean=thin_mean, blur=blur)


def greater(a, b):
    return nan if isnan(a) or isnan(b) else max(a, b)


def chord(points, level):
    """Log root of the bound on the straight lines between the bounds themselves."""
    return nan if isnan(level) else log_root(at_level(points, exp(2 * level)))


def row(part, top, bottom, axis):
    """The numbers of a comparison; the limits tell nothing where they are infinite or the mean does not exist."""
    found = comparison(part, top, bottom, axis)
    whole = middle(found.mean)
    places = [middle([draw[place] for draw in found.ratios]) for place in range(len(LEVELS))]
    medians = [place.median for place in places if not isnan(place.median)]
    return {
        "median": exp(whole.median),
        "lower": exp(whole.lower) if whole.lower > -inf else -inf,
        "upper": exp(whole.upper),
        "places told": sum(isfinite(blur) for blur in found.blur),
        "smallest": exp(min(medians, default=nan)),
        "largest": exp(max(medians, default=nan)),
        "above": sum(place.lower > blur for place, blur in zip(places, found.blur, strict=True)),
        "below": sum(place.upper < -blur for place, blur in zip(places, found.blur, strict=True)),
    } | counts(whole)


def better(numbers):
    if numbers["above"] == 0:
        return NOT
    return HOLDS if numbers["below"] == 0 and numbers["above"] >= 5 else PARTLY


def not_worse(numbers):
    if numbers["below"] == 0:
        return HOLDS
    return PARTLY if numbers["above"] > 0 else NOT


def close(numbers):
    return HOLDS if numbers["upper"] <= 1.05 else NOT


def compared(parts, pairs, judge):
    """Rows of all pairs that a cube has, at equal BP and at equal MS."""
    rows = {}
    for part in parts:
        for top, bottom in usable(part, pairs):
            for axis in AXES:
                numbers = row(part, top, bottom, axis)
                told = numbers.pop("places told")
                tells = isfinite(numbers["lower"]) and isfinite(numbers["upper"]) and told > 0
                rows[top, bottom, axis, part.targets] = judge(numbers) if tells else UNKNOWN, numbers
    return rows


def usable(part, pairs):
    if len(part.rho) < 5:
        return []
    return [pair for pair in pairs(part.names) if set(pair) <= set(part.names)]


def wbf_schemes(names, family):
    return [name for name in names if name.startswith(f"{family}-wbf") and "@" not in name]


def fdb_pairs(names):
    return [(f"cpa-{mix}", f"fdb-{mix}") for mix in ("wcrb", "wbf", "wvm")]


def wcrb_pairs(names):
    return [(top, f"{f}-wcrb") for f in FAMILIES for top in (*wbf_schemes(names, f), f"{f}-wvm")]


def wbf_pairs(names):
    return [(top, f"{f}-wvm") for f in FAMILIES for top in wbf_schemes(names, f)]


def close_pairs(names):
    return [(f"{f}-wvm", f"{f}-wcrb") for f in FAMILIES]


def growth(parts):
    """(viii): how the mean log ratio of WBF over WVM grows from one number of targets to the next, draw by draw."""
    rows = {}
    for fewer, more in pairwise(parts):
        for top, bottom in usable(fewer, wbf_pairs):
            for axis in AXES:
                one, other = (comparison(part, top, bottom, axis) for part in (fewer, more))
                grown = [b - a for a, b in zip(one.mean, other.mean, strict=True)]
                thin = [b - a for a, b in zip(one.thin_mean, other.thin_mean, strict=True)]
                moved = [inf if isnan(b) and not isnan(a) else abs(b - a) for a, b in zip(grown, thin, strict=True)]
                numbers = single_number([exp(a) for a in grown], middle(moved).median)
                rows[top, bottom, axis, fewer.targets, more.targets] = numbers
    return rows
