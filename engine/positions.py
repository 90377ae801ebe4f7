"""Where the UE and the targets stand: what their positions may be drawn from, and how."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from .addresses import DrawWords, Purpose
from .arrays import Reals
from .checked import Checked
from .quantities import Metres, Point, listed, one_or_each

_Range = Annotated[tuple[Metres, Metres], BeforeValidator(listed("[low, high]"))]
_Height = Annotated[Annotated[Metres, Tag("one")] | Annotated[_Range, Tag("each")], Discriminator(one_or_each)]


class FixedPosition(Checked):
    """The scenario's own position."""

    kind: Literal["fixed"] = "fixed"


class _Region(Checked):
    """Where positions are uniform; a height only in space."""

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a height that is not said: the identity of a job, a hash of its dump, is older than heights."""
        return {name: value for name, value in handler(self).items() if value is not None}


class BoxPosition(_Region):
    """Uniform in a rectangle or a box; each side is given as [low, high] in m, the height as one number too."""

    kind: Literal["box"]
    x_m: _Range
    y_m: _Range
    z_m: _Height | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("x_m", "y_m", "z_m"):
            _check_range(name, getattr(self, name))
        return self


class DiscPosition(_Region):
    """Uniform by area in a level disc; in space at the height of its centre, or at height_m: one, or [low, high]."""

    kind: Literal["disc"]
    centre_m: Point
    radius_m: Annotated[Metres, Field(gt=0.0)]
    height_m: _Height | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_range("height_m", self.height_m)
        if self.height_m is not None and len(self.centre_m) > 2:
            raise ValueError("centre_m and height_m both say a height; leave out one of them")
        return self


Position = Annotated[FixedPosition | BoxPosition | DiscPosition, Field(discriminator="kind")]


def _check_range(name: str, value: float | tuple[float, float] | None) -> None:
    if isinstance(value, tuple) and not value[0] < value[1]:
        raise ValueError(f"{name} = [{value[0]:g}, {value[1]:g}] is empty; give [low, high] with low < high")


def misfit(model: Position, dimensions: int) -> tuple[str, str] | None:
    """The key of a model that does not fit positions of two or three numbers, and what would be right."""
    if isinstance(model, FixedPosition):
        return None
    key, height = ("z_m", model.z_m) if isinstance(model, BoxPosition) else ("height_m", model.height_m)
    centred = isinstance(model, DiscPosition) and len(model.centre_m) == 3
    if dimensions == 2:
        if centred:
            return "centre_m", "it has three numbers, and positions two; give [x, y]"
        return None if height is None else (key, "positions of two numbers have no height; leave it out")
    if height is None and not centred:
        return key, "missing, and positions have three numbers; add it: a height in m, or [low, high]"
    return None


def placed(source: DrawWords, purpose: Purpose, model: Position, nominal: Sequence[Point], dimensions: int) -> Reals:
    """Positions of one kind of entity, (batch, entities, dimensions), m."""
    if isinstance(model, FixedPosition):
        return np.tile(np.array(nominal, np.float64).reshape(-1, dimensions), (source.batch, 1, 1))
    unit = source.uniform(purpose, len(nominal), dimensions)
    if isinstance(model, BoxPosition):
        sides = (model.x_m, model.y_m, _range(model.z_m))[:dimensions]
        low, high = np.array(sides, np.float64).T
        place: Reals = low + (high - low) * unit
        return place
    angle = 2.0 * math.pi * unit[:, :, 1]
    radius = model.radius_m * np.sqrt(unit[:, :, 0])[:, :, None]  # uniform by area
    place = model.centre_m[:2] + radius * np.stack((each(math.cos, angle), each(math.sin, angle)), axis=2)
    if dimensions == 2:
        return place
    low, high = _range(model.centre_m[2] if len(model.centre_m) == 3 else model.height_m)
    return np.concatenate((place, low + (high - low) * unit[:, :, 2:]), axis=2)


def _range(height: float | tuple[float, float] | None) -> tuple[float, float]:
    if height is None:
        return 0.0, 0.0
    return height if isinstance(height, tuple) else (height, height)


def each(function: Callable[[float], float], values: Reals) -> Reals:
    """Apply a function of the math module: NumPy's own change bits with the CPU's vector units."""
    return np.array([function(value) for value in values.ravel().tolist()], np.float64).reshape(values.shape)
