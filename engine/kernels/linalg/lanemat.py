"""Products, factors and inverses of eight vectors or matrices side by side.

Complex matrices are (2 rows, columns, lane), real parts above, imaginary parts below. Tests: test_interior, test_lanes.
"""

from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put, root, where_less


@unmanaged
def inner(a, b):
    """Inner products of two vectors (size, 1, lane), in four interleaved sums."""
    p = everywhere(0.0)
    q = everywhere(0.0)
    r = everywhere(0.0)
    s = everywhere(0.0)
    whole = a.shape[0] - a.shape[0] % 4
    for i in range(0, whole, 4):
        p += get(a, i, 0) * get(b, i, 0)
        q += get(a, i + 1, 0) * get(b, i + 1, 0)
        r += get(a, i + 2, 0) * get(b, i + 2, 0)
        s += get(a, i + 3, 0) * get(b, i + 3, 0)
    for i in range(whole, a.shape[0]):
        p += get(a, i, 0) * get(b, i, 0)
    return (p + q) + (r + s)


@unmanaged
def inner_row(a, row, b):
    """The same of a[row] (row, size, lane) and b (size, 1, lane)."""
    p = everywhere(0.0)
    q = everywhere(0.0)
    r = everywhere(0.0)
    s = everywhere(0.0)
    size = b.shape[0]
    whole = size - size % 4
    for i in range(0, whole, 4):
        p += get(a, row, i) * get(b, i, 0)
        q += get(a, row, i + 1) * get(b, i + 1, 0)
        r += get(a, row, i + 2) * get(b, i + 2, 0)
        s += get(a, row, i + 3) * get(b, i + 3, 0)
    for i in range(whole, size):
        p += get(a, row, i) * get(b, i, 0)
    return (p + q) + (r + s)


@unmanaged
def cholesky_lanes(a, n):
    """Lower factor in place with reciprocals on its diagonal; 0 in the lanes in which it breaks down."""
    fine = everywhere(1.0)
    for j in range(n):
        d = get(a, j, j)
        for k in range(j):
            d -= get(a, j, k) * get(a, j, k)
        fine = where_less(0.0, d, fine, 0.0)
        scale = 1.0 / root(where_less(0.0, d, d, 1.0))
        put(a, scale, j, j)
        for i in range(j + 1, n):
            x = get(a, i, j)
            for k in range(j):
                x -= get(a, i, k) * get(a, j, k)
            put(a, x * scale, i, j)
    return fine


@unmanaged
def solve_lanes(factor, n, b):
    """Solve L L^T x = b in place, for a factor from `cholesky_lanes`; b is (n, 1, lane)."""
    for i in range(n):
        x = get(b, i, 0)
        for k in range(i):
            x -= get(factor, i, k) * get(b, k, 0)
        put(b, x * get(factor, i, i), i, 0)
    for i in range(n - 1, -1, -1):
        x = get(b, i, 0)
        for k in range(i + 1, n):
            x -= get(factor, k, i) * get(b, k, 0)
        put(b, x * get(factor, i, i), i, 0)


@unmanaged
def hermitian_cholesky(a, rows, columns):
    """Leading columns of the lower factor of a Hermitian matrix, in place; 0 in the lanes in which it breaks down.

    a (2 rows, columns, lane) has real parts above, imaginary parts below; reciprocals come on the diagonal.
    """
    fine = everywhere(1.0)
    for j in range(columns):
        d = get(a, j, j)
        for k in range(j):
            d -= get(a, j, k) * get(a, j, k)
            d -= get(a, rows + j, k) * get(a, rows + j, k)
        fine = where_less(0.0, d, fine, 0.0)
        scale = 1.0 / root(where_less(0.0, d, d, 1.0))
        put(a, scale, j, j)
        for i in range(j + 1, rows):
            x = get(a, i, j)
            y = get(a, rows + i, j)
            for k in range(j):
                p = get(a, i, k)
                q = get(a, rows + i, k)
                u = get(a, j, k)
                v = get(a, rows + j, k)
                x -= p * u + q * v
                y -= q * u - p * v
            put(a, x * scale, i, j)
            put(a, y * scale, rows + i, j)
    return fine


@unmanaged
def trace(a, n):
    """Trace of a Hermitian matrix."""
    total = everywhere(0.0)
    for i in range(n):
        total += get(a, i, i)
    return total


@unmanaged
def trace_of_product(a, b, n):
    """Tr a b of two Hermitian matrices."""
    total = everywhere(0.0)
    for i in range(n):
        for k in range(n):
            total += get(a, i, k) * get(b, i, k) + get(a, n + i, k) * get(b, n + i, k)
    return total


@unmanaged
def quadratic_form_lanes(matrix, columns, i):
    """b^H M b of column b_i of `columns` (2 n, columns) and a Hermitian M (2 n, n)."""
    n = columns.shape[0] // 2
    total = everywhere(0.0)
    for r in range(n):
        x = everywhere(0.0)
        y = everywhere(0.0)
        for c in range(n):
            p = get(matrix, r, c)
            q = get(matrix, n + r, c)
            u = get(columns, c, i)
            v = get(columns, n + c, i)
            x += p * u - q * v
            y += p * v + q * u
        total += get(columns, r, i) * x + get(columns, n + r, i) * y
    return total


@unmanaged
def times_lanes(a, b, n, out):
    """Product a b of complex matrices (2 n, n), two columns at a time; where n is odd the last one twice."""
    for i in range(n):
        for k in range(0, n, 2):
            other = min(k + 1, n - 1)
            p = everywhere(0.0)
            q = everywhere(0.0)
            r = everywhere(0.0)
            s = everywhere(0.0)
            for j in range(n):
                u = get(a, i, j)
                v = get(a, n + i, j)
                x = get(b, j, k)
                y = get(b, n + j, k)
                p += u * x - v * y
                q += u * y + v * x
                x = get(b, j, other)
                y = get(b, n + j, other)
                r += u * x - v * y
                s += u * y + v * x
            put(out, p, i, k)
            put(out, q, n + i, k)
            put(out, r, i, other)
            put(out, s, n + i, other)


@unmanaged
def mirror(a, n):
    """Upper triangle of a Hermitian matrix from its lower one."""
    for i in range(n):
        for k in range(i):
            put(a, get(a, i, k), k, i)
            put(a, -get(a, n + i, k), n + k, i)


@unmanaged
def hermitian_part(a, n, out):
    """Half of a + a^H, both triangles."""
    for i in range(n):
        for k in range(i + 1):
            x = 0.5 * (get(a, i, k) + get(a, k, i))
            y = 0.5 * (get(a, n + i, k) - get(a, n + k, i))
            put(out, x, i, k)
            put(out, x, k, i)
            put(out, y, n + i, k)
            put(out, -y, n + k, i)


@unmanaged
def hermitian_inverse(a, n, factor, out):
    """Inverse of a positive definite Hermitian matrix; 0 in the lanes in which it is none."""
    for i in range(2 * n):
        for k in range(n):
            put(factor, get(a, i, k), i, k)
    fine = hermitian_cholesky(factor, n, n)
    for c in range(n):  # column c of L^-1 into row c of the lower triangle's mirror
        for i in range(c, n):
            x = everywhere(0.0)
            y = everywhere(0.0)
            if i == c:
                x = everywhere(1.0)
            for k in range(c, i):
                p = get(factor, i, k)
                q = get(factor, n + i, k)
                u = get(out, k, c)
                v = get(out, n + k, c)
                x -= p * u - q * v
                y -= p * v + q * u
            scale = get(factor, i, i)
            put(out, x * scale, i, c)
            put(out, y * scale, n + i, c)
    for i in range(n):
        for k in range(i + 1):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for j in range(i, n):
                p = get(out, j, i)
                q = -get(out, n + j, i)
                u = get(out, j, k)
                v = get(out, n + j, k)
                x += p * u - q * v
                y += p * v + q * u
            put(factor, x, i, k)
            put(factor, y, n + i, k)
    for i in range(n):
        for k in range(i + 1):
            x = get(factor, i, k)
            y = get(factor, n + i, k)
            put(out, x, i, k)
            put(out, x, k, i)
            put(out, y, n + i, k)
            put(out, -y, n + k, i)
        put(out, 0.0, n + i, i)
    return fine


@unmanaged
def copy_where(chosen, source, out):
    """Copy matrices (rows, columns, lane) in the lanes that are chosen."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            put(out, where_less(0.0, chosen, get(source, i, k), get(out, i, k)), i, k)
