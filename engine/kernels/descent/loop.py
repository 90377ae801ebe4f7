"""First rung: L-BFGS on factors or roots of powers, eight draws in step, each along its own trade-off curve.

F = log f + log power does not change with the power (f has degree -1), so no constraint is left. Factors have fewer
columns than rows, as optima have a lower rank; where that is wrong, no certificate is found. The iteration ends by the
certificate, never by a step or gradient size.

A draw stays in its lane for its whole grid of weights (`curve`), each point extrapolated from those solved next to it,
with the memory of curvature carried along. Every pass of the loop is one evaluation in every lane; a lane whose step
was too long shortens it while the others go on. No number ever crosses lanes.
Tests: test_schemes, test_designs, test_polar.
"""

import math
from typing import NamedTuple

import numpy as np

from ..bound.certificate import covariance_is_certified, powers_are_certified
from ..bound.objective import new_evaluation
from ..bound.powers import root_objective, root_stiffness
from ..bound.problems import ProblemArrays, load_problem
from ..jit.accelerate import inlined, kernel, unmanaged
from ..jit.lanes import LANES, everywhere, get, lane_zeros, put, root, where_less
from ..linalg.lanemat import inner, inner_row
from .curve import extrapolate, new_places, next_place
from .polar import new_polar, polar_objective
from .preconditioner import Shape, Stiffness, head_of, new_stiffness, shape_of, within_scales
from .quasinewton import Memory, new_memory, precondition, quasi_newton

_ARMIJO = 1e-4
_BLUR = 1e-8  # differences of F that rounding may hide, with the worst of FIMs
_MAX_EVALUATIONS = 150  # of eight columns of the mixing matrix: the next rung takes as long
_MAX_FOR_BP = 60  # for BP alone optima on an edge are many, where the next rung fares better
_FEW = 8  # columns up to which that holds: the time of the next rung goes with their sixth power, ours with the third
_MAX_SHORTENED = 20
_EXTRAPOLATED = 5  # solved weights that a start is extrapolated from: 4 and 6 take 2 % more evaluations, 3 takes 9 %
_NEAR = 1e-2  # gradient size from which on the certificate is tried


class _Vectors(NamedTuple):
    """What L-BFGS keeps of eight draws; vectors are (unknowns, 1, lane)."""

    x: np.ndarray
    gradient: np.ndarray
    trial: np.ndarray
    trial_gradient: np.ndarray
    search: np.ndarray  # the direction that trial points are on
    scratch: np.ndarray  # one more vector, never kept from one function to the next
    stiffness: Stiffness  # second derivatives as the preconditioner guesses them; along roots, its `plain`
    memory: Memory


class _Task(NamedTuple):
    """What is wanted: the arguments of `descend`, with what follows of them."""

    problems: ProblemArrays
    shape: Shape  # of the factors
    start: np.ndarray  # (batch, unknowns)
    rho: np.ndarray
    parameter: np.ndarray  # of each weight, in which curves are smooth
    fine: tuple  # which draws are identifiable, by BP and by MS
    tolerance: float
    patience: float  # by how much more evaluations are allowed than for `_FEW` columns


class _Found(NamedTuple):
    """What `descend` returns."""

    points: np.ndarray
    evaluations: np.ndarray


# Rows of the lanes' state, (rows, 1, lane).
_RHO, _VALUE, _SLOPE, _STEP, _IS_FIRST, _SCALE, _LENGTH2, _HEIGHT, _PASSED, _ACCEPTED = range(10)


@inlined
def _new_vectors(size, shape):
    return _Vectors(
        x=lane_zeros(size, 1),
        gradient=lane_zeros(size, 1),
        trial=lane_zeros(size, 1),
        trial_gradient=lane_zeros(size, 1),
        search=lane_zeros(size, 1),
        scratch=lane_zeros(size, 1),
        stiffness=new_stiffness(shape),
        memory=new_memory(size, shape.rows),
    )


@unmanaged
def _forget(lane, vectors, state):
    """Drop what a lane knows of the curvature."""
    vectors.memory.inverse[:, 0, lane] = 0.0
    state[_SCALE, 0, lane] = 0.0


@inlined
def _evaluate(evaluation, rho, shape, polar, vectors):
    """The bound f and the power at the trial points; gradients and stiffness go to the vectors."""
    if shape.columns > 0:
        return polar_objective(evaluation, rho, vectors.trial, shape, polar, vectors.trial_gradient, vectors.stiffness)
    value, power = root_objective(evaluation, rho, vectors.trial, vectors.trial_gradient)
    root_stiffness(evaluation, value, power, vectors.stiffness.plain)
    return value, power


@inlined
def _is_taken(height, vectors, state):
    """1 in the lanes in which F fell enough; so close to the optimum that rounding hides it, the slope has to tell.

    That is the approximate rule of Hager and Zhang (SIAM J. Optim. 16, 2005): the slope at the trial point along the
    step is less steep upwards than it was downwards.
    """
    value, slope = get(state, _VALUE, 0), get(state, _SLOPE, 0)
    fallen = where_less(value + _ARMIJO * get(state, _STEP, 0) * slope, height, 0.0, 1.0)
    rising = inner(vectors.trial_gradient, vectors.search)
    before_the_rise = where_less(rising, (2.0 * _ARMIJO - 1.0) * slope, 1.0, fallen)
    taken = where_less(height, value + _BLUR, before_the_rise, fallen)
    return where_less(height, np.inf, taken, 0.0)


@inlined
def _take_step(value, power, vectors, newest, state):
    """Accept the trial point where it may be taken, and note the pair of step and change there."""
    put(state, value * power, _HEIGHT, 0)
    for lane in range(LANES):
        size = state[_HEIGHT, 0, lane]
        state[_HEIGHT, 0, lane] = math.log(size) if size > 0.0 else np.inf
    height = get(state, _HEIGHT, 0)
    accept = _is_taken(height, vectors, state)
    put(state, accept, _ACCEPTED, 0)
    keep = where_less(0.0, get(state, _IS_FIRST, 0), 0.0, accept)
    memory, fresh, gradient = vectors.memory, vectors.trial_gradient, vectors.gradient
    bend = everywhere(0.0)
    change2 = everywhere(0.0)
    step2 = everywhere(0.0)
    for i in range(vectors.x.shape[0]):
        s = where_less(0.0, keep, get(vectors.trial, i, 0) - get(vectors.x, i, 0), 0.0)
        y = where_less(0.0, keep, get(fresh, i, 0) - get(gradient, i, 0), 0.0)
        put(memory.steps, s, newest, i)
        put(memory.changes, y, newest, i)
        bend += s * y
        change2 += y * y
        step2 += s * s
        put(vectors.x, where_less(0.0, accept, get(vectors.trial, i, 0), get(vectors.x, i, 0)), i, 0)
        put(gradient, where_less(0.0, accept, get(fresh, i, 0), get(gradient, i, 0)), i, 0)
    put(state, inner(vectors.gradient, vectors.gradient), _LENGTH2, 0)
    good = where_less(1e-14 * root(step2 * change2), bend, keep, 0.0)
    put(memory.inverse, where_less(0.0, good, 1.0 / bend, 0.0), newest, 0)
    return good, bend


@inlined
def _rescale(good, bend, vectors, shape, newest, state):
    """Size of the preconditioner, from the newest pair; in polar form it hangs on U alone."""
    steps, changes, shaped = vectors.memory.steps, vectors.memory.changes, vectors.scratch
    head = head_of(shape)
    for i in range(head):
        bend -= get(steps, newest, i) * get(changes, newest, i)
        put(shaped, 0.0, i, 0)
    for i in range(head, vectors.x.shape[0]):
        put(shaped, get(changes, newest, i), i, 0)
    precondition(vectors.x, shape, vectors.stiffness, everywhere(1.0), shaped)
    scale = bend / inner_row(changes, newest, shaped)
    if shape.columns > 0:
        scale = within_scales(scale)
    put(state, where_less(0.0, good, scale, get(state, _SCALE, 0)), _SCALE, 0)


@inlined
def _certify(evaluation, value, power, task, places, state):
    """Mark the lanes whose point is certified; only looked at where one has come near."""
    near = False
    for lane in range(LANES):
        accepted = places.draw[lane] >= 0 and state[_ACCEPTED, 0, lane] > 0.0
        if accepted and state[_LENGTH2, 0, lane] < _NEAR * _NEAR:
            near = True
    passed = everywhere(0.0)
    if near:
        level = (1.0 + task.tolerance) * value / power
        if task.shape.columns > 0:
            passed = covariance_is_certified(evaluation.negative_gradient, level, evaluation.slack)
        else:
            passed = powers_are_certified(evaluation.slopes, level)
    put(state, where_less(0.0, passed, get(state, _ACCEPTED, 0), 0.0), _PASSED, 0)


@inlined
def _aim(vectors, shape, newest, state):
    """The next trial point: along a new direction where the last step was taken, nearer where it was too long."""
    accept = get(state, _ACCEPTED, 0)
    length2 = get(state, _LENGTH2, 0)
    cautious = 0.3 / root(length2)
    cautious = where_less(1.0, cautious, 1.0, cautious)
    scale = where_less(0.0, get(state, _SCALE, 0), get(state, _SCALE, 0), cautious)
    direction = vectors.scratch
    quasi_newton(vectors.gradient, vectors.x, shape, vectors.stiffness, vectors.memory, newest, scale, direction)
    slope = inner(vectors.gradient, direction)
    downhill = where_less(slope, 0.0, 1.0, 0.0)
    slope = where_less(0.0, downhill, slope, -cautious * length2)
    # Minimum of the parabola through value, slope and the new value, kept within [0.1, 0.5] of the step.
    step = get(state, _STEP, 0)
    fall = step * get(state, _SLOPE, 0)
    shrink = -0.5 * fall / (get(state, _HEIGHT, 0) - get(state, _VALUE, 0) - fall)
    shrink = where_less(0.1, shrink, shrink, 0.1)
    shrink = where_less(shrink, 0.5, shrink, 0.5)
    step = where_less(0.0, accept, 1.0, step * shrink)
    for i in range(vectors.x.shape[0]):
        way = where_less(0.0, downhill, get(direction, i, 0), -cautious * get(vectors.gradient, i, 0))
        way = where_less(0.0, accept, way, get(vectors.search, i, 0))
        put(vectors.search, way, i, 0)
        put(vectors.trial, get(vectors.x, i, 0) + step * way, i, 0)
    put(state, step, _STEP, 0)
    put(state, where_less(0.0, accept, slope, get(state, _SLOPE, 0)), _SLOPE, 0)
    put(state, where_less(0.0, accept, get(state, _HEIGHT, 0), get(state, _VALUE, 0)), _VALUE, 0)
    put(state, where_less(0.0, accept, 0.0, get(state, _IS_FIRST, 0)), _IS_FIRST, 0)


@inlined
def _from_the_gradient(lane, vectors, state):
    """Where the memory went bad: drop it and try a short step along the gradient."""
    _forget(lane, vectors, state)
    length = math.sqrt(state[_LENGTH2, 0, lane])
    step = min(1.0, 0.3 / length)
    for i in range(vectors.x.shape[0]):
        vectors.search[i, 0, lane] = -step * vectors.gradient[i, 0, lane]
        vectors.trial[i, 0, lane] = vectors.x[i, 0, lane] + vectors.search[i, 0, lane]
    state[_SLOPE, 0, lane] = -step * length * length
    state[_STEP, 0, lane] = 1.0


@inlined
def _account(task, places, vectors, state, found):
    """Count the evaluation in every lane, and keep the points of those that are through with their weight."""
    for lane in range(LANES):
        b = places.draw[lane]
        if b < 0:
            continue
        w = places.weight[lane]
        places.spent[lane] += 1
        if state[_ACCEPTED, 0, lane] > 0.0:
            places.shortened[lane] = 0
        else:
            places.shortened[lane] += 1
            if places.shortened[lane] == _MAX_SHORTENED // 2:
                _from_the_gradient(lane, vectors, state)
        most = task.patience * (_MAX_FOR_BP if state[_RHO, 0, lane] == 1.0 else _MAX_EVALUATIONS)
        given_up = places.spent[lane] >= most or places.shortened[lane] >= _MAX_SHORTENED
        if state[_PASSED, 0, lane] > 0.0 or given_up:
            _store(vectors.x, task.shape, lane, found.points[b, w])
            found.evaluations[b, w] = places.spent[lane]
            places.low[lane] = min(places.low[lane], w)
            places.high[lane] = max(places.high[lane], w)
            places.finished[lane] = True


@inlined
def _store(x, shape, lane, out):
    """Keep a lane's point, scaled to unit power: T of a factor, all of roots."""
    scaled = head_of(shape) if shape.columns > 0 else out.size
    total = 0.0
    for i in range(out.size):
        out[i] = x[i, 0, lane]
        if i < scaled:
            total += out[i] ** 2
    scale = 1.0 / math.sqrt(total) if total > 0.0 else 0.0
    for i in range(scaled):
        out[i] *= scale


@kernel
def descend(problems, columns, start, rho, bistatic_fine, monostatic_fine, tolerance):
    """Designs of every draw at every weight.

    Parameters
    ----------
    problems
        `problems.ProblemArrays` of the batch.
    columns
        Columns of the factors, an even number; 0 for codeword powers.
    start
        Where every draw begins, (batch, unknowns): factors in `polar` form, or roots of powers.
    rho
        Weights, ascending.
    bistatic_fine, monostatic_fine
        Which draws are identifiable.
    tolerance
        Certified gap at which to stop.

    Returns
    -------
    points (batch, rho, unknowns) of unit power, evaluations (batch, rho; -1 where there was nothing to do).
    """
    batch, size = start.shape
    # The optimal share of power of a link goes like sqrt(rho) near 0: in this parameter curves are smooth.
    parameter = np.zeros(rho.size)
    for w in range(rho.size):
        parameter[w] = math.asin(math.sqrt(rho[w]))
    count = problems.mix.shape[1]
    shape = shape_of(problems, columns)
    patience = max(1.0, (count / _FEW) ** 2) if columns > 0 else 1.0
    fine = (bistatic_fine, monostatic_fine)
    task = _Task(problems, shape, start, rho, parameter, fine, tolerance, patience)
    found = _Found(np.zeros((batch, rho.size, size)), np.full((batch, rho.size), -1, np.int64))
    evaluation = new_evaluation(problems, shape.columns)
    vectors = _new_vectors(size, shape)
    shares = np.zeros(_EXTRAPOLATED)
    _descend_together(task, evaluation, vectors, new_polar(shape), new_places(), lane_zeros(10, 1), shares, found)
    return found.points, found.evaluations


@unmanaged
def _descend_together(task, evaluation, vectors, polar, places, state, shares, found):
    """Evaluate in all lanes until every draw is through; shares is room for extrapolation."""
    upcoming = np.int64(0)
    newest = np.int64(-1)
    while True:
        busy = False
        for lane in range(LANES):
            if places.finished[lane]:
                upcoming = _begin(task, evaluation, vectors, upcoming, places, lane, state, shares, found)
            busy = busy or not places.finished[lane]
        if not busy:
            return
        newest = (newest + 1) % vectors.memory.steps.shape[0]
        value, power = _evaluate(evaluation, get(state, _RHO, 0), task.shape, polar, vectors)
        good, bend = _take_step(value, power, vectors, newest, state)
        _rescale(good, bend, vectors, task.shape, newest, state)
        _certify(evaluation, value, power, task, places, state)
        _aim(vectors, task.shape, newest, state)
        _account(task, places, vectors, state, found)


@inlined
def _begin(task, evaluation, vectors, upcoming, places, lane, state, shares, found):
    """Begin with a lane's next weight or draw, from `upcoming` on, if there is one; returns the draw after that."""
    upcoming, afresh = next_place(upcoming, task.rho, task.fine, places, lane)
    b, w = places.draw[lane], places.weight[lane]
    if b >= 0:
        load_problem(evaluation.problem, task.problems, b, lane)
        # Without MS the curvature along rotations of U is another; roots of powers fare better with what they know.
        if afresh or (task.shape.columns > 0 and task.rho[w] == 1.0):
            _forget(lane, vectors, state)
        extrapolate(found.points[b], task.parameter, task.start[b], places, lane, shares, vectors.trial)
        state[_RHO, 0, lane] = task.rho[w]
        state[_VALUE, 0, lane] = np.inf
        state[_SLOPE, 0, lane] = 0.0
        state[_STEP, 0, lane] = 1.0
        state[_IS_FIRST, 0, lane] = 1.0
        places.spent[lane] = 0
        places.shortened[lane] = 0
        places.finished[lane] = False
    return upcoming
