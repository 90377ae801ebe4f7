"""What this machine is, and the cores and bytes of memory that this process may use of it."""

import math
import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Return the number of cores that this process may keep busy, which a batch system or container can have limited.

    `root`: where ``proc`` and ``sys`` are.
    """
    quotas = [_quota(text) for text in _limits(root, "cpu", "cpu.max")]
    for folder in _groups(root, "cpu"):
        quota, period = (_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        quotas.append(_quota(f"{quota} {period}"))
    return math.ceil(min([len(os.sched_getaffinity(0)), *quotas]))  # a part of a core is used, too


def allowed_memory(root: Path = _ROOT) -> int:
    """Return the bytes that the kernel lets this process and its workers have: physical memory, limits of cgroups."""
    files = ("memory.max", "memory.high", "memory.limit_in_bytes", "memory.soft_limit_in_bytes")
    limits = [text for name in files for text in _limits(root, "memory", name)]
    physical: int = psutil.virtual_memory().total
    return min([physical, *(int(text) for text in limits if text.isdecimal())])


def usable_memory(root: Path = _ROOT) -> int:
    """Return `allowed_memory`, or less where ``ulimit -m`` asks for it: Linux does not insist, but somebody does."""
    limit = resource.getrlimit(resource.RLIMIT_RSS)[0]
    allowed = allowed_memory(root)
    return allowed if limit == resource.RLIM_INFINITY else min(allowed, limit)


def address_space() -> float:
    """Return the bytes that each process may map (``ulimit -v``); infinite without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def cpu_model() -> str:
    """The CPU's name as it calls itself."""
    lines = _read(_ROOT / "proc" / "cpuinfo").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _quota(text: str) -> float:
    """Cores from "quota period"; infinite without a quota, which is "max" or -1."""
    words = text.split()
    if len(words) != 2 or not all(word.isdecimal() and int(word) for word in words):
        return math.inf
    return int(words[0]) / int(words[1])


def _limits(root: Path, controller: str, name: str) -> Iterator[str]:
    """What a file says in each group that this process is in, where there is one."""
    for folder in _groups(root, controller):
        text = _read(folder / name)
        if text:
            yield text


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the control groups of this process, from its own to the outermost.

    A container may see its own group as the outermost, while its path is the host's: what is not there is left out.
    """
    base = root / "sys" / "fs" / "cgroup"
    for line in _read(root / "proc" / "self" / "cgroup").splitlines():
        _, names, path = line.split(":", 2)
        if names == "":
            mounts = [base, base / "unified"]
        elif controller in names.split(","):
            mounts = [base / controller, base / names]
        else:
            continue
        for mount in dict.fromkeys(mounts):
            own = mount / path.strip("/")
            yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
