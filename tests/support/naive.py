"""A slow, literal transcription of the reference paper, as the twin of every fast path.

Dense and direct: every subcarrier, every antenna, the sum (6) as it is printed. Nothing here is taken from
the project, so that agreement means something. Equation numbers are the paper's; SI units, radians.
With `Case(real=numpy.longdouble)` everything from the geometry to the gradient is computed in that type
(80 bits on x86), to tell rounding from error in ill-conditioned draws.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
SPEED_OF_LIGHT = 299792458.0
PI = np.longdouble("3.14159265358979323846264338327950288")


@dataclass(frozen=True)
class Case:
    """One scenario with one draw of phases, under the names of the golden file."""

    bs: Sequence[float]
    bs_broadside: float
    ue: Sequence[float]
    phi: float
    clock: float
    targets: Sequence[Sequence[float]]
    mt: int
    mr: int
    mu: int
    fc: float
    bw: float
    m: int
    p_dbm: float
    nf_db: float
    n0_dbm: float
    slots: int
    pilots: int
    rcs_ue: float
    rcs: float | Sequence[float]
    literal: bool
    phase_bp: Sequence[float]
    phase_ms: Sequence[float]
    centred: bool = True
    ue_angle: str = "broadside-at-minus-phi"
    real: type[np.floating] = np.float64

    @classmethod
    def from_golden(cls, scenario: dict[str, Any]) -> "Case":
        """Build from a golden scenario; only centred steering vectors are known here."""
        if not scenario["centred"]:
            raise ValueError("the phase centre must be the middle of the array")
        return cls(**{key: value for key, value in scenario.items() if key != "centred"})

    @property
    def k(self) -> int:
        return len(self.targets)

    @property
    def spacing(self) -> np.floating:
        """Subcarrier spacing W/M in Hz."""
        return self.real(self.bw) / self.m

    @property
    def noise_power(self) -> np.floating:
        """sigma^2 = F N0 df in W per subcarrier."""
        return self.real(10) ** ((self.real(self.nf_db) + self.n0_dbm - 30) / 10) * self.spacing

    @property
    def power(self) -> np.floating:
        """P_m = P/M in W per subcarrier, over all slots together."""
        return self.real(10) ** ((self.real(self.p_dbm) - 30) / 10) / self.m


class Geometry(NamedTuple):
    """Path 0 is the line of sight (BP) or the UE (MS); path k is target k. Gains are complex."""

    aod: Array
    aoa: Array
    delay_bistatic: Array
    delay_monostatic: Array
    gain_bistatic: Array
    gain_monostatic: Array


def steering(n: int, theta: Any, centred: bool = True) -> Array:
    """a_N(theta) below (3): half-wavelength ULA, phase centre in the middle or at the first element."""
    theta = np.asarray(theta) * 1.0
    return np.exp(1j * theta.dtype.type(PI) * _elements(n, centred) * np.sin(theta))


def steering_derivative(n: int, theta: Any, centred: bool = True) -> Array:
    """d a_N / d theta."""
    theta = np.asarray(theta) * 1.0
    return 1j * theta.dtype.type(PI) * _elements(n, centred) * np.cos(theta) * steering(n, theta, centred)


def _elements(n: int, centred: bool) -> Array:
    return np.arange(n) - ((n - 1) / 2 if centred else 0)


# theta_U = g - broadside; sign of phi in the broadside, and 90 degrees where it is the axis that phi is about.
_READINGS = {
    "broadside-at-minus-phi": (-1, 0),
    "broadside-at-phi": (1, 0),
    "axis-at-minus-phi": (-1, 0.5),
    "axis-at-phi": (1, 0.5),
}


def geometry(case: Case) -> Geometry:
    """Angles and delays below (3) and (5), gains (4) and those below (5)."""
    real, pi, c = case.real, case.real(PI), case.real(SPEED_OF_LIGHT)
    wavelength = c / real(case.fc)
    bs, ue = np.asarray(case.bs, real), np.asarray(case.ue, real)
    rcs = np.broadcast_to(np.asarray(case.rcs, real), case.k)
    aod, aoa, tau, eps, alpha, beta = [], [], [], [], [], []
    for k in range(case.k + 1):
        point = ue if k == 0 else np.asarray(case.targets[k - 1], real)
        out = point - bs
        back = bs - ue if k == 0 else point - ue
        d_out, d_back = np.sqrt(out @ out), np.sqrt(back @ back)
        aod.append(np.arctan2(out[1], out[0]) - real(case.bs_broadside))
        sign, right_angle = _READINGS[case.ue_angle]
        aoa.append(np.arctan2(back[1], back[0]) - (sign * real(case.phi) + right_angle * pi))
        tau.append((d_out if k == 0 else d_out + d_back) / c + real(case.clock))
        eps.append(2 * d_out / c)
        sigma = real(case.rcs_ue) if k == 0 else rcs[k - 1]
        echo = (sigma if case.literal else np.sqrt(sigma)) * wavelength / (4 * pi) ** real(1.5)
        size = wavelength / (4 * pi * d_out) if k == 0 else echo / (d_back * d_out)
        alpha.append(size * np.exp(1j * real(case.phase_bp[k])))
        beta.append(echo / d_out**2 * np.exp(1j * real(case.phase_ms[k])))
    aod, aoa = (pi - np.mod(pi - np.array(angles), 2 * pi) for angles in (aod, aoa))  # within (-pi, pi]
    if not case.centred:  # a_N turns by j pi (N - 1) / 2 sin theta; the drawn phases are those at the centres
        sent, seen, echoed = (
            np.exp(1j * pi * (n - 1) / 2 * np.sin(at)) for n, at in ((case.mt, aod), (case.mu, aoa), (case.mr, aod))
        )
        alpha, beta = alpha * sent / seen, beta * sent / echoed
    return Geometry(aod, aoa, *map(np.array, (tau, eps, alpha, beta)))


def eta_bistatic(case: Case) -> Array:
    """Position-domain parameters of (7): p_U, phi, p_1..p_K, dt, Re alpha, Im alpha."""
    alpha = geometry(case).gain_bistatic
    return np.concatenate([case.ue, [case.phi], np.ravel(case.targets), [case.clock], alpha.real, alpha.imag])


def eta_monostatic(case: Case) -> Array:
    """Position-domain parameters of (9): p_U, p_1..p_K, Re beta, Im beta."""
    beta = geometry(case).gain_monostatic
    return np.concatenate([case.ue, np.ravel(case.targets), beta.real, beta.imag])


def xi_bistatic(case: Case, eta: Array) -> Array:
    """Channel parameters of BP at eta: theta_B, theta_U, tau, Re alpha, Im alpha."""
    ue, phi, places, clock, gains = np.split(eta, [2, 3, 3 + 2 * case.k, 4 + 2 * case.k])
    g = geometry(replace(case, ue=ue, phi=phi[0], targets=places.reshape(-1, 2), clock=clock[0]))
    return np.concatenate([g.aod, g.aoa, g.delay_bistatic, gains])


def xi_monostatic(case: Case, eta: Array) -> Array:
    """Channel parameters of MS at eta: theta_B, eps, Re beta, Im beta."""
    ue, places, gains = np.split(eta, [2, 2 + 2 * case.k])
    g = geometry(replace(case, ue=ue, targets=places.reshape(-1, 2)))
    return np.concatenate([g.aod, g.delay_monostatic, gains])


def _path(case, m, n, aod, aoa, delay, rx=steering, tx=steering) -> Array:
    """e^{-j 2 pi m df tau} a_n(AOA) a_T(AOD)^H for one subcarrier number or several."""
    turn = np.exp(-2j * case.real(PI) * np.asarray(m) * case.spacing * delay)
    return turn[..., None, None] * np.outer(rx(n, aoa, case.centred), tx(case.mt, aod, case.centred).conj())


def channel_bistatic(case: Case, m: Any, eta: Array | None = None) -> Array:
    """H_m of (3), m = 1..M; [m, M_U, M_T] for several m."""
    paths = xi_bistatic(case, eta_bistatic(case) if eta is None else eta).reshape(5, case.k + 1).T
    return sum((re + 1j * im) * _path(case, m, case.mu, aod, aoa, tau) for aod, aoa, tau, re, im in paths)


def channel_monostatic(case: Case, m: Any, eta: Array | None = None) -> Array:
    """H_m of (5), m = 1..M; [m, M_R, M_T] for several m."""
    paths = xi_monostatic(case, eta_monostatic(case) if eta is None else eta).reshape(4, case.k + 1).T
    return sum((re + 1j * im) * _path(case, m, case.mr, aod, aod, eps) for aod, eps, re, im in paths)


def derivative_tensor_bistatic(case: Case, m: Array) -> Array:
    """dH_m/dxi as [parameter, m, M_U, M_T]: theta_B, theta_U, tau, Re alpha, Im alpha."""
    g, paths = geometry(case), []
    slope = -2j * case.real(PI) * m[:, None, None] * case.spacing
    for aod, aoa, tau, alpha in zip(g.aod, g.aoa, g.delay_bistatic, g.gain_bistatic, strict=True):
        path = partial(_path, case, m, case.mu, aod, aoa, tau)
        by_aod, by_aoa = alpha * path(tx=steering_derivative), alpha * path(rx=steering_derivative)
        paths.append([by_aod, by_aoa, alpha * slope * path(), path(), 1j * path()])
    return np.concatenate(np.array(paths).swapaxes(0, 1))


def derivative_tensor_monostatic(case: Case, m: Array) -> Array:
    """dH_m/dxi as [parameter, m, M_R, M_T]: theta_B, eps, Re beta, Im beta."""
    g, paths = geometry(case), []
    slope = -2j * case.real(PI) * m[:, None, None] * case.spacing
    for aod, eps, beta in zip(g.aod, g.delay_monostatic, g.gain_monostatic, strict=True):
        path = partial(_path, case, m, case.mr, aod, aod, eps)
        by_aod = beta * (path(tx=steering_derivative) + path(rx=steering_derivative))
        paths.append([by_aod, beta * slope * path(), path(), 1j * path()])
    return np.concatenate(np.array(paths).swapaxes(0, 1))


def _slopes(v: Array) -> tuple[Array, Array]:
    """Gradients of atan2(v_y, v_x) and of |v|."""
    return np.array([-v[1], v[0]]) / (v @ v), v / np.sqrt(v @ v)


def jacobian_bistatic(case: Case) -> Array:
    """dxi/deta of (7), rows theta_B, theta_U, tau, Re alpha, Im alpha, columns as in eta_bistatic."""
    n, c = case.k + 1, case.real(SPEED_OF_LIGHT)
    bs, ue = np.asarray(case.bs, case.real), np.asarray(case.ue, case.real)
    jac = np.zeros((5 * n, 4 * n + 2), case.real)
    for k in range(n):
        point = ue if k == 0 else np.asarray(case.targets[k - 1], case.real)
        there = slice(0, 2) if k == 0 else slice(1 + 2 * k, 3 + 2 * k)
        turn_out, away_out = _slopes(point - bs)
        turn_back, away_back = _slopes((bs if k == 0 else point) - ue)
        jac[k, there] = turn_out
        jac[n + k, :2], jac[2 * n + k, :2] = -turn_back, -away_back / c
        if k > 0:
            jac[n + k, there], jac[2 * n + k, there] = turn_back, (away_out + away_back) / c
        jac[n + k, 2], jac[2 * n + k, 2 * n + 1] = -_READINGS[case.ue_angle][0], 1
    jac[3 * n :, 2 * n + 2 :] = np.eye(2 * n)
    return jac


def jacobian_monostatic(case: Case) -> Array:
    """dxi/deta of (9), rows theta_B, eps, Re beta, Im beta, columns as in eta_monostatic."""
    n, c = case.k + 1, case.real(SPEED_OF_LIGHT)
    jac = np.zeros((4 * n, 4 * n), case.real)
    for k, point in enumerate([case.ue, *case.targets]):
        turn, away = _slopes(np.asarray(point, case.real) - np.asarray(case.bs, case.real))
        jac[k, 2 * k : 2 * k + 2], jac[n + k, 2 * k : 2 * k + 2] = turn, 2 * away / c
    jac[2 * n :, 2 * n :] = np.eye(2 * n)
    return jac


class Link(NamedTuple):
    """What differs between BP and MS: the tensor, the Jacobian, the columns of eta that (8) or (10) sums."""

    tensor: Callable[[Case, Array], Array]
    jacobian: Callable[[Case], Array]
    positions: Callable[[Case], list[int]]


BISTATIC = Link(derivative_tensor_bistatic, jacobian_bistatic, lambda case: [0, 1])
MONOSTATIC = Link(derivative_tensor_monostatic, jacobian_monostatic, lambda case: list(range(2 * case.k + 2)))


def _tensor_blocks(case: Case, link: Link) -> Iterator[Array]:
    # 64 subcarriers at a time, to save memory
    for start in range(1, case.m + 1, 64):
        yield link.tensor(case, np.arange(start, min(start + 64, case.m + 1)))


def channel_fim(case: Case, v: Array, link: Link) -> Array:
    """[I]_ij = (2N/sigma^2) sum_m Re tr(dH_m/dxi_j V dH_m^H/dxi_i), (6)."""
    v, total = (np.asarray(v) + np.conj(v).T) * case.real(0.5), 0
    for d in _tensor_blocks(case, link):
        total = total + (d.conj().reshape(len(d), -1) @ (d @ v).reshape(len(d), -1).T).real
    return 2 * case.pilots / case.noise_power * total


def position_fim(case: Case, v: Array, link: Link) -> Array:
    """J^T I J, (7) and (9)."""
    jac = link.jacobian(case)
    return jac.T @ channel_fim(case, v, link) @ jac


channel_fim_bistatic = partial(channel_fim, link=BISTATIC)
channel_fim_monostatic = partial(channel_fim, link=MONOSTATIC)
position_fim_bistatic = partial(position_fim, link=BISTATIC)
position_fim_monostatic = partial(position_fim, link=MONOSTATIC)


def inverse(fim: Array) -> Array:
    """Inverse by scaling to a unit diagonal and a Cholesky factor; all infinite where it is not definite."""
    if not np.all(np.diag(fim) > 0):
        return np.full_like(fim, np.inf)
    scale = 1 / np.sqrt(np.diag(fim))
    unit, low, x = fim * np.outer(scale, scale), np.zeros_like(fim), np.eye(len(fim), dtype=fim.dtype)
    for i in range(len(fim)):
        for j in range(i):
            low[i, j] = (unit[i, j] - low[i, :j] @ low[j, :j]) / low[j, j]
        pivot = unit[i, i] - low[i, :i] @ low[i, :i]
        if not pivot > 0:
            return np.full_like(fim, np.inf)
        low[i, i] = np.sqrt(pivot)
        x[i] = (x[i] - low[i, :i] @ x[:i]) / low[i, i]
    return x.T @ x * np.outer(scale, scale)


def conditioning(fim: Array) -> float:
    """Smallest eigenvalue of the FIM scaled to a unit diagonal."""
    scale = 1 / np.sqrt(np.diag(fim))
    return float(np.linalg.eigvalsh((fim * np.outer(scale, scale)).astype(np.float64))[0])


def _variances(case: Case, v: Array, link: Link) -> Array:
    return np.diag(inverse(position_fim(case, v, link)))


def crb_bistatic(case: Case, v: Array) -> float:
    """CRB of the UE's position in m2, (8)."""
    return float(np.sum(_variances(case, v, BISTATIC)[:2]))


def crb_monostatic(case: Case, v: Array) -> float:
    """CRB of all positions together in m2, (10)."""
    return float(np.sum(_variances(case, v, MONOSTATIC)[: 2 * case.k + 2]))


def crb_orientation(case: Case, v: Array) -> float:
    return float(_variances(case, v, BISTATIC)[2])  # phi, rad2


def crb_clock(case: Case, v: Array) -> float:
    return float(_variances(case, v, BISTATIC)[3 + 2 * case.k])  # dt, s2


def crb_mapping(case: Case, v: Array) -> Array:
    """BP's CRB of each target's position in m2."""
    return _variances(case, v, BISTATIC)[3 : 3 + 2 * case.k].reshape(-1, 2).sum(axis=1)


def crb_monostatic_target(case: Case, v: Array) -> Array:
    """MS's CRB of the UE's and of each target's position in m2."""
    return _variances(case, v, MONOSTATIC)[: 2 * case.k + 2].reshape(-1, 2).sum(axis=1)


def equivalent_fim(fim: Array, keep: Sequence[int]) -> Array:
    """Equivalent FIM (14) of the kept parameters: the Schur complement of the others."""
    drop = [i for i in range(len(fim)) if i not in keep]
    cross = fim[np.ix_(keep, drop)]
    return fim[np.ix_(keep, keep)] - cross @ inverse(fim[np.ix_(drop, drop)]) @ cross.T


@np.errstate(invalid="ignore")
def objective_and_gradient(case: Case, v: Array, rho: float) -> tuple[np.floating, Array]:
    """f(V) and Hermitian G with df = Re tr(G dV), in the precision of the case; inf and NaN if singular."""
    f, grad = case.real(0), 0
    for weight, link in ((rho, BISTATIC), (1 - rho, MONOSTATIC)):
        if weight == 0:  # left out, even if its bound is infinite
            continue
        jac, where = link.jacobian(case), link.positions(case)
        inv = inverse(position_fim(case, v, link))
        f = f + weight * np.trace(inv[np.ix_(where, where)])
        # d tr(E inv E^T) = -tr(E inv J^T dI_c J inv E^T) = -sum_ij q_ij dI_ij, with (6) for dI.
        q = jac @ inv[:, where] @ inv[where, :] @ jac.T
        for d in _tensor_blocks(case, link):
            product = d.conj().reshape(-1, case.mt).T @ np.tensordot(q, d, axes=1).reshape(-1, case.mt)
            grad = grad - weight * 2 * case.pilots / case.noise_power * product
    return f, (grad + grad.conj().T) / 2


def objective(case: Case, v: Array, rho: float) -> float:
    """rho CRB_BP + (1 - rho) CRB_MS in m2, the objective of (12)."""
    return float(objective_and_gradient(case, v, rho)[0])


def gradient(case: Case, v: Array, rho: float) -> Array:
    """G, Hermitian M_T x M_T in m2/W, with df = Re tr(G dV)."""
    return objective_and_gradient(case, v, rho)[1]


def certified_gap(case: Case, v: Array, rho: float) -> float:
    """P_m lambda_max(-G)/f - 1 >= f(V)/f* - 1 over all V of trace P_m; NaN where f(V) is infinite."""
    f, grad = objective_and_gradient(case, v, rho)
    if np.isinf(f):
        return np.nan
    return float(np.linalg.eigvalsh((-case.power / f * grad).astype(np.complex128))[-1] - 1)


def extended_precision_gap(case: Case, v: Array, rho: float) -> float:
    """The same certificate in longdouble, from the geometry on; only the eigenvalue is in double."""
    return certified_gap(replace(case, real=np.longdouble), v, rho)


def delay_sum(q: int, delta: float, bw: float, m: int) -> complex:
    """sum over m = 1..M of (2 pi m df)^q e^{j 2 pi m df delta}, term by term."""
    omega = [2 * PI * np.longdouble(bw) * i / m for i in range(1, m + 1)]
    return complex(sum(w**q * np.exp(1j * w * np.longdouble(delta)) for w in omega))


def beampattern(v: Array, theta: float) -> float:
    """Transmitted power a_T(theta)^H V a_T(theta) in W."""
    a = steering(len(v), float(theta))
    return float((a.conj() @ v @ a).real)
