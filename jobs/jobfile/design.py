"""The sections [design] and [output] of a job file: which beams, for which weights, and what is kept of them."""

from typing import Annotated, Any, Literal

from crbatch.engine.beamforming.scheme import SCHEMES, Knowledge, SchemeName, WbfFactor
from crbatch.engine.quantities import Finite
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from .draws import Section
from .mistakes import at_each, mistakes_of

DEFAULT_SCHEMES: tuple[SchemeName, ...] = SCHEMES[:7]


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise ValueError("a value is listed more than once; list it once")
    return values


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("the list is empty; give at least one value")
    return _distinct(values)


Unit = Annotated[Finite, Field(ge=0.0, le=1.0)]


class RhoRange(Section):
    """Evenly spaced weights from start to stop, both included."""

    start: Unit
    stop: Unit
    num: Annotated[int, Field(strict=True, ge=2, le=10_001)]

    def values(self) -> list[float]:
        """List the weights; those of 0 to 1 are the doubles nearest to i / (num - 1)."""
        span, last = self.stop - self.start, self.num - 1
        return [self.start + span * i / last for i in range(last)] + [self.stop]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _rho(value: object) -> object:
    if not isinstance(value, dict):
        return value
    try:
        return RhoRange.model_validate(value).values()
    except ValidationError as error:
        keys = {"": [], "design.rho": list(RhoRange.model_fields)}
        raise at_each(mistakes_of(error, value, keys, "design.rho")) from None


class DesignSection(Section):
    """Which beams are designed, for which weights, and how tightly."""

    schemes: Annotated[tuple[SchemeName, ...], AfterValidator(_some)] = DEFAULT_SCHEMES
    rho: Annotated[tuple[Unit, ...], BeforeValidator(_rho), AfterValidator(_some)] = tuple(
        RhoRange(start=0.0, stop=1.0, num=21).values()
    )
    gap_tolerance: Annotated[Finite, Field(ge=1e-9, le=1e-2)] = 1e-6
    recovery: Literal["eigen", "randomization"] = "eigen"
    wbf_factor: WbfFactor = "sqrt"
    # One design knows the draw, none of it, or training draws; several to compare them.
    knowledge: Annotated[tuple[Knowledge, ...], BeforeValidator(_listed), AfterValidator(_some)] = ("per-draw",)
    training_draws: Annotated[int, Field(strict=True, ge=1, le=10**5)] = 256
    custom: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _append_custom(cls, data: Any) -> Any:
        """Let a file of beams add its scheme by itself."""
        if isinstance(data, dict) and data.get("custom") is not None:
            schemes = data.get("schemes", DEFAULT_SCHEMES)
            if isinstance(schemes, (list, tuple)) and "custom" not in schemes:
                return data | {"schemes": [*schemes, "custom"]}
        return data


class OutputSection(Section):
    """What the cube keeps beside the bounds."""

    keep: Annotated[
        tuple[Literal["covariance", "beamformers", "power", "beam_gain", "errors", "paths"], ...],
        AfterValidator(_distinct),
    ] = ()
