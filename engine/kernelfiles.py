"""Compiled kernels on disk: one file for each signature, with its hash, read whole or not at all.

Numba's own files can kill whoever reads them after they were damaged, or run what a flipped bit made of machine code;
and two processes that compile together lose entries of their common index. Here there is no index, and a file whose
bytes are not those that were written is compiled again.
"""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

from numba.core.serialize import dumps

_DIGEST_BYTES = 32


class KernelFiles:
    """What Numba's `Cache` asks of its files.

    Parameters
    ----------
    folder
        A private folder: what lies there is loaded as code.
    name
        First part of the files' names.
    stamp
        Whatever tells one state of the kernel's own source file from another.
    """

    def __init__(self, folder: Path, name: str, stamp: object) -> None:
        self._folder = folder
        self._name = name
        self._stamp = stamp

    def _path(self, key: object) -> Path:
        digest = hashlib.sha256(repr((self._stamp, key)).encode()).hexdigest()
        return self._folder / f"{self._name}.{digest[:24]}.nbc"

    def load(self, key: object) -> Any:
        """The compiled kernel of a signature; None if its file is missing or damaged."""
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, code = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return pickle.loads(code) if hashlib.sha256(code).digest() == digest else None

    def save(self, key: object, data: Any) -> None:
        """Keep a compiled kernel; whoever reads meanwhile finds the old file or the new one."""
        code = dumps(data)  # type: ignore[no-untyped-call]
        path = self._path(key)
        fresh = path.with_name(f"{path.name}.{uuid4().hex[:16]}.tmp")
        try:
            fresh.write_bytes(hashlib.sha256(code).digest() + code)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def flush(self) -> None:
        """Forget what is kept of this kernel."""
        for path in self._folder.glob(f"{self._name}.*.nbc"):
            path.unlink(missing_ok=True)
