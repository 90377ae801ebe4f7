"""What the doctor says of this machine and a real local cluster, and that every check can fail."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from crbatch.cluster.connect import connect
from crbatch.cluster.doctor import network, probe_workers, round_trips
from crbatch.jobs import identity
from crbatch.jobs.doctor import examine, folder
from crbatch.jobs.doctor.facts import facts
from crbatch.jobs.errors import Exit
from crbatch.jobs.terminal.progress import Progress
from doctor_cases import states
from job_cases import crbatch

Captured = pytest.CaptureFixture[str]

# Workers cannot import this file, so its functions travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

READ_ONLY = Path("/sys")  # even to root
LINES_HERE = {
    ("this machine", name)
    for name in ("versions", "package", "CPU", "cores and memory", "threads", "kernel cache", "open files")
}
LINES_FOLDER = {
    ("folder", name)
    for name in ("writable", "sync of a file", "sync of a folder", "rename", "locks", "free space", "free inodes")
}
LINES_CLUSTER = {
    ("cluster", name)
    for name in (
        *"workers versions package threads CPU room scheduler encryption dashboard clocks receipts".split(),
        *("HDF5 locks", "kernel cache", "shared folder", "shared locks", "round trip"),
    )
}


@pytest.fixture(scope="module")
def shared_client() -> Iterator[Any]:
    with connect("local", 2) as client:
        yield client


@pytest.fixture
def client(shared_client: Any) -> Any:
    shared_client.wait_for_workers(2)  # the test before may have killed one
    return shared_client


@pytest.fixture(scope="module")
def well(shared_client: Any) -> dict[str, Any]:
    """What a worker of a sound cluster says; one thread, whatever this process has."""
    return next(iter(probe_workers(shared_client, facts).values())).result


# ---- the command


def test_this_machine_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """The folder need not be there, is not made, and nothing is left beside it."""
    code = crbatch(monkeypatch, "doctor", "-o", tmp_path / "not" / "yet", "--json")
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    found = {(line["part"], line["check"]): line["state"] for line in answer["checks"]}
    assert set(found) == LINES_HERE | LINES_FOLDER
    assert (code == Exit.ENVIRONMENT) == ("problem" in found.values())
    assert captured.err == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow("starts a cluster")
def test_local_cluster_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    crbatch(monkeypatch, "doctor", "-o", tmp_path, "--cluster", "local", "--workers", 2)
    captured = capsys.readouterr()
    text = captured.out
    cluster = text[text.index("\ncluster\n") :]
    assert "problem " not in cluster
    assert "2 answer, on 1 machine" in cluster
    assert "results are equal to the bit" in cluster
    assert "each worker reads what is written here" in cluster
    assert "\x1b" not in text
    assert "asking the workers" in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow("starts a cluster")
def test_every_line_is_there(client: Any, well: dict[str, Any], tmp_path: Path) -> None:
    found = states(examine.cluster_lines(client, well, tmp_path))
    assert set(found) == LINES_CLUSTER
    assert "problem" not in found.values()


def test_folder_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert crbatch(monkeypatch, "doctor", "-o", READ_ONLY) == Exit.ENVIRONMENT
    text = capsys.readouterr().out
    assert "problem  writable" in text
    assert "/sys cannot be written to" in text
    assert "-> choose a folder of yours with -o" in text


def test_unknown_profile_is_a_wrong_use(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert crbatch(monkeypatch, "doctor", "--cluster", "slrum") == Exit.USAGE
    assert "slrum" in capsys.readouterr().err


def test_cluster_that_does_not_start_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crbatch.cluster.errors import ClusterError

    def refuse(*_: object, **__: object) -> Any:
        raise ClusterError("2 local workers did not start: no")

    monkeypatch.setattr(examine, "connect", refuse)
    lines = examine.examine("local", 2, tmp_path, Progress(quiet=True))
    assert states(lines)[("cluster", "connection")] == "problem"
    assert states(lines)[("folder", "writable")] == "ok"


# ---- a real cluster, broken on purpose


@pytest.mark.slow("starts a cluster")
def test_worker_with_another_version(client: Any, well: dict[str, Any]) -> None:
    def older() -> None:
        from crbatch.jobs import identity

        identity.versions.cache_clear()
        identity.code_key.cache_clear()
        identity.version = lambda name: "0.0.9" if name == "numba" else "1.0"

    def same() -> None:
        from importlib.metadata import version

        from crbatch.jobs import identity

        identity.version = version
        identity.versions.cache_clear()
        identity.code_key.cache_clear()

    victim = sorted(client.nthreads())[1]
    client.run(older, workers=[victim])
    try:
        lines = examine.cluster_lines(client, well, None)
    finally:
        client.run(same, workers=[victim])
    line = next(line for line in lines if (line.part, line.check) == ("cluster", "versions"))
    assert line.state == "problem"
    assert line.found.startswith(f"{victim}: ")
    assert f"numba 0.0.9 there, {identity.versions()['numba']} here" in line.found


@pytest.mark.slow("waits as long as the doctor does")
def test_worker_that_does_not_see_the_folder(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same name is another place in another process."""
    monkeypatch.setattr(folder, "_PATIENCE", 0.0)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        lines = examine._sharing(client, Path(f"/proc/self/fd/{descriptor}"))
    finally:
        os.close(descriptor)
    assert states(lines) == {("cluster", "shared folder"): "problem"}
    assert "cannot see a file that was written here" in lines[0].found


def test_worker_that_dies_or_cannot_answer_is_named(client: Any) -> None:
    def only_one_answers(survivor: str) -> int:
        from distributed import get_worker

        if get_worker().address != survivor:
            raise ZeroDivisionError("nothing to divide by")
        return 7

    survivor, other = sorted(client.nthreads())
    answers = probe_workers(client, only_one_answers, survivor)
    assert answers[survivor].result == 7
    assert answers[other].error == "ZeroDivisionError: nothing to divide by"


def test_worker_that_keeps_silent_is_named(client: Any) -> None:
    answers = probe_workers(client, time.sleep, 2.0, seconds=0.1)
    assert {answer.error for answer in answers.values()} == {"no answer within 0.1 s"}


@pytest.mark.slow("kills processes")
def test_killed_worker_is_named(client: Any) -> None:
    victim = sorted(client.nthreads())[0]

    def die(victim: str) -> None:
        from distributed import get_worker

        if get_worker().address == victim:
            os.kill(os.getpid(), signal.SIGKILL)

    answers = probe_workers(client, die, victim)
    assert "KilledWorker" in answers[victim].error


@pytest.mark.slow("starts a cluster")
def test_round_trips_and_network(client: Any) -> None:
    trips = round_trips(client, client.nthreads(), repeats=2)
    assert set(trips) == set(client.nthreads())
    for trip in trips.values():
        assert trip.seconds > 0.0
        assert abs(trip.clock_offset) <= trip.seconds / 2.0 + 0.01
    net = network(client)
    assert (net.local, net.encrypted, net.pages, net.unknown) == (True, True, (), ())


def test_page_for_everybody_is_found() -> None:
    """A cluster with Dask's own settings listens on all interfaces."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="0.0.0.0:0", worker_dashboard_address=None) as it,
        Client(it) as client,
    ):
        pages = network(client).pages
    assert len(pages) == 1
    assert pages[0].startswith("0.0.0.0:")


@pytest.mark.slow("starts processes")
def test_a_look_at_the_threads_starts_none() -> None:
    """Numba whose threads have started refuses to compile under another value of the variable."""
    code = (
        "import os, numba; from crbatch.jobs.doctor.facts import facts; facts(); "
        "os.environ['NUMBA_NUM_THREADS'] = str(numba.config.NUMBA_NUM_THREADS + 1); numba.njit(lambda: 0)()"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_broken_file_system_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each probe meets a system call that fails, or does nothing."""

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        tried = folder.folder_facts(tmp_path)
        assert "Input/output error" in tried["sync_file"]
        assert "Input/output error" in tried["sync_folder"]
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", lambda old, new: None)
        assert folder.folder_facts(tmp_path)["rename"] != ""
    with monkeypatch.context() as broken:
        broken.setattr(folder.fcntl, "flock", lambda file, how: None)
        assert folder.folder_facts(tmp_path)["lock"] == "flock lets two have the same lock"
    with monkeypatch.context() as broken:
        broken.setattr(folder.fcntl, "lockf", fail)
        assert "Input/output error" in folder.folder_facts(tmp_path)["lock"]
    assert folder.folder_facts(tmp_path)["lock"] == ""
