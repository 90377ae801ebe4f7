"""Shards and cube after SIGKILL at every system call of their writing, and after every call that fails."""

import re
import shutil
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
        folder = self.fresh()
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
        assert killed["code"] == -9
        assert masked(killed["calls"]) == masked(place.calls[: at + 1])
        assert counting(folder) == (place.before if at <= place.rename else place.after), call
        assert warm.run(task, folder, traced=False)["outcome"] == place.gave
        assert counting(folder) == place.after, call
        survived += 1
    record_property("crash points survived", f"{survived} of {len(place.calls)}")
