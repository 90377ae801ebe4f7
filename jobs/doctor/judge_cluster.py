"""Judges a cluster: its workers beside this process, its scheduler, and the way between them."""

from collections import Counter
from collections.abc import Mapping

from crbatch.cluster.doctor import Network, RoundTrip
from crbatch.results.words import counted, noun

from ..bench.model import CHUNK_SECONDS, SHARE
from .judge_machine import cache_line, threads_line
from .lines import GB, NAMED, Facts, Line, Part, State, named

_CLUSTER = Part("cluster")
_WORKER_BYTES, _WORKER_COMFORT = 4e8, 1e9  # a worker with its kernels loaded takes 0.3 GB, and its chunk comes on top
_SLOW_TRIP = 0.1  # s
_CLOCK_WARNING, _CLOCK_PROBLEM = 1.0, 60.0  # s


def worker_lines(here: Facts, workers: Mapping[str, Facts], errors: Mapping[str, str], threads: Facts) -> list[Line]:
    """Workers beside this process: the same code, versions and CPU, one thread, room for each."""
    answered = _answered(workers, errors, threads)
    if not workers:
        return [answered]
    places = sorted({facts["place"] for facts in workers.values()})
    return [
        answered,
        _same_versions(here, workers),
        _CLUSTER.ok("package", f"workers have crbatch from {', '.join(places[:NAMED])}"),
        threads_line(_CLUSTER, workers),
        _same_cpu(here, workers),
        _file_locking(workers),
        _room(workers),
        cache_line(_CLUSTER, workers),
    ]


def _answered(workers: Mapping[str, Facts], errors: Mapping[str, str], threads: Facts) -> Line:
    several = [name for name, number in threads.items() if number != 1]
    if errors or not workers:
        who = named(list(errors)) if errors else "there is none"
        why = next(iter(errors.values()), "no worker is connected")
        advice = "install the same crbatch there; if a worker died, look into its log"
        return _CLUSTER.problem("workers", f"{who}: {why}", advice)
    if several:
        found = f"{named(several)}: {threads[several[0]]} tasks at a time in a process"
        return _CLUSTER.problem("workers", found, "start workers with one thread each: NetCDF is not thread-safe")
    hosts = {facts["host"] for facts in workers.values()}
    verb = "answers" if len(workers) == 1 else "answer"
    return _CLUSTER.ok("workers", f"{len(workers)} {verb}, on {counted(len(hosts), 'machine')}")


def _same_versions(here: Facts, workers: Mapping[str, Facts]) -> Line:
    other = {
        name: [key for key in sorted(here["versions"]) if facts["versions"].get(key) != here["versions"][key]]
        for name, facts in workers.items()
    }
    bad = [name for name in workers if other[name] or workers[name]["code"] != here["code"]]
    if not bad:
        return _CLUSTER.ok("versions", "every worker has this machine's versions and sources")
    first = workers[bad[0]]["versions"]
    differing = [f"{key} {first.get(key)} there, {here['versions'][key]} here" for key in other[bad[0]]]
    found = f"{named(bad)}: {'; '.join(differing) or 'other sources under the same versions'}"
    return _CLUSTER.problem("versions", found, "install the same there; chunks would be refused (exit code 5)")


def _same_cpu(here: Facts, workers: Mapping[str, Facts]) -> Line:
    kinds = Counter(facts["target"] for facts in workers.values())
    models = ", ".join(sorted({facts["cpu"] for facts in workers.values()}))
    if len(kinds) > 1:
        advice = "for equal bits, ask the batch system for one CPU type; values agree to about 1e-9 anyway"
        return _CLUSTER.warning("CPU", f"{len(kinds)} types among the workers: {models}", advice)
    if here["target"] not in kinds:
        advice = "`verify` and `replay` compare bits: run them on a worker's machine"
        return _CLUSTER.warning("CPU", f"workers have {models}, this machine {here['cpu']}", advice)
    return _CLUSTER.ok("CPU", f"one type everywhere ({models}): results are equal to the bit")


def _file_locking(workers: Mapping[str, Facts]) -> Line:
    name = "HDF5_USE_FILE_LOCKING"
    bad = [worker for worker, facts in workers.items() if facts["environment"][name] != "FALSE"]
    if bad:
        found = f"{named(bad)}: {name} is {workers[bad[0]]['environment'][name]}"
        advice = f"start workers with {name}=FALSE: locks fail on some shared file systems, and shards need none"
        return _CLUSTER.warning("HDF5 locks", found, advice)
    return _CLUSTER.ok("HDF5 locks", "off in the workers: files that are written once need none")


def _room(workers: Mapping[str, Facts]) -> Line:
    """Cores and memory of each machine, shared by the workers on it."""
    tight: dict[State, list[str]] = {"problem": [], "warning": []}
    for host, count in Counter(facts["host"] for facts in workers.values()).items():
        facts = next(f for f in workers.values() if f["host"] == host)
        each = facts["memory"] / count
        if each < _WORKER_COMFORT:
            state: State = "problem" if each < _WORKER_BYTES else "warning"
            tight[state].append(f"{host}: {each / GB:.1f} GB for each of {counted(count, 'worker')}")
        if count > facts["cores"]:
            tight["warning"].append(f"{host}: {counted(count, 'worker')} on {counted(facts['cores'], 'core')}")
    for state, found in tight.items():
        if found:
            advice = "fewer workers a machine, or more of it each"
            return Line(_CLUSTER.name, "room", state, "; ".join(found[:NAMED]), advice)
    least = min(facts["memory"] / GB for facts in workers.values())
    rss = max(facts["rss"] for facts in workers.values())
    words = f"a core for each worker; {least:.1f} GB a machine, a worker starts with {rss / 1e6:.0f} MB"
    return _CLUSTER.ok("room", words)


def clock_line(trips: Mapping[str, RoundTrip]) -> Line:
    """Offsets beyond what the round trip leaves open."""
    name, trip = max(trips.items(), key=lambda pair: abs(pair[1].clock_offset))
    sure = max(abs(trip.clock_offset) - trip.seconds / 2.0, 0.0)
    if sure <= _CLOCK_WARNING:
        found = f"within {abs(trip.clock_offset):.2g} s of ours (read to {1e3 * trip.seconds / 2:.1g} ms)"
        return _CLUSTER.ok("clocks", found)
    said = _CLUSTER.problem if sure > _CLOCK_PROBLEM else _CLUSTER.warning
    advice = "synchronise clocks (NTP): certificates are valid from a time on, and journals are read by it"
    return said("clocks", f"{name}: {trip.clock_offset:+.3g} s from ours", advice)


def trip_line(trips: Mapping[str, RoundTrip], workers: int) -> Line:
    """How long it takes to reach a worker."""
    seconds = sorted(trip.seconds for trip in trips.values())
    middle, worst = seconds[len(seconds) // 2], seconds[-1]
    some = "" if len(trips) == workers else f" ({len(trips)} of {workers} tried)"
    found = f"{1e3 * middle:.1f} ms to a worker and back, {1e3 * worst:.1f} ms to the farthest{some}"
    if worst > _SLOW_TRIP:
        return _CLUSTER.warning("round trip", found, "workers wait as long between chunks: take --chunk larger")
    return _CLUSTER.ok("round trip", found)


def receipts_line(seconds: float, workers: int) -> Line:
    """Whether the driver keeps up: what a chunk costs it, against how many come in a second."""
    most = int(SHARE * CHUNK_SECONDS / seconds)
    found = (
        f"{1.0 / seconds:.0f} receipts a second: chunks of {CHUNK_SECONDS:g} s keep up to {most:,} "
        f"{noun(most, 'worker')} busy with half of this core"
    )
    if workers > most:
        advice = f"for {counted(workers, 'worker')} make chunks of {workers * seconds / SHARE:.0f} s or more"
        return _CLUSTER.warning("receipts", found, advice)
    return _CLUSTER.ok("receipts", found)


def network_lines(net: Network) -> list[Line]:
    """Whoever reaches the scheduler can run code as its user."""
    if net.local:
        traffic = _CLUSTER.ok("encryption", f"not needed: {net.scheduler} is reached from this machine alone")
    elif net.encrypted:
        traffic = _CLUSTER.ok("encryption", f"TLS: {net.scheduler}")
    else:
        found = f"{net.scheduler} is plain: whoever reaches that port can run programs as you"
        traffic = _CLUSTER.problem("encryption", found, "use a profile with TLS (addresses begin with tls://)")
    if net.pages:
        found = f"HTTP pages without a login listen at {', '.join(net.pages[:NAMED])}"
        pages = _CLUSTER.problem("dashboard", found, "switch it off, or bind it to 127.0.0.1 and use ssh -L")
    elif net.unknown:
        pages = _CLUSTER.warning("dashboard", f"could not be looked for ({net.unknown[0]})", "ask who runs it")
    else:
        pages = _CLUSTER.ok("dashboard", "nothing listens for HTTP beyond loopback")
    return [traffic, pages]


def talking_line(here: Facts, scheduler: Mapping[str, str] | None) -> Line:
    """The scheduler's libraries are ours."""
    if scheduler is None:
        found = "the scheduler does not say which versions it has"
        return _CLUSTER.warning("scheduler", found, "ask who runs it for the versions of dask and distributed")
    mine = here["versions"]
    bad = [f"{key} {there} there, {mine.get(key)} here" for key, there in scheduler.items() if mine.get(key) != there]
    if bad:
        return _CLUSTER.problem("scheduler", "; ".join(bad), "install the same versions on both sides")
    return _CLUSTER.ok("scheduler", "it has this machine's versions of dask, distributed and what they talk by")
