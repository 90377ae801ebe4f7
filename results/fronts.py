"""Trade-off fronts: median curves, dominated points, hypervolume, and how much power a scheme wastes.

Conventions as in `results.statistics`: root bounds in m, and every draw that is left out is counted.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .estimates import Array
from .points import good, scheme_place
from .statistics import quantile

_LINKS = {"bp": "crb_bp", "ms": "crb_ms"}
_OPTIMAL = "fdb-wcrb"  # whose certified objectives bound what any beams can reach


def front(cube: xr.Dataset, scheme: str, *, q: float = 0.5, confidence: float = 0.95) -> xr.Dataset:
    """Trade-off curve of a scheme: a quantile of both root bounds at every weight.

    Parameters
    ----------
    cube
        As `results.schema` has it.
    scheme
        One of its schemes.
    q, confidence
        Quantile over the draws, and confidence of each interval by itself.

    Returns
    -------
    xarray.Dataset
        bp, ms (m), their limits bp_lower, bp_upper, ms_lower, ms_upper, the counts of each link, and dominated:
        whether another point of the curve is smaller in both; over the swept keys and rho.

    Raises
    ------
    ResultsError
        If there is no such scheme.
    """
    one = cube[[*_LINKS.values(), "status"]].isel(scheme=[scheme_place(cube, scheme)])
    parts: dict[str, xr.DataArray] = {}
    for link, metric in _LINKS.items():
        found = quantile(one, metric, q, confidence=confidence).squeeze(("scheme", "quantile"), drop=True)
        parts[link] = found["value"]
        told = ("lower", "upper", "used", "infinite", "uncertified", "failed")
        parts |= {f"{link}_{name}": found[name] for name in told}
    out = xr.Dataset(parts, attrs={"scheme": scheme, "quantile": q, "confidence": confidence})
    points = np.stack([out[link].transpose(..., "rho").values for link in _LINKS], axis=-1)
    out["dominated"] = (out["bp"].transpose(..., "rho").dims, dominated(points))
    out["dominated"].attrs = {"long_name": "whether another point of the curve is smaller in both bounds"}
    return out


def dominated(points: Array, tolerance: float = 1e-6) -> NDArray[np.bool_]:
    """Which of the points (..., point, 2) another one beats in both bounds, by more than the relative tolerance.

    Only these lie off the weak Pareto front of the points. NaN neither beats nor is beaten; inf is beaten by less.
    """
    with np.errstate(invalid="ignore"):
        beats = points[..., :, None, :] < points[..., None, :, :] * (1.0 - tolerance)
    result: NDArray[np.bool_] = np.any(np.all(beats, axis=-1), axis=-2)
    return result


def hypervolume(points: Array, reference: Array) -> Array:
    """Area that points (..., point, 2) dominate below a reference (..., 2), as a share of the reference's box.

    0 where no point is below the reference in both, 1 if one were at zero; NaN points dominate nothing.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        share = points / reference[..., None, :]
    share = np.where(np.isnan(share).any(axis=-1, keepdims=True), 1.0, np.minimum(share, 1.0))
    order = np.argsort(share[..., 0], axis=-1, kind="stable")[..., None]
    share = np.take_along_axis(share, order, axis=-2)
    lowest = np.minimum.accumulate(share[..., 1], axis=-1)
    right = np.concatenate((share[..., 1:, 0], np.ones((*share.shape[:-2], 1))), axis=-1)
    area: Array = ((right - share[..., 0]) * (1.0 - lowest)).sum(axis=-1)
    return area


def hypervolumes(cube: xr.Dataset, reference: str = "apa") -> xr.DataArray:
    """Hypervolume of every scheme's curve in every draw, relative to the bounds of a reference scheme.

    Parameters
    ----------
    cube
        As `results.schema` has it.
    reference
        Scheme whose (root) bounds at the first weight are the corner; equal powers do not depend on the weight.

    Returns
    -------
    xarray.DataArray
        Over the swept keys, draw and scheme, unit 1; NaN where the reference has no finite bounds. Designs without
        a certificate dominate nothing.

    Raises
    ------
    ResultsError
        If there is no such scheme.
    """
    points = _points(cube)
    corner = points.isel(scheme=scheme_place(cube, reference), rho=0).values[..., None, :]
    values = hypervolume(points.values, corner)
    values = np.where(np.isfinite(corner).all(axis=-1), values, np.nan)
    out = points.isel(rho=0, link=0, drop=True).copy(data=values)
    out.attrs = {"long_name": f"hypervolume below the bounds of {reference}", "units": "1"}
    return out.rename("hypervolume")


def power_loss(cube: xr.Dataset) -> xr.DataArray:
    """How far every design is from the boundary of what any beams can reach, at most, as power.

    Bounds fall as 1 / power, and all reachable pairs (CRB_BP, CRB_MS) lie above the lines
    rho CRB_BP + (1 - rho) CRB_MS = f*(rho), whose f* fdb-wcrb knows to its certified gap. The loss is the power that
    the best beams could save and still reach both bounds of the design, at most.

    Parameters
    ----------
    cube
        As `results.schema` has it, with fdb-wcrb; the more weights, the tighter.

    Returns
    -------
    xarray.DataArray
        Over the swept keys, draw, scheme and rho, dB; inf for an infinite bound that need not be, NaN without a
        certificate.

    Raises
    ------
    ResultsError
        If the cube has no fdb-wcrb.
    """
    points = _points(cube, root=False)
    best = cube.isel(scheme=scheme_place(cube, _OPTIMAL), drop=True)
    known = (best["objective"] / (1.0 + best["gap"])).where(good(best) & np.isfinite(best["objective"]))
    floor = known.transpose(*points.isel(scheme=0, link=0).dims).values[..., None, :]  # for every scheme
    bp, ms = points.values[..., 0], points.values[..., 1]
    least = np.full(bp.shape, np.nan)
    with np.errstate(divide="ignore"):
        for i, weight in enumerate(cube["rho"].values.tolist()):
            # A bound of no weight does not count, also where it is infinite.
            line = (weight * bp if weight > 0.0 else 0.0) + ((1.0 - weight) * ms if weight < 1.0 else 0.0)
            least = np.fmax(least, floor[..., i, None] / line)
        loss = -10.0 * np.log10(np.minimum(least, 1.0)) + 0.0  # no negative zero
    out = points.isel(link=0, drop=True).copy(data=np.where(np.isnan(bp + ms), np.nan, loss))
    out.attrs = {"long_name": "power that optimal beams could save for the same bounds, at most", "units": "dB"}
    return out.rename("power_loss")


def _points(cube: xr.Dataset, root: bool = True) -> xr.DataArray:
    """Both (root) bounds of every certified design, (..., draw, scheme, rho, link); NaN for the others."""
    kept = [cube[name].where(good(cube)) for name in _LINKS.values()]
    both = xr.concat(kept, xr.DataArray(list(_LINKS), dims="link", name="link"), coords="minimal", compat="override")
    both = both.transpose(..., "draw", "scheme", "rho", "link").load()
    return both.copy(data=np.sqrt(both.values)) if root else both
