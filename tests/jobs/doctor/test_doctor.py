"""What the doctor says of this machine and a real local cluster, and that every check can fail."""

import copy
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
from crbatch.cluster.doctor import Network, RoundTrip, network, probe_workers, round_trips
from crbatch.jobs import identity
from crbatch.jobs.doctor import examine, folder, verdicts
from crbatch.jobs.doctor.facts import facts
from crbatch.jobs.doctor.text import doctor_text, verdict
from crbatch.jobs.errors import Exit
from crbatch.jobs.terminal.progress import Progress
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


def states(lines: list[verdicts.Line]) -> dict[tuple[str, str], str]:
    assert len({(line.part, line.check) for line in lines}) == len(lines)
    for line in lines:
        assert (line.state == "ok") == (line.advice == ""), line
        assert line.found
        assert "\n" not in line.found + line.advice
    return {(line.part, line.check): line.state for line in lines}


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


def test_a_look_at_the_threads_starts_none() -> None:
    """Numba whose threads have started refuses to compile under another value of the variable."""
    code = (
        "import os, numba; from crbatch.jobs.doctor.facts import facts; facts(); "
        "os.environ['NUMBA_NUM_THREADS'] = str(numba.config.NUMBA_NUM_THREADS + 1); numba.njit(lambda: 0)()"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


# ---- every verdict, from made-up facts


def changed(well: dict[str, Any], **changes: Any) -> dict[str, Any]:
    out = copy.deepcopy(well)
    for key, value in changes.items():
        out[key] = out[key] | value if isinstance(value, dict) else value
    return out


@pytest.mark.parametrize(
    ("changes", "check", "state"),
    [
        ({"versions": {"numba": "not installed"}}, "versions", "problem"),
        ({"pools": {"openblas": 2}}, "threads", "problem"),
        ({"cache": {"mode": 0o755}}, "kernel cache", "warning"),
        ({"cache": {"trouble": "kernel cache /a: not yours"}}, "kernel cache", "warning"),
        ({"cache": {"filesystem": "nfs4"}}, "kernel cache", "warning"),
    ],
)
def test_machine_can_fail(well: dict[str, Any], changes: dict[str, Any], check: str, state: str) -> None:
    sound = states(verdicts.machine_lines(well))
    assert set(sound.values()) == {"ok"}
    found = states(verdicts.machine_lines(changed(well, **changes)))
    assert {name: value for name, value in found.items() if value != "ok"} == {("this machine", check): state}


@pytest.mark.parametrize(
    ("changes", "check", "state"),
    [
        ({"versions": {"distributed": "1.0"}}, "versions", "problem"),
        ({"code": "0" * 64}, "versions", "problem"),
        ({"pools": {"numba": 64}, "environment": {"NUMBA_NUM_THREADS": "unset"}}, "threads", "problem"),
        ({"target": "skylake:avx2", "cpu": "other"}, "CPU", "warning"),
        ({"environment": {"HDF5_USE_FILE_LOCKING": "unset"}}, "HDF5 locks", "warning"),
        ({"host": "small", "memory": 3e8}, "room", "problem"),
        ({"host": "small", "memory": 6e8}, "room", "warning"),
        ({"host": "small", "cores": 0}, "room", "warning"),
        ({"cache": {"trouble": "kernel cache /a: not yours"}}, "kernel cache", "warning"),
    ],
)
def test_worker_can_fail(well: dict[str, Any], changes: dict[str, Any], check: str, state: str) -> None:
    one = {"threads": {"a": 1, "b": 1}, "errors": {}}
    roomy = changed(well, cores=2, memory=4e9)
    assert set(states(verdicts.worker_lines(roomy, {"a": roomy, "b": roomy}, **one)).values()) == {"ok"}
    lines = verdicts.worker_lines(roomy, {"a": roomy, "b": changed(roomy, **changes)}, **one)
    assert {name: value for name, value in states(lines).items() if value != "ok"} == {("cluster", check): state}


def test_workers_themselves_can_fail(well: dict[str, Any]) -> None:
    both = {"a": well, "b": well}
    for workers, errors, threads, says in (
        ({}, {}, {}, "no worker is connected"),
        ({"a": well}, {"b": "ModuleNotFoundError: No module named 'jobs'"}, {"a": 1, "b": 1}, "b: ModuleNotFoundError"),
        (both, {}, {"a": 1, "b": 8}, "b: 8 tasks at a time"),
    ):
        line = verdicts.worker_lines(well, workers, errors, threads)[0]
        assert (line.check, line.state) == ("workers", "problem")
        assert says in line.found
    other = verdicts.worker_lines(changed(well, target="znver1"), both, {}, {"a": 1, "b": 1})
    assert states(other)[("cluster", "CPU")] == "warning"


SOUND = {
    "filesystem": "ext4", "sync_file": 1e-3, "sync_folder": 1e-3, "rename": "", "lock": "", "bytes_free": 1e12,
    "inodes_free": 10**7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "check", "state"),
    [
        ({"sync_file": "Input/output error"}, "sync of a file", "problem"),
        ({"sync_folder": "Invalid argument"}, "sync of a folder", "problem"),
        ({"sync_file": 0.5}, "sync of a file", "warning"),
        ({"rename": "Operation not permitted"}, "rename", "problem"),
        ({"lock": "No locks available"}, "locks", "warning"),
        ({"bytes_free": 1e6}, "free space", "problem"),
        ({"bytes_free": 1e9}, "free space", "warning"),
        ({"inodes_free": 10}, "free inodes", "problem"),
        ({"inodes_free": 10_000}, "free inodes", "warning"),
    ],
)
def test_folder_can_fail(changes: dict[str, Any], check: str, state: str) -> None:
    assert set(states(verdicts.folder_lines("/data", SOUND | {"inodes_free": None})).values()) == {"ok"}
    found = states(verdicts.folder_lines("/data", SOUND | changes))
    assert {name: value for name, value in found.items() if value != "ok"} == {("folder", check): state}


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


@pytest.mark.slow("waits as long as the doctor does")
def test_folders_that_are_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's half of the exchange, where it sees, cannot write, or finds the lock free."""
    monkeypatch.setattr(folder, "_PATIENCE", 0.0)
    with folder.held_token(tmp_path, "token"):
        good = folder.exchange(str(tmp_path), "token", "mine")
        assert (good["seen"], good["written"], good["lock_refused"]) == (True, "", True)
        assert folder.wait_for(tmp_path / "mine", "token", 0.0)
        assert not folder.exchange(str(tmp_path), "another", "mine")["seen"]
        assert "No such file" in folder.exchange(str(tmp_path), "token", "no/such/name")["written"]
    free = folder.exchange(str(tmp_path), "token", "mine")
    assert not free["lock_refused"]
    check = ("cluster", "shared folder")
    assert states(verdicts.sharing_lines({"a": good}, {}, {"a": True}))[check] == "ok"
    assert states(verdicts.sharing_lines({"a": good}, {}, {"a": False}))[check] == "problem"
    assert states(verdicts.sharing_lines({"a": good | {"written": "read-only"}}, {}, {"a": True}))[check] == "problem"
    assert states(verdicts.sharing_lines({}, {"a": "KilledWorker"}, {}))[check] == "problem"
    assert states(verdicts.sharing_lines({"a": free}, {}, {"a": True}))[("cluster", "shared locks")] == "warning"


def test_network_and_limits_can_fail(well: dict[str, Any]) -> None:
    def of(lines: Any) -> list[str]:
        return list(states(lines if isinstance(lines, list) else [lines]).values())

    far = "tcp://10.1.2.3:8786"
    assert of(verdicts.network_lines(Network("tcp://127.0.0.1:1", False, True, (), ()))) == ["ok", "ok"]
    assert of(verdicts.network_lines(Network(far, False, False, (), ()))) == ["problem", "ok"]
    assert of(verdicts.network_lines(Network("tls://10.1.2.3:1", True, False, ("0.0.0.0:8787",), ()))) == [
        "ok",
        "problem",
    ]
    assert of(verdicts.network_lines(Network("tls://10.1.2.3:1", True, False, (), ("scheduler: no",)))) == [
        "ok",
        "warning",
    ]
    for offset, state in ((0.2, "ok"), (-2.0, "warning"), (100.0, "problem")):
        assert of(verdicts.clock_line({"a": RoundTrip(0.01, 0.0), "b": RoundTrip(0.01, offset)})) == [state]
    assert of(verdicts.clock_line({"a": RoundTrip(8.0, 4.0)})) == ["ok"]  # no more than the trip leaves open
    assert of(verdicts.trip_line({"a": RoundTrip(0.5, 0.0)}, 1)) == ["warning"]
    assert of(verdicts.receipts_line(2e-3, 1000, 4.0, 0.5)) == ["ok"]
    assert of(verdicts.receipts_line(2e-3, 1001, 4.0, 0.5)) == ["warning"]
    assert of(verdicts.open_files_line(well | {"open_files": 1024}, 100)) == ["ok"]
    assert of(verdicts.open_files_line(well | {"open_files": 1024}, 1000)) == ["warning"]
    assert of(verdicts.open_files_line(well | {"open_files": -1}, 10**6)) == ["ok"]
    talking = {"distributed": well["versions"]["distributed"]}
    assert of(verdicts.talking_line(well, talking)) == ["ok"]
    assert of(verdicts.talking_line(well, {"distributed": "1.0"})) == ["problem"]
    assert of(verdicts.talking_line(well, None)) == ["warning"]


def test_text_ends_with_the_verdict() -> None:
    good = verdicts.Line("folder", "rename", "ok", "works")
    poor = verdicts.Line("folder", "locks", "warning", "do not work", "take care")
    bad = verdicts.Line("cluster", "versions", "problem", "differ", "install")
    for lines, says in (
        ([good], "all 1 checks are ok"),
        ([good, poor], "no problem, 1 warning:"),
        ([good, poor, bad], "1 problem, 1 warning:"),
    ):
        text = doctor_text(lines)
        assert verdict(lines).startswith(says)
        assert text.splitlines()[-1] == verdict(lines)
        for line in lines:
            assert line.found in text
            assert not line.advice or f"-> {line.advice}" in text
