"""Inner products and Cholesky factors of eight vectors or matrices side by side."""

from ..accelerate import kernel
from ..lanes import everywhere, get, put, root, where_less


@kernel
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


@kernel
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


@kernel
def cholesky(a, n):
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


@kernel
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
