"""Cubes made by hand, for the tests of results/."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from results.schema import make_dataset


def cube_of(
    crb_bp: ArrayLike,
    crb_ms: ArrayLike | None = None,
    status: ArrayLike = 0,
    *,
    scheme: tuple[str, ...] = ("fdb-wcrb",),
    rho: tuple[float, ...] = (0.5,),
    **more: Any,
) -> xr.Dataset:
    """A cube without a sweep, from values that broadcast to (draw, scheme, rho)."""
    bp = np.asarray(crb_bp, np.float64)
    if bp.ndim == 1:
        bp = bp[:, None, None]
    shape = (bp.shape[0], len(scheme), len(rho))

    def full(values: ArrayLike) -> np.ndarray:
        return np.array(np.broadcast_to(np.asarray(values), shape))

    bp = full(bp)
    ms = bp if crb_ms is None else full(crb_ms)
    weight = np.asarray(rho)
    objective = np.where(weight > 0, weight * bp, 0.0) + np.where(weight < 1, (1 - weight) * ms, 0.0)
    arrays = {"crb_bp": bp, "crb_ms": ms, "objective": objective, "status": full(status)}
    arrays |= {name: full(values) for name, values in more.items()}
    return make_dataset(arrays, scheme=scheme, rho=rho, draw=np.arange(shape[0]), sweep={}, attrs={})
