"""Cramer-Rao bounds in many digits, written from the model alone: a reference to test a fast engine against.

Every input is taken as the exact value of its double. Points are complex numbers, x + jy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

from mpmath import mp, mpc, mpf

LIGHT_SPEED = 299792458
GUARD = 10
Powers = Sequence[float] | None
Gradient = dict[str, mpf]
Rows = list[tuple[list["Term"], Gradient]]


@dataclass(frozen=True)
class Scene:
    bs: tuple[float, float] = (0.0, 0.0)
    broadside_deg: float = 90.0
    ue: tuple[float, float] = (-5.0, 20.0)
    phi_rad: float = 1.9198621771937625
    targets: Sequence[tuple[float, float]] = ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0))
    target_rcs: Sequence[float] = (100.0, 100.0, 100.0)
    ue_rcs: float = 10.0
    phase_bistatic: Sequence[float] = (0.0, 0.0, 0.0, 0.0)
    phase_monostatic: Sequence[float] = (0.0, 0.0, 0.0, 0.0)
    carrier_hz: float = 28e9
    bandwidth_hz: float = 120e6
    subcarriers: int = 1024
    pilots_per_slot: int = 100
    power_dbm: float = -20.0
    noise_figure_db: float = 10.0
    noise_psd_dbm_hz: float = -173.855
    tx_antennas: int = 16
    rx_antennas: int = 16
    ue_antennas: int = 16
    clock_bias_s: float = 1e-6


@dataclass(frozen=True)
class Bounds:
    """Variances (m2, rad2, s2), `mp.inf` where nothing bounds the parameter; `monostatic_paths[0]` is the UE."""

    position: mpf
    orientation: mpf
    clock: mpf
    targets: list[mpf]
    monostatic: mpf
    monostatic_paths: list[mpf]


@dataclass(frozen=True)
class Term:
    """coefficient (2 pi m df)^order e^(-j 2 pi m df tau_path) r t^H; r and t are columns of [steering, derivative]."""

    path: int
    coefficient: mpc
    order: int
    rx: int
    tx: int


@dataclass(frozen=True)
class Spectrum:
    """Eigen-decomposition of the FIM scaled to unit diagonal; `scales` are the deviations of each parameter alone."""

    names: list[str]
    scales: list[mpf]
    values: list[mpf]
    vectors: mp.matrix
    null: list[int]

    def leverage(self, parameter: int) -> mpf:
        return mp.fsum(self.vectors[parameter, k] ** 2 for k in self.null)


def bounds(scene: Scene, powers: Powers = None, digits: int = 50) -> Bounds:
    bistatic = variances(scene, powers, "bistatic", digits)
    monostatic = variances(scene, powers, "monostatic", digits)
    places = ["ue", *(f"target{k}" for k in range(1, len(scene.targets) + 1))]
    with mp.workdps(digits):
        paths = [monostatic[f"{place}_x"] + monostatic[f"{place}_y"] for place in places]
        position, *targets = [bistatic[f"{place}_x"] + bistatic[f"{place}_y"] for place in places]
        return Bounds(position, bistatic["orientation"], bistatic["clock"], targets, mp.fsum(paths), paths)


def null_parameters(scene: Scene, powers: Powers, link: str, digits: int = 50) -> list[str]:
    """The parameters whose unit vector has a part longer than 1e-6 in the null space (unit-diagonal scale)."""
    spectrum = decompose(scene, powers, link, digits)
    return [name for i, name in enumerate(spectrum.names) if spectrum.leverage(i) > 1e-12]


def unit_eigenvalue(scene: Scene, powers: Powers, link: str, digits: int = 50) -> mpf:
    spectrum = decompose(scene, powers, link, digits)
    return mpf(0) if spectrum.null else spectrum.values[0]


def variances(scene: Scene, powers: Powers, link: str, digits: int = 50) -> dict[str, mpf]:
    """Each parameter's own bound: finite only if its unit vector lies in the range of the FIM."""
    spectrum = decompose(scene, powers, link, digits)
    with mp.workdps(digits + GUARD):
        resolved = [k for k in range(len(spectrum.values)) if k not in spectrum.null]
        return {
            name: mp.inf
            if spectrum.leverage(i) > mpf(10) ** -digits
            else scale**2 * mp.fsum(spectrum.vectors[i, k] ** 2 / spectrum.values[k] for k in resolved)
            for i, (name, scale) in enumerate(zip(spectrum.names, spectrum.scales, strict=True))
        }


def decompose(scene: Scene, powers: Powers, link: str, digits: int = 50) -> Spectrum:
    """A null eigenvalue falls with the precision, so one that looks null is looked at again in twice the digits."""
    spectrum = spectrum_at(scene, powers, link, digits)
    return spectrum_at(scene, powers, link, 2 * digits) if spectrum.null else spectrum


def spectrum_at(scene: Scene, powers: Powers, link: str, digits: int) -> Spectrum:
    with mp.workdps(digits + GUARD):
        cut = mpf(10) ** (15 - digits)
        names, fim, natural = position_fim(scene, powers, link)
        size = range(len(names))
        known = [fim[i, i] > cut * natural[i] for i in size]
        scales = [1 / mp.sqrt(fim[i, i]) if known[i] else mpf(0) for i in size]
        values, vectors = mp.eigsy(mp.diag(scales) * fim * mp.diag(scales))
        return Spectrum(names, scales, list(values), vectors, [k for k in size if values[k] < cut])


def position_fim(scene: Scene, powers: Powers, link: str) -> tuple[list[str], mp.matrix, list[mpf]]:
    """Names, FIM of the position-domain parameters, and the size its diagonal has if no two contributions cancel."""
    delays, rows, receive, transmit = channel(scene, powers, link)
    moments = delay_moments(scene, delays)
    noise = from_db(scene.noise_figure_db) * from_db(mpf(scene.noise_psd_dbm_hz) - 30) * spacing(scene)
    snr = 2 * scene.pilots_per_slot / noise
    information = mp.matrix([[snr * overlap(a, b, moments, receive, transmit) for b, _ in rows] for a, _ in rows])
    names = parameter_names(link, len(scene.targets))
    jacobian = mp.matrix([[gradient.get(name, mpf(0)) for name in names] for _, gradient in rows])
    size = range(len(rows))
    natural = [mp.fsum(jacobian[r, i] ** 2 * information[r, r] for r in size) for i in range(len(names))]
    return names, jacobian.T * information * jacobian, natural


def overlap(left: list[Term], right: list[Term], moments: dict, receive: mp.matrix, transmit: mp.matrix) -> mpf:
    """sum_m Re tr(D_right V D_left^H)."""
    total = mpc(0)
    for a, b in product(left, right):
        delayed = mp.conj(a.coefficient) * b.coefficient * moments[a.path, b.path][a.order + b.order]
        total += delayed * receive[a.rx, b.rx] * transmit[b.tx, a.tx]
    return mp.re(total)


def delay_moments(scene: Scene, delays: list[mpf]) -> dict[tuple[int, int], list[mpc]]:
    """sum_m w^p e^(j w (tau_i - tau_j)) with w = 2 pi m df, for p = 0, 1, 2, term by term."""
    step = 2 * mp.pi * spacing(scene)
    moments = {}
    for i, j in combinations_with_replacement(range(len(delays)), 2):
        turn, phasor, sums = mp.expj(step * (delays[i] - delays[j])), mpc(1), [mpc(0)] * 3
        for m in range(1, scene.subcarriers + 1):
            phasor *= turn
            sums = [sums[0] + phasor, sums[1] + m * phasor, sums[2] + m * m * phasor]
        moments[i, j] = [step**p * value for p, value in enumerate(sums)]
        moments[j, i] = [mp.conj(value) for value in moments[i, j]]
    return moments


def channel(scene: Scene, powers: Powers, link: str) -> tuple[list[mpf], Rows, mp.matrix, mp.matrix]:
    """Path delays, derivative terms and gradients of the channel parameters, receive and transmit forms."""
    bs, *places = [mpc(*map(float, xy)) for xy in (scene.bs, scene.ue, *scene.targets)]
    aods = [facing(p - bs, mp.expjpi(mpf(scene.broadside_deg) / 180)) for p in places]
    at_bs = gram(aods, scene.tx_antennas)
    transmit = transmit_form(at_bs, powers, from_db(mpf(scene.power_dbm) - 30) / scene.subcarriers)
    if link == "bistatic":
        aoas = [facing(p - places[0], mp.expj(-mpf(scene.phi_rad))) for p in (bs, *places[1:])]
        return *bistatic(scene, bs, places), gram(aoas, scene.ue_antennas), transmit
    if link == "monostatic":
        return *monostatic(scene, bs, places), gram(aods, scene.rx_antennas), transmit
    raise ValueError(f"link is 'bistatic' or 'monostatic', not {link!r}")


def bistatic(scene: Scene, bs: mpc, places: list[mpc]) -> tuple[list[mpf], Rows]:
    count, ue, delays, rows = len(places), places[0], [], []
    for k, place in enumerate(places):
        seen_from_ue = place - ue if k else bs - ue
        first, second = abs(place - bs), abs(place - ue)
        gain = wavelength(scene) / (4 * mp.pi * first) if k == 0 else radar_gain(scene, k, first * second)
        gain *= mp.expj(mpf(scene.phase_bistatic[k]))
        delays.append((first + second) / LIGHT_SPEED + mpf(scene.clock_bias_s))
        stretched = along(place - bs) + along(place - ue) if k else along(place - bs)
        moved = along_axes(label(k), settled(stretched) / LIGHT_SPEED)
        turned = {"orientation": mpf(1), **along_axes("ue", -turning(seen_from_ue))}
        if k:
            moved |= along_axes("ue", along(ue - place) / LIGHT_SPEED)
            turned |= along_axes(label(k), turning(seen_from_ue))
        rows += [
            ([Term(k, gain, 0, k, k + count)], along_axes(label(k), turning(place - bs))),
            ([Term(k, gain, 0, k + count, k)], turned),
            ([Term(k, -1j * gain, 1, k, k)], {"clock": mpf(1), **moved}),
            *gain_rows(k),
        ]
    return delays, rows


def monostatic(scene: Scene, bs: mpc, places: list[mpc]) -> tuple[list[mpf], Rows]:
    count, delays, rows = len(places), [], []
    for k, place in enumerate(places):
        distance = abs(place - bs)
        gain = radar_gain(scene, k, distance**2) * mp.expj(mpf(scene.phase_monostatic[k]))
        delays.append(2 * distance / LIGHT_SPEED)
        both_ends = [Term(k, gain, 0, k, k + count), Term(k, gain, 0, k + count, k)]
        rows += [
            (both_ends, along_axes(label(k), turning(place - bs))),
            ([Term(k, -1j * gain, 1, k, k)], along_axes(label(k), 2 * along(place - bs) / LIGHT_SPEED)),
            *gain_rows(k),
        ]
    return delays, rows


def gain_rows(k: int) -> Rows:
    return [([Term(k, mpc(unit), 0, k, k)], {f"gain{k}_{part}": mpf(1)}) for unit, part in ((1, "re"), (1j, "im"))]


def parameter_names(link: str, targets: int) -> list[str]:
    pose, clock = (["orientation"], ["clock"]) if link == "bistatic" else ([], [])
    places = [f"{label(k)}_{axis}" for k in range(1, targets + 1) for axis in "xy"]
    gains = [f"gain{k}_{part}" for part in ("re", "im") for k in range(targets + 1)]
    return ["ue_x", "ue_y", *pose, *places, *clock, *gains]


def gram(angles: list[mpc], antennas: int) -> mp.matrix:
    """B^H B of B = [a(theta_k), da/dtheta(theta_k)]: real, because the phase centre is the array's middle."""
    count, positions = len(angles), [mpf(2 * i - antennas + 1) / 2 for i in range(antennas)]
    result = mp.matrix(2 * count)
    for i, j in product(range(count), repeat=2):
        lag = mp.pi * (mp.im(angles[j]) - mp.im(angles[i]))
        slope, other = mp.pi * mp.re(angles[j]), mp.pi * mp.re(angles[i])
        sines = mp.fsum(x * mp.sin(x * lag) for x in positions)
        result[i, j] = mp.fsum(mp.cos(x * lag) for x in positions)
        result[i, j + count] = result[j + count, i] = -slope * sines
        result[i + count, j + count] = slope * other * mp.fsum(x * x * mp.cos(x * lag) for x in positions)
    size = range(2 * count)
    for i, j in product(size, size):
        result[i, j] = settled(result[i, j], mp.sqrt(result[i, i] * result[j, j]))
    return result


def transmit_form(at_bs: mp.matrix, powers: Powers, power: mpf) -> mp.matrix:
    """B^H V B of V = P_m U diag(powers) U^H; U is the columns of B over their norms, a null column sends nothing."""
    norms = [at_bs[c, c] for c in range(at_bs.rows)]
    shares = [mpf(1) / sum(n > 0 for n in norms)] * len(norms) if powers is None else powers
    weights = [mpf(share) / n if n > 0 else mpf(0) for share, n in zip(shares, norms, strict=True)]
    return power * at_bs * mp.diag(weights) * at_bs


def settled(value: mpc, natural: mpf | int = 1) -> mpc:
    """Zero for what is only the rounding of a zero, as cos(pi/2) is."""
    return mp.chop(value, natural * mpf(10) ** (GUARD + 5 - mp.dps))


def facing(v: mpc, broadside: mpc) -> mpc:
    """cos + j sin of the angle of v at an array."""
    return settled(along(v) * mp.conj(broadside))


def along(v: mpc) -> mpc:
    return v / abs(v)


def turning(v: mpc) -> mpc:
    """Gradient of the polar angle of v."""
    return 1j * v / abs(v) ** 2


def along_axes(name: str, gradient: mpc) -> Gradient:
    return {f"{name}_x": mp.re(gradient), f"{name}_y": mp.im(gradient)}


def label(k: int) -> str:
    return f"target{k}" if k else "ue"


def radar_gain(scene: Scene, k: int, distances: mpf) -> mpf:
    cross_section = mpf(scene.target_rcs[k - 1] if k else scene.ue_rcs)
    return mp.sqrt(cross_section) * wavelength(scene) / (mp.sqrt(4 * mp.pi) ** 3 * distances)


def wavelength(scene: Scene) -> mpf:
    return LIGHT_SPEED / mpf(scene.carrier_hz)


def spacing(scene: Scene) -> mpf:
    return mpf(scene.bandwidth_hz) / scene.subcarriers


def from_db(value: mpf) -> mpf:
    return mpf(10) ** (mpf(value) / 10)
