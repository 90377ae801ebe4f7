"""Real coordinates of Hermitian matrices in an orthonormal basis, of eight matrices side by side.

Column by column of the lower triangle: D_kk, then real and imaginary parts of D_k+1,k, D_k+2,k, ... times sqrt 2.
Test: tests/engine/beamforming/test_interior.py.
"""

import math

from ..jit.accelerate import unmanaged
from ..jit.lanes import get, put

ROOT2 = math.sqrt(2.0)
HALF = math.sqrt(0.5)


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
            x = HALF * get(vector, e, 0)
            y = HALF * get(vector, e + 1, 0)
            put(out, x, i, k)
            put(out, x, k, i)
            put(out, y, n + i, k)
            put(out, -y, n + k, i)
        put(out, get(vector, coordinate(i, i, n), 0), i, i)
        put(out, 0.0, n + i, i)
