"""From paths as a file lists them to draws: which path is the line of sight, which belong to one point, which to none.

A path of BP belongs to the point where its two rays meet, if its delay is that of the way over it; one of MS to the
place at half its way. All that belong to no such point are nuisance paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .arrays import Complexes, Reals
from .channel import channel_of, geometry_of
from .draws import Draws
from .errors import ScenarioError
from .kernels.model.geometry import frames_of
from .paths import Paths
from .scenario import ONE_POINT_M, SPEED_OF_LIGHT, Scenario

# How far rays may miss each other, and delays be off, of a path's length; and at least, in m.
_SHARE, _LEAST = 1e-3, 0.01


@dataclass(frozen=True, eq=False)
class Rays:
    """The paths of one link of one draw, in a file's order.

    Attributes
    ----------
    departure, arrival
        Azimuth and, in space, elevation in the axes of the arrays, (n, D-1), rad; no arrivals for MS.
    delay
        (n,), s; with the clock bias for BP.
    gain
        (n,), complex.
    point
        Where a path is reflected, or the UE for the line of sight and its echo, (n, D), m; NaN where that is to be
        found from the rest.
    phase, rcs
        What a draw says of its paths beside their gains, (n,), rad and m2; NaN where the gain is all there is.
    """

    departure: Reals
    arrival: Reals
    delay: Reals
    gain: Complexes
    point: Reals
    phase: Reals
    rcs: Reals

    def __len__(self) -> int:
        return len(self.delay)

    def strongest(self, count: int) -> "Rays":
        """The strongest ones, in the same order."""
        kept = np.sort(np.argsort(-np.abs(self.gain), kind="stable")[:count])
        return Rays(*(getattr(self, name)[kept] for name in Rays.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class _Sorted:
    """The paths of one draw by what they belong to: indices into its rays, -1 for none."""

    points: Reals  # of targets, (K, D)
    bistatic: list[int]  # of the line of sight, then of the targets
    monostatic: list[int]  # of the UE, then of the targets
    nuisances: tuple[list[int], list[int]]


def draws_of_rays(
    scenario: Scenario,
    base: Draws,
    bistatic: Sequence[Rays],
    monostatic: Sequence[Rays] | None = None,
    first: int = 0,
) -> Draws:
    """Draws that bring their paths.

    `base`: as many draws, of which position and attitude of the UE are taken, and what paths do not say. `bistatic`,
    `monostatic`: of every draw; without those of MS the echoes are as `channel_of` has them for the points that were
    found, with RCS and phases of `base`. Raises ScenarioError, naming the draw, counted from `first`: where the line of
    sight, a target or an echo is missing, and where draws have different numbers of paths.
    """
    echoes = [None] * len(bistatic) if monostatic is None else list(monostatic)
    found = [_sorted(scenario, base[i : i + 1], first + i, ahead, echoes[i]) for i, ahead in enumerate(bistatic)]
    _check_counts(scenario, found, first)
    points = np.array([each.points for each in found]).reshape(len(found), scenario.targets, scenario.dimensions)
    placed = replace(base, target_position=points, paths=None)
    monostatic = _own_echoes(scenario, placed) if monostatic is None else monostatic
    paths = _paths(scenario, found, bistatic, monostatic)
    return replace(placed, paths=paths, **_said(placed, found, bistatic, monostatic))


def _sorted(scenario: Scenario, one: Draws, draw: int, ahead: Rays, echoes: Rays | None) -> _Sorted:
    transmitter, places, _ = geometry_of(scenario, one)
    bs, ue, dims = transmitter.position, one.ue_position[0], scenario.dimensions
    out = _directions(ahead.departure) @ transmitter.rotation[:dims, :dims].T
    back = _directions(ahead.arrival) @ places.ue_rotation[0, :dims, :dims].T
    length = SPEED_OF_LIGHT * (ahead.delay - scenario.clock_bias_s)
    sight, free, targets, points = -1, list[int](), list[int](), list[Reals]()
    for i in range(len(ahead)):
        tolerance = max(_SHARE * abs(length[i]), _LEAST)
        if _is_sight(ahead.point[i], (bs, ue), (out[i], back[i]), length[i], tolerance):
            if sight >= 0:
                raise ScenarioError(f"draw {draw}: two paths of BP are the line of sight ({sight} and {i}); leave one")
            sight = i
            continue
        point = ahead.point[i]
        if np.isnan(point).any():
            point = _meeting((bs, ue), (out[i], back[i]), length[i], tolerance)
        if point is None:
            free.append(i)
        else:
            targets.append(i)
            points.append(point)
    if sight < 0 and scenario.line_of_sight:
        raise ScenarioError(
            f"draw {draw}: no path of BP is the line of sight; set line_of_sight = false, if it is blocked"
        )
    entities = np.array([ue, *points])
    echoed, alone = list(range(len(entities))), list[int]()
    if echoes is not None:
        echoed, alone = _echoed(draw, echoes, entities, (bs, transmitter.rotation[:dims, :dims]))
    return _Sorted(entities[1:], [sight, *targets], echoed, (free, alone))


def _directions(angles: Reals) -> Reals:
    """Unit vectors (n, D) in an array's axes."""
    dims = angles.shape[1] + 1
    frames: Reals = frames_of(np.ascontiguousarray(angles)[None])[0, :, 0, :dims]
    return frames


def _is_sight(
    point: Reals, ends: tuple[Reals, Reals], rays: tuple[Reals, Reals], length: float, tolerance: float
) -> bool:
    """Whether a path is the line of sight: it says so, or goes straight from end to end in both directions."""
    bs, ue = ends
    if not np.isnan(point).any():
        return float(_length(point - ue)) < ONE_POINT_M
    straight = float(_length(ue - bs))
    misses = _length(bs + straight * rays[0] - ue), _length(ue + straight * rays[1] - bs), abs(straight - length)
    return max(float(miss) for miss in misses) <= tolerance


def _meeting(ends: tuple[Reals, Reals], rays: tuple[Reals, Reals], length: float, tolerance: float) -> Reals | None:
    """The point of a path of one reflection, None where there is none: least squares over both rays and the length."""
    (bs, ue), (out, back) = ends, rays
    system = np.vstack((np.stack((out, -back), axis=1), np.ones((1, 2))))
    wanted = np.append(ue - bs, length)
    (ahead, behind), *_ = np.linalg.lstsq(system, wanted, rcond=None)
    off = system @ (ahead, behind) - wanted
    if min(ahead, behind) <= 0.0 or _length(off[:-1]) > tolerance or abs(off[-1]) > tolerance:
        return None
    middle: Reals = 0.5 * (bs + ahead * out + ue + behind * back)
    return middle


def _echoed(draw: int, echoes: Rays, entities: Reals, frame: tuple[Reals, Reals]) -> tuple[list[int], list[int]]:
    """Which echo is that of the UE and of each target, and which are of none."""
    bs, rotation = frame
    reach = 0.5 * SPEED_OF_LIGHT * echoes.delay[:, None]
    points = np.where(np.isnan(echoes.point), bs + reach * (_directions(echoes.departure) @ rotation.T), echoes.point)
    apart = _length(points[:, None] - entities)
    found: list[int] = []
    names = ["the UE", *(f"target {k}" for k in range(1, len(entities)))]
    for k, name in enumerate(names):
        apart[found, k] = np.inf
        nearest = int(np.argmin(apart[:, k])) if len(echoes) else -1
        tolerance = max(_SHARE * float(_length(entities[k] - bs)), _LEAST)
        if nearest < 0 or apart[nearest, k] > tolerance:
            place = ", ".join(f"{x:.6g}" for x in entities[k])
            raise ScenarioError(f"draw {draw}: no path of MS comes back from {name} at ({place}) m; give its echo")
        found.append(nearest)
    return found, [i for i in range(len(echoes)) if i not in found]


def _length(vectors: Reals) -> Reals:
    length: Reals = np.sqrt(np.sum(vectors**2, axis=-1))
    return length


def _check_counts(scenario: Scenario, found: Sequence[_Sorted], start: int) -> None:
    """Refuse draws with other numbers of targets than the scenario, or of nuisance paths than the first draw."""
    for draw, each in enumerate(found, start):
        if len(each.points) != scenario.targets:
            raise ScenarioError(
                f"draw {draw} has {len(each.points)} paths of BP over one point, and the scenario {scenario.targets} "
                "targets; give it as many target_positions_m, or keep fewer paths (strongest)"
            )
        for link, own, first in zip(("BP", "MS"), each.nuisances, found[0].nuisances, strict=True):
            if len(own) != len(first):
                raise ScenarioError(
                    f"draw {draw} has {len(own)} paths of {link} over no single point, draw {start} has {len(first)}; "
                    "give all draws as many, or keep fewer paths (strongest)"
                )


def _paths(scenario: Scenario, found: Sequence[_Sorted], bistatic: Sequence[Rays], monostatic: Sequence[Rays]) -> Paths:
    located, (free_bp, free_ms) = scenario.targets + 1, map(len, found[0].nuisances)
    batch, everyone, tangents = len(found), located + free_bp + free_ms, scenario.dimensions - 1
    angles = np.zeros((2, batch, everyone, tangents))
    delays, gains = np.zeros((2, batch, everyone)), np.zeros((2, batch, everyone), complex)
    for draw, (each, ahead, echoes) in enumerate(zip(found, bistatic, monostatic, strict=True)):
        places = (
            (0, ahead, each.bistatic + each.nuisances[0], [*range(located + free_bp)]),
            (1, echoes, each.monostatic + each.nuisances[1], [*range(located), *range(located + free_bp, everyone)]),
        )
        for link, rays, own, paths in reversed(places):  # BP last: its departures are those of targets
            for i, path in zip(own, paths, strict=True):
                if i < 0:
                    continue
                angles[0, draw, path] = rays.departure[i]
                if link == 0:
                    angles[1, draw, path] = rays.arrival[i]
                delays[link, draw, path], gains[link, draw, path] = rays.delay[i], rays.gain[i]
    return Paths(angles[0], angles[1], delays[0], delays[1], gains[0], gains[1], (free_bp, free_ms))


def _own_echoes(scenario: Scenario, placed: Draws) -> list[Rays]:
    """Echoes of the UE and the targets, with RCS and phases as drawn."""
    channel = channel_of(scenario, placed)
    angles = np.stack((channel.aod, channel.aod_elevation), axis=2)[:, :, : scenario.dimensions - 1]
    delay, gain, phase = channel.delay_monostatic, channel.gain_monostatic, placed.phase_monostatic
    unsaid = np.full(delay.shape, np.nan)
    return [Rays(*each) for each in zip(angles, angles, delay, gain, placed.places, phase, unsaid, strict=True)]


def _said(
    placed: Draws, found: Sequence[_Sorted], bistatic: Sequence[Rays], monostatic: Sequence[Rays]
) -> dict[str, Reals]:
    """Phases, and RCS where the paths say them: of gains, and as drawn, where they do not."""
    phases = np.array((placed.phase_bistatic, placed.phase_monostatic))
    rcs = np.concatenate((placed.ue_rcs[:, None], placed.target_rcs), axis=1)
    for draw, (each, *both) in enumerate(zip(found, bistatic, monostatic, strict=True)):
        for link, (rays, own) in enumerate(zip(both, (each.bistatic, each.monostatic), strict=True)):
            for k, i in enumerate(own):
                if i < 0:
                    continue
                said = rays.phase[i]
                phases[link, draw, k] = np.angle(rays.gain[i]) if np.isnan(said) else said
                if link == 1 and not np.isnan(rays.rcs[i]):
                    rcs[draw, k] = rays.rcs[i]
    return {
        "phase_bistatic": phases[0],
        "phase_monostatic": phases[1],
        "ue_rcs": rcs[:, 0],
        "target_rcs": rcs[:, 1:],
    }


def seen_by_arrays(scenario: Scenario, base: Draws, bistatic: Sequence[Rays]) -> tuple[Rays, ...]:
    """Paths of BP with directions in the axes of the arrays, from those in the axes of the scene; in space."""
    transmitter, places, _ = geometry_of(scenario, base)
    return tuple(
        replace(
            rays,
            departure=_angles(_directions(rays.departure) @ transmitter.rotation),
            arrival=_angles(_directions(rays.arrival) @ rotation),
        )
        for rays, rotation in zip(bistatic, places.ue_rotation, strict=True)
    )


def _angles(vectors: Reals) -> Reals:
    """Azimuths and elevations (n, 2) of vectors (n, 3)."""
    x, y, z = vectors.T
    return np.stack((np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))), axis=1)
