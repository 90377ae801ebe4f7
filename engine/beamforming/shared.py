"""One design for all draws, and what it gives in each of them."""

from dataclasses import dataclass, replace

import numpy as np

from ..arguments import positive
from ..arrays import Complexes, Reals, Wholes
from ..draws import Draws
from ..errors import DesignError
from ..scenario import Scenario
from ..status import Status
from .designs import Designs
from .evaluation import Part, with_bounds
from .problem import build_problem


@dataclass(frozen=True)
class SharedDesigns:
    """One design for all draws, axes (scheme, rho).

    Attributes
    ----------
    schemes, rho
        The axes.
    covariance
        V, (scheme, rho, M_T, M_T), W; 0 where no design exists.
    gap
        Certified relative gap of the problem that the design solves, the nominal or the average one; NaN where the
        scheme optimises nothing.
    status, rank, iterations, solver, mix_error
        As in `Designs`; the error of a mix is not known (NaN) for the average of training draws.
    training
        How many training draws count: those that are identifiable; 1 for nominal designs.
    """

    schemes: tuple[str, ...]
    rho: Reals
    covariance: Complexes
    gap: Reals
    status: Wholes
    rank: Wholes
    iterations: Wholes
    solver: Wholes
    mix_error: Reals
    training: int


def evaluate_shared(scenario: Scenario, draws: Draws, shared: SharedDesigns, *, gap_tolerance: float = 1e-6) -> Designs:
    """Bounds of shared designs on every draw.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn.
    shared
        From `nominal_designs` or `average_designs`.
    gap_tolerance
        As for `design`.

    Returns
    -------
    Designs
        `gap`, `rank`, `iterations` and `solver` are those of the shared design; `covariance` is the part of V that the
        links of the draw see.

    Raises
    ------
    DesignError
        If the designs are for another number of antennas, or the tolerance is not positive.
    ScenarioError
        If the draws are not of this scenario.
    """
    positive("gap_tolerance", gap_tolerance, DesignError)
    if shared.covariance.shape[-1] != scenario.tx_antennas:
        raise DesignError(
            f"the designs are for {shared.covariance.shape[-1]} transmit antennas, the scenario has "
            f"{scenario.tx_antennas}; design for this scenario"
        )
    problem = build_problem(scenario, draws)
    batch = len(draws)
    parts = []
    for s in range(len(shared.schemes)):
        good = np.isin(shared.status[s], (Status.CERTIFIED, Status.CLOSED_FORM))
        parts.append(
            Part(
                covariance=problem.reduce_shared(shared.covariance[s], problem.power),
                gap=np.tile(shared.gap[s], (batch, 1)),
                inherited=np.tile(good, (batch, 1)),
                closed_form=bool((shared.status[s] == Status.CLOSED_FORM).any()),
                iterations=np.tile(shared.iterations[s], (batch, 1)),
                solver=np.tile(shared.solver[s], (batch, 1)),
                mix_error=np.tile(shared.mix_error[s], (batch, 1)),
            )
        )
    found = with_bounds(problem, shared.schemes, shared.rho, parts, gap_tolerance)
    # Beams made for others may miss what a draw needs: an infinite bound, and nothing that failed.
    missed = (found.status == Status.FAILED) & np.isposinf(found.objective)
    status = np.where(missed, np.broadcast_to(shared.status, found.status.shape), found.status)
    return replace(found, status=status, rank=np.broadcast_to(shared.rank, found.rank.shape).copy())
