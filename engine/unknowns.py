"""What a link does not know: its position parameters, those that are known beforehand, and what is known of the others.

BP has [p_U, orientation, p_1..p_K, dt], MS [p_U, p_1..p_K]. Positions have D = 2 or 3 coordinates; the orientation is
phi in the plane, and in space a rotation vector.
"""

from dataclasses import dataclass
from functools import cached_property
from math import radians
from typing import Literal

import numpy as np

from .arrays import Flags, Reals, Wholes
from .scenario import Scenario

_Group = Literal["ue_position", "orientation", "targets", "clock"]


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
    """

    groups: tuple[_Group, ...]
    known: tuple[str, ...]
    information: tuple[float, ...]

    @cached_property
    def kept(self) -> Wholes:
        """Which are unknown."""
        return np.array([i for i, group in enumerate(self.groups) if group not in self.known], np.int64)

    @cached_property
    def prior(self) -> Reals:
        """Diagonal of J0 of those that are unknown."""
        return np.array(self.information)[self.kept]

    @cached_property
    def has_prior(self) -> bool:
        """Whether anything is known of them."""
        return bool((self.prior > 0.0).any())

    def of(self, group: _Group) -> Flags:
        """Which of all parameters belong to a group."""
        return np.array([one == group for one in self.groups])

    def with_known(self, bounds: Reals) -> Reals:
        """Bounds of all parameters, (..., groups), from those of the unknown ones: 0 for what is known."""
        out = np.zeros((*bounds.shape[:-1], len(self.groups)))
        out[..., self.kept] = bounds
        return out


def bistatic_unknowns(scenario: Scenario) -> Unknowns:
    """Position parameters of BP."""
    dims = scenario.dimensions
    turns = 1 if dims == 2 else 3
    groups: list[_Group] = ["ue_position"] * dims
    groups += ["orientation"] * turns + ["targets"] * (dims * scenario.targets) + ["clock"]
    return _unknowns(scenario, groups, scenario.known)


def monostatic_unknowns(scenario: Scenario) -> Unknowns:
    """Position parameters of MS, which has to find them all: what is known is so to the UE."""
    dims = scenario.dimensions
    groups: list[_Group] = ["ue_position"] * dims
    groups += ["targets"] * (dims * scenario.targets)
    return _unknowns(scenario, groups, ())


def _unknowns(scenario: Scenario, groups: list[_Group], known: tuple[str, ...]) -> Unknowns:
    prior = scenario.prior
    deviations = {
        "ue_position": prior.ue_position_m,
        "orientation": None if prior.orientation_deg is None else radians(prior.orientation_deg),
        "targets": prior.target_position_m,
        "clock": prior.clock_s,
    }
    information = tuple(0.0 if (std := deviations[group]) is None else std**-2.0 for group in groups)
    return Unknowns(tuple(groups), known, information)


def bistatic_paths(scenario: Scenario) -> tuple[int, ...]:
    """Which paths reach the UE: all but a blocked line of sight."""
    return tuple(range(0 if scenario.line_of_sight or scenario.targets == 0 else 1, scenario.targets + 1))
