"""Compiled kernels on disk: one file for each signature, with its hash, read whole or not at all.

Numba's own files can kill whoever reads them after they were damaged, or run what a flipped bit made of machine code;
and two processes that compile together lose entries of their common index. Here there is no index, and a file whose
bytes are not those that were written is compiled again.
"""

import hashlib
import pickle
from collections.abc import Callable
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

from .kernelstore import KernelStore

_DIGEST_BYTES = 32


class KernelFiles:
    """What Numba's `Cache` asks of its files.

    Parameters
    ----------
    store
        Where they are.
    name
        First part of the files' names.
    stamp
        Whatever tells one state of the kernel's own source file, and of Numba's settings, from another.
    """

    def __init__(self, store: KernelStore, name: str, stamp: object) -> None:
        self._store = store
        self._name = name
        self._stamp = stamp

    def _file(self, key: object) -> str:
        digest = hashlib.sha256(repr((self._stamp, key)).encode()).hexdigest()
        return f"{self._name}.{digest[:24]}.nbc"

    def load(self, key: object) -> Any:
        """The compiled kernel of a signature; None if its file is missing or damaged."""
        data = self._store.read(self._file(key))
        if data is None:
            return None
        digest, code = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return pickle.loads(code) if hashlib.sha256(code).digest() == digest else None

    def save(self, key: object, data: Any) -> None:
        """Keep a compiled kernel."""
        code = dumps(data)
        self._store.write(self._file(key), hashlib.sha256(code).digest() + code)


class KernelCache(FunctionCache):
    """Numba's cache of one function, with these files in place of its own, and in no folder of its choice."""

    def __init__(self, function: Callable[..., Any], files: KernelFiles) -> None:
        self._name = repr(function)
        self._py_func = function
        self._impl = CompileResultCacheImpl.__new__(CompileResultCacheImpl)  # without looking for a folder
        self._cache_path = ""
        self._cache_file: Any = files
        self._enabled = True

    def _save_overload(self, sig: Any, data: Any) -> None:
        if self._impl.check_cachable(data):
            key = self._index_key(sig, data.codegen)
            self._cache_file.save(key, self._impl.reduce(data))
