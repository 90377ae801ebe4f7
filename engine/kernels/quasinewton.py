"""The direction of a quasi-Newton step, for eight draws in step: L-BFGS with a preconditioner for factors."""

from ..accelerate import bare
from ..lanes import everywhere, get, put, where_less
from .packs import inner, inner_row
from .polar import precondition_polar

MEMORY = 7
_SHARED = 0.02
_LEAST = 0.05  # of a second derivative
_SHORTER = 0.75  # by how much steps along stiff directions are shortened
_NEARLY_PARALLEL = 1e-9
_TINY = 1e-200  # keeps rows of zeros (fewer antennas than columns) finite


@bare
def quasi_newton(gradient, x, columns, head, slack, steps, changes, inverse, alphas, newest, scale, out):
    """Two-loop recursion: out = -H gradient; pairs with inverse curvature 0 do nothing."""
    size = gradient.shape[0]
    for i in range(size):
        put(out, -get(gradient, i, 0), i, 0)
    for age in range(MEMORY):
        m = (newest - age) % MEMORY
        alpha = get(inverse, m, 0) * inner_row(steps, m, out)
        put(alphas, alpha, m, 0)
        for i in range(size):
            put(out, get(out, i, 0) - alpha * get(changes, m, i), i, 0)
    precondition(x, columns, head, slack, scale, out)
    for age in range(MEMORY - 1, -1, -1):
        m = (newest - age) % MEMORY
        beta = get(alphas, m, 0) - get(inverse, m, 0) * inner_row(changes, m, out)
        for i in range(size):
            put(out, get(out, i, 0) + beta * get(steps, m, i), i, 0)


@bare
def precondition(x, columns, head, slack, scale, vector):
    """Multiply a vector by a guess of the inverse Hessian at x, times scale.

    Factors in polar form have a head; roots of powers have no columns.
    """
    if head > 0:
        precondition_polar(x, columns, slack, scale, vector)
    elif columns > 0:
        precondition_factor(x, columns, scale, vector)
    else:
        _precondition_roots(x, slack, scale, vector)


@bare
def _precondition_roots(z, slack, scale, vector):
    """The same for roots of powers.

    The second derivative of log f + log power along z_i is 2 (1 - N_i) for a codeword without power, N_i = -df/dp_i / f
    at unit power, and 8 N_i for one that alone gives what it gives (f = sum_i c_i / z_i^2). In between it goes from one
    to the other as the codeword's share of the power goes from nothing past _SHARED.
    """
    power = inner(z, z)
    for i in range(z.shape[0]):
        p = get(z, i, 0) * get(z, i, 0)
        free = get(slack, i, 0)
        own = 8.0 * (1.0 - free) * p / (p + _SHARED * power)
        free = where_less(0.0, free, free, 0.0)
        put(vector, scale * get(vector, i, 0) / (2.0 * free + own + _LEAST), i, 0)


@bare
def precondition_factor(z, columns, scale, vector):
    """The same for factors.

    The power and the correlation of a path's own two rows of Z, a and d, matter most: those directions, B Z_k with
    a Hermitian 2 x 2 matrix B for each path, are stiffer than all others, the more so the more antennas there are.
    They are projected out of the vector and shortened. B solves S B + B S = C, S = Z_k Z_k^H.
    """
    count = z.shape[0] // (2 * columns)
    n = count // 2
    for k in range(n):
        saa = everywhere(_TINY)
        sdd = everywhere(_TINY)
        sr = everywhere(0.0)
        si = everywhere(0.0)
        caa = everywhere(0.0)
        cdd = everywhere(0.0)
        cr = everywhere(0.0)
        ci = everywhere(0.0)
        for c in range(columns):
            ar, ai, dr, di = _path_entries(z, k, c, n, columns)
            pr, pi, qr, qi = _path_entries(vector, k, c, n, columns)
            saa += ar * ar + ai * ai
            sdd += dr * dr + di * di
            sr += ar * dr + ai * di
            si += ai * dr - ar * di
            caa += pr * ar + pi * ai
            cdd += qr * dr + qi * di
            cr += pr * dr + pi * di + ar * qr + ai * qi
            ci += pi * dr - pr * di + ai * qr - ar * qi
        caa += caa
        cdd += cdd
        s2 = sr * sr + si * si
        both = saa * sdd
        det = both - s2 + _NEARLY_PARALLEL * both
        cross = 2.0 * (sr * cr + si * ci)
        weight = 0.5 / ((saa + sdd) * det)
        baa = _SHORTER * weight * (det * caa + sdd * sdd * caa - sdd * cross + s2 * cdd)
        bdd = _SHORTER * weight * (det * cdd + saa * saa * cdd - saa * cross + s2 * caa)
        # s^2 conj(c) and c
        tr = sr * sr - si * si
        ti = 2.0 * sr * si
        own = sdd * caa + saa * cdd
        br = _SHORTER * weight * ((det + both) * cr + tr * cr + ti * ci - own * sr)
        bi = _SHORTER * weight * ((det + both) * ci + ti * cr - tr * ci - own * si)
        for c in range(columns):
            ar, ai, dr, di = _path_entries(z, k, c, n, columns)
            pr, pi, qr, qi = _path_entries(vector, k, c, n, columns)
            put(vector, scale * (pr - baa * ar - br * dr + bi * di), k * columns + c, 0)
            put(vector, scale * (pi - baa * ai - br * di - bi * dr), (count + k) * columns + c, 0)
            put(vector, scale * (qr - bdd * dr - br * ar - bi * ai), (n + k) * columns + c, 0)
            put(vector, scale * (qi - bdd * di - br * ai + bi * ar), (count + n + k) * columns + c, 0)


@bare
def _path_entries(z, k, c, n, columns):
    """Real and imaginary parts of column c of the rows a and d of path k."""
    a = k * columns + c
    d = (n + k) * columns + c
    imag = 2 * n * columns
    return get(z, a, 0), get(z, imag + a, 0), get(z, d, 0), get(z, imag + d, 0)
