"""Questions to a cluster: what each worker answers, how long the way takes, and who can reach it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psutil

from .dispatch import at_each_worker
from .security import is_loopback

if TYPE_CHECKING:
    from distributed import Client

#: Libraries by which driver, scheduler and workers talk: with other versions, they misunderstand each other.
TALKING = ("dask", "distributed", "cloudpickle", "msgpack", "tornado")


@dataclass(frozen=True)
class Answer:
    """What a function returned at one worker, or the error for which it did not."""

    result: Any = None
    error: str = ""


@dataclass(frozen=True)
class RoundTrip:
    """The quickest of some trips to a worker and back, with the scheduler on the way."""

    seconds: float
    clock_offset: float  # the worker's clock minus ours, s; right within half of `seconds`


@dataclass(frozen=True)
class Network:
    """Who talks to whom, and who listens."""

    scheduler: str  # its address, with the protocol
    encrypted: bool  # by TLS
    local: bool  # scheduler and workers are reached over this machine's loopback alone
    pages: tuple[str, ...]  # "ip:port" beyond loopback at which a dashboard or other HTTP page listens
    unknown: tuple[str, ...]  # processes that could not be asked for theirs, with the reason


def talking_versions() -> dict[str, str]:
    """Versions in this process of the libraries by which a cluster talks."""
    return {name: version(name) for name in TALKING}


def probe_workers(
    client: Client, function: Callable[..., Any], *arguments: Any, seconds: float = 120.0
) -> dict[str, Answer]:
    """Call a function once on every worker, on all at the same time.

    It is sent like a task of a run, so what a run would stumble over, this does. `seconds`: how long to wait for the
    last answer. Result: by the worker's address, sorted. A worker that raised, died or kept silent has an error.
    """
    futures = at_each_worker(client, function, *arguments, seconds=seconds)
    answers = {address: _answer(future, seconds) for address, future in futures.items()}
    client.cancel([future for future in futures.values() if not future.done()])
    return answers


def _answer(future: Any, seconds: float) -> Answer:
    if future.status == "finished":
        return Answer(future.result())
    if future.status == "error":
        error = future.exception()
        return Answer(error=f"{type(error).__name__}: {error}".splitlines()[0])
    return Answer(error=f"no answer within {seconds:g} s")


def round_trips(client: Client, workers: Iterable[str], repeats: int = 5) -> dict[str, RoundTrip]:
    """Send an empty task to one worker after another and take the time.

    `repeats`: trips to each, of which the quickest counts. Result: by address; a worker that is gone is left out.
    """
    from distributed import KilledWorker

    found = {}
    for address in workers:
        trips = []
        try:
            for _ in range(repeats):
                sent, begun = time.time(), time.perf_counter()
                there = client.submit(time.time, workers=[address], pure=False).result(timeout=30.0)
                taken = time.perf_counter() - begun
                trips.append(RoundTrip(taken, there - (sent + taken / 2.0)))
        except (KilledWorker, TimeoutError):
            continue
        found[address] = min(trips, key=lambda trip: trip.seconds)
    return found


def network(client: Client) -> Network:
    """Look at the addresses of a cluster, and at who listens for HTTP beyond loopback."""
    info: Mapping[str, Any] = client.scheduler_info(n_workers=-1)
    services = {address: tuple(worker["services"].values()) for address, worker in info["workers"].items()}
    pages: set[str] = set()
    unknown: list[str] = []
    for address, answer in probe_workers(client, listening).items():
        if answer.error:
            unknown.append(f"{address}: {answer.error}")
        else:
            pages.update(f"{ip}:{port}" for ip, port in answer.result if port in services.get(address, ()))
    try:
        sockets = client.run_on_scheduler(listening)
    except ValueError as error:  # a scheduler that runs no code of its clients
        unknown.append(f"scheduler: {error}")
    else:
        pages.update(f"{ip}:{port}" for ip, port in sockets if port in info["services"].values())
    scheduler = info["address"]
    return Network(
        scheduler,
        scheduler.startswith("tls://"),
        all(_is_local(address) for address in (scheduler, *info["workers"])),
        tuple(sorted(pages)),
        tuple(unknown),
    )


def scheduler_versions(client: Client) -> dict[str, str] | None:
    """What `talking_versions` is at the scheduler; None if it runs no code of its clients."""
    try:
        return dict(client.run_on_scheduler(talking_versions))
    except ValueError:
        return None


def listening() -> list[tuple[str, int]]:
    """Addresses beyond loopback, with ports, at which this process takes connections."""
    connections = psutil.Process().net_connections(kind="inet")
    places = {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}
    return sorted(place for place in places if not is_loopback(place[0]))


def _is_local(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "inproc" or is_loopback(parts.hostname or "")
