"""Items on real worker processes, some of which are really killed: none is lost, none done for nothing."""

import itertools
import os
import signal
import sys
import time
import uuid
from collections import Counter
from functools import partial
from pathlib import Path

import cloudpickle
import pytest
from crbatch.cluster.connect import connect
from crbatch.cluster.dispatch import _Queue, dispatch
from crbatch.cluster.errors import ClusterError
from dask.utils import key_split

# Workers cannot import this file, so its functions travel by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def square(item):
    return item * item


def recorded(folder, item):
    """Leave a trace of each execution, as finished work leaves its files."""
    Path(folder, f"{item}-{uuid.uuid4().hex}").touch()
    time.sleep(0.05)
    return os.getpid()


def executions(folder):
    return Counter(int(path.name.split("-")[0]) for path in folder.iterdir())


def poisoned(folder, item):
    recorded(folder, item)
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def deadly(folder, item):
    recorded(folder, item)
    os.kill(os.getpid(), signal.SIGKILL)


def unlucky(item):
    if item == 3:
        raise ZeroDivisionError("nothing to divide by")
    return item


def test_without_a_client_items_are_done_here_and_in_order():
    assert list(dispatch(None, square, range(5))) == [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)]


def test_a_cluster_gives_the_same_as_this_process(client):
    assert sorted(dispatch(client, square, range(30))) == list(dispatch(None, square, range(30)))


def test_no_items_no_results(client):
    assert list(dispatch(client, square, [])) == []


@pytest.mark.parametrize("window", [1, 3, None])
def test_the_window_is_never_exceeded(client, window):
    taken, returned, most = 0, 0, 0

    def counted():
        nonlocal taken, most
        for item in range(20):
            taken += 1
            most = max(most, taken - returned)
            yield item

    for _ in dispatch(client, square, counted(), window=window):
        returned += 1
    assert returned == 20
    assert most == (window or 4)  # two for each of the two threads


@pytest.mark.parametrize("window", [2, None])
def test_no_keys_of_finished_tasks_pile_up(client, window):
    for _ in dispatch(client, square, range(60), window=window):
        pass
    assert key_split.cache_info().currsize <= 12


def test_the_scheduler_keeps_no_note_of_submissions(client):
    for _ in dispatch(client, square, range(60)):
        pass
    notes = client.run_on_scheduler(
        lambda dask_scheduler: [span._metadata for span in dask_scheduler.extensions["spans"].spans.values()]
    )
    assert notes
    assert all(note == {"collections": []} for note in notes)


def test_equal_items_are_separate_tasks(client, tmp_path):
    assert len(list(dispatch(client, partial(recorded, str(tmp_path)), [5, 5, 5]))) == 3
    assert executions(tmp_path) == {5: 3}


def tasks_left(client):
    return client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))


def wait_until_no_task_is_left(client):
    for _ in range(1000):  # a release arrives a little later
        if not client.futures and not tasks_left(client):
            return
        time.sleep(0.01)
    pytest.fail(f"{len(client.futures)} futures are held, {tasks_left(client)} tasks are left")


def test_finished_work_is_forgotten(client):
    for number, _ in enumerate(dispatch(client, square, range(50), window=4)):
        if number == 40:
            assert tasks_left(client) < 20
    wait_until_no_task_is_left(client)


def test_a_caller_who_leaves_early_leaves_nothing_behind(client):
    results = dispatch(client, square, itertools.count())
    next(results)
    results.close()
    wait_until_no_task_is_left(client)


def test_a_caller_may_close_the_cluster_first():
    with connect("local", 1) as client:
        results = dispatch(client, square, itertools.count())
        next(results)
    results.close()


@pytest.mark.parametrize("cluster", [True, False])
def test_an_exception_comes_through_with_its_item(client, cluster):
    results = dispatch(client if cluster else None, unlucky, range(10))
    with pytest.raises(ZeroDivisionError, match="nothing to divide by") as caught:
        list(results)
    assert caught.value.__notes__ == ["while working on 3"]
    wait_until_no_task_is_left(client)  # though the exception, and with it the frame it left, is still held


@pytest.mark.slow("kills workers")
def test_nothing_is_lost_with_a_killed_worker(client, tmp_path):
    receipts, safe = [], []
    for item, pid in dispatch(client, partial(recorded, str(tmp_path)), range(40), window=4):
        receipts.append(item)
        if len(receipts) == 10:
            safe = list(receipts)
            os.kill(pid, signal.SIGKILL)
    assert sorted(receipts) == list(range(40))
    counts = executions(tmp_path)
    assert {counts[item] for item in safe} == {1}
    assert sum(counts.values()) <= 40 + 4


@pytest.mark.slow("kills workers")
def test_an_item_that_kills_its_worker_is_named_when_all_else_is_done(client, tmp_path):
    done = []
    results = dispatch(client, partial(poisoned, str(tmp_path)), range(30))
    with pytest.raises(ClusterError, match=r"in each of 3 attempts at: 3$"):
        done.extend(item for item, _ in results)
    assert sorted(done) == [0, 1, 2, *range(4, 30)]
    assert executions(tmp_path)[3] == 3


@pytest.mark.slow("kills workers")
def test_an_item_is_not_blamed_for_its_neighbour(tmp_path):
    with connect("local", 1) as client:  # where 4 waits behind 3, and falls with it
        results = dispatch(client, partial(poisoned, str(tmp_path)), [3, 4], window=2, attempts=2)
        with pytest.raises(ClusterError, match=r"in each of 2 attempts at: 3$"):
            list(results)


def test_last_attempts_come_last_and_alone():
    queue = _Queue([1, 2, 3], 2, None)
    first, second = queue.take(alone=True), queue.take(alone=False)
    for task in (first, second):
        assert not queue.give_back(task, ClusterError("died"), most_in_a_row=2)
    assert queue.take(alone=True).item == 3
    assert queue.take(alone=False) is None
    assert [queue.take(alone=True), queue.take(alone=True)] == [first, second]
    assert queue.take(alone=True) is None


def test_one_attempt_means_one(client, tmp_path):
    results = dispatch(client, partial(poisoned, str(tmp_path)), [3, 4, 5], window=1, attempts=1)
    with pytest.raises(ClusterError, match=r"in each of 1 attempts at: 3$"):
        list(results)
    assert executions(tmp_path) == {3: 1, 4: 1, 5: 1}


def test_a_function_that_kills_every_worker_is_given_up(client, tmp_path):
    results = dispatch(client, partial(deadly, str(tmp_path)), itertools.count(), window=2, attempts=2)
    with pytest.raises(ClusterError, match="5 times in a row"):
        next(results)
    assert executions(tmp_path).total() <= 5


@pytest.mark.slow("starts a cluster")
def test_a_lost_cluster_is_an_error_and_not_a_silence():
    with connect("local", 1) as client:
        results = dispatch(client, square, itertools.count(), window=2)
        next(results)
        client.restart()
        with pytest.raises(ClusterError, match="the cluster was lost"):
            list(itertools.islice(results, 5))


@pytest.mark.parametrize("limits", [{"window": 0}, {"attempts": 0}])
def test_limits_below_one_are_refused(limits):
    with pytest.raises(ValueError, match="at least 1"):
        dispatch(None, square, [], **limits)
