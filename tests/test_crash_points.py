"""Shards and cube after SIGKILL at every system call of their writing, and after every call that fails."""

import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from crash_cases import COUNT, Call, Forge, consolidate, forge, names, prepare, write_shard

from results.shards import list_shards, verify_shard

pytestmark = pytest.mark.system

# What is written, whether an older one lies there, and the fewest calls that this can take.
CASES = [
    ("shard", False, 60),
    ("shard", True, 60),
    ("received shard", False, 20),
    ("cube", False, 150),
    ("cube", True, 150),
]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    assert shutil.which("strace"), "these tests need strace"
    with forge(tmp_path_factory.mktemp("forge") / "log") as process:
        yield process


class Place:
    """A folder that is laid out anew for each crash, and what a task makes of it when nothing happens."""

    def __init__(self, warm: Forge, root: Path, task: str, old: bool) -> None:
        self.task, self._base, self._root, self._number = task, root / "base", root, 0
        self._base.mkdir()
        prepare(self._base, task)
        if old:
            write_shard(self._base) if task == "shard" else consolidate(self._base, COUNT // 2)
        folder = self.latest = self.fresh()
        self.before, self.files_before = counting(folder), names(folder)
        done = warm.run(task, folder)
        self.gave, self.calls = done["outcome"], done["calls"]
        self.after, self.files_after = counting(folder), names(folder)
        self.rename = [call.name for call in self.calls].index("rename")

    def fresh(self) -> Path:
        shutil.rmtree(self._root / str(self._number), ignore_errors=True)
        self._number += 1
        return Path(shutil.copytree(self._base, self._root / str(self._number)))


def counting(folder: Path) -> dict[str, bytes]:
    """What counts: shards by name, each of them whole, and the cube."""
    shards = list_shards(folder / "shards")
    for shard in shards:
        verify_shard(shard)
    paths = [shard.path for shard in shards] + [path for path in [folder / "cube.nc"] if path.exists()]
    return {path.name: path.read_bytes() for path in paths}


def masked(calls: Sequence[Call]) -> list[Call]:
    """Calls without the random part of temporary names and the number of the folder."""
    return [
        Call(call.name, call.number, tuple(re.sub(r"^(\.[0-9a-f]{32}|\d+$)", "", path) for path in call.paths))
        for call in calls
    ]


@pytest.mark.parametrize(("task", "old", "fewest"), CASES)
def test_killed_at_any_call(
    warm: Forge, tmp_path: Path, record_property: Callable[[str, object], None], task: str, old: bool, fewest: int
) -> None:
    """What counts is what counted before, up to the rename, and the whole of the new from there on."""
    place = Place(warm, tmp_path, task, old)
    assert len(place.calls) >= fewest
    survived = 0
    for at, call in enumerate(place.calls):
        folder = place.fresh()
        killed = warm.run(task, folder, f"{call.name}:signal=KILL:when={call.number}")
        assert killed["code"] == -signal.SIGKILL
        assert masked(killed["calls"]) == masked(place.calls[: at + 1])
        assert counting(folder) == (place.before if at <= place.rename else place.after), call
        assert warm.run(task, folder, traced=False)["outcome"] == place.gave
        assert counting(folder) == place.after, call
        survived += 1
    record_property("crash points survived", f"{survived} of {len(place.calls)}")


def faults(calls: Sequence[Call]) -> Iterator[tuple[int, str]]:
    """Every call that makes, writes, closes or names a file: failing once, or on a disk that is full from there on."""
    for at, call in enumerate(calls):
        if call.name == "pwrite64":
            yield at, f"pwrite64:error=ENOSPC:when={call.number}+"
        if call.name in ("openat", "write", "ftruncate", "fsync", "rename"):
            yield at, f"{call.name}:error=ENOSPC:when={call.number}"
        if call.name in ("openat", "write", "pwrite64", "ftruncate", "fsync", "rename", "close"):
            yield at, f"{call.name}:error=EIO:when={call.number}"


@pytest.mark.parametrize(("task", "old"), [("shard", False), ("received shard", False), ("cube", True)])
def test_any_call_fails(
    warm: Forge, tmp_path: Path, record_property: Callable[[str, object], None], task: str, old: bool
) -> None:
    """One OSError and no trace, or the very bytes; only where HDF5 cannot close its file does the process die."""
    place = Place(warm, tmp_path, task, old)
    endings: Counter[str] = Counter()
    for at, inject in faults(place.calls):
        call, folder = place.calls[at], place.fresh()
        counts, files = (place.before, place.files_before) if at <= place.rename else (place.after, place.files_after)
        failed = warm.run(task, folder, inject)
        if failed["code"] != 0:
            endings["died"] += 1
            assert failed["code"] == -signal.SIGSEGV, failed
            assert last_of_hdf5(place.calls, at), inject
            assert counting(folder) == counts
        elif "error" in failed["outcome"]:
            endings["OSError"] += 1
            assert failed["outcome"]["files"] == files, inject
            if not inject.endswith("+"):
                assert failed["outcome"]["again"] == place.gave, inject
            assert names(folder) == (files if inject.endswith("+") else place.files_after), inject
            assert "Permission denied" not in failed["outcome"]["error"] or "disk full" in failed["outcome"]["error"]
        else:
            endings["done"] += 1
            assert call.name in ("openat", "close"), inject  # a look that HDF5 or a listing can do without
            assert failed["outcome"] == place.gave
            assert names(folder) == place.files_after
        assert failed["code"] != 0 or not failed["noise"], failed
        if inject.startswith("fsync") and at < place.rename:
            assert call.paths[0].endswith(".tmp")
            first = [made.name for made in failed["calls"]].index("fsync")
            dropped = failed["calls"][first].paths
            assert not [made for made in failed["calls"] if made.name == "rename" and made.paths[:1] == dropped]
        assert warm.run(task, folder, traced=False)["outcome"] == place.gave, inject
        assert counting(folder) == place.after, inject
    record_property("calls failed", dict(endings))
    assert endings["OSError"] > endings["done"] + endings["died"]


def last_of_hdf5(calls: Sequence[Call], at: int) -> bool:
    """Whether a call is the close of a file that HDF5 had locked, or the write just before it."""
    closing = at if calls[at].name == "close" else at + 1
    locked = [call.paths for call in calls[:closing] if call.name == "flock"]
    return calls[closing].name == "close" and calls[closing].paths in locked


@pytest.mark.parametrize(("task", "old", "fewest"), CASES)
def test_interrupted_calls_are_made_again(warm: Forge, tmp_path: Path, task: str, old: bool, fewest: int) -> None:
    """Every other call is interrupted: each of them, that is, and its repetition is not."""
    place = Place(warm, tmp_path, task, old)
    for name in {"read", "pread64", "write", "pwrite64", "fsync"} & {call.name for call in place.calls}:
        folder = place.fresh()
        done = warm.run(task, folder, f"{name}:error=EINTR:when=1+2")
        assert done["outcome"] == place.gave, name
        assert not done["noise"]
        assert [call.name for call in done["calls"]].count(name) > [call.name for call in place.calls].count(name)
        assert counting(folder) == place.after


@pytest.mark.parametrize(("task", "old", "fewest"), CASES)
def test_bytes_are_on_the_disk_before_their_name(
    warm: Forge, tmp_path: Path, task: str, old: bool, fewest: int
) -> None:
    """What a power cut leaves: every write comes before the fsync, this before the rename, then the folder's fsync."""
    place = Place(warm, tmp_path, task, old)
    temporary = place.calls[place.rename].paths[0]
    order = [
        "write" if call.name in ("write", "pwrite64", "ftruncate") else call.name
        for call in place.calls
        if call.name in ("write", "pwrite64", "ftruncate", "fsync", "rename")
        and (call.name == "fsync" or temporary in call.paths)
    ]
    assert re.fullmatch("(write )+fsync rename fsync", " ".join(order))
    synced = [call.paths[0] for call in place.calls if call.name == "fsync"]
    assert synced[0] == temporary
    assert synced[1] == ("shards" if "shard" in task else place.latest.name)


@pytest.mark.parametrize(("task", "old", "fewest"), CASES)
def test_file_system_without_fsync(warm: Forge, tmp_path: Path, task: str, old: bool, fewest: int) -> None:
    """Of folders: no matter, a lost name costs a repetition. Of files: an error, their bytes could be lost unseen."""
    place = Place(warm, tmp_path, task, old)
    folder = place.fresh()
    assert warm.run(task, folder, "fsync:error=EINVAL:when=2")["outcome"] == place.gave
    assert counting(folder) == place.after
    folder = place.fresh()
    failed = warm.run(task, folder, "fsync:error=EINVAL:when=1+")
    assert "Invalid argument" in failed["outcome"]["error"]
    assert counting(folder) == place.before
    assert names(folder) == place.files_before
