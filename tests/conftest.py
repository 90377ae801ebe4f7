"""Settings that every test shares."""

import os

import pytest
from hypothesis import settings

_MOST_PROCESSES = 4  # tests start clusters of their own

# The same examples everywhere and always; no example fails for being slow.
settings.register_profile("crbatch", derandomize=True, deadline=None)
settings.load_profile("crbatch")


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: the cores that may be used, if they are few."""
    return min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile before `-n` starts processes that would each compile the same."""
    if session.config.option.numprocesses:
        from jobs.task import warm_up  # loads Numba, which many a test does without

        warm_up()
