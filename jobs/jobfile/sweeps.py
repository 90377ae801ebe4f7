"""The section [sweep] of a job file: keys of the scenario with the values that they take in turn."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from reprlib import repr as short
from typing import Any, get_args

from crbatch.engine.errors import EngineError
from crbatch.engine.scenario import Scenario
from pydantic import ValidationError

from .mistakes import LOOKED_AT, Mistake, Tables, at, at_each, mistakes_of, unknown_key

# What [sweep] may vary: the scenario's keys that are one number or one of some words, and how many targets take part.
_WORDS = {n: get_args(f.annotation) for n, f in Scenario.model_fields.items() if isinstance(f.default, str)}
_NUMBERS = tuple(n for n, f in Scenario.model_fields.items() if isinstance(f.default, (int, float)))
SWEEPABLE = (*_NUMBERS, *_WORDS, "targets")
_MAX_POINTS = 10_000


def typed_sweep(sweep: Mapping[str, Any], scenario: Scenario | None, tables: Tables) -> dict[str, Any]:
    """Give each value of a sweep the type that the scenario gives it; nothing is known of a faulty scenario (None).

    Raises PydanticCustomError, ValueError for unknown keys and impossible points; `tables` has the keys of a job file.
    """
    mistakes = list(islice(_mistakes(sweep, tables), LOOKED_AT))
    if mistakes:
        raise at_each(mistakes)
    size = prod(map(len, sweep.values()))
    if size > _MAX_POINTS:
        raise ValueError(f"{size} points are too many; {_MAX_POINTS} at most")
    if scenario is None:
        return {}
    scenarios = list(scenarios_of(sweep, scenario, tables))
    typed = {key: tuple(dict.fromkeys(getattr(s, key) for s in scenarios)) for key in sweep}
    twice = [key for key, values in sweep.items() if len(typed[key]) < len(values)]
    if twice:
        raise at_each([(key, "a value is listed more than once; list it once") for key in twice])
    return typed


def scenarios_of(sweep: Mapping[str, Sequence[Any]], scenario: Scenario, tables: Tables) -> Iterator[Scenario]:
    """The scenario at every point of a sweep, the last key running fastest."""
    for values in product(*sweep.values()):
        yield _moved(scenario, dict(zip(sweep, values, strict=True)), tables)


def _mistakes(sweep: Mapping[str, object], tables: Tables) -> Iterator[Mistake]:
    """What is wrong with a sweep whatever the scenario."""
    for key, values in sweep.items():
        if key not in SWEEPABLE:
            yield key, unknown_key("sweep", key, tables)
            continue
        kind, wanted = ((str,), "words") if key in _WORDS else ((int, float), "numbers")
        if not (isinstance(values, (list, tuple)) and values and all(type(v) in kind for v in values)):
            yield key, f"{short(values)} is refused; it should be a list of {wanted}, not empty"
            continue
        unknown = next((v for v in values if v not in _WORDS[key]), None) if key in _WORDS else None
        if unknown is not None:
            yield key, f"{short(unknown)} is refused; it should be {' or '.join(map(repr, _WORDS[key]))}"


def _moved(scenario: Scenario, point: dict[str, Any], tables: Tables) -> Scenario:
    """Move the scenario to one point of a sweep."""
    changes = dict(point)
    targets = changes.pop("targets", scenario.targets)
    if not isinstance(targets, int):
        raise at("targets", f"{targets} is refused; it should be a whole number")
    try:
        moved = Scenario.model_validate(scenario.model_dump() | changes)
    except ValidationError as error:
        raise at_each(mistakes_of(error, point, tables, "scenario")) from None
    if targets == moved.targets:
        return moved
    try:
        return moved.with_targets(targets)
    except EngineError as error:
        raise at("targets", str(error)) from None
