"""Judges a folder: what it can do here, and whether workers see the same one."""

from collections.abc import Mapping

from .lines import GB, Facts, Line, Part, named

_FOLDER, _CLUSTER = Part("folder"), Part("cluster")
_SLOW_SYNC = 0.1  # s; one for every chunk in the driver, and two in a worker
_FEW_BYTES, _SOME_BYTES = 1e8, 2e9
_FEW_INODES, _SOME_INODES = 1_000, 50_000
_CARE = "take care yourself that only one run writes to the folder"


def folder_lines(folder: str, tried: Facts | str) -> list[Line]:
    """What a folder can do; `tried` is the error if nothing can be written there."""
    if isinstance(tried, str):
        advice = "choose a folder of yours with -o, on a disk that is not full"
        return [_FOLDER.problem("writable", f"{folder} {tried}", advice)]
    kind = f" ({tried['filesystem']})" if tried["filesystem"] else ""
    space = f"{tried['bytes_free'] / GB:.1f} GB are free; a quota of yours may be less"
    advice = "free some; a run needs its cube twice (shards and cube), and `crbatch plan` says how large that is"
    return [
        _FOLDER.ok("writable", f"{folder} can be written to{kind}"),
        _sync("sync of a file", tried["sync_file"]),
        _sync("sync of a folder", tried["sync_folder"]),
        _FOLDER.problem("rename", tried["rename"], "choose another file system: shards are committed by a rename")
        if tried["rename"]
        else _FOLDER.ok("rename", "a file is replaced in one step: readers see the old or the new, never a half"),
        _FOLDER.warning("locks", f"file locks do not work ({tried['lock']}); results do not rest on them", _CARE)
        if tried["lock"]
        else _FOLDER.ok("locks", "flock and fcntl locks work here; they only warn of a second run"),
        _FOLDER.graded("free space", space, advice, tried["bytes_free"], _FEW_BYTES, _SOME_BYTES),
        _inodes(tried["inodes_free"]),
    ]


def _sync(check: str, seconds: float | str) -> Line:
    if isinstance(seconds, str):
        advice = "choose another file system: after a power cut, what was committed here could be gone"
        return _FOLDER.problem(check, f"does not work ({seconds})", advice)
    found = f"takes {1e3 * seconds:.2g} ms"
    if seconds > _SLOW_SYNC:
        return _FOLDER.warning(check, found, "choose a faster file system, or larger chunks: one is paid a chunk")
    return _FOLDER.ok(check, found)


def _inodes(free: int | None) -> Line:
    if free is None:
        return _FOLDER.ok("free inodes", "this file system does not limit the number of files")
    found = f"{free:,} more files fit; a run leaves one a chunk"
    advice = "remove files, or choose larger chunks: a run leaves one file a chunk"
    return _FOLDER.graded("free inodes", found, advice, free, _FEW_INODES, _SOME_INODES)


def sharing_lines(answers: Mapping[str, Facts], errors: Mapping[str, str], left: Mapping[str, bool]) -> list[Line]:
    """Whether driver and workers see one folder; `left` says which worker's file was found here."""
    blind = [name for name, answer in answers.items() if not answer["seen"]]
    mute = [name for name, answer in answers.items() if answer["seen"] and (answer["written"] or not left[name])]
    found = ""
    if errors:
        found = f"{named(list(errors))}: {next(iter(errors.values()))}"
    elif blind:
        found = f"{named(blind)}: cannot see a file that was written here"
    elif mute:
        found = f"{named(mute)}: {answers[mute[0]]['written'] or 'what it wrote there did not arrive here'}"
    if found:
        advice = "choose a folder on a file system that all machines share, under the same name, writable on all"
        return [_CLUSTER.problem("shared folder", found, advice)]
    seen = _CLUSTER.ok("shared folder", "each worker reads what is written here, and the other way round")
    free = [name for name, answer in answers.items() if not answer["lock_refused"]]
    if free:
        found = f"{named(free)}: a lock held here is not seen there; results do not rest on it"
        return [seen, _CLUSTER.warning("shared locks", found, _CARE)]
    return [seen, _CLUSTER.ok("shared locks", "a lock held here is seen by every worker")]
