"""An optimum that others published: angles and gains of three targets, planar arrays, a limit on the sum of powers.

The numbers are of the sensing case of "Optimal ISAC Beamforming Structure and Efficient Algorithms for Sum Rate and
CRLB Balancing" (arXiv 2503.09489), from the data in github.com/Nostalgia2022/OBS-for-CRLB-ISAC, folder
Fig3_performance_vs_Ns. The programs there are under GPLv2 and nothing of them is here: the problem is built anew.

A monostatic array sees H = sum_k alpha_k b(theta_k, phi_k) a(theta_k, phi_k)^H over L snapshots, and V minimises the
sum of the bounds of all theta, phi, Re alpha and Im alpha. There phases count from the first element, in the engine
from the centre, where Gram matrices are real: a change of parameters leads from the one gain to the other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from crbatch import certified_gap
from crbatch.engine.beamforming import conic
from crbatch.engine.beamforming.problem import DenseMaps
from crbatch.engine.kernels.dense import objective, reduced
from crbatch.engine.kernels.model import bases, delaysums, fisher, steering
from crbatch.engine.links import Pattern
from scipy.optimize import least_squares, minimize

THETA = np.array([-0.21620969637896426, 0.0812975775875302, -0.16923861328024326])
PHI = np.array([0.3879228144986875, -0.618993760685637, 0.7919273069066666])
ALPHA = np.array(
    [
        0.0727801403911414 + 0.047702029839870236j,
        0.04819685171029085 + 0.11384106877816708j,
        -0.04792895296647231 + 0.06999359142140887j,
    ]
)
TRANSMIT, RECEIVE = (4, 4), (5, 4)  # elements along the two axes, half a wavelength apart
SNAPSHOTS, NOISE_W, POWER_W = 128, 1e-3, 0.1

# The best V of one, two and three streams by successive approximation, and the best of all by a semidefinite program.
STREAMS = {1: 1.2505098061540811, 2: 0.5661915760113397, 3: 0.4985472289110635}
OPTIMUM = 0.49854722837271065
# What the one and the two leading eigenvectors of the program's V give at full power.
LEADING = {1: 735.0866868587285, 2: 2.143058242224594}

# Receive and transmit column of each term, by kind of parameter: 0 steering, 1 along theta, 2 along phi.
TERMS = (((1, 0), (0, 1)), ((2, 0), (0, 2)), ((0, 0),), ((0, 0),))


def places(elements: tuple[int, int]) -> np.ndarray:
    """Numbers of the elements along the two axes, from the first one, (2, N, 1)."""
    along, across = elements
    return np.stack((np.tile(np.arange(along), across), np.repeat(np.arange(across), along)))[:, :, None]


def phases(at: np.ndarray, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    return np.pi * (at[0] * np.sin(theta) * np.sin(phi) + at[1] * np.cos(phi))


def slopes(at: np.ndarray) -> np.ndarray:
    """Derivatives of the targets' phases with respect to theta and phi."""
    along_phi = at[0] * np.sin(THETA) * np.cos(PHI) - at[1] * np.sin(PHI)
    return np.pi * np.stack((at[0] * np.cos(THETA) * np.sin(PHI), along_phi))


def channel(parameters: np.ndarray) -> np.ndarray:
    """H of [theta, phi, Re alpha, Im alpha]."""
    theta, phi, real, imag = parameters.reshape(4, -1)
    b, a = (np.exp(1j * phases(places(n), theta, phi)) / np.sqrt(np.prod(n)) for n in (RECEIVE, TRANSMIT))
    return b * (real + 1j * imag) @ a.conj().T


def centred_columns(elements: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Steering columns, those along theta, those along phi, of unit norm, (1, N, 9), and their norms, (3, 3)."""
    at = places(elements) - places(elements).mean(axis=1, keepdims=True)
    a = np.exp(1j * phases(at, THETA, PHI)) / np.sqrt(np.prod(elements))
    columns = np.hstack([a, *(1j * slope * a for slope in slopes(at))])
    norms = np.linalg.norm(columns, axis=0)
    return np.ascontiguousarray(columns / norms)[None], norms.reshape(3, -1)


def to_centred_gains() -> tuple[np.ndarray, np.ndarray]:
    """Gains that count phases from the centres, and the Jacobian to [theta, phi, Re, Im] with these, (12, 12)."""
    shift = (places(RECEIVE).mean(axis=1) - places(TRANSMIT).mean(axis=1))[:, :, None]
    turn = np.exp(1j * phases(shift, THETA, PHI))[0]
    derivatives = np.stack([*(1j * slope[0] * ALPHA * turn for slope in slopes(shift)), turn, 1j * turn])
    jacobian = np.zeros((4, 3, 4, 3))
    for k in range(3):
        jacobian[:2, k, :2, k] = np.eye(2)
        jacobian[2:, k, :, k] = derivatives[:, k].real, derivatives[:, k].imag
    return ALPHA * turn, jacobian.reshape(12, 12)


@dataclass(frozen=True)
class ThreeTargets:
    """What certificate and conic program take of a `Problem`, and the channel's FIM; one draw, one link."""

    columns: np.ndarray
    basis: np.ndarray
    mix: np.ndarray
    rank: np.ndarray
    information: Any
    jacobian: np.ndarray
    maps: DenseMaps
    power: float = POWER_W

    @property
    def complex_mix(self) -> np.ndarray:
        return self.mix

    def dense(self, _: int) -> tuple[DenseMaps, DenseMaps]:
        return self.maps, self.maps

    def exists(self, _: float) -> np.ndarray:
        return np.ones((1, 1), bool)

    def reduce(self, covariance: np.ndarray) -> np.ndarray:
        return bases.reduce(self.basis, covariance, self.power)

    def evaluate(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Sum of the bounds at a reduced covariance of unit trace, and its gradient, (9, 9) each."""
        link, count = self.maps.over_covariances(), len(x)
        coordinates, along = np.zeros(count**2 + 1), np.zeros(count**2 + 1)
        objective.coordinates_of(x, self.mix[0], count, coordinates)
        work = objective.work_space(link, link)
        value = objective.dense_weighted_crb(link, link, 1.0, coordinates, along, work)
        return value, objective.hermitian_gradient(along, self.mix[0], count)

    def covariance(self, streams: int, seeds: int = 4) -> np.ndarray:
        """V of at most so many streams, (16, 16), W: the best of some descents, until the gradient vanishes."""
        starts = [np.random.default_rng(seed).standard_normal(18 * streams) for seed in range(seeds)]
        found = min((minimize(self.log_bounds, z, jac=True, method="L-BFGS-B") for z in starts), key=lambda f: f.fun)
        settled = least_squares(lambda z: self.log_bounds(z)[1], found.x, method="lm", xtol=1e-15, gtol=1e-15)
        w = self.basis[0] @ complex_of(settled.x)
        return self.power / np.linalg.norm(w) ** 2 * w @ w.conj().T

    def log_bounds(self, parts: np.ndarray) -> tuple[float, np.ndarray]:
        """Log of the bounds' sum at factors of any power, given as real numbers, and its gradient."""
        w = complex_of(parts)
        power = np.sum(np.abs(w) ** 2)
        value, slope = self.evaluate(w @ w.conj().T / power)
        # f is of degree -1: w in the last term takes out what more power alone would gain.
        along = 2.0 / power * (slope @ w / value + w)
        return np.log(value), np.stack((along.real, along.imag)).ravel()


def complex_of(parts: np.ndarray) -> np.ndarray:
    real, imag = parts.reshape(2, 9, -1)
    return real + 1j * imag


@pytest.fixture(scope="module")
def targets() -> ThreeTargets:
    (transmit, sent), (receive, received) = (centred_columns(elements) for elements in (TRANSMIT, RECEIVE))
    gain, jacobian = to_centred_gains()
    two = [(*terms, *terms)[:2] for terms in TERMS]
    rx, tx = np.array([[[3 * t[side] + k for t in terms] for terms in two for k in range(3)] for side in (0, 1)])
    counts = np.repeat([len(terms) for terms in TERMS], 3)
    pattern = Pattern(np.tile(np.arange(3), 4), np.zeros(12, int), counts, rx, tx)
    factors = (gain, gain, np.ones(3), 1j * np.ones(3))
    coef = np.array(
        [
            [f[k] * received[r, k] * sent[t, k] for r, t in terms]
            for f, terms in zip(factors, two, strict=True)
            for k in range(3)
        ]
    )
    sums = delaysums.delay_sums(np.zeros((1, 3)), 1.0, 1)  # one subcarrier, no delays
    rx_gram, tx_gram = (steering.gram_of(columns, True) for columns in (receive, transmit))
    np.testing.assert_allclose(transmit[0].conj().T @ transmit[0], tx_gram[0], rtol=0, atol=1e-14)
    scale = 2.0 * SNAPSHOTS / NOISE_W

    def information(s: np.ndarray, scale: float = scale) -> np.ndarray:
        return fisher.channel_fim(pattern, coef[None], sums, rx_gram, s, scale)

    equal = bases.gram_of_powers(tx_gram, np.full((1, 9), 1 / 9))
    maps = reduced.dense_link(
        pattern,
        coef,
        sums[0],
        rx_gram[0],
        scale * POWER_W,
        jacobian,
        np.zeros(12),
        information(equal, scale * POWER_W)[0],
        tx_gram[0].real.copy(),
        np.zeros((0, 0)),
    )
    basis, mix, rank = steering.orthonormal_basis(transmit, True, 1e-13)
    return ThreeTargets(transmit, basis, mix, rank, information, jacobian, DenseMaps(*maps, bound_rows=12))


def sum_of_bounds(v: np.ndarray) -> float:
    """From the channel alone, differentiated by central differences."""
    at, step = np.concatenate((THETA, PHI, ALPHA.real, ALPHA.imag)), 1e-5
    d = np.array([channel(at + step * e) - channel(at - step * e) for e in np.eye(12)]) / (2 * step)
    fim = 2 * SNAPSHOTS / NOISE_W * np.einsum("jrc,cd,ird->ij", d, v, d.conj()).real
    return float(np.trace(np.linalg.inv(fim)))


def leading(v: np.ndarray, streams: int) -> np.ndarray:
    values, vectors = np.linalg.eigh(v)
    kept = vectors[:, -streams:] * values[-streams:] @ vectors[:, -streams:].conj().T
    return np.trace(v).real / np.trace(kept).real * kept


def test_fisher_information_is_that_of_the_differentiated_channel(targets: ThreeTargets) -> None:
    """Of the first element's gains, by the engine's for the centre's."""
    w = np.random.default_rng(1).standard_normal((2, 16, 5))
    v = (w[0] + 1j * w[1]) @ (w[0] + 1j * w[1]).conj().T
    v *= POWER_W / np.trace(v).real
    fim = targets.information(fisher.congruence(targets.columns, v[None]))
    bounds = np.trace(np.linalg.inv(fisher.transform(targets.jacobian[None], fim)[0]))
    assert bounds == pytest.approx(sum_of_bounds(v), rel=1e-8)
    assert targets.evaluate(targets.reduce(v[None, None])[0, 0])[0] == pytest.approx(bounds, rel=1e-11)


@pytest.mark.parametrize("streams", STREAMS)
def test_best_beams_of_few_streams_have_the_published_bounds(targets: ThreeTargets, streams: int) -> None:
    """Fewer than three are not the best: their certificate leaves room for what more would gain."""
    v = targets.covariance(streams)
    assert sum_of_bounds(v) == pytest.approx(STREAMS[streams], rel=1e-7)
    excess = STREAMS[streams] / OPTIMUM - 1
    assert certified_gap(targets, v, 1.0)[0] >= excess - 1e-7  # type: ignore[arg-type]


def test_optimum_is_the_published_one_and_certified_on_both_cones(targets: ThreeTargets) -> None:
    assert targets.rank[0] == 9  # of 16 dimensions
    v = targets.covariance(3)
    assert sum_of_bounds(v) == pytest.approx(OPTIMUM, rel=1e-9)
    for cone in ("reduced", "full"):
        assert certified_gap(targets, v, 1.0, cone)[0] <= 1e-9  # type: ignore[arg-type]
    assert np.linalg.matrix_rank(v, tol=1e-9 * POWER_W) == 3


def test_more_streams_gain_nothing(targets: ThreeTargets) -> None:
    v = targets.covariance(9, seeds=1)
    assert sum_of_bounds(v) == pytest.approx(OPTIMUM, rel=1e-7)
    assert np.linalg.matrix_rank(v, tol=1e-5 * POWER_W) == 3


def test_leading_beams_have_the_published_bounds(targets: ThreeTargets) -> None:
    """Not only the bound but V: its bounds cut to fewer streams show the error of a conic solver's V."""
    v = targets.covariance(3)
    for streams, expected in LEADING.items():
        assert sum_of_bounds(leading(v, streams)) == pytest.approx(expected, rel=3e-5)


@pytest.mark.parametrize("cone", ["reduced", "full"])
def test_conic_program_has_the_same_optimum(targets: ThreeTargets, cone: Any) -> None:
    v = conic.solve_weighted_crb(targets, 0, 1.0, cone)  # type: ignore[arg-type]
    assert np.trace(v).real == pytest.approx(POWER_W, rel=1e-12)
    assert sum_of_bounds(v) == pytest.approx(OPTIMUM, rel=1e-7)
    assert certified_gap(targets, v, 1.0)[0] < 1e-4  # type: ignore[arg-type]
