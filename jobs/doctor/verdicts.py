"""From what was seen to ok, warning or problem, with what to do about it. Nothing is looked at here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crbatch.cluster.doctor import Network, RoundTrip
from crbatch.results.words import counted, noun

State = Literal["ok", "warning", "problem"]
Facts = Mapping[str, Any]

_GB = 1e9
_SLOW_SYNC = 0.1  # s; one for every chunk in the driver, and two in a worker
_FEW_BYTES, _SOME_BYTES = 1e8, 2e9
_FEW_INODES, _SOME_INODES = 1_000, 50_000
_WORKER_BYTES, _WORKER_COMFORT = 4e8, 1e9  # a worker with its kernels loaded takes 0.3 GB, and its chunk comes on top
_FILES, _FILES_PER_WORKER = 256, 4
_SLOW_TRIP = 0.1  # s
_CLOCK_WARNING, _CLOCK_PROBLEM = 1.0, 60.0  # s
_NAMED = 3  # workers that a line names


@dataclass(frozen=True)
class Line:
    """One thing that was checked.

    Attributes
    ----------
    part, check
        What it belongs to ("this machine", "folder", "cluster"), and its name.
    state
        "ok", "warning" (a run works, but ...) or "problem" (a run fails, or is open to others).
    found
        What was seen.
    advice
        What to do about it; empty if nothing is to be done.
    """

    part: str
    check: str
    state: State
    found: str
    advice: str = ""


def machine_lines(here: Facts) -> list[Line]:
    """Judge the installation, threads, limits and kernel cache of this process."""
    part = "this machine"
    names = ("crbatch", "python", "numpy", "numba", "distributed")
    listed = ", ".join(f"{name} {here['versions'][name]}" for name in names)
    absent = [name for name, number in here["versions"].items() if number == "not installed"]
    lines = [
        Line(
            part, "versions", "problem", f"{', '.join(absent)}: not installed", "install crbatch with its dependencies"
        )
        if absent
        else Line(part, "versions", "ok", f"{listed}; code {here['code'][:12]}"),
        Line(part, "package", "ok", f"crbatch comes from {here['place']}"),
        Line(part, "CPU", "ok", f"{here['cpu']}, compiled for {here['target'].split(':')[0]}"),
        Line(
            part,
            "cores and memory",
            "ok",
            f"{here['cores']} cores and {here['memory'] / _GB:.1f} GB may be used here "
            f"({here['free_memory'] / _GB:.1f} GB are free)",
        ),
        _threads(part, {"here": here}),
        _cache(part, {"here": here}),
    ]
    return lines


def _threads(part: str, every: Mapping[str, Facts]) -> Line:
    """One thread per process, by what the libraries themselves say."""
    many = {
        name: {pool: number for pool, number in facts["pools"].items() if number != 1} for name, facts in every.items()
    }
    bad = [name for name, pools in many.items() if pools]
    if bad:
        pools = ", ".join(f"{pool} {number}" for pool, number in many[bad[0]].items())
        unset = [name for name, value in every[bad[0]]["environment"].items() if value != "1" and "THREADS" in name]
        return Line(
            part,
            "threads",
            "problem",
            f"{_named(bad)}: more than one thread ({pools})",
            f"set {' '.join(f'{name}=1' for name in unset) or 'all *_NUM_THREADS to 1'} before Python starts there",
        )
    libraries = len(next(iter(every.values()))["pools"])
    return Line(part, "threads", "ok", f"each of {libraries} libraries keeps to 1 thread in a process, as sums need it")


def _cache(part: str, every: Mapping[str, Facts]) -> Line:
    """Kernels are kept as pickles: a folder that others can write to would let them run their code, and is not used."""
    caches = {name: facts["cache"] for name, facts in every.items()}
    troubled = [name for name, c in caches.items() if c["trouble"]]
    open_to_read = [name for name, c in caches.items() if c["mode"] & 0o077]
    shared = [name for name, c in caches.items() if _is_shared(c["filesystem"])]
    first = next(iter(caches.values()))
    check, own = "kernel cache", "NUMBA_CACHE_DIR=/a/folder/of/yours on a local disk"
    if troubled:
        found = f"{_named(troubled)}: {caches[troubled[0]]['trouble']}; each run compiles anew, for minutes"
        return Line(part, check, "warning", found, f"mend it, or set {own}")
    if shared:
        found = f"{_named(shared)}: {caches[shared[0]]['path']} is on {caches[shared[0]]['filesystem']}"
        return Line(part, check, "warning", f"{found}, which machines share: slow, and open to races", f"set {own}")
    if open_to_read:
        path, mode = caches[open_to_read[0]]["path"], caches[open_to_read[0]]["mode"]
        return Line(part, check, "warning", f"{path} can be read by others (mode {mode:04o})", f"chmod 700 {path}")
    compiled = all(c["compiled"] for c in caches.values())
    state = "kernels are compiled" if compiled else "kernels are not compiled yet: a first run takes a minute longer"
    memory = "; it is kept in memory, so a boot clears it" if first["filesystem"] == "tmpfs" else ""
    return Line(part, check, "ok", f"{first['path']} is private (mode {first['mode']:04o}); {state}{memory}")


def open_files_line(here: Facts, workers: int) -> Line:
    """The driver holds some connections for every worker."""
    limit = here["open_files"]
    need = _FILES + _FILES_PER_WORKER * workers
    said = "no limit" if limit < 0 else f"{limit} may be open at a time"
    if 0 <= limit < need:
        found = f"{said}, {counted(workers, 'worker')} {'needs' if workers == 1 else 'need'} about {need}"
        return Line(
            "this machine", "open files", "warning", found, f"ulimit -n {need}, in the shell that starts crbatch"
        )
    most = (limit - _FILES) // _FILES_PER_WORKER
    enough = "any number of workers" if limit < 0 else f"up to {most:,} {noun(most, 'worker')}"
    return Line("this machine", "open files", "ok", f"{said}: enough for {enough}")


def folder_lines(folder: str, tried: Facts | str) -> list[Line]:
    """What a folder can do; `tried` is the error if nothing can be written there."""
    part = "folder"
    if isinstance(tried, str):
        found = f"{folder} {tried}"
        return [
            Line(part, "writable", "problem", found, "choose a folder of yours with -o, on a disk that is not full")
        ]
    kind = f" ({tried['filesystem']})" if tried["filesystem"] else ""
    return [
        Line(part, "writable", "ok", f"{folder} can be written to{kind}"),
        _sync("sync of a file", tried["sync_file"]),
        _sync("sync of a folder", tried["sync_folder"]),
        Line(part, "rename", "problem", tried["rename"], "choose another file system: shards are committed by a rename")
        if tried["rename"]
        else Line(part, "rename", "ok", "a file is replaced in one step: readers see the old or the new, never a half"),
        Line(
            part,
            "locks",
            "warning",
            f"file locks do not work ({tried['lock']}); results do not rest on them",
            "take care yourself that only one run writes to the folder",
        )
        if tried["lock"]
        else Line(part, "locks", "ok", "flock and fcntl locks work here; they only warn of a second run"),
        _space(tried["bytes_free"]),
        _inodes(tried["inodes_free"]),
    ]


def _sync(check: str, seconds: float | str) -> Line:
    if isinstance(seconds, str):
        advice = "choose another file system: after a power cut, what was committed here could be gone"
        return Line("folder", check, "problem", f"does not work ({seconds})", advice)
    found = f"takes {1e3 * seconds:.2g} ms"
    if seconds > _SLOW_SYNC:
        return Line(
            "folder", check, "warning", found, "choose a faster file system, or larger chunks: one is paid a chunk"
        )
    return Line("folder", check, "ok", found)


def _space(free: float) -> Line:
    found = f"{free / _GB:.1f} GB are free; a quota of yours may be less"
    advice = "free some; a run needs its cube twice (shards and cube), and `crbatch plan` says how large that is"
    state: State = "problem" if free < _FEW_BYTES else "warning" if free < _SOME_BYTES else "ok"
    return Line("folder", "free space", state, found, "" if state == "ok" else advice)


def _inodes(free: int | None) -> Line:
    if free is None:
        return Line("folder", "free inodes", "ok", "this file system does not limit the number of files")
    state: State = "problem" if free < _FEW_INODES else "warning" if free < _SOME_INODES else "ok"
    advice = "" if state == "ok" else "remove files, or choose larger chunks: a run leaves one file a chunk"
    return Line("folder", "free inodes", state, f"{free:,} more files fit; a run leaves one a chunk", advice)


def worker_lines(here: Facts, workers: Mapping[str, Facts], errors: Mapping[str, str], threads: Facts) -> list[Line]:
    """Workers beside this process: the same code, versions and CPU, one thread, room for each."""
    part = "cluster"
    if errors or not workers:
        who = _named(list(errors)) if errors else "there is none"
        why = next(iter(errors.values()), "no worker is connected")
        advice = "install the same crbatch there; if a worker died, look into its log"
        answered = Line(part, "workers", "problem", f"{who}: {why}", advice)
    elif several := [name for name, number in threads.items() if number != 1]:
        found = f"{_named(several)}: {threads[several[0]]} tasks at a time in a process"
        answered = Line(
            part, "workers", "problem", found, "start workers with one thread each: NetCDF is not thread-safe"
        )
    else:
        hosts = len({facts["host"] for facts in workers.values()})
        answered = Line(
            part,
            "workers",
            "ok",
            f"{len(workers)} {'answers' if len(workers) == 1 else 'answer'}, on {counted(hosts, 'machine')}",
        )
    if not workers:
        return [answered]
    return [
        answered,
        _same_versions(here, workers),
        _same_packages(workers),
        _threads(part, workers),
        _same_cpu(here, workers),
        _file_locking(workers),
        _room(workers),
        _cache(part, workers),
    ]


def _same_versions(here: Facts, workers: Mapping[str, Facts]) -> Line:
    other = {
        name: [key for key in sorted(here["versions"]) if facts["versions"].get(key) != here["versions"][key]]
        for name, facts in workers.items()
    }
    bad = [name for name in workers if other[name] or workers[name]["code"] != here["code"]]
    if not bad:
        return Line("cluster", "versions", "ok", "every worker has this machine's versions and sources")
    first = workers[bad[0]]["versions"]
    differing = [f"{key} {first.get(key)} there, {here['versions'][key]} here" for key in other[bad[0]]]
    found = f"{_named(bad)}: {'; '.join(differing) or 'other sources under the same versions'}"
    return Line(
        "cluster", "versions", "problem", found, "install the same there; chunks would be refused (exit code 5)"
    )


def _same_packages(workers: Mapping[str, Facts]) -> Line:
    places = sorted({facts["place"] for facts in workers.values()})
    return Line("cluster", "package", "ok", f"workers have crbatch from {', '.join(places[:_NAMED])}")


def _same_cpu(here: Facts, workers: Mapping[str, Facts]) -> Line:
    kinds = Counter(facts["target"] for facts in workers.values())
    models = sorted({facts["cpu"] for facts in workers.values()})
    if len(kinds) > 1:
        advice = "for equal bits, ask the batch system for one CPU type; values agree to about 1e-9 anyway"
        return Line("cluster", "CPU", "warning", f"{len(kinds)} types among the workers: {', '.join(models)}", advice)
    if here["target"] not in kinds:
        found = f"workers have {', '.join(models)}, this machine {here['cpu']}"
        return Line(
            "cluster", "CPU", "warning", found, "`verify` and `replay` compare bits: run them on a worker's machine"
        )
    return Line("cluster", "CPU", "ok", f"one type everywhere ({', '.join(models)}): results are equal to the bit")


def _file_locking(workers: Mapping[str, Facts]) -> Line:
    name = "HDF5_USE_FILE_LOCKING"
    bad = [worker for worker, facts in workers.items() if facts["environment"][name] != "FALSE"]
    if bad:
        found = f"{_named(bad)}: {name} is {workers[bad[0]]['environment'][name]}"
        advice = f"start workers with {name}=FALSE: locks fail on some shared file systems, and shards need none"
        return Line("cluster", "HDF5 locks", "warning", found, advice)
    return Line("cluster", "HDF5 locks", "ok", "off in the workers: files that are written once need none")


def _room(workers: Mapping[str, Facts]) -> Line:
    """Cores and memory of each machine, shared by the workers on it."""
    tight: dict[State, list[str]] = {"problem": [], "warning": []}
    for host, count in Counter(facts["host"] for facts in workers.values()).items():
        facts = next(f for f in workers.values() if f["host"] == host)
        each = facts["memory"] / count
        if each < _WORKER_BYTES:
            tight["problem"].append(f"{host}: {each / _GB:.1f} GB for each of {counted(count, 'worker')}")
        elif each < _WORKER_COMFORT:
            tight["warning"].append(f"{host}: {each / _GB:.1f} GB for each of {counted(count, 'worker')}")
        if count > facts["cores"]:
            tight["warning"].append(f"{host}: {counted(count, 'worker')} on {counted(facts['cores'], 'core')}")
    for state, found in tight.items():
        if found:
            return Line(
                "cluster", "room", state, "; ".join(found[:_NAMED]), "fewer workers a machine, or more of it each"
            )
    each = min(facts["memory"] / _GB for facts in workers.values())
    rss = max(facts["rss"] for facts in workers.values())
    return Line(
        "cluster",
        "room",
        "ok",
        f"a core for each worker; {each:.1f} GB a machine, a worker starts with {rss / 1e6:.0f} MB",
    )


def clock_line(trips: Mapping[str, RoundTrip]) -> Line:
    """Offsets beyond what the round trip leaves open."""
    name, trip = max(trips.items(), key=lambda pair: abs(pair[1].clock_offset))
    sure = max(abs(trip.clock_offset) - trip.seconds / 2.0, 0.0)
    found = f"within {abs(trip.clock_offset):.2g} s of ours (read to {1e3 * trip.seconds / 2:.1g} ms)"
    if sure <= _CLOCK_WARNING:
        return Line("cluster", "clocks", "ok", found)
    found = f"{name}: {trip.clock_offset:+.3g} s from ours"
    return Line(
        "cluster",
        "clocks",
        "problem" if sure > _CLOCK_PROBLEM else "warning",
        found,
        "synchronise clocks (NTP): certificates are valid from a time on, and journals are read by it",
    )


def trip_line(trips: Mapping[str, RoundTrip], workers: int) -> Line:
    """How long it takes to reach a worker."""
    seconds = sorted(trip.seconds for trip in trips.values())
    middle, worst = seconds[len(seconds) // 2], seconds[-1]
    some = "" if len(trips) == workers else f" ({len(trips)} of {workers} tried)"
    found = f"{1e3 * middle:.1f} ms to a worker and back, {1e3 * worst:.1f} ms to the farthest{some}"
    if worst > _SLOW_TRIP:
        return Line(
            "cluster", "round trip", "warning", found, "workers wait as long between chunks: take --chunk larger"
        )
    return Line("cluster", "round trip", "ok", found)


def receipts_line(seconds: float, workers: int, chunk_seconds: float, share: float) -> Line:
    """Whether the driver keeps up: what a chunk costs it, against how many come in a second."""
    rate = 1.0 / seconds
    most = int(share * chunk_seconds * rate)
    found = (
        f"{rate:.0f} receipts a second: chunks of {chunk_seconds:g} s keep up to {most:,} {noun(most, 'worker')} busy "
        "with half of this core"
    )
    if workers > most:
        need = workers * seconds / share
        return Line(
            "cluster",
            "receipts",
            "warning",
            found,
            f"for {counted(workers, 'worker')} make chunks of {need:.0f} s or more",
        )
    return Line("cluster", "receipts", "ok", found)


def sharing_lines(answers: Mapping[str, Facts], errors: Mapping[str, str], left: Mapping[str, bool]) -> list[Line]:
    """Whether driver and workers see one folder; `left` says which worker's file was found here."""
    blind = [name for name, answer in answers.items() if not answer["seen"]]
    mute = [name for name, answer in answers.items() if answer["seen"] and (answer["written"] or not left[name])]
    advice = "choose a folder on a file system that all machines share, under the same name, writable on all"
    if errors:
        found = f"{_named(list(errors))}: {next(iter(errors.values()))}"
        return [Line("cluster", "shared folder", "problem", found, advice)]
    if blind:
        return [
            Line(
                "cluster",
                "shared folder",
                "problem",
                f"{_named(blind)}: cannot see a file that was written here",
                advice,
            )
        ]
    if mute:
        why = answers[mute[0]]["written"] or "what it wrote there did not arrive here"
        return [Line("cluster", "shared folder", "problem", f"{_named(mute)}: {why}", advice)]
    lines = [Line("cluster", "shared folder", "ok", "each worker reads what is written here, and the other way round")]
    free = [name for name, answer in answers.items() if not answer["lock_refused"]]
    if free:
        found = f"{_named(free)}: a lock held here is not seen there; results do not rest on it"
        care = "take care yourself that only one run writes to the folder"
        return [*lines, Line("cluster", "shared locks", "warning", found, care)]
    return [*lines, Line("cluster", "shared locks", "ok", "a lock held here is seen by every worker")]


def network_lines(net: Network) -> list[Line]:
    """Whoever reaches the scheduler can run code as its user."""
    if net.local:
        traffic = Line("cluster", "encryption", "ok", f"not needed: {net.scheduler} is reached from this machine alone")
    elif net.encrypted:
        traffic = Line("cluster", "encryption", "ok", f"TLS: {net.scheduler}")
    else:
        found = f"{net.scheduler} is plain: whoever reaches that port can run programs as you"
        traffic = Line(
            "cluster", "encryption", "problem", found, "use a profile with TLS (addresses begin with tls://)"
        )
    if net.pages:
        found = f"HTTP pages without a login listen at {', '.join(net.pages[:_NAMED])}"
        pages = Line("cluster", "dashboard", "problem", found, "switch it off, or bind it to 127.0.0.1 and use ssh -L")
    elif net.unknown:
        pages = Line(
            "cluster", "dashboard", "warning", f"could not be looked for ({net.unknown[0]})", "ask who runs it"
        )
    else:
        pages = Line("cluster", "dashboard", "ok", "nothing listens for HTTP beyond loopback")
    return [traffic, pages]


def talking_line(here: Facts, scheduler: Mapping[str, str] | None) -> Line:
    """The scheduler's libraries are ours."""
    if scheduler is None:
        found = "the scheduler does not say which versions it has"
        return Line(
            "cluster", "scheduler", "warning", found, "ask who runs it for the versions of dask and distributed"
        )
    bad = [f"{name} {number} there, {here['versions'].get(name)} here" for name, number in scheduler.items()
           if here["versions"].get(name) != number]  # fmt: skip
    if bad:
        return Line("cluster", "scheduler", "problem", "; ".join(bad), "install the same versions on both sides")
    return Line(
        "cluster", "scheduler", "ok", "it has this machine's versions of dask, distributed and what they talk by"
    )


def _is_shared(filesystem: str) -> bool:
    from .facts import SHARED

    return filesystem in SHARED


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
