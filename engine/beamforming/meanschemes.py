"""The schemes for the mean over training draws: its minima, and the closed forms (16) and (19) between the extremes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..arrays import Complexes, Flags, Reals, Wholes, summed
from ..errors import DesignError
from ..kernels.designs import mismatch
from ..status import Solver, Status
from .factors import factor_pair, right_of, roots_of
from .mean import MeanProblem, Optima
from .mixes import extreme_gap
from .problem import of_weighted
from .scheme import Scheme


@dataclass(frozen=True)
class MeanPart:
    """One scheme: covariances on the basis (rho, N, N) of unit trace, and what goes with them."""

    y: Complexes
    gap: Reals
    status: Wholes
    iterations: Wholes
    solver: Wholes


@dataclass(frozen=True)
class MeanRequest:
    """What schemes are asked for: weights rho, all on the grid of the mean problem, whose minima are found once."""

    mean: MeanProblem
    rho: Reals
    tolerance: float
    seed: int

    @cached_property
    def _fdb(self) -> Optima:
        return self.mean.solve(self.mean.no_codewords, self.tolerance)

    @cached_property
    def _cpa(self) -> Optima:
        return self.mean.solve(self.mean.codewords, self.tolerance)

    def optima(self, scheme: Scheme) -> Optima:
        """Minima of a scheme's family over the whole grid: the extremes are the last and the first."""
        return self._fdb if scheme.family == "fdb" else self._cpa


def optimum(request: MeanRequest, scheme: Scheme) -> MeanPart:
    """The minimum at every weight."""
    optima, own = request.optima(scheme), np.searchsorted(request.mean.grid, request.rho)
    gap, spent = optima.gap[own], optima.evaluations[own]
    status = np.where(gap <= request.tolerance, Status.CERTIFIED, Status.UNCERTIFIED)
    return MeanPart(optima.y[own], gap, status, spent, np.where(spent >= 0, int(Solver.LBFGS), int(Solver.NONE)))


def covariances(request: MeanRequest, scheme: Scheme) -> MeanPart:
    """(19) without its rank constraint, of covariances in both families."""
    y = request.optima(scheme).y
    return _mixed(request, scheme, np.stack([rho * y[-1] + (1.0 - rho) * y[0] for rho in request.rho.tolist()]))


def roots(request: MeanRequest, scheme: Scheme) -> MeanPart:
    """(16) on the codebook, where the codewords' amplitudes mix."""
    p_bp, p_ms = (request.optima(scheme).powers[w] for w in (-1, 0))
    rho = request.rho[:, None]
    amplitude = rho * np.sqrt(p_bp) + (1.0 - rho) * np.sqrt(p_ms)
    unit = amplitude / np.sqrt(summed(amplitude**2))[:, None]
    return _mixed(request, scheme, np.stack([request.mean.covariance_at(one, request.mean.codewords) for one in unit]))


def factors(request: MeanRequest, scheme: Scheme) -> MeanPart:
    """(16) over all covariances: factors mix."""
    mean, optima, factor = request.mean, request.optima(scheme), scheme.factor
    assert factor is not None
    slots, size = mean.problem.scenario.slots, mean.start.shape[0]
    if size > slots and not scheme.randomized:
        raise DesignError(
            f"{scheme.method} mixes average beamformers of {size} columns, but there are only {slots} slots; "
            f"use slots >= {size} or leave the scheme out"
        )
    rank = np.array([size])
    w = roots_of(np.stack((optima.y[-1], optima.y[0]))[None], mean.basis[None], rank, factor)
    right = right_of(w, factor, slots, mean.best_of, (request.seed, 0))
    mixed, _ = mismatch.mixed_factors(*factor_pair(w, right, factor, rank), request.rho)
    y = mismatch.covariances_of(mixed)[0]
    return _mixed(request, scheme, y)


def equal_powers(request: MeanRequest, _: Scheme) -> MeanPart:
    """APA on the codebook of the scenario's own geometry."""
    count = request.rho.size
    y = request.mean.covariance_at(np.sqrt(request.mean.equal), request.mean.codewords)
    return _closed_form(np.stack([y] * count), np.full(count, np.nan), np.ones(count, np.bool_))


def _mixed(request: MeanRequest, scheme: Scheme, y: Complexes) -> MeanPart:
    """A mix of the extremes, as good as they are."""
    extremes = request.optima(scheme).gap[[-1, 0]][None]
    gap = extreme_gap(extremes, request.rho)[0]
    if scheme.randomized:
        gap[:] = np.nan  # a candidate is no optimum, at rho = 1 and 0 either
    return _closed_form(y, gap, of_weighted(extremes <= request.tolerance, request.rho)[0])


def _closed_form(y: Complexes, gap: Reals, fine: Flags) -> MeanPart:
    status = np.where(fine, Status.CLOSED_FORM, Status.UNCERTIFIED)
    return MeanPart(y, gap, status, np.full(len(y), -1), np.full(len(y), int(Solver.NONE)))
