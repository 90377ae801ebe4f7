"""What the separable FIM of a draw is made of (see `efim`): real weights, a phase for each path, Gram matrices.

Frequencies are counted from the middle of the band here. That changes the derivative with respect to a delay by a
multiple of that with respect to the path's gain, which is unknown anyway: no bound changes, and every delay sum
becomes real. Steering columns have closed-form inner products, so neither M nor any number of antennas is looped
over. Twin: tests/support/naive.py, in tests/engine/test_fisher.py and test_crb.py.
"""

import math

import numpy as np

from ..jit.accelerate import kernel, unmanaged
from ..model.delaysums import centred_sums, index_moments
from ..model.steering import orthonormal_basis, steering_columns

GAIN, DEPARTURE, ARRIVAL, DELAY = 0, 1, 2, 3
_TWO_PI = 2.0 * math.pi
_CLOSE = 1e-3  # squared distance of a unit column from the span of those before it


@unmanaged
def spread_of(antennas):
    """Norm of the element offsets i - (N - 1) / 2 of an array."""
    return math.sqrt(antennas * (antennas * antennas - 1.0) / 12.0)


@unmanaged
def _periodic_sums(x, count, moments):
    """`centred_sums` of any x: they have period 2 pi, but for the sign where the centred indices are halves."""
    periods = round(x / _TWO_PI)
    c0, c1, c2 = centred_sums(x - _TWO_PI * periods, count, moments)
    if periods % 2 != 0 and count % 2 == 0:
        return -c0, -c1, -c2
    return c0, c1, c2


@unmanaged
def column_gram(theta, antennas, moments, out):
    """Inner products of the unit-norm columns [a_0, a_1, ..., d_0, d_1, ...] of one draw, real: (2n, 2n).

    theta is (n,); moments are those of `antennas` indices. Sums over centred indices k of k^p exp(jkx), with
    x = pi (sin theta_j - sin theta_i), are all there is to it.
    """
    n = theta.size
    spread = spread_of(antennas)
    one = 1.0 / antennas
    mixed = 1.0 / (math.sqrt(antennas) * spread) if antennas > 1 else 0.0
    twice = 1.0 / spread**2 if antennas > 1 else 0.0
    for i in range(n):
        out[i, i] = 1.0
        out[n + i, n + i] = 1.0 if antennas > 1 else 0.0
        out[i, n + i] = 0.0
        out[n + i, i] = 0.0
        for j in range(i):
            x = math.pi * (math.sin(theta[j]) - math.sin(theta[i]))
            c0, c1, c2 = _periodic_sums(x, antennas, moments)
            out[i, j] = out[j, i] = one * c0
            out[n + i, n + j] = out[n + j, n + i] = twice * c2
            out[i, n + j] = out[n + j, i] = -mixed * c1
            out[j, n + i] = out[n + i, j] = mixed * c1


@unmanaged
def link_weights(amplitude, gram, delay, omega, subcarriers, moments, out):
    """Real weights of `efim`, (4n, 4n), of one draw and link.

    amplitude is (4, n): size of each kind of term; gram (2n, 2n) of the receive columns; omega = 2 pi df.
    """
    n = delay.size
    for k in range(n):
        for h in range(k + 1):
            x = omega * (delay[k] - delay[h])
            c0, c1, c2 = _periodic_sums(x, subcarriers, moments)
            for s in range(4):
                row = n + k if s == ARRIVAL else k
                for t in range(4):
                    column = n + h if t == ARRIVAL else h
                    value = c0
                    if s == DELAY and t == DELAY:
                        value = omega * omega * c2
                    elif t == DELAY:
                        value = omega * c1
                    elif s == DELAY:
                        value = -omega * c1
                    value *= amplitude[s, k] * amplitude[t, h] * gram[row, column]
                    out[s * n + k, t * n + h] = value
                    out[t * n + h, s * n + k] = value


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
def link_structure(aod, rx_angle, antennas, delay, gain, metres, grid):
    """Transmit Gram matrix (batch, 2n, 2n), weights (batch, 4n, 4n) and phasors (batch, n, 2) of every draw.

    aod, rx_angle, delay, gain are (batch, n); antennas (transmit, receive); metres (batch, 2, n) what a radian of
    the angle and a second of the delay are worth; grid (2 pi df, subcarriers). The scale 2 N P_m / sigma^2 is left out.
    """
    batch, n = aod.shape
    omega, subcarriers = grid
    tx_moments = index_moments(antennas[0])
    rx_moments = index_moments(antennas[1])
    moments = index_moments(subcarriers)
    tx_gram = np.zeros((batch, 2 * n, 2 * n))
    weights = np.zeros((batch, 4 * n, 4 * n))
    phasor = np.zeros((batch, n, 2))
    rx_gram = np.zeros((2 * n, 2 * n))
    amplitude = np.zeros((4, n))
    size = math.sqrt(1.0 * antennas[0] * antennas[1])
    for b in range(batch):
        column_gram(aod[b], antennas[0], tx_moments, tx_gram[b])
        column_gram(rx_angle[b], antennas[1], rx_moments, rx_gram)
        for k in range(n):
            beta = math.hypot(gain[b, k].real, gain[b, k].imag)
            swing = math.pi * beta / metres[b, 0, k]
            amplitude[GAIN, k] = beta * size
            amplitude[DEPARTURE, k] = swing * math.sqrt(antennas[1]) * math.cos(aod[b, k]) * spread_of(antennas[0])
            amplitude[ARRIVAL, k] = swing * math.sqrt(antennas[0]) * math.cos(rx_angle[b, k]) * spread_of(antennas[1])
            amplitude[DELAY, k] = beta * size / metres[b, 1, k]
        link_weights(amplitude, rx_gram, delay[b], omega, subcarriers, moments, weights[b])
        path_phasor(gain[b], delay[b], omega * 0.5 * (subcarriers + 1), phasor[b])
    return tx_gram, weights, phasor


@kernel
def triangular_factors(gram, aod, antennas, tolerance):
    """R of B = Q R, (batch, 2n, 2n), and the rank of B, (batch,), from gram = B^H B (batch, 2n, 2n).

    The Cholesky factor of the Gram matrix carries twice the digits lost in B. Where that matters (two bearings
    close together, few antennas), and for the rank, the columns themselves are orthogonalised.
    """
    batch, count, _ = gram.shape
    mix = np.zeros((batch, count, count))
    rank = np.full(batch, count, np.int64)
    for b in range(batch):
        fine = antennas >= count
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
            columns, _ = steering_columns(aod[b : b + 1], antennas)
            _, exact, found = orthonormal_basis(columns, tolerance)
            mix[b] = exact[0]
            rank[b] = found[0]
    return mix, rank


@kernel
def path_couplings(bistatic, monostatic, gram):
    """How much the columns [a_0, a_1, ..., d_0, d_1, ...] of a path have to do with those of other paths.

    bistatic, monostatic are the links' weights (batch, 4n, 4n), gram (batch, 2n, 2n) that of the transmit columns.
    Returns coupling (batch, 2n, n), squared correlations of what arrives through column i and through the steering
    column of path l, summed over the kinds of term of i, mean of those of l and of both links; and overlap
    (batch, 2n, 1), the root of the summed squares of a column's inner products with other paths' columns.
    """
    batch, count, _ = gram.shape
    n = count // 2
    coupling = np.zeros((batch, count, n))
    overlap = np.zeros((batch, count, 1))
    for b in range(batch):
        for weights in (bistatic[b], monostatic[b]):
            for r in range(4 * n):
                i = n + r % n if r // n == DEPARTURE else r % n
                for c in range(4 * n):
                    both = weights[r, r] * weights[c, c]
                    if r % n != c % n and c // n != DEPARTURE and both > 0.0:
                        coupling[b, i, c % n] += weights[r, c] ** 2 / (6.0 * both)
        for i in range(count):
            total = 0.0
            for j in range(count):
                if i % n != j % n:
                    total += gram[b, i, j] ** 2
            overlap[b, i, 0] = math.sqrt(total)
    return coupling, overlap
