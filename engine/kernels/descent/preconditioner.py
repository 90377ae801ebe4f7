"""What rotating the rows of U costs a factor in polar form (`polar`): a guess of the inverse Hessian for L-BFGS.

Test: test_polar.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, put, root, where_less

_TINY = 1e-150
# Inverse curvatures of log f + log power along T: f = sum_i c_i / t_i^2 gives 8 at its optimum on the diagonal, but for
# scaling all t the same way; the third entry, and paths whose share hardly matters, have 2 and less.
_DIAGONAL, _BELOW = 0.2, 0.4
# Along U, next to the slack: all that is missing far from the optimum, and what beams add that overlap, at most.
_LEAST_EXTRA, _MOST_EXTRA = 0.02, 1.0
_ANY_WAY = 0.05  # share of the guess for one direction that counts for all
_LEAST_SCALE, _MOST_SCALE = 0.2, 2.0  # inverse curvatures along U for a slack of 1
_PARALLEL = 1e-12  # squared share of a derivative row that is new beside those before it
_NEARLY_PARALLEL = 1e-12  # share of a path's power that both rows of T_k have at least, where it is divided by


class Shape(NamedTuple):
    """Of a factor: n paths, q rows a path, and columns; roots of powers have none."""

    paths: int
    rows: int
    columns: int


@unmanaged
def shape_of(problems, columns):
    """Of factors with so many columns, for the problems (`ProblemArrays`)."""
    paths = problems.coupling.shape[2]
    return Shape(paths, problems.mix.shape[1] // paths, columns)


@unmanaged
def head_of(shape):
    """How many of the unknowns are entries of T; none of roots of powers."""
    return shape.paths * entries_of(shape.rows) if shape.columns > 0 else 0


@unmanaged
def entries_of(rows):
    """How many unknowns the T_k of a path has: its diagonal, and real and imaginary part of its first column."""
    return 3 * rows - 2


@unmanaged
def entry_of(i, q):
    """Place of T_i0, i > 0, among the entries of a path: its real part, which the imaginary part follows."""
    return q + 2 * (i - 1)


class Stiffness(NamedTuple):
    """What rotating the rows of U costs, as `precondition_polar` takes it; of eight points."""

    plain: np.ndarray  # whichever way row i is rotated, d_i: (qn, 1); along roots of powers, second derivatives
    factors: np.ndarray  # of D_i^*, row by row of U: (qn * 2 * columns, columns)
    products: np.ndarray  # of the steering rows with themselves: (n * 2 * columns, columns)
    mutual: np.ndarray  # orthonormal directions of a path's derivative rows: (2 * q * columns, 1)
    shares: np.ndarray  # of a vector's steering row along these: (2 * q, 1)


@inlined
def new_stiffness(shape):
    """Room for the rows of U, or for roots of powers."""
    count = shape.paths * shape.rows
    return Stiffness(
        lane_zeros(count, 1),
        lane_zeros(2 * count * shape.columns, shape.columns),
        lane_zeros(2 * shape.paths * shape.columns, shape.columns),
        lane_zeros(2 * shape.rows * shape.columns, 1),
        lane_zeros(2 * shape.rows, 1),
    )


@unmanaged
def guess_stiffness(evaluation, x, shape, share, stiffness):
    """Half the cost of rotating row i: D_i = d_i 1 + sum_l w_il (u_l^H u_l + some 1), u_l steering rows of other paths.

    d_i is the slack 1 - power N_ii, which is exact, where it is positive, and some more. The sum guesses second
    derivatives of f: a correlation c of row i with u_l takes k^2 |c|^2 of the information that both give, where k is
    the correlation of what arrives through the two, so w_il = k_il^2 |t_l|^2 / S_ii. x (unknowns, 1, lane) is the
    point evaluated last, share its power / f.
    """
    n, rows, columns = shape
    count = n * rows
    head = head_of(shape)
    imag = count * columns
    for path in range(n):
        first = head + path * columns
        power = get(x, entries_of(rows) * path, 0) * get(x, entries_of(rows) * path, 0)
        for a in range(columns):
            p = power * get(x, first + a, 0)
            q = power * get(x, imag + first + a, 0)
            for b in range(a + 1):
                r = get(x, first + b, 0)
                s = get(x, imag + first + b, 0)
                u = p * r + q * s
                if a == b:
                    u += _ANY_WAY * power
                put(stiffness.products, u, 2 * path * columns + a, b)
                put(stiffness.products, q * r - p * s, (2 * path + 1) * columns + a, b)
    for i in range(count):
        slack = 1.0 - share * get(evaluation.negative_gradient, i, i)
        extra = _LEAST_EXTRA + get(evaluation.problem.overlap, i, 0)
        extra = where_less(extra, _MOST_EXTRA, extra, _MOST_EXTRA)
        plain = where_less(0.0, slack, slack, 0.0) + extra
        put(stiffness.plain, plain, i, 0)
        scale = 1.0 / (get(evaluation.sr, i, i) + _TINY)
        for a in range(columns):
            for b in range(a + 1):
                u = everywhere(0.0)
                v = everywhere(0.0)
                for path in range(n):
                    w = get(evaluation.problem.coupling, i, path)
                    u += w * get(stiffness.products, 2 * path * columns + a, b)
                    v += w * get(stiffness.products, (2 * path + 1) * columns + a, b)
                u *= scale
                if a == b:
                    u += plain
                put(stiffness.factors, u, 2 * i * columns + a, b)
                put(stiffness.factors, v * scale, (2 * i + 1) * columns + a, b)
        _factor(stiffness.factors, 2 * i * columns, columns)


@unmanaged
def _factor(a, first, n):
    """Factor L D L^H of the positive definite Hermitian matrix in rows first..first + 2 n, D^-1 on the diagonal."""
    imag = first + n
    for j in range(n):
        pivot = 1.0 / get(a, first + j, j)
        put(a, pivot, first + j, j)
        for i in range(j + 1, n):
            x = get(a, first + i, j)
            y = get(a, imag + i, j)
            p = x * pivot
            q = y * pivot
            for k in range(j + 1, i):
                u = get(a, first + k, j)
                v = get(a, imag + k, j)
                put(a, get(a, first + i, k) - p * u - q * v, first + i, k)
                put(a, get(a, imag + i, k) - q * u + p * v, imag + i, k)
            put(a, get(a, first + i, i) - p * x - q * y, first + i, i)
        for i in range(j + 1, n):
            put(a, get(a, first + i, j) * pivot, first + i, j)
            put(a, get(a, imag + i, j) * pivot, imag + i, j)


@unmanaged
def _solve(factor, first, n, vector, place, imag):
    """Solve L D L^H z = w in place, w = vector[place : place + n], imaginary parts `imag` further on."""
    for i in range(1, n):
        x = get(vector, place + i, 0)
        y = get(vector, imag + place + i, 0)
        for k in range(i):
            p = get(factor, first + i, k)
            q = get(factor, first + n + i, k)
            u = get(vector, place + k, 0)
            v = get(vector, imag + place + k, 0)
            x -= p * u - q * v
            y -= p * v + q * u
        put(vector, x, place + i, 0)
        put(vector, y, imag + place + i, 0)
    for i in range(n - 1, -1, -1):
        pivot = get(factor, first + i, i)
        x = pivot * get(vector, place + i, 0)
        y = pivot * get(vector, imag + place + i, 0)
        for k in range(i + 1, n):
            p = get(factor, first + k, i)
            q = get(factor, first + n + k, i)
            u = get(vector, place + k, 0)
            v = get(vector, imag + place + k, 0)
            x -= p * u + q * v
            y -= p * v - q * u
        put(vector, x, place + i, 0)
        put(vector, y, imag + place + i, 0)


@unmanaged
def precondition_polar(x, shape, stiffness, scale, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, for a factor in polar form.

    With W_k = T_k U_k rotated, row i of W_k costs D_i, times 1 / scale. When the first row of U_k goes towards a later
    one, that one rotates too: these directions have a cost of their own. x and vector are (unknowns, 1, lane).
    """
    n, q, columns = shape
    for k in range(n):
        first = entries_of(q) * k
        t0, t1 = get(x, first, 0), get(x, first + 1, 0)
        least = t0 * t0 + t1 * t1
        for i in range(2, entries_of(q)):
            entry = get(x, first + i, 0)
            least += entry * entry
        for i in range(entries_of(q)):
            share = _DIAGONAL if i < q else _BELOW
            put(vector, share * get(vector, first + i, 0), first + i, 0)
        least = _NEARLY_PARALLEL * least + _TINY
        _leave_mutual(x, shape, k, stiffness, vector)
        _solve_shape_adjoint(x, shape, k, least, vector)
        for i in range(q):
            row = i * n + k
            place = head_of(shape) + row * columns
            _solve(stiffness.factors, 2 * row * columns, columns, vector, place, n * q * columns)
        _solve_shape(x, shape, k, least, scale, vector)
        _set_mutual(x, shape, k, least, scale, stiffness, vector)


@unmanaged
def _leave_mutual(x, shape, k, stiffness, vector):
    """Take what rotates the first row of path k into later ones out of the vector, and note how much it is."""
    n, q, columns = shape
    head = head_of(shape)
    imag = n * q * columns
    a = head + k * columns
    mutual, half = stiffness.mutual, stiffness.mutual.shape[0] // 2
    for j in range(1, q):
        _own_direction(x, shape, k, j, mutual)
        re, im = _row_product(vector, a, imag, mutual, j * columns, half, columns)
        put(stiffness.shares, re, 2 * j, 0)
        put(stiffness.shares, im, 2 * j + 1, 0)
    for j in range(1, q):
        cr, ci = get(stiffness.shares, 2 * j, 0), get(stiffness.shares, 2 * j + 1, 0)
        for c in range(columns):
            ur = get(mutual, j * columns + c, 0)
            ui = get(mutual, half + j * columns + c, 0)
            put(vector, get(vector, a + c, 0) - (cr * ur - ci * ui), a + c, 0)
            put(vector, get(vector, imag + a + c, 0) - (cr * ui + ci * ur), imag + a + c, 0)


@unmanaged
def _own_direction(x, shape, k, j, mutual):
    """What is in row j of U_k and not in the derivative rows before it, of unit length or 0, into `mutual`."""
    n, q, columns = shape
    d = head_of(shape) + (j * n + k) * columns
    imag = n * q * columns
    half = mutual.shape[0] // 2
    for c in range(columns):
        put(mutual, get(x, d + c, 0), j * columns + c, 0)
        put(mutual, get(x, imag + d + c, 0), half + j * columns + c, 0)
    for i in range(1, j):
        re, im = _row_product(mutual, j * columns, half, mutual, i * columns, half, columns)
        length2 = everywhere(0.0)
        for c in range(columns):
            dr = get(mutual, i * columns + c, 0)
            di = get(mutual, half + i * columns + c, 0)
            ar = get(mutual, j * columns + c, 0) - (re * dr - im * di)
            ai = get(mutual, half + j * columns + c, 0) - (re * di + im * dr)
            put(mutual, ar, j * columns + c, 0)
            put(mutual, ai, half + j * columns + c, 0)
            length2 += ar * ar + ai * ai
        scale = where_less(_PARALLEL, length2, 1.0 / root(length2), 0.0)
        for c in range(columns):
            put(mutual, scale * get(mutual, j * columns + c, 0), j * columns + c, 0)
            put(mutual, scale * get(mutual, half + j * columns + c, 0), half + j * columns + c, 0)


@unmanaged
def _row_product(vector, a, imag, rows, d, half, columns):
    """Inner product of a row of a vector, at a, with one of others, at d; their imaginary parts are further on."""
    re = everywhere(0.0)
    im = everywhere(0.0)
    for c in range(columns):
        ar = get(vector, a + c, 0)
        ai = get(vector, imag + a + c, 0)
        dr = get(rows, d + c, 0)
        di = get(rows, half + d + c, 0)
        re += ar * dr + ai * di
        im += ai * dr - ar * di
    return re, im


@unmanaged
def _inverse_entry(x, place, least):
    """1 over an entry of T's diagonal, kept finite."""
    t = get(x, place, 0)
    return t / (t * t + least)


@unmanaged
def _solve_shape_adjoint(x, shape, k, least, vector):
    """T^-H in the rows of path k."""
    n, q, columns = shape
    imag = n * q * columns
    first = entries_of(q) * k
    for i in range(q - 1, -1, -1):
        own = _inverse_entry(x, first + i, least)
        a = head_of(shape) + (i * n + k) * columns
        for c in range(columns):
            ar = get(vector, a + c, 0)
            ai = get(vector, imag + a + c, 0)
            for j in range(1, q if i == 0 else 1):
                d = a + j * n * columns
                tr = get(x, first + entry_of(j, q), 0)
                ti = get(x, first + entry_of(j, q) + 1, 0)
                dr = get(vector, d + c, 0)
                di = get(vector, imag + d + c, 0)
                ar = ar - tr * dr - ti * di
                ai = ai - tr * di + ti * dr
            put(vector, own * ar, a + c, 0)
            put(vector, own * ai, imag + a + c, 0)


@unmanaged
def _solve_shape(x, shape, k, least, scale, vector):
    """T^-1 in the rows of path k, times scale."""
    n, q, columns = shape
    imag = n * q * columns
    first = entries_of(q) * k
    d = head_of(shape) + k * columns
    for i in range(q):
        own = _inverse_entry(x, first + i, least)
        a = d + i * n * columns
        if i == 0:
            own *= scale
        for c in range(columns):
            ar = get(vector, a + c, 0)
            ai = get(vector, imag + a + c, 0)
            if i > 0:
                tr = get(x, first + entry_of(i, q), 0)
                ti = get(x, first + entry_of(i, q) + 1, 0)
                dr = get(vector, d + c, 0)
                di = get(vector, imag + d + c, 0)
                ar = scale * ar - tr * dr + ti * di
                ai = scale * ai - tr * di - ti * dr
            put(vector, own * ar, a + c, 0)
            put(vector, own * ai, imag + a + c, 0)


@unmanaged
def _set_mutual(x, shape, k, least, scale, stiffness, vector):
    """Put what rotates the first row of path k into later ones in the vector, by its own guess of curvature."""
    n, q, columns = shape
    imag = n * q * columns
    first = entries_of(q) * k
    a = head_of(shape) + k * columns
    mutual, half = stiffness.mutual, stiffness.mutual.shape[0] // 2
    own, own_cost = get(x, first, 0), get(stiffness.plain, k, 0)
    for j in range(1, q):
        other, other_cost = get(x, first + j, 0), get(stiffness.plain, j * n + k, 0)
        both = scale / (own_cost * own * own + other_cost * other * other + least)
        re, im = _row_product(vector, a, imag, mutual, j * columns, half, columns)
        br = get(stiffness.shares, 2 * j, 0) * both - re
        bi = get(stiffness.shares, 2 * j + 1, 0) * both - im
        for c in range(columns):
            ur = get(mutual, j * columns + c, 0)
            ui = get(mutual, half + j * columns + c, 0)
            put(vector, get(vector, a + c, 0) + br * ur - bi * ui, a + c, 0)
            put(vector, get(vector, imag + a + c, 0) + br * ui + bi * ur, imag + a + c, 0)


@unmanaged
def within_scales(scale):
    """The same scale of inverse curvatures along U, kept within what is plausible."""
    scale = where_less(scale, _MOST_SCALE, scale, _MOST_SCALE)
    return where_less(_LEAST_SCALE, scale, scale, _LEAST_SCALE)
