"""Cubes made by hand, and of the paper's scenario without a run, for the tests of results/."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from crbatch import SCHEMES, DrawModel, Scenario, design, sample
from crbatch.results.schema import make_dataset
from numpy.typing import ArrayLike

RHO = [0.0, 0.25, 0.5, 0.75, 1.0]
DRAWS = 4
# Objectives that differ as the paper orders its schemes.
HOLDING = {
    "fdb-wcrb": 1.0,
    "fdb-wbf": 1.2,
    "fdb-wvm": 1.1,
    "fdb-wbf-aligned": 1.15,
    "cpa-wcrb": 2.0,
    "cpa-wbf": 2.4,
    "cpa-wvm": 2.2,
    "apa": 3.0,
}


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


@cache
def paper_cube(draws: int = DRAWS, rho: tuple[float, ...] = tuple(RHO)) -> xr.Dataset:
    """Draws of the paper's scenario by every scheme, with two and three targets."""
    parts = []
    for targets in (2, 3):
        scenario = Scenario().with_targets(targets)
        parts.append(design(scenario, sample(scenario, DrawModel(), 2025, 0, draws), SCHEMES, rho))
    kinds = {"crb_bp": "f8", "crb_ms": "f8", "objective": "f8", "gap": "f8", "status": "i1"}
    arrays = {name: np.stack([getattr(part, name) for part in parts]).astype(kind) for name, kind in kinds.items()}
    paths = max(part.beam_gain.shape[-1] for part in parts)
    arrays["beam_gain"] = np.stack([_padded(part.beam_gain, paths) for part in parts])
    return make_dataset(
        arrays, scheme=SCHEMES, rho=rho, draw=np.arange(draws), sweep={"targets": [2, 3]}, attrs={"job": "{}"}
    )


def _padded(values: np.ndarray, size: int) -> np.ndarray:
    """With NaN at the end of the last axis, as a cube has it where fewer targets are."""
    width = [(0, 0)] * (values.ndim - 1) + [(0, size - values.shape[-1])]
    return np.pad(values, width, constant_values=np.nan)


def made_cube(
    objectives: Mapping[str, float] = HOLDING, growth: float = 1.5, sweep: Mapping[str, Sequence[float]] | None = None
) -> xr.Dataset:
    """A cube of constant objectives, both bounds equal to them; per target more, they grow by a factor."""
    sweep = {"targets": [2, 3]} if sweep is None else sweep
    shape = (*map(len, sweep.values()), DRAWS, len(objectives), len(RHO))
    value = np.broadcast_to(np.array(list(objectives.values()))[:, None], shape).copy()
    if "targets" in sweep:
        axis = list(sweep).index("targets")
        steps = growth ** np.arange(len(sweep["targets"]))
        value *= steps.reshape([-1 if i == axis else 1 for i in range(value.ndim)])
    arrays = {name: value.copy() for name in ("crb_bp", "crb_ms", "objective")}
    arrays["gap"] = np.zeros(shape)
    arrays["status"] = np.zeros(shape, np.int8)
    return make_dataset(
        arrays, scheme=list(objectives), rho=RHO, draw=np.arange(DRAWS), sweep=sweep, attrs={"job": "{}"}
    )
