"""The direction of a quasi-Newton step, for eight draws in step: L-BFGS with a preconditioner."""

from ..accelerate import bare
from ..lanes import get, put
from .packs import inner_row
from .polar import precondition_polar

MEMORY = 7


@bare
def quasi_newton(gradient, x, columns, stiffness, steps, changes, inverse, alphas, newest, scale, out):
    """Two-loop recursion: out = -H gradient; pairs with inverse curvature 0 do nothing."""
    size = gradient.shape[0]
    for i in range(size):
        put(out, -get(gradient, i, 0), i, 0)
    for age in range(MEMORY):
        m = (newest - age) % MEMORY
        alpha = get(inverse, m, 0) * inner_row(steps, m, out)
        put(alphas, alpha, m, 0)
        for i in range(size):
            put(out, get(out, i, 0) - alpha * get(changes, m, i), i, 0)
    precondition(x, columns, stiffness, scale, out)
    for age in range(MEMORY - 1, -1, -1):
        m = (newest - age) % MEMORY
        beta = get(alphas, m, 0) - get(inverse, m, 0) * inner_row(changes, m, out)
        for i in range(size):
            put(out, get(out, i, 0) + beta * get(steps, m, i), i, 0)


@bare
def precondition(x, columns, stiffness, scale, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, times scale; roots of powers have no columns."""
    if columns > 0:
        precondition_polar(x, columns, stiffness, scale, vector)
        return
    for i in range(x.shape[0]):
        put(vector, scale * get(vector, i, 0) / get(stiffness, i, 0), i, 0)
