"""Eigenvalues and eigenvectors of small matrices, eight matrices side by side.

Householder's tridiagonal form, bisection by the signs of minors or pivots, and cyclic Jacobi: Golub and Van Loan,
Matrix Computations (4th ed.), 8.3 to 8.5. Tests: test_lanes, test_cleaning.
"""

import numpy as np

from ..jit.accelerate import kernel, unmanaged
from ..jit.lanes import everywhere, get, lane_zeros, largest_lane, put, root, where_less

_HALVINGS = 54
_SWEEPS = 20
_CONVERGED = 1e-17  # squared size of what is off the diagonal; what follows is computed from the result anyway
_NEGLIGIBLE = 1e-20  # squared entry of a matrix of unit trace


@unmanaged
def _tridiagonal(a, n, v, p):
    """Reduce the lower triangle of a (n, n, lane) to tridiagonal form, in place; v and p are (n, 1) buffers."""
    for k in range(n - 2):
        tail = everywhere(0.0)
        for i in range(k + 2, n):
            tail += get(a, i, k) * get(a, i, k)
        x = get(a, k + 1, k)
        length = root(tail + x * x)
        length = where_less(x, 0.0, length, -length)  # the new entry, of the other sign: no cancellation
        v0 = x - length
        weight = 2.0 / (tail + v0 * v0)
        weight = where_less(0.0, tail, weight, 0.0)  # nothing to do in a lane that is tridiagonal here
        put(v, v0, k + 1, 0)
        for i in range(k + 2, n):
            put(v, get(a, i, k), i, 0)
        put(a, where_less(0.0, tail, length, x), k + 1, k)
        share = everywhere(0.0)
        for i in range(k + 1, n):
            s = everywhere(0.0)
            for j in range(k + 1, i + 1):
                s += get(a, i, j) * get(v, j, 0)
            for j in range(i + 1, n):
                s += get(a, j, i) * get(v, j, 0)
            s *= weight
            put(p, s, i, 0)
            share += s * get(v, i, 0)
        share *= 0.5 * weight
        for i in range(k + 1, n):
            put(p, get(p, i, 0) - share * get(v, i, 0), i, 0)
        for i in range(k + 1, n):
            x = get(v, i, 0)
            y = get(p, i, 0)
            for j in range(k + 1, i + 1):
                put(a, get(a, i, j) - x * get(p, j, 0) - y * get(v, j, 0), i, j)


@unmanaged
def _hermitian_tridiagonal(a, n, v, p):
    """Reduce the lower triangle of a Hermitian a (2 n, n, lane) like `_tridiagonal`; v and p are (2 n, 1) buffers.

    Below the diagonal come the sizes of the entries: their phases do not matter to the eigenvalues.
    """
    for k in range(n - 1):
        tail = everywhere(0.0)
        for i in range(k + 2, n):
            x = get(a, i, k)
            y = get(a, n + i, k)
            put(v, x, i, 0)
            put(v, y, n + i, 0)
            tail += x * x + y * y
        x = get(a, k + 1, k)
        y = get(a, n + k + 1, k)
        head2 = x * x + y * y
        head = root(head2)
        length = root(tail + head2)
        put(a, length, k + 1, k)
        # v = column + its length times the phase of its head: no cancellation.
        stretch = where_less(0.0, head, (head + length) / head, 0.0)
        put(v, where_less(0.0, head, stretch * x, length), k + 1, 0)
        put(v, stretch * y, n + k + 1, 0)
        weight = where_less(0.0, tail, 1.0 / (length * (length + head)), 0.0)  # 0: nothing to do in this lane
        share = everywhere(0.0)
        for i in range(k + 1, n):
            s = get(a, i, i) * get(v, i, 0)
            t = get(a, i, i) * get(v, n + i, 0)
            for j in range(k + 1, i):
                s += get(a, i, j) * get(v, j, 0) - get(a, n + i, j) * get(v, n + j, 0)
                t += get(a, i, j) * get(v, n + j, 0) + get(a, n + i, j) * get(v, j, 0)
            for j in range(i + 1, n):
                s += get(a, j, i) * get(v, j, 0) + get(a, n + j, i) * get(v, n + j, 0)
                t += get(a, j, i) * get(v, n + j, 0) - get(a, n + j, i) * get(v, j, 0)
            s *= weight
            t *= weight
            put(p, s, i, 0)
            put(p, t, n + i, 0)
            share += s * get(v, i, 0) + t * get(v, n + i, 0)
        share *= 0.5 * weight
        for i in range(k + 1, n):
            x = get(v, i, 0)
            y = get(v, n + i, 0)
            s = get(p, i, 0) - share * x
            t = get(p, n + i, 0) - share * y
            put(p, s, i, 0)
            put(p, t, n + i, 0)
            put(a, get(a, i, i) - 2.0 * (x * s + y * t), i, i)
            for j in range(k + 1, i):
                # v_i conj(p_j) + p_i conj(v_j)
                q = get(p, j, 0)
                r = get(p, n + j, 0)
                c = get(v, j, 0)
                d = get(v, n + j, 0)
                put(a, get(a, i, j) - (x * q + y * r) - (s * c + t * d), i, j)
                put(a, get(a, n + i, j) - (y * q - x * r) - (t * c - s * d), n + i, j)


@unmanaged
def _none_above(a, n, level):
    """1 in the lanes in which no eigenvalue of a tridiagonal matrix exceeds a level: all minors are positive."""
    before = everywhere(1.0)
    minor = level - get(a, 0, 0)
    fine = where_less(0.0, minor, 1.0, 0.0)
    for i in range(1, n):
        b = get(a, i, i - 1)
        after = (level - get(a, i, i)) * minor - b * b * before
        fine = where_less(0.0, after, fine, 0.0)
        before = minor
        minor = after
    return fine


@unmanaged
def _enclosure(a, n):
    """Interval that holds the largest eigenvalue of a tridiagonal matrix: above is the end of Gershgorin's discs."""
    low = get(a, 0, 0)
    high = everywhere(-np.inf)
    for i in range(n):
        d = get(a, i, i)
        low = where_less(low, d, d, low)
        reach = d
        for k in range(max(i - 1, 0), min(i + 1, n - 1)):
            b = get(a, k + 1, k)
            reach += where_less(b, 0.0, -b, b)
        high = where_less(high, reach, reach, high)
    return low, high


@unmanaged
def _bisect(a, n, low, high):
    """Largest eigenvalue of a tridiagonal matrix, which is between low and high."""
    for _ in range(_HALVINGS):
        x = 0.5 * (low + high)
        inside = where_less(low, x, where_less(x, high, 1.0, 0.0), 0.0)  # 0: there is no number between the two
        if largest_lane(inside) == 0.0:
            break
        fine = where_less(0.0, inside, _none_above(a, n, x), 2.0)
        high = where_less(fine, 2.0, where_less(0.0, fine, x, high), high)
        low = where_less(0.0, fine, low, x)
    return high


@unmanaged
def largest_eigenvalue(a, n, v, p):
    """Largest eigenvalue of the symmetric matrix in the lower triangle of a, which is overwritten."""
    _tridiagonal(a, n, v, p)
    low, high = _enclosure(a, n)
    return _bisect(a, n, low, high)


@unmanaged
def largest_hermitian(a, n, low, high, v, p):
    """Largest eigenvalue of the Hermitian matrix in the lower triangle of a (2 n, n, lane), which is overwritten.

    It is found faster where it is between the numbers low and high.
    """
    _hermitian_tridiagonal(a, n, v, p)
    bottom, top = _enclosure(a, n)
    bottom = where_less(0.0, _none_above(a, n, everywhere(low)), bottom, low)
    top = where_less(0.0, _none_above(a, n, everywhere(high)), high, top)
    return _bisect(a, n, bottom, top)


@unmanaged
def eigenvalues_above(a, n, level, v, p):
    """How many eigenvalues of the Hermitian matrix in the lower triangle of a, overwritten, exceed `level`."""
    _hermitian_tridiagonal(a, n, v, p)
    pivot = get(a, 0, 0) - level
    total = where_less(0.0, pivot, 1.0, 0.0)
    for i in range(1, n):
        b = get(a, i, i - 1)
        pivot = get(a, i, i) - level - b * b / pivot
        total += where_less(0.0, pivot, 1.0, 0.0)
    return total


@unmanaged
def _rotate(a, vectors, p, q, n, busy):
    """Jacobi rotation that makes a[p, q] vanish, in the lanes that are busy."""
    x = get(a, p, q)
    y = get(a, n + p, q)
    size2 = x * x + y * y
    busy = where_less(_NEGLIGIBLE, size2, busy, 0.0)
    if largest_lane(busy) == 0.0:  # between directions without power there is nothing to do, mostly
        return
    size = root(size2)
    size = where_less(0.0, busy, size, 1.0)
    x = where_less(0.0, busy, x / size, 1.0)  # the phase of a[p, q]
    y = where_less(0.0, busy, y / size, 0.0)
    ratio = 0.5 * (get(a, q, q) - get(a, p, p)) / size
    t = 1.0 / (where_less(ratio, 0.0, -ratio, ratio) + root(1.0 + ratio * ratio))
    t = where_less(ratio, 0.0, -t, t)
    c = where_less(0.0, busy, 1.0 / root(1.0 + t * t), 1.0)
    s = where_less(0.0, busy, t * c, 0.0)
    for k in range(n):
        for m in (a, vectors):
            ur = get(m, k, p)
            ui = get(m, n + k, p)
            wr = get(m, k, q)
            wi = get(m, n + k, q)
            vr = wr * x + wi * y
            vi = wi * x - wr * y
            put(m, c * ur - s * vr, k, p)
            put(m, c * ui - s * vi, n + k, p)
            put(m, s * ur + c * vr, k, q)
            put(m, s * ui + c * vi, n + k, q)
    for k in range(n):
        ur = get(a, p, k)
        ui = get(a, n + p, k)
        wr = get(a, q, k)
        wi = get(a, n + q, k)
        vr = wr * x - wi * y
        vi = wi * x + wr * y
        put(a, c * ur - s * vr, p, k)
        put(a, c * ui - s * vi, n + p, k)
        put(a, s * ur + c * vr, q, k)
        put(a, s * ui + c * vi, n + q, k)


@unmanaged
def eigen_hermitian_lanes(a, vectors, n):
    """Cyclic Jacobi for a positive semidefinite matrix of about unit trace (real part above, imaginary below).

    Afterwards the diagonal of a holds the eigenvalues, in no order, and the columns of `vectors` the eigenvectors.
    Each lane ends on its own: how many sweeps the others take changes nothing in it.
    """
    vectors[:] = 0.0
    for i in range(n):
        put(vectors, 1.0, i, i)
    busy = everywhere(1.0)
    for _ in range(_SWEEPS):
        off = everywhere(0.0)
        size = everywhere(0.0)
        for i in range(n):
            size += get(a, i, i) * get(a, i, i)
            for j in range(i):
                off += get(a, i, j) * get(a, i, j) + get(a, n + i, j) * get(a, n + i, j)
        busy = where_less(_CONVERGED * size, off, busy, 0.0)
        if largest_lane(busy) == 0.0:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                _rotate(a, vectors, p, q, n, busy)


@kernel
def eigen_space(n):
    """Buffers (v, p) for a symmetric matrix of this size; a Hermitian one needs those of twice its size."""
    return lane_zeros(n, 1), lane_zeros(n, 1)
