"""The direction of a quasi-Newton step, for eight draws in step: L-BFGS, with two scales for factors in polar form."""

from ..accelerate import kernel
from ..lanes import everywhere, get, put, where_less
from .packs import inner_row
from .polar import rows_of

MEMORY = 8
# For the T_k: log f + log power of f = sum_i c_i / t_i^2 has the curvature 8 at its optimum, but for scaling all t
# the same way; off-diagonal entries and paths whose share hardly matters have 2 and less.
STIFF = 0.25
SOFT = (0.5, 1e3)  # bounds of the scale for the Y_k
_NEARLY_PARALLEL = 1e-12  # share of a path's power that both of its rows have at least, for the scale of turns
TINY = 1e-150  # keeps paths without power finite


@kernel
def quasi_newton(gradient, x, columns, steps, changes, inverse, alphas, newest, soft, out):
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
    precondition(x, columns, soft, out)
    for age in range(MEMORY - 1, -1, -1):
        m = (newest - age) % MEMORY
        beta = get(alphas, m, 0) - get(inverse, m, 0) * inner_row(changes, m, out)
        for i in range(size):
            put(out, get(out, i, 0) + beta * get(steps, m, i), i, 0)


@kernel
def precondition(x, columns, soft, vector):
    """Multiply a vector by a guess of the inverse Hessian at x.

    For factors in polar form it is STIFF for the T_k, and `soft` (T_k^H T_k)^-1 for the Y_k: turning a path's beams
    moves V the less the less power they have. For roots of powers it is `soft` alone.
    """
    head = head_of(x, columns)
    for i in range(head):
        put(vector, STIFF * get(vector, i, 0), i, 0)
    if columns == 0:
        for i in range(vector.shape[0]):
            put(vector, soft * get(vector, i, 0), i, 0)
        return
    n = head // 4
    imag = 2 * n * columns
    for k in range(n):
        t0, t1 = get(x, 4 * k, 0), get(x, 4 * k + 1, 0)
        tr, ti = get(x, 4 * k + 2, 0), get(x, 4 * k + 3, 0)
        p = t0 * t0 + tr * tr + ti * ti
        q = t1 * t1
        least = _NEARLY_PARALLEL * (p + q) + TINY
        p += least
        q += least
        re = t1 * tr
        im = t1 * ti
        scale = soft / (p * q - re * re - im * im)
        for c in range(columns):
            a = head + k * columns + c
            d = head + (n + k) * columns + c
            ar, ai, dr, di = get(vector, a, 0), get(vector, imag + a, 0), get(vector, d, 0), get(vector, imag + d, 0)
            put(vector, scale * (q * ar - re * dr - im * di), a, 0)
            put(vector, scale * (q * ai - re * di + im * dr), imag + a, 0)
            put(vector, scale * (p * dr - re * ar + im * ai), d, 0)
            put(vector, scale * (p * di - re * ai - im * ar), imag + d, 0)


@kernel
def head_of(x, columns):
    """How many unknowns are entries of the T_k."""
    return 2 * rows_of(x.shape[0], columns) if columns > 0 else 0


@kernel
def fitting_scale(x, columns, steps, changes, newest, turn):
    """The scale `soft` that fits the newest pair."""
    head = head_of(x, columns)
    bend = everywhere(0.0)
    for i in range(head):
        put(turn, 0.0, i, 0)
    for i in range(head, x.shape[0]):
        bend += get(steps, newest, i) * get(changes, newest, i)
        put(turn, get(changes, newest, i), i, 0)
    precondition(x, columns, everywhere(1.0), turn)
    soft = bend / (inner_row(changes, newest, turn) + TINY)
    if columns == 0:
        return soft
    soft = where_less(soft, SOFT[1], soft, SOFT[1])
    return where_less(SOFT[0], soft, soft, SOFT[0])
