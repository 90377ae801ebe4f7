"""The mean over training draws of f_s(V) / f_s(APA_s), f_s the weighted CRB (12) of draw s, and its minimum.

A ratio, since the mean of the bounds themselves need not exist. Powers are allocated on the codebook of the scenario's
own geometry.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Complexes, Reals, Wholes, summed
from ..crb import bistatic_from_diagonal, monostatic_from_diagonal
from ..draws import Draws, fixed_draw
from ..errors import DesignError
from ..kernels.dense import certificate
from ..kernels.descent import average
from ..kernels.designs import mismatch, randomization
from ..kernels.linalg import smallmat
from ..kernels.model import bases
from ..scenario import Scenario
from .evaluation import weighted_sum
from .factors import first_smallest
from .problem import Problem, build_problem
from .weighted import CLEANING

# With moving geometry the unknown covariance has M_T x M_T entries.
LARGEST_MOVING = 128
_MARGIN = 0.8
_EVALUATIONS = 400
_ATTEMPTS = 3
_SHARE = 1e-2  # of equal powers or of the starting point, mixed in where the descent got stuck at an empty direction
_RANK_CUTS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, CLEANING)


@dataclass(frozen=True)
class Optima:
    """Minima of the mean over the whole grid; powers (rho, m) for codewords."""

    y: Complexes
    powers: Reals
    gap: Reals
    evaluations: Wholes


@dataclass(frozen=True)
class MeanProblem:
    """The mean problem of some training draws over a grid of weights rho.

    basis (M_T, N), codewords (N, m), views (the `bases` of `kernels.descent.average`), weights (rho, draw),
    start (N, N), equal (m,).
    """

    problem: Problem
    grid: Reals
    basis: Complexes
    views: Complexes
    codewords: Complexes
    weights: Reals
    start: Complexes
    equal: Reals

    @classmethod
    def of(cls, scenario: Scenario, training: Draws, grid: Reals) -> "MeanProblem":
        """Set up the problem of the training draws."""
        problem = build_problem(scenario, training)
        nominal = build_problem(scenario, fixed_draw(scenario))
        apa = problem.covariance_of_powers(problem.apa[:, None])
        moving = bool((problem.channel.departure != problem.channel.departure[:1]).any())
        if moving and scenario.tx_antennas > LARGEST_MOVING:
            raise DesignError(
                f"average knowledge of a geometry that moves takes tx_antennas <= {LARGEST_MOVING}; "
                f"there are {scenario.tx_antennas}"
            )
        if moving:
            basis = np.eye(scenario.tx_antennas, dtype=complex)
            views = np.ascontiguousarray(problem.basis)
            seen = bases.expand(views, apa, 1.0)[:, 0]
        else:
            rank = int(problem.rank[0])
            basis = np.ascontiguousarray(problem.basis[0, :, :rank])
            views = np.eye(apa.shape[2], dtype=complex)[None, :rank]
            seen = apa[:1, 0, :rank, :rank]
        start = np.zeros(seen.shape[1:], complex)
        for one in seen:  # in order: a sum by NumPy may depend on the machine
            start += one / len(seen)
        codewords = smallmat.times(np.ascontiguousarray(basis.conj().T), nominal.codebook[0])
        weights = _scales(problem, grid, apa)
        return cls(problem, grid, basis, views, codewords, weights, start, nominal.apa[0])

    @property
    def no_codewords(self) -> Complexes:
        """What stands for all covariances where codewords are asked for, (N, 0)."""
        return self.codewords[:, :0]

    def covariance_at(self, point: Reals, codewords: Complexes) -> Complexes:
        """Covariance of roots of powers, or (no codewords) of a factor's entries, real parts first, (N, N)."""
        y = np.zeros_like(self.start)
        average.covariance_at(point, codewords, y)
        return y

    def solve(self, codewords: Complexes, tolerance: float) -> Optima:
        """Minimise at every weight, each from the one solved next to it, from the middle outwards."""
        count, size = self.grid.size, self.start.shape[0]
        y = np.zeros((count, size, size), complex)
        powers = np.zeros((count, codewords.shape[1]))
        gap, spent = np.full(count, np.nan), np.full(count, -1)
        middle = int(np.argmin(np.abs(self.grid - 0.5)))
        for w in (*range(middle, -1, -1), *range(middle + 1, count)):
            if not self.weights[w].any():
                continue
            nearest = w + 1 if w < middle else w - 1
            ready = w != middle and spent[nearest] >= 0
            if codewords.shape[1]:
                before = powers[nearest] if ready else self.equal
                powers[w], gap[w], spent[w] = self._minimum(w, codewords, before, tolerance)
                y[w] = self.covariance_at(np.sqrt(powers[w]), codewords)
            else:
                before = y[nearest] if ready else self.start
                y[w], gap[w], spent[w] = self._minimum(w, codewords, before, tolerance)
        return Optima(y, powers, gap, spent)

    def _minimum(
        self, w: int, codewords: Complexes, before: NDArray[Any], tolerance: float
    ) -> tuple[NDArray[Any], float, int]:
        """Powers or (no codewords) a covariance from one close by, the certified gap, and the evaluations."""
        even = self.equal if codewords.shape[1] else self.start
        best, spent = (before, np.inf), 0
        for _ in range(_ATTEMPTS):
            mixed = (1.0 - _SHARE) * before + _SHARE * even
            point, used = average.descend_mean(
                self.problem.arrays,
                self.views,
                self.weights[w],
                self.grid[w],
                codewords,
                np.sqrt(mixed) if codewords.shape[1] else _entries_of_root(mixed),
                _MARGIN * tolerance,
                _EVALUATIONS,
            )
            spent += used
            for before in self._cleaned(point, codewords):
                y = self.covariance_at(np.sqrt(before), codewords) if codewords.shape[1] else before
                gap = float(self._mean_and_gap(w, y, codewords)[1])
                best = min(best, (before, gap), key=itemgetter(1))
                if gap <= tolerance:
                    return before, gap, spent
        return *best, spent

    def _cleaned(self, point: Reals, codewords: Complexes) -> Iterator[NDArray[Any]]:
        """What a point is cleaned to, the lowest rank first: the first that is certified will do."""
        if codewords.shape[1]:
            powers = np.where(point**2 < CLEANING, 0.0, point**2)
            yield powers / summed(powers)
            return
        found = self.covariance_at(point, codewords)
        values, vectors = smallmat.eigen_hermitian(found, found.shape[0])
        for cut in _RANK_CUTS:
            yield certificate.leading_covariance(values, vectors, certificate.numerical_rank(values, cut))

    def _mean_and_gap(self, w: int, y: Complexes, codewords: Complexes) -> tuple[float, float]:
        return average.mean_gap(  # type: ignore[no-any-return]
            self.problem.arrays, self.views, self.weights[w], self.grid[w], y, codewords
        )

    def best_of(self, _: int, rho: float, factors: Complexes) -> int:
        """Which of the factors (count, N, L) has the smallest mean."""
        w = int(np.searchsorted(self.grid, rho))
        candidates = randomization.unit_covariances(factors)
        return first_smallest(np.array([self._mean_and_gap(w, y, self.no_codewords)[0] for y in candidates]))


def _entries_of_root(covariance: NDArray[Any]) -> Reals:
    root = mismatch.square_root(covariance, covariance.shape[0])
    return np.concatenate((root.real.ravel(), root.imag.ravel()))


def _scales(problem: Problem, rho: Reals, apa: Complexes) -> Reals:
    """w_s = 1 / f_s(APA_s) over how many draws count, (rho, draw); 0 for those that are unidentifiable."""
    # At unit power and noise, on which designs must not depend.
    bp, ms = problem.unit_bounds(apa)
    dims = problem.scenario.dimensions
    crb_bp, crb_ms = bistatic_from_diagonal(bp, dims).position, monostatic_from_diagonal(ms, dims).position
    at_apa = (weighted_sum(rho, crb_bp) + weighted_sum(1.0 - rho, crb_ms)).T
    fine = np.isfinite(at_apa)
    counted = np.maximum(fine.sum(axis=1, keepdims=True), 1)
    return np.where(fine, 1.0 / (np.where(fine, at_apa, 1.0) * counted), 0.0)
