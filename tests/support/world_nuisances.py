"""The literal twin with paths of their own: nuisance paths, whose directions, delays and gains are all free.

A scene has them as `nuisances`, {"bp": [...], "ms": [...]}, each {"departure": [azimuth, elevation], "arrival": the
same, "delay": s, "gain": complex}; angles in radians in the arrays' own frames, elevations left out in the plane.
"""

from functools import cached_property

import numpy as np
from crbatch import Draws, Scenario, channel_of
from crbatch.engine.paths import Paths
from world import SPEED_OF_LIGHT, VANISHING, Array, Scene, World, length, tangents


def direction(angles: Array) -> Array:
    """Unit vector of azimuth and elevation, analytic in them."""
    azimuth, elevation = (*angles, 0.0)[:2]
    return np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation) + 0 * azimuth]
    )


class CrowdedWorld(World):
    """A world with nuisance paths."""

    def lay_out_unknowns(self) -> None:
        super().lay_out_unknowns()
        self.nuisances = self.scene["nuisances"]
        self.at_nuisance: dict[str, list[Array]] = {}
        for link, each in (("bp", 2 * self.d - 1), ("ms", self.d)):
            own = self.nuisances[link]
            re, im = self.at_gains[link]
            more = self.size + np.arange(2 * len(own))
            self.at_gains[link] = [np.concatenate([re, more[: len(own)]]), np.concatenate([im, more[len(own) :]])]
            self.size += 2 * len(own)
            self.at_nuisance[link] = [self.size + each * i + np.arange(each) for i in range(len(own))]
            self.size += each * len(own)

    @cached_property
    def gains(self) -> dict[str, Array]:
        own = World.gains.func(self)
        return {link: np.concatenate([own[link], [n["gain"] for n in self.nuisances[link]]]) for link in own}

    @cached_property
    def eta(self) -> Array:
        eta = World.eta.func(self)
        for link, angles in (("bp", ("departure", "arrival")), ("ms", ("departure",))):
            for nuisance, places in zip(self.nuisances[link], self.at_nuisance[link], strict=True):
                parts = [nuisance[name][: self.d - 1] for name in angles]
                eta[places] = np.concatenate([*parts, [nuisance["delay"]]])
        return eta

    def path_phases(self, link: str, eta: Array) -> list[Array]:
        paths = self.paths(eta)
        delays, receives = (paths.tau, paths.arrive) if link == "bp" else (paths.eps, paths.receive)
        frequency = self.spacing * np.arange(1, self.scene["m"] + 1)
        phases = [
            (-2 * np.pi * frequency * delays[k])[:, None, None] + receives[k][:, None] - paths.transmit[k]
            for k in super().visible(link)
        ]
        for places in self.at_nuisance[link]:
            *angles, delay = eta[places]
            departure = direction(np.array(angles[: self.d - 1]))
            arrival = departure if link == "ms" else direction(np.array(angles[self.d - 1 :]))
            receive = 2 * np.pi * (self.rx if link == "ms" else self.uea) @ arrival
            transmit = 2 * np.pi * self.tx @ departure
            phases.append((-2 * np.pi * frequency * delay)[:, None, None] + receive[:, None] - transmit)
        return phases

    def visible(self, link: str) -> list[int]:
        return [*range(super().visible(link)[0], self.k + 1 + len(self.nuisances[link]))]

    def unknowns(self, link: str) -> Array:
        return np.concatenate([super().unknowns(link), *self.at_nuisance[link]]).astype(int)

    @cached_property
    def codebook(self) -> Array:
        out = np.vstack([self.ue, self.targets]) - self.bs
        u = out / length(out)[:, None] @ self.bs_frame
        free = [direction(n["departure"]) for link in ("bp", "ms") for n in self.nuisances[link]]
        u = np.vstack([u, *free])
        steering = np.exp(2j * np.pi * u @ self.tx.T)
        words = np.vstack([steering, *(2j * np.pi * (e @ self.tx.T) * steering for e in tangents(u)[: self.d - 1])])
        norms = np.linalg.norm(words, axis=1)
        most = np.where(np.arange(len(words)) < len(u), 1, 2 * np.pi * np.linalg.norm(self.tx))
        kept = norms > VANISHING * most
        return (words[kept] / norms[kept, None]).T


def scenario_of_world(scene: Scene) -> Scenario:
    """The engine's scenario of a scene."""
    (ue,) = scene["ues"]
    degrees = 180.0 / np.pi
    prior = dict(scene["prior"])
    names = {"ue_position": "ue_position_m", "target_position": "target_position_m", "clock": "clock_s"}
    known = {names[name]: std for name, std in prior.items() if name != "orientation"}
    if "orientation" in prior:
        known["orientation_deg"] = prior["orientation"] * degrees
    tilts = {"bs_downtilt_deg": scene["bs_rot"][1], "bs_slant_deg": scene["bs_rot"][2]}
    tilts |= {"ue_downtilt_deg": ue["rot"][1], "ue_slant_deg": ue["rot"][2]}
    return Scenario.model_validate(
        {
            "carrier_hz": scene["fc"],
            "bandwidth_hz": scene["bw"],
            "subcarriers": scene["m"],
            "pilots_per_slot": scene["pilots"],
            "power_dbm": scene["p_dbm"],
            "noise_figure_db": scene["nf_db"],
            "noise_psd_dbm_hz": scene["n0_dbm"],
            **{f"{end}_array": {"kind": "elements", "positions": scene[key]} for end, key in _ARRAYS},
            "bs_position_m": scene["bs"],
            "bs_broadside_deg": scene["bs_rot"][0],
            "ue_position_m": ue["pos"],
            "ue_orientation_deg": ue["rot"][0],
            **(tilts if len(scene["bs"]) == 3 else {}),
            "clock_bias_s": scene["clock"],
            "target_positions_m": scene["targets"],
            "target_rcs_m2": np.broadcast_to(scene["rcs"], len(scene["targets"])).tolist(),
            "ue_rcs_m2": scene["rcs_ue"],
            "line_of_sight": scene["los"],
            "known": scene["known"],
            "prior": known,
        }
    )


_ARRAYS = (("tx", "tx"), ("rx", "rx"), ("ue", "uea"))


def own_paths(scenario: Scenario, draws: Draws) -> Paths:
    """What the engine would make of positions and RCS, as paths."""
    channel = channel_of(scenario, draws)
    pairs = (channel.aod, channel.aod_elevation), (channel.aoa, channel.aoa_elevation)
    departure, arrival = (np.stack(pair[: scenario.dimensions - 1], axis=2) for pair in pairs)
    delays = channel.delay_bistatic, channel.delay_monostatic
    return Paths(departure, arrival, *delays, channel.gain_bistatic, channel.gain_monostatic)


def crowded_paths(draws: Draws, scene: Scene, own: Paths) -> Paths:
    """The paths of draws with the scene's nuisance paths behind them."""
    bp, ms = scene["nuisances"]["bp"], scene["nuisances"]["ms"]
    batch, tangent_count = len(draws), own.departure.shape[2]

    def more(array: Array, values: list[object]) -> Array:
        added = np.reshape(np.array(values), (1, len(values), *array.shape[2:]))
        return np.concatenate([array, np.repeat(added, batch, axis=0)], axis=1)

    none = [0.0] * tangent_count
    return Paths(
        departure=more(own.departure, [n["departure"][:tangent_count] for n in (*bp, *ms)]),
        arrival=more(own.arrival, [n["arrival"][:tangent_count] for n in bp] + [none] * len(ms)),
        delay_bistatic=more(own.delay_bistatic, [n["delay"] for n in bp] + [0.0] * len(ms)),
        delay_monostatic=more(own.delay_monostatic, [0.0] * len(bp) + [n["delay"] for n in ms]),
        gain_bistatic=more(own.gain_bistatic, [n["gain"] for n in bp] + [0.0] * len(ms)),
        gain_monostatic=more(own.gain_monostatic, [0.0] * len(bp) + [n["gain"] for n in ms]),
        nuisances=(len(bp), len(ms)),
    )


def random_nuisances(seed: int, scene: Scene, bistatic: int, monostatic: int) -> Scene:
    """The scene with nuisance paths anywhere, somewhat stronger than its echoes."""
    rng = np.random.default_rng([77, seed])
    plain = World(scene).gains

    def one(link: str) -> dict[str, object]:
        level = np.abs(plain[link]).min() * rng.uniform(0.5, 2.0)
        angles = rng.uniform([-1.2, -0.5], [1.2, 0.5], (2, 2))[:, : len(scene["bs"]) - 1]
        return {
            "departure": angles[0],
            "arrival": angles[1],
            "delay": rng.uniform(20, 80) / SPEED_OF_LIGHT + (scene["clock"] if link == "bp" else 0.0),
            "gain": level * np.exp(2j * np.pi * rng.uniform()),
        }

    nuisances = {"bp": [one("bp") for _ in range(bistatic)], "ms": [one("ms") for _ in range(monostatic)]}
    return scene | {"nuisances": nuisances}
