"""All schemes over a batch of draws and a grid of weights: designs, certificates and bounds.

This is what a job's chunk calls, and what a user calls for a single scenario.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import names_of, one_of, positive, weights_in
from ..arrays import Reals
from ..draws import Draws, fixed_draw
from ..errors import DesignError
from ..kernels.designs import cleaning
from ..scenario import Scenario
from . import meanschemes, weighted
from .custom import custom_covariances
from .designs import Designs
from .evaluation import Part, with_bounds
from .factors import checked_address
from .mixes import Mixer
from .problem import build_problem
from .scheme import CUSTOM, FACTOR_SCHEMES, SCHEMES, Scheme, WbfFactor


def check_slots(scenario: Scenario, schemes: str | Sequence[str], wbf_factor: WbfFactor = "sqrt") -> None:
    """Refuse schemes whose beamformer has more columns than there are slots.

    Raises
    ------
    DesignError
        Naming the scheme, its columns and the slots.
    """
    for name in names_of(schemes):
        scheme = Scheme.parse(name, wbf_factor)
        method = METHODS.get(scheme.method)
        needed = method.columns(scenario) if method and not scheme.randomized else 0  # which has L columns
        if needed > scenario.slots:
            raise DesignError(
                f"{name} mixes beamformers of {needed} columns, but there are only "
                f"{scenario.slots} slots; use slots >= {needed} or leave the scheme out"
            )


def checked_request(
    schemes: str | Sequence[str], rho: ArrayLike, gap_tolerance: float, wbf_factor: WbfFactor, custom: bool = False
) -> tuple[tuple[str, ...], Reals]:
    """Names and weights that `design` is asked for.

    Raises DesignError as `design` does.
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
    asked = [Scheme.parse(name, wbf_factor) for name in names]
    parts = [METHODS[scheme.method].of_draws(Request(mixer, custom), scheme) for scheme in asked]
    return with_bounds(problem, names, weights, parts, gap_tolerance)


@dataclass(frozen=True)
class Request:
    """What schemes are asked for: draws and weights, whose extremes a mixer has; and one's own beams."""

    mixer: Mixer
    custom: ArrayLike | None


def _optimum(request: Request, scheme: Scheme) -> Part:
    """The optimum at every weight; at rho = 1 and 0 the extremes that are mixed, so that mixes are formulas of it."""
    mixer = request.mixer
    problem, rho, tolerance = mixer.problem, mixer.rho, mixer.tolerance
    solve = weighted.solve_fdb if scheme.family == "fdb" else weighted.solve_cpa
    inside = np.unique(rho[(rho > 0.0) & (rho < 1.0)])
    grid, solution = inside, solve(problem, inside, tolerance) if inside.size > 0 else None
    if ((rho == 0.0) | (rho == 1.0)).any():
        ends = mixer.extremes(scheme.family).solution(problem)
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


def _factors(request: Request, scheme: Scheme) -> Part:
    assert scheme.factor is not None
    return request.mixer.factors(scheme.factor)


def _apa(request: Request, _: Scheme) -> Part:
    problem = request.mixer.problem
    powers = np.repeat(problem.apa[:, None], request.mixer.rho.size, axis=1)
    shape = powers.shape[:2]
    return Part(
        covariance=problem.covariance_of_powers(powers),
        gap=np.full(shape, np.nan),
        inherited=np.ones(shape, np.bool_),
        closed_form=True,
        powers=powers,
    )


def _custom(request: Request, _: Scheme) -> Part:
    assert request.custom is not None
    problem, rho = request.mixer.problem, request.mixer.rho
    x = custom_covariances(problem, request.custom, rho.size)
    gap = cleaning.certified_covariances(
        problem.arrays, rho, x, cleaning.NO_POINTS, 0, problem.exists(rho), False, 0.0, 0.0
    )
    return Part(covariance=x, gap=gap, inherited=np.ones(gap.shape, np.bool_), closed_form=True)


def _codewords(scenario: Scenario) -> int:
    return scenario.dimensions * (scenario.targets + 1)


def _span(scenario: Scenario) -> int:
    return min(scenario.tx_antennas, _codewords(scenario))


@dataclass(frozen=True)
class Method:
    """How the schemes of one family and rule are made.

    Attributes
    ----------
    of_draws
        For each draw on its own.
    of_mean
        For the mean over training draws; None where there is no such thing.
    columns
        Of the beamformer that the scheme defines itself, but by Gaussian randomisation; 0 where it defines none.
    """

    of_draws: Callable[[Request, Scheme], Part]
    of_mean: Callable[[meanschemes.MeanRequest, Scheme], meanschemes.MeanPart] | None
    columns: Callable[[Scenario], int] = lambda _: 0


# A new scheme is a name in `scheme`, a line here and the function that makes it.
METHODS: Mapping[str, Method] = {
    "fdb-wcrb": Method(_optimum, meanschemes.optimum),
    "fdb-wbf": Method(_factors, meanschemes.factors, _span),
    "fdb-wvm": Method(lambda request, _: request.mixer.covariances(), meanschemes.covariances),
    "cpa-wcrb": Method(_optimum, meanschemes.optimum),
    "cpa-wbf": Method(lambda request, _: request.mixer.powers(roots=True), meanschemes.roots, _codewords),
    "cpa-wvm": Method(lambda request, _: request.mixer.powers(roots=False), meanschemes.covariances),
    "apa": Method(_apa, meanschemes.equal_powers),
    CUSTOM: Method(_custom, None),
}
