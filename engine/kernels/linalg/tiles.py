"""Factors and solutions of eight symmetric systems side by side, too large for the first cache: in tiles of 4 x 4.

A tile is 16 sums in registers, to which each of eight loads contributes four times. Rows and columns come in fours.
Test: test_interior.
"""

from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put, root, where_less

TILE = 4


@unmanaged
def whole_tiles(count):
    """So many rows or columns, and as many more as a last tile needs."""
    return -(-count // TILE) * TILE


@unmanaged
def _row_products(a, i, j, first, end):
    """Inner products over columns first..end of rows i..i+3 with rows j..j+3 of a, row by row."""
    s00 = everywhere(0.0)
    s01 = everywhere(0.0)
    s02 = everywhere(0.0)
    s03 = everywhere(0.0)
    s10 = everywhere(0.0)
    s11 = everywhere(0.0)
    s12 = everywhere(0.0)
    s13 = everywhere(0.0)
    s20 = everywhere(0.0)
    s21 = everywhere(0.0)
    s22 = everywhere(0.0)
    s23 = everywhere(0.0)
    s30 = everywhere(0.0)
    s31 = everywhere(0.0)
    s32 = everywhere(0.0)
    s33 = everywhere(0.0)
    for k in range(first, end):
        p = get(a, j, k)
        q = get(a, j + 1, k)
        r = get(a, j + 2, k)
        s = get(a, j + 3, k)
        x = get(a, i, k)
        s00 += x * p
        s01 += x * q
        s02 += x * r
        s03 += x * s
        x = get(a, i + 1, k)
        s10 += x * p
        s11 += x * q
        s12 += x * r
        s13 += x * s
        x = get(a, i + 2, k)
        s20 += x * p
        s21 += x * q
        s22 += x * r
        s23 += x * s
        x = get(a, i + 3, k)
        s30 += x * p
        s31 += x * q
        s32 += x * r
        s33 += x * s
    return (s00, s01, s02, s03), (s10, s11, s12, s13), (s20, s21, s22, s23), (s30, s31, s32, s33)


@unmanaged
def _add_row(out, i, j, sums, sign):
    put(out, get(out, i, j) + sign * sums[0], i, j)
    put(out, get(out, i, j + 1) + sign * sums[1], i, j + 1)
    put(out, get(out, i, j + 2) + sign * sums[2], i, j + 2)
    put(out, get(out, i, j + 3) + sign * sums[3], i, j + 3)


@unmanaged
def add_products(rows, n, first, end, out):
    """Lower triangle of out += a a^T, a the first n rows of `rows` in columns first..end; corners above it change."""
    for i in range(0, n, TILE):
        for j in range(0, i + 1, TILE):
            p, q, r, s = _row_products(rows, i, j, first, end)
            _add_row(out, i, j, p, 1.0)
            _add_row(out, i + 1, j, q, 1.0)
            _add_row(out, i + 2, j, r, 1.0)
            _add_row(out, i + 3, j, s, 1.0)


@unmanaged
def tiled_cholesky(a, n):
    """Lower factor in place with reciprocals on its diagonal; 0 in the lanes in which it breaks down."""
    fine = everywhere(1.0)
    for j in range(0, n, TILE):
        for i in range(j, n, TILE):
            p, q, r, s = _row_products(a, i, j, 0, j)
            _add_row(a, i, j, p, -1.0)
            _add_row(a, i + 1, j, q, -1.0)
            _add_row(a, i + 2, j, r, -1.0)
            _add_row(a, i + 3, j, s, -1.0)
            if i == j:
                fine = where_less(0.0, _factor_tile(a, j), fine, 0.0)
            else:
                _solve_tile(a, i, j)
    return fine


@unmanaged
def _factor_tile(a, j):
    """Factor the tile on the diagonal at j; 0 in the lanes in which it breaks down."""
    fine = everywhere(1.0)
    for c in range(j, j + TILE):
        d = get(a, c, c)
        for k in range(j, c):
            d -= get(a, c, k) * get(a, c, k)
        fine = where_less(0.0, d, fine, 0.0)
        scale = 1.0 / root(where_less(0.0, d, d, 1.0))
        put(a, scale, c, c)
        for r in range(c + 1, j + TILE):
            x = get(a, r, c)
            for k in range(j, c):
                x -= get(a, r, k) * get(a, c, k)
            put(a, x * scale, r, c)
    return fine


@unmanaged
def _solve_tile(a, i, j):
    """Rows i..i+3 of the factor, in the columns of the tile on the diagonal at j."""
    for r in range(i, i + TILE):
        u = get(a, r, j) * get(a, j, j)
        v = (get(a, r, j + 1) - u * get(a, j + 1, j)) * get(a, j + 1, j + 1)
        w = (get(a, r, j + 2) - u * get(a, j + 2, j) - v * get(a, j + 2, j + 1)) * get(a, j + 2, j + 2)
        x = get(a, r, j + 3) - u * get(a, j + 3, j) - v * get(a, j + 3, j + 1) - w * get(a, j + 3, j + 2)
        put(a, u, r, j)
        put(a, v, r, j + 1)
        put(a, w, r, j + 2)
        put(a, x * get(a, j + 3, j + 3), r, j + 3)


@unmanaged
def solve(factor, n, b):
    """Solve L L^T x = b in place; b is (n, 1, lane)."""
    for i in range(0, n, TILE):
        p = get(b, i, 0)
        q = get(b, i + 1, 0)
        r = get(b, i + 2, 0)
        s = get(b, i + 3, 0)
        for k in range(i):
            x = get(b, k, 0)
            p -= get(factor, i, k) * x
            q -= get(factor, i + 1, k) * x
            r -= get(factor, i + 2, k) * x
            s -= get(factor, i + 3, k) * x
        p *= get(factor, i, i)
        q = (q - get(factor, i + 1, i) * p) * get(factor, i + 1, i + 1)
        r -= get(factor, i + 2, i) * p + get(factor, i + 2, i + 1) * q
        r *= get(factor, i + 2, i + 2)
        s -= get(factor, i + 3, i) * p + get(factor, i + 3, i + 1) * q + get(factor, i + 3, i + 2) * r
        put(b, p, i, 0)
        put(b, q, i + 1, 0)
        put(b, r, i + 2, 0)
        put(b, s * get(factor, i + 3, i + 3), i + 3, 0)
    for i in range(n - 1, -1, -1):
        x = get(b, i, 0) * get(factor, i, i)
        put(b, x, i, 0)
        for k in range(i):
            put(b, get(b, k, 0) - get(factor, i, k) * x, k, 0)


@unmanaged
def symmetric_times(a, n, x, out):
    """Product a x with the symmetric matrix whose lower triangle a holds; x and out are (n, 1, lane)."""
    for i in range(n):
        u = get(x, i, 0)
        total = get(a, i, i) * u
        for k in range(i):
            w = get(a, i, k)
            total += w * get(x, k, 0)
            put(out, get(out, k, 0) + w * u, k, 0)
        put(out, total, i, 0)
