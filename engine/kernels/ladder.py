"""Second rung: the barrier method on the dense maps of one draw, its point cleaned and certified by them."""

import numpy as np

from ..accelerate import kernel
from .barrier import barrier_covariance, barrier_powers
from .certificate import count_above, covariance_gap, leading_covariance, power_gap
from .cleaning import clean_powers
from .objective import work_space
from .smallmat import eigen_hermitian

# A design has to be better than asked for before it is cleaned, since cleaning moves it a little.
_MARGIN = 0.5
_RANK_CUTS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


@kernel
def _cleaned(bp, ms, rho, x, mix, rank, tolerance, threshold, work):
    """The cleaned x of lowest rank that keeps the certificate, and its gap."""
    values, vectors = eigen_hermitian(x, rank)
    tried = 0
    for cut in _RANK_CUTS:
        kept = count_above(values, cut)
        if kept == tried:
            continue
        tried = kept
        slim = leading_covariance(values, vectors, kept)
        _, gap = covariance_gap(bp, ms, rho, slim, mix, rank, work)
        if gap <= tolerance:
            return slim, gap
    kept = count_above(values, threshold)
    slim = leading_covariance(values, vectors, kept)
    _, gap = covariance_gap(bp, ms, rho, slim, mix, rank, work)
    return slim, gap


@kernel
def design_covariance(bp, ms, rho, mix, rank, tolerance, threshold):
    """Reduced covariance (n, n) of unit trace of one draw, its certified gap, and the Newton steps it took.

    bp and ms are (map, factor, bound_rows) of `reduced.dense_link`.
    """
    work = work_space(bp, ms)
    raw, _, steps = barrier_covariance(bp, ms, rho, mix, rank, _MARGIN * tolerance, work)
    x = np.zeros(mix.shape, np.complex128)
    x[:rank, :rank], gap = _cleaned(bp, ms, rho, raw, mix, rank, tolerance, threshold, work)
    return x, gap, steps


@kernel
def design_powers(bp, ms, rho, start, tolerance, threshold):
    """Codeword powers (n,) of unit sum of one draw, their certified gap, and the Newton steps they took."""
    work = work_space(bp, ms)
    raw, _, steps = barrier_powers(bp, ms, rho, start, _MARGIN * tolerance, work)
    powers = clean_powers(raw, threshold)
    _, gap = power_gap(bp, ms, rho, powers, work)
    return powers, gap, steps
