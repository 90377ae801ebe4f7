"""What a link does not know: its position parameters, those that are known beforehand, and what is known of the others.

BP has [p_U, orientation, p_1..p_K, dt], MS [p_U, p_1..p_K], both together [p_U, p_1..p_K, orientation, dt]. Positions
have D = 2 or 3 coordinates; the orientation is phi in the plane, and in space a rotation vector. Directions and delays
of nuisance paths come last, one kind of all these paths after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import radians
from typing import Literal

import numpy as np

from .arrays import Flags, Reals, Wholes
from .scenario import Scenario

# Elements this close to one line, in wavelengths, are on it.
ON_A_LINE = 1e-9
_Group = Literal["ue_position", "orientation", "targets", "clock", "nuisance"]


@dataclass(frozen=True)
class Unknowns:
    """Position parameters of one link of a scenario, in order, before those that are known are left out.

    Attributes
    ----------
    groups
        What each belongs to.
    known
        Which are known beforehand.
    information
        Diagonal of J0, 1 over the squared standard deviation where a prior gives one: 1/m2, 1/rad2, 1/s2.
    unseen
        How many of the orientation's rotations no signal tells of (see `turns`): the last ones.
    """

    groups: tuple[_Group, ...]
    known: tuple[str, ...]
    information: tuple[float, ...]
    unseen: int = 0

    @cached_property
    def kept(self) -> Wholes:
        """Which are to be found: unknown, and seen."""
        last = self.groups.index("orientation") + self.groups.count("orientation") if self.unseen else 0
        unseen = range(last - self.unseen, last)
        kept = [i for i, group in enumerate(self.groups) if group not in self.known and i not in unseen]
        return np.array(kept, np.int64)

    @cached_property
    def prior(self) -> Reals:
        """Diagonal of J0 of those that are unknown."""
        return np.array(self.information)[self.kept]

    @cached_property
    def has_prior(self) -> bool:
        """Whether anything is known of them."""
        return bool((self.prior > 0.0).any())

    @property
    def located(self) -> int:
        """How many there are without those of nuisance paths."""
        return len(self.groups) - self.groups.count("nuisance")

    def of(self, group: _Group) -> Flags:
        """Which of all parameters belong to a group."""
        return np.array([one == group for one in self.groups])

    def with_known(self, bounds: Reals, scale: float = 1.0) -> Reals:
        """Bounds of all parameters, (..., groups), from those to be found, `scale` times as large: 0 for what is known.

        Of what no signal tells, the prior's variance is left, or nothing.
        """
        out = np.zeros((*bounds.shape[:-1], len(self.groups)))
        for i, group in enumerate(self.groups):
            if group not in self.known:
                out[..., i] = scale / self.information[i] if self.information[i] > 0.0 else np.inf
        out[..., self.kept] = bounds
        return out


def bistatic_unknowns(scenario: Scenario, nuisances: int = 0) -> Unknowns:
    """Position parameters of BP."""
    dims = scenario.dimensions
    turns = 1 if dims == 2 else 3
    groups: list[_Group] = ["ue_position"] * dims
    groups.extend(["orientation"] * turns)
    groups.extend(["targets"] * (dims * scenario.targets))
    groups.append("clock")
    groups.extend(["nuisance"] * _nuisance_unknowns(scenario, (nuisances, 0))[0])
    known = scenario.known
    return _unknowns(scenario, groups, known, 0 if dims == 2 or "orientation" in known else 3 - seen_turns(scenario))


def monostatic_unknowns(scenario: Scenario, nuisances: int = 0) -> Unknowns:
    """Position parameters of MS, which has to find them all: what is known is so to the UE."""
    dims = scenario.dimensions
    groups: list[_Group] = ["ue_position"] * dims
    groups.extend(["targets"] * (dims * scenario.targets))
    groups.extend(["nuisance"] * _nuisance_unknowns(scenario, (0, nuisances))[1])
    return _unknowns(scenario, groups, ())


def fused_unknowns(scenario: Scenario, nuisances: tuple[int, int] = (0, 0)) -> Unknowns:
    """Parameters of both links together: targets that are known to the UE are still unknown to MS.

    Those of nuisance paths come last, BP's before those of MS.
    """
    bistatic, positions = bistatic_unknowns(scenario), monostatic_unknowns(scenario).groups
    groups = [*positions, *(group for group in bistatic.groups if group not in positions)]
    groups.extend(["nuisance"] * sum(_nuisance_unknowns(scenario, nuisances)))
    known = tuple(word for word in scenario.known if word != "targets")
    return _unknowns(scenario, groups, known, bistatic.unseen)


def places_in_fused(scenario: Scenario, nuisances: tuple[int, int]) -> tuple[Wholes, Wholes]:
    """Which unknown of both links together each of BP's is, and each of MS's."""
    bistatic, fused = bistatic_unknowns(scenario), fused_unknowns(scenario)
    # Groups come in another order, their members in the same.
    order = np.concatenate([np.flatnonzero(bistatic.of(group)) for group in dict.fromkeys(fused.groups)])
    place = np.zeros(order.size, np.int64)
    place[order[fused.kept]] = np.arange(fused.kept.size)
    of_bp, of_ms = _nuisance_unknowns(scenario, nuisances)
    last = fused.kept.size + np.arange(of_bp + of_ms)
    positions = np.arange(len(monostatic_unknowns(scenario).groups))
    return np.concatenate((place[bistatic.kept], last[:of_bp])), np.concatenate((positions, last[of_bp:]))


def _nuisance_unknowns(scenario: Scenario, nuisances: tuple[int, int]) -> tuple[int, int]:
    """How many unknowns nuisance paths of BP and of MS bring: directions and delays."""
    dims = scenario.dimensions
    return (2 * dims - 1) * nuisances[0], dims * nuisances[1]


def _unknowns(scenario: Scenario, groups: Sequence[_Group], known: tuple[str, ...], unseen: int = 0) -> Unknowns:
    prior = scenario.prior
    deviations: dict[str, float | None] = {
        "ue_position": prior.ue_position_m,
        "orientation": None if prior.orientation_deg is None else radians(prior.orientation_deg),
        "targets": prior.target_position_m,
        "clock": prior.clock_s,
        "nuisance": None,
    }
    information = tuple(0.0 if (std := deviations[group]) is None else std**-2.0 for group in groups)
    return Unknowns(tuple(groups), known, information, unseen)


def seen_turns(scenario: Scenario) -> int:
    """About how many axes a rotation of the UE in space can be seen, 0 to 3.

    A linear array sees none about itself, and nobody one about the direction of the only path: they change phases at
    most, which the gains of paths absorb. A singular FIM would say so too, but not that the position may be known.
    """
    positions = scenario.user_array.positions
    if np.abs(positions - positions[0]).max() <= ON_A_LINE:
        return 0
    return 3 - int(axis_of(positions) is not None) - int(len(bistatic_paths(scenario)) == 1)


def axis_of(positions: Reals) -> Reals | None:
    """Unit vector along the elements (N, 3) of an array, if they are on a line."""
    apart = positions - positions[0]
    farthest = apart[np.argmax(np.sum(apart**2, axis=1))]
    axis: Reals = farthest / np.sqrt(np.sum(farthest**2))
    across = np.abs(apart - np.outer(np.sum(apart * axis, axis=1), axis)).max()
    return axis if across <= ON_A_LINE else None


def bistatic_paths(scenario: Scenario, nuisances: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    """Which paths reach the UE: all but a blocked line of sight and the nuisances of MS."""
    first = 0 if scenario.line_of_sight or scenario.targets == 0 else 1
    return tuple(range(first, scenario.targets + 1 + nuisances[0]))


def monostatic_paths(scenario: Scenario, nuisances: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    """Which paths come back to the BS: all but the nuisances of BP."""
    located = scenario.targets + 1
    return (*range(located), *range(located + nuisances[0], located + sum(nuisances)))
