"""The factor W of an extreme covariance V = W W^H that WBF mixes (16), which the paper leaves open.

W is only defined up to a unitary on its right, and a mix depends on it. A factor here is a root of the reduced
covariance times a matrix on its right:

- sqrt: the principal root; unique, with no phase rule;
- aligned (scheme fdb-wbf-aligned): the same, MS's rotated to be closest to BP's, the orthogonal Procrustes problem;
- eigen: eigenvectors times root eigenvalues, downwards, the first antenna's entry real and positive;
- svd: the same with a random phase for each column: singular vectors, whose phases a library leaves to chance;
- randomization: the best of Gaussian candidates, of which L columns make V in the mean only.
"""

import math
from collections.abc import Callable

import numpy as np

from ..addresses import Purpose, pairs_of_words
from ..arguments import within
from ..arrays import Complexes, Reals, Wholes, summed
from ..errors import DesignError
from ..kernels.designs import mismatch, randomization
from ..kernels.model.likelihood import normals
from .problem import Problem
from .scheme import ALIGNED

EIGENVECTORS = ("eigen", "svd")
TRIALS = 100
_TIE = 1e-6  # relative
_LARGEST = 2**63 - 1  # as of the seeds and indices of draws
Judge = Callable[[int, float, Complexes], int]
_EXTREMES = [1.0, 0.0]  # weights: BP, MS


def checked_address(seed: int, first_draw: int = 0) -> tuple[int, int]:
    """Seed and index of the first draw, of which random factors are a function.

    Raises DesignError if one is no whole number from 0 to 2^63 - 1.
    """
    return within("seed", seed, 0, _LARGEST, DesignError), within("first_draw", first_draw, 0, _LARGEST, DesignError)


def roots_of(x: Complexes, basis: Complexes, rank: Wholes, factor: str) -> Complexes:
    """Roots of reduced covariances (batch, ..., n, n), of which the factor is made by what `right_of` gives."""
    kind = mismatch.EIGEN if factor in EIGENVECTORS else mismatch.SQRT
    flat = np.ascontiguousarray(x).reshape(len(x), -1, *x.shape[-2:])
    return mismatch.factors_of(flat, basis, rank, kind).reshape(x.shape)  # type: ignore[no-any-return]


def gaussians(
    rows: int,
    columns: int,
    count: int,
    seed: int,
    draw: int,
    place: int = 0,
    purpose: Purpose = Purpose.FACTOR_CANDIDATE,
) -> Complexes:
    """Matrices G of Gaussian randomisation, (count, rows, L): the mean of G G^H is 1, and that of R G G^H R^H is V.

    `rows`, `columns`: columns of the root R of V, and L. `count`: how many, the first ones the same for every count.
    `seed`, `draw`, `place`, `purpose`: what they are a function of: see `addresses.pairs_of_words`.
    """
    words = pairs_of_words(seed, purpose, draw, count * rows * columns, place)
    scaled: Complexes = normals(words).reshape(count, rows, columns) / math.sqrt(columns)
    return scaled


def best_of(problem: Problem, draw: int, factors: Complexes, rho: float) -> tuple[int, float]:
    """Which of the factors (count, n, L), at full power, has the smallest weighted CRB, and that, m2."""
    values = objective_at(problem, draw, randomization.unit_covariances(factors), rho)
    best = first_smallest(values)
    return best, float(values[best])


def first_smallest(values: Reals) -> int:
    """The first of those that tie for the smallest: all candidates of a covariance of rank 1 make the same V."""
    return int(np.argmax(values <= values.min() * (1.0 + _TIE)))


def objective_at(problem: Problem, draw: int, x: Complexes, rho: float) -> Reals:
    """Weighted CRB of reduced covariances (design, n, n) of one draw, (design,), m2."""
    links = problem.bistatic, problem.monostatic
    weighted = [
        weight * rows[0, :, : link.bound_rows]
        for weight, link, rows in zip((rho, 1.0 - rho), links, problem.draw(draw).bounds(x[None]), strict=True)
        if weight > 0.0
    ]
    return summed(np.concatenate(weighted, axis=1))


def right_of(roots: Complexes, factor: str, columns: int, judge: Judge, address: tuple[int, int]) -> Complexes | None:
    """What stands right of both extremes' roots, (batch, 2, n, C); None for nothing.

    `roots`: from `roots_of`, (batch, 2, n, n), BP's first. `factor`, `columns`: which factor, and L. `judge`: of a
    draw's place in the batch, a weight (1 for BP, 0 for MS) and factors (count, n, L), which one is the best.
    `address`: seed and index of the first draw: random numbers are a function of seed, draw, extreme, column or
    candidate.
    """
    if factor == "svd":
        return _random_phases(roots, *address)
    return _best_gaussians(roots, columns, judge, *address) if factor == "randomization" else None


def both_of(pair: Complexes) -> tuple[Complexes, Complexes]:
    """Both sides of a pair (batch, 2, ...), BP's first, each in the one layout that kernels are compiled for."""
    return np.ascontiguousarray(pair[:, 0]), np.ascontiguousarray(pair[:, 1])


def factor_pair(roots: Complexes, right: Complexes | None, factor: str, rank: Wholes) -> tuple[Complexes, Complexes]:
    """Factors of BP's and MS's extreme, (batch, n, C) each, from their roots and what stands right of them."""
    roots = np.ascontiguousarray(roots)
    w_bp, w_ms = both_of(roots if right is None else mismatch.unit_products(roots, right))
    return w_bp, mismatch.aligned_with(w_bp, w_ms, rank) if factor == ALIGNED else w_ms


def _random_phases(roots: Complexes, seed: int, first_draw: int) -> Complexes:
    batch, both, n, _ = roots.shape
    out = np.zeros((batch, both, n, n), np.complex128)
    for b, side in np.ndindex(batch, both):
        words = pairs_of_words(seed, Purpose.FACTOR_PHASE, first_draw + b, n, side)
        out[b, side][np.diag_indices(n)] = randomization.phases_of(words)
    return out


def _best_gaussians(roots: Complexes, columns: int, judge: Judge, seed: int, first_draw: int) -> Complexes:
    batch, both, n, _ = roots.shape
    out = np.zeros((batch, both, n, columns), np.complex128)
    for (b, side), rho in zip(np.ndindex(batch, both), _EXTREMES * batch, strict=True):
        found = gaussians(n, columns, TRIALS, seed, first_draw + b, side)
        factors = randomization.products_of(np.ascontiguousarray(roots[b, side]), found)
        out[b, side] = found[judge(b, rho, factors)]
    return out
