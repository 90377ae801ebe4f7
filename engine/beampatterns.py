"""Power that covariances send towards directions, whatever the array."""

import numpy as np
from numpy.typing import ArrayLike

from .antennas import AntennaArray, Ula
from .arguments import reals
from .arrays import Complexes, Reals
from .channel import elements_of
from .errors import DesignError
from .kernels.model import bases
from .kernels.model.geometry import frames_of
from .kernels.model.steering import steering_columns


def beampattern(covariance: Complexes, antennas: AntennaArray, azimuth: ArrayLike, elevation: ArrayLike = 0.0) -> Reals:
    """a^H V a, W: covariances (design, M_T, M_T), directions (angle), rad, in the array's own axes -> (design, angle).

    `elevation`: one for each azimuth, or one for all. Raises DesignError if a direction is not finite or beyond a full
    turn, as degrees are.
    """
    theta = _angles("angle_rad", azimuth)
    height = np.broadcast_to(_angles("elevation_rad", elevation), theta.shape)
    if isinstance(antennas, Ula) and antennas.spacing == 0.5 and not height.any():
        return bases.beampattern(covariance, theta)  # type: ignore[no-any-return]
    directions = frames_of(np.ascontiguousarray(np.stack((theta, height), axis=-1)[None]))
    columns, norms = steering_columns(elements_of(antennas), directions)
    steering = columns[0, :, : theta.size] * norms[0, : theta.size]
    power: Reals = np.einsum("an,dab,bn->dn", steering.conj(), covariance, steering, optimize=True).real
    return power


def _angles(name: str, given: ArrayLike) -> Reals:
    """Angles as a list, refused where they are none."""
    theta = np.atleast_1d(reals(name, given, DesignError))
    beyond = ~(np.abs(theta) <= 2.0 * np.pi)
    if theta.ndim != 1 or beyond.any():
        what = f"{theta[beyond][0]:g} is beyond a full turn" if beyond.any() else f"of shape {theta.shape}"
        raise DesignError(f"{name}: {what}; give a list of angles in rad, as numpy.radians makes of degrees")
    return theta
