"""Numbers with their units, as what a model of ours accepts."""

from collections.abc import Callable
from reprlib import repr as short
from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, Tag

# Numbers must be numbers: no "16", no true, no NaN. The bounds refuse the impossible and, being far outside
# any use, values in the wrong unit; they never stand in for judgement.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
LARGEST_POSITIVE = 1e15
Positive = Annotated[Finite, Field(gt=0.0, le=LARGEST_POSITIVE)]
Decibel = Annotated[Finite, Field(ge=-300.0, le=300.0)]
LARGEST_DEG = 360.0
Degrees = Annotated[Finite, Field(ge=-LARGEST_DEG, le=LARGEST_DEG)]
LARGEST_M = 1e7
Metres = Annotated[Finite, Field(ge=-LARGEST_M, le=LARGEST_M)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**20)]

NUMERALS = {2: "two", 3: "three"}


def listed(*wanted: str, unit: str = "m") -> Callable[[object], object]:
    """Refuse lists of other lengths than those of some examples: pydantic would count "after validation"."""
    lengths = [example.count(",") + 1 for example in wanted]
    advice = ", or ".join(f"{NUMERALS[n]}, {example}" for n, example in zip(lengths, wanted, strict=True))

    def check(value: object) -> object:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{short(value)} is refused; it should be {' or '.join(wanted)} in {unit}")
        if len(value) not in lengths:
            count = "1 number" if len(value) == 1 else f"{len(value)} numbers"
            raise ValueError(f"{short(value)} has {count}; give {advice}")
        return value

    return check


# In the plane or in space; z is up.
Point = Annotated[tuple[Metres, ...], BeforeValidator(listed("[x, y]", "[x, y, z]"))]


def one_or_each(value: object) -> str:
    """Tag of a number, and of a list of numbers."""
    return "each" if isinstance(value, (list, tuple)) else "one"


# Told apart before validation, so that a bad value is reported once and not once per alternative.
OneOrEach = Annotated[
    Annotated[Positive, Tag("one")] | Annotated[tuple[Positive, ...], Tag("each")],
    Discriminator(one_or_each),
]
