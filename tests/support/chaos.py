"""Seeded chaos: a real run with two workers, under faults that are drawn at random, has to end with the right cube.

    python tests/support/chaos.py --schedules 50 --seed 1      run that many schedules
    python tests/support/chaos.py --interrupts 40 --seed 1     interrupt one run so often, each time at a random moment
    python tests/support/chaos.py --items 100000               the driver's memory over that many trivial items

A schedule that fails is printed with its seed; `--schedules 1 --seed N` repeats it.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from crbatch.jobs.chunk.task import Chunk, compute
from crbatch.jobs.driver.status import status as find_status
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.identity import code_key
from crbatch.results.shards import covering, list_shards
from job_cases import tiny_job

COUNT, CHUNK = 1200, 20
JOB = tiny_job(draws={"count": COUNT}, name="chaos")
IN_FLIGHT = 4  # two workers, with one chunk at work and one waiting each
_SECONDS = 120.0


@dataclass
class Run:
    """The run under attack."""

    folder: RunDirectory
    rng: random.Random
    process: "subprocess.Popen[bytes] | None" = None
    redone: int = 0  # chunks that a fault may have cost
    journal_is_whole: bool = True
    log: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Start the command that a user would, in a session of its own."""
        words = ["run", self.folder.path.parent / "job.toml", "-o", self.folder.path, "--no-report"]
        options = ["--cluster", "local", "--workers", "2", "--chunk", str(CHUNK)]
        command = [sys.executable, "-P", "-m", "crbatch", *map(str, words), *options]
        environment = os.environ
        with (self.folder.path.parent / "said").open("ab") as said:
            self.process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)

    def shards(self) -> int:
        """How many shards there are."""
        return len(list_shards(self.folder.shards))

    def wait_for_shards(self, count: int) -> bool:
        """Wait until that many shards are there; False if the run ended before."""
        assert self.process is not None
        end = time.monotonic() + _SECONDS
        while self.shards() < count and self.process.poll() is None:
            assert time.monotonic() < end, "the run hangs"
            time.sleep(0.005)
        return self.process.poll() is None

    def workers(self) -> list[psutil.Process]:
        """Processes of the run that compute."""
        assert self.process is not None
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in below if not child.children() and "spawn_main" in " ".join(child.cmdline())]

    def end(self) -> int:
        """Wait for the end of the command."""
        assert self.process is not None
        return self.process.wait(_SECONDS)


# ---- faults: each leaves the run going, or ended


def kill_a_worker(run: Run) -> None:
    run.rng.choice(run.workers()).kill()


def kill_both_workers(run: Run) -> None:
    for worker in run.workers():
        worker.kill()


def stop_a_worker_for_a_while(run: Run) -> None:
    worker = run.rng.choice(run.workers())
    worker.suspend()
    time.sleep(run.rng.uniform(0.1, 1.0))
    worker.resume()


def kill_the_driver(run: Run) -> None:
    assert run.process is not None
    run.process.kill()
    run.end()


def cut_the_power(run: Run) -> None:
    """Everything dies at once, with a torn journal line and half a temporary file."""
    assert run.process is not None
    os.killpg(run.process.pid, signal.SIGKILL)
    run.end()
    with run.folder.journal.path.open("ab") as journal:
        journal.write(b'{"event": "chunk", "start"')
    (run.folder.shards / ".torn.nc.tmp").write_bytes(b"\x89HDF\r\n\x1a\n half of it")


def ask_to_end(run: Run) -> None:
    assert run.process is not None
    run.process.send_signal(run.rng.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]))
    run.end()


def damage_a_shard(run: Run) -> None:
    kill_the_driver(run)
    shard = run.rng.choice(list_shards(run.folder.shards))
    data = bytearray(shard.path.read_bytes())
    if run.rng.random() < 0.5:
        data[run.rng.randrange(len(data))] ^= 1 << run.rng.randrange(8)
        shard.path.write_bytes(data)
    else:
        os.truncate(shard.path, run.rng.randrange(len(data)))
    run.redone += 1


def lose_a_shard(run: Run) -> None:
    kill_the_driver(run)
    run.rng.choice(list_shards(run.folder.shards)).path.unlink()
    run.redone += 1


def lose_the_journal(run: Run) -> None:
    kill_the_driver(run)
    run.folder.journal.path.unlink(missing_ok=True)  # a driver that was killed at once had none
    run.journal_is_whole = False


def roll_the_journal_back(run: Run) -> None:
    kill_the_driver(run)
    run.folder.journal.path.touch()
    os.truncate(run.folder.journal.path, run.rng.randint(0, run.folder.journal.path.stat().st_size))
    run.journal_is_whole = False


def compute_a_chunk_twice(run: Run) -> None:
    """As a worker would that was given up and comes back."""
    start = CHUNK * run.rng.randrange(COUNT // CHUNK)
    compute(Chunk(str(run.folder.path), start, start + CHUNK, JOB.key(), code_key()))


FAULTS: tuple[Callable[[Run], None], ...] = (
    kill_a_worker,
    kill_both_workers,
    stop_a_worker_for_a_while,
    kill_the_driver,
    cut_the_power,
    ask_to_end,
    damage_a_shard,
    lose_a_shard,
    lose_the_journal,
    roll_the_journal_back,
    compute_a_chunk_twice,
)


def schedule(seed: int, undisturbed: bytes, home: Path) -> Run:
    """Do one schedule of one to four faults, and hold the outcome against the undisturbed cube."""
    run = Run(RunDirectory(home / "run"), random.Random(seed))
    home.mkdir()
    (home / "job.toml").write_text(JOB.to_toml())
    run.start()
    faults = run.rng.choices(FAULTS, k=run.rng.randint(1, 4))
    at = sorted(run.rng.randrange(1, COUNT // CHUNK - 4) for _ in faults)
    for fault, shards in zip(faults, at, strict=True):
        if not run.wait_for_shards(shards):
            run.start()
            if not run.wait_for_shards(shards):
                break  # it is done
        run.log.append(f"{fault.__name__} at {run.shards()} shards")
        try:
            fault(run)
        except (psutil.NoSuchProcess, IndexError):
            run.log[-1] += " (too late)"
        run.redone += IN_FLIGHT
    for _ in range(3):
        if run.process is None or run.end() != 0:
            run.start()
    check(run, undisturbed)
    return run


def check(run: Run, undisturbed: bytes) -> None:
    """The oracle."""
    assert run.end() == 0
    assert run.folder.cube.read_bytes() == undisturbed
    found = list_shards(run.folder.shards)
    assert covering(found, COUNT)[1] == []
    assert len({(shard.start, shard.stop) for shard in found}) == COUNT // CHUNK
    chunks = [event for event in run.folder.journal.events("chunk") if "rebuilt" not in event]
    if run.journal_is_whole:
        assert len(chunks) <= COUNT // CHUNK + run.redone


def executions(run: Run) -> int:
    """Chunks that were computed more than once, as far as the journal tells."""
    chunks = [event["start"] for event in run.folder.journal.events("chunk") if "rebuilt" not in event]
    return len(chunks) - len(set(chunks))


def undisturbed_cube(home: Path) -> bytes:
    """The cube of a run that nothing happens to."""
    run = Run(RunDirectory(home / "undisturbed" / "run"), random.Random(0))
    run.folder.path.parent.mkdir()
    (run.folder.path.parent / "job.toml").write_text(JOB.to_toml())
    run.start()
    assert run.end() == 0
    return run.folder.cube.read_bytes()


def run_schedules(count: int, seed: int, home: Path) -> None:
    """Do some schedules, and say what happened in each."""
    undisturbed = undisturbed_cube(home)
    faults = again = 0
    for one in range(seed, seed + count):
        begun = time.monotonic()
        try:
            run = schedule(one, undisturbed, home / str(one))
        except BaseException:
            sys.stdout.write(f"seed {one} FAILED; see {home / str(one)}\n")
            raise
        faults += len(run.log)
        again += executions(run)
        sys.stdout.write(f"seed {one}: {'; '.join(run.log) or 'nothing'} ({time.monotonic() - begun:.0f} s)\n")
        sys.stdout.flush()
    sys.stdout.write(f"{count} schedules, {faults} faults, {again} chunks computed again, 0 lost, all cubes equal\n")


def run_interrupts(count: int, seed: int, home: Path) -> None:
    """Interrupt one run again and again, by Ctrl-C or its kin, once or twice, in a terminal or the driver alone."""
    undisturbed = undisturbed_cube(home)
    rng = random.Random(seed)
    run = Run(RunDirectory(home / "interrupted" / "run"), rng)
    run.folder.path.parent.mkdir()
    (run.folder.path.parent / "job.toml").write_text(JOB.to_toml())
    for number in range(count):
        run.start()
        process = run.process
        assert process is not None
        moment, terminal, twice = rng.uniform(0.15, 8.0), rng.random() < 0.5, rng.random() < 0.3
        kind = rng.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        begun = time.monotonic()
        for pause in (0.3, 0.0) if twice else (0.0,):
            with suppress(ProcessLookupError):
                (os.killpg if terminal else os.kill)(process.pid, kind)
            with suppress(subprocess.TimeoutExpired):
                process.wait(pause)
        code, seconds = run.end(), time.monotonic() - begun
        state = find_status(run.folder)["state"] if (run.folder.path / "job.toml").exists() else "not begun"
        said = (run.folder.path.parent / "said").read_text()
        how = f"{kind.name} {'to all' if terminal else 'to the driver'}{', twice' if twice else ''}"
        sys.stdout.write(f"{number}: {how} at {moment:.2f} s: exit {code} after {seconds:.2f} s, {state}\n")
        sys.stdout.flush()
        assert code in (0, 130)
        assert "Traceback" not in said
        assert state in ("not begun", "incomplete", "done")
        if state == "done":
            shutil.rmtree(run.folder.path)
        run.redone += IN_FLIGHT
    run.start()
    check(run, undisturbed)


def run_items(count: int) -> None:
    """Watch the driver's memory over many trivial items."""
    from crbatch.cluster.connect import connect
    from crbatch.cluster.dispatch import dispatch

    me = psutil.Process()
    begun = time.monotonic()
    with connect("local", 2) as client:
        for done, _ in enumerate(dispatch(client, abs, range(count)), 1):
            if done * 10 % count == 0:
                megabytes = me.memory_info().rss / 1e6
                seconds = time.monotonic() - begun
                sys.stdout.write(f"{done} items, {seconds:.0f} s, {megabytes:.0f} MB in the driver and scheduler\n")
                sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interrupts", type=int, default=0)
    parser.add_argument("--items", type=int, default=0)
    options = parser.parse_args()
    if options.items:
        run_items(options.items)
        return
    home = Path(tempfile.mkdtemp(prefix="crbatch-chaos-"))
    if options.interrupts:
        run_interrupts(options.interrupts, options.seed, home)
        return
    run_schedules(options.schedules, options.seed, home)


if __name__ == "__main__":
    main()
