"""The interior-point method of `covariances` for power on fixed codewords: the same with vectors in place of matrices.

Each step solves B d + (s / p) d = sigma mu / p - (1 - N) - correction, with N_i = -(df/dp_i) / f and the second
derivative B of log f computed anew, since it costs little over so few unknowns.
Test: tests/engine/beamforming/test_interior.py.
"""

from typing import NamedTuple

import numpy as np

from ..bound.objective import new_evaluation
from ..bound.powers import balance, power_objective
from ..bound.problems import load_items, load_powers
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, largest_lane, put, where_less
from ..linalg.lanemat import cholesky_lanes, solve_lanes
from .centring import centring, first_mu
from .curvature import add_curvature, curvature_work
from .record import APART, FIRST_GOAL, Record, clear, new_record, note, unless_stale

_MOST = 60  # evaluations
_CLEARANCE = 1.5  # a step goes to 2/3 of the way to the boundary at most
_EQUAL = 1e-3  # share of equal powers that keeps the start inside


class PowerPoint(NamedTuple):
    """Where the method is, (codewords, 1, lane)."""

    p: np.ndarray
    s: np.ndarray  # slack
    normal: np.ndarray  # N


class PowerStep(NamedTuple):
    """The step to take, (codewords, 1, lane), and what it is solved from."""

    d: np.ndarray  # of p
    ds: np.ndarray  # of s
    correction: np.ndarray  # of the second order, in the right hand side
    system: np.ndarray  # B, then the factor of B + diag(s / p): codewords in whole tiles


class PowerState(NamedTuple):
    """All of the method for powers."""

    point: PowerPoint
    step: PowerStep
    record: Record


@inlined
def new_power_state(n, size):
    """State for powers on n codewords; size is that of the system, in whole tiles."""
    return PowerState(
        PowerPoint(lane_zeros(n, 1), lane_zeros(n, 1), lane_zeros(n, 1)),
        PowerStep(lane_zeros(n, 1), lane_zeros(n, 1), lane_zeros(n, 1), lane_zeros(size, size)),
        new_record(n, 1),
    )


@unmanaged
def evaluate_powers(evaluation, rho, point):
    """Value of f, N, and 1 + the gap, the largest N times the power."""
    value = power_objective(evaluation, rho, point.p)
    total = everywhere(0.0)
    steepest = everywhere(-np.inf)
    for i in range(point.p.shape[0]):
        slope = -get(evaluation.slopes, i, 0) / value
        put(point.normal, slope, i, 0)
        total += get(point.p, i, 0)
        steepest = where_less(steepest, slope, slope, steepest)
    return value, total * steepest


@inlined
def second_derivatives(evaluation, rho, value, bending, system):
    """Second derivatives of f / value into the system: B is that less N N^T."""
    system[:] = 0.0
    add_curvature(evaluation, rho, value, bending, system)


@unmanaged
def solve_for_step(n, sigma_mu, point, step):
    """Steps d and ds for a target p s = sigma mu."""
    for i in range(n):
        target = (sigma_mu - get(step.correction, i, 0)) / get(point.p, i, 0)
        put(step.ds, target - get(point.s, i, 0), i, 0)
        put(step.d, target + get(point.normal, i, 0) - 1.0, i, 0)
    solve_lanes(step.system, n, step.d)
    for i in range(n):
        ratio = get(point.s, i, 0) / get(point.p, i, 0)
        put(step.ds, get(step.ds, i, 0) - ratio * get(step.d, i, 0), i, 0)


@unmanaged
def room(a, d):
    """How far along d the positive a may go: at most 1, and 1 / clearance of the way to the boundary."""
    length = everywhere(1.0)
    for i in range(a.shape[0]):
        limit = -get(a, i, 0) / (_CLEARANCE * get(d, i, 0))
        limit = where_less(get(d, i, 0), 0.0, limit, 1.0)
        length = where_less(limit, length, limit, length)
    return length


@unmanaged
def move(a, length, d):
    """Go along d where there is a length; where there is none, d may be no number."""
    for i in range(a.shape[0]):
        put(a, get(a, i, 0) + where_less(0.0, length, length * get(d, i, 0), 0.0), i, 0)


@unmanaged
def factored(n, point, system):
    """Factor B + diag(s / p), second derivatives being in the system; 0 where that breaks down."""
    for i in range(n):
        g = get(point.normal, i, 0)
        for k in range(i + 1):
            put(system, get(system, i, k) - g * get(point.normal, k, 0), i, k)
        put(system, get(system, i, i) + get(point.s, i, 0) / get(point.p, i, 0), i, i)
    return cholesky_lanes(system, n)


@inlined
def _advance(n, going, point, step):
    """One step with predictor and corrector of the lanes that go on; second derivatives are in the system."""
    product = everywhere(0.0)
    for i in range(n):
        product += get(point.p, i, 0) * get(point.s, i, 0)
    fine = where_less(0.0, factored(n, point, step.system), going, 0.0)
    mu = product / (1.0 * n)
    step.correction[:] = 0.0
    solve_for_step(n, everywhere(0.0), point, step)
    a = room(point.p, step.d)
    b = room(point.s, step.ds)
    ahead = everywhere(0.0)
    for i in range(n):
        ahead += (get(point.p, i, 0) + a * get(step.d, i, 0)) * (get(point.s, i, 0) + b * get(step.ds, i, 0))
        put(step.correction, get(step.d, i, 0) * get(step.ds, i, 0), i, 0)
    sigma = centring(ahead, product)
    solve_for_step(n, sigma * mu, point, step)
    move(point.p, where_less(0.0, fine, room(point.p, step.d), 0.0), step.d)
    move(point.s, where_less(0.0, fine, room(point.s, step.ds), 0.0), step.ds)


@inlined
def _start_at_balanced_powers(evaluation, rho, n, p):
    """Balanced codeword powers, mixed with a share of equal ones."""
    balance(evaluation, rho, evaluation.powers)
    for i in range(n):
        put(p, (1.0 - _EQUAL) * get(evaluation.powers, i, 0) + _EQUAL / n, i, 0)


@inlined
def _first_power_slack(n, point):
    """Slack mu / p (see `covariances`)."""
    spread = everywhere(-1.0)
    for i in range(n):
        spread += get(point.p, i, 0) * get(point.normal, i, 0) * get(point.normal, i, 0)
    mu = first_mu(spread, n)
    for i in range(n):
        put(point.s, mu / get(point.p, i, 0), i, 0)


@inlined
def _follow_path_of_powers(evaluation, rho, tolerance, state, bending):
    """Take steps in every lane until all are certified or broken down; a lane that is through stays where it is."""
    n = evaluation.problem.mix.shape[0]
    point, step, record = state.point, state.step, state.record
    clear(record)
    going = everywhere(1.0)
    for steps in range(_MOST):
        value, level = evaluate_powers(evaluation, rho, point)
        going = where_less(value, np.inf, going, 0.0)
        put(record.spent, get(record.spent, 0, 0) + going, 0, 0)
        gap = level - 1.0
        better = where_less(gap, get(record.gaps, 0, 0), going, 0.0)
        apart = where_less(APART * gap, get(record.gaps, 1, 0), better, 0.0)
        note(point.p, gap, better, apart, record)
        going = where_less(level, 1.0 + tolerance, 0.0, going)
        going = unless_stale(FIRST_GOAL, going, record)
        if largest_lane(going) == 0.0:
            return
        if steps == 0:
            _first_power_slack(n, point)
        second_derivatives(evaluation, rho, value, bending, step.system)
        _advance(n, going, point, step)


@unmanaged
def unload_unit_sum(p, lane, out):
    """Take a lane's powers out, scaled to unit sum."""
    total = 0.0
    for i in range(out.size):
        total += p[i, 0, lane]
    for i in range(out.size):
        out[i] = p[i, 0, lane] / total


@kernel
def interior_powers(draws, powers, rho, wanted, tolerance):
    """Codeword powers where they are wanted; the arguments are those of `covariances.interior_designs`.

    Returns
    -------
    powers (batch, rho, n) of unit sum, the best ones, 0 where there are none; before, like powers, of a gap at least
    `APART` times as large, 0 where there are none; evaluations (batch, rho), 0 where nothing was wanted.
    """
    batch, n = powers.shape
    out = np.zeros((batch, rho.size, n))
    before = np.zeros((batch, rho.size, n))
    evaluations = np.zeros((batch, rho.size), np.int64)
    items = np.argwhere(wanted.T)  # weight by weight: designs for one weight take about the same time
    evaluation = new_evaluation(draws, n)
    bending = curvature_work(evaluation, True)
    state = new_power_state(n, bending.forms.shape[0])
    record = state.record
    weight = lane_zeros(1, 1)
    for first in range(0, len(items), LANES):
        used = min(LANES, len(items) - first)
        load_items(evaluation.problem, draws, items[first : first + used], rho, weight)
        load_powers(evaluation.powers, powers, items[first : first + used])
        _start_at_balanced_powers(evaluation, get(weight, 0, 0), n, state.point.p)
        _follow_path_of_powers(evaluation, get(weight, 0, 0), tolerance, state, bending)
        for lane in range(used):
            w, b = items[first + lane]
            evaluations[b, w] = int(record.spent[0, 0, lane])
            if record.gaps[0, 0, lane] < np.inf:
                unload_unit_sum(record.best, lane, out[b, w])
            if record.gaps[2, 0, lane] < np.inf:
                unload_unit_sum(record.before, lane, before[b, w])
    return out, before, evaluations
