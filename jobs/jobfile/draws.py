"""The section [draws] of a job file: how many draws, from where, and what varies in them."""

from itertools import count, takewhile
from typing import Annotated, Any, Literal, Self

from crbatch.engine.draws import DrawModel
from crbatch.engine.quantities import Finite
from crbatch.results.schema import VARIABLES
from crbatch.results.words import counted
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .mistakes import at

_FIRST_DRAWS = 1000
_METRICS = tuple(
    name
    for name, variable in VARIABLES.items()
    if variable.dims[:3] == ("draw", "scheme", "rho") and variable.units in ("m2", "rad2", "s2") and not variable.keep
)


class Section(BaseModel):
    """A table of the job file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Until(Section):
    """Stop when a statistic is known well enough at every scheme, weight and point of the sweep.

    It is looked at after first, 2 first, 4 first, ... and at last max draws, so that the answer does not depend on
    what was finished when. Bounds are taken as root bounds.
    """

    metric: Literal[_METRICS]  # type: ignore[valid-type]
    relative_error: Annotated[Finite, Field(gt=0.0, lt=1.0)]
    max: Annotated[int, Field(strict=True, ge=1, le=10**8)]
    statistic: Literal["median", "mean"] | Annotated[Finite, Field(gt=0.0, lt=1.0)] = "median"
    confidence: Annotated[Finite, Field(ge=0.5, le=0.9999)] = 0.95
    first: Annotated[int, Field(strict=True, ge=1)]  # draws.count, unless given

    def looks(self) -> tuple[int, ...]:
        """Numbers of draws at which to look, ascending."""
        doubled = (self.first * 2**n for n in count())
        return (*takewhile(lambda draws: draws < self.max, doubled), self.max)

    @property
    def wanted(self) -> str:
        """The statistic in words."""
        statistic = self.statistic if isinstance(self.statistic, str) else f"{self.statistic:g} quantile"
        return f"the {statistic} of the root of {self.metric}"

    def __str__(self) -> str:
        return f"{self.wanted} is known to {self.relative_error:g} with {self.confidence:.6g} confidence"


class DrawsSection(DrawModel):
    """How many draws, from which seed or file, and what varies in them."""

    count: Annotated[int, Field(strict=True, ge=1, le=10**8)] = _FIRST_DRAWS
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 2025
    until: Until | None = None
    file: Annotated[str, Field(min_length=1)] | None = None
    # Columns (or variables) of the file that are none of ours.
    ignore_columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    # Paths as they are, in place of positions and RCS; and how many of each link to keep.
    paths: Annotated[str, Field(min_length=1)] | None = None
    strongest: Annotated[int, Field(strict=True, ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _first_look(cls, data: Any) -> Any:
        """Look first after `count` draws."""
        if isinstance(data, dict) and isinstance(data.get("until"), dict):
            return data | {"until": {"first": data.get("count", _FIRST_DRAWS)} | data["until"]}
        return data

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.ignore_columns is not None and self.file is None:
            raise at("ignore_columns", "there is no file whose columns they could be; add file, or leave them out")
        self._check_paths()
        if self.until is None:
            return self
        if self.until.max < self.until.first:
            reason = f"{self.until.max} is less than the {counted(self.until.first, 'draw')} to begin with; raise it"
            raise at("until.max", reason)
        if self.count not in self.until.looks():
            known = ", ".join(map(str, self.until.looks()))
            raise at("count", f"{self.count} is none of the numbers of draws at which until looks ({known})")
        return self

    def _check_paths(self) -> None:
        """Refuse what paths say too."""
        if self.paths is None:
            if self.strongest is not None:
                raise at("strongest", "there are no paths to choose from; add paths, a file of them, or leave it out")
            return
        if self.file is not None:
            raise at("paths", "file says where everything is, too; leave out one of them")
        fixed = DrawModel()
        for key in ("phases", "ue_position", "target_positions", "ue_orientation"):
            if getattr(self, key) != getattr(fixed, key):
                raise at("paths", f"they say what {key} says, too; leave out one of them")
