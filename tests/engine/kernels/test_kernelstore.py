"""Where kernels are kept: nothing that others could have put there is read, and no trouble there ends a run."""

import errno
import logging
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from crbatch.engine.kernels.jit import kernelstore
from crbatch.engine.kernels.jit.kernelfolder import KernelFolder
from crbatch.engine.kernels.jit.kernelstore import STAND_IN, STAND_IN_PREFIX, KernelStore

Log = pytest.LogCaptureFixture
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: Patch, caplog: Log) -> Path:
    """Temporary folder of these tests alone."""
    caplog.set_level(logging.WARNING)
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv(STAND_IN, "")
    monkeypatch.setattr(kernelstore, "_OTHER_PLACES", ())
    return temporary


def stand_ins(place: Path) -> list[Path]:
    return sorted(place.glob(f"{STAND_IN_PREFIX}*"))


def test_what_is_written_is_read_and_private(place: Path) -> None:
    KernelFolder(place / "a" / "b").write("one", b"1")
    assert KernelFolder(place / "a" / "b").read("one") == b"1"
    assert KernelFolder(place / "a" / "b").read("two") is None
    assert (place / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert (place / "a" / "b" / "one").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_folder_that_others_can_write_to_is_refused(place: Path, mode: int) -> None:
    folder = place / "a"
    KernelFolder(folder).write("one", b"1")
    folder.chmod(mode)
    with pytest.raises(PermissionError, match=f"others can exchange what is in {folder}") as told:
        KernelFolder(folder).read("one")
    assert told.value.filename == str(folder)


def test_folder_that_others_can_exchange_is_refused(place: Path) -> None:
    folder = place / "open" / "a"
    KernelFolder(folder).write("one", b"1")
    folder.parent.chmod(0o777)
    with pytest.raises(PermissionError, match=f"others can exchange what is in {folder.parent}"):
        KernelFolder(folder).read("one")
    folder.parent.chmod(0o1777)  # as /tmp is
    assert KernelFolder(folder).read("one") == b"1"


@pytest.mark.parametrize("kind", ["link", "pipe", "writable", "folder"])
def test_only_files_of_ones_own_are_read(place: Path, kind: str) -> None:
    folder = KernelFolder(place / "a")
    folder.write("one", b"1")
    path = place / "a" / "one"
    if kind == "writable":
        path.chmod(0o666)
    else:
        path.rename(place / "planted")
        if kind == "link":
            path.symlink_to(place / "planted")
        elif kind == "pipe":
            os.mkfifo(path, 0o600)
        else:
            path.mkdir()
    with pytest.raises(OSError, match=str(path)):
        folder.read("one")
    assert KernelStore(place / "a").read("one") is None


def test_link_that_is_swapped_after_the_check_is_not_followed(place: Path) -> None:
    """What was opened is held: a folder that takes its name later is another one."""
    folder, other = KernelFolder(place / "a"), KernelFolder(place / "b")
    folder.write("one", b"ours")
    other.write("one", b"planted")
    (place / "a").rename(place / "kept")
    (place / "a").symlink_to(place / "b")
    assert folder.read("one") == b"ours"


def test_users_own_links_are_followed(place: Path) -> None:
    (place / "link").symlink_to("real")
    KernelFolder(place / "link" / "a").write("one", b"1")
    assert (place / "real" / "a" / "one").read_bytes() == b"1"
    (place / "loop").symlink_to("loop")
    with pytest.raises(OSError, match=str(place / "loop")):
        KernelFolder(place / "loop").write("one", b"1")


@pytest.mark.system  # gives files away
@pytest.mark.parametrize("kind", ["folder", "link", "above", "file"])
def test_what_belongs_to_somebody_else_is_refused(place: Path, kind: str) -> None:
    folder = KernelFolder(place / "up" / "a")
    folder.write("one", b"1")
    if kind == "link":
        (place / "link").symlink_to("up")
        os.chown(place / "link", 4321, 4321, follow_symlinks=False)
        folder = KernelFolder(place / "link" / "a")
    else:
        os.chown(
            {"folder": place / "up" / "a", "above": place / "up", "file": place / "up" / "a" / "one"}[kind], 4321, 0
        )
    with pytest.raises(OSError, match=str(place)):
        KernelFolder(folder.path).read("one")


def test_stand_in_of_another_machine_is_none(place: Path, monkeypatch: Patch, caplog: Log) -> None:
    monkeypatch.setenv(STAND_IN, str(place / "elsewhere"))
    KernelStore(place / "a").write("one", b"1")
    assert (place / "a" / "one").exists()
    assert not caplog.records


def test_stand_in_that_vanishes_is_followed_by_another(place: Path, monkeypatch: Patch) -> None:
    (place / "a").write_text("")
    (place / "gone").mkdir(mode=0o700)
    monkeypatch.setenv(STAND_IN, str(place / "gone"))
    store = KernelStore(place / "a")
    store.write("one", b"1")
    (place / "gone" / "one").unlink()
    (place / "gone").rmdir()
    store.write("two", b"2")
    assert store.read("two") == b"2"
    store.remove_stand_in()


@pytest.mark.system  # mounts
@pytest.mark.parametrize("options", ["size=1M", "ro"], ids=["full", "read-only"])
def test_disk_that_takes_nothing(place: Path, caplog: Log, options: str) -> None:
    usual = place / "disk" / "a"
    (place / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{options},mode=0755", "none", place / "disk"], check=True)
    try:
        store = KernelStore(usual)
        assert store.trouble().startswith(f"kernel cache {usual}")
        with store.alone() as kept:
            assert kept
            store.write("one", bytes(2**21))
        (made,) = stand_ins(place)
        assert (made / "one").stat().st_size == 2**21
        assert len(caplog.messages) == 1
        store.remove_stand_in()
        assert not stand_ins(place)
    finally:
        subprocess.run(["umount", "--lazy", place / "disk"], check=True)


def test_folder_that_vanishes_is_made_again(place: Path) -> None:
    """As one below /tmp does when a boot, or a service that tidies up, clears it."""
    store = KernelStore(place / "a")
    store.write("one", b"1")
    (place / "a" / "one").unlink()
    (place / "a").rmdir()
    assert store.read("one") is None
    store.write("two", b"2")
    assert store.read("two") == b"2"
    assert not stand_ins(place)


@pytest.mark.parametrize("kind", ["file", "dangling", "open", "full", "failing"])
def test_trouble_is_said_once_and_a_stand_in_is_shared(place: Path, monkeypatch: Patch, caplog: Log, kind: str) -> None:
    usual = place / "a"
    if kind == "file":
        usual.write_text("")
    elif kind == "dangling":
        usual.symlink_to("/proc/none/here")
    elif kind == "open":
        usual.mkdir()
        usual.chmod(0o777)
    elif kind == "full":
        rooms = monkeypatch_room(monkeypatch, usual)
    else:
        monkeypatch.setattr(KernelFolder, "_write", failing(usual, KernelFolder._write))
    store = KernelStore(usual)
    with store.alone() as kept:
        assert kept
        store.write("one", b"1")
        store.write("two", b"2")
    assert store.read("one") == b"1"
    (made,) = stand_ins(place)
    (record,) = caplog.records
    assert record.getMessage().startswith(f"crbatch: warning: kernel cache {usual}")
    assert str(made) in record.getMessage()
    assert "\n" not in record.getMessage()
    assert os.environ[STAND_IN] == str(made)
    child = KernelStore(usual)
    child.write("three", b"3")
    assert store.read("three") == b"3"
    assert child.trouble().startswith(f"kernel cache {usual}")
    assert len(caplog.records) == 1
    child.remove_stand_in()
    assert stand_ins(place) == [made]
    store.remove_stand_in()
    assert not stand_ins(place)
    assert kind != "full" or rooms


def monkeypatch_room(monkeypatch: Patch, full: Path) -> list[Path]:
    asked = []

    def check(path: Path) -> None:
        asked.append(path)
        if path == full:
            raise OSError(errno.ENOSPC, "less than 64 MiB are free", str(path))

    monkeypatch.setattr(kernelstore, "_check_room", check)
    return asked


def failing(full: Path, write):  # type: ignore[no-untyped-def]
    def replaced(self: KernelFolder, folder: int, name: str, data: bytes) -> None:
        if self.path == full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, folder, name, data)

    return replaced


def test_without_any_place_nothing_is_kept(place: Path, monkeypatch: Patch, caplog: Log) -> None:
    (place / "a").write_text("")
    monkeypatch.setattr(kernelstore, "_ROOM", 1 << 80)
    store = KernelStore(place / "a")
    with store.alone() as kept:
        assert not kept
        store.write("one", b"1")
    assert store.read("one") is None
    (record,) = caplog.records
    assert "kernels are not kept" in record.getMessage()


def test_one_works_alone_and_the_others_wait(place: Path, caplog: Log) -> None:
    done: list[str] = []

    def work(name: str) -> None:
        with KernelStore(place / "a").alone():
            done.append(f"{name} begins")
            time.sleep(0.3)
            done.append(f"{name} ends")

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [words.split()[1] for words in done] == ["begins", "ends"] * 3
    assert caplog.messages == [f"crbatch: another process compiles the kernels into {place / 'a'}; waiting for it"] * 2


def test_lock_of_a_dead_process_holds_up_nobody(place: Path, caplog: Log) -> None:
    if (child := os.fork()) == 0:
        KernelFolder(place / "a").lock("lock", lambda: None)
        os._exit(0)
    os.waitpid(child, 0)
    with KernelStore(place / "a").alone() as kept:
        assert kept
    assert not caplog.records
