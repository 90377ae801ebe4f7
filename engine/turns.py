"""Axes about which a rotation of the user in space can be seen at all (`unknowns.seen_turns`)."""

import numpy as np

from .arrays import Reals
from .channel import geometry_of, orientation_of
from .draws import Draws
from .kernels.model.geometry import angles_of_rotation, rotated
from .scenario import Scenario
from .unknowns import axis_of, bistatic_paths, seen_turns


def with_turns_in_sight(scenario: Scenario, draws: Draws, jacobian: Reals) -> Reals:
    """A Jacobian (7) in whose columns of the orientation the rotations that are seen come first, then zeros.

    (batch, P, p); in space the axes of the rotations are orthonormal.
    """
    seen = 3 if scenario.dimensions == 2 else seen_turns(scenario)
    if seen == 3:
        return jacobian
    out = jacobian.copy()
    out[:, :, 3:6] = 0.0
    for i, axis in enumerate(_axes_in_sight(scenario, draws) if seen > 0 else ()):
        for c in range(3):
            out[:, :, 3 + i] += jacobian[:, :, 3 + c] * axis[:, c, None]
    return out


def turned(scenario: Scenario, draws: Draws, steps: Reals) -> Draws:
    """Draws whose UE is rotated by steps (batch, 1 or 3), rad: of phi, or in space about the axes in sight."""
    if scenario.dimensions == 2:
        return draws.changed(ue_orientation=draws.ue_orientation + steps[:, 0])
    seen = seen_turns(scenario)
    axes = np.eye(3)[:, None] if seen == 3 else _axes_in_sight(scenario, draws) if seen > 0 else ()
    vector = np.zeros_like(steps)
    for i, axis in enumerate(axes):
        vector += steps[:, i, None] * axis
    _, places, _ = geometry_of(scenario, draws)
    bearing, downtilt, slant = angles_of_rotation(rotated(places.ue_rotation, vector))
    return draws.changed(ue_orientation=orientation_of(scenario, bearing), ue_downtilt=downtilt, ue_slant=slant)


def _axes_in_sight(scenario: Scenario, draws: Draws) -> tuple[Reals, ...]:
    """Orthonormal axes of rotations that are seen, one or two of (batch, 3), in the axes of the scene."""
    _, places, hops = geometry_of(scenario, draws)
    paths, axis = bistatic_paths(scenario), axis_of(scenario.user_array.positions)
    along = hops.back[:, paths[0]] / hops.hop[:, paths[0], None]
    if axis is None:
        return _across(along)
    own = np.stack([np.sum(places.ue_rotation[:, c] * axis, axis=1) for c in range(3)], axis=1)
    return (_unit(np.cross(own, along)),) if len(paths) == 1 else _across(own)


def _across(axis: Reals) -> tuple[Reals, Reals]:
    """Two unit vectors across unit vectors (batch, 3) and across each other."""
    one = _unit(np.cross(axis, np.eye(3)[np.argmin(np.abs(axis), axis=1)]))
    return one, np.cross(axis, one)


def _unit(vectors: Reals) -> Reals:
    length: Reals = np.sqrt(np.sum(vectors**2, axis=1, keepdims=True))
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0.0)
