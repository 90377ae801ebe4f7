"""The run's journal: one JSON object a line, appended as things happen. Timings live here, never in results."""

import json
import os
import time
from pathlib import Path
from typing import Any


class Journal:
    """Appends events to ``journal.jsonl``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append one event with the time it is written at."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **facts}, sort_keys=True)
        with self.path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a crash cut the last line short; do not lose this one with it
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def events(self, kind: str) -> list[dict[str, Any]]:
        """All events of a kind, oldest first; a line cut short by a crash is passed over."""
        if not self.path.is_file():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                continue
            if event.get("event") == kind:
                found.append(event)
        return found
