"""The direction of a quasi-Newton step, for eight draws in step: L-BFGS with a preconditioner."""

from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put
from ..linalg.lanemat import inner_row
from .preconditioner import precondition_polar

MEMORY = 7


@unmanaged
def quasi_newton(gradient, x, columns, stiffness, steps, changes, inverse, alphas, newest, scale, out):
    """Two-loop recursion: out = -H gradient; pairs with inverse curvature 0 do nothing."""
    size = gradient.shape[0]
    for i in range(size):
        put(out, -get(gradient, i, 0), i, 0)
    along = inner_row(steps, newest, out)
    for age in range(MEMORY):
        m = (newest - age) % MEMORY
        alpha = get(inverse, m, 0) * along
        put(alphas, alpha, m, 0)
        along = _add_and_look_on(out, -alpha, changes, m, steps, (m - 1) % MEMORY)
    precondition(x, columns, stiffness, scale, out)
    oldest = (newest + 1) % MEMORY
    along = inner_row(changes, oldest, out)
    for age in range(MEMORY - 1, -1, -1):
        m = (newest - age) % MEMORY
        beta = get(alphas, m, 0) - get(inverse, m, 0) * along
        along = _add_and_look_on(out, beta, steps, m, changes, (m + 1) % MEMORY)


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
def precondition(x, columns, stiffness, scale, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, times scale; roots of powers have no columns."""
    if columns > 0:
        precondition_polar(x, columns, stiffness, scale, vector)
        return
    for i in range(x.shape[0]):
        put(vector, scale * get(vector, i, 0) / get(stiffness.plain, i, 0), i, 0)
