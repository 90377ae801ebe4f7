"""A slow, literal twin of the model in the plane and in space: any array, what is known, priors, fusion.

From a scene as `golden/world.json` writes it. Both links are written in one vector of unknowns

    eta = [p_U, orientation, p_1 .. p_K, clock, bistatic gains, monostatic gains]

(gains as Re, then Im), so that knowledge takes unknowns away, a prior adds a diagonal, and fusion is a sum. Positions
have d = 2 or 3 numbers. The orientation is a rotation vector on the left of the UE's rotation matrix, of which the
plane has the z component alone (minus phi). The derivatives come from complex steps of the phases, which are real and
analytic in eta; the FIM (6) is summed over every subcarrier and antenna. Nothing here is taken from the project, so
that agreement means something. SI units, radians; elements of arrays in wavelengths.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from repository import ROOT

Array = np.ndarray
Scene = dict[str, Any]

SPEED_OF_LIGHT = 299792458.0
WORLD = {entry["name"]: entry for entry in json.loads((ROOT / "tests" / "golden" / "world.json").read_text())}
STEP = 1e-30  # of a complex step: nothing is subtracted, so nothing cancels
VANISHING = 1e-9  # a codeword's norm against the largest that its array could give
NO_INFORMATION = 1e-13  # an eigenvalue of the FIM of unit diagonal that is rounding; ordinary scenes have 1e-9 and more


def rotation(bearing: float, downtilt: float, slant: float) -> Array:
    """Rz(bearing) Ry(downtilt) Rx(slant), from degrees (3GPP TR 38.901, 7.1)."""
    (ca, cb, cc), (sa, sb, sc) = (f(np.radians([bearing, downtilt, slant])) for f in (np.cos, np.sin))
    rz = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    ry = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    rx = np.array([[1, 0, 0], [0, cc, -sc], [0, sc, cc]])
    return rz @ ry @ rx


def attitude(r: Array) -> list[float]:
    """Bearing, downtilt and slant in degrees of a rotation matrix."""
    angles = np.arctan2(r[1, 0], r[0, 0]), np.arcsin(-r[2, 0]), np.arctan2(r[2, 1], r[2, 2])
    return [float(angle) for angle in np.degrees(angles)]


def turned(scene: Scene, q: Array) -> Scene:
    """The whole scene in space under the rotation q about the origin."""
    (ue,) = scene["ues"]
    bearing, downtilt, slant = attitude(q @ rotation(-ue["rot"][0], *ue["rot"][1:]))
    return scene | {
        "bs": list(q @ scene["bs"]),
        "bs_rot": attitude(q @ rotation(*scene["bs_rot"])),
        "ues": [{"pos": list(q @ ue["pos"]), "rot": [-bearing, downtilt, slant]}],
        "targets": [list(q @ target) for target in scene["targets"]],
    }


def turn(vector: Array) -> Array:
    """The rotation matrix of a rotation vector, analytic in it (Rodrigues)."""
    x, y, z = vector
    cross = np.array([[0 * x, -z, y], [z, 0 * x, -x], [-y, x, 0 * x]])
    half = np.sinc(np.sqrt(x * x + y * y + z * z) / (2 * np.pi))
    whole = np.sinc(np.sqrt(x * x + y * y + z * z) / np.pi)
    return np.eye(3) + whole * cross + half**2 / 2 * cross @ cross


def length(v: Array) -> Array:
    """Euclidean length along the last axis, analytic in v."""
    return np.sqrt(np.sum(v * v, axis=-1))


def tangents(u: Array) -> tuple[Array, Array]:
    """Unit vectors of growing azimuth and elevation at the unit vectors u [path, 3] of a local frame."""
    azimuth, elevation = np.arctan2(u[:, 1], u[:, 0]), np.arcsin(np.clip(u[:, 2], -1, 1))
    e1 = np.array([-np.sin(azimuth), np.cos(azimuth), 0 * azimuth]).T
    e2 = np.array([-np.sin(elevation) * np.cos(azimuth), -np.sin(elevation) * np.sin(azimuth), np.cos(elevation)]).T
    return e1, e2


@dataclass(frozen=True)
class Paths:
    """Real phases of both links at one eta, in radians; their derivatives come from a complex eta.

    `transmit` is the phase of a_T at the BS's elements, `receive` of a_R, `arrive` of a_U; [path, element]. The delays
    are `tau` (BP) and `eps` (MS) in seconds, [path].
    """

    transmit: Array
    receive: Array
    arrive: Array
    tau: Array
    eps: Array


class World:
    """A scene's constants, unknowns, channels and derivatives."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        (ue,) = scene["ues"]
        self.d = len(scene["bs"])
        self.k = len(scene["targets"])
        self.bs = self.in_space(scene["bs"])
        self.ue = self.in_space(ue["pos"])
        self.targets = self.in_space(np.reshape(scene["targets"], (self.k, self.d)))
        self.bs_frame = rotation(*scene["bs_rot"])
        self.ue_frame = rotation(-ue["rot"][0], *ue["rot"][1:])
        self.tx, self.rx, self.uea = (np.array(scene[key], dtype=float) for key in ("tx", "rx", "uea"))
        self.spacing = scene["bw"] / scene["m"]
        self.power = 10 ** ((scene["p_dbm"] - 30) / 10) / scene["m"]
        self.noise = 10 ** ((scene["nf_db"] + scene["n0_dbm"] - 30) / 10) * self.spacing
        self.lay_out_unknowns()

    def in_space(self, positions: Array) -> Array:
        """Positions with z = 0 where the plane leaves it out."""
        positions = np.asarray(positions)
        height = np.zeros((*positions.shape[:-1], 3 - self.d))
        return np.concatenate([positions, height], axis=-1)

    def lay_out_unknowns(self) -> None:
        """Name the places of the unknowns in eta."""
        turns, paths = (1 if self.d == 2 else 3), self.k + 1
        sizes = [self.d, turns, self.k * self.d, 1, paths, paths, paths, paths]
        ends = np.cumsum(sizes)
        places = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self.size = int(ends[-1])
        self.at_ue, self.at_orientation, at_targets, self.at_clock, *gains = places
        self.at_target = at_targets.reshape(self.k, self.d)
        self.at_positions = np.concatenate([self.at_ue, at_targets])
        self.at_gains = {"bp": gains[:2], "ms": gains[2:]}

    @cached_property
    def gains(self) -> dict[str, Array]:
        """alpha (BP) and beta (MS) of section 2 with distances in space, [path]."""
        s, wavelength = self.scene, SPEED_OF_LIGHT / self.scene["fc"]
        rcs = np.concatenate([[s["rcs_ue"]], np.broadcast_to(s["rcs"], self.k)])
        points = np.vstack([self.ue, self.targets])
        from_bs = length(points - self.bs)
        from_ue = length(points[1:] - self.ue)
        echo = np.sqrt(rcs) * wavelength / (4 * np.pi) ** 1.5
        alpha = np.concatenate([[wavelength / (4 * np.pi * from_bs[0])], echo[1:] / (from_ue * from_bs[1:])])
        beta = echo / from_bs**2
        return {
            "bp": alpha * np.exp(1j * np.array(s["phases_bistatic_rad"])),
            "ms": beta * np.exp(1j * np.array(s["phases_monostatic_rad"])),
        }

    @cached_property
    def eta(self) -> Array:
        """The true unknowns; the orientation counts from the UE's own."""
        eta = np.zeros(self.size)
        eta[self.at_ue] = self.ue[: self.d]
        eta[self.at_target] = self.targets[:, : self.d]
        eta[self.at_clock] = self.scene["clock"]
        for link, (re, im) in self.at_gains.items():
            eta[re], eta[im] = self.gains[link].real, self.gains[link].imag
        return eta

    def paths(self, eta: Array) -> Paths:
        """Phases and delays of every path; eta may be complex."""
        ue, targets = self.in_space(eta[self.at_ue]), self.in_space(eta[self.at_target])
        spin = eta[self.at_orientation]
        frame = turn(spin if self.d == 3 else np.array([0, 0, spin[0]])) @ self.ue_frame
        points = np.vstack([ue, targets])
        out = points - self.bs
        back = np.vstack([self.bs, targets]) - ue
        departure = out / length(out)[:, None] @ self.bs_frame
        arrival = back / length(back)[:, None] @ frame
        echo = np.concatenate([[0], length(back[1:])])
        return Paths(
            transmit=2 * np.pi * departure @ self.tx.T,
            receive=2 * np.pi * departure @ self.rx.T,
            arrive=2 * np.pi * arrival @ self.uea.T,
            tau=(length(out) + echo) / SPEED_OF_LIGHT + eta[self.at_clock],
            eps=2 * length(out) / SPEED_OF_LIGHT,
        )

    def path_phases(self, link: str, eta: Array) -> list[Array]:
        """The phase of every path at [subcarrier, receive, transmit], without its gain's."""
        paths = self.paths(eta)
        delay, receive = (paths.tau, paths.arrive) if link == "bp" else (paths.eps, paths.receive)
        frequency = self.spacing * np.arange(1, self.scene["m"] + 1)
        return [
            (-2 * np.pi * frequency * delay[k])[:, None, None] + receive[k][:, None] - paths.transmit[k]
            for k in self.visible(link)
        ]

    def visible(self, link: str) -> range:
        """Paths of a link: a blocked line of sight leaves BP, while MS still sees the UE."""
        return range(0 if link == "ms" or self.scene["los"] else 1, self.k + 1)

    def channel(self, link: str, eta: Array) -> Array:
        """H_m(eta), [subcarrier, receive, transmit]."""
        re, im = self.at_gains[link]
        gains = (eta[re] + 1j * eta[im])[list(self.visible(link))]
        waves = [np.exp(1j * phase) for phase in self.path_phases(link, eta)]
        return sum(gain * wave for gain, wave in zip(gains, waves, strict=True))

    def unknowns(self, link: str) -> Array:
        """Places of a link's unknowns: what is known leaves BP's."""
        gains = np.concatenate([part[list(self.visible(link))] for part in self.at_gains[link]])
        if link == "ms":
            return np.concatenate([self.at_positions, gains])
        free = {"orientation": self.at_orientation, "targets": self.at_target.ravel(), "clock": self.at_clock}
        kept = [places for name, places in free.items() if name not in self.scene["known"]]
        return np.concatenate([self.at_ue, *kept, gains])

    def derivatives(self, link: str) -> Array:
        """dH_m/deta of the link's unknowns, [unknown, subcarrier, receive, transmit]."""
        gains = self.gains[link][list(self.visible(link))]
        waves = [np.exp(1j * phase) for phase in self.path_phases(link, self.eta)]
        re, im = (list(part[list(self.visible(link))]) for part in self.at_gains[link])
        rows = []
        for place in self.unknowns(link):
            if place in re:
                rows.append(waves[re.index(place)])
            elif place in im:
                rows.append(1j * waves[im.index(place)])
            else:
                step = 1j * STEP * (np.arange(self.size) == place)
                slopes = [phase.imag / STEP for phase in self.path_phases(link, self.eta + step)]
                rows.append(sum(1j * a * s * w for a, s, w in zip(gains, slopes, waves, strict=True)))
        return np.array(rows)

    @cached_property
    def seen(self) -> dict[str, Array]:
        """Derivatives of both links, [unknown, subcarrier x receive, transmit]."""
        tensors = {link: self.derivatives(link) for link in ("bp", "ms")}
        return {link: d.reshape(len(d), -1, d.shape[-1]) for link, d in tensors.items()}

    @property
    def snr_factor(self) -> float:
        """2N/sigma^2 of (6)."""
        return 2 * self.scene["pilots"] / self.noise

    def fim(self, link: str, v: Array) -> Array:
        """FIM (6) of one link at the covariance v, in the places of eta; zero elsewhere."""
        d, places = self.seen[link], self.unknowns(link)
        inner = (d @ v).reshape(len(d), -1) @ d.reshape(len(d), -1).conj().T
        fim = np.zeros((self.size, self.size))
        fim[np.ix_(places, places)] = self.snr_factor * inner.real
        return fim

    @cached_property
    def prior(self) -> Array:
        """J0 = diag(1/std^2) in the places of eta."""
        places = {
            "ue_position": self.at_ue,
            "target_position": self.at_target.ravel(),
            "orientation": self.at_orientation,
            "clock": self.at_clock,
        }
        j0 = np.zeros(self.size)
        for name, std in self.scene["prior"].items():
            j0[places[name]] = 1 / std**2
        return np.diag(j0)

    @cached_property
    def codebook(self) -> Array:
        """Steering of all paths, azimuth derivatives, elevation derivatives (in space), of unit norm, [tx, codeword].

        Columns that vanish are left out.
        """
        out = np.vstack([self.ue, self.targets]) - self.bs
        u = out / length(out)[:, None] @ self.bs_frame
        steering = np.exp(2j * np.pi * u @ self.tx.T)
        words = np.vstack([steering, *(2j * np.pi * (e @ self.tx.T) * steering for e in tangents(u)[: self.d - 1])])
        norms = np.linalg.norm(words, axis=1)
        most = np.where(np.arange(len(words)) <= self.k, 1, 2 * np.pi * np.linalg.norm(self.tx))
        kept = norms > VANISHING * most
        return (words[kept] / norms[kept, None]).T

    @property
    def apa(self) -> Array:
        """V of equal powers on the codewords, P_m together."""
        u = self.codebook
        return u @ u.conj().T * self.power / u.shape[1]


def inverse(matrix: Array) -> Array:
    """Inverse of an information matrix by way of the unit diagonal; infinite variance for what it does not see.

    A direction without information spoils only the unknowns that it moves: a row of antennas never sees itself turn
    about its axis, and yet tells where it is.
    """
    information = np.diag(matrix) > 0
    scale = np.where(information, 1 / np.sqrt(np.where(information, np.diag(matrix), 1)), 1)
    values, vectors = np.linalg.eigh(scale[:, None] * matrix * scale)
    seen = values > NO_INFORMATION
    half = scale[:, None] * vectors[:, seen] / np.sqrt(values[seen])
    spoilt = np.any(np.abs(vectors[:, ~seen]) > 1e-6, axis=1)
    return half @ half.T + np.diag(np.where(spoilt, np.inf, 0))


def covariance_of(world: World, information: Array, places: Array) -> Array:
    """The bound's covariance matrix in the places of eta; NaN where nothing was unknown."""
    full = np.full(information.shape, np.nan)
    full[np.ix_(places, places)] = inverse(information[np.ix_(places, places)])
    return full


def covariances(world: World, v: Array) -> dict[str, Array]:
    """Bound of all unknowns from BP, from MS and from both together (the prior once)."""
    information = {link: world.fim(link, v) for link in ("bp", "ms")}
    places = {link: world.unknowns(link) for link in ("bp", "ms")}
    information["fused"] = information["bp"] + information["ms"]
    places["fused"] = np.union1d(places["bp"], places["ms"])
    return {key: covariance_of(world, i + world.prior, places[key]) for key, i in information.items()}


def bounds(world: World, v: Array) -> dict[str, Any]:
    """CRBs at v in m2, rad2 and s2; targets one by one, the UE first."""
    at = covariances(world, v)
    points = [world.at_ue, *world.at_target]

    def trace(key: str, places: Array) -> float:
        return float(np.trace(at[key][np.ix_(places, places)]))

    return {
        "crb_bp": trace("bp", world.at_ue),
        "crb_ms": trace("ms", world.at_positions),
        "crb_bp_fused": trace("fused", world.at_ue),
        "crb_ms_fused": trace("fused", world.at_positions),
        "crb_orientation": trace("bp", world.at_orientation),
        "crb_clock": trace("bp", world.at_clock),
        "crb_mapping": [trace("bp", places) for places in points],
        "crb_ms_target": [trace("ms", places) for places in points],
        "crb_target_fused": [trace("fused", places) for places in points],
    }


def objective_and_gradient(world: World, v: Array, rho: float) -> tuple[float, Array, float]:
    """f = rho CRB_BP + (1 - rho) CRB_MS at v, G = -df/dV and g0 = -df/ds of I = L(V) + s J0 at s = 1."""
    f, g, g0 = 0.0, np.zeros(v.shape, dtype=complex), 0.0
    for link, weight, wanted in (("bp", rho, world.at_ue), ("ms", 1 - rho, world.at_positions)):
        if weight == 0:
            continue
        places = world.unknowns(link)
        block = np.ix_(places, places)
        c = inverse((world.fim(link, v) + world.prior)[block])
        picked = np.isin(places, wanted)
        if np.isinf(np.diag(c)[picked]).any():
            return np.inf, np.full(v.shape, np.nan), np.nan
        c[np.isinf(c)] = 0  # no wanted bound leans on it
        slope = c[:, picked] @ c[picked]
        d = world.seen[link]
        mixed = np.tensordot(slope, d, 1)
        f += weight * np.trace(c[np.ix_(picked, picked)])
        g += weight * world.snr_factor * d.reshape(-1, len(v)).conj().T @ mixed.reshape(-1, len(v))
        g0 += weight * np.trace(slope @ world.prior[block])
    return f, (g + g.conj().T) / 2, g0


def certified_gap(world: World, v: Array, rho: float) -> float:
    """(P_m lambda_max(G) + g0)/f - 1 >= f/f* - 1 over every covariance of trace P_m."""
    f, g, g0 = objective_and_gradient(world, v, rho)
    return float((world.power * np.linalg.eigvalsh(g)[-1] + g0) / f - 1)
