"""The direction of a quasi-Newton step, for eight draws in step: L-BFGS with a preconditioner.

The two-loop recursion is Nocedal's (Math. Comput. 35, 1980); here as algorithm 7.4 of Nocedal and Wright, Numerical
Optimization (2006), with a guess of the inverse Hessian at the current point in place of a multiple of the identity.
Test: designs that meet their tolerance, test_schemes.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put
from ..linalg.lanemat import inner_row
from .preconditioner import precondition_polar

MEMORY = 7  # pairs kept in the plane
MEMORY_IN_SPACE = 24  # where there are half as many unknowns again, and the guess of curvature misses more


class Memory(NamedTuple):
    """The last steps of eight draws, in a ring of rows."""

    steps: np.ndarray  # s: (pairs, unknowns)
    changes: np.ndarray  # of the gradient along each, y: (pairs, unknowns)
    inverse: np.ndarray  # 1 / s^T y; 0 where there is no pair: (pairs, 1)
    alphas: np.ndarray  # of the first loop, for the second: (pairs, 1)


@inlined
def new_memory(size, rows):
    """No pairs yet, of so many unknowns, for so many rows a path."""
    pairs = MEMORY if rows == 2 else MEMORY_IN_SPACE
    return Memory(lane_zeros(pairs, size), lane_zeros(pairs, size), lane_zeros(pairs, 1), lane_zeros(pairs, 1))


@unmanaged
def quasi_newton(gradient, x, shape, stiffness, memory, newest, scale, out):
    """Two-loop recursion: out = -H gradient, all (unknowns, 1, lane); pairs whose inverse is 0 do nothing."""
    steps, changes = memory.steps, memory.changes
    size = gradient.shape[0]
    pairs = steps.shape[0]
    for i in range(size):
        put(out, -get(gradient, i, 0), i, 0)
    along = inner_row(steps, newest, out)
    for age in range(pairs):
        m = (newest - age) % pairs
        alpha = get(memory.inverse, m, 0) * along
        put(memory.alphas, alpha, m, 0)
        along = _add_and_look_on(out, -alpha, changes, m, steps, (m - 1) % pairs)
    precondition(x, shape, stiffness, scale, out)
    oldest = (newest + 1) % pairs
    along = inner_row(changes, oldest, out)
    for age in range(pairs - 1, -1, -1):
        m = (newest - age) % pairs
        beta = get(memory.alphas, m, 0) - get(memory.inverse, m, 0) * along
        along = _add_and_look_on(out, beta, steps, m, changes, (m + 1) % pairs)


@unmanaged
def _add_and_look_on(vector, share, rows, m, others, other):
    """Add share rows[m] to the vector, and return its inner product with others[other]: both in one go."""
    p = everywhere(0.0)
    q = everywhere(0.0)
    size = vector.shape[0]
    for i in range(0, size - 1, 2):
        u = get(vector, i, 0) + share * get(rows, m, i)
        v = get(vector, i + 1, 0) + share * get(rows, m, i + 1)
        put(vector, u, i, 0)
        put(vector, v, i + 1, 0)
        p += u * get(others, other, i)
        q += v * get(others, other, i + 1)
    if size % 2 != 0:
        u = get(vector, size - 1, 0) + share * get(rows, m, size - 1)
        put(vector, u, size - 1, 0)
        p += u * get(others, other, size - 1)
    return p + q


@unmanaged
def precondition(x, shape, stiffness, scale, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, times scale; roots of powers have no columns."""
    if shape.columns > 0:
        precondition_polar(x, shape, stiffness, scale, vector)
        return
    for i in range(x.shape[0]):
        put(vector, scale * get(vector, i, 0) / get(stiffness.plain, i, 0), i, 0)
