"""The section [sweep] of a job file: keys of the scenario with the values that they take in turn."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice, product
from math import prod
from reprlib import repr as short
from typing import Any, get_args

from crbatch.engine.antennas import Uca, Ula, Upa
from crbatch.engine.errors import EngineError
from crbatch.engine.scenario import Prior, Scenario
from pydantic import ValidationError

from .mistakes import LOOKED_AT, Mistake, Tables, at, at_each, mistakes_of, unknown_key

# What [sweep] may vary: the scenario's keys that are one number or one of some words, how many targets take part, what
# the arrays are made of, and how much is known beforehand.
_WORDS = {n: get_args(f.annotation) for n, f in Scenario.model_fields.items() if isinstance(f.default, str)}
_NUMBERS = tuple(n for n, f in Scenario.model_fields.items() if type(f.default) in (int, float))
# Keys of the arrays, the properties that say which are in force, and the keys that say how many elements these have.
_ARRAYS = {
    "tx_array": ("transmitter", "tx_antennas"),
    "rx_array": ("receiver", "rx_antennas"),
    "ue_array": ("user_array", "ue_antennas"),
}
_SIZES = dict.fromkeys(name for array in (Ula, Upa, Uca) for name in array.model_fields if name != "kind")
SWEEPABLE = (
    *(*_NUMBERS, *_WORDS, "targets"),
    *(f"{array}.{size}" for array in _ARRAYS for size in _SIZES),
    *(f"prior.{name}" for name in Prior.model_fields),
)
#: Those that change the number of transmit antennas.
TRANSMIT_SIZES = ("tx_antennas", "tx_array.antennas", "tx_array.rows", "tx_array.columns")
_MAX_POINTS = 10_000


def flat_sweep(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """A sweep with keys like "tx_array.rows", which TOML without quotes makes a table of."""
    flat: dict[str, Any] = {}
    for key, values in sweep.items():
        inside = values if key in (*_ARRAYS, "prior") and isinstance(values, dict) else None
        for name, value in ((key, values),) if inside is None else ((f"{key}.{n}", v) for n, v in inside.items()):
            if name in flat:
                raise at(name, "there twice; leave out one of them")
            flat[name] = value
    return flat


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
    _check_rivals(sweep, scenario)
    scenarios = list(scenarios_of(sweep, scenario, tables))
    typed = {key: tuple(dict.fromkeys(reduce(getattr, key.split("."), s) for s in scenarios)) for key in sweep}
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


def _check_rivals(sweep: Mapping[str, object], scenario: Scenario) -> None:
    """Refuse numbers of antennas where an array says how many there are."""
    for array, (_, count) in _ARRAYS.items():
        rival = next((key for key in sweep if key.startswith(f"{array}.")), None)
        if rival is None and getattr(scenario, array) is not None:
            rival = f"scenario.{array}"
        if count in sweep and rival is not None:
            raise at(count, f"{rival} says what the array is; sweep {array}.antennas, or {array}.rows and columns")


def _moved(scenario: Scenario, point: dict[str, Any], tables: Tables) -> Scenario:
    """Move the scenario to one point of a sweep."""
    changes: dict[str, Any] = {}
    for key, value in point.items():
        name, _, size = key.partition(".")
        changes[name] = changes.get(name, {}) | {size: value} if size else value
    targets = changes.pop("targets", scenario.targets)
    if not isinstance(targets, int):
        raise at("targets", f"{targets} is refused; it should be a whole number")
    arrays = {
        name: getattr(scenario, _ARRAYS[name][0]).model_dump() | sizes
        for name, sizes in changes.items()
        if name in _ARRAYS
    }
    if "prior" in changes:
        changes["prior"] = scenario.prior.model_dump() | changes["prior"]
    try:
        moved = Scenario.model_validate(scenario.changed(changes | arrays))
    except ValidationError as error:
        raise at_each(mistakes_of(error, changes, tables, "scenario")) from None
    if targets == moved.targets:
        return moved
    try:
        return moved.with_targets(targets)
    except EngineError as error:
        raise at("targets", str(error)) from None
