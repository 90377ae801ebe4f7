"""One design for all draws: what a BS can do that does not know the draw.

"nominal" designs for the scenario's own geometry and zero phases; "average" minimises the mean over training draws of
f_s(V) / f_s(APA_s), f_s the weighted CRB (12) of draw s: a ratio, since the mean of the bounds themselves need not
exist. Powers are allocated on the codebook of the scenario's own geometry in both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..crb import bistatic_from_diagonal, monostatic_from_diagonal
from ..draws import Draws, fixed_draw
from ..errors import DesignError
from ..kernels.bound import designbounds as bounds
from ..kernels.dense import certificate
from ..kernels.descent import average
from ..kernels.designs import mismatch, randomization
from ..kernels.linalg import smallmat
from ..kernels.model import bases as products
from ..scenario import Scenario
from ..status import Solver, Status
from . import schemes as per_draw
from .factors import ALIGNED, WbfFactor, checked_address, factor_of, first_smallest, is_randomized, right_of, roots_of
from .mismatch import mix_covariances
from .mixes import extreme_gap, extremes_certified
from .problem import Problem, build_problem
from .shared import SharedDesigns
from .weighted import CLEANING

# With moving geometry the unknown covariance has M_T x M_T entries.
LARGEST_MOVING = 128
_MARGIN = 0.8
_EVALUATIONS = 400
_ATTEMPTS = 3
_SHARE = 1e-2  # of equal powers or of the starting point, mixed in where the descent got stuck at an empty direction
_RANK_CUTS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, CLEANING)


def nominal_designs(
    scenario: Scenario,
    schemes: str | Sequence[str],
    rho: ArrayLike,
    *,
    gap_tolerance: float = 1e-6,
    wbf_factor: WbfFactor = "sqrt",
    seed: int = 0,
) -> SharedDesigns:
    """Design for the scenario's own geometry, RCS and zero phases.

    Parameters
    ----------
    scenario, schemes, rho, gap_tolerance, wbf_factor, seed
        As for `design`, of whose draws this is the first.

    Returns
    -------
    SharedDesigns
        To be evaluated on any draws by `evaluate_shared`.

    Raises
    ------
    DesignError
        As `design` does.
    """
    found = per_draw.design(scenario, None, schemes, rho, gap_tolerance=gap_tolerance, wbf_factor=wbf_factor, seed=seed)
    x = np.nan_to_num(found.covariance)
    flat = x.reshape(1, -1, *x.shape[3:])
    v = found.problem.expand(flat).reshape(*x.shape[1:3], scenario.tx_antennas, -1)
    return SharedDesigns(
        found.schemes,
        found.rho,
        v,
        found.gap[0],
        found.status[0],
        found.rank[0],
        found.iterations[0],
        found.solver[0],
        found.mix_error[0],
        1,
    )


def average_designs(
    scenario: Scenario,
    training: Draws,
    schemes: str | Sequence[str],
    rho: ArrayLike,
    *,
    gap_tolerance: float = 1e-6,
    wbf_factor: WbfFactor = "sqrt",
    seed: int = 0,
) -> SharedDesigns:
    """Design for the mean over training draws of f_s(V) / f_s(APA_s), certified like any other design.

    The mean is convex and of degree -1, so that F* >= F(V)^2 / (P_m lambda_max(-grad F(V))) holds as for one draw.

    Parameters
    ----------
    scenario, schemes, rho, gap_tolerance, wbf_factor, seed
        As for `design`, of whose draws this is the first.
    training
        The draws; those with an unidentifiable link of non-zero weight are left out at that weight.

    Returns
    -------
    SharedDesigns
        To be evaluated on other draws by `evaluate_shared`. A gap above the tolerance makes the status uncertified.

    Raises
    ------
    DesignError
        As `design` does; where positions differ between draws and M_T is above `LARGEST_MOVING`; where the best V has
        a higher rank than there are slots, or WBF would need more of them.
    """
    names, weights = per_draw.checked_request(schemes, rho, gap_tolerance, wbf_factor)
    seed, _ = checked_address(seed)
    grid = np.union1d(weights, (0.0, 1.0))
    mean = _Mean.of(scenario, training, grid)
    own = np.searchsorted(grid, weights)
    fdb = mean.solve(mean.basis[:, :0], gap_tolerance) if any(n.startswith("fdb") for n in names) else None
    cpa = mean.solve(mean.codewords, gap_tolerance) if any(n.startswith("cpa") for n in names) else None
    optima = {"fdb": fdb, "cpa": cpa}
    parts = [mean.scheme(name, optima.get(name[:3]), own, gap_tolerance, (wbf_factor, seed)) for name in names]
    y = np.stack([part.y for part in parts])
    rank = bounds.ranks_of(y, CLEANING)
    for name, highest in zip(names, rank.max(axis=1).tolist(), strict=True):
        if highest > scenario.slots:
            raise DesignError(
                f"{name}: the average design has rank {highest}, but there are only {scenario.slots} slots; "
                f"use slots >= {highest}"
            )
    flat = products.expand(mean.basis[None], y.reshape(1, -1, *y.shape[2:]), scenario.power_per_subcarrier_w)
    return SharedDesigns(
        names,
        weights,
        flat.reshape(*y.shape[:2], *flat.shape[2:]),
        np.stack([part.gap for part in parts]),
        np.stack([part.status for part in parts]),
        rank,
        np.stack([part.iterations for part in parts]),
        np.stack([part.solver for part in parts]),
        np.full((len(names), weights.size), np.nan),
        int((mean.weights > 0.0).all(axis=0).sum()),
    )


@dataclass(frozen=True)
class _Part:
    """One scheme: covariances on the basis (rho, N, N) of unit trace, and what goes with them."""

    y: NDArray[np.complex128]
    gap: NDArray[np.float64]
    status: NDArray[np.int64]
    iterations: NDArray[np.int64]
    solver: NDArray[np.int64]


@dataclass(frozen=True)
class _Optima:
    """Minima of the mean over the whole grid; powers (rho, m) for codewords."""

    y: NDArray[np.complex128]
    powers: NDArray[np.float64]
    gap: NDArray[np.float64]
    evaluations: NDArray[np.int64]


@dataclass(frozen=True)
class _Mean:
    """The mean problem of some training draws over a grid of weights rho.

    basis (M_T, N), codewords (N, m) and turns as in `kernels.average`; weights (rho, draw); start (N, N); equal (m,).
    """

    problem: Problem
    grid: NDArray[np.float64]
    basis: NDArray[np.complex128]
    turns: NDArray[np.complex128]
    codewords: NDArray[np.complex128]
    weights: NDArray[np.float64]
    start: NDArray[np.complex128]
    equal: NDArray[np.float64]

    @classmethod
    def of(cls, scenario: Scenario, training: Draws, grid: NDArray[np.float64]) -> "_Mean":
        problem = build_problem(scenario, training)
        nominal = build_problem(scenario, fixed_draw(scenario))
        apa = problem.covariance_of_powers(problem.apa[:, None])
        moving = bool((problem.channel.aod != problem.channel.aod[:1]).any())
        if moving and scenario.tx_antennas > LARGEST_MOVING:
            raise DesignError(
                f"average knowledge of a geometry that moves takes tx_antennas <= {LARGEST_MOVING}; "
                f"there are {scenario.tx_antennas}"
            )
        if moving:
            basis = np.eye(scenario.tx_antennas, dtype=complex)
            turns = np.ascontiguousarray(problem.basis)
            seen = products.expand(turns, apa, 1.0)[:, 0]
        else:
            rank = int(problem.rank[0])
            basis = np.ascontiguousarray(problem.basis[0, :, :rank])
            turns = np.eye(apa.shape[2], dtype=complex)[None, :rank]
            seen = apa[:1, 0, :rank, :rank]
        start = np.zeros(seen.shape[1:], complex)
        for one in seen:  # in order: a sum by NumPy may depend on the machine
            start += one / len(seen)
        codewords = smallmat.times(np.ascontiguousarray(basis.conj().T), nominal.codebook[0])
        return cls(
            problem,
            grid,
            basis,
            turns,
            codewords,
            _scales(problem, grid, apa),
            start,
            nominal.apa[0],
        )

    def solve(self, codewords: NDArray[np.complex128], tolerance: float) -> _Optima:
        """Minimise at every weight, each from the one solved next to it, from the middle outwards."""
        count, size = self.grid.size, self.start.shape[0]
        y = np.zeros((count, size, size), complex)
        powers = np.zeros((count, codewords.shape[1]))
        gap, spent = np.full(count, np.nan), np.full(count, -1)
        middle = int(np.argmin(np.abs(self.grid - 0.5)))
        for w in (*range(middle, -1, -1), *range(middle + 1, count)):
            if not self.weights[w].any():
                continue
            nearest = w + 1 if w < middle else w - 1
            ready = w != middle and spent[nearest] >= 0
            if codewords.shape[1]:
                before = powers[nearest] if ready else self.equal
                powers[w], gap[w], spent[w] = self._powers(codewords, w, before, tolerance)
                average.covariance_at(np.sqrt(powers[w]), codewords, y[w])
            else:
                y[w], gap[w], spent[w] = self._covariance(w, y[nearest] if ready else self.start, tolerance)
        return _Optima(y, powers, gap, spent)

    def _powers(
        self, codewords: NDArray[np.complex128], w: int, before: NDArray[np.float64], tolerance: float
    ) -> tuple[NDArray[np.float64], float, int]:
        y = np.zeros_like(self.start)
        best, spent = (before, np.inf), 0
        for _ in range(_ATTEMPTS):
            start = np.sqrt((1.0 - _SHARE) * before + _SHARE * self.equal)
            point, used = self._descend(w, codewords, start, tolerance)
            spent += used
            before = np.where(point**2 < CLEANING, 0.0, point**2)
            before /= _total(before)
            average.covariance_at(np.sqrt(before), codewords, y)
            gap = self._gap(w, y, codewords)
            best = min(best, (before, gap), key=_by_gap)
            if gap <= tolerance:
                break
        return *best, spent

    def _covariance(
        self, w: int, before: NDArray[np.complex128], tolerance: float
    ) -> tuple[NDArray[np.complex128], float, int]:
        free = np.zeros((self.start.shape[0], 0), complex)
        best, spent = (before, np.inf), 0
        for _ in range(_ATTEMPTS):
            mixed = (1.0 - _SHARE) * before + _SHARE * self.start
            root = mismatch.square_root(mixed, mixed.shape[0])
            start = np.concatenate((root.real.ravel(), root.imag.ravel()))
            point, used = self._descend(w, free, start, tolerance)
            spent += used
            found = np.zeros_like(self.start)
            average.covariance_at(point, free, found)
            values, vectors = smallmat.eigen_hermitian(found, found.shape[0])
            for cut in _RANK_CUTS:  # the lowest rank that stays certified
                before = certificate.leading_covariance(values, vectors, certificate.numerical_rank(values, cut))
                gap = self._gap(w, before, free)
                best = min(best, (before, gap), key=_by_gap)
                if gap <= tolerance:
                    return before, gap, spent
        return *best, spent

    def _descend(
        self, w: int, codewords: NDArray[np.complex128], start: NDArray[np.float64], tolerance: float
    ) -> tuple[NDArray[np.float64], int]:
        return average.descend_mean(  # type: ignore[no-any-return]
            self.problem.arrays,
            self.turns,
            self.weights[w],
            self.grid[w],
            codewords,
            start,
            _MARGIN * tolerance,
            _EVALUATIONS,
        )

    def _gap(self, w: int, y: NDArray[np.complex128], codewords: NDArray[np.complex128]) -> float:
        return float(average.mean_gap(self.problem.arrays, self.turns, self.weights[w], self.grid[w], y, codewords)[1])

    def scheme(
        self, name: str, optima: _Optima | None, own: NDArray[np.intp], tolerance: float, wbf: tuple[WbfFactor, int]
    ) -> _Part:
        """One scheme's covariances at the weights of these places."""
        rho = self.grid[own]
        nothing = np.full(rho.size, -1)
        none = np.full(rho.size, int(Solver.NONE))
        if optima is None:  # apa
            y = np.zeros((rho.size, *self.start.shape), complex)
            for one in y:
                average.covariance_at(np.sqrt(self.equal), self.codewords, one)
            return _Part(y, np.full(rho.size, np.nan), np.full(rho.size, int(Status.CLOSED_FORM)), nothing, none)
        if name.endswith("wcrb"):
            gap, spent = optima.gap[own], optima.evaluations[own]
            status = np.where(gap <= tolerance, Status.CERTIFIED, Status.UNCERTIFIED)
            return _Part(optima.y[own], gap, status, spent, np.where(spent >= 0, int(Solver.LBFGS), none))
        extremes = optima.gap[[-1, 0]][None]
        fine = extremes_certified(extremes, rho, tolerance)[0]
        gap = extreme_gap(extremes, rho)[0]
        if is_randomized(name, wbf[0]):
            gap[:] = np.nan  # a candidate is no optimum, at rho = 1 and 0 either
        status = np.where(fine, Status.CLOSED_FORM, Status.UNCERTIFIED)
        return _Part(self._mixed(name, optima, rho, *wbf), gap, status, nothing, none)

    def _mixed(
        self, name: str, optima: _Optima, rho: NDArray[np.float64], wbf_factor: WbfFactor, seed: int
    ) -> NDArray[np.complex128]:
        """The closed forms (16) and (19) between the extremes."""
        y_bp, y_ms = optima.y[-1], optima.y[0]
        if name.endswith("wvm"):
            return np.stack([mix_covariances(y_bp, y_ms, float(weight)) for weight in rho])
        slots, size = self.problem.scenario.slots, self.start.shape[0]
        if name == "cpa-wbf":
            amplitude = rho[:, None] * np.sqrt(optima.powers[-1]) + (1.0 - rho[:, None]) * np.sqrt(optima.powers[0])
            out = np.zeros((rho.size, size, size), complex)
            for one, root in zip(out, amplitude, strict=True):
                average.covariance_at(root / np.sqrt(_total(root**2)), self.codewords, one)
            return out
        factor = factor_of(name, wbf_factor)
        if size > slots and factor != "randomization":
            raise DesignError(
                f"{name} mixes average beamformers of {size} columns, but there are only {slots} slots; "
                f"use slots >= {size} or leave the scheme out"
            )
        rank = np.array([size])
        w = roots_of(np.stack((y_bp, y_ms))[None], self.basis[None], rank, factor)
        right = right_of(w, factor, slots, self._best, (seed, 0))
        w = w if right is None else mismatch.unit_products(w, right)
        w_bp, w_ms = np.ascontiguousarray(w[:, 0]), np.ascontiguousarray(w[:, 1])
        if factor == ALIGNED:
            w_ms = mismatch.aligned_with(w_bp, w_ms, rank)
        return mismatch.covariances_of(mismatch.mixed_factors(w_bp, w_ms, rho)[0])[0]  # type: ignore[no-any-return]

    def _best(self, _: int, rho: float, factors: NDArray[np.complex128]) -> int:
        """Which of the factors (count, N, L) has the smallest mean."""
        w = int(np.searchsorted(self.grid, rho))
        free = np.zeros((self.start.shape[0], 0), complex)
        candidates = randomization.unit_covariances(factors)
        means = [
            average.mean_gap(self.problem.arrays, self.turns, self.weights[w], rho, y, free)[0] for y in candidates
        ]
        return first_smallest(np.array(means))


def _scales(problem: Problem, rho: NDArray[np.float64], apa: NDArray[np.complex128]) -> NDArray[np.float64]:
    """w_s = 1 / f_s(APA_s) over how many draws count, (rho, draw); 0 for those that are unidentifiable."""
    # At unit power and noise, on which designs must not depend.
    bp, ms = problem.unit_bounds(apa)
    crb_bp, crb_ms = bistatic_from_diagonal(bp).position, monostatic_from_diagonal(ms).position
    at_apa = (per_draw.weighted_sum(rho, crb_bp) + per_draw.weighted_sum(1.0 - rho, crb_ms)).T
    fine = np.isfinite(at_apa)
    counted = np.maximum(fine.sum(axis=1, keepdims=True), 1)
    return np.where(fine, 1.0 / (np.where(fine, at_apa, 1.0) * counted), 0.0)


def _by_gap(found: tuple[NDArray[Any], float]) -> float:
    return found[1]


def _total(values: NDArray[np.float64]) -> float:
    return float(sum(values.tolist()))
