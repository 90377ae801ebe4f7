"""Linear algebra of the small dense matrices of one draw, written out: no BLAS or LAPACK, so the bits are ours.

Jacobi's rotations are those of Golub and Van Loan, Matrix Computations (4th ed.), 8.5 for eigenvalues and 8.6.3, on
one side, for the polar factor. `lanemat` and `eigen` have the same for eight draws side by side.
"""

import math

import numpy as np

from ..jit.accelerate import kernel, unmanaged


@kernel
def dot(a, b):
    """Inner product of two vectors, in eight interleaved sums: that order fills vector registers by itself."""
    n = a.size
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = n - n % 8
    for i in range(0, whole, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    for i in range(whole, n):
        s0 += a[i] * b[i]
    return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))


@kernel
def cholesky(a, n):
    """Lower factor of the leading block of a (n, n), in place (upper part untouched); False if not positive."""
    for j in range(n):
        d = a[j, j]
        for k in range(j):
            d -= a[j, k] * a[j, k]
        if not d > 0.0:  # also catches NaN
            return False
        root = math.sqrt(d)
        a[j, j] = root
        inverse = 1.0 / root
        for i in range(j + 1, n):
            s = a[i, j]
            for k in range(j):
                s -= a[i, k] * a[j, k]
            a[i, j] = s * inverse
    return True


@kernel
def solve_lower(a, n, x):
    """X := L^-1 x for a factor (n, n) from `cholesky`, x (n,)."""
    for i in range(n):
        s = x[i]
        for k in range(i):
            s -= a[i, k] * x[k]
        x[i] = s / a[i, i]


@kernel
def solve_upper(a, n, x):
    """X := L^-T x for a factor (n, n) from `cholesky`, x (n,)."""
    for i in range(n - 1, -1, -1):
        s = x[i]
        for k in range(i + 1, n):
            s -= a[k, i] * x[k]
        x[i] = s / a[i, i]


@kernel
def times(a, b):
    """A @ b, complex: (p, q), (q, r) -> (p, r)."""
    out = np.zeros((a.shape[0], b.shape[1]), np.complex128)
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@kernel
def times_adjoint(a, b):
    """A @ b^H, complex: (p, q), (r, q) -> (p, r)."""
    out = np.zeros((a.shape[0], b.shape[0]), np.complex128)
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            for k in range(a.shape[1]):
                out[i, j] += a[i, k] * np.conj(b[j, k])
    return out


@kernel
def pivoted_cholesky(a, n, tolerance):
    """Rows g (n, n) with g^T g = a for a positive semidefinite a (n, n), and how many are used.

    Cholesky's method with complete pivoting; a largest pivot under `tolerance` ends it (Golub and Van Loan, 4.2).
    """
    rest = a[:n, :n].copy()
    rows = np.zeros((n, n))
    for r in range(n):
        best = 0
        for i in range(1, n):
            if rest[i, i] > rest[best, best]:
                best = i
        pivot = rest[best, best]
        if not pivot > tolerance:
            return rows, r
        root = math.sqrt(pivot)
        for i in range(n):
            rows[r, i] = rest[best, i] / root
        for i in range(n):
            for j in range(n):
                rest[i, j] -= rows[r, i] * rows[r, j]
        for i in range(n):  # the eliminated row is zero but for rounding
            rest[best, i] = 0.0
            rest[i, best] = 0.0
    return rows, n


@kernel
def eigen_hermitian(a, n):
    """Eigenvalues (n,), descending, and eigenvectors (columns, (n, n)) of a Hermitian a (n, n), by cyclic Jacobi."""
    work = np.zeros((n, n), np.complex128)
    vectors = np.zeros((n, n), np.complex128)
    size = 0.0
    for i in range(n):
        vectors[i, i] = 1.0
        for j in range(n):
            work[i, j] = 0.5 * (a[i, j] + np.conj(a[j, i]))
            size += work[i, j].real ** 2 + work[i, j].imag ** 2
    for _ in range(60):
        off = 0.0
        for i in range(n):
            for j in range(i + 1, n):
                off += work[i, j].real ** 2 + work[i, j].imag ** 2
        if off <= 1e-34 * size:
            break
        for p in range(n - 1):
            for q in range(p + 1, n):
                _rotate(work, vectors, p, q)
    values = np.zeros(n)
    for i in range(n):
        values[i] = work[i, i].real
    for i in range(n):  # selection sort, descending; ties keep their order
        best = i
        for j in range(i + 1, n):
            if values[j] > values[best]:
                best = j
        if best != i:
            values[i], values[best] = values[best], values[i]
            for r in range(n):
                vectors[r, i], vectors[r, best] = vectors[r, best], vectors[r, i]
    return values, vectors


@kernel
def _rotate(work, vectors, p, q):
    """One Jacobi rotation that zeroes work[p, q]."""
    x = work[p, q]
    size = math.hypot(x.real, x.imag)
    if size == 0.0:
        return
    phase = x / size
    gap = work[q, q].real - work[p, p].real
    if abs(gap) * 1e-18 > size:  # below rounding: tangent by its limit, else the square overflows
        t = size / gap
    else:
        ratio = gap / (2.0 * size)
        t = math.copysign(1.0, ratio) / (abs(ratio) + math.sqrt(1.0 + ratio * ratio))
    c = 1.0 / math.sqrt(1.0 + t * t)
    s = t * c
    _rotate_columns(work, p, q, c, s, phase)
    _rotate_columns(vectors, p, q, c, s, phase)
    _rotate_columns(work.T, p, q, c, s, np.conj(phase))
    work[p, q] = 0.0
    work[q, p] = 0.0


@unmanaged
def _rotate_columns(a, p, q, c, s, phase):
    """Columns p and q of a become c a_p - s b and s a_p + c b, b = conj(phase) a_q."""
    for k in range(a.shape[0]):
        u = a[k, p]
        v = a[k, q] * np.conj(phase)
        a[k, p] = c * u - s * v
        a[k, q] = s * u + c * v


@kernel
def polar_unitary(a, n):
    """Unitary polar factor U of a = U (a^H a)^(1/2), (n, n), by one-sided Jacobi; completed where a is singular."""
    u = a.copy()
    v = np.zeros((n, n), np.complex128)
    for i in range(n):
        v[i, i] = 1.0
    for _ in range(60):
        rotated = False
        for p in range(n - 1):
            for q in range(p + 1, n):
                alpha = 0.0
                beta = 0.0
                gamma = 0.0j
                for k in range(n):
                    alpha += u[k, p].real ** 2 + u[k, p].imag ** 2
                    beta += u[k, q].real ** 2 + u[k, q].imag ** 2
                    gamma += np.conj(u[k, p]) * u[k, q]
                size = math.hypot(gamma.real, gamma.imag)
                if size <= 1e-15 * math.sqrt(alpha * beta) or size < 1e-300:
                    continue
                rotated = True
                phase = gamma / size
                ratio = (beta - alpha) / (2.0 * size)
                t = math.copysign(1.0, ratio) / (abs(ratio) + math.hypot(1.0, ratio))
                c = 1.0 / math.sqrt(1.0 + t * t)
                s = t * c
                _rotate_columns(u, p, q, c, s, phase)
                _rotate_columns(v, p, q, c, s, phase)
        if not rotated:
            break
    return times_adjoint(_normalised_columns(u, n), v)


@kernel
def _normalised_columns(u, n):
    """Columns of u scaled to unit norm; the negligible ones replaced by an orthonormal completion."""
    out = np.zeros((n, n), np.complex128)
    norms = np.zeros(n)
    for i in range(n):
        for k in range(n):
            norms[i] += u[k, i].real ** 2 + u[k, i].imag ** 2
        norms[i] = math.sqrt(norms[i])
    largest = norms.max()
    for i in range(n):
        if norms[i] > 1e-12 * largest:
            for k in range(n):
                out[k, i] = u[k, i] / norms[i]
    candidate = 0
    for i in range(n):
        if norms[i] > 1e-12 * largest:
            continue
        done = False
        while not done:
            rest = np.zeros(n, np.complex128)
            rest[candidate] = 1.0
            candidate += 1
            for _ in range(2):
                for j in range(n):
                    overlap = 0.0j
                    for k in range(n):
                        overlap += np.conj(out[k, j]) * rest[k]
                    for k in range(n):
                        rest[k] -= overlap * out[k, j]
            norm = 0.0
            for k in range(n):
                norm += rest[k].real ** 2 + rest[k].imag ** 2
            norm = math.sqrt(norm)
            if norm > 0.1 / n:
                for k in range(n):
                    out[k, i] = rest[k] / norm
                done = True
    return out
