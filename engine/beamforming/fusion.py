"""Bounds from both observations together: shared positions, gains of each its own, priors counted once."""

import numpy as np

from ..arrays import Complexes, Flags, Reals, Wholes, summed
from ..crb import LOST, SINGULAR
from ..kernels.bound import fused
from ..kernels.bound.apa import Geometry
from ..kernels.bound.problems import SeparableFim
from ..unknowns import fused_unknowns, places_in_fused
from .identifiability import blur_of_sum
from .problem import Problem
from .separablelinks import geometries, unit_prior


def fused_crbs(problem: Problem, x: Complexes) -> list[tuple[Reals, Flags]]:
    """Bounds of the UE's position and of all positions from both links together.

    Parameters
    ----------
    problem, x
        The draws, and reduced covariances of unit trace, (batch, design, n, n).

    Returns
    -------
    list of tuple of numpy.ndarray
        Of each, the bounds (batch, design), m2, and whether rounding leaves anything of it at the APA point, (batch,).
        A bound is infinite where it does not, or where the FIM is singular at x. A link of which two paths coincide
        adds nothing.
    """
    scenario = problem.scenario
    nuisances = problem.channel.nuisances
    places = places_in_fused(scenario, nuisances)
    known = unit_prior(scenario, fused_unknowns(scenario, nuisances))
    links = geometries(scenario, problem.draws, problem.channel)
    bistatic, monostatic = (
        Geometry(_among(link.jacobian, place, known.size), link.doubt, known)
        for link, place in zip(links, places, strict=True)
    )
    wanted = scenario.dimensions * (scenario.targets + 1)
    arrays = problem.arrays._replace(
        bistatic=_unwhitened(problem.arrays.bistatic, known.size, wanted),
        monostatic=_unwhitened(problem.arrays.monostatic, known.size, wanted),
    )
    rows, bounds, blur = fused.fused_bounds(
        arrays, problem.apa, bistatic, monostatic, np.ascontiguousarray(x), wanted, SINGULAR
    )
    crbs = []
    for count in (scenario.dimensions, wanted):
        fine = blur_of_sum(bounds[:, :count], blur[:, :count]) < LOST
        crbs.append((np.where(fine[:, None], summed(rows[..., :count]), np.inf) / problem.scale, fine))
    return crbs


def _among(jacobian: Reals, places: Wholes, size: int) -> Reals:
    """The Jacobian of a link for the unknowns of both, from that for its own, which are among them in these places."""
    out = np.zeros((*jacobian.shape[:2], size))
    out[:, :, places] = jacobian
    return out


def _unwhitened(link: SeparableFim, size: int, wanted: int) -> SeparableFim:
    """A link with room for what takes whitened unknowns of both to its angles and delays."""
    batch, kinds = len(link.weights), link.parameter_of_kind
    inner = int(kinds[-1]) * link.paths.size
    square = np.zeros((batch, size, size))
    return link._replace(transform=np.zeros((batch, inner, size)), rows=square, prior=square.copy(), bounded=wanted)
