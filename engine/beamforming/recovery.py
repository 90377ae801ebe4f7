"""Beamformers W with V = W W^H from a covariance, and what is lost when there are fewer slots than its rank."""

import zlib
from typing import Literal, NamedTuple

import numpy as np

from ..addresses import Purpose
from ..arguments import one_of, within
from ..arrays import Complexes, Reals, summed
from ..errors import DesignError
from ..kernels.designs import randomization
from ..kernels.designs.mismatch import eigen_factor
from .designs import Designs
from .evaluation import widened
from .factors import TRIALS, best_of, gaussians, objective_at
from .problem import Problem

Recovery = Literal["eigen", "randomization"]


class Recovered(NamedTuple):
    """A beamformer W / sqrt(P_m) on the basis, (n, L), and f(W W^H) / f(V) - 1; NaN where f(V) is infinite."""

    factor: Complexes
    loss: float


def eigen_beamformer(problem: Problem, draw: int, x: Complexes) -> Complexes:
    """Eigenvectors times root eigenvalues of a reduced covariance, descending, (n, n).

    The phase of each beam is such that the first antenna's entry is real and positive.
    """
    n = int(problem.rank[draw])
    out = np.zeros_like(x)
    out[:n, :n] = eigen_factor(np.ascontiguousarray(x), n, problem.basis[draw, 0])
    return out


def recover(
    problem: Problem,
    draw: int,
    x: Complexes,
    rho: float,
    slots: int,
    method: Recovery = "eigen",
    address: tuple[int, int, int] = (0, 0, 0),
) -> Recovered:
    """W with at most `slots` columns for a reduced covariance, at full power.

    Parameters
    ----------
    problem, draw
        Which draw of which batch.
    x
        Reduced covariance of unit trace, (n, n).
    rho
        Weight of BP, at which the loss is counted.
    slots
        L.
    method
        ``"eigen"``: the L strongest eigenbeams. ``"randomization"``: the best of 100 Gaussian mixtures of all
        of them, whose W W^H is V in the mean, and of the L strongest.
    address
        Seed, draw index and a place in it, which random mixtures are a function of.

    Returns
    -------
    Recovered
        With loss 0 where the rank of V is at most L.

    Raises
    ------
    DesignError
        If there is no such method, or slots is no whole number from 1 on.
    """
    _check_recovery(method, slots)
    full = eigen_beamformer(problem, draw, x)
    rank = int(np.count_nonzero(np.abs(full).max(axis=0) > 0.0))
    if rank <= slots:
        return Recovered(_at_full_power(full[:, :slots]), 0.0)
    factors = full[None, :, :slots]
    if method == "randomization":
        random = gaussians(rank, slots, TRIALS, *address, Purpose.RECOVERY_CANDIDATE)
        root = np.ascontiguousarray(full[:, :rank])
        factors = np.concatenate((factors, randomization.products_of(root, random)))
    best, value = best_of(problem, draw, np.ascontiguousarray(factors), rho)
    wanted = float(objective_at(problem, draw, x[None], rho)[0])
    # Where V bounds nothing there is nothing to lose.
    return Recovered(_at_full_power(factors[best]), value / wanted - 1.0 if np.isfinite(wanted) else np.nan)


def _at_full_power(factor: Complexes) -> Complexes:
    """A factor at full power."""
    unit: Complexes = factor / np.sqrt(summed((factor.real**2 + factor.imag**2).ravel()))
    return unit


def recover_all(designs: Designs, slots: int, method: Recovery, seed: int, first_draw: int) -> tuple[Complexes, Reals]:
    """Beamformers of every design, and what each recovery loses.

    `designs`: a batch; a scheme that defines W itself (fdb-wbf, cpa-wbf) keeps it, without loss. `slots`: L. `method`:
    as for `recover`. `seed`, `first_draw`: random mixtures are a function of (seed, draw index, scheme, weight).
    Result: W / sqrt(P_m) on the basis, (draw, scheme, rho, n, L), and the loss, (draw, scheme, rho); both NaN where no
    design exists. Raises DesignError as `recover` does.
    """
    _check_recovery(method, slots)
    shape = designs.rank.shape
    count = designs.covariance.shape[-1]
    beams = np.full((*shape, count, slots), np.nan, np.complex128)
    loss = np.full(shape, np.nan)
    for d, s, r in np.argwhere(designs.rank > 0):
        factor, lost = designs.factor[d, s, r], 0.0
        if not np.isfinite(factor).all():
            x, rho = designs.covariance[d, s, r], float(designs.rho[r])
            place = _word(designs.schemes[s]) << 32 | _word(repr(rho))
            factor, lost = recover(designs.problem, int(d), x, rho, slots, method, (seed, first_draw + int(d), place))
        beams[d, s, r], loss[d, s, r] = widened(factor[:, :slots], slots), lost
    return beams, loss


def recovery_losses(designs: Designs, slots: int, method: Recovery, seed: int, first_draw: int) -> Reals:
    """The losses of `recover_all` alone; nothing has to be recovered while every rank fits the slots."""
    _check_recovery(method, slots)
    if designs.rank.max(initial=0) <= slots:
        return np.where(designs.rank > 0, 0.0, np.nan)
    return recover_all(designs, slots, method, seed, first_draw)[1]


def _check_recovery(method: Recovery, slots: int) -> None:
    one_of("method", method, Recovery, DesignError)
    within("slots", slots, 1, 2**20, DesignError)


def _word(text: str) -> int:
    """A number that stands for a name in a random address: neighbours on an axis do not matter."""
    return zlib.crc32(text.encode())
