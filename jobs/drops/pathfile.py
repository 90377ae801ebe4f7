"""What a file of paths holds, and the draws that come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from crbatch.engine.draws import Draws
from crbatch.engine.errors import ScenarioError
from crbatch.engine.rays import Rays, draws_of_rays, seen_by_arrays
from crbatch.engine.scenario import SPEED_OF_LIGHT, Scenario

from .found import Array


@dataclass(frozen=True, eq=False)
class PathFile:
    """Paths of every draw of a file.

    `monostatic` is None where a file says nothing of echoes: these are those of the scenario's RCS. `ue` has arrays of
    `engine.Draws` that the file says, such as ue_position. Files of others have `outside` = True: their directions are
    those of the scene and not of the arrays, and their delays are without the clock bias, or count from the first path.
    """

    bistatic: tuple[Rays, ...]
    monostatic: tuple[Rays, ...] | None
    ue: Mapping[str, Array] = field(default_factory=dict)
    outside: bool = False
    bs: Array | None = None  # where the BS is, where the file says it

    def __len__(self) -> int:
        return len(self.bistatic)

    @property
    def dimensions(self) -> int:
        """2 in the plane, 3 in space."""
        return 1 + int(self.bistatic[0].departure.shape[1])

    def strongest(self, count: int | None) -> "PathFile":
        """The strongest paths of each link of each draw."""
        if count is None:
            return self
        echoes = None if self.monostatic is None else tuple(rays.strongest(count) for rays in self.monostatic)
        return replace(self, bistatic=tuple(rays.strongest(count) for rays in self.bistatic), monostatic=echoes)

    def draws(self, scenario: Scenario, base: Draws, first: int) -> Draws:
        """As many draws as `base` has, from draw `first` of the file on; what the file does not say is as in `base`.

        Raises ScenarioError, naming the draw.
        """
        part = slice(first, first + len(base))
        if self.dimensions != scenario.dimensions:
            raise ScenarioError(
                f"its directions are those of {_WORDS[self.dimensions]}, the scenario is one of "
                f"{_WORDS[scenario.dimensions]}; give positions of {self.dimensions} numbers"
            )
        if self.bs is not None and max(abs(self.bs - np.array(scenario.bs_position_m))) > _ONE_PLACE_M:
            place = ", ".join(f"{x:.6g}" for x in self.bs)
            raise ScenarioError(f"its transmitter is at ({place}) m, where the BS is not; set bs_position_m to that")
        said: dict[str, Any] = {name: values[part] for name, values in self.ue.items()}
        base = replace(base, **said)
        bistatic, monostatic = self.bistatic[part], None if self.monostatic is None else self.monostatic[part]
        if self.outside:
            straight = np.sqrt(np.sum((base.ue_position - np.array(scenario.bs_position_m)) ** 2, axis=1))
            bistatic = tuple(
                _timed(rays, scenario.clock_bias_s, float(length) / SPEED_OF_LIGHT)
                for rays, length in zip(seen_by_arrays(scenario, base, bistatic), straight, strict=True)
            )
        try:
            return draws_of_rays(scenario, base, bistatic, monostatic, first)
        except ScenarioError as error:
            raise ScenarioError(str(error).removeprefix("draws: ")) from None


# Positions of ray tracers have single precision.
_ONE_PLACE_M = 0.01
_WORDS = {2: "the plane", 3: "space"}


def _timed(rays: Rays, clock: float, straight: float) -> Rays:
    """With the clock bias; delays that begin with 0 count from the line of sight."""
    begin = straight if len(rays) and rays.delay.min() == 0.0 else 0.0
    return replace(rays, delay=rays.delay + (begin + clock))
