"""What others use on the same problem: general conic solvers on (15), one draw at a time, on one thread.

CVXPY with Clarabel on the M_T x M_T cone as printed and on the reduced cone, CVXPY with SCS on the reduced cone, and
Clarabel's own interface on the reduced cone with matrices assembled by hand. Each returns a point that a certificate
can judge; no solver's status is looked at. The set-up of the draw (channel, reduction, whitening) is a gift to them.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np

from ..arrays import Complexes, Reals
from ..errors import DesignError
from .certificate import Cone
from .problem import DenseMaps, Problem

# The whitened program is well scaled as it is: equilibration spoils that (25 iterations instead of 10), refinement
# doubles the time of an iteration and changes no digit of the gap, and supernodal factors suit its dense blocks.
_QUICK: Mapping[str, Any] = MappingProxyType(
    {"equilibrate_enable": False, "iterative_refinement_enable": False, "direct_solve_method": "faer"}
)
# Costs a tenth more than 1e-6 and certifies to 1e-6 nearly always; at its default of 1e-4 the gap is 1e-4.
_SCS: Mapping[str, Any] = MappingProxyType({"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iters": 20_000})
_ROOT2 = float(np.sqrt(2.0))


@dataclass(frozen=True)
class Answer:
    """What a baseline gives for one draw and weight.

    Attributes
    ----------
    covariance
        V, (M_T, M_T), of full power and positive semidefinite, W; NaN where the solver returned no point.
    build, compile, solve
        Seconds spent in writing the program, in turning it into the solver's matrices, and in the solver.
    """

    covariance: Complexes
    build: float
    compile: float
    solve: float


Baseline = Callable[[Problem, int, float], Answer]


def scs_reduced(problem: Problem, draw: int, rho: float) -> Answer:
    """CVXPY and SCS on the reduced cone, to 1e-7 in its own measure; arguments as for `clarabel_direct`.

    Raises DesignError if SCS is not installed.
    """
    check_scs()
    return _through_cvxpy(problem, draw, rho, "reduced", "SCS", _SCS)


def check_scs() -> None:
    """Refuse to compare with SCS where it is not installed.

    Raises DesignError, saying what to install.
    """
    if find_spec("scs") is None:
        raise DesignError("SCS is not installed; pip install 'crbatch[bench]'")


def _through_cvxpy(
    problem: Problem, draw: int, rho: float, cone: Cone, solver: str, settings: Mapping[str, Any]
) -> Answer:
    import cvxpy as cp

    from . import conic  # CVXPY takes a second to import

    if solver == "CLARABEL":
        settings = {**conic.SETTINGS, **settings}
    begun = time.perf_counter()
    program, x = conic.weighted_crb_program(problem, draw, rho, cone)
    built = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "may be inaccurate": the certificate tells
            program.solve(solver=solver, **settings)
    except cp.SolverError:
        pass  # then x has no value, unless the solver left one
    ended = time.perf_counter()
    stats = program.solver_stats
    solve = float(stats.solve_time) if stats is not None and stats.solve_time is not None else ended - built
    value = None if x.value is None else np.asarray(x.value, np.complex128)
    return Answer(_of_full_power(problem, draw, value, cone), built - begun, ended - built - solve, solve)


# CVXPY and Clarabel on (15): as printed, over M_T x M_T covariances; with the settings that suit this program best; and
# with those on the reduced cone.
clarabel_full: Baseline = partial(_through_cvxpy, cone="full", solver="CLARABEL", settings={})
clarabel_full_tuned: Baseline = partial(_through_cvxpy, cone="full", solver="CLARABEL", settings=_QUICK)
clarabel_reduced: Baseline = partial(_through_cvxpy, cone="reduced", solver="CLARABEL", settings=_QUICK)


def _of_full_power(problem: Problem, draw: int, point: Complexes | None, cone: Cone) -> Complexes:
    """V of a solver's point: its Hermitian and positive part, scaled to P_m; NaN without a point."""
    antennas = problem.basis.shape[1]
    nothing = np.full((antennas, antennas), np.nan, np.complex128)
    if point is None or not np.isfinite(point).all():
        return nothing
    values, vectors = np.linalg.eigh((point + point.conj().T) / 2.0)
    values = np.maximum(values, 0.0)
    if not values.sum() > 0.0:
        return nothing
    v: Complexes = (vectors * (problem.power * values / values.sum())) @ vectors.conj().T
    if cone == "reduced":
        basis = problem.basis[draw, :, : problem.rank[draw]]
        v = basis @ v @ basis.conj().T
    return v


def clarabel_direct(problem: Problem, draw: int, rho: float) -> Answer:
    """Clarabel's own interface on the reduced cone, matrices assembled by hand.

    `problem`, `draw`: which draw of which batch. `rho`: weight of BP, in [0, 1]. Result: not yet judged.
    """
    import clarabel

    begun = time.perf_counter()
    program = _reduced_program(problem.draw(draw), rho)
    built = time.perf_counter()
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    for name, value in _QUICK.items():
        setattr(settings, name, value)
    solver = clarabel.DefaultSolver(*program, settings)
    ready = time.perf_counter()
    solution = np.asarray(solver.solve().x)
    ended = time.perf_counter()
    n = int(problem.rank[draw])
    point = np.tensordot(solution[: n * n], _hermitian_basis(n), 1)
    return Answer(_of_full_power(problem, draw, point, "reduced"), built - begun, ready - built, ended - ready)


@lru_cache
def _hermitian_basis(n: int) -> Complexes:
    """Matrices that span the Hermitian n x n ones, (n^2, n, n)."""
    basis = np.zeros((n * n, n, n), np.complex128)
    entries = [(r, s, unit) for r in range(n) for s in range(r, n) for unit in ((1.0,) if r == s else (1.0, 1j))]
    for one, (r, s, unit) in zip(basis, entries, strict=True):
        one[r, s], one[s, r] = unit, np.conj(unit)
    return basis


@lru_cache
def _symmetric_basis(n: int) -> Reals:
    """Matrices that span the symmetric n x n ones, (n (n + 1) / 2, n, n)."""
    rows, columns = np.tril_indices(n)
    basis = np.zeros((rows.size, n, n))
    basis[np.arange(rows.size), rows, columns] = basis[np.arange(rows.size), columns, rows] = 1.0
    return basis


def _coordinates(transmit: Complexes) -> Reals:
    """Real coordinates of Hermitian matrices S as `kernels.dense.reduced` counts them: (..., n, n) -> (..., n^2)."""
    rows, columns = np.triu_indices(transmit.shape[-1])
    upper = transmit[..., rows, columns]
    both = np.stack((upper.real, upper.imag), axis=-1).reshape(*upper.shape[:-1], -1)
    return both[..., np.stack((rows <= columns, rows < columns), axis=1).ravel()]


def _svec(matrices: Reals) -> Reals:
    """Upper triangles by columns, off-diagonals times sqrt 2, as Clarabel stacks them: (..., p, p) -> (rows, ...)."""
    columns, rows = np.tril_indices(matrices.shape[-1])
    scale = np.where(rows == columns, 1.0, _ROOT2)
    return np.moveaxis(matrices[..., rows, columns] * scale, -1, 0)


@lru_cache
def _embedded_cone(n: int) -> Reals:
    """The Hermitian basis as real symmetric matrices [[Re, -Im], [Im, Re]], stacked, (n (2n + 1), n^2)."""
    basis = _hermitian_basis(n)
    return _svec(np.block([[basis.real, -basis.imag], [basis.imag, basis.real]]))


def _reduced_program(one: Problem, rho: float) -> tuple[Any, ...]:
    """(15) of a draw with the chord J(x) >= diag(L, 0), [[L, R], [R^T, T]] >= 0 in place of the whole Schur complement.

    Its two blocks, of p and twice the rows of the bound, are much smaller than one of p plus the rows: the work of
    an interior-point step grows with the sixth power of a block's size.
    """
    import clarabel

    n, full = int(one.rank[0]), one.mix.shape[1]
    basis = _hermitian_basis(n)
    padded = np.zeros((n * n, full, full), np.complex128)
    padded[:, :n, :n] = basis
    trace = np.trace(basis.real, axis1=1, axis2=2)
    mix = one.complex_mix[0]
    coordinates = np.column_stack((_coordinates(mix.conj().T @ padded @ mix), trace))
    links = [(w, link) for w, link in zip((rho, 1.0 - rho), one.dense(0), strict=True) if w > 0.0]
    scales = [weight * float(np.sum(link.factor[: link.bound_rows] ** 2)) for weight, link in links]
    blocks: list[list[Any]] = [[trace[None]], [-_embedded_cone(n)]]
    offsets = [np.ones(1), np.zeros(n * (2 * n + 1))]
    cones = [clarabel.ZeroConeT(1), clarabel.PSDTriangleConeT(2 * n)]
    objective = [np.zeros(n * n)]
    for i, (_, link) in enumerate(links):
        information, corner = _rotated(link, coordinates)
        r, p = link.bound_rows, information.shape[-1]
        unit = _symmetric_basis(r)
        chord, pair = np.zeros((len(unit), p, p)), np.zeros((2, len(unit), 2 * r, 2 * r))
        chord[:, :r, :r] = unit
        pair[0, :, :r, :r] = pair[1, :, r:, r:] = unit
        constant = np.zeros((2 * r, 2 * r))
        constant[:r, r:], constant[r:, :r] = corner, corner.T
        others = [None] * (2 * i)  # the columns of the link before
        blocks.append([-_svec(information), *others, _svec(chord), None])
        blocks.append([None, *others, -_svec(pair[0]), -_svec(pair[1])])
        offsets += [np.zeros(p * (p + 1) // 2), _svec(constant)]
        cones += [clarabel.PSDTriangleConeT(p), clarabel.PSDTriangleConeT(2 * r)]
        objective += [np.zeros(len(unit)), scales[i] / max(scales) * np.trace(unit, axis1=1, axis2=2)]
    return _assembled(blocks, objective, offsets, cones)


def _rotated(link: DenseMaps, coordinates: Reals) -> tuple[Reals, Reals]:
    """The whitened FIM of each coordinate in axes of which only the first `bound_rows` matter, and R^T, of bound 1.

    With factor rows E = [R^T 0] Q^T, the bound tr(E J^-1 E^T) sees J in the axes of Q through its leading block.
    """
    rows = link.factor[: link.bound_rows]
    axes, corner = np.linalg.qr((rows / np.sqrt(np.sum(rows**2))).T, mode="complete")
    information = link.unpacked(coordinates @ link.covariance_map)
    return axes.T @ information @ axes, corner[: link.bound_rows]


def _assembled(blocks: list[list[Any]], objective: list[Any], offsets: list[Any], cones: list[Any]) -> tuple[Any, ...]:
    """Minimise c v subject to b - A v in the product of the cones: no quadratic cost, c, A, b and the cones."""
    from scipy import sparse

    widths = [part.size for part in objective]
    places = np.concatenate(([0], np.cumsum(widths)))
    matrix = np.zeros((sum(part.size for part in offsets), places[-1]))
    top = 0
    for row, offset in zip(blocks, offsets, strict=True):
        for j, block in enumerate(row):
            if block is not None:
                matrix[top : top + offset.size, places[j] : places[j + 1]] = block
        top += offset.size
    empty = sparse.csc_matrix((places[-1], places[-1]))
    return empty, np.concatenate(objective), sparse.csc_matrix(matrix), np.concatenate(offsets), cones
