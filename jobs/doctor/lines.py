"""What the doctor says of one thing: ok, warning or problem, with what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "warning", "problem"]
Facts = Mapping[str, Any]

GB = 1e9
NAMED = 3  # workers that a line names


@dataclass(frozen=True)
class Line:
    """One thing that was checked."""

    part: str  # "this machine", "folder" or "cluster"
    check: str  # its name
    state: State  # warning: a run works, but ...; problem: a run fails, or is open to others
    found: str  # what was seen
    advice: str = ""  # what to do about it; empty if nothing is to be done


@dataclass(frozen=True)
class Part:
    """What lines belong to: "this machine", "folder" or "cluster"."""

    name: str

    def ok(self, check: str, found: str) -> Line:
        """Nothing is to be done."""
        return Line(self.name, check, "ok", found)

    def warning(self, check: str, found: str, advice: str) -> Line:
        """A run works, but advice is worth following."""
        return Line(self.name, check, "warning", found, advice)

    def problem(self, check: str, found: str, advice: str) -> Line:
        """A run would fail, or be open to others."""
        return Line(self.name, check, "problem", found, advice)

    def graded(self, check: str, found: str, advice: str, value: float, few: float, some: float) -> Line:
        """By how much there is: a problem below `few`, a warning below `some`."""
        if value >= some:
            return self.ok(check, found)
        return self.problem(check, found, advice) if value < few else self.warning(check, found, advice)


def named(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
