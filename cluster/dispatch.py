"""Hand items to a cluster a few at a time, and take each result as soon as it is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cluster.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Receipt = TypeVar("Receipt")

#: One task at work and one waiting beside it, so that a worker never waits for this process.
TASKS_PER_THREAD = 2


def dispatch(
    client: Client | None,
    function: Callable[[Item], Receipt],
    items: Iterable[Item],
    *,
    window: int | None = None,
    attempts: int = 3,
) -> Generator[tuple[Item, Receipt], None, None]:
    """Yield each item with what ``function(item)`` returned, as they finish.

    At most `window` items are out at a time, and nothing is kept of a finished one: whatever the cluster
    still held of it would be computed again when its worker dies. So `function` should leave its results in
    files, and return only a small receipt.

    An item whose worker died is sent again, as the worker may just have been taken away. Its last attempt
    comes when all else is done, with no other item out, so that an item is not blamed for its neighbour. What
    fails even then is an error, raised at the end; at once if workers die and die and nothing is finished.

    Parameters
    ----------
    client
        A Dask client, or None to work in this process, in the order of `items`.
    function
        What to do with an item; must be picklable if there is a client.
    items
        Picklable; taken one by one, when there is room for them.
    window
        Most items out at a time; two for each thread of the cluster by default.
    attempts
        How often an item is tried whose worker dies; with one attempt, a neighbour may be blamed.

    Raises
    ------
    ClusterError
        If some items lost their worker in every attempt (the message names them), if workers died without
        end, or if the cluster was lost.
    Exception
        What `function` raised, with a note that names the item.
    """
    if attempts < 1 or (window is not None and window < 1):
        raise ValueError(f"window = {window} and attempts = {attempts} must be at least 1")
    if client is None:
        return _in_process(function, items)
    window = window or TASKS_PER_THREAD * max(1, sum(client.nthreads().values()))
    return _on_cluster(client, function, items, window, attempts)


def _in_process(
    function: Callable[[Item], Receipt], items: Iterable[Item]
) -> Generator[tuple[Item, Receipt], None, None]:
    for item in items:
        try:
            receipt = function(item)
        except Exception as error:
            error.add_note(_note(item))
            raise
        yield item, receipt


def _on_cluster(
    client: Client, function: Callable[[Item], Receipt], items: Iterable[Item], window: int, attempts: int
) -> Generator[tuple[Item, Receipt], None, None]:
    from distributed import KilledWorker, as_completed
    from distributed.client import FutureCancelledError

    queue = _Queue(items, attempts)
    out: dict[Future[Any], _Task[Item]] = {}
    finished = as_completed()
    losses_in_a_row = 0
    try:
        while True:
            while len(out) < window and (task := queue.take(alone=not out)):
                future = client.submit(function, task.item, pure=False)
                out[future] = task
                finished.add(future)
            if not out:
                break
            future = next(finished)
            task = out.pop(future)
            try:
                receipt = future.result()
            except KilledWorker as error:
                queue.give_back(task)
                losses_in_a_row += 1
                if losses_in_a_row > window * attempts:  # more than the items that were out account for
                    raise ClusterError(
                        f"workers died {losses_in_a_row} times in a row, at last at {task.item!r}"
                    ) from error
                continue
            except FutureCancelledError as error:
                raise ClusterError(f"the cluster was lost, with {task.item!r} and others out") from error
            except Exception as error:
                error.add_note(_note(task.item))
                raise
            finally:
                future.release()
            losses_in_a_row = 0
            yield task.item, receipt
    finally:
        if out and client.status == "running":  # the caller left early, and perhaps closed the cluster first
            client.cancel(list(out))
    if queue.lost:
        names = ", ".join(repr(task.item) for task in queue.lost)
        raise ClusterError(f"the worker died in each of {attempts} attempts at: {names}")


@dataclass
class _Task(Generic[Item]):
    item: Item
    losses: int = 0


class _Queue(Generic[Item]):
    """What is still to be sent: items that lost their worker, then fresh ones, then suspects, each alone."""

    def __init__(self, items: Iterable[Item], attempts: int) -> None:
        self._attempts = attempts
        self._again: deque[_Task[Item]] = deque()
        self._fresh = iter(items)
        self._suspects: deque[_Task[Item]] = deque()
        self.lost: list[_Task[Item]] = []

    def take(self, alone: bool) -> _Task[Item] | None:
        if self._again:
            return self._again.popleft()
        for item in self._fresh:
            return _Task(item)
        if alone and self._suspects:
            return self._suspects.popleft()
        return None

    def give_back(self, task: _Task[Item]) -> None:
        task.losses += 1
        left = self._attempts - task.losses
        (self._again if left > 1 else self._suspects if left else self.lost).append(task)


def _note(item: object) -> str:
    return f"while working on {item!r}"
