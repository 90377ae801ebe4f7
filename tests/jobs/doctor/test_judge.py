"""Every verdict of the doctor, from made-up facts."""

import copy
from pathlib import Path
from typing import Any

import pytest
from crbatch.cluster.connect import connect
from crbatch.cluster.doctor import Network, RoundTrip, probe_workers
from crbatch.jobs.doctor import folder, judge_cluster, judge_folder, judge_machine
from crbatch.jobs.doctor.facts import facts
from crbatch.jobs.doctor.lines import Line
from crbatch.jobs.doctor.text import doctor_text, verdict
from doctor_cases import states


@pytest.fixture(scope="module")
def well() -> dict[str, Any]:
    """What a worker of a sound cluster says; one thread, whatever this process has."""
    with connect("local", 1) as client:
        found: dict[str, Any] = next(iter(probe_workers(client, facts).values())).result
    return found


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
    sound = states(judge_machine.machine_lines(well))
    assert set(sound.values()) == {"ok"}
    found = states(judge_machine.machine_lines(changed(well, **changes)))
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
    assert set(states(judge_cluster.worker_lines(roomy, {"a": roomy, "b": roomy}, **one)).values()) == {"ok"}
    lines = judge_cluster.worker_lines(roomy, {"a": roomy, "b": changed(roomy, **changes)}, **one)
    assert {name: value for name, value in states(lines).items() if value != "ok"} == {("cluster", check): state}


def test_workers_themselves_can_fail(well: dict[str, Any]) -> None:
    both = {"a": well, "b": well}
    for workers, errors, threads, says in (
        ({}, {}, {}, "no worker is connected"),
        ({"a": well}, {"b": "ModuleNotFoundError: No module named 'jobs'"}, {"a": 1, "b": 1}, "b: ModuleNotFoundError"),
        (both, {}, {"a": 1, "b": 8}, "b: 8 tasks at a time"),
    ):
        line = judge_cluster.worker_lines(well, workers, errors, threads)[0]
        assert (line.check, line.state) == ("workers", "problem")
        assert says in line.found
    other = judge_cluster.worker_lines(changed(well, target="znver1"), both, {}, {"a": 1, "b": 1})
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
    assert set(states(judge_folder.folder_lines("/data", SOUND | {"inodes_free": None})).values()) == {"ok"}
    found = states(judge_folder.folder_lines("/data", SOUND | changes))
    assert {name: value for name, value in found.items() if value != "ok"} == {("folder", check): state}


@pytest.mark.slow("waits as long as the doctor does")
def test_folders_that_are_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's half of the exchange, where it sees, cannot write, or finds the lock free."""
    monkeypatch.setattr(folder, "_PATIENCE", 0.0)
    with folder.held_token(tmp_path, "token"):
        good = folder.exchange(str(tmp_path), "token")
        assert (good["seen"], good["written"], good["lock_refused"]) == (True, "", True)
        assert folder.wait_for(tmp_path / good["name"], "token", 0.0)
        assert not folder.exchange(str(tmp_path), "another")["seen"]
        assert "No such file" in folder.exchange(str(tmp_path / "none"), "token")["written"]
    free = folder.exchange(str(tmp_path), "token")
    assert not free["lock_refused"]
    check = ("cluster", "shared folder")
    assert states(judge_folder.sharing_lines({"a": good}, {}, {"a": True}))[check] == "ok"
    assert states(judge_folder.sharing_lines({"a": good}, {}, {"a": False}))[check] == "problem"
    assert (
        states(judge_folder.sharing_lines({"a": good | {"written": "read-only"}}, {}, {"a": True}))[check] == "problem"
    )
    assert states(judge_folder.sharing_lines({}, {"a": "KilledWorker"}, {}))[check] == "problem"
    assert states(judge_folder.sharing_lines({"a": free}, {}, {"a": True}))[("cluster", "shared locks")] == "warning"


def test_network_and_limits_can_fail(well: dict[str, Any]) -> None:
    def of(lines: Any) -> list[str]:
        return list(states(lines if isinstance(lines, list) else [lines]).values())

    far = "tcp://10.1.2.3:8786"
    assert of(judge_cluster.network_lines(Network("tcp://127.0.0.1:1", False, True, (), ()))) == ["ok", "ok"]
    assert of(judge_cluster.network_lines(Network(far, False, False, (), ()))) == ["problem", "ok"]
    assert of(judge_cluster.network_lines(Network("tls://10.1.2.3:1", True, False, ("0.0.0.0:8787",), ()))) == [
        "ok",
        "problem",
    ]
    assert of(judge_cluster.network_lines(Network("tls://10.1.2.3:1", True, False, (), ("scheduler: no",)))) == [
        "ok",
        "warning",
    ]
    for offset, state in ((0.2, "ok"), (-2.0, "warning"), (100.0, "problem")):
        assert of(judge_cluster.clock_line({"a": RoundTrip(0.01, 0.0), "b": RoundTrip(0.01, offset)})) == [state]
    assert of(judge_cluster.clock_line({"a": RoundTrip(8.0, 4.0)})) == ["ok"]  # no more than the trip leaves open
    assert of(judge_cluster.trip_line({"a": RoundTrip(0.5, 0.0)}, 1)) == ["warning"]
    assert of(judge_cluster.receipts_line(2e-3, 1000)) == ["ok"]
    assert of(judge_cluster.receipts_line(2e-3, 1001)) == ["warning"]
    assert of(judge_machine.open_files_line(well | {"open_files": 1024}, 100)) == ["ok"]
    assert of(judge_machine.open_files_line(well | {"open_files": 1024}, 1000)) == ["warning"]
    assert of(judge_machine.open_files_line(well | {"open_files": -1}, 10**6)) == ["ok"]
    talking = {"distributed": well["versions"]["distributed"]}
    assert of(judge_cluster.talking_line(well, talking)) == ["ok"]
    assert of(judge_cluster.talking_line(well, {"distributed": "1.0"})) == ["problem"]
    assert of(judge_cluster.talking_line(well, None)) == ["warning"]


def test_text_ends_with_the_verdict() -> None:
    good = Line("folder", "rename", "ok", "works")
    poor = Line("folder", "locks", "warning", "do not work", "take care")
    bad = Line("cluster", "versions", "problem", "differ", "install")
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
