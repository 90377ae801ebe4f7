"""All schemes over a batch of draws and a grid of weights: designs, certificates and bounds.

This is what a job's chunk calls, and what a user calls for a single scenario.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import names_of, one_of, positive, weights_in
from ..crb import bistatic_from_diagonal, monostatic_from_diagonal
from ..draws import Draws, fixed_draw
from ..errors import DesignError
from ..kernels.bound import designbounds as bounds
from ..kernels.designs import cleaning
from ..scenario import Scenario
from ..status import Solver, Status
from . import weighted
from .custom import custom_covariances
from .designs import Designs
from .factors import FACTORS, WbfFactor, checked_address, is_randomized
from .mixes import LARGEST_ERROR, Mix, Mixer
from .problem import Problem, build_problem

SCHEMES = (
    "fdb-wcrb",
    "fdb-wbf",
    "fdb-wvm",
    "cpa-wcrb",
    "cpa-wbf",
    "cpa-wvm",
    "apa",
    "fdb-wbf-aligned",
)
# fdb-wbf with a factor of its own, whatever `wbf_factor` says of the plain one.
FACTOR_SCHEMES = tuple(f"fdb-wbf:{factor}" for factor in FACTORS)
CUSTOM = "custom"


@dataclass
class Part:
    """What one scheme gives before bounds are computed, over (draw, rho)."""

    covariance: NDArray[np.complex128]
    gap: NDArray[np.float64]
    inherited: NDArray[np.bool_]  # every optimum that this design rests on is as exact as it has to be
    closed_form: bool
    factor: NDArray[np.complex128] | None = None
    powers: NDArray[np.float64] | None = None
    iterations: NDArray[np.int64] | None = None
    solver: NDArray[np.int64] | None = None
    mix_error: NDArray[np.float64] | None = None


def check_slots(scenario: Scenario, schemes: str | Sequence[str], wbf_factor: WbfFactor = "sqrt") -> None:
    """Refuse schemes whose beamformer has more columns than there are slots.

    Raises
    ------
    DesignError
        Naming the scheme, its columns and the slots.
    """
    codewords = 2 * scenario.targets + 2
    columns = {"fdb-wbf": min(scenario.tx_antennas, codewords), "cpa-wbf": codewords}
    for scheme in names_of(schemes):
        needed = columns.get(scheme.removesuffix("-aligned").partition(":")[0], 0)
        if needed > scenario.slots and not is_randomized(scheme, wbf_factor):  # which has L columns
            raise DesignError(
                f"{scheme} mixes beamformers of {needed} columns, but there are only "
                f"{scenario.slots} slots; use slots >= {needed} or leave the scheme out"
            )


def checked_request(
    schemes: str | Sequence[str], rho: ArrayLike, gap_tolerance: float, wbf_factor: WbfFactor, custom: bool = False
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names and weights that `design` is asked for.

    Raises
    ------
    DesignError
        As `design` does.
    """
    names, known = names_of(schemes), (*SCHEMES, *FACTOR_SCHEMES, *((CUSTOM,) if custom else ()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        what = f"unknown scheme {unknown[0]!r}" if unknown else "no scheme is asked for"
        raise DesignError(f"{what}; the schemes are {', '.join(known)}")
    positive("gap_tolerance", gap_tolerance, DesignError)
    one_of("wbf_factor", wbf_factor, WbfFactor, DesignError)
    return names, weights_in("rho", rho, DesignError)


def design(
    scenario: Scenario,
    draws: Draws | None = None,
    schemes: str | Sequence[str] = SCHEMES,
    rho: ArrayLike = 0.5,
    *,
    gap_tolerance: float = 1e-6,
    wbf_factor: WbfFactor = "sqrt",
    custom: ArrayLike | None = None,
    seed: int = 0,
    first_draw: int = 0,
) -> Designs:
    """Design beams by every scheme for every draw and weight, certify them and compute their bounds.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn; without draws, one with the scenario's own values and zero phases.
    schemes
        Name or names out of `SCHEMES` and `FACTOR_SCHEMES`; with `custom`, also ``custom``, which otherwise comes last.
    rho
        Weight of BP, one number or a list, in [0, 1].
    gap_tolerance
        Certified relative gap to reach, 1.
    wbf_factor
        Factor of V that fdb-wbf mixes: see `beamforming.factors`.
    custom
        One's own covariance V = W W^H, evaluated beside the schemes as scheme ``custom``; (M_T, M_T) or
        (rho, M_T, M_T), scaled to full power. Its gap says how far it is from the best design.
    seed, first_draw
        Random factors are a function of the seed and a draw's index, which for the first of the draws is `first_draw`.

    Returns
    -------
    Designs
        A draw's values do not depend on the batch, the other schemes, power or noise (but as bounds do), and on the
        other weights only within the tolerance.

    Raises
    ------
    DesignError
        For an unknown scheme, a weight outside [0, 1], a seed or a draw below 0 or above 2^63 - 1, too few slots, or
        beams that do not fit.
    ScenarioError
        If the draws are not of this scenario.
    """
    names = names_of(schemes)
    if custom is not None and CUSTOM not in names:
        names = (*names, CUSTOM)
    names, weights = checked_request(names, rho, gap_tolerance, wbf_factor, custom is not None)
    check_slots(scenario, names, wbf_factor)
    address = checked_address(seed, first_draw)
    problem = build_problem(scenario, fixed_draw(scenario) if draws is None else draws)
    mixer = Mixer(problem, weights, gap_tolerance, address)
    parts = _all_schemes(mixer, names, weights, gap_tolerance, wbf_factor, custom)
    return with_bounds(problem, names, weights, parts, gap_tolerance)


def _all_schemes(
    mixer: Mixer,
    names: tuple[str, ...],
    rho: NDArray[np.float64],
    tolerance: float,
    wbf_factor: WbfFactor,
    custom: ArrayLike | None,
) -> list[Part]:
    problem, parts = mixer.problem, []
    for name in names:
        if name == "apa":
            parts.append(_apa(problem, rho))
        elif name == CUSTOM:
            assert custom is not None
            parts.append(_custom(problem, custom, rho))
        elif name.endswith("wcrb"):
            parts.append(_optimum(problem, name[:3], rho, tolerance, mixer))
        else:
            parts.append(_mixed(mixer.mix(name, wbf_factor)))
    return parts


def _optimum(problem: Problem, family: str, rho: NDArray[np.float64], tolerance: float, mixer: Mixer) -> Part:
    """The optimum at every weight; at rho = 1 and 0 the extremes that are mixed, so that mixes are formulas of it."""
    solve = weighted.solve_fdb if family == "fdb" else weighted.solve_cpa
    inside = np.unique(rho[(rho > 0.0) & (rho < 1.0)])
    grid, solution = inside, solve(problem, inside, tolerance) if inside.size > 0 else None
    if ((rho == 0.0) | (rho == 1.0)).any():
        ends = mixer.extremes(family).solution(problem)
        grid, solution = np.append(inside, (1.0, 0.0)), ends if solution is None else solution.joined(ends)
    assert solution is not None
    solution = solution.at([grid.tolist().index(weight) for weight in rho.tolist()])
    return Part(
        covariance=solution.covariance,
        gap=solution.gap,
        inherited=solution.gap <= tolerance,
        closed_form=False,
        powers=solution.powers,
        iterations=solution.iterations,
        solver=solution.solver,
    )


def _mixed(mix: Mix) -> Part:
    return Part(
        covariance=mix.covariance,
        gap=mix.gap,
        inherited=mix.certified & (mix.error <= LARGEST_ERROR),
        closed_form=True,
        factor=mix.factor,
        powers=mix.powers,
        mix_error=mix.error,
    )


def _apa(problem: Problem, rho: NDArray[np.float64]) -> Part:
    powers = np.repeat(problem.apa[:, None], rho.size, axis=1)
    shape = powers.shape[:2]
    return Part(
        covariance=problem.covariance_of_powers(powers),
        gap=np.full(shape, np.nan),
        inherited=np.ones(shape, np.bool_),
        closed_form=True,
        powers=powers,
    )


def _custom(problem: Problem, beams: ArrayLike, rho: NDArray[np.float64]) -> Part:
    x = custom_covariances(problem, beams, rho.size)
    bounded = (problem.bistatic.identifiable[:, None] | (rho == 0.0)) & (
        problem.monostatic.identifiable[:, None] | (rho == 1.0)
    )
    gap = cleaning.certified_covariances(problem.arrays, rho, x, cleaning.NO_POINTS, 0, bounded, False, 0.0, 0.0)
    return Part(
        covariance=x,
        gap=gap,
        inherited=np.ones(gap.shape, np.bool_),
        closed_form=True,
    )


def with_bounds(
    problem: Problem,
    names: tuple[str, ...],
    rho: NDArray[np.float64],
    parts: list[Part],
    tolerance: float,
) -> Designs:
    """Bounds, ranks and statuses of every scheme's designs."""
    x = np.stack([part.covariance for part in parts], axis=1)
    batch, schemes, weights, n, _ = x.shape
    shape = (batch, schemes, weights)
    flat = x.reshape(batch, schemes * weights, n, n)
    rank = bounds.ranks_of(flat, weighted.CLEANING).reshape(shape)
    bp_rows, ms_rows = problem.bounds(flat)
    bp = bistatic_from_diagonal(bp_rows.reshape(*shape, -1))
    ms = monostatic_from_diagonal(ms_rows.reshape(*shape, -1))
    bp_ok = problem.bistatic.identifiable[:, None, None]
    ms_ok = problem.monostatic.identifiable[:, None, None]
    # Where no design exists, a link that could have been identified has no bound to speak of.
    absent = rank < 0
    crb_bp = np.where(absent & bp_ok, np.nan, bp.position)
    crb_ms = np.where(absent & ms_ok, np.nan, ms.position)
    objective = weighted_sum(rho, crb_bp) + weighted_sum(1.0 - rho, crb_ms)
    lost = ((rho > 0.0) & ~bp_ok) | ((rho < 1.0) & ~ms_ok)
    objective = np.where(lost, np.inf, objective)
    # A gap below the tolerance says nothing where rounding is above it.
    blurred = (rho > 0.0) & (problem.bistatic.rounding[:, None, None] > tolerance)
    blurred = blurred | ((rho < 1.0) & (problem.monostatic.rounding[:, None, None] > tolerance))
    status = np.stack([np.where(part.inherited, _good(part), Status.UNCERTIFIED) for part in parts], axis=1)
    status = np.where(blurred, Status.UNCERTIFIED, status)
    # Beams that were not optimised may miss what a draw needs: an infinite bound, and nothing that failed.
    missed = np.isposinf(objective) & np.array([part.closed_form for part in parts])[:, None]
    status = np.where(np.isfinite(objective) | missed, status, Status.FAILED)
    status = np.where(lost, Status.UNIDENTIFIABLE, status)
    gap = np.stack([part.gap for part in parts], axis=1)
    endless = np.isposinf(objective) & np.array([name == CUSTOM for name in names])[:, None]
    nothing = np.full((batch, weights), -1, np.int64)
    flat_powers = np.zeros((batch, weights, n))
    return Designs(
        problem=problem,
        schemes=names,
        rho=rho,
        covariance=np.where(absent[..., None, None], np.nan, x),
        factor=np.where(absent[..., None, None], np.nan, _stacked_factors(parts, x[:, 0])),
        powers=np.where(absent[..., None], np.nan, np.stack([_or_nan(p.powers, flat_powers) for p in parts], 1)),
        crb_bp=crb_bp,
        crb_ms=crb_ms,
        objective=objective,
        crb_orientation=np.where(absent & bp_ok, np.nan, bp.orientation),
        crb_clock=np.where(absent & bp_ok, np.nan, bp.clock),
        crb_map=np.where((absent & bp_ok)[..., None], np.nan, bp.targets),
        crb_ms_target=np.where((absent & ms_ok)[..., None], np.nan, ms.targets),
        gap=np.where(endless & ~np.isnan(gap), np.inf, gap),
        status=status.astype(np.int64),
        solver=np.stack([np.full_like(nothing, Solver.NONE) if p.solver is None else p.solver for p in parts], axis=1),
        iterations=np.stack([nothing if p.iterations is None else p.iterations for p in parts], axis=1),
        rank=rank,
        mix_error=np.stack([_or_nan(p.mix_error, np.zeros((batch, weights))) for p in parts], axis=1),
    )


def _stacked_factors(parts: list[Part], like: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Factors (draw, scheme, rho, n, C) of all schemes, with columns of zeros up to the widest; NaN for none."""
    width = max(like.shape[-1], *(part.factor.shape[-1] for part in parts if part.factor is not None), 0)
    none = np.full((*like.shape[:-1], width), np.nan, np.complex128)
    return np.stack([none if part.factor is None else widened(part.factor, width) for part in parts], axis=1)


def widened(factor: NDArray[np.complex128], width: int) -> NDArray[np.complex128]:
    """The same factor with columns of zeros up to a width."""
    out = np.zeros((*factor.shape[:-1], width), np.complex128)
    out[..., : factor.shape[-1]] = factor
    return out


def _or_nan(values: NDArray[Any] | None, like: NDArray[Any]) -> NDArray[Any]:
    """The values, or NaN in their place where a scheme has none."""
    return np.full_like(like, np.nan) if values is None else values


def weighted_sum(weight: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight * bound, and 0 (not infinity times 0) where the weight is zero."""
    shape = np.broadcast_shapes(weight.shape, bound.shape)
    return np.multiply(weight, bound, out=np.zeros(shape), where=weight > 0.0)


def _good(part: Part) -> Status:
    return Status.CLOSED_FORM if part.closed_form else Status.CERTIFIED
