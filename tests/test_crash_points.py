"""A process killed at each single system call of a commit, and calls that fail there: nothing torn ever counts.

A child is forked from a process that has all its imports behind it; strace takes hold of it and kills it, or lets a
call fail, at the n-th call of a kind. Nothing in the product knows of this.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
from job_cases import run_tiny

from results.cube import write_cube
from results.errors import DamagedData
from results.shards import commit_shard, covering, list_shards, verify_shard

pytestmark = pytest.mark.system

# Whatever can change a file or its name, and what makes it last.
CALLS = (
    "openat,write,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync,close,rename,renameat,renameat2,link,linkat,"
    "unlink,unlinkat,mkdir,chmod,fchmod"
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("crash") / "run"
    run_tiny(folder, chunk=3)
    return folder / "shards"


@pytest.fixture(scope="module")
def dataset(shards: Path) -> xr.Dataset:
    with xr.open_dataset(list_shards(shards)[0].path) as data:
        return data.load()


def traced(work: Callable[[], None], log: Path, *options: str) -> int:
    """Do `work` in a child under strace, with these options; its wait status, or what strace made of it."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            work()
            code = 0
        except OSError:
            code = 5
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-o", log, "-e", f"trace={CALLS}", *options, "-p", str(child)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert tracer.stderr is not None
    attached = tracer.stderr.readline()
    assert "attached" in attached, attached
    os.write(go[1], b"x")
    _, ended = os.waitpid(child, 0)
    tracer.communicate()
    for end in (*ready, *go):
        os.close(end)
    return ended


def calls_on(folder: Path, log: Path) -> list[tuple[str, int]]:
    """Each call that touches a folder: its name, and which one of its name it is in the process."""
    seen: dict[str, int] = {}
    found = []
    for line in log.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if match:
            name = match[1]
            seen[name] = seen.get(name, 0) + 1
            if str(folder) in line:
                found.append((name, seen[name]))
    return found


def points(work: Callable[[], None], folder: Path, tmp_path: Path) -> list[tuple[str, int]]:
    log = tmp_path / "calls"
    assert traced(work, log) == 0
    found = calls_on(folder, log)
    assert {"openat", "fsync", "rename"} <= {name for name, _ in found}
    return found


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def whole(folder: Path) -> list[str]:
    """Names of the shards that count; each of them is whole."""
    found = list_shards(folder)
    for shard in found:
        verify_shard(shard)
    return [shard.path.name for shard in found]


def test_shard_killed_at_every_call(dataset: xr.Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    name = commit_shard(dataset, tmp_path, 0, 3).path.name

    def work() -> None:
        commit_shard(dataset, folder, 0, 3)

    empty(folder)
    calls = points(work, folder, tmp_path)
    renamed = calls.index(next(call for call in calls if call[0] == "rename"))
    for number, (call, when) in enumerate(calls):
        empty(folder)
        ended = traced(work, tmp_path / "log", "-e", f"inject={call}:signal=KILL:when={when}")
        assert os.WIFSIGNALED(ended)
        assert os.WTERMSIG(ended) == signal.SIGKILL
        assert whole(folder) in ([], [name])
        assert (number >= renamed) or whole(folder) == []
        work()  # and the next one commits it, whatever was left behind
        assert whole(folder) == [name]
    assert len(calls) >= 15
    print(f"{len(calls)} of {len(calls)} crash points of a shard survived")  # noqa: T201


def test_cube_killed_at_every_call(shards: Path, tmp_path: Path) -> None:
    cover, _ = covering(list_shards(shards), 6)
    old_cover, _ = covering(list_shards(shards), 3)
    home = tmp_path / "run"
    home.mkdir()
    cube = home / "cube.nc"
    write_cube(old_cover, tmp_path / "old.nc", 3, {"title": "old"})
    write_cube(cover, tmp_path / "new.nc", 6, {"title": "new"})
    old, new = (tmp_path / "old.nc").read_bytes(), (tmp_path / "new.nc").read_bytes()
    assert old != new
    before = {path.name: path.read_bytes() for path in shards.iterdir()}

    def work() -> None:
        write_cube(cover, cube, 6, {"title": "new"})

    cube.write_bytes(old)
    calls = points(work, home, tmp_path)
    for call, when in calls:
        cube.write_bytes(old)
        ended = traced(work, tmp_path / "log", "-e", f"inject={call}:signal=KILL:when={when}")
        assert os.WIFSIGNALED(ended)
        assert cube.read_bytes() in (old, new)
        work()
        assert cube.read_bytes() == new
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before
    assert len(calls) >= 15
    print(f"{len(calls)} of {len(calls)} crash points of a cube survived")  # noqa: T201


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_shard_whose_calls_fail(dataset: xr.Dataset, tmp_path: Path, error: str) -> None:
    """Each call fails in turn, once: the shard is either not there, or whole, and nothing is left behind."""
    folder = tmp_path / "shards"
    name = commit_shard(dataset, tmp_path, 0, 3).path.name

    def work() -> None:
        commit_shard(dataset, folder, 0, 3)

    empty(folder)
    calls = [call for call in points(work, folder, tmp_path) if call[0] not in ("close", "unlink", "unlinkat")]
    endings = []
    for call, when in calls:
        empty(folder)
        ended = traced(work, tmp_path / "log", "-e", f"inject={call}:error={error}:when={when}")
        endings.append(os.waitstatus_to_exitcode(ended))
        assert whole(folder) == [name] if endings[-1] == 0 else whole(folder) in ([], [name])
        if endings[-1] != -signal.SIGSEGV:
            assert [path.name for path in folder.iterdir()] == whole(folder), (call, when)
    # Done, or an OSError. Where the very last write of a file fails, its superblock's, the HDF5 library itself
    # crashes (2.2.0): a worker's death, after which the chunk is done again.
    assert set(endings) <= {0, 5, -signal.SIGSEGV}
    assert endings.count(5) >= 5
    assert endings.count(-signal.SIGSEGV) <= 1


def test_file_that_was_not_synced_is_never_renamed(dataset: xr.Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    empty(folder)
    log = tmp_path / "log"
    ended = traced(lambda: void(commit_shard(dataset, folder, 0, 3)), log, "-e", "inject=fsync:error=EIO:when=1")
    assert os.waitstatus_to_exitcode(ended) == 5
    assert "rename(" not in log.read_text()


def void(_: object) -> None:
    pass


@pytest.mark.parametrize("size", [0, 1, 100, 4096, -1])
def test_torn_file_under_a_whole_name_does_not_count(dataset: xr.Dataset, tmp_path: Path, size: int) -> None:
    """What a disk may leave of a file that was renamed before its bytes were written."""
    shard = commit_shard(dataset, tmp_path, 0, 3)
    os.truncate(shard.path, size if size >= 0 else shard.path.stat().st_size - 1)
    with pytest.raises(DamagedData):
        verify_shard(shard)
