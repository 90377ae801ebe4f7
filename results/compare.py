"""Two cubes beside each other: what differs in the bounds of the designs that both have."""

import numpy as np
import xarray as xr

from .errors import ResultsError
from .estimates import quantile_of_sorted
from .points import swept_keys
from .samples import COUNTED, has_root, sample_of, unit_of
from .schema import DRAW_VARIABLES
from .statistics import quantile


def common_part(a: xr.Dataset, b: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """The draws, schemes, weights and points of the sweep that both cubes have.

    Raises ResultsError if they sweep different keys, or have nothing in common.
    """
    sweeps = [set(swept_keys(cube)) for cube in (a, b)]
    if sweeps[0] != sweeps[1]:
        words = [", ".join(sorted(sweep)) or "nothing" for sweep in sweeps]
        raise ResultsError(f"one cube sweeps {words[0]}, the other {words[1]}; take one point with sel() first")
    places = {}
    for name in ("draw", "scheme", "rho", *sorted(sweeps[0])):
        other = set(b[name].values.tolist())
        places[name] = [value for value in a[name].values.tolist() if value in other]
        if not places[name]:
            raise ResultsError(f"the cubes have no {name} in common")
    return a.sel(places), b.sel(places)


def have_common_draws(a: xr.Dataset, b: xr.Dataset) -> bool:
    """Whether the draws of the common part are the same ones, so that they can be compared one by one."""
    return all(
        name in a and name in b and a[name].shape == b[name].shape and np.array_equal(a[name], b[name], equal_nan=True)
        for name in DRAW_VARIABLES
        if name in a or name in b
    )


def compare(a: xr.Dataset, b: xr.Dataset, metric: str = "crb_bp", *, confidence: float = 0.95) -> xr.Dataset:
    """Compare a variable of two cubes over what they have in common.

    `a`, `b`: as `results.schema` has them. `metric`: variable with a value for each draw, scheme and rho; bounds as
    roots. `confidence`: of each interval by itself. Result: a, b, the medians with a_lower, a_upper, b_lower, b_upper.
    Where both have the same draws also ratio, the median over the draws of b / a with ratio_lower and ratio_upper, and
    largest, the largest |b / a - 1|, over the `used` draws that both have finite values of. Raises ResultsError if they
    have nothing in common, or no such variable.
    """
    a, b = common_part(a, b)
    parts: dict[str, xr.DataArray] = {}
    for name, cube in (("a", a), ("b", b)):
        found = quantile(cube, metric, 0.5, confidence=confidence).squeeze("quantile", drop=True)
        parts |= {name: found["value"], f"{name}_lower": found["lower"], f"{name}_upper": found["upper"]}
    out = xr.Dataset(parts, attrs={"metric": metric, "unit": unit_of(metric), "confidence": confidence})
    if not have_common_draws(a, b):
        return out
    top, bottom = (cube[metric].transpose(..., "draw") for cube in (b, a))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (top.values / bottom.values) ** (0.5 if has_root(metric) else 1.0)
    status = b["status"].where(a["status"].isin(COUNTED), a["status"]).transpose(*top.dims).values
    sample = sample_of(np.where(np.isfinite(ratio), ratio, np.nan), status, root=False)
    used = sample.counts["used"]
    found_ratio = quantile_of_sorted(sample.values, used, 0.5, confidence)
    dims = top.dims[:-1]
    for name, values in zip(("ratio", "ratio_lower", "ratio_upper"), found_ratio, strict=True):
        out[name] = (dims, values)
    distance = np.where(np.isnan(sample.values), 0.0, np.abs(sample.values - 1.0))
    out["largest"] = (dims, distance.max(axis=-1))
    out["used"] = (dims, used)
    return out
