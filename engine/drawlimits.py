"""Limits of what a draw may hold: those of a scenario, and that no two entities are at one point."""

import math
from functools import reduce

import numpy as np

from .arrays import Reals
from .errors import ScenarioError
from .quantities import LARGEST_DEG, LARGEST_M, LARGEST_POSITIVE
from .scenario import ONE_POINT_M

# The limits of a scenario, in the draws' units.
_LIMITS = {
    "ue_position": (-LARGEST_M, LARGEST_M, f"from {-LARGEST_M:g} to {LARGEST_M:g} m"),
    "ue_orientation": (-math.radians(LARGEST_DEG), math.radians(LARGEST_DEG), "from -2 pi to 2 pi rad"),
    "ue_rcs": (math.ulp(0.0), LARGEST_POSITIVE, f"above 0, up to {LARGEST_POSITIVE:g} m2"),
    "phase_bistatic": (-math.inf, math.inf, "a finite angle in rad"),
}
_LIMITS |= {
    "target_position": _LIMITS["ue_position"],
    "target_rcs": _LIMITS["ue_rcs"],
    "phase_monostatic": _LIMITS["phase_bistatic"],
    "ue_downtilt": _LIMITS["ue_orientation"],
    "ue_slant": _LIMITS["ue_orientation"],
}
_FLAT = (0.0, 0.0, "0 where positions have two numbers")


def check_values(name: str, values: Reals, dimensions: int) -> None:
    """Refuse values that are not finite, or beyond the limits of a scenario."""
    low, high, wanted = _FLAT if name in ("ue_downtilt", "ue_slant") and dimensions == 2 else _LIMITS[name]
    good = np.isfinite(values) & (values >= low) & (values <= high)
    if not good.all():
        draw, *place = np.argwhere(~good)[0].tolist()
        index = "".join(f", {i}" for i in place)
        raise ScenarioError(
            f"draws: {name}[{draw}{index}] is {values[(draw, *place)]:g} (draw {draw}); it should be {wanted}"
        )


def check_apart(places: Reals, names: tuple[str, ...]) -> None:
    """Refuse draws in which two entities stand at one point; places (batch, entity, 2 or 3)."""
    first, second = np.triu_indices(len(names), 1)
    # An axis at a time: K = 20 makes 210 pairs.
    apart = (axis[:, first] - axis[:, second] for axis in np.moveaxis(places, 2, 0))
    near = reduce(np.hypot, apart) < ONE_POINT_M
    if near.any():
        draw, pair = np.argwhere(near)[0].tolist()
        one, other = names[first[pair]], names[second[pair]]
        raise ScenarioError(f"draws: {one} and {other} at the same point in draw {draw} (target_position); move one")
