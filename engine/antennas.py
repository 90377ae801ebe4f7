"""Antenna arrays: where the elements are, in wavelengths.

An array's own frame has x along its broadside, y to the left and z up; its phase centre is the origin.
"""

import math
from reprlib import repr as short
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from .arrays import Reals
from .checked import Checked
from .quantities import Finite, listed

MOST_ANTENNAS = 4096
# Closer than this, in wavelengths, two elements count as one point.
_ONE_POINT = 1e-9
# Of no array that is given in wavelengths; half a wavelength in metres is less above 3 GHz.
_METRES = 0.05
_FARTHEST = 1e6

_Length = Annotated[Finite, Field(ge=-_FARTHEST, le=_FARTHEST)]
_Spacing = Annotated[_Length, Field(gt=0.0)]
Antennas = Annotated[int, Field(strict=True, ge=1, le=MOST_ANTENNAS)]


def _lifted(value: object) -> object:
    """One element as [x, y, z]; [x, y] is in the plane."""
    return (*value, 0.0) if isinstance(value, (list, tuple)) and len(value) == 2 else value


_Place = Annotated[
    tuple[_Length, _Length, _Length],
    BeforeValidator(_lifted),
    BeforeValidator(listed("[x, y, z]", "[x, y]", unit="wavelengths")),
]


def _counted(value: object) -> object:
    """Refuse too many elements before each of them is looked at."""
    if isinstance(value, (list, tuple)) and not 1 <= len(value) <= MOST_ANTENNAS:
        raise ValueError(f"{len(value)} elements are refused; give 1 to {MOST_ANTENNAS}")
    return value


def _apart(places: tuple[_Place, ...]) -> tuple[_Place, ...]:
    """Refuse elements at one point, or in another unit than wavelengths."""
    if len(places) == 1:
        return places
    from scipy.spatial import KDTree  # 0.1 s, which few need

    distances, nearest = KDTree(places).query(places, k=2)
    if _ONE_POINT < distances.max() < _METRES:
        raise ValueError(f"every element is within {_METRES} of another: these look like metres; give wavelengths")
    near = distances[:, 1] < _ONE_POINT
    if near.any():
        one = int(np.flatnonzero(near)[0])
        other = next(int(i) for i in nearest[one] if i != one)
        raise ValueError(f"elements {one} and {other} are at the same point {list(places[one])}; move one of them")
    return places


def _centred(count: int, spacing: float) -> list[float]:
    return [(i - 0.5 * (count - 1)) * spacing for i in range(count)]


class Ula(Checked):
    """A uniform linear array from right to left, seen from behind.

    Attributes
    ----------
    antennas
        Number of elements.
    spacing
        Between neighbours, in wavelengths.
    """

    kind: Literal["ula"] = "ula"
    antennas: Antennas
    spacing: _Spacing = 0.5

    @property
    def positions(self) -> Reals:
        """Elements, (antennas, 3), in wavelengths."""
        return _stacked([(0.0, y, 0.0) for y in _centred(self.antennas, self.spacing)])


class Upa(Checked):
    """A uniform planar array that stands upright: element = row x columns + column.

    Attributes
    ----------
    rows, columns
        Row 0 is the lowest, column 0 the rightmost seen from behind.
    row_spacing, column_spacing
        Between neighbouring rows and columns, in wavelengths.
    """

    kind: Literal["upa"] = "upa"
    rows: Antennas
    columns: Antennas
    row_spacing: _Spacing = 0.5
    column_spacing: _Spacing = 0.5

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.antennas > MOST_ANTENNAS:
            raise ValueError(
                f"{self.rows} rows of {self.columns} columns are {self.antennas} elements; {MOST_ANTENNAS} at most"
            )
        return self

    @property
    def antennas(self) -> int:
        """Number of elements."""
        return self.rows * self.columns

    @property
    def positions(self) -> Reals:
        """Elements, (antennas, 3), in wavelengths."""
        across = _centred(self.columns, self.column_spacing)
        return _stacked([(0.0, y, z) for z in _centred(self.rows, self.row_spacing) for y in across])


class Uca(Checked):
    """A uniform circular array that lies flat: element n is at 2 pi n / N from broadside, counter-clockwise.

    Attributes
    ----------
    antennas
        Number N of elements.
    radius
        Of the circle, in wavelengths.
    """

    kind: Literal["uca"] = "uca"
    antennas: Antennas
    radius: _Spacing

    @property
    def positions(self) -> Reals:
        """Elements, (antennas, 3), in wavelengths."""
        # The functions of the math module: NumPy's own change bits with the CPU's vector units.
        turns = [2.0 * math.pi * n / self.antennas for n in range(self.antennas)]
        return _stacked([(self.radius * math.cos(turn), self.radius * math.sin(turn), 0.0) for turn in turns])


class Elements(Checked):
    """Any array, element by element.

    Attributes
    ----------
    positions
        Elements [x, y, z], or [x, y] in the plane, in wavelengths from the phase centre.
    """

    # In dumps too, under the name that it is given by.
    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["elements"] = "elements"
    places: Annotated[tuple[_Place, ...], AfterValidator(_apart), BeforeValidator(_counted), Field(alias="positions")]

    @property
    def antennas(self) -> int:
        """Number of elements."""
        return len(self.places)

    @property
    def positions(self) -> Reals:
        """Elements, (antennas, 3), in wavelengths."""
        return _stacked(self.places)


def _stacked(places: list[tuple[float, float, float]] | tuple[tuple[float, float, float], ...]) -> Reals:
    return np.array(places, np.float64)


ARRAYS = (Ula, Upa, Uca, Elements)
_KINDS = tuple(model.model_fields["kind"].default for model in ARRAYS)


def _of_a_kind(value: object) -> object:
    """Refuse what is no array: pydantic would list the alternatives in its own words."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    if kind not in _KINDS:
        wanted = ", ".join(f'"{name}"' for name in _KINDS[:-1])
        raise ValueError(f'{short(value)} is of no known kind; give kind = {wanted} or "{_KINDS[-1]}"')
    return value


AntennaArray = Annotated[Ula | Upa | Uca | Elements, Field(discriminator="kind"), BeforeValidator(_of_a_kind)]
