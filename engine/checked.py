"""Models that take Python's and NumPy's numbers alike, and say what is wrong with them in one line."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from reprlib import repr as short
from typing import Any, NoReturn

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from .errors import ScenarioError

_PYTHONS: dict[str, Any] = {"b": bool, "i": int, "u": int, "f": float}


def plain(value: Any) -> Any:
    """NumPy's truth values, whole and real numbers as Python's own, its arrays as lists; all else as it is."""
    if isinstance(value, np.ndarray):
        return plain(value[()]) if value.ndim == 0 else [plain(one) for one in value]
    if isinstance(value, np.generic):
        like = _PYTHONS.get(value.dtype.kind)
        return like(value) if like else value
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


class Checked(BaseModel):
    """Base of the models that users build: frozen, without unknown fields.

    Built directly, a model refuses what makes no sense by one line, a `ScenarioError`. As a part of a larger model, or
    by `model_validate`, it reports pydantic's errors, so that a job file can name the keys.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ScenarioError(explain(error, data, type(self).model_fields)) from None

    # Pydantic's own mark of an __init__ that only validates: validation goes past it.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:
        return {name: plain(value) for name, value in data.items()} if isinstance(data, dict) else data

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise ScenarioError(f"{name}: a {type(self).__name__} is frozen; make a new one with the value you want")

    def __delattr__(self, name: str) -> NoReturn:
        raise ScenarioError(f"{name}: a {type(self).__name__} is frozen; make a new one with the value you want")


def explain(error: ValidationError, given: Mapping[str, Any], fields: Iterable[str]) -> str:
    """All that pydantic found, in one line: where, what is wrong and what would be right.

    `error`: what it raised. `given`: what it was given. `fields`: names that it knows, for those that it does not.
    """
    reasons = []
    for one in error.errors():
        place = _place(one, given)
        reasons.append(f"{place}: {_reason(one, tuple(fields))}" if place else _reason(one, ()))
    return " ".join("; and ".join(reasons).split())


def _place(error: ErrorDetails, given: Any) -> str:
    """Spell an error's location without the names of alternatives, which nobody wrote."""
    parts = []
    for part in error["loc"]:
        found = isinstance(given, dict) and part in given
        if found or isinstance(part, int) or (error["type"] == "missing" and part == error["loc"][-1]):
            parts.append(str(part))
        if found:
            given = given[part]
    return ".".join(parts)


def _reason(error: ErrorDetails, fields: tuple[str, ...]) -> str:
    given = short(plain(error["input"]))
    match error["type"]:
        case "extra_forbidden":
            near = get_close_matches(str(error["loc"][-1]), fields, n=1) if len(error["loc"]) == 1 else []
            return f"unknown field; did you mean {near[0]}?" if near else "unknown field; leave it out"
        case "missing":
            return "missing; add it"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "union_tag_invalid" | "union_tag_not_found" | "model_attributes_type":
            return f'{given} is of no known kind; give kind = "fixed", "box" or "disc"'
        case _:
            wanted = error["msg"].partition("should ")[2]
            return f"{given} is refused; it should {wanted.replace('tuple', 'list')}" if wanted else error["msg"]
