"""Settings that every test shares, and one compilation of the kernels for all processes that test."""

import subprocess
import sys

import pytest
from hypothesis import settings

# The same examples everywhere and always; no example fails for being slow.
settings.register_profile("crbatch", derandomize=True, deadline=None)
settings.load_profile("crbatch")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile in a process of its own, before others start: they would each compile what they come to first."""
    if not hasattr(session.config, "workerinput") and not session.config.option.collectonly:
        code = "from crbatch.engine.warm import load_kernels; load_kernels()"
        subprocess.run([sys.executable, "-P", "-c", code], check=True)
