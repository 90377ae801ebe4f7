"""Files that a job names, as this process first saw them: whatever becomes of them, the job stays what it was."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from crbatch.results.files import file_hash

from ..errors import EnvironmentProblem

Content = TypeVar("Content")


class Inputs:
    """Hashes and contents of a job's files, by the keys that name them."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._contents: dict[str, Any] = {}

    def digest(self, key: str, path: Path) -> str:
        """SHA-256 of a file's bytes (hex), as they were when this process first asked."""
        if key not in self._digests:
            self._digests[key] = file_hash(path)
        return self._digests[key]

    def bytes_of(self, key: str, path: Path) -> bytes:
        """A file's bytes, the same as before.

        Raises EnvironmentProblem if they are not.
        """
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.digest(key, path):
            raise _changed(key, path)
        return content

    def content(self, key: str, path: Path, read: Callable[[Path], Content]) -> Content:
        """What `read` makes of a file: read once, and held against its hash.

        Raises EnvironmentProblem if the file is not what it was when this process first looked at it.
        """
        if key not in self._contents:
            digest, before = self.digest(key, path), _stamp(path)
            content = read(path)
            if file_hash(path) != digest or _stamp(path) != before:
                raise _changed(key, path)
            self._contents[key] = content
        found: Content = self._contents[key]
        return found


def _changed(key: str, path: Path) -> EnvironmentProblem:
    return EnvironmentProblem(f"{path}: changed while the run was going on ({key}); run the same command again")


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes whenever a file is written to or replaced."""
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
