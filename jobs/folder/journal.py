"""The run's journal: one JSON object a line, appended as things happen. Timings live here, never in results.

Each line carries the CRC-32 of the rest of it. Nothing that a run needs to continue is in here alone: what is lost is
written again from the shards.
"""

import json
import os
import re
import time
import zlib
from pathlib import Path
from types import NoneType
from typing import Any

from crbatch.results.files import replace_file, sync_folder


class Journal:
    """Appends events to ``journal.jsonl``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append one event with the time it is written at."""
        line = _line({"event": event, "time": round(time.time(), 3), **facts})
        is_new = not self.path.exists()
        # No link is followed, and no pipe waited for.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(self.path, flags, 0o666), "r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a crash cut the last line short; do not lose this one with it
                    line = b"\n" + line
            while line:  # a disk that fills up takes a part of it
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)

    def all(self) -> list[dict[str, Any]]:
        """All intact events, oldest first."""
        return [event for event in self._read() if event is not None]

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """All intact events of some kinds, oldest first."""
        return [event for event in self.all() if event["event"] in kinds]

    def last(self, *kinds: str) -> dict[str, Any] | None:
        """The newest intact event of some kinds, if any."""
        return last(self.all(), *kinds)

    def damaged(self) -> list[int]:
        """Numbers, from 1, of the lines that are not what was written."""
        return [number for number, event in enumerate(self._read(), 1) if event is None]

    def mend(self) -> None:
        """Leave the intact lines only; what was there, if it was not a whole journal, is kept beside it."""
        aside = self.path.with_name(f"{self.path.stem}.damaged.jsonl")
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            os.replace(self.path, aside)
        elif self.damaged():
            content, whole = self.path.read_bytes(), b"".join(_line(event) for event in self.all())
            replace_file(aside, content)
            replace_file(self.path, whole)

    def _read(self) -> list[dict[str, Any] | None]:
        if self.path.is_symlink() or not self.path.is_file():
            return []
        data = self.path.read_bytes()
        return [_event(line) for line in data.split(b"\n") if line]


def last(events: list[dict[str, Any]], *kinds: str) -> dict[str, Any] | None:
    """The newest event of some kinds, if any."""
    return next((event for event in reversed(events) if event["event"] in kinds), None)


def _line(facts: dict[str, Any]) -> bytes:
    text = json.dumps(facts, sort_keys=True)
    return f'{text[:-1]}, "~crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def _event(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None if a byte of it is not what was written."""
    try:
        facts = json.loads(line)
        del facts["~crc"]
        whole = _line(facts) == line + b"\n"
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return facts if whole and _is_event(facts) else None


_NUMBER = (int, float)
# What those who read an event take for granted, by its kind; all have a time.
_FACTS: dict[str, dict[str, Any]] = {
    "start": {"cluster": str, "chunks": int},
    "connected": {"seconds": _NUMBER, "workers": int},
    "chunk": {"start": int, "stop": int, "sha256": str, "uncertified": int},
    "jobs": {"role": str, "ids": list},
    "cube": {"sha256": str, "job": str, "seconds": _NUMBER},
    "report": {"seconds": _NUMBER},
    "error": {"message": str},
    "precision": {"draws": int, "relative_error": (*_NUMBER, NoneType), "at": dict, "reached": bool},
}
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]-]*")  # a number that is handed to the batch system, and no option


def _is_event(facts: dict[str, Any]) -> bool:
    """Whether a line has what its kind takes: a checksum can be made for any line."""
    kind = facts.get("event")
    if not isinstance(kind, str):
        return False
    wanted = {"time": _NUMBER, **_FACTS.get(kind, {})}
    if not all(isinstance(facts.get(name), types) for name, types in wanted.items()):
        return False
    evaluated = isinstance(facts.get("evaluate_seconds", 0.0), _NUMBER)
    ids = facts["ids"] if kind == "jobs" else []
    return evaluated and all(isinstance(number, str) and _JOB.fullmatch(number) for number in ids)
