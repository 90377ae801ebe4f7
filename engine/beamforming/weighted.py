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
from ..kernels.descent.preconditioner import Shape
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
    columns = _columns(problem.mix.shape[1], problem.scenario.dimensions)
    start = polar.polar_of_powers(problem.arrays, _balanced(problem, problem.arrays, rho), columns)
    return _descend_and_clean(problem, columns, start, rho, tolerance)


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
    start = np.sqrt(_balanced(problem, problem.codewords, weights))
    powers, gap, evaluations = _descend_and_clean(problem, 0, start, weights, tolerance)
    _judge(wanted, powers, gap, evaluations, Solver.LBFGS, found)
    left = wanted & ~(found[1] <= tolerance)
    if left.any():
        powers, _, evaluations = interiorpowers.interior_powers(
            problem.codewords, problem.apa, weights, left, _MARGIN * tolerance
        )
        gap = clean_powers(problem, weights, left, powers, tolerance)
        _judge(left, powers, gap, evaluations, Solver.INTERIOR, found)
    _climb(problem, weights, tolerance, _cpa_by_clarabel, found)
    powers, gap, iterations, solver = found
    return Solution(problem.covariance_of_powers(powers), powers, gap, iterations, solver).at(places)


def _climb(
    problem: Problem,
    rho: Reals,
    tolerance: float,
    by_clarabel: Callable[[Problem, int, float], Reals | None],
    found: _Found,
) -> None:
    """Descend once more, from Clarabel's point, where a certificate does not hold, in place; the better one wins."""
    designs, gap, iterations, solver = found
    columns = 0 if designs.ndim == 3 else designs.shape[-1]
    for b, w in np.argwhere((iterations >= 0) & ~(gap <= tolerance)).tolist():
        start = by_clarabel(problem, b, float(rho[w]))
        if start is None:
            continue
        made = _descend_and_clean(problem.draw(b), columns, start, rho[w : w + 1], tolerance)
        design, own, evaluations = (of_all[0, 0] for of_all in made)
        iterations[b, w] += evaluations
        if not gap[b, w] <= own:
            designs[b, w], gap[b, w], solver[b, w] = design, own, Solver.CLARABEL


def _balanced(problem: Problem, arrays: ProblemArrays, rho: Reals) -> Reals:
    """Powers to start from, (batch, n), on the columns of B or on codewords: equal ones without the worst imbalance."""
    return curve.balanced_powers(  # type: ignore[no-any-return]
        arrays, problem.apa, rho, problem.bistatic.identifiable, problem.monostatic.identifiable
    )


def _columns(count: int, each: int) -> int:
    """Columns of the factors of a covariance of so many dimensions, so many for each path: one a path, made even.

    Optima have hardly ever a higher rank (2 or 3 at 3 targets). The rows of a path have to find room.
    """
    return 2 * max((count // each + 1) // 2, (each + 1) // 2)


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


def _descend_and_clean(
    problem: Problem, columns: int, start: Reals, rho: Reals, tolerance: float
) -> tuple[NDArray[Any], Reals, Wholes]:
    """Cleaned covariances or (no columns) powers that the descent makes of a start, their gaps, and the evaluations."""
    points, evaluations = _descend(problem, columns, start, rho, tolerance)
    wanted = problem.exists(rho)
    if columns == 0:
        powers = points**2
        return powers, clean_powers(problem, rho, wanted, powers, tolerance), evaluations
    x = np.zeros((*wanted.shape, *problem.mix.shape[1:]), np.complex128)
    gap = cleaning.certified_covariances(problem.arrays, rho, x, points, columns, wanted, True, tolerance, CLEANING)
    return x, gap, evaluations


def _fdb_by_clarabel(problem: Problem, draw: int, rho: float) -> Reals | None:
    """Square factors in polar form to descend from; None where Clarabel returns no point."""
    from . import conic  # CVXPY takes longer to import than most designs to make; few need it

    guess = conic.reduced_weighted_crb(problem, draw, rho)
    if guess is None:
        return None
    apa = problem.covariance_of_powers(problem.apa[draw : draw + 1, None])[0, 0]
    mixed = (1.0 - _POLISH_SHARE) * guess + _POLISH_SHARE * apa
    values, vectors = smallmat.eigen_hermitian(np.ascontiguousarray(mixed), len(mixed))
    z = vectors * np.sqrt(np.maximum(values, 0.0))
    paths = problem.channel.aod.shape[1]
    shape = Shape(paths, len(z) // paths, len(z))
    return polar.polar_of_factors(np.concatenate((z.real.ravel(), z.imag.ravel()))[None], shape)  # type: ignore[no-any-return]


def _cpa_by_clarabel(problem: Problem, draw: int, rho: float) -> Reals | None:
    """Roots of powers to descend from; None where Clarabel returns no point."""
    from . import conic

    guess = conic.power_weighted_crb(problem, draw, rho)
    return None if guess is None else np.sqrt((1.0 - _POLISH_SHARE) * guess + _POLISH_SHARE * problem.apa[draw])[None]
