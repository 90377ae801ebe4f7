"""The mixes of the extreme designs: WBF (16) and WVM (19), over all of span(B) or on the codebook, and their errors.

Every mix is told how far its objective may be from that of a mix of the true extremes. An extreme may still change by
what its doubtful directions held, or by what it changed on the last of the way to it, along which its gap fell about
tenfold and so its error about threefold; the error is five times the sum of what these changes do to log f of the mix,
to first order, all taken to be of the same sign.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Complexes, Flags, Reals, summed
from ..kernels.designs import extremes as slopes
from ..kernels.designs import mismatch
from .evaluation import Part
from .extremes import Extremes, cpa_extremes, fdb_extremes, of_unit_sum
from .factors import EIGENVECTORS, best_of, both_of, factor_pair, right_of, roots_of
from .problem import Problem, of_weighted

LARGEST_ERROR = 1e-5  # of a mix that counts as certified
_SAFETY = 5.0
_ROUNDING = 100.0  # times that of the FIMs, of extremes whose optimum is flat
_LEAST = 1e-9  # no mix is known better


class Mixer:
    """Extremes and their mixes of a batch of draws at some weights; extremes are solved when they are first needed.

    `problem`: a batch of draws. `rho`: weights in [0, 1]. `tolerance`: certified gap of the extremes. `address`: seed
    and index of the first draw, of which random factors are a function.
    """

    def __init__(self, problem: Problem, rho: Reals, tolerance: float, address: tuple[int, int] = (0, 0)) -> None:
        self.problem, self.rho, self.tolerance, self._address = problem, rho, tolerance, address
        self._found: dict[str, Extremes] = {}

    def extremes(self, family: str) -> Extremes:
        """The extremes of a family of schemes, fdb or cpa."""
        if family not in self._found:
            solve = fdb_extremes if family == "fdb" else cpa_extremes
            self._found[family] = solve(self.problem, self.tolerance)
        return self._found[family]

    def covariances(self) -> Part:
        """(19) over all of span(B), without its rank constraint."""
        extremes = self.extremes("fdb")
        weight = self.rho[None, :, None, None]
        mixed = weight * extremes.settled[:, :1] + (1.0 - weight) * extremes.settled[:, 1:]
        found = slopes.covariance_slopes(self.problem.arrays, self.rho, mixed, self._inside(extremes))
        changes = [
            mismatch.covariance_changes(found, *both_of(pair - extremes.settled), self.rho)
            for pair in _alternatives(extremes.settled, extremes.others)
        ]
        return self._mix(extremes, self._with_ends(mixed, extremes.ends), changes)

    def factors(self, factor: str) -> Part:
        """(16) over all of span(B): factors mix, see `beamforming.factors`; the covariances follow."""
        extremes, problem, rank = self.extremes("fdb"), self.problem, self.problem.rank
        basis = (
            problem.basis if factor in EIGENVECTORS else np.zeros((len(rank), 1, extremes.settled.shape[-1]), complex)
        )
        settled, others, ends = (
            roots_of(x, basis, rank, factor) for x in (extremes.settled, extremes.others, extremes.ends)
        )
        # Errors below are those of this candidate: that another one might have been the best is not counted.
        right = right_of(settled, factor, problem.scenario.slots, self._best, self._address)

        is_optimum = factor != "randomization"  # at rho = 1 and 0: V is that of the extreme
        inside = self._inside(extremes) if is_optimum else of_weighted(extremes.exist, self.rho)
        w_bp, w_ms = factor_pair(settled, right, factor, rank)
        mixed, norms = mismatch.mixed_factors(w_bp, w_ms, self.rho)
        x = mismatch.covariances_of(mixed)
        found = slopes.covariance_slopes(problem.arrays, self.rho, x, inside)
        changes = []
        for pair in _alternatives(settled, others):
            other_bp, other_ms = factor_pair(pair, right, factor, rank)
            changes.append(mismatch.factor_changes(mixed, norms, found, other_bp - w_bp, other_ms - w_ms, self.rho))
        if is_optimum:
            mixed = self._with_ends(mixed, np.stack(factor_pair(ends, right, factor, rank), axis=1))
        return self._mix(extremes, mismatch.covariances_of(mixed), changes, factor=mixed, is_optimum=is_optimum)

    def _best(self, draw: int, rho: float, factors: Complexes) -> int:
        return best_of(self.problem, draw, factors, rho)[0]

    def powers(self, roots: bool) -> Part:
        """(19) on the codebook; or (16), where the codewords' amplitudes mix, W = U diag(sqrt p)."""
        extremes = self.extremes("cpa")
        weight = self.rho[None, :, None]
        inside = self._inside(extremes)

        def mixed(pair: Reals) -> Reals:
            p_bp, p_ms = pair[:, :1], pair[:, 1:]
            if not roots:
                return weight * p_bp + (1.0 - weight) * p_ms
            return of_unit_sum((weight * np.sqrt(p_bp) + (1.0 - weight) * np.sqrt(p_ms)) ** 2)

        powers = mixed(extremes.settled)
        found = slopes.power_slopes(self.problem.codewords, self.rho, powers, inside)
        changes = [
            np.abs(summed(found * (mixed(pair) - powers))) for pair in _alternatives(extremes.settled, extremes.others)
        ]
        powers = self._with_ends(powers, extremes.ends)
        covariance = self.problem.covariance_of_powers(powers)
        factor = self.problem.codeword_factors(powers) if roots else None
        return self._mix(extremes, covariance, changes, factor=factor, powers=powers)

    def _mix(
        self,
        extremes: Extremes,
        covariance: Complexes,
        changes: list[Reals],
        factor: Complexes | None = None,
        powers: Reals | None = None,
        is_optimum: bool = True,
    ) -> Part:
        """What all mixes have: errors, gaps, and nothing where an extreme of non-zero weight is missing."""
        ends = extreme_gap(extremes.gap, self.rho)
        gap = ends if is_optimum else np.full_like(ends, np.nan)
        blur = np.maximum(self.problem.bistatic.rounding, self.problem.monostatic.rounding)[:, None]
        known = of_weighted(extremes.known, self.rho)
        error = np.where(known, _SAFETY * sum(changes) + _ROUNDING * blur + _LEAST, np.inf)
        error = np.where(np.isnan(error), np.inf, error)
        if is_optimum:
            error = np.where((self.rho == 0.0) | (self.rho == 1.0), gap, error)
        exist = of_weighted(extremes.exist, self.rho)
        error = np.where(exist, error, np.nan)
        return Part(
            covariance=np.where(exist[..., None, None], covariance, 0.0),
            gap=gap,
            inherited=of_weighted(extremes.gap <= self.tolerance, self.rho) & (error <= LARGEST_ERROR),
            closed_form=True,
            factor=factor,
            powers=None if powers is None else np.where(exist[..., None], powers, 0.0),
            mix_error=error,
        )

    def _inside(self, extremes: Extremes) -> Flags:
        """Where both extremes take part, (batch, rho)."""
        both: Flags = np.all(extremes.exist, axis=1, keepdims=True)
        return both & (self.rho > 0.0) & (self.rho < 1.0)

    def _with_ends(self, mixed: NDArray[Any], ends: NDArray[Any]) -> NDArray[Any]:
        """Mixes with the certified extremes themselves at rho = 1 and 0."""
        mixed = mixed.copy()
        mixed[:, self.rho == 1.0], mixed[:, self.rho == 0.0] = ends[:, :1], ends[:, 1:]
        return mixed


def _alternatives(settled: NDArray[Any], others: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Pairs of extremes, (batch, 2, ...), each with one other than the settled one."""
    for side in range(2):
        for other in range(others.shape[2]):
            pair = settled.copy()
            pair[:, side] = others[:, side, other]
            yield pair


def extreme_gap(gap: Reals, rho: Reals) -> Reals:
    """Gap of a closed form: at rho = 1 and rho = 0 it is the extreme itself, elsewhere it optimises nothing."""
    bp, ms = gap[:, :1], gap[:, 1:]
    return np.where(rho == 1.0, bp, np.where(rho == 0.0, ms, np.nan))
