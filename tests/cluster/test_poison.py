"""Items that cannot be done are halved until the culprit is alone; all others are done."""

import os
import signal
import sys
from functools import partial

import cloudpickle
import pytest
from crbatch.cluster.connect import connect
from crbatch.cluster.dispatch import Failure, Poison, dispatch
from crbatch.cluster.walltime import END_VARIABLE, InTime, seconds_left

cloudpickle.register_pickle_by_value(sys.modules[__name__])

RANGES = [(start, start + 8) for start in range(0, 64, 8)]


def halves(item):
    start, stop = item
    middle = (start + stop) // 2
    return [] if middle == start else [(start, middle), (middle, stop)]


def total(culprits, deadly, item):
    for n in range(*item):
        if n in culprits:
            if deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ZeroDivisionError(f"of {n}")
    return sum(range(*item))


def check(results, culprits):
    covered = sorted(n for item, _ in results for n in range(*item))
    assert covered == list(range(64))
    failed = {item: receipt.reason for item, receipt in results if isinstance(receipt, Failure)}
    assert set(failed) == {(n, n + 1) for n in culprits}
    assert all(receipt == sum(range(*item)) for item, receipt in results if item not in failed)
    return failed


@pytest.mark.parametrize("culprits", [{13}, {0, 63}, {24, 25, 31}])
def test_exceptions_in_this_process(culprits):
    found = check(list(dispatch(None, partial(total, culprits, False), RANGES, poison=Poison(halves))), culprits)
    assert set(found.values()) == {f"ZeroDivisionError: of {n}" for n in culprits}


@pytest.mark.slow("starts a cluster")
def test_exceptions_in_workers():
    with connect("local", 2) as client:
        results = list(dispatch(client, partial(total, {13, 40}, False), RANGES, poison=Poison(halves)))
    assert set(check(results, {13, 40}).values()) == {"ZeroDivisionError: of 13", "ZeroDivisionError: of 40"}


@pytest.mark.slow("kills workers")
def test_deaths_of_workers():
    with connect("local", 2) as client:
        results = list(dispatch(client, partial(total, {13}, True), RANGES, poison=Poison(halves)))
    assert set(check(results, {13}).values()) == {"the worker died"}


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_nobodys_doing_ends_it(workers):
    poison = Poison(halves, fatal=(ZeroDivisionError,))
    with connect("local" if workers else "none", workers or None) as client, pytest.raises(ZeroDivisionError) as error:
        list(dispatch(client, partial(total, {13}, False), RANGES, poison=poison))
    assert "(8, 16)" in error.value.__notes__[0]


def test_where_everything_fails_nothing_is_flagged():
    results = dispatch(None, partial(total, set(range(64)), False), RANGES, poison=Poison(halves))
    with pytest.raises(ZeroDivisionError):
        list(results)


@pytest.mark.slow("starts a cluster")
def test_waiting_can_be_ended():
    def enough():
        raise KeyboardInterrupt

    with connect("local", 1) as client, pytest.raises(KeyboardInterrupt):
        list(dispatch(client, slow, [30.0], on_pause=enough))


def slow(seconds):
    import time

    time.sleep(seconds)


# ---- walltime


def test_without_a_batch_job_there_is_time(monkeypatch):
    monkeypatch.delenv(END_VARIABLE, raising=False)
    assert seconds_left() == float("inf")
    assert InTime(abs)(-3) == 3


@pytest.mark.slow("starts a cluster")
def test_nothing_is_begun_near_the_end_and_the_work_goes_elsewhere():
    """One of two workers has come to the end of its job; the other does it all."""
    with connect("local", 2) as client:
        late, other = sorted(client.nthreads())
        client.run(end_now, workers=[late])
        pids = client.run(os.getpid)
        results = list(dispatch(client, whereabouts, range(20)))
        assert sorted(item for item, _ in results) == list(range(20))
        assert {pid for _, pid in results} == {pids[other]}


def end_now():
    os.environ[END_VARIABLE] = "0"


def whereabouts(item):
    return os.getpid()
