"""The weighted-CRB designs fdb-wcrb (12) and cpa-wcrb: a ladder of solvers, judged by the certificate alone.

Rungs: L-BFGS along each draw's trade-off curve, many draws side by side; an interior-point method where that gives up;
last, Clarabel on the reduced cone.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Complexes, Flags, Reals, Wholes
from ..kernels.bound.problems import ProblemArrays
from ..kernels.descent import curve, polar
from ..kernels.descent import loop as descent
from ..kernels.designs import cleaning
from ..kernels.interior import covariances as interior
from ..kernels.interior import powers as interiorpowers
from ..kernels.linalg import smallmat
from ..status import Solver
from .problem import Problem

# Eigenvalues of V, or powers, below this share of the total are dropped before anything is computed from it.
CLEANING = 1e-9
# A design has to be better than asked for before it is cleaned, since cleaning moves it a little.
_MARGIN = 0.8
_POLISH_SHARE = 1e-4  # of the APA point in Clarabel's, to make it positive definite for the descent


# Designs, gap, iterations and solver of a batch, all (batch, rho, ...).
_Found = tuple[NDArray[Any], Reals, Wholes, Wholes]
# A design of one draw and weight, its gap, the steps it took, and who made it; None where there is none.
_One = tuple[NDArray[Any], float, int, Solver] | None


@dataclass(frozen=True)
class Solution:
    """Designs of a batch of draws at some weights.

    Attributes
    ----------
    covariance
        Reduced covariance x of unit trace, V = P_m Q x Q^H, (batch, rho, n, n); 0 where none exists.
    powers
        Codeword powers of unit sum, (batch, rho, n); None for full-dimension beamforming.
    gap
        Certified relative gap, 1, (batch, rho); NaN where no design exists.
    iterations, solver
        (batch, rho); -1 and `Solver.NONE` where no design exists.
    """

    covariance: Complexes
    powers: Reals | None
    gap: Reals
    iterations: Wholes
    solver: Wholes

    def at(self, index: NDArray[np.intp] | list[int]) -> "Solution":
        """The designs of the weights with these indices."""
        if np.array_equal(index, np.arange(self.gap.shape[1])):
            return self
        arrays: list[Any] = [None if one is None else one[:, index] for one in self._arrays()]
        return Solution(*arrays)

    def joined(self, other: "Solution") -> "Solution":
        """These designs, then those of other weights."""
        pairs = zip(self._arrays(), other._arrays(), strict=True)
        arrays: list[Any] = [None if one is None else np.concatenate((one, two), axis=1) for one, two in pairs]
        return Solution(*arrays)

    def _arrays(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


def solve_fdb(problem: Problem, rho: Reals, tolerance: float) -> Solution:
    """Minimise the weighted CRB over all covariances of power P_m.

    Each draw's curve is followed from the weight next to 1/2 to both ends, so a result depends on the other
    weights, within the tolerance. With one weight the solver starts cold, near the APA point.

    `problem`: a batch of draws. `rho`: weights in [0, 1], (rho,). `tolerance`: certified relative gap to reach. Result:
    cleaned designs of the lowest rank that keeps the certificate.
    """
    weights, places = np.unique(rho, return_inverse=True)
    count = problem.mix.shape[1]
    wanted = problem.exists(weights)
    found = _nothing(wanted, np.zeros((count, count), np.complex128))
    x, gap, evaluations = descend_fdb(problem, weights, tolerance)
    _judge(wanted, x, gap, evaluations, Solver.LBFGS, found)
    for clearance in (interior.BOLD, interior.BRISK, interior.CAREFUL):
        # For BP alone many optima lie on the edge of where f exists: too bold a step leaves it.
        left = wanted & ~(found[1] <= tolerance) & ((clearance > interior.BOLD) | (weights < 1.0))
        if left.any():
            x, _, evaluations = interior.interior_designs(
                problem.arrays, problem.apa, weights, left, clearance, _MARGIN * tolerance
            )
            gap = cleaning.certified_covariances(
                problem.arrays, weights, x, cleaning.NO_POINTS, 0, left, True, tolerance, CLEANING
            )
            _judge(left, x, gap, evaluations, Solver.INTERIOR, found)
    _climb(problem, weights, tolerance, _fdb_by_clarabel, found)
    x, gap, iterations, solver = found
    return Solution(x, None, gap, iterations, solver).at(places)


def descend_fdb(problem: Problem, rho: Reals, tolerance: float) -> tuple[Complexes, Reals, Wholes]:
    """Covariances, gaps and evaluations of the first rung alone, whatever it reaches; weights in ascending order."""
    count = problem.mix.shape[1]
    columns = _columns(count)
    start = polar.polar_of_powers(problem.mix, _balanced(problem, problem.arrays, rho), columns)
    points, evaluations = _descend(problem, columns, start, rho, tolerance)
    return *_from_factors(problem, rho, tolerance, problem.exists(rho), points, columns), evaluations


def _nothing(wanted: Flags, empty: NDArray[Any]) -> _Found:
    """No design anywhere yet; an empty one is kept where none exists."""
    designs = np.zeros((*wanted.shape, *empty.shape), empty.dtype)
    return designs, np.full(wanted.shape, np.nan), np.where(wanted, 0, -1), np.full(wanted.shape, int(Solver.NONE))


def _judge(wanted: Flags, made: NDArray[Any], own: Reals, evaluations: Wholes, solver: Solver, found: _Found) -> None:
    """Take what a rung made, covariances or powers, with their own gaps, where they are better, in place."""
    designs, gap, iterations, solvers = found
    iterations[wanted] += evaluations[wanted]
    powers = made if made.ndim == 3 else np.diagonal(made, axis1=2, axis2=3)
    better = wanted & (powers != 0.0).any(axis=-1) & ~(gap <= own)
    np.copyto(designs, made, where=better.reshape(better.shape + (1,) * (made.ndim - 2)))
    gap[better], solvers[better] = own[better], int(solver)


def _from_factors(
    problem: Problem, rho: Reals, tolerance: float, wanted: Flags, points: Reals, columns: int
) -> tuple[Complexes, Reals]:
    """Cleaned covariances of factors in polar form, and their gaps."""
    x = np.zeros((*wanted.shape, *problem.mix.shape[1:]), np.complex128)
    return x, cleaning.certified_covariances(problem.arrays, rho, x, points, columns, wanted, True, tolerance, CLEANING)


def clean_powers(problem: Problem, rho: Reals, wanted: Flags, powers: Reals, tolerance: float) -> Reals:
    """Gaps of powers, which are cleaned in place where that costs no certificate."""
    there = wanted & (powers != 0.0).any(axis=-1)
    full = powers.copy()
    powers[there] = cleaning.clean_rows(powers[there], CLEANING)
    gap: Reals = cleaning.certified_powers(problem.codewords, rho, powers, there)
    doubtful = there & ~(gap <= tolerance)
    if doubtful.any():
        gap_full = cleaning.certified_powers(problem.codewords, rho, full, doubtful)
        better = doubtful & (gap_full < gap)
        powers[better], gap[better] = full[better], gap_full[better]
    return gap


def solve_cpa(problem: Problem, rho: Reals, tolerance: float) -> Solution:
    """Minimise the weighted CRB over powers on the codebook, V = U diag(p) U^H, given back; else like `solve_fdb`."""
    weights, places = np.unique(rho, return_inverse=True)
    wanted = problem.exists(weights)
    found = _nothing(wanted, np.zeros(problem.apa.shape[1]))
    points, evaluations = _descend(
        problem, 0, np.sqrt(_balanced(problem, problem.codewords, weights)), weights, tolerance
    )
    powers = points**2
    _judge(wanted, powers, clean_powers(problem, weights, wanted, powers, tolerance), evaluations, Solver.LBFGS, found)
    left = wanted & ~(found[1] <= tolerance)
    if left.any():
        powers, _, evaluations = interiorpowers.interior_powers(
            problem.codewords, problem.apa, weights, left, _MARGIN * tolerance
        )
        _judge(
            left, powers, clean_powers(problem, weights, left, powers, tolerance), evaluations, Solver.INTERIOR, found
        )
    _climb(problem, weights, tolerance, _cpa_by_clarabel, found)
    powers, gap, iterations, solver = found
    return Solution(problem.covariance_of_powers(powers), powers, gap, iterations, solver).at(places)


def _climb(
    problem: Problem, rho: Reals, tolerance: float, rung: Callable[[Problem, int, float, float], _One], found: _Found
) -> None:
    """Take each design whose certificate does not hold to the last rung, in place; the better certificate wins."""
    designs, gap, iterations, solver = found
    for b, w in np.argwhere((iterations >= 0) & ~(gap <= tolerance)):
        other = rung(problem, int(b), float(rho[w]), tolerance)
        if other is None:
            continue
        iterations[b, w] += other[2]
        if not gap[b, w] <= other[1]:
            designs[b, w], gap[b, w], _, solver[b, w] = other


def _balanced(problem: Problem, arrays: ProblemArrays, rho: Reals) -> Reals:
    """Powers to start from, (batch, n), on the columns of B or on codewords: equal ones without the worst imbalance."""
    return curve.balanced_powers(  # type: ignore[no-any-return]
        arrays, problem.apa, rho, problem.bistatic.identifiable, problem.monostatic.identifiable
    )


def _columns(count: int) -> int:
    """Columns of the factors of a covariance of so many dimensions: half, or one more where that is odd.

    Optima have hardly ever a higher rank (2 or 3 of 8 at 3 targets).
    """
    return 2 * ((count + 3) // 4)


def _descend(problem: Problem, columns: int, start: Reals, rho: Reals, tolerance: float) -> tuple[Reals, Wholes]:
    """Points of the kind of the start, factors in polar form or (no columns) roots of powers; and the evaluations."""
    points, evaluations = descent.descend(
        problem.arrays if columns > 0 else problem.codewords,
        columns,
        start,
        rho,
        problem.bistatic.identifiable,
        problem.monostatic.identifiable,
        _MARGIN * tolerance,
    )
    return points, evaluations


def _fdb_by_clarabel(problem: Problem, draw: int, rho: float, tolerance: float) -> _One:
    from . import conic  # CVXPY takes longer to import than most designs to make; few need it

    guess = conic.reduced_weighted_crb(problem, draw, rho)
    if guess is None:
        return None
    apa = problem.covariance_of_powers(problem.apa[draw : draw + 1, None])[0, 0]
    mixed = (1.0 - _POLISH_SHARE) * guess + _POLISH_SHARE * apa
    values, vectors = smallmat.eigen_hermitian(np.ascontiguousarray(mixed), len(mixed))
    z = vectors * np.sqrt(np.maximum(values, 0.0))
    start = polar.polar_of_factors(np.concatenate((z.real.ravel(), z.imag.ravel()))[None], len(z))
    one, weight = problem.draw(draw), np.array([rho])
    points, evaluations = _descend(one, z.shape[1], start, weight, tolerance)
    x, gap = _from_factors(one, weight, tolerance, evaluations >= 0, points, z.shape[1])
    return x[0, 0], float(gap[0, 0]), int(evaluations[0, 0]), Solver.CLARABEL


def _cpa_by_clarabel(problem: Problem, draw: int, rho: float, tolerance: float) -> _One:
    from . import conic

    guess = conic.power_weighted_crb(problem, draw, rho)
    if guess is None:
        return None
    mixed = (1.0 - _POLISH_SHARE) * guess + _POLISH_SHARE * problem.apa[draw]
    one, weight = problem.draw(draw), np.array([rho])
    points, evaluations = _descend(one, 0, np.sqrt(mixed)[None], weight, tolerance)
    powers = points**2
    gap = clean_powers(one, weight, evaluations >= 0, powers, tolerance)
    return powers[0, 0], float(gap[0, 0]), int(evaluations[0, 0]), Solver.CLARABEL
