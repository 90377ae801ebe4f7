"""Hand items to a cluster a few at a time, and take each result as soon as it is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .errors import ClusterError, in_one_line
from .walltime import InTime, OutOfTime

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Receipt = TypeVar("Receipt")

#: One task at work and one waiting beside it, so that a worker never waits for this process.
TASKS_PER_THREAD = 2
_PAUSE_SECONDS = 0.5
_RECEIPT_SECONDS = 5.0
_PREPARE_SECONDS = 60.0
_FAILURES_IN_A_ROW = 20  # of items that were tried alone, with nothing finished in between


@dataclass(frozen=True)
class Failure:
    """What stands in for the receipt of an item that cannot be done."""

    reason: str  # in one line: the exception, or that the worker died


@dataclass(frozen=True)
class Poison(Generic[Item]):
    """How to go on when an item fails wherever it is tried.

    `halves` splits an item in parts that are tried on their own; it gives none if the item cannot be split, which is
    reported as a `Failure` then.
    """

    halves: Callable[[Item], Sequence[Item]]
    fatal: tuple[type[Exception], ...] = ()  # not the item's doing; they end the dispatch


def dispatch(
    client: Client | None,
    function: Callable[[Item], Receipt],
    items: Iterable[Item],
    *,
    window: int | None = None,
    attempts: int = 3,
    poison: Poison[Item] | None = None,
    on_pause: Callable[[], None] | None = None,
) -> Generator[tuple[Item, Any], None, None]:
    """Yield each item with what ``function(item)`` returned, as they finish.

    At most `window` items are out at a time, and nothing is kept of a finished one: whatever the cluster
    still held of it would be computed again when its worker dies. So `function` should leave its results in
    files, and return only a small receipt.

    An item whose worker died is sent again, as the worker may just have been taken away. Its last attempt
    comes when all else is done, with no other item out, so that an item is not blamed for its neighbour. What
    fails even then is halved until the culprit is found, if `poison` says how, or is an error, raised at the end;
    at once if workers die and die and nothing is finished.

    Parameters
    ----------
    client
        A Dask client, or None to work in this process, in the order of `items`.
    function
        What to do with an item; must be picklable if there is a client.
    items
        Picklable; taken one by one, when there is room for them.
    window
        Most items out at a time; by default two for each thread that the cluster has by then.
    attempts
        How often an item is tried whose worker dies; with one attempt, a neighbour may be blamed.
    poison
        What to do about items that raise an exception or cost every worker its life.
    on_pause
        Called about twice a second while nothing arrives; may raise to end the waiting.

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
    queue = _Queue(items, attempts, poison)
    if client is None:
        return _in_process(function, queue)
    return _on_cluster(client, function, queue, window, on_pause or (lambda: None))


def _in_process(
    function: Callable[[Item], Receipt], queue: _Queue[Item]
) -> Generator[tuple[Item, Receipt | Failure], None, None]:
    while task := queue.take(alone=True):
        try:
            receipt: Receipt | Failure = function(task.item)
        except Exception as error:
            error.add_note(_note(task.item))
            if queue.split(task, error):
                continue
            receipt = Failure(in_one_line(error))
        else:
            queue.finished()
        yield task.item, receipt


def _on_cluster(
    client: Client,
    function: Callable[[Item], Receipt],
    queue: _Queue[Item],
    window: int | None,
    on_pause: Callable[[], None],
) -> Generator[tuple[Item, Receipt | Failure], None, None]:
    from dask.utils import key_split
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    out: dict[Future[Any], _Task[Item]] = {}
    arrived: SimpleQueue[Future[Any]] = SimpleQueue()
    room = window or _room(client)
    until_look = room
    try:
        while True:
            while len(out) < room and (task := queue.take(alone=not out)):
                future = client.submit(InTime(function), task.item, pure=False)
                out[future] = task
                future.add_done_callback(arrived.put)
            if not out:
                break
            future = _next(arrived, on_pause)
            task = out.pop(future)
            try:
                receipt: Receipt | Failure = _receipt(future, on_pause)
            except OutOfTime:
                queue.put_back(task)
                continue
            except KilledWorker as error:
                death = ClusterError(f"the worker died in each attempt at: {task.item!r}")
                death.__cause__ = error
                if not queue.give_back(task, death, most_in_a_row=room):
                    continue
                receipt = Failure("the worker died")
            except FutureCancelledError as error:
                raise ClusterError(f"the cluster was lost, with {task.item!r} and others out") from error
            except Exception as error:
                error.add_note(_note(task.item))
                if queue.split(task, error):
                    continue
                receipt = Failure(in_one_line(error))
            else:
                queue.finished()
            finally:
                future.release()
            yield task.item, receipt
            until_look -= 1
            if until_look <= 0:
                key_split.cache_clear()  # it keeps the keys of 100,000 finished tasks: 60 MB
                if window is None:  # workers come and go; asking costs a millisecond
                    room = _room(client)
                until_look = room
    finally:
        if out and client.status == "running":  # the caller left early, and perhaps closed the cluster first
            client.cancel(list(out))
    queue.raise_for_lost()


def prepare_workers(client: Client, function: Callable[[], object]) -> None:
    """Call a function once in every worker there is now, so that its cost is not the first item's.

    A worker that is lost meanwhile is not waited for: the first items will be slower, or find the worker gone.
    """
    client.cancel(list(at_each_worker(client, function, seconds=_PREPARE_SECONDS).values()))


def at_each_worker(
    client: Client, function: Callable[..., object], *arguments: object, seconds: float
) -> dict[str, Future[Any]]:
    """Call a function in all workers at the same time, and wait until all are done, but no longer than told."""
    from distributed import wait

    futures = {
        address: client.submit(function, *arguments, workers=[address], allow_other_workers=False, pure=False)
        for address in sorted(client.nthreads())
    }
    with suppress(TimeoutError):
        wait(list(futures.values()), timeout=seconds)
    return futures


def describe_workers(client: Client | None) -> str:
    """What a user who waits should know of the workers, in a few words."""
    if client is None:
        return "the work is done in this process"
    try:
        states = [worker["status"] for worker in client.scheduler_info(n_workers=-1)["workers"].values()]
    except (OSError, TimeoutError):
        return "the scheduler does not answer"
    paused = states.count("paused")
    return f"workers there: {len(states)}" + (f", {paused} of them paused for want of memory" if paused else "")


def _room(client: Client) -> int:
    """Items that may be out at a time."""
    threads: dict[str, int] = client.nthreads()
    return TASKS_PER_THREAD * max(1, sum(threads.values()))


def _next(arrived: SimpleQueue[Future[Any]], on_pause: Callable[[], None]) -> Future[Any]:
    while True:
        try:
            return arrived.get(timeout=_PAUSE_SECONDS)
        except Empty:
            on_pause()


def _receipt(future: Future[Any], on_pause: Callable[[], None]) -> Any:
    """What a task that is done returned; its worker may be stopped or gone before it has sent it."""
    seconds = _RECEIPT_SECONDS
    while True:
        try:
            return future.result(timeout=seconds)
        except TimeoutError:
            if future.status == "error":  # the task's own
                raise
            seconds *= 2.0  # what is large is asked for from its beginning
            on_pause()


@dataclass
class _Task(Generic[Item]):
    item: Item
    losses: int = 0


class _Queue(Generic[Item]):
    """What is still to be sent: items that lost their worker, then fresh ones, then suspects, each alone."""

    def __init__(self, items: Iterable[Item], attempts: int, poison: Poison[Item] | None) -> None:
        self._attempts = attempts
        self._poison = poison
        self._again: deque[_Task[Item]] = deque()
        self._fresh = iter(items)
        self._suspects: deque[_Task[Item]] = deque()
        self._lost: list[_Task[Item]] = []
        self._deaths = 0  # in a row, with nothing finished in between
        self._failures = 0

    def take(self, alone: bool) -> _Task[Item] | None:
        """The next task, if there is one that may go out now."""
        if self._again:
            return self._again.popleft()
        for item in self._fresh:
            return _Task(item)
        if alone and self._suspects:
            return self._suspects.popleft()
        return None

    def finished(self) -> None:
        """Note that an item was done, so that not all is lost."""
        self._deaths = self._failures = 0

    def put_back(self, task: _Task[Item]) -> None:
        """Take back an item that was not tried."""
        self._again.append(task)

    def give_back(self, task: _Task[Item], death: ClusterError, most_in_a_row: int) -> bool:
        """Take back an item whose worker died; True if it has to be reported as a failure."""
        self._deaths += 1
        if self._deaths > most_in_a_row * self._attempts:  # more than the items that were out account for
            raise ClusterError(f"workers died {self._deaths} times in a row, at last at {task.item!r}") from death
        task.losses += 1
        left = self._attempts - task.losses
        if left > 0:
            (self._again if left > 1 else self._suspects).append(task)
            return False
        if self._poison is None:
            self._lost.append(task)
            return False
        return not self.split(task, death)

    def split(self, task: _Task[Item], error: Exception) -> bool:
        """Put the halves of an item in its place, to be tried alone; False if it is a single culprit.

        Raises the error where nobody wants to know of culprits, or where too many fail for it to be the items' doing.
        """
        self._failures += 1
        if self._poison is None or isinstance(error, self._poison.fatal) or self._failures > _FAILURES_IN_A_ROW:
            raise error
        parts = self._poison.halves(task.item)
        self._suspects.extendleft(_Task(part, self._attempts - 1) for part in reversed(parts))
        return bool(parts)

    def raise_for_lost(self) -> None:
        """Raise if items are left that lost their worker in every attempt."""
        if self._lost:
            names = ", ".join(repr(task.item) for task in self._lost)
            raise ClusterError(f"the worker died in each of {self._attempts} attempts at: {names}")


def _note(item: object) -> str:
    return f"while working on {item!r}"
