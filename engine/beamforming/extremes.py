"""The extreme designs, rho = 1 and rho = 0, as far as mixes need them: to the last digits, whatever was asked for.

A mix of factors moves with the root of what an extreme is wrong by, so that a certified gap of 1e-6 may leave 7 % in
its objective. The interior-point methods go on until rounding stops them, and what they leave in directions of slack
is dropped (`kernels.designs.extremes`). How wrong that still is, the way there tells: see `mixes`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Complexes, Flags, Reals, Wholes, summed
from ..kernels.designs import cleaning, extremes
from ..kernels.interior import covariances as interior
from ..kernels.interior import finishing, newtonpowers
from ..kernels.interior import powers as interiorpowers
from . import weighted
from .problem import Problem

_RHO = np.array([1.0, 0.0])  # BP, MS
_GOAL = 1e-12  # gap to reach
_TIGHT, _LOOSE = 3e-12, 1e-9  # gaps above which a slower way is tried, and a still slower one
_MOST_FINISHED, _MOST_SOLVED_AGAIN = 26, 14  # columns of the mixing matrix: 12 and 6 targets
_APART = 8.0  # least ratio of the gaps of two points on the way
_CLEAR_POWER, _CLEAR_SLACK = 1e-7, 1e-5  # of a codeword that is certainly in use, or not
_CERTAIN = 1e4  # ratio of slack and power from which on a direction is certainly empty at the optimum


@dataclass(frozen=True)
class Extremes:
    """Both extreme designs of a batch of draws: covariances (n, n) or codeword powers (n,), of unit trace.

    Attributes
    ----------
    ends
        Certified designs, BP's first, (batch, 2, ...); 0 where none exists.
    gap, iterations, solver
        As in `weighted.Solution`, (batch, 2).
    settled
        What is mixed: the ends, but where an optimum lies on the edge of where f exists. There an end keeps a trace of
        power in directions that the optimum leaves empty.
    others
        (batch, 2, 2, ...): with the directions that are not certainly empty; and settled, from a point on the way whose
        gap was at least ten times as large.
    known
        Whether there was such a point, (batch, 2).
    """

    ends: NDArray[Any]
    gap: Reals
    iterations: Wholes
    solver: Wholes
    settled: NDArray[Any]
    others: NDArray[Any]
    known: Flags

    @property
    def exist(self) -> Flags:
        """Where there is a design, (batch, 2)."""
        return ~np.isnan(self.gap)

    def solution(self, problem: Problem) -> weighted.Solution:
        """The ends as designs for the weights 1 and 0."""
        powers = self.ends if self.ends.ndim == 3 else None
        covariance = self.ends if powers is None else problem.covariance_of_powers(powers)
        return weighted.Solution(covariance, powers, self.gap, self.iterations, self.solver)


def fdb_extremes(problem: Problem, tolerance: float) -> Extremes:
    """Extreme covariances over all of span(B).

    `problem`: a batch of draws. `tolerance`: gap that an extreme has to have where rounding allows it; most have 1e-12.
    Result: of covariances.
    """
    wanted, arrays = problem.identifiable, problem.arrays
    solved = weighted.solve_fdb(problem, _RHO, tolerance)
    ends, gap = solved.covariance.copy(), solved.gap.copy()
    spent, solver = solved.iterations.copy(), solved.solver.copy()
    if ends.shape[-1] > _MOST_FINISHED:  # an interior-point step takes the sixth power of that
        found, _, evaluations = weighted.descend_fdb(problem, _RHO[::-1].copy(), _LOOSE)
        x, before, evaluations = np.ascontiguousarray(found[:, ::-1]), ends.copy(), evaluations[:, ::-1]
        spent[wanted] += evaluations[wanted]
    else:
        x, before = finishing.finished_designs(arrays, ends, _RHO, wanted & _there(ends))
        spent[wanted] += finishing.EVALUATIONS
    reached = _covariance_gaps(problem, x, wanted, False, tolerance)
    # A last step that went not far tells nothing of how far it is still to go, but where both ends are close.
    last = _covariance_gaps(problem, before, wanted, False, tolerance)
    near = (last >= _APART * reached) | (last <= _TIGHT)
    for clearance, most in ((interior.BRISK, _TIGHT), (interior.CAREFUL, _LOOSE)):
        left = wanted & ~(near & (reached <= most))
        if left.any() and ends.shape[-1] <= _MOST_SOLVED_AGAIN:
            other, other_before, evaluations = interior.interior_designs(
                arrays, problem.apa, _RHO, left, clearance, _GOAL
            )
            own = _covariance_gaps(problem, other, left, False, tolerance)
            better = left & ~(near & (reached <= own)) & _there(other)
            x[better], before[better], reached[better] = other[better], other_before[better], own[better]
            near |= better
            spent[left] += evaluations[left]
    worse = wanted & ~(reached < gap) & _there(ends)
    x[worse], before[worse] = ends[worse], 0.0
    there, known = wanted & _there(x), _there(before)
    settled, doubtful, earlier = extremes.settled_covariances(arrays, _RHO, x, before, there, _CERTAIN)
    others = np.stack((doubtful, earlier), axis=2)
    own = _covariance_gaps(problem, settled, wanted, False, tolerance)
    _take(own <= tolerance, settled, own, ends, gap)
    left = there & ~(own <= tolerance)
    if left.any():
        own = _covariance_gaps(problem, x, left, True, tolerance)
        _take(own < gap, x, own, ends, gap)
    return Extremes(ends, gap, spent, solver, settled, others, known)


def _take(better: Flags, found: NDArray[Any], own: Reals, ends: NDArray[Any], gap: Reals) -> None:
    """Take designs for ends where they are better, in place."""
    ends[better], gap[better] = found[better], own[better]


def cpa_extremes(problem: Problem, tolerance: float) -> Extremes:
    """Extreme powers on the codebook; else like `fdb_extremes`."""
    wanted, arrays = problem.identifiable, problem.codewords
    solved = weighted.solve_cpa(problem, _RHO, tolerance)
    assert solved.powers is not None
    ends, gap = solved.powers.copy(), solved.gap.copy()
    spent, solver = solved.iterations.copy(), solved.solver.copy()
    there = wanted & (summed(ends) > 0.0)
    settled, before, sure = _refined(problem, _settled_powers(problem, ends, None, there)[0], there)
    doubtful, known = settled.copy(), sure.copy()
    spent[there] += newtonpowers.NEWTON_STEPS + 1
    left = wanted & ~sure
    if left.any():
        p, last, evaluations = interiorpowers.interior_powers(arrays, problem.apa, _RHO, left, _GOAL)
        spent[left] += evaluations[left]
        found = left & (summed(p) > 0.0)
        rough, doubt, last = _settled_powers(problem, p, last, found)
        other, last_step, refined = newtonpowers.refined_powers(arrays, _RHO, rough, found)
        last = np.where(refined[..., None], last_step, last)
        other = np.where(refined[..., None], other, rough)
        # Where the optimum is not unique, Newton's method cannot tell, and rounding moves p among the optimal ones.
        many = found & ~refined & np.isfinite(cleaning.certified_powers(arrays, _RHO, rough, found))
        if many.any():
            p, last_centre = newtonpowers.centred_powers(arrays, _RHO, p, many)
            centred = _settled_powers(problem, p, last_centre, many)
            other[many], doubt[many], last[many] = (powers[many] for powers in centred)
        settled[found], before[found], doubtful[found] = other[found], last[found], doubt[found]
        known[found] = summed(last)[found] > 0.0
    own = cleaning.certified_powers(arrays, _RHO, settled, there)
    _take(own <= tolerance, settled, own, ends, gap)
    others = np.stack((doubtful, before), axis=2)
    return Extremes(ends, gap, spent, solver, settled, others, known)


def _refined(problem: Problem, rough: Reals, there: Flags) -> tuple[Reals, Reals, Flags]:
    """Optima from powers close by, the iterate before, and where they are so beyond doubt."""
    arrays = problem.codewords
    p, before, refined = newtonpowers.refined_powers(arrays, _RHO, rough, there)
    gap = cleaning.certified_powers(arrays, _RHO, p, refined)
    slack = 1.0 - extremes.power_slopes(arrays, _RHO, p, refined)
    clear = np.where(p > 0.0, p > _CLEAR_POWER, slack > _CLEAR_SLACK).all(axis=2)
    return p, before, refined & (gap <= _TIGHT) & clear


def _there(x: Complexes) -> Flags:
    return summed(np.abs(np.diagonal(x, axis1=2, axis2=3))) > 0.0


def _covariance_gaps(problem: Problem, x: Complexes, wanted: Flags, clean: bool, tolerance: float) -> Reals:
    """Certified gaps of covariances, in place cleaned if asked for; NaN where there is none."""
    return cleaning.certified_covariances(  # type: ignore[no-any-return]
        problem.arrays, _RHO, x, cleaning.NO_POINTS, 0, wanted & _there(x), clean, tolerance, weighted.CLEANING
    )


def _settled_powers(problem: Problem, p: Reals, before: Reals | None, wanted: Flags) -> tuple[Reals, Reals, Reals]:
    """Powers without those that an optimum leaves empty, at unit sum, as in `kernels.designs.extremes`."""
    slack = 1.0 - extremes.power_slopes(problem.codewords, _RHO, p, wanted)
    shrunk = wanted[..., None] if before is None else before > extremes.SHRUNK * p
    empty, certainly = ((certainty * p < slack) & shrunk for certainty in (1.0, _CERTAIN))
    last = p if before is None else before
    return _kept(p, empty, wanted), _kept(p, certainly, wanted), _kept(last, empty, wanted)


def _kept(p: Reals, empty: Flags, wanted: Flags) -> Reals:
    """Powers without the empty ones, at unit sum; 0 where not wanted."""
    return of_unit_sum(np.where(wanted[..., None] & ~empty, p, 0.0))


def of_unit_sum(powers: Reals) -> Reals:
    """Powers (..., codeword) over their sum; 0 where that is."""
    total = summed(powers)[..., None]
    return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0.0)
