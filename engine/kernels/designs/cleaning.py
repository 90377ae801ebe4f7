"""From a solver's points to designs with a certificate (`bound.certificate`), eight side by side.

No solver is trusted: everything is computed from the cleaned design. Twins: test_cleaning, test_certificate.
"""

from typing import NamedTuple

import numpy as np

from ..bound.certificate import covariance_is_certified, gap_of_covariance, gap_of_powers
from ..bound.objective import covariance_objective, new_evaluation
from ..bound.powers import power_objective
from ..bound.problems import load_designs, load_items, load_points, unload_designs, wanted_items
from ..descent.polar import new_polar, polar_factor
from ..descent.preconditioner import shape_of
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, root, where_less
from ..linalg.eigen import eigen_hermitian_lanes, eigen_space
from ..linalg.lanemat import copy_where

# Directions that an optimum leaves empty keep a trace of power; the lowest rank that stays certified is taken.
_RANK_CUTS = (1e-4, 1e-7)
NO_POINTS = np.zeros((0, 0, 0))  # where covariances are given
_TARGET = 0.98  # of the tolerance: what the test of a cut admits may differ from the gap by rounding


class Beams(NamedTuple):
    """Covariances in lanes as sums of orthogonal beams, b_i b_i^H."""

    gram: np.ndarray  # Gram matrix of a factor's columns, then the beams' squared lengths on its diagonal: (2 c, c)
    rotation: np.ndarray  # that makes the columns of a factor orthogonal: (2 c, c)
    columns: np.ndarray  # the beams: (2 n, c)


@inlined
def new_beams(n, count):
    """Room for so many beams of n entries."""
    return Beams(lane_zeros(2 * count, count), lane_zeros(2 * count, count), lane_zeros(2 * n, count))


@unmanaged
def _from_factor(factor, beams):
    """Rotate the columns of a factor Z (2 * 2n * columns, 1, lane) until they are orthogonal: the beams of Z Z^H."""
    columns = beams.gram.shape[1]
    count = beams.columns.shape[0] // 2
    for c in range(columns):
        for e in range(c + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(count):
                a = get(factor, i * columns + c, 0)
                b = get(factor, (count + i) * columns + c, 0)
                p = get(factor, i * columns + e, 0)
                q = get(factor, (count + i) * columns + e, 0)
                x += a * p + b * q
                y += a * q - b * p
            put(beams.gram, x, c, e)
            put(beams.gram, x, e, c)
            put(beams.gram, -y, columns + e, c)
            put(beams.gram, y, columns + c, e)
        put(beams.gram, 0.0, columns + c, c)
    eigen_hermitian_lanes(beams.gram, beams.rotation, columns)
    for i in range(count):
        for e in range(columns):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for c in range(columns):
                a = get(factor, i * columns + c, 0)
                b = get(factor, (count + i) * columns + c, 0)
                p = get(beams.rotation, c, e)
                q = get(beams.rotation, columns + c, e)
                x += a * p - b * q
                y += a * q + b * p
            put(beams.columns, x, i, e)
            put(beams.columns, y, count + i, e)


@unmanaged
def from_covariance(x, beams):
    """The beams of a covariance (2 n, n): its eigenvectors, as long as the roots of the eigenvalues."""
    count = x.shape[1]
    copy_where(everywhere(1.0), x, beams.gram)
    eigen_hermitian_lanes(beams.gram, beams.columns, count)
    for i in range(count):
        value = get(beams.gram, i, i)
        length = root(where_less(0.0, value, value, 0.0))
        for r in range(2 * count):
            put(beams.columns, length * get(beams.columns, r, i), r, i)


@unmanaged
def leading(beams, cut, total, out):
    """Covariance of unit trace (2 n, n) from the beams whose squared lengths exceed cut * total."""
    values, columns = beams.gram, beams.columns
    n = columns.shape[0] // 2
    kept = everywhere(0.0)
    for i in range(columns.shape[1]):
        kept += where_less(cut * total, get(values, i, i), get(values, i, i), 0.0)
    scale = where_less(0.0, kept, 1.0 / kept, 0.0)
    for r in range(n):
        for c in range(r + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for i in range(columns.shape[1]):
                w = where_less(cut * total, get(values, i, i), scale, 0.0)
                a = get(columns, r, i)
                b = get(columns, n + r, i)
                p = get(columns, c, i)
                q = get(columns, n + c, i)
                x += w * (a * p + b * q)
                y += w * (b * p - a * q)
            put(out, x, r, c)
            put(out, x, c, r)
            put(out, y, n + r, c)
            put(out, -y, n + c, r)
    for r in range(n):
        put(out, 0.0, n + r, r)


@unmanaged
def power_of(beams):
    """Sum of the beams' squared lengths."""
    total = everywhere(0.0)
    for i in range(beams.gram.shape[1]):
        total += get(beams.gram, i, i)
    return total


@unmanaged
def _has_between(beams, low, high, wanted):
    """Whether a squared length lies in (low, high] in any of the lanes that are wanted."""
    values = beams.gram
    found = everywhere(0.0)
    for i in range(values.shape[1]):
        inside = where_less(low, get(values, i, i), wanted, 0.0)
        found = where_less(high, get(values, i, i), found, found + inside)
    return largest_lane(found) > 0.0


class _Cleaned(NamedTuple):
    """Designs on their way through the cleaning; matrices are (2 n, n, lane)."""

    x: np.ndarray  # the covariances, cleaned in the end
    gradient: np.ndarray  # -grad f there
    slim: np.ndarray  # a candidate of lower rank
    scaled: np.ndarray  # -grad f / f, for `gap_of_covariance`


@inlined
def _cut_rank(evaluation, rho, beams, tolerance, cleaned):
    """Take the lowest rank of `_RANK_CUTS` that keeps the certificate; f there, and 1 in the lanes that have none."""
    total = power_of(beams)
    pending = everywhere(1.0)
    value = everywhere(np.inf)
    before = np.inf
    for cut in _RANK_CUTS:
        if not _has_between(beams, cut * total, before * total, pending):
            continue  # this cut leaves what the last one left
        before = cut
        leading(beams, cut, total, cleaned.slim)
        found, fine = _try(evaluation, rho, _TARGET * tolerance, cleaned)
        fine = where_less(0.0, fine, pending, 0.0)
        _accept(fine, evaluation, cleaned)
        value = where_less(0.0, fine, found, value)
        pending = where_less(0.0, fine, 0.0, pending)
        if largest_lane(pending) == 0.0:
            break
    return value, pending


@inlined
def _try(evaluation, rho, tolerance, cleaned):
    """The bound f at the candidate, and 1 in the lanes in which it is certified."""
    found = covariance_objective(evaluation, rho, everywhere(1.0), cleaned.slim)
    fine = covariance_is_certified(evaluation.negative_gradient, (1.0 + tolerance) * found, evaluation.slack)
    return found, where_less(found, np.inf, fine, 0.0)


@inlined
def _accept(chosen, evaluation, cleaned):
    """Replace x by the candidate, the design evaluated last, in the lanes that are chosen."""
    copy_where(chosen, cleaned.slim, cleaned.x)
    copy_where(chosen, evaluation.negative_gradient, cleaned.gradient)


@unmanaged
def _clean(evaluation, rho, beams, tolerance, threshold, space, cleaned):
    """Replace x by the cleaned covariance of lowest rank that keeps the certificate; returns f there."""
    value, pending = _cut_rank(evaluation, rho, beams, tolerance, cleaned)
    if largest_lane(pending) == 0.0:
        return value
    total = power_of(beams)
    leading(beams, threshold, total, cleaned.slim)
    lowest = everywhere(np.inf)
    for i in range(beams.gram.shape[1]):
        lowest = where_less(get(beams.gram, i, i), lowest, get(beams.gram, i, i), lowest)
    # Where nothing falls below the threshold x stays as it is: eigenvectors are not exact enough close to an edge.
    emptied = where_less(lowest, threshold * total, pending, 0.0)
    found, fine = _try(evaluation, rho, tolerance, cleaned)
    fine = where_less(0.0, emptied, fine, 0.0)
    _accept(fine, evaluation, cleaned)
    value = where_less(0.0, fine, found, value)
    pending = where_less(0.0, fine, 0.0, pending)
    if largest_lane(pending) == 0.0:
        return value
    # Some optima lie on the edge of where f exists, and have no certificate without the last trace of power there.
    gap = gap_of_covariance(found, evaluation.negative_gradient, cleaned.scaled, space)
    found = covariance_objective(evaluation, rho, everywhere(1.0), cleaned.x)
    whole_gap = gap_of_covariance(found, evaluation.negative_gradient, cleaned.scaled, space)
    better = where_less(0.0, pending, where_less(gap, whole_gap, emptied, 0.0), 0.0)
    copy_where(pending, evaluation.negative_gradient, cleaned.gradient)
    value = where_less(0.0, pending, found, value)
    if largest_lane(better) == 0.0:
        return value
    found = covariance_objective(evaluation, rho, everywhere(1.0), cleaned.slim)
    _accept(better, evaluation, cleaned)
    return where_less(0.0, better, found, value)


@kernel
def certified_covariances(problems, rho, x, points, columns, wanted, clean, tolerance, threshold):
    """Certified gaps of reduced covariances of unit trace.

    Parameters
    ----------
    problems
        `problems.ProblemArrays` of the batch.
    rho
        Weights.
    x
        Covariances (batch, rho, n, n), in place cleaned if `clean`.
    points, columns
        Factors in `polar` form to make x from, (batch, rho, unknowns), and their columns; with 0 columns x is given.
    wanted
        Of which, (batch, rho).
    clean
        Whether to clean; covariances from factors always are.
    tolerance, threshold
        Gap that a lower rank may have; share of power below which a direction is dropped in any case.

    Returns
    -------
    Gaps (batch, rho): NaN where none is wanted, inf where the FIM is singular.
    """
    count = x.shape[2]
    gaps = np.full(wanted.shape, np.nan)
    evaluation = new_evaluation(problems, count)
    beams = new_beams(count, columns if columns > 0 else count)
    cleaned = _new_cleaned(count)
    point = lane_zeros(points.shape[2], 1)
    polar = new_polar(shape_of(problems, columns))
    space = eigen_space(2 * count)
    weight, gap = lane_zeros(1, 1), lane_zeros(1, 1)
    clean = clean or columns > 0
    lanes, items = evaluation.problem, wanted_items(wanted)
    for first in range(0, len(items), LANES):
        eight = items[first : first + LANES]
        load_items(lanes, problems, eight, rho, weight)
        if columns > 0:
            load_points(point, points, eight)
            polar_factor(point, shape_of(problems, columns), polar.factor)
            _from_factor(polar.factor, beams)
            leading(beams, -1.0, power_of(beams), cleaned.x)
        else:
            load_designs(cleaned.x, x, eight)
            if clean:
                from_covariance(cleaned.x, beams)
        value = everywhere(np.inf)
        if clean:
            value = _clean(evaluation, get(weight, 0, 0), beams, tolerance, threshold, space, cleaned)
        else:
            value = covariance_objective(evaluation, get(weight, 0, 0), everywhere(1.0), cleaned.x)
            cleaned.gradient[:] = evaluation.negative_gradient
        put(gap, gap_of_covariance(value, cleaned.gradient, cleaned.scaled, space), 0, 0)
        for lane in range(len(eight)):
            w, b = eight[lane]
            gaps[b, w] = gap[0, 0, lane]
        if clean:
            unload_designs(cleaned.x, eight, x)
    return gaps


@inlined
def _new_cleaned(n):
    return _Cleaned(lane_zeros(2 * n, n), lane_zeros(2 * n, n), lane_zeros(2 * n, n), lane_zeros(2 * n, n))


@kernel
def clean_rows(powers, threshold):
    """Powers (any, n) without those below threshold of the sum of their row, each row at unit sum."""
    out = np.zeros_like(powers)
    for b in range(powers.shape[0]):
        total = 0.0
        for i in range(powers.shape[1]):
            total += powers[b, i]
        kept = 0.0
        for i in range(powers.shape[1]):
            if powers[b, i] >= threshold * total:
                out[b, i] = powers[b, i]
                kept += powers[b, i]
        out[b] /= kept
    return out


@unmanaged
def _gap_of_powers(evaluation, rho):
    """Certified gap at evaluation.powers, of unit sum."""
    value = power_objective(evaluation, rho, evaluation.powers)
    return gap_of_powers(value, evaluation.slopes)


@kernel
def certified_powers(problems, rho, powers, wanted):
    """Certified gaps of codeword powers (batch, rho, n) of unit sum, like `certified_covariances`."""
    gaps = np.full(wanted.shape, np.nan)
    evaluation = new_evaluation(problems, powers.shape[2])
    weight, gap = lane_zeros(1, 1), lane_zeros(1, 1)
    lanes, items = evaluation.problem, wanted_items(wanted)
    for first in range(0, len(items), LANES):
        eight = items[first : first + LANES]
        load_items(lanes, problems, eight, rho, weight)
        load_points(evaluation.powers, powers, eight)
        put(gap, _gap_of_powers(evaluation, get(weight, 0, 0)), 0, 0)
        for lane in range(len(eight)):
            w, b = eight[lane]
            gaps[b, w] = gap[0, 0, lane]
    return gaps
