"""The design problem (12) of a batch of draws, reduced to span(B) and whitened, ready for the solvers."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..channel import channel_of
from ..crb import LARGEST_BOUND_M2, SMALLEST_EIGENVALUE
from ..draws import Draws
from ..fisher import separable_fim
from ..kernels import bounds, products, reduced, steering
from ..links import Link, bistatic_link, monostatic_link
from ..scenario import Scenario

# A steering or derivative column closer than this to the span of those before it adds no dimension.
_RANK_TOLERANCE = 1e-13


@dataclass(frozen=True)
class WhitenedLink:
    """One link's position FIM as linear maps, whitened at the APA point (see `kernels.reduced`).

    Attributes
    ----------
    factor
        Rows that turn a whitened inverse into bounds, (batch, p, p).
    covariance_map, power_map
        Whitened FIM from the coordinates of S, (batch, 4(K+1)^2, p(p+1)/2), or from codeword powers,
        (batch, 2(K+1), p(p+1)/2), at unit power P_m.
    smallest_eigenvalue
        Of the unit-diagonal position FIM at the APA point, (batch,).
    rounding
        Relative rounding error to expect in bounds and gaps, (batch,).
    regular, identifiable
        Whether the position FIM at the APA point is regular, and whether it also bounds every position to within
        1000 km, (batch,).
    bound_rows
        How many leading position parameters the CRB adds up.
    reported_rows
        How many leading position parameters have a bound in the results.
    """

    factor: NDArray[np.float64]
    covariance_map: NDArray[np.float64]
    power_map: NDArray[np.float64]
    smallest_eigenvalue: NDArray[np.float64]
    rounding: NDArray[np.float64]
    regular: NDArray[np.bool_]
    identifiable: NDArray[np.bool_]
    bound_rows: int
    reported_rows: int

    def draw(self, index: int) -> "WhitenedLink":
        """The link of one draw, as a batch of one."""
        one = slice(index, index + 1)
        return replace(
            self,
            factor=self.factor[one],
            covariance_map=self.covariance_map[one],
            power_map=self.power_map[one],
            smallest_eigenvalue=self.smallest_eigenvalue[one],
            rounding=self.rounding[one],
            regular=self.regular[one],
            identifiable=self.identifiable[one],
        )

    def over_covariances(self) -> tuple[object, ...]:
        """What the solvers of covariances take of a link."""
        return self.covariance_map, self.factor, self.bound_rows, self.identifiable

    def over_powers(self) -> tuple[object, ...]:
        """What the solvers of codeword powers take of a link."""
        return self.power_map, self.factor, self.bound_rows, self.identifiable


@dataclass(frozen=True)
class Problem:
    """Both links of a batch of draws and the subspace in which some optimal V lies.

    Attributes
    ----------
    power
        P_m = P / M, W.
    basis, mix, rank
        B = Q R: Q (batch, M_T, 2(K+1)) of which the first `rank` columns count, R real
        (batch, 2(K+1), 2(K+1)), rank (batch,).
    gram
        B^H B, real, (batch, 2(K+1), 2(K+1)).
    codebook
        U = B: unit-norm steering beams of every path, then their derivatives, (batch, M_T, 2(K+1)).
    apa
        Equal codeword powers of unit sum, (batch, 2(K+1)).
    bistatic, monostatic
        The whitened links.
    """

    power: float
    basis: NDArray[np.complex128]
    mix: NDArray[np.float64]
    rank: NDArray[np.int64]
    gram: NDArray[np.float64]
    codebook: NDArray[np.complex128]
    apa: NDArray[np.float64]
    bistatic: WhitenedLink
    monostatic: WhitenedLink

    def draw(self, index: int) -> "Problem":
        """The problem of one draw, as a batch of one."""
        one = slice(index, index + 1)
        return Problem(
            self.power,
            self.basis[one],
            self.mix[one],
            self.rank[one],
            self.gram[one],
            self.codebook[one],
            self.apa[one],
            self.bistatic.draw(index),
            self.monostatic.draw(index),
        )

    def covariance_of_powers(self, powers: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Reduced covariance of codeword powers: (batch, design, codeword) -> (batch, design, n, n)."""
        return products.covariance_of_powers(self.mix, powers)  # type: ignore[no-any-return]

    def reduce(self, covariance: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Q^H V Q / P_m of covariances (batch, design, M_T, M_T): the part of V that the links see."""
        return products.reduce(self.basis, covariance, self.power)  # type: ignore[no-any-return]

    def expand(self, reduced_covariance: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """V = P_m Q x Q^H of reduced covariances (batch, design, n, n): (batch, design, M_T, M_T), W."""
        return products.expand(self.basis, reduced_covariance, self.power)  # type: ignore[no-any-return]

    def expand_factor(self, factor: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """W = sqrt(P_m) Q w of reduced factors (batch, ..., n, L): (batch, ..., M_T, L), W^0.5."""
        batch, *middle, n, slots = factor.shape
        flat = np.ascontiguousarray(factor).reshape(batch, -1, n, slots)
        out = products.expand_factor(self.basis, flat, float(np.sqrt(self.power)))
        return out.reshape(batch, *middle, -1, slots)  # type: ignore[no-any-return]

    def coordinates(self, reduced_covariance: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Real coordinates of S = B^H V B / P_m of reduced covariances, (batch, design, 4(K+1)^2)."""
        return bounds.covariance_coordinates(  # type: ignore[no-any-return]
            np.ascontiguousarray(reduced_covariance), self.mix, self.rank
        )


def _whitened(
    link: Link, power: float, gram: NDArray[np.float64], apa: NDArray[np.float64], rows: int, reported: int
) -> WhitenedLink:
    at_apa = products.gram_of_powers(gram, apa)
    factor, covariance_map, power_map, smallest, rounding, regular, identifiable = reduced.reduce_link(
        link.pattern,
        link.coef,
        link.sums,
        link.rx_gram,
        link.jacobian,
        link.scale * power,
        separable_fim(link, power * at_apa),
        gram,
        rows,
        (SMALLEST_EIGENVALUE, LARGEST_BOUND_M2),
    )
    return WhitenedLink(factor, covariance_map, power_map, smallest, rounding, regular, identifiable, rows, reported)


def build_problem(scenario: Scenario, draws: Draws) -> Problem:
    """Set up the design problem of every draw.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn.

    Returns
    -------
    Problem
        M_T enters only in its basis: everything else has the size of 2(K+1) columns.
    """
    channel = channel_of(scenario, draws)
    bistatic = bistatic_link(scenario, draws, channel)
    monostatic = monostatic_link(scenario, draws, channel)
    basis, mix, rank = steering.orthonormal_basis(bistatic.tx_columns, _RANK_TOLERANCE)
    gram = steering.real_gram(bistatic.tx_columns)
    alive = gram[:, np.arange(gram.shape[1]), np.arange(gram.shape[1])] > 0.5  # one antenna: no derivative beam
    apa = alive / alive.sum(axis=1, keepdims=True)
    power = scenario.power_per_subcarrier_w
    k = bistatic.paths - 1
    return Problem(
        power=power,
        basis=basis,
        mix=mix,
        rank=rank,
        gram=gram,
        codebook=bistatic.tx_columns,
        apa=apa,
        bistatic=_whitened(bistatic, power, gram, apa, 2, 2 * k + 4),
        monostatic=_whitened(monostatic, power, gram, apa, 2 * k + 2, 2 * k + 2),
    )
