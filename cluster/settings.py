"""Dask and dask-jobqueue with their own defaults, and nothing of what their user has set for other work.

Dask reads YAML files (~/.config/dask, /etc/dask, DASK_CONFIG) and variables (DASK_*). A queue or an account there, a
command of workers or a preload would become part of every run. What is honoured on purpose is the profile
(`cluster.profiles`); nothing else, in the driver or in workers it starts. Workers over ssh, and those of a scheduler
that was there before, are their machine's own.

Importing this module does not import Dask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Nothing is shown of a run but by its own commands: Dask's pages can also retire workers, and have no lock.
QUIET: Mapping[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}

#: Lines of a job script in bash that keep the user's settings from the worker behind them; it needs no home.
PRIVATE_SHELL = ('unset "${!DASK_@}"', 'export HOME="$scratch"')


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
