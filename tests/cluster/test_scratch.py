"""Temporary folders: private, gone afterwards, and removed by the next run where a killed one left them."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crbatch.cluster.scratch import _LOCK, remove_left, scratch_folder
from job_cases import tiny_job

KILLED = """
import os, signal, sys
from pathlib import Path
from crbatch.cluster.scratch import scratch_folder
with scratch_folder("crbatch-x-", Path(sys.argv[1])) as folder:
    (folder / "deep").mkdir()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_private_while_it_lives_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch_folder("crbatch-x-", tmp_path) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with scratch_folder("crbatch-x-", tmp_path) as other:  # of a process that lives
            assert folder.is_dir()
            assert other != folder
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder("crbatch-x-", tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_only_ones_own_folders_of_some_age_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = time.time() - 1000.0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    young, aged, file, link = (tmp_path / f"crbatch-x-{name}" for name in ("young", "aged", "file", "link"))
    young.mkdir()  # its process is about to lock it
    aged.mkdir()
    file.touch()
    link.symlink_to(elsewhere)
    for path in (aged, file):
        os.utime(path, (old, old))
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    remove_left("crbatch-x-", tmp_path)
    assert aged.exists()  # somebody else's
    monkeypatch.undo()
    remove_left("crbatch-x-", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "crbatch-x-file",
        "crbatch-x-link",
        "crbatch-x-young",
        "elsewhere",
    ]
    assert (elsewhere / "kept").exists()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "crbatch-x-1"
    folder.mkdir()
    (folder / _LOCK).symlink_to(tmp_path / "target")
    remove_left("crbatch-x-", tmp_path)
    assert not (tmp_path / "target").exists()


@pytest.mark.slow("kills processes")
def test_killed_run_leaves_nothing_that_the_next_one_does_not_remove(tmp_path: Path) -> None:
    scratch, job, out = tmp_path / "tmp", tmp_path / "job.toml", tmp_path / "run"
    scratch.mkdir()
    job.write_text(tiny_job(draws={"count": 20_000}).to_toml())
    words = [
        sys.executable,
        "-P",
        "-m",
        "crbatch",
        "run",
        str(job),
        "-o",
        str(out),
        "--cluster",
        "local",
        "--no-report",
    ]
    environment = os.environ | {"TMPDIR": str(scratch)}
    # Kernels are looked for in the temporary folder, too.
    environment.setdefault("NUMBA_CACHE_DIR", f"{os.environ.get('TMPDIR', '/tmp')}/crbatch-{os.getuid()}")
    process = subprocess.Popen([*words, "--chunk", "50"], env=environment, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120.0
    while not list(out.glob("shards/*.nc")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert list(scratch.glob("crbatch-cluster-*"))
    job.write_text(tiny_job(draws={"count": 20}).to_toml())
    again = [word if word != str(out) else str(tmp_path / "other") for word in words]
    subprocess.run(again, env=environment, check=True, capture_output=True)
    assert [path.name for path in scratch.iterdir() if path.name.startswith(("crbatch-cluster", "dask"))] == []
