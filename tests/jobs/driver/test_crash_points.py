"""Shards and cube after SIGKILL at every system call of their writing, and after every call that fails."""

import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from crash_cases import COUNT, Call, Forge, consolidate, forge, names, prepare, write_shard
from crbatch.results.shards import list_shards, verify_shard

pytestmark = pytest.mark.system

# What is written, and whether an older one lies there.
CASES = [("shard", False), ("shard", True), ("received shard", False), ("cube", False), ("cube", True)]
FEWEST_CALLS = {"shard": 60, "received shard": 20, "cube": 150}
WRITES = ("write", "pwrite64", "ftruncate")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    assert shutil.which("strace"), "these tests need strace"
    with forge(tmp_path_factory.mktemp("forge") / "log") as process:
        yield process


class Place:
    """A folder that is laid out anew for each crash, and what a task makes of it when nothing happens."""

    def __init__(self, warm: Forge, root: Path, task: str, old: bool) -> None:
        self.warm, self.task = warm, task
        self.name = task + " over an old one" * old
        self._base, self._root, self._number = root / "base", root, 0
        self._base.mkdir()
        prepare(self._base, task)
        if old:
            write_shard(self._base) if task == "shard" else consolidate(self._base, COUNT // 2)
        self.before, self.files_before = counting(self._base), names(self._base)
        done = self.run()
        self.gave, self.calls = done["outcome"], done["calls"]
        self.after, self.files_after = counting(self.folder), names(self.folder)
        self.rename = [call.name for call in self.calls].index("rename")
        assert len(self.calls) >= FEWEST_CALLS[task]

    def run(self, inject: str | None = None) -> dict[str, Any]:
        """Do the task in a fresh folder."""
        self.folder = self._root / str(self._number)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._number += 1
        self.folder = Path(shutil.copytree(self._base, self._root / str(self._number)))
        return self.warm.run(self.task, self.folder, inject)

    def check_next(self) -> None:
        """The next process, in the same folder, has no trouble and gives the same bytes."""
        assert self.warm.run(self.task, self.folder, traced=False)["outcome"] == self.gave
        assert counting(self.folder) == self.after


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}{' over an old one' * case[1]}")
def place(request: pytest.FixtureRequest, warm: Forge, tmp_path: Path) -> Place:
    return Place(warm, tmp_path, *request.param)


def counting(folder: Path) -> dict[str, bytes]:
    """What counts: shards by name, each of them whole, and the cube."""
    shards = list_shards(folder / "shards")
    for shard in shards:
        verify_shard(shard)
    paths = [shard.path for shard in shards] + [path for path in [folder / "cube.nc"] if path.exists()]
    return {path.name: path.read_bytes() for path in paths}


def masked(calls: Sequence[Call]) -> list[Call]:
    """Calls without the random part of temporary names and the process in them, and the number of the folder."""
    return [
        Call(
            call.name,
            call.number,
            tuple(re.sub(r"^(\.[0-9a-f]{32}\.[A-Za-z0-9_-]*\.\d+|\d+$)", "", path) for path in call.paths),
        )
        for call in calls
    ]


def test_killed_at_any_call(place: Place, record_testsuite_property: Callable[[str, object], None]) -> None:
    """What counts is what counted before, up to the rename, and the whole of the new from there on."""
    survived = 0
    for at, call in enumerate(place.calls):
        killed = place.run(f"{call.name}:signal=KILL:when={call.number}")
        assert killed["code"] == -signal.SIGKILL
        assert masked(killed["calls"]) == masked(place.calls[: at + 1])
        assert counting(place.folder) == (place.before if at <= place.rename else place.after), call
        place.check_next()
        survived += 1
    record_testsuite_property(f"crash points survived, {place.name}", f"{survived} of {len(place.calls)}")


def faults(calls: Sequence[Call]) -> Iterator[tuple[int, str]]:
    """Every call that makes, writes, closes or names a file: failing once, or on a disk that is full from there on."""
    for at, call in enumerate(calls):
        if call.name in ("openat", *WRITES, "fsync", "rename"):
            yield at, f"{call.name}:error=ENOSPC:when={call.number}"
        if call.name == "pwrite64":
            yield at, f"{call.name}:error=ENOSPC:when={call.number}+"
        if call.name in ("openat", *WRITES, "fsync", "rename", "close"):
            yield at, f"{call.name}:error=EIO:when={call.number}"


def test_any_call_fails(place: Place, record_testsuite_property: Callable[[str, object], None]) -> None:
    """One OSError and no trace, or the very bytes; only where HDF5 cannot close its file does the process die."""
    endings: Counter[str] = Counter()
    for at, inject in faults(place.calls):
        failed = place.run(inject)
        if failed["code"] != 0:
            endings["died"] += 1
            assert failed["code"] == -signal.SIGSEGV, failed
            assert last_of_hdf5(place.calls, at), inject
            assert counting(place.folder) == place.before
        elif "error" in failed["outcome"]:
            endings["OSError"] += 1
            check_error(place, at, inject, failed)
        else:
            endings["done"] += 1
            assert place.calls[at].name in ("openat", "close"), inject  # a look that HDF5 or a listing can do without
            assert failed["outcome"] == place.gave
            assert names(place.folder) == place.files_after
        assert failed["code"] != 0 or not failed["noise"], failed
        place.check_next()
    record_testsuite_property(f"calls failed, {place.name}", dict(endings))
    assert endings["OSError"] > endings["done"] + endings["died"]


def check_error(place: Place, at: int, inject: str, failed: dict[str, Any]) -> None:
    """Nothing new but what had its name already; the same process can do it again once the disk is well."""
    lasting = inject.endswith("+")
    files = place.files_before if at <= place.rename else place.files_after
    outcome = failed["outcome"]
    assert outcome["files"] == files, inject
    assert names(place.folder) == (files if lasting else place.files_after), inject
    assert lasting or outcome["again"] == place.gave, inject
    assert not inject.startswith("pwrite64") or "is the disk full?" in outcome["error"]
    if inject.startswith("fsync") and at < place.rename:
        synced = next(call.paths for call in failed["calls"] if call.name == "fsync")
        assert synced[0].endswith(".tmp")
        assert not any(call.name == "rename" and call.paths[0] == synced[0] for call in failed["calls"])


def last_of_hdf5(calls: Sequence[Call], at: int) -> bool:
    """Whether a call is the close of a file that HDF5 has open, or the write just before it."""
    closing = at if calls[at].name == "close" else at + 1
    opened = [call.paths for call in calls[:closing] if call.name in ("pread64", "pwrite64")]
    return calls[closing].name == "close" and calls[closing].paths in opened


def test_interrupted_calls_are_made_again(place: Place) -> None:
    """Every other call is interrupted: each of them, that is, and not its repetition."""
    before = Counter(call.name for call in place.calls)
    for name in {"pread64", "write", "pwrite64", "fsync"} & before.keys():
        done = place.run(f"{name}:error=EINTR:when=1+2")
        assert done["outcome"] == place.gave, name
        assert not done["noise"]
        assert Counter(call.name for call in done["calls"])[name] == 2 * before[name]
        assert counting(place.folder) == place.after


def test_bytes_are_on_the_disk_before_their_name(place: Place) -> None:
    """What a power cut leaves: every write comes before the fsync, this before the rename, then the folder's fsync."""
    temporary, final = place.calls[place.rename].paths
    seen = [call for call in place.calls if temporary in call.paths or call.name == "fsync"]
    order = ["write" if call.name in WRITES else call.name for call in seen]
    kept = " ".join(name for name in order if name in ("write", "fsync", "rename"))
    assert re.fullmatch("(write )+fsync rename fsync", kept)
    file, folder = (call.paths[0] for call in seen if call.name == "fsync")
    assert file == temporary
    assert folder == (place.folder.name if final == "cube.nc" else "shards")


def test_file_system_without_fsync(place: Place) -> None:
    """Of folders: no matter, a lost name costs a repetition. Of files: an error, or their bytes could get lost."""
    assert place.run("fsync:error=EINVAL:when=2")["outcome"] == place.gave
    assert counting(place.folder) == place.after
    failed = place.run("fsync:error=EINVAL:when=1+")
    assert "Invalid argument" in failed["outcome"]["error"]
    assert counting(place.folder) == place.before
    assert names(place.folder) == place.files_before
