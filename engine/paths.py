"""Paths of draws as they are: directions, delays and gains, in place of those that positions and RCS give."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .arguments import reals
from .arrays import Complexes, Reals
from .errors import ScenarioError


@dataclass(frozen=True, eq=False)
class Paths:
    """N paths a draw, batch axis first: the line of sight (BP) or UE (MS), the targets, then nuisance paths.

    A nuisance path is one to which no point of one reflection belongs: its directions, its delay and its gain are
    unknowns of their own. Those of BP come first, then those of MS; a link does not see the other's.

    Attributes
    ----------
    departure, arrival
        Azimuths and, in space, elevations at the BS and at the UE, in the axes of their arrays: (batch, N, 1 or 2),
        rad. What is not there, such as the arrival of an echo, is 0.
    delay_bistatic, delay_monostatic
        With the clock bias, and both ways: (batch, N), s.
    gain_bistatic, gain_monostatic
        (batch, N), complex.
    nuisances
        How many nuisance paths BP has, and MS.

    Raises
    ------
    ScenarioError
        If the arrays' shapes do not fit each other, or a value is not finite.
    """

    departure: Reals
    arrival: Reals
    delay_bistatic: Reals
    delay_monostatic: Reals
    gain_bistatic: Complexes
    gain_monostatic: Complexes
    nuisances: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        for name in _REAL:
            value = reals(f"paths: {name}", getattr(self, name), ScenarioError)
            object.__setattr__(self, name, np.ascontiguousarray(value))
        for name in _COMPLEX:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), np.complex128))
        shape = self.departure.shape
        if len(shape) != 3 or shape[2] not in (1, 2) or shape[1] < 1 + sum(self.nuisances):
            raise ScenarioError(
                f"paths: departure has shape {shape}; it should be (batch, paths, 1), or (batch, paths, 2) in space"
            )
        for name in (*_REAL, *_COMPLEX):
            value = getattr(self, name)
            right = shape if name == "arrival" else shape[:2]
            if name != "departure" and value.shape != right:
                raise ScenarioError(f"paths: {name} has shape {value.shape}; beside departure it should be {right}")
            if not np.isfinite(value).all():
                place = tuple(np.argwhere(~np.isfinite(value))[0].tolist())
                raise ScenarioError(f"paths: {name}{list(place)} is {value[place]}; it should be finite")

    def __getitem__(self, index: slice) -> "Paths":
        return self._each(lambda array: array[index])

    def with_targets(self, count: int) -> "Paths":
        """The same without targets beyond the first ones; nuisance paths stay."""
        everyone = self.departure.shape[1]
        kept = [*range(count + 1), *range(everyone - sum(self.nuisances), everyone)]
        return self._each(lambda array: array[:, kept])

    def _each(self, part: Any) -> "Paths":
        names = (*_REAL, *_COMPLEX)
        return replace(self, **{name: part(getattr(self, name)) for name in names})


_COMPLEX = ("gain_bistatic", "gain_monostatic")
_REAL = tuple(field.name for field in fields(Paths) if field.name not in (*_COMPLEX, "nuisances"))


def with_nuisances(jacobian: Reals, kinds: int, own: Sequence[int], everyone: int, gains: bool = True) -> Reals:
    """A Jacobian of all paths from that of those with a place.

    `jacobian`: (batch, kinds x places, positions and gains), one kind of parameter after the other; Re and Im of the
    gains are the last two kinds and the last columns, if there are `gains`. `own`: the link's nuisance paths among
    `everyone`. Result: nuisance paths have rows with a 1 in columns of their own, behind the positions.
    """
    batch, rows, columns = jacobian.shape
    places = rows // kinds
    if places == everyone:
        return jacobian
    known = 2 if gains else 0
    free, positions = kinds - known, columns - known * places
    first = positions + free * len(own)
    out = np.zeros((batch, kinds, everyone, first + known * everyone))
    out[:, :, :places, :positions] = jacobian.reshape(batch, kinds, places, columns)[..., :positions]
    for kind in range(free):
        out[:, kind, list(own), positions + kind * len(own) + np.arange(len(own))] = 1.0
    each = np.arange(everyone)
    for gain in range(known):
        out[:, free + gain, each, first + gain * everyone + each] = 1.0
    return out.reshape(batch, kinds * everyone, -1)
