"""What a process may use: cores and memory as affinity, control groups of both versions and ulimit leave them."""

import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from crbatch.cluster.machine import address_space, allowed_memory, usable_cores, usable_memory
from repository import ROOT

PHYSICAL = psutil.virtual_memory().total
AFFINITY = len(os.sched_getaffinity(0))


def tree(root: Path, membership: str, files: dict[str, str]) -> Path:
    """A machine's `proc` and `sys`, with the files of its control groups."""
    for name, text in ({"proc/self/cgroup": membership} | {f"sys/fs/cgroup/{k}": v for k, v in files.items()}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


def test_without_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert allowed_memory(tmp_path) == PHYSICAL
    assert usable_cores(tmp_path) == AFFINITY


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/", {"memory.max": "350000000"}),
        ("0::/a/b", {"a/b/memory.max": "350000000", "a/memory.max": "max"}),
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "350000000"}),  # the parent's holds, too
        ("0::/a/b", {"a/b/memory.high": "350000000", "a/b/memory.max": "900000000"}),
        ("0::/host/path", {"memory.max": "350000000"}),  # seen from within a container
        ("4:memory:/a\n0::/", {"memory/a/memory.limit_in_bytes": "350000000"}),
        ("4:memory:/host/path", {"memory/memory.limit_in_bytes": "350000000"}),
        ("4:memory:/", {"memory/memory.soft_limit_in_bytes": "350000000"}),
    ],
)
def test_memory_of_a_group(tmp_path: Path, membership: str, files: dict[str, str]) -> None:
    assert allowed_memory(tree(tmp_path, membership, files)) == 350_000_000


@pytest.mark.parametrize("text", ["max", "9223372036854771712", "", "nonsense", "-1"])
def test_no_limit_of_memory(tmp_path: Path, text: str) -> None:
    assert allowed_memory(tree(tmp_path, "0::/", {"memory.max": text})) == PHYSICAL


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "10000 100000"}, 1),
        ("0::/", {"cpu.max": "max 100000"}, 8),
        ("0::/", {"cpu.max": "5 0"}, 8),
        (
            "2:cpu,cpuacct:/a",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "200000", "cpu,cpuacct/a/cpu.cfs_period_us": "1000"},
            8,
        ),
        ("2:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"}, 2),
        ("2:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_quota_of_cores(tmp_path: Path, many_cores: None, membership: str, files: dict[str, str], cores: int) -> None:
    assert usable_cores(tree(tmp_path, membership, files)) == cores


def test_affinity_counts_where_it_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_cores(tree(tmp_path, "0::/", {"cpu.max": "400000 100000"})) == 1


def test_ulimits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {resource.RLIMIT_RSS: 350_000_000, resource.RLIMIT_AS: resource.RLIM_INFINITY}
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limits[which], limits[which]))
    assert usable_memory(tmp_path) == 350_000_000
    assert allowed_memory(tmp_path) == PHYSICAL  # which Linux does not insist on
    assert address_space() == math.inf
    limits[resource.RLIMIT_AS] = 10**9
    assert address_space() == 10**9


@pytest.mark.system  # root
def test_quota_of_a_real_control_group() -> None:
    group = Path(f"/sys/fs/cgroup/cpu/crbatch-test-{os.getpid()}")
    files = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}
    if not group.parent.is_dir():
        group, files = Path(f"/sys/fs/cgroup/{group.name}"), {"cpu.max": "50000 100000"}
    group.mkdir()
    try:
        for name, text in files.items():
            (group / name).write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", "from crbatch.cluster.machine import usable_cores; print(usable_cores())"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            preexec_fn=lambda: (group / "cgroup.procs").write_text("0"),
        )
    finally:
        group.rmdir()
    assert done.stdout == "1\n"
