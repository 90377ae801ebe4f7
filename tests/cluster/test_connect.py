"""Worker processes are really started here, and some of them really killed."""

import importlib.util
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import cloudpickle
import psutil
import pytest
from crbatch.cluster.connect import connect
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.machine import usable_cores
from crbatch.cluster.threads import THREAD_VARIABLES, WORKER_ENVIRONMENT

PACKAGES = ("crbatch.engine", "crbatch.jobs", "crbatch.cluster", "crbatch.results")

# Workers cannot import this file, so its functions travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def listening_addresses(pid):
    sockets = psutil.Process(pid).net_connections(kind="inet")
    return {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}


def effective_threads():
    import numba
    import numpy  # noqa: F401  loads the BLAS that is asked below
    import threadpoolctl

    return {numba.get_num_threads(), *(pool["num_threads"] for pool in threadpoolctl.threadpool_info())}


def origins():
    return {name: importlib.util.find_spec(name).origin for name in PACKAGES}


def test_none_is_no_cluster():
    with connect("none") as client:
        assert client is None


@pytest.mark.parametrize(
    ("kind", "workers", "reason"),
    [("slrum", None, "there are local, none"), ("local", 0, "from 1"), ("local", 10**11, "to 10000")],
)
def test_what_cannot_be_connected_is_refused(kind, workers, reason):
    with pytest.raises(ClusterError, match=reason), connect(kind, workers):
        pass


@pytest.mark.slow("starts a cluster")
def test_as_many_workers_as_usable_cores():
    with connect("local") as client:
        assert len(client.nthreads()) == usable_cores()


def test_workers_are_processes_of_one_thread(client):
    pids = set(client.run(os.getpid).values())
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert list(client.nthreads().values()) == [1, 1]


def test_every_thread_count_is_pinned_inside_the_workers(client):
    for environment in client.run(lambda: dict(os.environ)).values():
        assert environment.items() >= WORKER_ENVIRONMENT.items()
    assert list(client.run(effective_threads).values()) == [{1}, {1}]


@pytest.mark.slow("starts a cluster")
def test_pins_win_over_the_shell_and_are_gone_afterwards(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with connect("local", 1) as client:
        (environment,) = client.run(lambda: dict(os.environ)).values()
    assert environment.items() >= THREAD_VARIABLES.items()
    assert {name: os.environ.get(name) for name in WORKER_ENVIRONMENT} == {
        name: before.get(name) for name in WORKER_ENVIRONMENT
    }


def test_nothing_listens_beyond_this_machine(client):
    for pid in (os.getpid(), *client.run(os.getpid).values()):
        assert listening_addresses(pid) == {"127.0.0.1"}


@pytest.mark.slow("starts a cluster")
def test_scratch_folder_is_private_and_removed():
    with connect("local", 1) as client:
        (worker_folder,) = client.run(lambda dask_worker: dask_worker.local_directory).values()
        (folder,) = (parent for parent in Path(worker_folder).parents if parent.name.startswith("crbatch-"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
    assert not [entry for entry in sys.path if entry.startswith(str(folder))]


def run_script(folder, source):
    script = folder / "drive.py"
    script.write_text(textwrap.dedent(source))
    return [sys.executable, "-W", "error", str(script)]


def test_a_users_folder_does_not_shadow_the_packages(tmp_path):
    home = tmp_path / "home"
    (home / "results").mkdir(parents=True)
    for stray in ("jobs.py", "engine.py", "pickle.py", "results/__init__.py"):
        (home / stray).write_text("raise ImportError('the user file was imported')\n")
    command = run_script(
        tmp_path,
        f"""
        import importlib.util
        from crbatch.cluster.connect import connect
        from crbatch.cluster.dispatch import dispatch

        def origin(name):
            return importlib.util.find_spec(name).origin

        if __name__ == "__main__":
            with connect("local", 1) as client:
                print(dict(dispatch(client, origin, {PACKAGES})))
        """,
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    answer = subprocess.run(
        command, cwd=home, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.strip() == str(origins())


@pytest.mark.slow("interrupts processes")
def test_an_interrupt_is_answered_by_the_driver_alone(tmp_path):
    command = run_script(
        tmp_path,
        """
        import itertools
        import signal
        import time
        from crbatch.cluster.connect import connect
        from crbatch.cluster.dispatch import dispatch

        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts without it
            with connect("local", 2) as client:
                try:
                    for _ in dispatch(client, time.sleep, itertools.repeat(0.5)):
                        print("workers are busy", flush=True)
                        time.sleep(60)
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
        """,
    )
    driver = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert driver.stdout.readline() == "workers are busy\n"
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does, to every process in it
        out, err = driver.communicate()
    finally:
        driver.kill()
    assert (driver.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "interrupted"


@pytest.mark.slow("starts processes")
def test_unguarded_script_is_told_what_is_missing(tmp_path):
    command = run_script(
        tmp_path,
        """
        from crbatch.cluster.connect import connect
        with connect("local", 1):
            pass
        """,
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert "1 local workers did not start" in last
    assert f'{tmp_path}/drive.py has to connect under `if __name__ == "__main__":`' in last


def test_root_cause_is_told_where_the_script_is_not_to_blame(monkeypatch):
    def refused(*_, **__):
        try:
            raise PermissionError(13, "Permission denied", "/proc/x")
        except PermissionError as error:
            raise RuntimeError("Cluster failed to start") from error

    monkeypatch.setattr("distributed.LocalCluster", refused)
    with pytest.raises(ClusterError) as told, connect("local", 1):
        pass
    assert str(told.value) == "1 local workers did not start: PermissionError: [Errno 13] Permission denied: '/proc/x'"
