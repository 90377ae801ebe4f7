"""A user without a name, a home or any variable, as containers and batch systems start processes."""

import subprocess
import sys
from pathlib import Path

import pytest
from crbatch.engine.kernels.jit.accelerate import store
from job_cases import write_job

pytestmark = pytest.mark.system  # needs unshare


def nobody(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            *("unshare", "--user", "--map-user=54321", "--map-group=54321", "env", "-i"),
            *(f"TMPDIR={folder / 'tmp'}", f"NUMBA_CACHE_DIR={store.usual.path.parent}"),
            *(sys.executable, "-P", "-m", "crbatch", *map(str, words)),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("cluster", ["none", "local"])
def test_everything_works(tmp_path: Path, cluster: str) -> None:
    (tmp_path / "tmp").mkdir(mode=0o700)
    job = write_job(tmp_path)
    for words in (
        ("run", job, "-o", "out", "--cluster", cluster),
        ("status", "out"),
        ("verify", "out"),
        ("report", "out"),
        ("compare", "out", "out"),
        ("plan", job),
        ("submit", job, "-o", "other", "--cluster", "slurm", "--dry-run"),
        ("doctor",),
    ):
        done = nobody(tmp_path, *words)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
    done = nobody(tmp_path, "run", job, "-o", "another", "--cluster", "nosuch")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
