"""The paper's convex programs (15), (18), (19) in CVXPY with Clarabel: references, and the last rung.

(15) in SI units makes Clarabel fail, so both FIMs enter whitened by congruence at the APA point and scaled to
bounds of order one. On the cone of M_T x M_T covariances (``cone="full"``) or, exactly equivalent, of reduced
ones. Answers are judged by the certificate; a solver's status decides nothing.
"""

import warnings
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import cvxpy as cp
import numpy as np

from ..arguments import one_of, weight
from ..arrays import Complexes, Reals
from ..errors import DesignError
from ..kernels.dense.reduced import coordinate_index
from .certificate import Cone
from .problem import DenseMaps, Problem

# One thread, as every other solver here, and whatever point there is. Without the larger regularisation the first
# factorisation breaks down on the full cone, most of whose directions the FIMs do not see.
SETTINGS: Mapping[str, Any] = MappingProxyType(
    {"max_threads": 1, "accept_unknown": True, "static_regularization_constant": 1e-6}
)
_TIGHT = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}


def _solve(program: cp.Problem, **settings: Any) -> bool:
    """Solve; whether there is a point to be judged (whatever the solver says of it)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "may be inaccurate": the certificate tells
            program.solve(solver=cp.CLARABEL, **SETTINGS, **settings)
    except cp.SolverError:
        return False
    return all(v.value is not None and np.isfinite(v.value).all() for v in program.variables())


def _transmit_map(columns: Complexes) -> Reals:
    """Coordinates of S = C^H X C and the power as a real-linear map of (vec Re X, vec Im X): (n^2 + 1, 2 m^2)."""
    size, count = columns.shape
    out = np.zeros((count * count + 1, 2 * size * size))
    out[-1, : size * size] = np.eye(size).ravel()
    for r in range(count):
        for s in range(r, count):
            outer = np.outer(columns[:, r].conj(), columns[:, s]).ravel()
            place = coordinate_index(r, s, count)
            out[place] = np.concatenate((outer.real, -outer.imag))
            if s > r:
                out[place + 1] = np.concatenate((outer.imag, outer.real))
    return out


def _bound(link: DenseMaps, linear: Reals, unknown: Any) -> tuple[Any, list[Any], float]:
    """Scaled bound of one link as tr(T), its Schur-complement constraint, and the scale in m2."""
    p = link.factor.shape[0]
    rows = link.factor[: link.bound_rows]
    scale = float(np.sum(rows**2))  # the bound at the APA point
    rows = rows / np.sqrt(scale)
    by_unknown = link.unpacked(linear).reshape(-1, p * p)
    information = cp.reshape(by_unknown.T @ unknown, (p, p), order="C")
    bound = cp.Variable((link.bound_rows, link.bound_rows), symmetric=True)
    return cp.trace(bound), [cp.bmat([[information, rows.T], [rows, bound]]) >> 0], scale


def _weighted_program(
    links: tuple[DenseMaps, DenseMaps], rho: float, maps: list[Any], unknown: Any, constraints: list[Any]
) -> cp.Problem:
    """(15): minimise rho tr T_bp + (1 - rho) tr T_ms, terms of zero weight left out."""
    terms = []
    for share, link, linear in zip((rho, 1.0 - rho), links, maps, strict=True):
        if share > 0.0:
            value, schur, scale = _bound(link, linear, unknown)
            terms.append((share * scale, value))
            constraints = constraints + schur
    largest = max(share for share, _ in terms)
    return cp.Problem(cp.Minimize(sum(share / largest * value for share, value in terms)), constraints)


def weighted_crb_program(
    problem: Problem, draw: int, rho: float, cone: Cone = "reduced"
) -> tuple[cp.Problem, cp.Variable]:
    """The semidefinite program (15) of one draw, not yet solved, and its Hermitian variable of unit trace.

    `problem`, `draw`: which draw of which batch. `rho`: weight of BP. `cone`: "full" is over V / P_m, M_T x M_T as
    printed, "reduced" over x on span(B). Raises DesignError if rho is no weight, or there is no such cone.
    """
    one_of("cone", cone, Cone, DesignError)
    rho = weight("rho", rho, DesignError)
    if cone == "full":
        columns = problem.columns[draw]
    else:
        columns = problem.complex_mix[draw, : problem.rank[draw]]
    x = cp.Variable((columns.shape[0], columns.shape[0]), hermitian=True)
    reach = _transmit_map(columns)
    unknown = cp.hstack([cp.vec(cp.real(x), order="C"), cp.vec(cp.imag(x), order="C")])
    links = problem.dense(draw)
    maps = [(link.covariance_map.T @ reach).T for link in links]
    constraints = [x >> 0, cp.real(cp.trace(x)) == 1.0]
    return _weighted_program(links, rho, maps, unknown, constraints), x


def solve_weighted_crb(problem: Problem, draw: int, rho: float, cone: Cone = "reduced") -> Complexes:
    """V of (15), (M_T, M_T), W, scaled to full power; arguments as for `weighted_crb_program`.

    Raises DesignError as that does, and if Clarabel returns no point.
    """
    program, x = weighted_crb_program(problem, draw, rho, cone)
    if not _solve(program):
        raise DesignError(f"Clarabel returned no point for (15) of draw {draw} at rho = {rho:g}")
    value: Complexes = np.asarray(x.value, np.complex128) / np.trace(x.value).real
    if cone == "full":
        value *= problem.power
        return value
    basis = problem.basis[draw, :, : problem.rank[draw]]
    v: Complexes = problem.power * basis @ value @ basis.conj().T
    return v


def reduced_weighted_crb(problem: Problem, draw: int, rho: float) -> Complexes | None:
    """Reduced covariance (n, n) of unit trace from (15) by Clarabel, or None if it returns no point."""
    program, x = weighted_crb_program(problem, draw, rho, "reduced")
    if not _solve(program):
        return None
    out = np.zeros(problem.mix.shape[1:], np.complex128)
    n = int(problem.rank[draw])
    out[:n, :n] = x.value
    out /= np.trace(out).real
    return out


def power_weighted_crb(problem: Problem, draw: int, rho: float) -> Reals | None:
    """Codeword powers (n,) of unit sum from (15) restricted to the codebook, or None without a point."""
    p = cp.Variable(problem.apa.shape[1], nonneg=True)
    links = problem.dense(draw)
    maps = [link.power_map for link in links]
    alive = problem.apa[draw] > 0.0
    constraints = [cp.sum(p) == 1.0, p[~alive] == 0.0] if not alive.all() else [cp.sum(p) == 1.0]
    if not _solve(_weighted_program(links, rho, maps, p, constraints)):
        return None
    powers = np.maximum(np.asarray(p.value), 0.0)
    return powers / powers.sum()  # type: ignore[no-any-return]


def beamformer_mismatch(w_bp: Complexes, w_ms: Complexes, rho: float, power: float) -> tuple[Complexes, float]:
    """(18): the semidefinite relaxation of the weighted beamformer mismatch (16).

    Minimises rho |W - W_bp|^2 + (1 - rho) |W - W_ms|^2 over |W|^2 = power, lifted to the outer product of
    (vec W, 1) with its rank constraint dropped, which is tight. The closed form is `mismatch.mix_beamformers`.

    `w_bp`, `w_ms`: extreme beamformers, (M_T, L) or reduced (n, L), W^0.5. `rho`: weight of BP. `power`: P_m, W.
    Result: W like its inputs, and the optimal mismatch, W. Raises DesignError if Clarabel returns no point.
    """
    scale = np.sqrt(power)
    target = (rho * w_bp + (1.0 - rho) * w_ms).ravel() / scale
    constant = (rho * np.sum(np.abs(w_bp) ** 2) + (1.0 - rho) * np.sum(np.abs(w_ms) ** 2)) / power
    size = target.size
    lifted = cp.Variable((size + 1, size + 1), hermitian=True)
    cost = np.zeros((size + 1, size + 1), np.complex128)
    cost[:size, :size] = np.eye(size)
    cost[:size, size] = -target
    cost[size, :size] = -target.conj()
    cost[size, size] = constant
    constraints = [
        lifted >> 0,
        cp.real(cp.trace(lifted[:size, :size])) == 1.0,
        cp.real(lifted[size, size]) == 1.0,
    ]
    program = cp.Problem(cp.Minimize(cp.real(cp.trace(cost @ lifted))), constraints)
    if not _solve(program):
        raise DesignError("Clarabel returned no point for (18)")
    values, vectors = np.linalg.eigh(np.asarray(lifted.value))
    leading = vectors[:, -1] * np.sqrt(values[-1])
    w = (leading[:size] * np.exp(-1j * np.angle(leading[size]))).reshape(w_bp.shape)
    return scale * w, float(power * program.value)


def covariance_mismatch(v_bp: Complexes, v_ms: Complexes, rho: float, power: float) -> tuple[Complexes, float]:
    """(19) without its rank constraint: the weighted covariance mismatch.

    Minimises rho |V - V_bp|^2 + (1 - rho) |V - V_ms|^2 over positive semidefinite V of trace `power`.

    `v_bp`, `v_ms`: extreme covariances, (M_T, M_T) or reduced (n, n), W. `rho`: weight of BP. `power`: P_m, W.
    Result: V like its inputs, and the optimal mismatch, W2. Raises DesignError if Clarabel returns no point.
    """
    v = cp.Variable(v_bp.shape, hermitian=True)
    mismatch = rho * cp.sum_squares(v - v_bp / power) + (1.0 - rho) * cp.sum_squares(v - v_ms / power)
    program = cp.Problem(cp.Minimize(mismatch), [v >> 0, cp.real(cp.trace(v)) == 1.0])
    if not _solve(program, **_TIGHT):
        raise DesignError("Clarabel returned no point for (19)")
    return power * np.asarray(v.value, np.complex128), float(power**2 * program.value)
