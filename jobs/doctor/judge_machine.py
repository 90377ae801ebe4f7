"""Judges a process, here or in workers: its installation, threads, limits and kernel cache."""

from collections.abc import Mapping

from crbatch.results.words import counted, noun

from .facts import SHARED
from .lines import GB, Facts, Line, Part, named

HERE = Part("this machine")
_FILES, _FILES_PER_WORKER = 256, 4


def machine_lines(here: Facts) -> list[Line]:
    """Judge the installation, threads, limits and kernel cache of this process."""
    names = ("crbatch", "python", "numpy", "numba", "distributed")
    listed = ", ".join(f"{name} {here['versions'][name]}" for name in names)
    absent = [name for name, number in here["versions"].items() if number == "not installed"]
    room = (
        f"{here['cores']} cores and {here['memory'] / GB:.1f} GB may be used here "
        f"({here['free_memory'] / GB:.1f} GB are free)"
    )
    return [
        HERE.problem("versions", f"{', '.join(absent)}: not installed", "install crbatch with its dependencies")
        if absent
        else HERE.ok("versions", f"{listed}; code {here['code'][:12]}"),
        HERE.ok("package", f"crbatch comes from {here['place']}"),
        HERE.ok("CPU", f"{here['cpu']}, compiled for {here['target'].split(':')[0]}"),
        HERE.ok("cores and memory", room),
        threads_line(HERE, {"here": here}),
        cache_line(HERE, {"here": here}),
    ]


def threads_line(part: Part, every: Mapping[str, Facts]) -> Line:
    """One thread per process, by what the libraries themselves say."""
    many = {
        name: {pool: number for pool, number in facts["pools"].items() if number != 1} for name, facts in every.items()
    }
    bad = [name for name, pools in many.items() if pools]
    if bad:
        pools = ", ".join(f"{pool} {number}" for pool, number in many[bad[0]].items())
        unset = [name for name, value in every[bad[0]]["environment"].items() if value != "1" and "THREADS" in name]
        advice = f"set {' '.join(f'{name}=1' for name in unset) or 'all *_NUM_THREADS to 1'} before Python starts there"
        return part.problem("threads", f"{named(bad)}: more than one thread ({pools})", advice)
    libraries = len(next(iter(every.values()))["pools"])
    return part.ok("threads", f"each of {libraries} libraries keeps to 1 thread in a process, as sums need it")


def cache_line(part: Part, every: Mapping[str, Facts]) -> Line:
    """Kernels are kept as pickles: a folder that others can write to would let them run their code, and is not used."""
    caches = {name: facts["cache"] for name, facts in every.items()}
    troubled = [name for name, c in caches.items() if c["trouble"]]
    open_to_read = [name for name, c in caches.items() if c["mode"] & 0o077]
    shared = [name for name, c in caches.items() if c["filesystem"] in SHARED]
    first = next(iter(caches.values()))
    check, own = "kernel cache", "NUMBA_CACHE_DIR=/a/folder/of/yours on a local disk"
    if troubled:
        found = f"{named(troubled)}: {caches[troubled[0]]['trouble']}; each run compiles anew, for minutes"
        return part.warning(check, found, f"mend it, or set {own}")
    if shared:
        found = f"{named(shared)}: {caches[shared[0]]['path']} is on {caches[shared[0]]['filesystem']}"
        return part.warning(check, f"{found}, which machines share: slow, and open to races", f"set {own}")
    if open_to_read:
        path, mode = caches[open_to_read[0]]["path"], caches[open_to_read[0]]["mode"]
        return part.warning(check, f"{path} can be read by others (mode {mode:04o})", f"chmod 700 {path}")
    compiled = all(c["compiled"] for c in caches.values())
    state = "kernels are compiled" if compiled else "kernels are not compiled yet: a first run takes a minute longer"
    memory = "; it is kept in memory, so a boot clears it" if first["filesystem"] == "tmpfs" else ""
    return part.ok(check, f"{first['path']} is private (mode {first['mode']:04o}); {state}{memory}")


def open_files_line(here: Facts, workers: int) -> Line:
    """The driver holds some connections for every worker."""
    limit = here["open_files"]
    need = _FILES + _FILES_PER_WORKER * workers
    said = "no limit" if limit < 0 else f"{limit} may be open at a time"
    if 0 <= limit < need:
        found = f"{said}, {counted(workers, 'worker')} {'needs' if workers == 1 else 'need'} about {need}"
        return HERE.warning("open files", found, f"ulimit -n {need}, in the shell that starts crbatch")
    most = (limit - _FILES) // _FILES_PER_WORKER
    enough = "any number of workers" if limit < 0 else f"up to {most:,} {noun(most, 'worker')}"
    return HERE.ok("open files", f"{said}: enough for {enough}")
