"""Matplotlib with its own defaults and our style, and nothing of what its user has set for other work.

Figures are drawn with every one of its parameters set, so a matplotlibrc changes no byte of them. Nothing of it is
honoured: neither the file, nor MPLBACKEND, which could end a process as Matplotlib is imported.

Importing this module does not import Matplotlib.
"""

import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any


@contextmanager
def drawn_with(style: Mapping[str, Any]) -> Iterator[None]:
    """Draw and save with Matplotlib's defaults and a style, whatever is set otherwise."""
    import matplotlib as mpl

    with mpl.rc_context():
        for name in mpl.rcParamsDefault:
            if name != "backend":
                mpl.rcParams._set(name, mpl.rcParamsDefault._get(name))
        mpl.rcParams.update(style)  # type: ignore[arg-type]
        yield


def shield() -> None:
    """Keep the user's settings out for good: for a process that is all ours, before it imports Matplotlib."""
    os.environ.pop("MPLBACKEND", None)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # without a home it warns of where it keeps its fonts
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds Matplotlib, for the loader below."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "matplotlib":
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    """Loads it in the folder of its own defaults: it looks for a matplotlibrc where it is, before anywhere else."""

    def exec_module(self, module: ModuleType) -> None:
        here = os.open(".", os.O_PATH)
        try:
            os.chdir(Path(self.path).parent / "mpl-data")
            super().exec_module(module)
        finally:
            os.fchdir(here)
            os.close(here)
