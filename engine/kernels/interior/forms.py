"""Entries of J(D) v, one for each channel parameter, for every coordinate of D (see `curvature`).

An entry is a sum of products m^H D c of a column m of the mixing matrix with a vector c, which what drives the entry
makes of the transmit columns; for power on a codeword u it is (b^H u)(u^H c), b a transmit column.
Test: tests/engine/beamforming/test_interior.py, and test_space for complex ones.
"""

from typing import NamedTuple

import numpy as np

from ..bound.efim import relative_phase
from ..jit.accelerate import unmanaged
from ..jit.lanes import everywhere, get, put
from .coordinates import HALF, coordinate


class CurvatureWork(NamedTuple):
    """Buffers of `add_curvature`. An odd number of columns keeps rows out of each other's way in the cache."""

    forms: np.ndarray  # L^-1 J(D) v: (n^2, columns), gain by gain all responses, then theirs of angles and delays
    raw: np.ndarray  # entries of angles and delays of J(D) v: (n^2, inner), or one more
    driven: np.ndarray  # weights and phases times a response, by transmit column: (2 * n, 1)
    seen: np.ndarray  # c of every entry of J(D) v: (kinds * paths, 2 * n)
    rest: np.ndarray  # entries of angles and delays for four D
    reach: np.ndarray  # how many rows of forms, in whole tiles, the gain of each of the draw's paths may see
    own_power: np.ndarray  # trace of each D: (n^2,)
    powers: bool  # whether the coordinates are codeword powers; a field, as an argument it would be compiled twice


@unmanaged
def drive(link, vectors, row, s, k, scale, driven):
    """Weights and phases of the entry of kind s and path k of J v_row, by transmit column, times scale."""
    n = link.phasor.shape[0]
    size = vectors.shape[0] // 2
    kinds = link.parameter_of_kind.size
    q = kinds // 2
    count = driven.shape[0] // 2
    everyone = count // q
    if n < everyone:
        driven[:] = 0.0
    for h in range(n):
        real, imag = relative_phase(link.phasor, k, h)
        for v in range(q):
            x = everywhere(0.0)
            y = everywhere(0.0)
            for t in range(kinds):
                if (t if t < q else 0) == v:
                    w = get(link.weights, s * n + k, t * n + h)
                    i = link.parameter_of_kind[t] * n + h
                    x += w * get(vectors, i, row)
                    y += w * get(vectors, size + i, row)
                    if link.weights_imag.shape[0] > 0:
                        w = get(link.weights_imag, s * n + k, t * n + h)
                        x -= w * get(vectors, size + i, row)
                        y += w * get(vectors, i, row)
            place = v * everyone + link.paths[h]
            put(driven, scale * (x * real - y * imag), place, 0)
            put(driven, scale * (x * imag + y * real), count + place, 0)


@unmanaged
def see_all(problem, place, space):
    """Vector c of one entry of J v, from what drives it: mix c, or what each codeword sends into the columns."""
    if space.powers:
        _see(problem.gram, place, space)
        if problem.gram_imag.shape[0] > 0:
            _see_imaginary(problem.gram_imag, place, 1.0, space)
    else:
        _see(problem.mix, place, space)
        if problem.mix_imag.shape[0] > 0:
            _see_imaginary(problem.mix_imag, place, -1.0, space)


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
def _see_imaginary(columns, place, sign, space):
    """Add what an imaginary part makes of it: conj(B^H u) driven of codewords, sign 1, mix driven, sign -1."""
    count = columns.shape[0]
    for i in range(count):
        x = get(space.seen, place, i)
        y = get(space.seen, place, count + i)
        for h in range(count):
            w = sign * get(columns, i, h)
            x += w * get(space.driven, count + h, 0)
            y -= w * get(space.driven, h, 0)
        put(space.seen, x, place, i)
        put(space.seen, y, place, count + i)


@unmanaged
def _transmit_column(link, s, h, everyone):
    """Which transmit column the terms of kind s and path h have."""
    return (s * everyone if s < link.parameter_of_kind.size // 2 else 0) + link.paths[h]


@unmanaged
def form_pair(mix, link, i, k, space, first, each):
    """Re and Im m^H D c, but for the imaginary part of m, for the real and the imaginary coordinate of D_ik, k < i."""
    kind = link.parameter_of_kind
    count = mix.shape[0]
    n = link.paths.size
    everyone = count // (kind.size // 2)
    e = coordinate(i, k, count)
    for r in range(kind[kind.size - 1] * n):
        put(space.raw, 0.0, e, r)
        put(space.raw, 0.0, e + 1, r)
    for s in range(kind.size):
        for h in range(n):
            column = _transmit_column(link, s, h, everyone)
            if column < k:  # the column of mix ends above
                if s == 0:
                    place = h * each + first
                    for r in range(e, e + 2):
                        put(space.forms, 0.0, r, place)
                        put(space.forms, 0.0, r, place + 1)
                continue
            p = HALF * get(mix, i, column)
            q = HALF * get(mix, k, column)
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
def imaginary_pair(mix_imag, link, i, k, space, first, each):
    """Add what the imaginary part of m makes of the same: m^H has -j times it."""
    kind = link.parameter_of_kind
    count = mix_imag.shape[0]
    n = link.paths.size
    everyone = count // (kind.size // 2)
    e = coordinate(i, k, count)
    for s in range(kind.size):
        for h in range(n):
            column = _transmit_column(link, s, h, everyone)
            if column < k:
                continue
            p = HALF * get(mix_imag, i, column)
            q = HALF * get(mix_imag, k, column)
            a = s * n + h
            u = p * get(space.seen, a, k)
            v = p * get(space.seen, a, count + k)
            x = q * get(space.seen, a, i)
            y = q * get(space.seen, a, count + i)
            if s == 0:
                place = h * each + first
                put(space.forms, get(space.forms, e, place) + (v + y), e, place)
                put(space.forms, get(space.forms, e, place + 1) - (u + x), e, place + 1)
                put(space.forms, get(space.forms, e + 1, place) + (u - x), e + 1, place)
                put(space.forms, get(space.forms, e + 1, place + 1) - (y - v), e + 1, place + 1)
            else:
                r = (kind[s] - 1) * n + h
                put(space.raw, get(space.raw, e, r) + (v + y), e, r)
                put(space.raw, get(space.raw, e + 1, r) + (u - x), e + 1, r)


@unmanaged
def single_form(columns, link, k, e, space, first, each):
    """The same for D_kk (columns: mix), or power on codeword k (columns: gram): columns[k, m] c_k into row e."""
    kind = link.parameter_of_kind
    count = columns.shape[0]
    n = link.paths.size
    everyone = count // (kind.size // 2)
    for r in range(kind[kind.size - 1] * n):
        put(space.raw, 0.0, e, r)
    for s in range(kind.size):
        for h in range(n):
            p = get(columns, k, _transmit_column(link, s, h, everyone))
            x = p * get(space.seen, s * n + h, k)
            if s == 0:
                put(space.forms, x, e, h * each + first)
                put(space.forms, p * get(space.seen, h, count + k), e, h * each + first + 1)
            else:
                r = (kind[s] - 1) * n + h
                put(space.raw, get(space.raw, e, r) + x, e, r)


@unmanaged
def imaginary_form(columns, link, k, e, sign, space, first, each):
    """Add what an imaginary part makes of it: j columns[k, m] c_k for codewords, sign 1; the conjugate for mix, -1."""
    kind = link.parameter_of_kind
    count = columns.shape[0]
    n = link.paths.size
    everyone = count // (kind.size // 2)
    for s in range(kind.size):
        for h in range(n):
            q = sign * get(columns, k, _transmit_column(link, s, h, everyone))
            x = q * get(space.seen, s * n + h, count + k)
            if s == 0:
                place = h * each + first
                put(space.forms, get(space.forms, e, place) - x, e, place)
                put(space.forms, get(space.forms, e, place + 1) + q * get(space.seen, h, k), e, place + 1)
            else:
                r = (kind[s] - 1) * n + h
                put(space.raw, get(space.raw, e, r) - x, e, r)
