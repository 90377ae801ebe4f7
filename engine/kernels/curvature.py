"""Second derivatives of the weighted bound with respect to the reduced covariance, for eight draws side by side.

A bound is sum_r F_r^T J^-1 F_r with J linear in x, so its second derivative along D is 2 sum_r |L^-1 J(D) v_r|^2,
with J = L L^T and the responses v_r = J^-1 F_r that the gradient needs as well. Every entry of J(D) v_r is a sum of
products m^T D c of a column m of the mixing matrix with a vector c; L is what `efim` leaves behind: the factor of the
gains' block, then that of the whitened equivalent FIM.

A Hermitian D has real coordinates in an orthonormal basis: row i of its lower triangle takes the places i^2 to
i^2 + 2 i, real and imaginary parts of D_i0, D_i1, ... times sqrt 2, then D_ii.
"""

import math
from typing import NamedTuple

import numpy as np

from ..accelerate import kernel
from ..lanes import everywhere, get, lane_zeros, put, root, where_less
from .efim import KINDS, relative_phase
from .tiles import add_products

ROOT2 = math.sqrt(2.0)
_HALF = math.sqrt(0.5)


@kernel
def coordinates(matrix, n, out):
    """Coordinates of a Hermitian matrix (2 n, n, lane), of which the lower triangle is read: (n^2, 1, lane)."""
    for i in range(n):
        for k in range(i):
            put(out, ROOT2 * get(matrix, i, k), i * i + 2 * k, 0)
            put(out, ROOT2 * get(matrix, n + i, k), i * i + 2 * k + 1, 0)
        put(out, get(matrix, i, i), i * i + 2 * i, 0)


@kernel
def matrix_of(vector, n, out):
    """The Hermitian matrix with these coordinates: both triangles."""
    for i in range(n):
        for k in range(i):
            x = _HALF * get(vector, i * i + 2 * k, 0)
            y = _HALF * get(vector, i * i + 2 * k + 1, 0)
            put(out, x, i, k)
            put(out, x, k, i)
            put(out, y, n + i, k)
            put(out, -y, n + k, i)
        put(out, get(vector, i * i + 2 * i, 0), i, i)
        put(out, 0.0, n + i, i)


class CurvatureWork(NamedTuple):
    """Buffers of `add_curvature`. An odd number of columns keeps rows of forms out of each other's way in the cache."""

    forms: np.ndarray  # (n^2, columns)
    driven: np.ndarray  # weights and phases times a response, by transmit column: (2 * n, 1)
    seen: np.ndarray  # c of every entry of J(D) v: (kinds * n, 2 * n)
    rest: np.ndarray  # entries of angles and delays for four D


@kernel
def curvature_work(block):
    """Buffers for a block."""
    count = block.mix.shape[0]
    columns = block.bistatic_work.efim.shape[0]  # more entries before they are solved than after
    for work in (block.bistatic_work, block.monostatic_work):
        columns += work.vectors.shape[1] * (count + work.triangle.shape[0])
    return CurvatureWork(
        lane_zeros(count * count, columns + 1 - columns % 2),
        lane_zeros(2 * count, 1),
        lane_zeros(KINDS * count // 2, 2 * count),
        lane_zeros(block.bistatic_work.efim.shape[0], 4),
    )


@kernel
def add_curvature(block, rho, value, space, out):
    """Lower triangle of out += second derivatives of f / value at the S that was evaluated last, f = value there."""
    count = block.mix.shape[0]
    used = _link_forms(block.mix, block.bistatic, block.bistatic_work, rho / value, space, 0)
    used = _link_forms(block.mix, block.monostatic, block.monostatic_work, (1.0 - rho) / value, space, used)
    add_products(space.forms, count * count, used, out)


@kernel
def _link_forms(mix, link, work, weight, space, used):
    """L^-1 J(D) v_r of a link, times sqrt(2 weight), over all coordinates of D; the number of the next column.

    For every response: gains (real parts, imaginary parts), then positions.
    """
    count = mix.shape[0]
    n = link.phasor.shape[0]
    scale = root(where_less(0.0, weight, 2.0 * weight, 0.0))
    for row in range(work.vectors.shape[1]):
        for s in range(KINDS):
            for k in range(n):
                _look(mix, link, work.vectors, row, s, k, scale, space)
        for i in range(count):
            for k in range(i):
                _form_pair(mix, link, i, k, space, used)
            _form_single(mix, link, i, space, used)
        for e in range(0, count * count, 4):
            _half_solve(link, work, weight, e, space.forms, used, space.rest)
        used += count + work.triangle.shape[0]
    return used


@kernel
def _look(mix, link, vectors, row, s, k, scale, space):
    """Vector c of the entry of kind s and path k of J(D) v_row, times scale."""
    count = mix.shape[0]
    n = count // 2
    size = vectors.shape[0] // 2
    for h in range(n):
        real, imag = relative_phase(link.phasor, k, h)
        for v in range(2):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for t in range(KINDS):
                if (t == 1) == (v == 1):
                    w = get(link.weights, s * n + k, t * n + h)
                    i = link.fold[t] * n + h
                    x += w * get(vectors, i, row)
                    y += w * get(vectors, size + i, row)
            put(space.driven, scale * (x * real - y * imag), v * n + h, 0)
            put(space.driven, scale * (x * imag + y * real), count + v * n + h, 0)
    for i in range(count):
        x = everywhere(0.0)
        y = everywhere(0.0)
        for h in range(i, count):  # mix is upper triangular
            w = get(mix, i, h)
            x += w * get(space.driven, h, 0)
            y += w * get(space.driven, count + h, 0)
        put(space.seen, x, s * n + k, i)
        put(space.seen, y, s * n + k, count + i)


@kernel
def _form_pair(mix, link, i, k, space, used):
    """Re and Im m^T D c for the real and the imaginary coordinate of D_ik, k < i."""
    count = mix.shape[0]
    n = count // 2
    forms = space.forms
    e = i * i + 2 * k
    rest = used + count
    for r in range(rest, rest + link.fold[KINDS - 1] * n):
        put(forms, 0.0, e, r)
        put(forms, 0.0, e + 1, r)
    for s in range(KINDS):
        for h in range(n):
            column = n + h if s == 1 else h
            p = _HALF * get(mix, i, column)
            q = _HALF * get(mix, k, column)
            a = s * n + h
            u = p * get(space.seen, a, k)
            v = p * get(space.seen, a, count + k)
            x = q * get(space.seen, a, i)
            y = q * get(space.seen, a, count + i)
            if s == 0:
                put(forms, u + x, e, used + h)
                put(forms, v + y, e, used + n + h)
                put(forms, y - v, e + 1, used + h)
                put(forms, u - x, e + 1, used + n + h)
            else:
                r = rest + (link.fold[s] - 1) * n + h
                put(forms, get(forms, e, r) + (u + x), e, r)
                put(forms, get(forms, e + 1, r) + (y - v), e + 1, r)


@kernel
def _form_single(mix, link, i, space, used):
    """The same for the coordinate D_ii."""
    count = mix.shape[0]
    n = count // 2
    forms = space.forms
    e = i * i + 2 * i
    rest = used + count
    for r in range(rest, rest + link.fold[KINDS - 1] * n):
        put(forms, 0.0, e, r)
    for s in range(KINDS):
        for h in range(n):
            p = get(mix, i, n + h if s == 1 else h)
            x = p * get(space.seen, s * n + h, i)
            if s == 0:
                put(forms, x, e, used + h)
                put(forms, p * get(space.seen, h, count + i), e, used + n + h)
            else:
                r = rest + (link.fold[s] - 1) * n + h
                put(forms, get(forms, e, r) + x, e, r)


@kernel
def _half_solve(link, work, weight, e, forms, used, rest):
    """Multiply rows e..e+3 of forms, from column `used` on, by L^-1 in place; 0 in the lanes without weight."""
    n = link.phasor.shape[0]
    inner = work.efim.shape[0]
    m = work.triangle.shape[0]
    size = n + inner
    for k in range(n):
        for r in range(e, e + 4, 2):
            x = get(forms, r, used + k)
            y = get(forms, r, used + n + k)
            z = get(forms, r + 1, used + k)
            w = get(forms, r + 1, used + n + k)
            for h in range(k):
                p = get(work.gains, k, h)
                q = get(work.gains, size + k, h)
                a = get(forms, r, used + h)
                b = get(forms, r, used + n + h)
                c = get(forms, r + 1, used + h)
                d = get(forms, r + 1, used + n + h)
                x -= p * a - q * b
                y -= p * b + q * a
                z -= p * c - q * d
                w -= p * d + q * c
            scale = where_less(0.0, weight, get(work.gains, k, k), 0.0)
            put(forms, x * scale, r, used + k)
            put(forms, y * scale, r, used + n + k)
            put(forms, z * scale, r + 1, used + k)
            put(forms, w * scale, r + 1, used + n + k)
    first = used + 2 * n
    for i in range(inner):
        x = get(forms, e, first + i)
        y = get(forms, e + 1, first + i)
        z = get(forms, e + 2, first + i)
        w = get(forms, e + 3, first + i)
        for h in range(n):
            p = get(work.gains, n + i, h)
            q = get(work.gains, size + n + i, h)
            x -= p * get(forms, e, used + h) - q * get(forms, e, used + n + h)
            y -= p * get(forms, e + 1, used + h) - q * get(forms, e + 1, used + n + h)
            z -= p * get(forms, e + 2, used + h) - q * get(forms, e + 2, used + n + h)
            w -= p * get(forms, e + 3, used + h) - q * get(forms, e + 3, used + n + h)
        put(rest, x, i, 0)
        put(rest, y, i, 1)
        put(rest, z, i, 2)
        put(rest, w, i, 3)
    for a in range(m):
        x = get(rest, a, 0)
        y = get(rest, a, 1)
        z = get(rest, a, 2)
        w = get(rest, a, 3)
        if link.transform.shape[0] > 0:
            x = everywhere(0.0)
            y = everywhere(0.0)
            z = everywhere(0.0)
            w = everywhere(0.0)
            for i in range(inner):
                p = get(link.transform, i, a)
                x += p * get(rest, i, 0)
                y += p * get(rest, i, 1)
                z += p * get(rest, i, 2)
                w += p * get(rest, i, 3)
        for b in range(a):
            p = get(work.triangle, a, b)
            x -= p * get(forms, e, first + b)
            y -= p * get(forms, e + 1, first + b)
            z -= p * get(forms, e + 2, first + b)
            w -= p * get(forms, e + 3, first + b)
        scale = where_less(0.0, weight, get(work.triangle, a, a), 0.0)
        put(forms, x * scale, e, first + a)
        put(forms, y * scale, e + 1, first + a)
        put(forms, z * scale, e + 2, first + a)
        put(forms, w * scale, e + 3, first + a)
