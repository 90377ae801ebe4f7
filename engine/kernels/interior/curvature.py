"""Second derivatives of the weighted bound with respect to the reduced covariance, for eight draws side by side.

A bound is sum_r F_r^T J^-1 F_r with J linear in x, so its second derivative along D is 2 sum_r |L^-1 J(D) v_r|^2,
with J = L L^T and the responses v_r = J^-1 F_r. Every entry of J(D) v_r is a sum of products m^T D c of a column m of
the mixing matrix with a vector c, or of (m^T u)(u^T c) for power on a codeword u. L is what `efim` leaves behind: the
factor of the gains' block, then that of the whitened equivalent FIM.

A Hermitian D has real coordinates in an orthonormal basis, column by column of its lower triangle: D_kk, then real and
imaginary parts of D_k+1,k, D_k+2,k, ... times sqrt 2. As the mixing matrix is upper triangular, the entry of the gain
of path h sees columns up to h only, and so does its row of L^-1 J(D) v: half of the work falls away.
Test: tests/engine/beamforming/test_interior.py.
"""

import math
from typing import NamedTuple

import numpy as np

from ..bound.efim import KINDS, relative_phase, responses
from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, largest_lane, put, root, where_less
from ..linalg.tiles import TILE, add_products

ROOT2 = math.sqrt(2.0)
_HALF = math.sqrt(0.5)


@unmanaged
def coordinate(i, k, n):
    """Place of D_kk, i = k, or of the real part of D_ik, i > k; the imaginary part follows."""
    first = k * (2 * n - k)
    return first if i == k else first + 2 * (i - k) - 1


@unmanaged
def coordinates(matrix, n, out):
    """Coordinates of a Hermitian matrix (2 n, n, lane), of which the lower triangle is read: (n^2, 1, lane)."""
    for i in range(n):
        for k in range(i):
            e = coordinate(i, k, n)
            put(out, ROOT2 * get(matrix, i, k), e, 0)
            put(out, ROOT2 * get(matrix, n + i, k), e + 1, 0)
        put(out, get(matrix, i, i), coordinate(i, i, n), 0)


@unmanaged
def matrix_of(vector, n, out):
    """Matrix with these coordinates: both triangles."""
    for i in range(n):
        for k in range(i):
            e = coordinate(i, k, n)
            x = _HALF * get(vector, e, 0)
            y = _HALF * get(vector, e + 1, 0)
            put(out, x, i, k)
            put(out, x, k, i)
            put(out, y, n + i, k)
            put(out, -y, n + k, i)
        put(out, get(vector, coordinate(i, i, n), 0), i, i)
        put(out, 0.0, n + i, i)


class CurvatureWork(NamedTuple):
    """Buffers of `add_curvature`. An odd number of columns keeps rows out of each other's way in the cache."""

    forms: np.ndarray  # L^-1 J(D) v: (n^2, columns), gain by gain all responses, then theirs of angles and delays
    raw: np.ndarray  # entries of angles and delays of J(D) v: (n^2, 3 * n + 1)
    driven: np.ndarray  # weights and phases times a response, by transmit column: (2 * n, 1)
    seen: np.ndarray  # c of every entry of J(D) v: (kinds * n, 2 * n)
    rest: np.ndarray  # entries of angles and delays for four D
    reach: np.ndarray  # how many rows of forms, in whole tiles, the gain of each path may see
    powers: bool  # whether the coordinates are codeword powers; a field, as an argument it would be compiled twice


@inlined
def curvature_work(evaluation, powers):
    """Buffers for an evaluation, over all coordinates of the reduced covariance, or over codeword powers."""
    count = evaluation.problem.mix.shape[0]
    size = _whole_tiles(count if powers else count * count)
    reach = np.full(count // 2, size)
    if not powers:
        for h in range(count // 2):
            reach[h] = _whole_tiles(coordinate(h + 1, h + 1, count))
    columns = 0
    for work in (evaluation.bistatic, evaluation.monostatic):
        columns = max(columns, work.responses.shape[1] * (count + work.triangle.shape[0]))
    inner = evaluation.bistatic.efim.shape[0]
    return CurvatureWork(
        lane_zeros(size, columns + 1 - columns % 2),
        lane_zeros(size, inner + 1 - inner % 2),
        lane_zeros(2 * count, 1),
        lane_zeros(KINDS * count // 2, 2 * count),
        lane_zeros(inner, 4),
        reach,
        powers,
    )


@unmanaged
def _whole_tiles(count):
    return -(-count // TILE) * TILE


@unmanaged
def add_curvature(evaluation, rho, value, space, out):
    """Lower triangle of out += second derivatives of f / value at the S that was evaluated last, f = value there."""
    _add_link(evaluation, evaluation.problem.bistatic, evaluation.bistatic, rho / value, space, out)
    _add_link(evaluation, evaluation.problem.monostatic, evaluation.monostatic, (1.0 - rho) / value, space, out)


@unmanaged
def _add_link(evaluation, link, work, weight, space, out):
    """The same of one link; nothing is computed where no lane gives it a weight."""
    if not largest_lane(weight) > 0.0:
        return
    n = link.phasor.shape[0]
    each = 2 * work.responses.shape[1]  # columns for a gain: real and imaginary parts
    last = _link_forms(evaluation, link, work, weight, each, space)
    for h in range(n):
        add_products(space.forms, space.reach[h], h * each, (h + 1) * each, out)
    add_products(space.forms, space.forms.shape[0], n * each, last, out)


@unmanaged
def _link_forms(evaluation, link, work, weight, each, space):
    """Columns of a link, times sqrt(2 weight): of gain h from h * each on, then the rest; returns where that ends."""
    count = evaluation.problem.mix.shape[0]
    n = link.phasor.shape[0]
    scale = root(where_less(0.0, weight, 2.0 * weight, 0.0))
    rows = work.responses.shape[1]
    responses(link, work, rows)
    for row in range(rows):
        first = 2 * row
        last = n * each + row * work.triangle.shape[0]
        for s in range(KINDS):
            for k in range(n):
                _drive(link, work.responses, row, s, k, scale, space.driven)
                _see(evaluation.problem.gram if space.powers else evaluation.problem.mix, s * n + k, space)
                if space.powers and evaluation.problem.gram_imag.shape[0] > 0:
                    _see_imaginary(evaluation.problem.gram_imag, s * n + k, space)
        for k in range(count):
            if space.powers:
                _single_form(evaluation.problem.gram, link.parameter_of_kind, k, k, space, first, each)
                if evaluation.problem.gram_imag.shape[0] > 0:
                    _imaginary_form(evaluation.problem.gram_imag, link.parameter_of_kind, k, space, first, each)
                continue
            _single_form(evaluation.problem.mix, link.parameter_of_kind, k, coordinate(k, k, count), space, first, each)
            for i in range(k + 1, count):
                _form_pair(evaluation.problem.mix, link.parameter_of_kind, i, k, space, first, each)
        for e in range(0, space.forms.shape[0], TILE):
            _half_solve_gains(work, weight, e, first, each, space)
            _half_solve_rest(link, work, weight, e, last, space)
    return n * each + rows * work.triangle.shape[0]


@unmanaged
def _drive(link, vectors, row, s, k, scale, driven):
    """Weights and phases of the entry of kind s and path k of J v_row, by transmit column, times scale."""
    n = link.phasor.shape[0]
    size = vectors.shape[0] // 2
    for h in range(n):
        real, imag = relative_phase(link.phasor, k, h)
        for v in range(2):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for t in range(KINDS):
                if (t == 1) == (v == 1):
                    w = get(link.weights, s * n + k, t * n + h)
                    i = link.parameter_of_kind[t] * n + h
                    x += w * get(vectors, i, row)
                    y += w * get(vectors, size + i, row)
            put(driven, scale * (x * real - y * imag), v * n + h, 0)
            put(driven, scale * (x * imag + y * real), 2 * n + v * n + h, 0)


@unmanaged
def _see(columns, place, space):
    """Vector c = columns * driven; the mixing matrix is upper triangular."""
    count = columns.shape[0]
    for i in range(count):
        x = everywhere(0.0)
        y = everywhere(0.0)
        for h in range(0 if space.powers else i, count):
            w = get(columns, i, h)
            x += w * get(space.driven, h, 0)
            y += w * get(space.driven, count + h, 0)
        put(space.seen, x, place, i)
        put(space.seen, y, place, count + i)


@unmanaged
def _see_imaginary(columns, place, space):
    """Add what the imaginary part of codewords makes of it, c = conj(B^H u) driven."""
    count = columns.shape[0]
    for i in range(count):
        x = get(space.seen, place, i)
        y = get(space.seen, place, count + i)
        for h in range(count):
            w = get(columns, i, h)
            x += w * get(space.driven, count + h, 0)
            y -= w * get(space.driven, h, 0)
        put(space.seen, x, place, i)
        put(space.seen, y, place, count + i)


@unmanaged
def _form_pair(mix, kind, i, k, space, first, each):
    """Re and Im m^T D c for the real and the imaginary coordinate of D_ik, k < i."""
    count = mix.shape[0]
    n = count // 2
    e = coordinate(i, k, count)
    for r in range(kind[KINDS - 1] * n):
        put(space.raw, 0.0, e, r)
        put(space.raw, 0.0, e + 1, r)
    for s in range(KINDS):
        for h in range(n):
            column = n + h if s == 1 else h
            if column < k:  # the column of mix ends above
                if s == 0:
                    place = h * each + first
                    for r in range(e, e + 2):
                        put(space.forms, 0.0, r, place)
                        put(space.forms, 0.0, r, place + 1)
                continue
            p = _HALF * get(mix, i, column)
            q = _HALF * get(mix, k, column)
            a = s * n + h
            u = p * get(space.seen, a, k)
            v = p * get(space.seen, a, count + k)
            x = q * get(space.seen, a, i)
            y = q * get(space.seen, a, count + i)
            if s == 0:
                place = h * each + first
                put(space.forms, u + x, e, place)
                put(space.forms, v + y, e, place + 1)
                put(space.forms, y - v, e + 1, place)
                put(space.forms, u - x, e + 1, place + 1)
            else:
                r = (kind[s] - 1) * n + h
                put(space.raw, get(space.raw, e, r) + (u + x), e, r)
                put(space.raw, get(space.raw, e + 1, r) + (y - v), e + 1, r)


@unmanaged
def _single_form(columns, kind, k, e, space, first, each):
    """The same for D_kk (columns: mix), or power on codeword k (columns: gram): columns[k, m] c_k into row e."""
    n = columns.shape[0] // 2
    for r in range(kind[KINDS - 1] * n):
        put(space.raw, 0.0, e, r)
    for s in range(KINDS):
        for h in range(n):
            p = get(columns, k, n + h if s == 1 else h)
            x = p * get(space.seen, s * n + h, k)
            if s == 0:
                put(space.forms, x, e, h * each + first)
                put(space.forms, p * get(space.seen, h, 2 * n + k), e, h * each + first + 1)
            else:
                r = (kind[s] - 1) * n + h
                put(space.raw, get(space.raw, e, r) + x, e, r)


@unmanaged
def _imaginary_form(columns, kind, k, space, first, each):
    """Add what the imaginary part of B^H u_k makes of its entries: j columns[k, m] c_k into row k."""
    n = columns.shape[0] // 2
    for s in range(KINDS):
        for h in range(n):
            q = get(columns, k, n + h if s == 1 else h)
            x = q * get(space.seen, s * n + h, 2 * n + k)
            if s == 0:
                place = h * each + first
                put(space.forms, get(space.forms, k, place) - x, k, place)
                put(space.forms, get(space.forms, k, place + 1) + q * get(space.seen, h, k), k, place + 1)
            else:
                r = (kind[s] - 1) * n + h
                put(space.raw, get(space.raw, k, r) - x, k, r)


@unmanaged
def _half_solve_gains(work, weight, e, first, each, space):
    """L^-1 in the gains' columns of rows e..e+3 of forms, in place; 0 in the lanes without weight."""
    n = work.gain_columns.shape[1]
    size = n + work.efim.shape[0]
    forms = space.forms
    for k in range(n):
        if e >= space.reach[k]:
            continue
        place = k * each + first
        for r in range(e, e + 4, 2):
            x = get(forms, r, place)
            y = get(forms, r, place + 1)
            z = get(forms, r + 1, place)
            w = get(forms, r + 1, place + 1)
            for h in range(k):
                if e >= space.reach[h]:
                    continue
                p = get(work.gain_columns, k, h)
                q = get(work.gain_columns, size + k, h)
                other = h * each + first
                a = get(forms, r, other)
                b = get(forms, r, other + 1)
                c = get(forms, r + 1, other)
                d = get(forms, r + 1, other + 1)
                x -= p * a - q * b
                y -= p * b + q * a
                z -= p * c - q * d
                w -= p * d + q * c
            scale = get(work.gain_columns, k, k)
            put(forms, where_less(0.0, weight, x * scale, 0.0), r, place)
            put(forms, where_less(0.0, weight, y * scale, 0.0), r, place + 1)
            put(forms, where_less(0.0, weight, z * scale, 0.0), r + 1, place)
            put(forms, where_less(0.0, weight, w * scale, 0.0), r + 1, place + 1)
    for i in range(work.efim.shape[0]):
        x = get(space.raw, e, i)
        y = get(space.raw, e + 1, i)
        z = get(space.raw, e + 2, i)
        w = get(space.raw, e + 3, i)
        for h in range(n):
            if e >= space.reach[h]:
                continue
            p = get(work.gain_columns, n + i, h)
            q = get(work.gain_columns, size + n + i, h)
            place = h * each + first
            x -= p * get(forms, e, place) - q * get(forms, e, place + 1)
            y -= p * get(forms, e + 1, place) - q * get(forms, e + 1, place + 1)
            z -= p * get(forms, e + 2, place) - q * get(forms, e + 2, place + 1)
            w -= p * get(forms, e + 3, place) - q * get(forms, e + 3, place + 1)
        put(space.rest, x, i, 0)
        put(space.rest, y, i, 1)
        put(space.rest, z, i, 2)
        put(space.rest, w, i, 3)


@unmanaged
def _half_solve_rest(link, work, weight, e, last, space):
    """L^-1 of what the gains leave of angles and delays into rows e..e+3 of forms, from column `last` on."""
    inner = work.efim.shape[0]
    forms = space.forms
    rest = space.rest
    for a in range(work.triangle.shape[0]):
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
            x -= p * get(forms, e, last + b)
            y -= p * get(forms, e + 1, last + b)
            z -= p * get(forms, e + 2, last + b)
            w -= p * get(forms, e + 3, last + b)
        scale = get(work.triangle, a, a)
        put(forms, where_less(0.0, weight, x * scale, 0.0), e, last + a)
        put(forms, where_less(0.0, weight, y * scale, 0.0), e + 1, last + a)
        put(forms, where_less(0.0, weight, z * scale, 0.0), e + 2, last + a)
        put(forms, where_less(0.0, weight, w * scale, 0.0), e + 3, last + a)
