"""Beamformers W with V = W W^H from a covariance, and what is lost when there are fewer slots than its rank."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..crb import SMALLEST_EIGENVALUE
from ..kernels import bounds
from ..kernels.mismatch import eigen_factor
from .problem import Problem

Recovery = Literal["eigen", "randomization"]
TRIALS = 100
_PURPOSE = 0x7EC0  # keeps the trials' random numbers apart from the draws'


@dataclass(frozen=True)
class Recovered:
    """A beamformer on the reduced basis and its loss.

    Attributes
    ----------
    factor
        W / sqrt(P_m) on the basis, (n, L).
    loss
        f(W W^H) / f(V) - 1.
    """

    factor: NDArray[np.complex128]
    loss: float


def eigen_beamformer(problem: Problem, draw: int, x: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Eigenvectors times root eigenvalues of a reduced covariance, descending, (n, n).

    The phase of each beam is such that the first antenna's entry is real and positive.
    """
    n = int(problem.rank[draw])
    out = np.zeros_like(x)
    out[:n, :n] = eigen_factor(np.ascontiguousarray(x), n, problem.basis[draw, 0])
    return out


def objective_at(
    problem: Problem, draw: int, x: NDArray[np.complex128], rho: float
) -> NDArray[np.float64]:
    """Weighted CRB of reduced covariances (design, n, n) of one draw, (design,), m2."""
    coordinates = bounds.covariance_coordinates(
        np.ascontiguousarray(x[None]), problem.mix[draw : draw + 1], problem.rank[draw : draw + 1]
    )
    total = np.zeros(x.shape[0])
    one = slice(draw, draw + 1)
    for weight, link in ((rho, problem.bistatic), (1.0 - rho, problem.monostatic)):
        if weight > 0.0:
            rows = bounds.design_bounds(
                link.covariance_map[one],
                link.factor[one],
                link.smallest_eigenvalue[one],
                link.identifiable[one],
                coordinates,
                link.bound_rows,
                SMALLEST_EIGENVALUE,
            )
            for r in range(link.bound_rows):
                total += weight * rows[0, :, r]
    return total


def recover(
    problem: Problem,
    draw: int,
    x: NDArray[np.complex128],
    rho: float,
    slots: int,
    method: Recovery = "eigen",
    seed: tuple[int, ...] = (0,),
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
        of them, the L strongest among the candidates.
    seed
        What the random mixtures are a function of.

    Returns
    -------
    Recovered
        With loss 0 where the rank of V is at most L.
    """
    full = eigen_beamformer(problem, draw, x)
    rank = int(np.count_nonzero(np.abs(full).max(axis=0) > 0.0))
    candidates = [full[:, :slots]]
    if rank > slots and method == "randomization":
        generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((*seed, _PURPOSE))))
        for _ in range(TRIALS):
            normal = generator.standard_normal((2, rank, slots))
            candidates.append(full[:, :rank] @ (normal[0] + 1j * normal[1]))
    candidates = [w / np.linalg.norm(w) for w in candidates]
    if rank <= slots:
        return Recovered(candidates[0], 0.0)
    values = objective_at(problem, draw, np.stack([w @ w.conj().T for w in candidates]), rho)
    best = int(np.argmin(values))
    return Recovered(candidates[best], float(values[best] / objective_at(problem, draw, x[None], rho)[0] - 1.0))
