"""The extreme designs, rho = 1 and rho = 0, as far as mixes need them: to the last digits, whatever was asked for.

A mix of factors moves with the root of what an extreme is wrong by, so that a certified gap of 1e-6 may leave 7 % in
its objective. The interior-point methods go on until rounding stops them, and what they leave in directions of slack
is dropped (`kernels.extremes`). How wrong that still is, the way there tells: see `mixes`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import cleaning, extremes, finishing, interior, interiorpowers
from . import weighted
from .problem import Problem

_RHO = np.array([1.0, 0.0])  # BP, MS
_GOAL = 1e-12  # gap to reach
_TIGHT, _LOOSE = 1e-11, 1e-9  # gaps above which a slower way is tried, and a still slower one
_CERTAIN = 1e4  # ratio of slack and power from which on a direction is certainly empty at the optimum


@dataclass(frozen=True)
class Extremes:
    """Both extreme designs of a batch of draws: covariances (n, n) or codeword powers (n,), of unit trace.

    Attributes
    ----------
    ends
        Certified designs, BP's first, (batch, 2, ...); 0 where none exists.
    gap
        Their gaps, (batch, 2); NaN where none exists.
    settled
        The same without what directions of slack hold: what is mixed.
    others
        (batch, 2, 2, ...): with the directions that are not certainly empty; and settled, from a point on the way whose
        gap was at least ten times as large.
    known
        Whether there was such a point, (batch, 2).
    """

    ends: NDArray[Any]
    gap: NDArray[np.float64]
    settled: NDArray[Any]
    others: NDArray[Any]
    known: NDArray[np.bool_]

    @property
    def exist(self) -> NDArray[np.bool_]:
        """Where there is a design, (batch, 2)."""
        return ~np.isnan(self.gap)


def fdb_extremes(problem: Problem, tolerance: float) -> Extremes:
    """Extreme covariances over all of span(B).

    Parameters
    ----------
    problem
        A batch of draws.
    tolerance
        Gap that an extreme has to have where rounding allows it; most have 1e-12.

    Returns
    -------
    Extremes
        Of covariances.
    """
    wanted, arrays = _wanted(problem), problem.arrays
    solved = weighted.solve_fdb(problem, _RHO, tolerance)
    ends, gap = solved.covariance.copy(), solved.gap.copy()
    x, before = finishing.finished_designs(arrays, ends, _RHO, wanted & _there(ends))
    reached = _covariance_gaps(problem, x, wanted, False, tolerance)
    for clearance, most in ((interior.BRISK, _TIGHT), (interior.CAREFUL, _LOOSE)):
        left = wanted & ~(reached <= most)
        if left.any():
            other, other_before, _ = interior.interior_designs(arrays, problem.apa, _RHO, left, clearance, _GOAL)
            own = _covariance_gaps(problem, other, left, False, tolerance)
            better = left & ~(reached <= own) & _there(other)
            x[better], before[better], reached[better] = other[better], other_before[better], own[better]
    lost = wanted & ~(reached < gap) & _there(ends)
    x[lost], before[lost] = ends[lost], 0.0
    clean = x.copy()
    own = _covariance_gaps(problem, clean, wanted & ~lost, True, tolerance)
    better = own <= np.maximum(gap, tolerance)
    ends[better], gap[better] = clean[better], own[better]
    known = _there(before)
    there = wanted & _there(x)
    settled = extremes.settled_covariances(arrays, _RHO, x, there, 1.0)
    doubtful = extremes.settled_covariances(arrays, _RHO, x, there, _CERTAIN)
    others = np.stack((doubtful, extremes.settled_covariances(arrays, _RHO, before, known, 1.0)), axis=2)
    return Extremes(ends, gap, settled, others, known)


def cpa_extremes(problem: Problem, tolerance: float) -> Extremes:
    """Extreme powers on the codebook; else like `fdb_extremes`."""
    wanted = _wanted(problem)
    p, before, _ = interiorpowers.interior_powers(problem.arrays, problem.apa, _RHO, wanted, _GOAL)
    ends = p.copy()
    gap = weighted.clean_powers(problem, _RHO, wanted, ends, tolerance)
    known = total_power(before) > 0.0
    for b in np.flatnonzero((wanted & ~(gap <= tolerance)).any(axis=1)):
        ladder = weighted.solve_cpa(problem.draw(int(b)), _RHO, tolerance)
        assert ladder.powers is not None
        better = ~(gap[b] <= ladder.gap[0])
        ends[b, better], gap[b, better] = ladder.powers[0, better], ladder.gap[0, better]
        p[b, better], known[b, better] = ends[b, better], False
    there = wanted & p.any(axis=2)
    rough, doubtful = (_settled_powers(problem, p, there, certainty) for certainty in (1.0, _CERTAIN))
    settled, refined = interiorpowers.refined_powers(problem.arrays, _RHO, rough, there)
    before = np.where(refined[..., None], rough, _settled_powers(problem, before, known, 1.0))
    others = np.stack((doubtful, before), axis=2)
    return Extremes(ends, gap, settled, others, known)


def _wanted(problem: Problem) -> NDArray[np.bool_]:
    return np.stack((problem.bistatic.identifiable, problem.monostatic.identifiable), axis=1)


def _there(x: NDArray[np.complex128]) -> NDArray[np.bool_]:
    return total_power(np.abs(np.diagonal(x, axis1=2, axis2=3))) > 0.0


def _covariance_gaps(
    problem: Problem, x: NDArray[np.complex128], wanted: NDArray[np.bool_], clean: bool, tolerance: float
) -> NDArray[np.float64]:
    """Certified gaps of covariances, in place cleaned if asked for; NaN where there is none."""
    return cleaning.certified_covariances(  # type: ignore[no-any-return]
        problem.arrays, _RHO, x, cleaning.NO_POINTS, 0, wanted & _there(x), clean, tolerance, weighted.CLEANING
    )


def _settled_powers(
    problem: Problem, p: NDArray[np.float64], wanted: NDArray[np.bool_], certainty: float
) -> NDArray[np.float64]:
    """Powers without those of codewords whose slack exceeds `certainty` times them, at unit sum; 0 where not wanted."""
    slack = 1.0 - extremes.power_slopes(problem.arrays, _RHO, p, wanted)
    kept = np.where(wanted[..., None] & ~(certainty * p < slack), p, 0.0)
    total = total_power(kept)[..., None]
    return np.divide(kept, total, out=np.zeros_like(kept), where=total > 0.0)


def total_power(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over the last axis, in order: NumPy's own may depend on the machine."""
    total = np.zeros(powers.shape[:-1])
    for i in range(powers.shape[-1]):
        total = total + powers[..., i]
    return total
