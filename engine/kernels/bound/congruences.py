"""From a reduced covariance x to S = mix^H x mix, and back from a gradient with respect to S to one with respect to x.

mix is upper triangular, and real where the transmit array is symmetric about its phase centre. Matrices are of eight
draws, real parts above imaginary parts; buffers called half hold half of a triple product.
Tests: test_polar, test_interior, and test_space for a complex mix.
"""

from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put
from ..linalg.lanemat import mirror


@unmanaged
def congruence(mix, x, half, n, sr, si):
    """S = mix^T x mix of n paths; half, like x, becomes x mix."""
    count = mix.shape[0]
    for i in range(count):
        for s in range(count):
            u = everywhere(0.0)
            v = everywhere(0.0)
            for k in range(s + 1):  # mix is upper triangular
                w = get(mix, k, s)
                u += w * get(x, i, k)
                v += w * get(x, count + i, k)
            put(half, u, i, s)
            put(half, v, count + i, s)
    for k in range(n):
        for h in range(k + 1):
            for r in range(k, count, n):
                for s in range(h, count, n):
                    u = everywhere(0.0)
                    v = everywhere(0.0)
                    for i in range(r + 1):
                        w = get(mix, i, r)
                        u += w * get(half, i, s)
                        v += w * get(half, count + i, s)
                    put(sr, u, r, s)
                    put(si, v, r, s)


@unmanaged
def complex_congruence(mix, mix_imag, x, half, n, sr, si):
    """S = mix^H x mix for a complex mix."""
    count = mix.shape[0]
    for i in range(count):
        for s in range(count):
            u = everywhere(0.0)
            v = everywhere(0.0)
            for k in range(s + 1):
                w = get(mix, k, s)
                z = get(mix_imag, k, s)
                a = get(x, i, k)
                b = get(x, count + i, k)
                u += w * a - z * b
                v += w * b + z * a
            put(half, u, i, s)
            put(half, v, count + i, s)
    for k in range(n):
        for h in range(k + 1):
            for r in range(k, count, n):
                for s in range(h, count, n):
                    u = everywhere(0.0)
                    v = everywhere(0.0)
                    for i in range(r + 1):
                        w = get(mix, i, r)
                        z = get(mix_imag, i, r)
                        a = get(half, i, s)
                        b = get(half, count + i, s)
                        u += w * a + z * b
                        v += w * b - z * a
                    put(sr, u, r, s)
                    put(si, v, r, s)


@unmanaged
def negative_congruence(mix, gr, gi, half, out):
    """-mix Gamma mix^T, both triangles, (2 * qn, qn); half, like out, becomes what this needs of Gamma mix^T."""
    count = mix.shape[0]
    for i in range(count):  # mix is upper triangular, and the sums below need the rows from i on only
        for r in range(i - i % 2, count - 1, 2):
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for s in range(i, count):
                w = get(mix, i, s)
                u += get(gr, r, s) * w
                v += get(gi, r, s) * w
                x += get(gr, r + 1, s) * w
                y += get(gi, r + 1, s) * w
            put(half, u, r, i)
            put(half, v, count + r, i)
            put(half, x, r + 1, i)
            put(half, y, count + r + 1, i)
        if count % 2 != 0:
            r = count - 1
            u = everywhere(0.0)
            v = everywhere(0.0)
            for s in range(i, count):
                w = get(mix, i, s)
                u += get(gr, r, s) * w
                v += get(gi, r, s) * w
            put(half, u, r, i)
            put(half, v, count + r, i)
    for i in range(count):
        for k in range(0, i + 1, 2):  # an entry above the diagonal comes along in even rows
            other = min(k + 1, count - 1)
            u = everywhere(0.0)
            v = everywhere(0.0)
            x = everywhere(0.0)
            y = everywhere(0.0)
            for r in range(i, count):
                w = get(mix, i, r)
                u -= w * get(half, r, k)
                v -= w * get(half, count + r, k)
                x -= w * get(half, r, other)
                y -= w * get(half, count + r, other)
            put(out, u, i, k)
            put(out, v, count + i, k)
            put(out, x, i, other)
            put(out, y, count + i, other)
    mirror(out, count)


@unmanaged
def complex_negative_congruence(mix, mix_imag, gr, gi, half, out):
    """-mix Gamma mix^H for a complex mix."""
    count = mix.shape[0]
    for i in range(count):
        for r in range(count):
            u = everywhere(0.0)
            v = everywhere(0.0)
            for s in range(i, count):
                w = get(mix, i, s)
                z = get(mix_imag, i, s)
                a = get(gr, r, s)
                b = get(gi, r, s)
                u += a * w + b * z
                v += b * w - a * z
            put(half, u, r, i)
            put(half, v, count + r, i)
    for i in range(count):
        for k in range(i + 1):
            u = everywhere(0.0)
            v = everywhere(0.0)
            for r in range(i, count):
                w = get(mix, i, r)
                z = get(mix_imag, i, r)
                a = get(half, r, k)
                b = get(half, count + r, k)
                u -= w * a - z * b
                v -= w * b + z * a
            put(out, u, i, k)
            put(out, v, count + i, k)
    mirror(out, count)
