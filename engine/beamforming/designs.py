"""What comes out of a design run: reduced covariances, bounds, certificates and statuses."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import weight
from ..arrays import Complexes, Reals, Wholes
from ..beampatterns import beampattern
from ..errors import DesignError
from ..kernels.model import bases
from .fusion import fused_crbs
from .problem import Problem


@dataclass(frozen=True)
class Designs:
    """Designs and bounds, axes (draw, scheme, rho).

    Attributes
    ----------
    problem
        The reduced problem the designs live on.
    schemes, rho
        The axes.
    covariance
        Reduced covariance, V = P_m Q x Q^H, (draw, scheme, rho, n, n); NaN where no design exists.
    factor
        W / sqrt(P_m) on the basis where the scheme defines it (fdb-wbf, cpa-wbf), else NaN; (draw, scheme, rho, n, C),
        C = n, or L where that is more and Gaussian randomisation makes so many.
    powers
        Codeword powers over P_m, (draw, scheme, rho, n); NaN for schemes that do not allocate powers.
    crb_bp, crb_ms, objective
        m2; inf where unidentifiable at that V, NaN where no design exists.
    crb_orientation, crb_clock
        rad2, s2.
    crb_map, crb_ms_target
        BP's bound on each target, (..., K), and MS's on each position, (..., K+1), m2.
    gap
        Certified relative gap; NaN where the scheme optimises nothing; of ``custom`` how far it is from the best, inf
        where its objective is.
    status, solver, iterations, rank
        See `Status`, `Solver`; -1 where not applicable.
    mix_error
        Upper bound on the relative error that the extremes leave in a mix's objective; NaN for what is no mix.
    """

    problem: Problem
    schemes: tuple[str, ...]
    rho: Reals
    covariance: Complexes
    factor: Complexes
    powers: Reals
    crb_bp: Reals
    crb_ms: Reals
    objective: Reals
    crb_orientation: Reals
    crb_clock: Reals
    crb_map: Reals
    crb_ms_target: Reals
    gap: Reals
    status: Wholes
    solver: Wholes
    iterations: Wholes
    rank: Wholes
    mix_error: Reals

    def index(self, scheme: str, rho: float) -> tuple[int, int]:
        """Places of a scheme and a weight on the axes.

        Raises
        ------
        DesignError
            If this batch has no such design.
        """
        rho = weight("rho", rho, DesignError)
        matches = np.flatnonzero(np.isclose(self.rho, rho, rtol=0.0, atol=1e-12))
        if scheme not in self.schemes or matches.size == 0:
            raise DesignError(
                f"no design {scheme!r} at rho = {rho:g}; there are {', '.join(self.schemes)} "
                f"at rho = {', '.join(f'{r:g}' for r in self.rho)}"
            )
        return self.schemes.index(scheme), int(matches[0])

    def beam_covariance(self, scheme: str, rho: float) -> Complexes:
        """V of one design for every draw, (draw, M_T, M_T), W."""
        s, r = self.index(scheme, rho)
        return self.problem.expand(np.ascontiguousarray(self.covariance[:, s, r])[:, None])[:, 0]

    @property
    def crb_bp_fused(self) -> Reals:
        """Bound on the UE's position from both observations together, (draw, scheme, rho), m2.

        Their noise is independent and their gains are their own; positions are shared, and priors count once. Known
        targets are so to the UE alone. Computed when first asked for.
        """
        return self._fused[0]

    @property
    def crb_ms_fused(self) -> Reals:
        """Bound on all positions, summed, from both observations together, (draw, scheme, rho), m2."""
        return self._fused[1]

    @cached_property
    def _fused(self) -> tuple[Reals, Reals]:
        x = self.covariance
        shape = x.shape[:3]
        absent = np.isnan(x[..., 0, 0])
        found = fused_crbs(self.problem, np.where(absent[..., None, None], 0.0, x).reshape(shape[0], -1, *x.shape[3:]))
        bp, ms = (np.where(absent & fine[:, None, None], np.nan, each.reshape(shape)) for each, fine in found)
        return bp, ms

    @property
    def beam_gain(self) -> Reals:
        """Power sent towards each path over that of uniform radiation, a(theta_k)^H V a(theta_k) / P_m.

        (draw, scheme, rho, K+1); path 0 is the UE. NaN where no design exists.
        """
        x = self.covariance
        flat = x.reshape(x.shape[0], -1, *x.shape[3:])
        scenario, arrays, paths = self.problem.scenario, self.problem.arrays, self.problem.channel.aod.shape[1]
        gains: Reals = bases.beam_gains(arrays.mix, arrays.mix_imag, flat, paths, float(scenario.tx_antennas))
        return gains.reshape(*x.shape[:3], -1)[..., : scenario.targets + 1]

    def beampattern(self, scheme: str, rho: float, angle_rad: ArrayLike, elevation_rad: ArrayLike = 0.0) -> Reals:
        """Power a^H V a of one design sent towards directions in the axes of the BS's array, for every draw.

        Parameters
        ----------
        scheme, rho
            Which design.
        angle_rad
            One azimuth or several, from broadside, rad (``numpy.radians`` of degrees).
        elevation_rad
            Above the array's own horizon, one for each azimuth or one for all, rad.

        Returns
        -------
        numpy.ndarray
            (draw, angle), W.

        Raises
        ------
        DesignError
            If this batch has no such design, or an angle is not finite or beyond a full turn, as degrees are.
        """
        antennas = self.problem.scenario.transmitter
        return beampattern(self.beam_covariance(scheme, rho), antennas, angle_rad, elevation_rad)
