"""What the separable FIM of a draw is made of (see `efim`): weights, a phase for each path, Gram matrices.

Frequencies are counted from the middle of the band here. That changes the derivative with respect to a delay by a
multiple of that with respect to the path's gain, which is unknown anyway: no bound changes, and every delay sum
becomes real. Steering columns of linear and planar arrays have closed-form inner products, so that neither M nor their
antennas are looped over; other arrays are summed over their elements, once a draw.
Twin: tests/support/naive.py, in tests/engine/test_fisher.py and test_crb.py; tests/support/world.py.
"""

import math
from typing import NamedTuple

import numpy as np

from ..jit.accelerate import kernel, unmanaged
from ..model.delaysums import centred_sums, index_moments
from ..model.steering import Array, gram_of, orthonormal_basis, spread_of, steering_columns, tangent_size, vanishes

_TWO_PI = 2.0 * math.pi
_CLOSE = 1e-3  # squared distance of a unit column from the span of those before it


@unmanaged
def _periodic_sums(x, count, moments):
    """`centred_sums` of any x: they have period 2 pi, but for the sign where the centred indices are halves."""
    periods = round(x / _TWO_PI)
    c0, c1, c2 = centred_sums(x - _TWO_PI * periods, count, moments)
    if periods % 2 != 0 and count % 2 == 0:
        return -c0, -c1, -c2
    return c0, c1, c2


@unmanaged
def linear_gram(array, frames, moments, out):
    """Inner products of the unit-norm columns [a_0, a_1, ..., d_0, d_1, ...] of one draw, real: (qn, qn).

    frames is (n, q, 3); moments are those of the array's indices, along z and y. Sums over centred indices k of
    k^p exp(jkx), with x the difference of two directions' phase steps, are all there is to it. Derivative columns of
    one direction along different tangents are the same.
    """
    n, q, _ = frames.shape
    antennas = array.columns
    spread = spread_of(antennas)
    step = _TWO_PI * array.spacing[1]
    one = 1.0 / antennas
    mixed = 1.0 / (math.sqrt(antennas) * spread) if antennas > 1 else 0.0
    twice = 1.0 / spread**2 if antennas > 1 else 0.0
    for i in range(n):
        for j in range(i + 1):
            c0, c1, c2 = 1.0 * antennas, 0.0, spread**2
            if j < i:
                x = step * (frames[j, 0, 1] - frames[i, 0, 1])
                c0, c1, c2 = _periodic_sums(x, antennas, moments[1])
            out[i, j] = out[j, i] = one * c0 if j < i else 1.0
            for s in range(1, q):
                out[i, s * n + j] = out[s * n + j, i] = -mixed * c1
                out[j, s * n + i] = out[s * n + i, j] = mixed * c1
                for t in range(1, q):
                    value = twice * c2 if j < i or antennas == 1 else 1.0
                    out[s * n + i, t * n + j] = out[t * n + j, s * n + i] = value


@unmanaged
def planar_gram(array, frames, moments, out):
    """The same for a grid of rows along z and columns along y: products of sums along either."""
    n, q, _ = frames.shape
    one = 1.0 / (array.rows * array.columns)
    for i in range(n):
        for j in range(i + 1):
            y = _TWO_PI * array.spacing[1] * (frames[j, 0, 1] - frames[i, 0, 1])
            z = _TWO_PI * array.spacing[0] * (frames[j, 0, 2] - frames[i, 0, 2])
            y0, y1, y2 = _periodic_sums(y, array.columns, moments[1])
            z0, z1, z2 = _periodic_sums(z, array.rows, moments[0])
            out[i, j] = out[j, i] = one * y0 * z0
            for s in range(1, q):
                u, v = _shares(array, frames[i, s])
                right = math.sqrt(one) * (u * y1 * z0 + v * y0 * z1)
                out[s * n + i, j] = out[j, s * n + i] = right
                a, b = _shares(array, frames[j, s])
                left = -math.sqrt(one) * (a * y1 * z0 + b * y0 * z1)
                out[i, s * n + j] = out[s * n + j, i] = left
                for t in range(1, q):
                    a, b = _shares(array, frames[j, t])
                    value = u * a * y2 * z0 + v * b * y0 * z2 - (u * b + v * a) * y1 * z1
                    out[s * n + i, t * n + j] = out[t * n + j, s * n + i] = value


@unmanaged
def _shares(array, tangent):
    """What a step along the columns and one along the rows contribute to a derivative column of unit norm."""
    _, _, size = tangent_size(array, tangent)
    if not size > 0.0:
        return 0.0, 0.0
    return array.spacing[1] * tangent[1] / size, array.spacing[0] * tangent[2] / size


@kernel
def column_gram(array, frames, moments, real, imag):
    """Inner products of the unit-norm columns of one draw; imag is (0, 0) where the array is symmetric.

    A column that vanishes has none, not even with itself.
    """
    n, q, _ = frames.shape
    if array.rows == 1:
        linear_gram(array, frames, moments, real)
    elif array.rows > 1:
        planar_gram(array, frames, moments, real)
    else:
        columns, _ = steering_columns(array, frames.reshape(1, n, q, 3))
        gram = gram_of(columns, array.is_symmetric)[0]
        for r in range(q * n):
            for s in range(q * n):
                real[r, s] = gram[r, s].real
                if imag.shape[0] > 0:
                    imag[r, s] = gram[r, s].imag
    for t in range(1, q):
        for k in range(n):
            if vanishes(array, frames, k, t):
                real[t * n + k, :] = 0.0
                real[:, t * n + k] = 0.0


@unmanaged
def link_weights(amplitude, gram, transposed, delay, grid, moments, out):
    """Weights of `efim`, (2qn, 2qn), of one draw and link, from the real or the imaginary part of a Gram matrix.

    amplitude is (2q, n): size of each kind of term; gram (qn, qn) that of the receive columns, and transposed the sign
    of its transpose, -1 for an imaginary part; grid is (2 pi df, subcarriers).
    """
    omega, subcarriers = grid
    n = delay.size
    kinds = amplitude.shape[0]
    q = kinds // 2
    last = kinds - 1
    for k in range(n):
        for h in range(k + 1):
            x = omega * (delay[k] - delay[h])
            c0, c1, c2 = _periodic_sums(x, subcarriers, moments)
            for s in range(kinds):
                row = (s - q + 1) * n + k if q <= s < last else k
                for t in range(kinds):
                    column = (t - q + 1) * n + h if q <= t < last else h
                    value = c0
                    if s == last and t == last:
                        value = omega * omega * c2
                    elif t == last:
                        value = omega * c1
                    elif s == last:
                        value = -omega * c1
                    # T goes with b_k^H V b_h, so that this is u_h^H u_k.
                    value *= amplitude[s, k] * amplitude[t, h] * gram[column, row]
                    out[s * n + k, t * n + h] = value
                    out[t * n + h, s * n + k] = transposed * value


@unmanaged
def path_phasor(gain, delay, middle, out):
    """exp(j (arg gain - middle delay)) of every path: (n, 2).

    middle is the angular frequency of the middle of the band above the first subcarrier's origin.
    """
    for k in range(delay.size):
        size = math.hypot(gain[k].real, gain[k].imag)
        angle = middle * delay[k]
        angle -= _TWO_PI * round(angle / _TWO_PI)
        c = math.cos(angle)
        s = math.sin(angle)
        real = gain[k].real / size if size > 0.0 else 1.0
        imag = gain[k].imag / size if size > 0.0 else 0.0
        out[k, 0] = real * c + imag * s
        out[k, 1] = imag * c - real * s


@kernel
def _grid_moments(array):
    """Moments of the indices along z and along y."""
    return index_moments(max(array.rows, 1)), index_moments(max(array.columns, 1))


@kernel
def transmit_gram(array, frames):
    """B^H B of every draw, real and imaginary part, (batch, qn, qn); the latter (batch, 0, 0) for symmetric arrays."""
    batch, n, q, _ = frames.shape
    real = np.zeros((batch, q * n, q * n))
    size = 0 if array.is_symmetric else q * n
    imag = np.zeros((batch, size, size))
    moments = _grid_moments(array)
    for b in range(batch):
        column_gram(array, frames[b], moments, real[b], imag[b])
    return real, imag


class Ends(NamedTuple):
    """Both ends of a link: arrays and, in the frames (batch, n, q, 3) of their paths, directions."""

    transmitter: Array
    receiver: Array
    departure: np.ndarray
    arrival: np.ndarray


@unmanaged
def _amplitudes(ends, b, beta, metres, out):
    """Size of each kind of term of every path, (2q, n): what is left of it is a unit-norm column at either end."""
    antennas = ends.transmitter.positions.shape[0], ends.receiver.positions.shape[0]
    sent, received = math.sqrt(antennas[0]), math.sqrt(antennas[1])
    both = math.sqrt(1.0 * antennas[0] * antennas[1])
    kinds = out.shape[0]
    q = kinds // 2
    for k in range(out.shape[1]):
        out[0, k] = beta[k] * both
        for t in range(1, q):
            step, cosine, size = tangent_size(ends.transmitter, ends.departure[b, k, t])
            out[t, k] = step * beta[k] / metres[0, k] * received * cosine * size
            step, cosine, size = tangent_size(ends.receiver, ends.arrival[b, k, t])
            out[q - 1 + t, k] = step * beta[k] / metres[0, k] * sent * cosine * size
        out[kinds - 1, k] = beta[k] * both / metres[1, k]


@kernel
def link_structure(ends, delay, gain, metres, grid):
    """Weights (batch, 2qn, 2qn), their imaginary part, and phasors (batch, n, 2) of every draw.

    ends are `Ends`; delay and gain (batch, n); metres (batch, 2, n) what a radian of a direction and a second of the
    delay are worth; grid (2 pi df, subcarriers). The scale 2 N P_m / sigma^2 is left out. The imaginary part is
    (batch, 0, 0) where the receiver is symmetric.
    """
    batch, n = delay.shape
    q = ends.departure.shape[2]
    omega, subcarriers = grid
    rx_moments = _grid_moments(ends.receiver)
    moments = index_moments(subcarriers)
    size = 0 if ends.receiver.is_symmetric else 1
    weights = np.zeros((batch, 2 * q * n, 2 * q * n))
    weights_imag = np.zeros((batch, size * 2 * q * n, size * 2 * q * n))
    phasor = np.zeros((batch, n, 2))
    gram, gram_imag = np.zeros((q * n, q * n)), np.zeros((size * q * n, size * q * n))
    amplitude = np.zeros((2 * q, n))
    beta = np.zeros(n)
    for b in range(batch):
        column_gram(ends.receiver, ends.arrival[b], rx_moments, gram, gram_imag)
        for k in range(n):
            beta[k] = math.hypot(gain[b, k].real, gain[b, k].imag)
        _amplitudes(ends, b, beta, metres[b], amplitude)
        link_weights(amplitude, gram, 1.0, delay[b], grid, moments, weights[b])
        if size > 0:
            link_weights(amplitude, gram_imag, -1.0, delay[b], grid, moments, weights_imag[b])
        path_phasor(gain[b], delay[b], omega * 0.5 * (subcarriers + 1), phasor[b])
    return weights, weights_imag, phasor


@kernel
def triangular_factors(array, frames, gram, tolerance):
    """R of B = Q R, real and imaginary part, (batch, qn, qn), and the rank of B, (batch,), from B^H B.

    gram (batch, qn, qn) is its real part. The Cholesky factor of the Gram matrix carries twice the digits lost in B.
    Where that matters (two bearings close together, few antennas), for the rank, and for arrays without symmetry, the
    columns themselves are orthogonalised.
    """
    batch, count, _ = gram.shape
    mix = np.zeros((batch, count, count))
    size = 0 if array.is_symmetric else count
    mix_imag = np.zeros((batch, size, size))
    rank = np.full(batch, count, np.int64)
    for b in range(batch):
        fine = array.is_symmetric and array.positions.shape[0] >= count
        for j in range(count):
            for i in range(j + 1):
                total = gram[b, i, j]
                for k in range(i):
                    total -= mix[b, k, i] * mix[b, k, j]
                if i < j:
                    mix[b, i, j] = total / mix[b, i, i]
                else:
                    fine = fine and total > _CLOSE
                    mix[b, j, j] = math.sqrt(max(total, _CLOSE))
        if not fine:
            columns, _ = steering_columns(array, frames[b : b + 1])
            _, exact, found = orthonormal_basis(columns, array.is_symmetric, tolerance)
            mix[b] = exact[0].real
            if size > 0:
                mix_imag[b] = exact[0].imag
            rank[b] = found[0]
    return mix, mix_imag, rank


@kernel
def path_couplings(bistatic, monostatic, gram, gram_imag, everyone):
    """How much the columns [a_0, a_1, ..., d_0, d_1, ...] of a path have to do with those of other paths.

    bistatic, monostatic are `problems.SeparableFim`, gram and gram_imag (batch, qn, qn) those of the transmit columns
    of everyone, n paths in all. Returns coupling (batch, qn, n), squared correlations of what arrives through column i
    and through the steering column of path l, summed over the kinds of term of i, mean of those of l and of both links;
    and overlap (batch, qn, 1), the root of the summed squares of a column's inner products with other paths' columns.
    """
    batch, count, _ = gram.shape
    n = everyone
    coupling = np.zeros((batch, count, n))
    overlap = np.zeros((batch, count, 1))
    for b in range(batch):
        _add_couplings(bistatic, b, coupling[b])
        _add_couplings(monostatic, b, coupling[b])
        for i in range(count):
            total = 0.0
            for j in range(count):
                if i % n != j % n:
                    total += gram[b, i, j] ** 2
                    if gram_imag.shape[1] > 0:
                        total += gram_imag[b, i, j] ** 2
            overlap[b, i, 0] = math.sqrt(total)
    return coupling, overlap


@unmanaged
def _add_couplings(link, b, out):
    """Add those of one link, (qn, n)."""
    weights, imag = link.weights[b], link.weights_imag[b]
    everyone = out.shape[1]
    n = link.paths.size
    q = link.parameter_of_kind.size // 2
    for r in range(2 * q * n):
        kind = r // n
        i = (kind * everyone if kind < q else 0) + link.paths[r % n]
        for c in range(2 * q * n):
            both = weights[r, r] * weights[c, c]
            if r % n != c % n and not 0 < c // n < q and both > 0.0:
                square = weights[r, c] ** 2
                if imag.shape[0] > 0:
                    square += imag[r, c] ** 2
                out[i, link.paths[c % n]] += square / (2.0 * (q + 1) * both)
