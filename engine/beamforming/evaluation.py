"""What every scheme's designs give: bounds, ranks, certificates and statuses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Complexes, Flags, Reals, Wholes
from ..crb import bistatic_from_diagonal, monostatic_from_diagonal
from ..kernels.bound import designbounds
from ..status import Solver, Status
from . import weighted
from .designs import Designs
from .problem import Problem, of_weighted
from .scheme import CUSTOM


@dataclass(frozen=True)
class Part:
    """What one scheme gives before bounds are computed, (batch, rho, ...).

    Attributes
    ----------
    covariance
        Reduced, of unit trace, (batch, rho, n, n); 0 where none exists.
    gap
        Certified relative gap; NaN where nothing is optimised.
    inherited
        Whether every optimum that this design rests on is as exact as it has to be.
    closed_form
        Whether it follows from optima of other problems, or from none.
    factor, powers
        W / sqrt(P_m) on the basis, (batch, rho, n, C), and codeword powers (batch, rho, n), where the scheme has them.
    iterations, solver
        Where it optimises.
    mix_error
        Upper bound on the relative error of the objective that the extremes leave; NaN where there is no mix.
    """

    covariance: Complexes
    gap: Reals
    inherited: Flags
    closed_form: bool
    factor: Complexes | None = None
    powers: Reals | None = None
    iterations: Wholes | None = None
    solver: Wholes | None = None
    mix_error: Reals | None = None


def with_bounds(problem: Problem, names: tuple[str, ...], rho: Reals, parts: list[Part], tolerance: float) -> Designs:
    """Bounds, ranks and statuses of every scheme's designs."""
    x = np.stack([part.covariance for part in parts], axis=1)
    batch, schemes, weights, n, _ = x.shape
    shape = (batch, schemes, weights)
    flat = x.reshape(batch, schemes * weights, n, n)
    rank = designbounds.ranks_of(flat, weighted.CLEANING).reshape(shape)
    bp_rows, ms_rows = problem.bounds(flat)
    dims = problem.scenario.dimensions
    bp = bistatic_from_diagonal(bp_rows.reshape(*shape, -1), dims)
    ms = monostatic_from_diagonal(ms_rows.reshape(*shape, -1), dims)
    bp_ok, ms_ok = (link.identifiable[:, None, None] for link in (problem.bistatic, problem.monostatic))
    # Where no design exists, a link that could have been identified has no bound to speak of.
    absent = rank < 0
    crb_bp = np.where(absent & bp_ok, np.nan, bp.position)
    crb_ms = np.where(absent & ms_ok, np.nan, ms.position)
    objective = weighted_sum(rho, crb_bp) + weighted_sum(1.0 - rho, crb_ms)
    objective = np.where(problem.exists(rho)[:, None], objective, np.inf)
    gap = np.stack([part.gap for part in parts], axis=1)
    endless = np.isposinf(objective) & np.array([name == CUSTOM for name in names])[:, None]
    powers = _stacked([part.powers for part in parts], np.full((batch, weights, n), np.nan))
    return Designs(
        problem=problem,
        schemes=names,
        rho=rho,
        covariance=np.where(absent[..., None, None], np.nan, x),
        factor=np.where(absent[..., None, None], np.nan, _stacked_factors(parts, x[:, 0])),
        powers=np.where(absent[..., None], np.nan, powers),
        crb_bp=crb_bp,
        crb_ms=crb_ms,
        objective=objective,
        crb_orientation=np.where(absent & bp_ok, np.nan, bp.orientation),
        crb_clock=np.where(absent & bp_ok, np.nan, bp.clock),
        crb_map=np.where((absent & bp_ok)[..., None], np.nan, bp.targets),
        crb_ms_target=np.where((absent & ms_ok)[..., None], np.nan, ms.targets),
        gap=np.where(endless & ~np.isnan(gap), np.inf, gap),
        status=_statuses(problem, rho, parts, objective, tolerance),
        solver=_stacked([part.solver for part in parts], np.full((batch, weights), int(Solver.NONE))),
        iterations=_stacked([part.iterations for part in parts], np.full((batch, weights), -1)),
        rank=rank,
        mix_error=_stacked([part.mix_error for part in parts], np.full((batch, weights), np.nan)),
    )


def _statuses(problem: Problem, rho: Reals, parts: list[Part], objective: Reals, tolerance: float) -> Wholes:
    good = [Status.CLOSED_FORM if part.closed_form else Status.CERTIFIED for part in parts]
    status = np.stack([np.where(p.inherited, g, Status.UNCERTIFIED) for p, g in zip(parts, good, strict=True)], axis=1)
    # A gap below the tolerance says nothing where rounding is above it.
    blurred = np.stack((problem.bistatic.rounding, problem.monostatic.rounding), axis=1) > tolerance
    status = np.where(of_weighted(~blurred, rho)[:, None], status, Status.UNCERTIFIED)
    # Beams that were not optimised may miss what a draw needs: an infinite bound, and nothing that failed.
    missed = np.isposinf(objective) & np.array([part.closed_form for part in parts])[:, None]
    status = np.where(np.isfinite(objective) | missed, status, Status.FAILED)
    return np.where(problem.exists(rho)[:, None], status, Status.UNIDENTIFIABLE).astype(np.int64)


def _stacked_factors(parts: list[Part], like: Complexes) -> Complexes:
    """Factors (draw, scheme, rho, n, C) of all schemes, with columns of zeros up to the widest; NaN for none."""
    width = max(like.shape[-1], *(part.factor.shape[-1] for part in parts if part.factor is not None), 0)
    factors = [None if part.factor is None else widened(part.factor, width) for part in parts]
    return _stacked(factors, np.full((*like.shape[:-1], width), np.nan, np.complex128))


def widened(factor: Complexes, width: int) -> Complexes:
    """The same factor with columns of zeros up to a width."""
    out = np.zeros((*factor.shape[:-1], width), np.complex128)
    out[..., : factor.shape[-1]] = factor
    return out


def _stacked(values: list[NDArray[Any] | None], none: NDArray[Any]) -> NDArray[Any]:
    """Values (draw, rho, ...) of all schemes, (draw, scheme, rho, ...); `none` for a scheme that has none."""
    return np.stack([none if each is None else each for each in values], axis=1)


def weighted_sum(weight: Reals, bound: Reals) -> Reals:
    """Weight * bound, and 0 (not infinity times 0) where the weight is zero."""
    shape = np.broadcast_shapes(weight.shape, bound.shape)
    return np.multiply(weight, bound, out=np.zeros(shape), where=weight > 0.0)
