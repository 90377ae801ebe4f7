"""Why designs of a run are unidentifiable: what cannot be told apart, counted over the draws."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.ambiguities import ambiguities
from crbatch.engine.status import Status
from crbatch.results.words import counted, said

from ..chunk.draws import draws_of
from ..jobfile.schema import JobFile

_LOOKED_AT = 64  # draws, at most: each is drawn again


def reasons(job: JobFile, cube: Path) -> list[str]:
    """Name what cannot be told apart in the unidentifiable draws of a finished run.

    Result: one for each kind of ambiguity, the most frequent first; empty where every design is identifiable.
    """
    places = _lost(job, cube)
    found: dict[str, list[str]] = {}
    for point, draw in places[:_LOOKED_AT]:
        for reason in draw_reasons(job, point, draw):
            found.setdefault(reason, []).append(f"draw {draw}{_where(job, point)}")
    looked = f" of the first {_LOOKED_AT}" if len(places) > _LOOKED_AT else ""
    return [
        f"{reason} ({counted(len(draws), 'draw')}{looked}, first {draws[0]})"
        for reason, draws in sorted(found.items(), key=lambda item: -len(item[1]))
    ]


def draw_reasons(job: JobFile, point: int, draw: int) -> list[str]:
    """Name what cannot be told apart in one draw at one point of the sweep."""
    scenario = job.sweep_points()[point][1]
    return [str(found) for found in ambiguities(scenario, draws_of(job, scenario, draw, draw + 1))]


def _lost(job: JobFile, cube: Path) -> list[tuple[int, int]]:
    """Points of the sweep and draws with an unidentifiable design, in the cube's order."""
    with xr.open_dataset(cube) as data:
        status = data["status"].transpose(*job.sweep, "draw", "scheme", "rho").values
    lost = (status == Status.UNIDENTIFIABLE).any(axis=(-2, -1)).reshape(-1, job.draws.count)
    return [(int(point), int(draw)) for point, draw in np.argwhere(lost)]


def _where(job: JobFile, point: int) -> str:
    """The point of the sweep in words; nothing without a sweep."""
    index = job.sweep_points()[point][0]
    values: dict[str, Any] = {key: job.sweep[key][i] for key, i in zip(job.sweep, index, strict=True)}
    return " at " + ", ".join(f"{key} = {said(value)}" for key, value in values.items()) if values else ""
