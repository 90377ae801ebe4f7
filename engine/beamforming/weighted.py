"""The weighted-CRB designs fdb-wcrb (12) and cpa-wcrb: a ladder of solvers, judged by the certificate alone.

Rungs: L-BFGS on factors, a barrier method (both native), Clarabel on the reduced cone. Interior weights start
from the mix of the two extreme designs, so a result does not depend on which other weights were asked for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..kernels import ladder
from ..status import Solver
from .problem import Problem

# Eigenvalues of V, or powers, below this share of the total are dropped before anything is computed from it.
CLEANING = 1e-9
_APA_SHARE = 0.02  # keeps the start positive definite
_POLISH_SHARE = 1e-4  # likewise, where the native solvers refine Clarabel's point


@dataclass(frozen=True)
class Solution:
    """Designs of a batch of draws at some weights.

    Attributes
    ----------
    covariance
        Reduced covariance x of unit trace, V = P_m Q x Q^H, (batch, rho, n, n); 0 where none exists.
    powers
        Codeword powers of unit sum, (batch, rho, n); None for full-dimension beamforming.
    gap, objective
        Certified relative gap (1) and objective (m2), (batch, rho); NaN where no design exists.
    iterations, solver
        (batch, rho); -1 and `Solver.NONE` where no design exists.
    """

    covariance: NDArray[np.complex128]
    powers: NDArray[np.float64] | None
    gap: NDArray[np.float64]
    iterations: NDArray[np.int64]
    solver: NDArray[np.int64]

    def at(self, index: list[int]) -> "Solution":
        """The designs of the weights with these indices."""
        return Solution(
            self.covariance[:, index],
            None if self.powers is None else self.powers[:, index],
            self.gap[:, index],
            self.iterations[:, index],
            self.solver[:, index],
        )


def solve_fdb(
    problem: Problem, rho: NDArray[np.float64], tolerance: float, start: NDArray[np.complex128] | None = None
) -> Solution:
    """Minimise the weighted CRB over all covariances of power P_m.

    Parameters
    ----------
    problem
        A batch of draws.
    rho
        Weights in [0, 1], (rho,).
    tolerance
        Certified relative gap to reach.
    start
        Positive definite reduced covariances, (batch, rho, n, n); the APA point by default.

    Returns
    -------
    Solution
        Cleaned designs of the lowest rank that keeps the certificate.
    """
    bp, ms = problem.bistatic, problem.monostatic
    if start is None:
        start = np.repeat(problem.covariance_of_powers(problem.apa[:, None]), rho.size, axis=1)
    x, gap, iterations, solver = ladder.solve_covariances(
        bp.over_covariances(),
        ms.over_covariances(),
        problem.mix,
        problem.rank,
        rho,
        np.ascontiguousarray(start),
        tolerance,
        CLEANING,
    )
    for b, w in np.argwhere(gap > tolerance):
        from . import conic  # CVXPY takes longer to import than most designs to make; few need it

        guess = conic.reduced_weighted_crb(problem, int(b), float(rho[w]))
        if guess is not None:
            mixed = (1.0 - _POLISH_SHARE) * guess + _POLISH_SHARE * start[b, w]
            one = problem.draw(int(b))
            other, other_gap, _, _ = ladder.solve_covariances(
                one.bistatic.over_covariances(),
                one.monostatic.over_covariances(),
                one.mix,
                one.rank,
                rho[w : w + 1],
                mixed[None, None],
                tolerance,
                CLEANING,
            )
            if other_gap[0, 0] < gap[b, w]:
                x[b, w], gap[b, w], solver[b, w] = other[0, 0], other_gap[0, 0], Solver.CLARABEL
    return Solution(x, None, gap, iterations, solver)


def solve_cpa(
    problem: Problem, rho: NDArray[np.float64], tolerance: float, start: NDArray[np.float64] | None = None
) -> Solution:
    """Minimise the weighted CRB over powers on the codebook, V = U diag(p) U^H.

    Parameters
    ----------
    problem
        A batch of draws.
    rho
        Weights in [0, 1], (rho,).
    tolerance
        Certified relative gap to reach.
    start
        Positive powers, (batch, rho, n); the APA point by default.

    Returns
    -------
    Solution
        With `powers`.
    """
    bp, ms = problem.bistatic, problem.monostatic
    if start is None:
        start = np.repeat(problem.apa[:, None], rho.size, axis=1)
    powers, gap, iterations, solver = ladder.solve_powers(
        bp.over_powers(),
        ms.over_powers(),
        rho,
        np.ascontiguousarray(start),
        tolerance,
        CLEANING,
    )
    for b, w in np.argwhere(gap > tolerance):
        from . import conic

        guess_powers = conic.power_weighted_crb(problem, int(b), float(rho[w]))
        if guess_powers is not None:
            mixed = (1.0 - _POLISH_SHARE) * guess_powers + _POLISH_SHARE * start[b, w]
            one = problem.draw(int(b))
            other, other_gap, _, _ = ladder.solve_powers(
                one.bistatic.over_powers(),
                one.monostatic.over_powers(),
                rho[w : w + 1],
                mixed[None, None],
                tolerance,
                CLEANING,
            )
            if other_gap[0, 0] < gap[b, w]:
                powers[b, w], gap[b, w], solver[b, w] = other[0, 0], other_gap[0, 0], Solver.CLARABEL
    return Solution(problem.covariance_of_powers(powers), powers, gap, iterations, solver)


def fdb_over_rho(problem: Problem, extremes: Solution, rho: NDArray[np.float64], tolerance: float) -> Solution:
    """fdb-wcrb at every weight; `extremes` holds the designs of rho = 1 and rho = 0, in that order."""
    apa = problem.covariance_of_powers(problem.apa[:, None])
    weight = rho[None, :, None, None]
    mixed = weight * extremes.covariance[:, :1] + (1.0 - weight) * extremes.covariance[:, 1:]
    start = (1.0 - _APA_SHARE) * mixed + _APA_SHARE * apa
    inner = solve_fdb(problem, _interior(rho), tolerance, start[:, _interior_index(rho)])
    return _assemble(extremes, inner, rho)


def cpa_over_rho(problem: Problem, extremes: Solution, rho: NDArray[np.float64], tolerance: float) -> Solution:
    """cpa-wcrb at every weight; `extremes` holds the designs of rho = 1 and rho = 0, in that order."""
    assert extremes.powers is not None
    weight = rho[None, :, None]
    mixed = weight * extremes.powers[:, :1] + (1.0 - weight) * extremes.powers[:, 1:]
    start = (1.0 - _APA_SHARE) * mixed + _APA_SHARE * problem.apa[:, None]
    inner = solve_cpa(problem, _interior(rho), tolerance, start[:, _interior_index(rho)])
    return _assemble(extremes, inner, rho)


def _interior_index(rho: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.flatnonzero((rho > 0.0) & (rho < 1.0))


def _interior(rho: NDArray[np.float64]) -> NDArray[np.float64]:
    return rho[_interior_index(rho)]


def _assemble(extremes: Solution, inner: Solution, rho: NDArray[np.float64]) -> Solution:
    """Designs in the order of rho out of those of the two extremes and of the interior weights."""
    both = Solution(
        np.concatenate((extremes.covariance, inner.covariance), axis=1),
        None
        if extremes.powers is None or inner.powers is None
        else np.concatenate((extremes.powers, inner.powers), axis=1),
        np.concatenate((extremes.gap, inner.gap), axis=1),
        np.concatenate((extremes.iterations, inner.iterations), axis=1),
        np.concatenate((extremes.solver, inner.solver), axis=1),
    )
    places = iter(range(2, both.gap.shape[1]))
    return both.at([0 if r == 1.0 else 1 if r == 0.0 else next(places) for r in rho])
