"""The examination: look, ask the workers, judge."""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crbatch.cluster.connect import connect
from crbatch.cluster.doctor import Answer, network, probe_workers, round_trips, scheduler_versions
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.leaving import at_stop
from crbatch.cluster.profiles import Profile

from ..bench.laps import lap
from ..bench.simulated import empty_chunk
from ..terminal.progress import Progress
from . import judge_cluster as judge
from .facts import facts
from .folder import exchange, folder_facts, held_token, wait_for
from .judge_folder import folder_lines, sharing_lines
from .judge_machine import machine_lines, open_files_line
from .lines import Line

_TRIED = 32  # workers to which round trips are timed, one after another
_RECEIPTS = 200
_PATIENCE = 5.0  # s
_QUEUE_SECONDS = 300.0


def examine(
    cluster: Profile | str | None, workers: int | None, folder: Path, progress: Progress, insecure_tcp: bool = False
) -> list[Line]:
    """Check this machine and a folder; with a cluster, also that and what lies between.

    `cluster`: profile, as `run` takes it; None or "none" for this machine alone. `workers`: processes to start; the
    profile's default by default. `folder`: where a run would write; need not be there yet, and nothing is left in it.
    `insecure_tcp`: whether a scheduler may be reached without encryption over a network. Result: lines in the order in
    which they are worth reading.
    """
    progress.say("looking at this machine")
    here = facts()
    lines = machine_lines(here)
    with _tried(folder) as (place, in_folder):
        if cluster is None:
            return [*lines, open_files_line(here, 0), *in_folder]
        progress.say("asking the workers; a queue may let them wait")
        try:
            with connect(cluster, workers, folder=place, name="doctor", insecure_tcp=insecure_tcp) as client:
                if client is None:
                    return [*lines, open_files_line(here, 0), *in_folder]
                client.wait_for_workers(1, timeout=_QUEUE_SECONDS)
                lines.append(open_files_line(here, len(client.nthreads())))
                return [*lines, *in_folder, *cluster_lines(client, here, place)]
        except (ClusterError, TimeoutError) as error:
            advice = "look at the profile, and whether this machine may reach it"
            return [*lines, *in_folder, Line("cluster", "connection", "problem", str(error), advice)]


@contextmanager
def _tried(folder: Path) -> Iterator[tuple[Path | None, list[Line]]]:
    """Give a scratch folder (None if nothing can be written) and what is to be said of it.

    It lies in the folder, or the nearest one above it that is there: where its file system can be tried.
    """
    whole = folder.absolute()
    at = next(path for path in (whole, *whole.parents) if path.is_dir())
    name = str(at) if at == whole else f"{at}, in which {folder} would be made,"
    try:
        scratch = TemporaryDirectory(prefix=".crbatch-doctor-", dir=at, ignore_cleanup_errors=True)
    except OSError as error:
        yield None, folder_lines(name, f"cannot be written to ({error.strerror})")
        return
    with scratch, at_stop(scratch.cleanup):
        yield Path(scratch.name), folder_lines(name, folder_facts(Path(scratch.name)))


def cluster_lines(client: Any, here: dict[str, Any], place: Path | None) -> list[Line]:
    """Ask every worker of a cluster.

    `here`: `facts` of this process. `place`: a scratch folder that workers should see; None if there is none.
    """
    threads = client.nthreads()
    answered, errors = _parted(probe_workers(client, facts))
    lines = judge.worker_lines(here, answered, errors, threads)
    lines += [judge.talking_line(here, scheduler_versions(client)), *judge.network_lines(network(client))]
    if place is not None:
        lines += _sharing(client, place)
    if answered:
        trips = round_trips(client, list(answered)[:: max(1, len(answered) // _TRIED)][:_TRIED])
        if trips:
            lines += [judge.clock_line(trips), judge.trip_line(trips, len(threads))]
        lap(client, empty_chunk, range(_RECEIPTS // 10))  # connections and code are there from now on
        lines.append(judge.receipts_line(lap(client, empty_chunk, range(_RECEIPTS)).wall, len(threads)))
    return lines


def _sharing(client: Any, place: Path) -> list[Line]:
    token = secrets.token_hex(16)
    with held_token(place, token):
        answered, errors = _parted(probe_workers(client, exchange, str(place), token))
        end = time.monotonic() + _PATIENCE  # for all together
        left = {
            name: wait_for(place / answer["name"], token, max(0.0, end - time.monotonic()))
            for name, answer in answered.items()
        }
    return sharing_lines(answered, errors, left)


def _parted(answers: Mapping[str, Answer]) -> tuple[dict[str, Any], dict[str, str]]:
    """Results, and errors, by worker."""
    good = {name: answer.result for name, answer in answers.items() if not answer.error}
    return good, {name: answer.error for name, answer in answers.items() if answer.error}
