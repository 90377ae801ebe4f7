"""As many local workers as memory has room for, none that could only hang, and one line about it."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crbatch.cluster import needs
from crbatch.cluster.connect import connect
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.needs import DRIVER_BYTES, WORKER_BYTES, fitting_workers, job_bytes, memory_limit
from crbatch.jobs.errors import EnvironmentProblem
from crbatch.jobs.folder.journal import Journal
from job_cases import run_tiny, tiny_job

MIB = 1 << 20


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What there is, for a test to change."""
    there: dict[str, float] = {"usable": 10**12, "address": float("inf")}
    monkeypatch.setattr(needs, "usable_memory", lambda: int(there["usable"]))
    monkeypatch.setattr(needs, "allowed_memory", lambda: int(there["usable"]))
    monkeypatch.setattr(needs, "address_space", lambda: there["address"])
    return there


@pytest.mark.parametrize(("usable", "fit"), [(700e6, 1), (1e9, 2), (2e9, 5), (64e9, 8)])
def test_as_many_workers_as_fit(memory: dict[str, float], usable: float, fit: int) -> None:
    memory["usable"] = usable
    assert fitting_workers(8) == fit


def test_none_that_does_not_fit(memory: dict[str, float]) -> None:
    memory["usable"] = 350e6
    with pytest.raises(ClusterError, match=r"350\.0 MB of memory are allowed here, a worker takes 300\.0 MB"):
        fitting_workers(8)
    memory |= {"usable": 64e9, "address": 1e9}
    with pytest.raises(ClusterError, match=r"may map 1\.0 GB each \(ulimit -v\)"):
        fitting_workers(8)


def test_only_ample_shares_are_watched(memory: dict[str, float]) -> None:
    memory["usable"] = DRIVER_BYTES + 4 * WORKER_BYTES
    assert memory_limit(4) == memory_limit(3) == 0
    assert memory_limit(2) == 2 * WORKER_BYTES


def test_asked_for_it_is_refused_else_done_here(
    memory: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory["usable"] = 350e6
    monkeypatch.setattr("crbatch.jobs.driver.workers.is_compiled", lambda: True)
    with pytest.raises(EnvironmentProblem, match="no local worker fits"):
        run_tiny(tmp_path / "asked", cluster="local")
    monkeypatch.setattr("crbatch.jobs.driver.workers._IN_PROCESS_SECONDS", 0.0)
    run_tiny(tmp_path / "run", cluster=None)
    assert Journal(tmp_path / "run" / "journal.jsonl").events("start")[0]["cluster"] == "none"


@pytest.mark.slow("starts a cluster")
def test_fewer_than_asked_for_are_started_and_said(
    memory: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory["usable"] = 700e6
    monkeypatch.setattr("crbatch.jobs.driver.workers.is_compiled", lambda: True)
    said: list[str] = []
    monkeypatch.setattr("crbatch.jobs.terminal.progress.Progress.say", lambda self, text: said.append(text))
    run_tiny(tmp_path / "run", cluster="local", workers=3, chunk=1)
    assert "starting 1 of 3 local workers, as more do not fit into memory" in said
    assert [event["workers"] for event in Journal(tmp_path / "run" / "journal.jsonl").events("connected")] == [1]


def test_kernels_are_not_compiled_where_that_would_be_the_end(
    memory: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory["usable"] = 700e6
    monkeypatch.setattr("crbatch.jobs.driver.workers.is_compiled", lambda: False)
    with pytest.raises(EnvironmentProblem, match=r"takes 1\.1 GB of memory once, and 700\.0 MB are allowed here"):
        run_tiny(tmp_path / "run")


def resident(_: int) -> int:
    text = Path("/proc/self/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Anonymous")) * 1024


def warm_resident() -> int:
    from crbatch.jobs.chunk.task import warm_up

    warm_up()
    return resident(0)


@pytest.mark.slow("starts processes")
def test_the_measured_numbers_hold() -> None:
    """A worker with its kernels loaded takes less than it is said to, and more than half of it."""
    with connect("local", 1) as client:
        taken = client.submit(warm_resident).result()
    assert WORKER_BYTES / 2 < taken < WORKER_BYTES


def test_no_worker_ever_pauses() -> None:
    """Dask paused above 80 % of a worker's share, and workers of 350 MB stand there once they have begun."""
    with connect("local", 1) as client:
        found = client.run(
            lambda dask_worker: (
                dask_worker.memory_manager.memory_pause_fraction,
                dask_worker.memory_manager.memory_spill_fraction,
            )
        )
    assert list(found.values()) == [(False, False)]


@pytest.mark.slow("processes under ulimit")
@pytest.mark.parametrize(("mebibytes", "code"), [(350, 5), (700, 0), (2048, 0)])
def test_under_ulimit(tmp_path: Path, mebibytes: int, code: int) -> None:
    """As users had it: `ulimit -m`."""
    (tmp_path / "job.toml").write_text(tiny_job(draws={"count": 40}).to_toml())
    words = ["run", str(tmp_path / "job.toml"), "-o", str(tmp_path / "run"), "--cluster", "local", "--no-report"]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "crbatch", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_RSS, (mebibytes * MIB, mebibytes * MIB)),
    )
    assert done.returncode == code, done.stderr
    assert ("no local worker fits" in done.stderr) == (code == 5)


def _remove(group: Path) -> None:
    """Once the last of its processes has ended."""
    for _ in range(100):
        try:
            return group.rmdir()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{group} stays")


@pytest.mark.system  # root
@pytest.mark.parametrize(("mebibytes", "cluster", "code"), [(350, "local", 5), (350, "none", 0), (700, "local", 0)])
def test_in_a_real_control_group(tmp_path: Path, mebibytes: int, cluster: str, code: int) -> None:
    """Within its bounds, and not ended by the kernel."""
    group = Path(f"/sys/fs/cgroup/memory/crbatch-test-{os.getpid()}")
    if not group.parent.is_dir():
        group, limit = Path(f"/sys/fs/cgroup/{group.name}"), "memory.max"
    else:
        limit = "memory.limit_in_bytes"
    (tmp_path / "job.toml").write_text(tiny_job(draws={"count": 40}).to_toml())
    words = ["run", str(tmp_path / "job.toml"), "-o", str(tmp_path / "run"), "--cluster", cluster, "--no-report"]
    group.mkdir()
    try:
        (group / limit).write_text(str(mebibytes * MIB))
        done = subprocess.run(
            [sys.executable, "-P", "-m", "crbatch", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            preexec_fn=lambda: (group / "cgroup.procs").write_text("0"),
        )
    finally:
        _remove(group)
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) < 10


def test_job_of_six_workers() -> None:
    assert job_bytes(6) > 2 * 10**9
