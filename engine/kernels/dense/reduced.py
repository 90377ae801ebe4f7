"""The design problem of one draw as dense linear maps: for CVXPY and independent checks.

Per draw and link, with S = B^H V B / P_m (B: unit-norm steering and derivative columns), the position FIM is
linear in the real coordinates of S, and in the power where there is a prior. It is whitened by congruence at the APA
point, J_w(S) = F^T J(S) F with F^T J_apa F = I, and stored as `map`: J_w = coordinates(S) @ map, its lower triangle
packed by rows, as LAPACK calls it: (p (p + 1) / 2,). Then J^-1 = F J_w^-1 F^T, so the bound of parameter a needs only
row a of F.

F comes from a QR factorisation of a square root of J_apa, not from J_apa itself: a geometry that makes the
position FIM ill-conditioned costs digits only by the square root of its condition number. Columns are taken
in reverse, nuisance parameters first, so that the rows of F of positions are short. This room is the twin of `bound`:
tests/engine/test_crb.py, tests/engine/beamforming/test_certificate.py.
"""

import math

import numpy as np

from ..jit.accelerate import kernel
from ..linalg.smallmat import pivoted_cholesky
from ..model.fisher import pair_coefficient

_PIVOT_TOLERANCE = 1e-15
_ROUNDING = 1e-14  # of a column of unit length: what is left of one that others make up, where good cells have 1e-8


@kernel
def coordinate_index(r, c, count):
    """Place of S[r, c], r <= c, among the real coordinates: S_rr takes one, off-diagonal Re and Im two."""
    return r * (2 * count - r) + (2 * (c - r) - 1 if c > r else 0)


@kernel
def whiten(channel_information, jacobian, prior):
    """F (p, p), `jacobian` F (P, p), and whether they exist.

    channel_information is a FIM at the APA point, (P, P); jacobian takes positions to its parameters, (P, p); prior
    (p,) is the diagonal of what is known beforehand. They do not exist where the position FIM is singular.
    """
    big, p = jacobian.shape
    seen, known = information_root(channel_information, jacobian), prior_root(prior)
    root = np.zeros((len(seen) + len(known), p))
    root[: len(seen)] = seen
    root[len(seen) :] = known
    if len(root) < p:
        return np.zeros((p, p)), np.zeros((big, p)), False
    factor, exists = inverse_root(root, _ROUNDING)
    if not exists.all():
        return factor, np.zeros((big, p)), False
    return factor, product(jacobian, factor), True


@kernel
def product(a, b):
    """The product of two matrices, entry by entry in one order, whatever library there is."""
    out = np.zeros((a.shape[0], b.shape[1]))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(a.shape[1]):
                out[i, j] += a[i, k] * b[k, j]
    return out


@kernel
def information_root(channel_information, jacobian):
    """Root (rank, p) of the position FIM: root^T root = jacobian^T channel_information jacobian."""
    big, p = jacobian.shape
    unit = np.zeros((big, big))
    scale = np.zeros(big)
    for i in range(big):
        if channel_information[i, i] > 0.0:
            scale[i] = 1.0 / math.sqrt(channel_information[i, i])
    for i in range(big):
        for j in range(big):
            unit[i, j] = scale[i] * channel_information[i, j] * scale[j]
    rows, rank = pivoted_cholesky(unit, big, _PIVOT_TOLERANCE)
    root = np.zeros((rank, p))
    for a in range(p):
        for r in range(rank):
            for i in range(big):
                if scale[i] > 0.0 and jacobian[i, a] != 0.0:
                    root[r, a] += rows[r, i] * jacobian[i, a] / scale[i]
    return root


@kernel
def prior_root(prior):
    """Root (known, p) of the diagonal prior (p,)."""
    known = np.flatnonzero(prior > 0.0)
    root = np.zeros((known.size, prior.size))
    for e in range(known.size):
        root[e, known[e]] = math.sqrt(prior[known[e]])
    return root


@kernel
def inverse_root(root, least):
    """F (p, p) with F^T root^T root F = I from a root (rows, p) of the FIM, and which parameters have their own part.

    Parameters are taken from the last one on. Of one that differs by no more than `least`, relatively, from what those
    after it can do, row and column of F are 0.
    """
    size, p = root.shape
    factor = np.zeros((p, p))
    turned = np.zeros((size, p))  # columns reversed, then of unit norm
    norm = np.zeros(p)
    exists = np.ones(p, np.bool_)
    for a in range(p):
        for r in range(size):
            turned[r, a] = root[r, p - 1 - a]
            norm[a] += turned[r, a] ** 2
        norm[a] = math.sqrt(norm[a])
        if norm[a] > 0.0:
            for r in range(size):
                turned[r, a] /= norm[a]
    inverse, own = _inverse_triangle(turned, size, p, least)
    for a in range(p):
        exists[p - 1 - a] = own[a]
        for b in range(p):
            if own[a] and own[b]:
                factor[p - 1 - a, b] = inverse[a, b] / norm[a]
    return factor, exists


@kernel
def _inverse_triangle(root, rank, p, least):
    """R^-1 (p, p) of root (rank, p) = Q R, by Gram-Schmidt with reorthogonalisation, and which columns it is of.

    A column of which no more than `least` is left is as good as one of zeros, and left out.
    """
    triangle = np.zeros((p, p))
    own = np.ones(p, np.bool_)
    for a in range(p):
        for _ in range(2):
            for b in range(a):
                overlap = 0.0
                for r in range(rank):
                    overlap += root[r, b] * root[r, a]
                triangle[b, a] += overlap
                for r in range(rank):
                    root[r, a] -= overlap * root[r, b]
        norm = 0.0
        for r in range(rank):
            norm += root[r, a] ** 2
        triangle[a, a] = math.sqrt(norm)
        if not triangle[a, a] > least:
            own[a] = False
            triangle[:, a] = 0.0
            triangle[a, a] = 1.0
            root[:, a] = 0.0
            continue
        for r in range(rank):
            root[r, a] /= triangle[a, a]
    inverse = np.zeros((p, p))
    for b in range(p):
        inverse[b, b] = 1.0 / triangle[b, b]
        for a in range(b - 1, -1, -1):
            total = 0.0
            for k in range(a + 1, b + 1):
                total += triangle[a, k] * inverse[k, b]
            inverse[a, b] = -total / triangle[a, a]
    return inverse, own


@kernel
def whitened_map(pattern, coef, sums, gram, scale, whitened_jacobian, whitened_prior, count):
    """J_w as a linear map of the coordinates of S, then the power: (count^2 + 1, p (p + 1) / 2), packed by rows."""
    big, p = whitened_jacobian.shape
    packed = p * (p + 1) // 2
    out = np.zeros((count * count + 1, packed))
    outer = np.zeros(packed)
    for i in range(big):
        for j in range(i, big):
            e = 0
            for a in range(p):
                for b in range(a + 1):
                    outer[e] = whitened_jacobian[i, a] * whitened_jacobian[j, b]
                    if j > i:
                        outer[e] += whitened_jacobian[j, a] * whitened_jacobian[i, b]
                    e += 1
            for ti in range(pattern.terms[i]):
                for tj in range(pattern.terms[j]):
                    c = pair_coefficient(i, ti, j, tj, pattern, coef, sums, gram)
                    r = pattern.tx[j, tj]
                    s = pattern.tx[i, ti]
                    sign = -1.0
                    if r > s:  # S[r, s] is the conjugate of the stored S[s, r]
                        r, s = s, r
                        sign = 1.0
                    place = coordinate_index(r, s, count)
                    real = scale * c.real
                    imag = scale * sign * c.imag
                    for e in range(packed):
                        out[place, e] += real * outer[e]
                    if r != s:
                        for e in range(packed):
                            out[place + 1, e] += imag * outer[e]
    e = 0
    for a in range(p):
        for b in range(a + 1):
            out[count * count, e] = whitened_prior[a, b]
            e += 1
    return out


@kernel
def codeword_map(full, gram, gram_imag):
    """J_w as a linear map of the codeword powers: (count, packed), from the map of S and the rows B^H u_i of gram."""
    count = gram.shape[0]
    packed = full.shape[1]
    out = np.zeros((count, packed))
    for i in range(count):
        out[i] = full[count * count]  # the prior, which a codeword's power scales like any other
        for r in range(count):
            for c in range(r, count):
                weight = gram[i, r] * gram[i, c]
                place = coordinate_index(r, c, count)
                for e in range(packed):
                    out[i, e] += weight * full[place, e]
                if gram_imag.shape[0] == 0:
                    continue
                weight = gram_imag[i, r] * gram_imag[i, c]
                for e in range(packed):
                    out[i, e] += weight * full[place, e]
                if r != c:
                    weight = gram_imag[i, r] * gram[i, c] - gram[i, r] * gram_imag[i, c]
                    for e in range(packed):
                        out[i, e] += weight * full[place + 1, e]
    return out


@kernel
def dense_link(pattern, coef, sums, gram, scale, jacobian, prior, apa_information, tx_gram, tx_gram_imag):
    """Factor F (p, p) and the maps of the coordinates of S and of codeword powers to J_w, of one draw and link.

    prior (p,) is the diagonal of J0; tx_gram and tx_gram_imag are those of `problems.ProblemArrays`.
    """
    count = tx_gram.shape[0]
    factor, whitened_jacobian, fine = whiten(apa_information, jacobian, prior)
    if not fine:
        factor[:] = np.nan
        whitened_jacobian[:] = np.nan
    known = np.zeros_like(factor)
    for a in range(prior.size):
        for b in range(prior.size):
            for i in range(prior.size):
                known[a, b] += factor[i, a] * prior[i] * factor[i, b]
    full = whitened_map(pattern, coef, sums, gram, scale, whitened_jacobian, known, count)
    return factor, full, codeword_map(full, tx_gram, tx_gram_imag)
