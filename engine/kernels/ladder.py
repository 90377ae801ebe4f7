"""Certified designs for a batch of draws and weights: L-BFGS, then the barrier method where its gap stays open.

A design is kept as a Hermitian x of unit trace on the orthonormal basis of span(B), V = P_m Q x Q^H, or as
codeword powers of unit sum. It is cleaned before its certificate is computed.
"""

import math

import numpy as np

from ..accelerate import kernel
from .barrier import barrier_covariance, barrier_powers
from .certificate import clean_powers, count_above, covariance_gap, leading_covariance, power_gap
from .descent import descend
from .objective import bounded, link_of, work_space
from .smallmat import eigen_hermitian, hermitian_cholesky

LBFGS = 1
BARRIER = 2
_MAX_EVALUATIONS = 200
# A design has to be better than asked for before it is cleaned, since cleaning moves it a little.
_MARGIN = 0.5
# Directions that an optimum leaves empty keep a trace of power; the lowest rank that stays certified is taken.
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
def _start_factor(start, mix, rank):
    """Square factor of the start, as real and imaginary parts; of the identity if it is not positive."""
    lower = start.copy()
    z = np.zeros((2, rank, rank))
    if hermitian_cholesky(lower, rank):
        for i in range(rank):
            for j in range(i + 1):
                z[0, i, j] = lower[i, j].real
                z[1, i, j] = lower[i, j].imag
    else:
        for i in range(rank):
            z[0, i, i] = 1.0 / math.sqrt(rank)
    return z


@kernel
def solve_covariances(
    bistatic,
    monostatic,
    mix,
    rank,
    rho,
    start,
    tolerance,
    threshold,
):
    """Minimise the weighted CRB over covariances for every draw and weight.

    bistatic and monostatic are (maps, factors, bound_rows, identifiable) of all draws; start is
    (batch, rho, column, column). Returns x like start, and gap, iterations and solver (batch, rho); a
    weight whose links are not identifiable keeps gap NaN and solver 0.
    """
    batch, weights = start.shape[:2]
    x = np.zeros_like(start)
    gap = np.full((batch, weights), np.nan)
    iterations = np.full((batch, weights), -1, np.int64)
    solver = np.zeros((batch, weights), np.int64)
    for b in range(batch):
        n = rank[b]
        bp = link_of(bistatic, b)
        ms = link_of(monostatic, b)
        work = work_space(bp, ms)
        for w in range(weights):
            if not bounded(bistatic, monostatic, rho[w], b):
                continue
            z = _start_factor(start[b, w, :n, :n].copy(), mix[b], n)
            raw, _, count = descend(bp, ms, rho[w], z, mix[b], n, _MARGIN * tolerance, _MAX_EVALUATIONS, work)
            best, best_gap = _cleaned(bp, ms, rho[w], raw, mix[b], n, tolerance, threshold, work)
            solver[b, w] = LBFGS
            if not best_gap <= tolerance:
                raw, _, extra = barrier_covariance(bp, ms, rho[w], mix[b], n, _MARGIN * tolerance, work)
                other, other_gap = _cleaned(bp, ms, rho[w], raw, mix[b], n, tolerance, threshold, work)
                count += extra
                if not best_gap <= other_gap:
                    best, best_gap = other, other_gap
                    solver[b, w] = BARRIER
            x[b, w, :n, :n] = best
            gap[b, w] = best_gap
            iterations[b, w] = count
    return x, gap, iterations, solver


@kernel
def solve_powers(
    bistatic,
    monostatic,
    rho,
    start,
    tolerance,
    threshold,
):
    """Minimise the weighted CRB over codeword powers; like `solve_covariances` with start (batch, rho, codeword).

    Codewords whose starting power is 0 do not exist (a single antenna has no derivative beam).
    """
    batch, weights, count = start.shape
    no_mix = np.zeros((count, count))
    powers = np.zeros_like(start)
    gap = np.full((batch, weights), np.nan)
    iterations = np.full((batch, weights), -1, np.int64)
    solver = np.zeros((batch, weights), np.int64)
    for b in range(batch):
        bp = link_of(bistatic, b)
        ms = link_of(monostatic, b)
        work = work_space(bp, ms)
        for w in range(weights):
            if not bounded(bistatic, monostatic, rho[w], b):
                continue
            z = np.sqrt(start[b, w]).reshape(1, 1, count)
            raw, _, evaluations = descend(bp, ms, rho[w], z, no_mix, 0, _MARGIN * tolerance, _MAX_EVALUATIONS, work)
            best = clean_powers(np.diag(raw.real), threshold)
            _, best_gap = power_gap(bp, ms, rho[w], best, work)
            solver[b, w] = LBFGS
            if not best_gap <= tolerance:
                raw_powers, _, extra = barrier_powers(bp, ms, rho[w], start[b, w], _MARGIN * tolerance, work)
                other = clean_powers(raw_powers, threshold)
                _, other_gap = power_gap(bp, ms, rho[w], other, work)
                evaluations += extra
                if not best_gap <= other_gap:
                    best, best_gap = other, other_gap
                    solver[b, w] = BARRIER
            powers[b, w] = best
            gap[b, w] = best_gap
            iterations[b, w] = evaluations
    return powers, gap, iterations, solver
