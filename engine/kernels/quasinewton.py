"""The direction of a quasi-Newton step, for eight draws in step: L-BFGS with a preconditioner."""

from ..accelerate import bare
from ..lanes import get, put, where_less
from .packs import inner, inner_row
from .polar import precondition_polar

MEMORY = 9
_SHARED = 0.02
_LEAST = 0.05  # of a second derivative


@bare
def quasi_newton(gradient, x, columns, slack, steps, changes, inverse, alphas, newest, scale, out):
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
    precondition(x, columns, slack, scale, out)
    for age in range(MEMORY - 1, -1, -1):
        m = (newest - age) % MEMORY
        beta = get(alphas, m, 0) - get(inverse, m, 0) * inner_row(changes, m, out)
        for i in range(size):
            put(out, get(out, i, 0) + beta * get(steps, m, i), i, 0)


@bare
def precondition(x, columns, slack, scale, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, times scale; roots of powers have no columns."""
    if columns > 0:
        precondition_polar(x, columns, slack, scale, vector)
    else:
        _precondition_roots(x, slack, scale, vector)


@bare
def _precondition_roots(z, slack, scale, vector):
    """The same for roots of powers.

    The second derivative of log f + log power along z_i is 2 (1 - N_i) for a codeword without power, N_i = -df/dp_i / f
    at unit power, and 8 N_i for one that alone gives what it gives (f = sum_i c_i / z_i^2). In between it goes from one
    to the other as the codeword's share of the power goes from nothing past _SHARED.
    """
    power = inner(z, z)
    for i in range(z.shape[0]):
        p = get(z, i, 0) * get(z, i, 0)
        free = get(slack, i, 0)
        own = 8.0 * (1.0 - free) * p / (p + _SHARED * power)
        free = where_less(0.0, free, free, 0.0)
        put(vector, scale * get(vector, i, 0) / (2.0 * free + own + _LEAST), i, 0)
