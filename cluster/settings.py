"""Dask and dask-jobqueue with their own defaults, and nothing of what their user has set for other work.

As it is imported, Dask reads YAML files (~/.config/dask, /etc/dask, DASK_CONFIG) and variables (DASK_*). A queue or an
account there, a command of workers or a preload would become part of every run, and a broken file would end it. What
is honoured on purpose is the profile (`cluster.profiles`); nothing else, in the driver or in workers it starts. Workers
over ssh, and those of a scheduler that was there before, are their machine's own.

Importing this module does not import Dask.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

from .threads import environment

_NOWHERE = f"{os.devnull}/none"
_NOBODY = {"HOME": _NOWHERE, "DASK_CONFIG": _NOWHERE, "DASK_ROOT_CONFIG": _NOWHERE}

#: Lines of a job script in bash that do the same for the worker behind them; it needs no home.
PRIVATE_SHELL = ('unset "${!DASK_@}"', 'export HOME="$scratch"')


def shield() -> None:
    """Keep the user's settings out of Dask for good: for a process that is all ours, before it imports Dask."""
    for name in [name for name in os.environ if name.startswith("DASK_")]:
        del os.environ[name]
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


@contextmanager
def private_configuration() -> Iterator[None]:
    """Give Dask its own defaults within the block, whatever the process around it has configured."""
    import dask
    import distributed  # noqa: F401  (which adds its defaults)

    fresh: dict[str, object] = {}
    dask.config.refresh(config=fresh, paths=[], env={})
    held = dask.config.config
    before = dict(held)
    _put(held, fresh)
    try:
        yield
    finally:
        _put(held, before)
        for defaults in dask.config.defaults:  # of what was imported meanwhile, as well
            dask.config.update(held, defaults, priority="old")


def _put(held: dict[str, object], content: dict[str, object]) -> None:
    held.clear()
    held.update(content)


class _Finder(MetaPathFinder):
    """Finds Dask's module of settings, for the loader below."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "dask.config":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    """Loads it as somebody who has set nothing, and lets it look nowhere later."""

    def exec_module(self, module: ModuleType) -> None:
        with environment(_NOBODY):
            super().exec_module(module)
        module.paths.clear()
        module.refresh(env={})
