"""What this machine is, as far as results and run times depend on it."""

import platform
from pathlib import Path


def cpu_model() -> str:
    """The CPU's name as it calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
