"""Compiled kernels on disk: one file for each signature, with its hash, read whole or not at all.

Numba's own files can kill whoever reads them after they were damaged, or run what a flipped bit made of machine code;
and two processes that compile together lose entries of their common index. Here there is no index, and a file whose
bytes are not those that were written is compiled again.

Kernels that another one calls are compiled with it, in every process, and only what Python calls is kept. A call of
what was loaded could not be inlined, where multiplications are fused with additions: the bits of a kernel would hang
on what else had been compiled before.
"""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any
from uuid import uuid4

from numba.core import event
from numba.core.serialize import dumps

_DIGEST_BYTES = 32


class _Compiling(event.Listener):
    """How many kernels are being compiled, each for the sake of the one before; Numba has one lock for all threads."""

    depth = 0

    def on_start(self, event: Any) -> None:
        self.depth += 1

    def on_end(self, event: Any) -> None:
        self.depth -= 1


_compiling = _Compiling()
event.register("numba:compile", _compiling)  # type: ignore[no-untyped-call]


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
        """The compiled kernel of a signature; None if its file is missing or damaged, or another kernel calls it."""
        if _compiling.depth > 0:
            return None
        try:
            data = self._path(key).read_bytes()
        except FileNotFoundError:
            return None
        digest, code = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return pickle.loads(code) if hashlib.sha256(code).digest() == digest else None

    def save(self, key: object, data: Any) -> None:
        """Keep a compiled kernel; whoever reads meanwhile finds the old file or the new one."""
        if _compiling.depth > 0:
            return
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
