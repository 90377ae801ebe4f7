"""The design problem (12) of a batch of draws, reduced to span(B), ready for the solvers."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import Complexes, Flags, Reals, Wholes
from ..channel import Channel, channel_of, elements_of
from ..crb import SINGULAR
from ..draws import Draws
from ..fisher import separable_fim
from ..kernels.bound import apa, designbounds, separable
from ..kernels.bound.problems import ProblemArrays, SeparableFim
from ..kernels.dense import reduced
from ..kernels.model import bases, steering
from ..links import Link, bistatic_link, monostatic_link, noise_scale
from ..scenario import SPEED_OF_LIGHT, Scenario
from ..unknowns import bistatic_unknowns
from .identifiability import ApaReference
from .separablelinks import geometries, separable_links

# A steering or derivative column closer than this to the span of those before it adds no dimension.
_RANK_TOLERANCE = 1e-13


@dataclass(frozen=True)
class DenseMaps:
    """One link of one draw as linear maps, whitened at the APA point (see `kernels.dense.reduced`).

    Attributes
    ----------
    factor
        Rows that turn a whitened inverse into bounds at unit scale (`Problem.scale`), (p, p).
    covariance_map, power_map
        Whitened FIM from the coordinates of S and the power, (n^2 + 1, p(p+1)/2), or from codeword powers,
        (n, p(p+1)/2), at unit power.
    bound_rows
        How many leading position parameters the CRB adds up.
    """

    factor: Reals
    covariance_map: Reals
    power_map: Reals
    bound_rows: int

    def unpacked(self, packed: Reals) -> Reals:
        """Whitened FIMs from their packed lower triangles, (rows, p(p+1)/2) -> (rows, p, p)."""
        p = len(self.factor)
        lower = np.tril_indices(p)
        full = np.zeros((len(packed), p, p))
        full[:, lower[0], lower[1]] = full[:, lower[1], lower[0]] = packed
        return full

    def over_covariances(self) -> tuple[Reals, Reals, int]:
        """What `kernels.dense.objective` takes of a link for covariances."""
        return self.covariance_map, self.factor, self.bound_rows


@dataclass(frozen=True)
class Problem:
    """Both links of a batch of draws and the subspace in which some optimal V lies, of n = q(K+1) columns.

    A path has q columns, 2 in the plane and 3 in space: its steering vector, then the derivatives.

    Attributes
    ----------
    scenario, draws, channel
        What is fixed, what was drawn, and what follows of angles, delays and gains.
    arrays
        The draws' FIMs as the solvers take them, `kernels.bound.problems.ProblemArrays`, at unit power and noise: see
        `scale`.
    rank
        Dimension of span(B), (batch,).
    apa
        Equal codeword powers of unit sum, (batch, n).
    bistatic, monostatic
        What equal powers on the columns of B tell about the links.
    """

    scenario: Scenario
    draws: Draws
    channel: Channel
    arrays: ProblemArrays
    rank: Wholes
    apa: Reals
    bistatic: ApaReference
    monostatic: ApaReference

    @property
    def power(self) -> float:
        """P_m = P / M, W."""
        return self.scenario.power_per_subcarrier_w

    @property
    def scale(self) -> float:
        """2 N P_m / sigma^2, by which `arrays` are too small: designs do not depend on it, bounds go with 1 / scale."""
        return noise_scale(self.scenario) * self.power

    @cached_property
    def identifiable(self) -> Flags:
        """Which links are, BP's first, (batch, 2)."""
        return np.stack((self.bistatic.identifiable, self.monostatic.identifiable), axis=1)

    def exists(self, rho: ArrayLike) -> Flags:
        """Where a weighted design exists, (batch, rho): where the links of non-zero weight are identifiable."""
        return of_weighted(self.identifiable, np.atleast_1d(rho))

    @property
    def mix(self) -> Reals:
        """Real part of R of B = Q R, all of it for symmetric arrays, (batch, n, n)."""
        return self.arrays.mix

    @cached_property
    def complex_mix(self) -> Complexes:
        """R of B = Q R, (batch, n, n)."""
        imag = self.arrays.mix_imag
        return self.mix + 1j * imag if imag.shape[1] else self.mix.astype(complex)

    @property
    def gram(self) -> Reals:
        """Real part of B^H B, (batch, n, n)."""
        return self.arrays.gram

    @property
    def _paths(self) -> int:
        return self.channel.aod.shape[1]  # type: ignore[no-any-return]

    @cached_property
    def columns(self) -> Complexes:
        """B: unit-norm steering columns of every path, then their derivatives, centred, (batch, M_T, n)."""
        columns, _ = steering.steering_columns(elements_of(self.scenario.transmitter), self.channel.departure)
        return columns  # type: ignore[no-any-return]

    @cached_property
    def codebook(self) -> Complexes:
        """U: unit-norm steering beams of every path, then their derivatives, (batch, M_T, n)."""
        if self._centred:
            return self.columns
        beams, derivatives = np.split(self.columns, [self._paths], axis=2)
        own, steered = _first_element_shares(self.scenario.tx_antennas)
        each = np.tile(beams, derivatives.shape[2] // self._paths)
        return np.concatenate((beams, own * derivatives + 1j * steered * each), axis=2)

    @cached_property
    def codewords(self) -> ProblemArrays:
        """`arrays` for power on the codebook U, which are those for power on B where steering vectors are centred."""
        if self._centred:
            return self.arrays
        real, imag = self._on_codebook(self.gram)
        return self.arrays._replace(
            gram=np.ascontiguousarray(real.swapaxes(1, 2)), gram_imag=np.ascontiguousarray(imag.swapaxes(1, 2))
        )

    @cached_property
    def codeword_mix(self) -> tuple[Reals, Reals]:
        """M of U = Q M: real part, and imaginary part, which is (batch, 0, 0) where there is none."""
        return (self.mix, self.arrays.mix_imag) if self._centred else self._on_codebook(self.mix)

    @property
    def _centred(self) -> bool:
        return self.scenario.phase_centre == "array-centre"

    def _on_codebook(self, given: Reals) -> tuple[Reals, Reals]:
        """A matrix of the columns of U, real and imaginary part, from that of B's columns, real, (batch, n, n)."""
        paths = self._paths
        own, steered = _first_element_shares(self.scenario.tx_antennas)
        real, imag = given.copy(), np.zeros_like(given)
        real[:, :, paths:] *= own
        imag[:, :, paths:] = steered * np.tile(given[:, :, :paths], given.shape[2] // paths - 1)
        return real, imag

    @cached_property
    def basis(self) -> Complexes:
        """Q of B = Q R, (batch, M_T, n), of which the first `rank` columns count."""
        symmetric = elements_of(self.scenario.transmitter).is_symmetric
        basis, _, _ = steering.orthonormal_basis(self.columns, symmetric, _RANK_TOLERANCE)
        return basis  # type: ignore[no-any-return]

    def draw(self, index: int) -> "Problem":
        """The problem of one draw, as a batch of one."""
        one = slice(index, index + 1)
        bistatic, monostatic, *others = self.arrays
        return replace(
            self,
            draws=self.draws[one],
            channel=self.channel[one],
            arrays=ProblemArrays(_cut(bistatic, one), _cut(monostatic, one), *(array[one] for array in others)),
            rank=self.rank[one],
            apa=self.apa[one],
            bistatic=self.bistatic.cut(one),
            monostatic=self.monostatic.cut(one),
        )

    def bounds(self, x: Complexes) -> tuple[Reals, Reals]:
        """Bounds of all position parameters at reduced covariances.

        Parameters
        ----------
        x
            (batch, design, n, n), of unit trace.

        Returns
        -------
        tuple of numpy.ndarray
            (batch, design, 2K+4) of BP, [p_U, phi, p_1..p_K, dt], and (batch, design, 2K+2) of MS; in space 3K+7 and
            3K+3; m2, rad2, s2. A bound is infinite where rounding leaves nothing of it at the APA point, or where the
            FIM is singular at x, and 0 of what is known. MS has the entries of each position across and along the line
            of sight.
        """
        bp, ms = self.unit_bounds(x)
        return bp / self.scale, ms / self.scale

    def unit_bounds(self, x: Complexes) -> tuple[Reals, Reals]:
        """The same at unit power and noise: `scale` times as large."""
        dims, located = self.scenario.dimensions, self.scenario.targets + 1
        batch, size = self.bistatic.bounds.shape
        own = self.arrays.monostatic.paths.size
        reference = np.full((2, batch, max(size, dims * own)), np.inf)
        reference[0, :, :size] = self.scale * self.bistatic.bounds
        # A kind of parameter of all paths, then the next.
        each = reference[1, :, : dims * own].reshape(batch, dims, own)
        each[:, :, :located] = self.scale * self.monostatic.bounds.reshape(batch, dims, located)
        found_bp, found_ms = designbounds.design_bounds(self.arrays, np.ascontiguousarray(x), reference, SINGULAR)
        bp = np.where(self.bistatic.bounded[:, None], found_bp, np.inf)
        across_and_along = found_ms.reshape(*found_ms.shape[:2], dims, own)[..., :located]
        ms = np.where(self.monostatic.bounded.reshape(batch, 1, dims, located), across_and_along, np.inf)
        unknowns = bistatic_unknowns(self.scenario, self.channel.nuisances[0])
        return unknowns.with_known(bp, self.scale)[..., : unknowns.located], np.swapaxes(ms, 2, 3).reshape(
            *ms.shape[:2], -1
        )

    def dense(self, draw: int) -> tuple[DenseMaps, DenseMaps]:
        """Both links of one draw as linear maps: an independent and slower way to the same numbers."""
        one = self.draws[draw : draw + 1]
        channel = channel_of(self.scenario, one)
        # At unit scale, like the arrays: what comes of it does not depend on power and noise.
        links = (
            replace(link, scale=1.0)
            for link in (bistatic_link(self.scenario, one, channel), monostatic_link(self.scenario, one, channel))
        )
        bistatic, monostatic = links
        dims = self.scenario.dimensions
        return self._dense(bistatic, draw, dims), self._dense(monostatic, draw, dims * (self.scenario.targets + 1))

    def _dense(self, link: Link, draw: int, bound_rows: int) -> DenseMaps:
        gram = steering.gram_of(link.tx_columns, elements_of(self.scenario.transmitter).is_symmetric)
        at_apa = bases.gram_of_powers(gram, self.apa[draw : draw + 1])
        maps = reduced.dense_link(
            link.pattern,
            link.coef[0],
            link.sums[0],
            link.rx_gram[0],
            link.scale,
            link.jacobian[0],
            link.prior / self.scale,
            separable_fim(link, at_apa)[0],
            self.codewords.gram[draw],
            self.codewords.gram_imag[draw],
        )
        factor, covariance_map, power_map = maps
        return DenseMaps(factor, covariance_map, power_map, bound_rows)

    def covariance_of_powers(self, powers: Reals) -> Complexes:
        """Reduced covariance of codeword powers: (batch, design, codeword) -> (batch, design, n, n)."""
        return bases.covariance_of_powers(*self.codeword_mix, powers)  # type: ignore[no-any-return]

    def codeword_factors(self, powers: Reals) -> Complexes:
        """Reduced factors U diag(sqrt p) of codeword powers: (batch, design, codeword) -> (batch, design, n, n)."""
        real, imag = self.codeword_mix
        mix = real + 1j * imag if imag.shape[1] else real
        factors: Complexes = mix[:, None] * np.sqrt(powers)[:, :, None, :].astype(complex)
        return factors

    def reduce(self, covariance: Complexes) -> Complexes:
        """Q^H V Q / P_m of covariances (batch, design, M_T, M_T): the part of V that the links see."""
        return bases.reduce(self.basis, covariance, self.power)  # type: ignore[no-any-return]

    def reduce_shared(self, covariance: Complexes, power: float) -> Complexes:
        """Q^H V Q / power of covariances (design, M_T, M_T) that are the same for all draws: (batch, design, n, n)."""
        # Draw by draw: a copy of V for each of them could fill the memory.
        seen = [bases.reduce(self.basis[b : b + 1], covariance[None], power) for b in range(len(self.draws))]
        return np.concatenate([np.zeros((0, len(covariance), *self.mix.shape[1:]), np.complex128), *seen])

    def expand(self, reduced_covariance: Complexes) -> Complexes:
        """V = P_m Q x Q^H of reduced covariances (batch, design, n, n): (batch, design, M_T, M_T), W."""
        return bases.expand(self.basis, reduced_covariance, self.power)  # type: ignore[no-any-return]

    def expand_factor(self, factor: Complexes, draws: slice = slice(None)) -> Complexes:
        """W = sqrt(P_m) Q w of reduced factors (batch, ..., n, L): (batch, ..., M_T, L), W^0.5; of some draws."""
        batch, *middle, n, slots = factor.shape
        flat = np.ascontiguousarray(factor).reshape(batch, -1, n, slots)
        out = bases.expand_factor(self.basis[draws], flat, float(np.sqrt(self.power)))
        return out.reshape(batch, *middle, -1, slots)  # type: ignore[no-any-return]


def build_problem(scenario: Scenario, draws: Draws) -> Problem:
    """Set up the design problem of every draw.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn.

    Returns
    -------
    Problem
        Everything in it has the size of 2(K+1) columns, whatever M_T and M are.
    """
    channel = channel_of(scenario, draws)
    transmitter = elements_of(scenario.transmitter)
    gram, gram_imag = separable.transmit_gram(transmitter, channel.departure)
    bistatic, monostatic = separable_links(scenario, channel)
    mix, mix_imag, rank = separable.triangular_factors(transmitter, channel.departure, gram, _RANK_TOLERANCE)
    alive = gram[:, np.arange(gram.shape[1]), np.arange(gram.shape[1])] > 0.5  # one antenna: no derivative beam
    # In rows: picking a diagonal leaves columns, for which kernels would be compiled a second time.
    apa_powers = np.ascontiguousarray(alive / alive.sum(axis=1, keepdims=True))
    couplings = separable.path_couplings(bistatic, monostatic, gram, gram_imag, channel.aod.shape[1])
    # Codeword i is column i: row i is B^H b_i.
    arrays = ProblemArrays(bistatic, monostatic, mix, mix_imag, gram, -gram_imag, *couplings)
    middle = np.pi * scenario.subcarrier_spacing_hz * (scenario.subcarriers + 1)
    smallest, rounding, found, blur = apa.at_apa(
        arrays, apa_powers, *geometries(scenario, draws, channel), (middle, middle / (0.5 * SPEED_OF_LIGHT))
    )
    found /= noise_scale(scenario) * scenario.power_per_subcarrier_w
    dims, located = scenario.dimensions, scenario.targets + 1
    bp = np.arange(arrays.bistatic.rows.shape[1])
    # A kind of parameter of all paths, then the next; nuisance paths are the last of each.
    ms = (monostatic.paths.size * np.arange(dims)[:, None] + np.arange(located)).ravel()
    return Problem(
        scenario=scenario,
        draws=draws,
        channel=channel,
        arrays=arrays,
        rank=rank,
        apa=apa_powers,
        bistatic=ApaReference(smallest[0], rounding[0], found[0][:, bp], blur[0][:, bp], dims),
        monostatic=ApaReference(smallest[1], rounding[1], found[1][:, ms], blur[1][:, ms], ms.size),
    )


def of_weighted(each: Flags, rho: NDArray[Any]) -> Flags:
    """Whether something holds of all links of non-zero weight, (batch, rho), which holds of each, (batch, 2)."""
    both: Flags = (each[:, :1] | (rho == 0.0)) & (each[:, 1:] | (rho == 1.0))
    return both


def _first_element_shares(antennas: int) -> tuple[float, float]:
    """Shares s, t of the derivative beam s b' + j t b of unit norm that counts elements from the first one.

    b and b' are the centred steering and derivative columns. With D = diag(i - c), c = (N - 1) / 2, and a the centred
    steering vector, the beam goes along j (D + c) a, |D a|^2 = N (N^2 - 1) / 12 and |c a|^2 = N (N - 1)^2 / 4.
    """
    own = (antennas + 1) / (4 * antennas - 2)
    return sqrt(own), sqrt(1.0 - own)


def _cut(link: SeparableFim, part: slice) -> SeparableFim:
    """One link of some draws."""
    whole = ("parameter_of_kind", "paths", "bounded")
    return link._replace(**{name: getattr(link, name)[part] for name in link._fields if name not in whole})
