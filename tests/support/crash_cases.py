"""A warm process that forks one child for each crash point; strace kills the child there, or fails its call."""

import ctypes
import gc
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
from crbatch.results.cube import write_cube
from crbatch.results.errors import DamagedData
from crbatch.results.schema import make_dataset
from crbatch.results.shards import commit_bytes, commit_shard, covering, list_shards
from repository import SUPPORT

ATTRS = {"Conventions": "CF-1.11", "title": "made up"}
COUNT = 4


@dataclass(frozen=True)
class Call:
    """A system call that touched the folder: its name, its number among those of that name, and what it touched."""

    name: str
    number: int
    paths: tuple[str, ...]


def dataset(start: int, stop: int) -> xr.Dataset:
    shape = (stop - start, 2, 2)
    values = np.arange(4 * start, 4 * stop).reshape(shape)
    arrays = {"crb_bp": values / 8.0, "status": (values % 2).astype(np.int8)}
    labels: dict[str, Any] = {"scheme": ["apa", "fdb-wcrb"], "rho": [0.0, 1.0], "sweep": {}, "attrs": ATTRS}
    return make_dataset(arrays, draw=np.arange(start, stop), **labels)


def write_shard(folder: Path) -> str:
    return commit_shard(dataset(0, COUNT), folder / "shards", 0, COUNT).path.name


def write_received_shard(folder: Path) -> str:
    (sent,) = list_shards(folder / "sent")
    return commit_bytes(sent.path.read_bytes(), folder / "shards", 0, COUNT, sent.sha256).path.name


def consolidate(folder: Path, count: int = COUNT) -> str:
    shards = list_shards(folder / "shards")
    return write_cube(covering(shards, count)[0], folder / "cube.nc", count, ATTRS)


TASKS = {"shard": write_shard, "received shard": write_received_shard, "cube": consolidate}


def prepare(folder: Path, task: str) -> None:
    """What a task finds: the bytes that a worker sent, or the shards of a cube."""
    (folder / "shards").mkdir()
    if task == "received shard":
        (folder / "sent").mkdir()
        commit_shard(dataset(0, COUNT), folder / "sent", 0, COUNT)
    if task == "cube":
        for start in range(0, COUNT, 2):
            commit_shard(dataset(start, start + 2), folder / "shards", start, start + 2)


def warm_up() -> None:
    """Do every task once, so that no child has anything left to import."""
    for task in TASKS:
        with TemporaryDirectory() as folder:
            prepare(Path(folder), task)
            TASKS[task](Path(folder))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def attempt(task: str, folder: Path) -> dict[str, Any]:
    """What a task gave, or its error with what then lies in the folder; to HDF5 all that it cannot read is damaged."""
    try:
        return {"gave": TASKS[task](folder)}
    except (OSError, DamagedData) as error:
        return {"error": str(error), "files": names(folder)}


def child(task: str, folder: Path, pipe: int) -> None:
    """Do a task once strace is there; after an error once more, in the same process as a worker would."""
    for stream in (1, 2):
        os.dup2(pipe, stream)
    signal.sigwait({signal.SIGUSR1})
    outcome = attempt(task, folder)
    if "error" in outcome:
        outcome["again"] = attempt(task, folder)
    gc.collect()  # what a failure left open is closed now, or by the libraries' own handlers at exit
    print(json.dumps(outcome), flush=True)  # noqa: T201
    ctypes.CDLL(None).exit(0)  # Python's own end takes a quarter of a second


def serve(task: str, folder: str, strace: list[str]) -> dict[str, Any]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(task, Path(folder), writer)
    os.close(writer)
    tracer = None
    if strace:
        tracer = subprocess.Popen(["strace", *strace, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        assert attached.endswith("attached\n"), attached
    os.kill(pid, signal.SIGUSR1)
    with open(reader) as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if tracer is not None:
        tracer.communicate()
    return {"code": code, "said": said}


def main() -> None:
    warm_up()
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for line in sys.stdin:
        print(json.dumps(serve(**json.loads(line))), flush=True)  # noqa: T201


class Forge:
    """The warm process, as tests see it."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def run(self, task: str, folder: Path, inject: str | None = None, *, traced: bool = True) -> dict[str, Any]:
        """Do a task in a child of its own: its exit code, its outcome if it came to one, its calls on the folder."""
        strace = ["-f", "-y", "-s", "0", "-e", "trace=%file,%desc", "-o", str(self._log)] if traced else []
        strace += [] if inject is None else ["-e", f"inject={inject}"]
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"task": task, "folder": str(folder), "strace": strace}) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        said = answer["said"].splitlines()
        answer["outcome"] = json.loads(said[-1]) if answer["code"] == 0 else None
        answer["noise"] = said[:-1] if answer["code"] == 0 else said
        answer["calls"] = list(self._calls(folder)) if traced else []
        return answer  # type: ignore[no-any-return]

    def _calls(self, folder: Path) -> Iterator[Call]:
        counts: Counter[str] = Counter()
        touched = re.compile(rf'(?<=["<]){re.escape(str(folder))}[^">]*')
        for line in self._log.read_text().splitlines():
            match = re.match(r"\d+ +(\w+)\(", line)
            if match:
                counts[match[1]] += 1
                paths = touched.findall(line.rpartition(" = ")[0])
                if paths:
                    yield Call(match[1], counts[match[1]], tuple(Path(path).name for path in paths))


@contextmanager
def forge(log: Path) -> Iterator[Forge]:
    environment = os.environ | {"PYTHONPATH": str(SUPPORT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-c", "from crash_cases import main; main()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield Forge(process, log)
        process.communicate()
