"""Mistakes in a job file, in words: where, what is wrong, and what would be right. All of them, in one line."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from reprlib import repr as short

from crbatch.results.words import counted
from pydantic import ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Mistake = tuple[str, str]  # dotted key, and what is wrong and would be right
Tables = Mapping[str, Sequence[str]]  # keys of each table, by its dotted name

#: Errors that are put into words; more would take long, and nobody reads them.
LOOKED_AT = 200
_SAID = 20  # mistakes in a line
_LONGEST = 80  # letters of a key
_ELSEWHERE = 0.8  # how near a key of another table has to come
_NUM = 'unknown key; give "num", how many weights there are from start to stop'
# What reads as if it were something else.
_MEANT = {("design.rho", word): _NUM for word in ("step", "count", "points", "n")}


def at(key: str, reason: str) -> PydanticCustomError:
    """Report a key below the place where its error is noticed."""
    return at_each([(key, reason)])


def at_each(mistakes: Sequence[Mistake]) -> PydanticCustomError:
    """Report several keys below the place where their errors are noticed."""
    reason = "; ".join(reason for _, reason in mistakes)
    return PydanticCustomError("at_keys", "{reason}", {"reason": reason, "mistakes": tuple(mistakes)})


def in_one_line(mistakes: Sequence[Mistake]) -> str:
    """Every mistake with its key."""
    said = [f"{_cut(key)}: {reason}" if key else reason for key, reason in mistakes[:_SAID]]
    if len(mistakes) == 1:
        return said[0]
    count = counted(len(mistakes), "mistake") if len(mistakes) <= _SAID else f"more than {_SAID} mistakes"
    return f"{count}: {' '.join(f'({n}) {words}' for n, words in enumerate(said, 1))}"


def mistakes_of(error: ValidationError, document: object, tables: Tables, table: str = "") -> list[Mistake]:
    """Put every error of a validation into words.

    `document`: what pydantic was given: locations are spelled by its keys. `tables`: keys that there are. `table`: name
    of the document, if it is a table itself; not repeated in the mistakes. Result: one for each place, of the first
    ones; unknown keys come before what follows from them.
    """
    found: dict[str, str] = {}
    errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    for one in errors[:LOOKED_AT]:
        place = _place(one, document)
        if one["type"] == "at_keys":
            mistakes = [(_below(place, key), reason) for key, reason in one["ctx"]["mistakes"]]
        else:
            mistakes = [(place, _reason(one, _below(table, place), tables))]
        for key, reason in mistakes:
            found[key] = _either(found[key], reason) if key in found else reason
    return list(found.items())


def unknown_key(table: str, key: str, tables: Tables) -> str:
    """Name the key that was meant: a similar one in the same table, the same one in another; or list them."""
    keys = tables.get(table, tables[""])  # a quoted key may hold dots
    if key in keys:
        return "not a key of this kind; leave it out, or give another kind"
    if (table, key) in _MEANT:
        return _MEANT[table, key]
    # Of keys with a dot, those of arrays may be meant by a part of their names.
    named = [one for one in keys if key.startswith("prior") or not one.startswith("prior.")]
    near = get_close_matches(key.lower(), named, n=1)
    # What an array is made of is meant beside arrays only.
    near_arrays = table.startswith("scenario")
    elsewhere = [one for one in reversed(list(tables)) if one != table and (near_arrays or not one.endswith("_array"))]
    others = {name: _below(other, name) for other in elsewhere for name in tables[other]}
    near += [others[name] for name in get_close_matches(key, others, n=1, cutoff=1.0 if near else _ELSEWHERE)]
    if near:
        return "unknown key; did you mean {}?".format(" or ".join(f'"{name}"' for name in near))
    owner = f"[{table}]" if table and table in tables else "a job file"
    said = dict.fromkeys(re.sub(r"\..*", ".*", name) for name in keys)  # as tx_array.*
    return f"unknown key; {owner} has {', '.join(said)}"


def _cut(key: str) -> str:
    return key if len(key) <= _LONGEST else f"{key[:_LONGEST]}..."


def _below(place: str, key: str) -> str:
    return ".".join(part for part in (place, key) if part)


def _either(one: str, other: str) -> str:
    """Alternatives that a value could have been, from errors at one place."""
    head, wanted, rest = other.partition("; it should ")
    return f"{one}, or {rest}" if wanted and one.startswith(f"{head}; it should ") and rest not in one else one


def _place(error: ErrorDetails, document: object) -> str:
    """Spell an error's location as a dotted key, without the names of alternatives, which the file lacks."""
    parts = []
    for part in error["loc"]:
        found = isinstance(document, dict) and part in document
        if found or isinstance(part, int) or (error["type"] == "missing" and part == error["loc"][-1]):
            parts.append(str(part))
        if isinstance(document, dict) and found:
            document = document[part]
    return ".".join(part for part in parts if part)


def _reason(error: ErrorDetails, place: str, tables: Tables) -> str:
    """Say what is wrong and what would be right."""
    given = short(error["input"])
    match error["type"]:
        case "extra_forbidden":
            table, _, key = place.rpartition(".")
            return unknown_key(table, key, tables)
        case "missing":
            return "missing; add it"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{given} is refused; it should be a table"
        case "union_tag_invalid" | "union_tag_not_found":
            return f'{given} is of no known kind; give kind = "fixed", "box" or "disc"'
        case "literal_error":
            wanted = error["ctx"]["expected"]
            near = get_close_matches(str(error["input"]), re.findall("'(.*?)'", wanted), n=1)
            meant = f" (did you mean '{near[0]}'?)" if near else ""
            return f"{given} is refused; it should be {wanted}{meant}"
        case _:
            wanted = error["msg"].partition("should ")[2] or error["msg"]
            wanted = wanted.replace("tuple", "list")
            return f"{given} is refused; it should {wanted}"
