"""Dask and Matplotlib as if their user had set nothing for other work.

As they are imported, Dask reads YAML files and variables, Matplotlib a matplotlibrc and MPLBACKEND: they would change
runs and figures, and a broken one would end them. Importing this module imports neither.
"""

import logging
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from crbatch.cluster.threads import environment

_NOWHERE = f"{os.devnull}/none"
_NOBODY = {"HOME": _NOWHERE, "DASK_CONFIG": _NOWHERE, "DASK_ROOT_CONFIG": _NOWHERE}


def shield() -> None:
    """Keep the user's settings out for good: for a process that is all ours, before it imports Dask or Matplotlib."""
    for name in [name for name in os.environ if name.startswith("DASK_") or name == "MPLBACKEND"]:
        del os.environ[name]
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # without a home it warns of where it keeps its fonts
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _DaskLoader(SourceFileLoader):
    """Loads Dask's module of settings as somebody who has set nothing, and lets it look nowhere later."""

    def exec_module(self, module: ModuleType) -> None:
        with environment(_NOBODY):
            super().exec_module(module)
        module.paths.clear()
        module.refresh(env={})


class _MatplotlibLoader(SourceFileLoader):
    """Loads it in the folder of its own defaults: it looks for a matplotlibrc where it is, before anywhere else."""

    def exec_module(self, module: ModuleType) -> None:
        here = os.open(".", os.O_PATH)
        try:
            os.chdir(Path(self.path).parent / "mpl-data")
            super().exec_module(module)
        finally:
            os.fchdir(here)
            os.close(here)


_LOADERS = {"dask.config": _DaskLoader, "matplotlib": _MatplotlibLoader}


class _Finder(MetaPathFinder):
    """Finds what reads settings, for the loaders above."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _LOADERS:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _LOADERS[name](name, spec.origin)
        return spec
