"""One design for all draws: what a BS can do that does not know the draw.

"nominal" designs for the scenario's own geometry and zero phases; "average" for the mean over training draws (see
`beamforming.mean`). Powers are allocated on the codebook of the scenario's own geometry in both.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import Wholes
from ..draws import Draws
from ..errors import DesignError
from ..kernels.bound import designbounds
from ..kernels.model import bases
from ..scenario import Scenario
from .factors import checked_address
from .mean import MeanProblem
from .meanschemes import MeanRequest
from .scheme import Scheme, WbfFactor
from .schemes import METHODS, checked_request, design
from .shared import SharedDesigns
from .weighted import CLEANING


def nominal_designs(
    scenario: Scenario,
    schemes: str | Sequence[str],
    rho: ArrayLike,
    *,
    gap_tolerance: float = 1e-6,
    wbf_factor: WbfFactor = "sqrt",
    seed: int = 0,
) -> SharedDesigns:
    """Design for the scenario's own geometry, RCS and zero phases.

    Parameters
    ----------
    scenario, schemes, rho, gap_tolerance, wbf_factor, seed
        As for `design`, of whose draws this is the first.

    Returns
    -------
    SharedDesigns
        To be evaluated on any draws by `evaluate_shared`.

    Raises
    ------
    DesignError
        As `design` does.
    """
    found = design(scenario, None, schemes, rho, gap_tolerance=gap_tolerance, wbf_factor=wbf_factor, seed=seed)
    x = np.nan_to_num(found.covariance)
    flat = x.reshape(1, -1, *x.shape[3:])
    v = found.problem.expand(flat).reshape(*x.shape[1:3], scenario.tx_antennas, -1)
    return SharedDesigns(
        found.schemes,
        found.rho,
        v,
        found.gap[0],
        found.status[0],
        found.rank[0],
        found.iterations[0],
        found.solver[0],
        found.mix_error[0],
        1,
    )


def average_designs(
    scenario: Scenario,
    training: Draws,
    schemes: str | Sequence[str],
    rho: ArrayLike,
    *,
    gap_tolerance: float = 1e-6,
    wbf_factor: WbfFactor = "sqrt",
    seed: int = 0,
) -> SharedDesigns:
    """Design for the mean over training draws of f_s(V) / f_s(APA_s), certified like any other design.

    The mean is convex and of degree -1, so that F* >= F(V)^2 / (P_m lambda_max(-grad F(V))) holds as for one draw.

    Parameters
    ----------
    scenario, schemes, rho, gap_tolerance, wbf_factor, seed
        As for `design`, of whose draws this is the first.
    training
        The draws; those with an unidentifiable link of non-zero weight are left out at that weight.

    Returns
    -------
    SharedDesigns
        To be evaluated on other draws by `evaluate_shared`. A gap above the tolerance makes the status uncertified.

    Raises
    ------
    DesignError
        As `design` does; where positions differ between draws and M_T is above `LARGEST_MOVING`; where the best V has
        a higher rank than there are slots, or WBF would need more of them.
    """
    names, weights = checked_request(schemes, rho, gap_tolerance, wbf_factor)
    seed, _ = checked_address(seed)
    mean = MeanProblem.of(scenario, training, np.union1d(weights, (0.0, 1.0)))
    request, parts = MeanRequest(mean, weights, gap_tolerance, seed), []
    for name in names:
        scheme = Scheme.parse(name, wbf_factor)
        of_mean = METHODS[scheme.method].of_mean
        if of_mean is None:
            raise DesignError(f"{name} has no average design; leave it out")
        parts.append(of_mean(request, scheme))
    y = np.stack([part.y for part in parts])
    rank = designbounds.ranks_of(y, CLEANING)
    _check_ranks(names, rank, scenario.slots)
    flat = bases.expand(mean.basis[None], y.reshape(1, -1, *y.shape[2:]), scenario.power_per_subcarrier_w)
    return SharedDesigns(
        names,
        weights,
        flat.reshape(*y.shape[:2], *flat.shape[2:]),
        np.stack([part.gap for part in parts]),
        np.stack([part.status for part in parts]),
        rank,
        np.stack([part.iterations for part in parts]),
        np.stack([part.solver for part in parts]),
        np.full((len(names), weights.size), np.nan),
        int((mean.weights > 0.0).all(axis=0).sum()),
    )


def _check_ranks(names: Sequence[str], rank: Wholes, slots: int) -> None:
    for name, highest in zip(names, rank.max(axis=1).tolist(), strict=True):
        if highest > slots:
            raise DesignError(
                f"{name}: the average design has rank {highest}, but there are only {slots} slots; "
                f"use slots >= {highest}"
            )
