"""Where the time of a run went, from its journal."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from crbatch.results.words import duration_text

_STEADY = ("none", "local")  # clusters whose workers are there from beginning to end
_TELLING_SECONDS = 1.0


def timings(events: Sequence[dict[str, Any]], since: float = 0.0) -> dict[str, float]:
    """Seconds of each part of a run; nothing of what was not done.

    `events`: the run's journal. `since`: unix time at which a session began, for the times of this session; else those
    of all sessions. Result: start_up (from `since` until workers are ready; without it, that of the workers alone),
    computing (from the first chunk sent to the last shard committed), evaluation (what draws and designs take of one
    core, without writing, sending and waiting), overhead (computing x cores over evaluation; not where workers come and
    go), consolidation, report.
    """
    found: defaultdict[str, float] = defaultdict(float)
    ended = spent = 0.0
    cores, steady = 0, True
    for event in events:
        kind = event["event"]
        if event["time"] < since:
            continue
        if kind == "start":
            steady = steady and event["cluster"] in _STEADY
        elif kind == "connected":
            ended, cores = event["time"], event["workers"]
            found["start_up"] += event["time"] - since if since else event["seconds"]
        elif kind == "chunk" and cores:
            found["computing"] += event["time"] - ended
            found["evaluation"] += event.get("evaluate_seconds", 0.0)
            spent += cores * (event["time"] - ended)
            ended = event["time"]
        elif kind in ("cube", "report"):
            found["consolidation" if kind == "cube" else kind] = event["seconds"]
    if steady and spent and found.get("evaluation"):
        found["overhead"] = spent / found["evaluation"]
    return {part: round(seconds, 3) for part, seconds in found.items()}


def timings_text(found: dict[str, float]) -> str:
    """One line of `timings`, for people."""
    parts = {part: f"{part.replace('_', '-')} {duration_text(seconds)}" for part, seconds in found.items()}
    parts.pop("evaluation", None)
    parts.pop("overhead", None)
    if words := overhead_text(found):
        parts["computing"] += f" ({words})"
    return ", ".join(parts.values())


def overhead_text(found: dict[str, float]) -> str:
    """The overhead in words; empty where there is none, or too little was computed to tell."""
    telling = "overhead" in found and found["computing"] >= _TELLING_SECONDS
    return f"{found['overhead']:.2f} of the evaluation alone" if telling else ""
