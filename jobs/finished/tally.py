"""How the designs of a finished run came out, counted from its cube."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.beamforming.mixes import LARGEST_ERROR
from crbatch.engine.status import Solver, Status


def tally(cube: Path) -> dict[str, Any]:
    """Count the designs of a cube by status, find its largest certified gap, and name the draws that failed."""
    counts = dict.fromkeys((status.value for status in Status), 0)
    rungs = dict.fromkeys((solver.value for solver in Solver if solver != Solver.NONE), 0)
    largest = 0.0
    failed: list[int] = []
    vague: list[float] = []
    with xr.open_dataset(cube) as data:
        for start in range(0, data.sizes["draw"], 1024):
            part = data[["status", "gap", "solver", "mix_error"]].isel(draw=slice(start, start + 1024)).load()
            status = part["status"].values
            for value in counts:
                counts[value] += int(np.count_nonzero(status == value))
            for value in rungs:
                rungs[value] += int(np.count_nonzero(part["solver"].values == value))
            gaps = part["gap"].values[status == Status.CERTIFIED]
            largest = max(largest, float(gaps.max(initial=0.0)))
            errors = part["mix_error"].values[status == Status.UNCERTIFIED]
            vague += errors[errors > LARGEST_ERROR].tolist()
            lost = (part["status"] == Status.FAILED).any([dim for dim in part["status"].dims if dim != "draw"])
            failed += part["draw"].values[lost.values].tolist()
    named = {status.name.lower(): counts[status.value] for status in Status}
    used = {Solver(value).name.lower(): count for value, count in rungs.items() if count}
    return {
        "designs": sum(counts.values()),
        **named,
        "largest_gap": largest,
        "vague_mixes": len(vague),
        "largest_mix_error": max(vague, default=0.0),
        "solvers": used,
        "failed_draws": failed,
    }
