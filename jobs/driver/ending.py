"""How a run ended that did not come to its end: noted in its journal, for `status`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from crbatch.cluster.leaving import at_stop
from crbatch.results.files import remove_temporaries
from crbatch.results.words import counted

from ..errors import CommandError, DamagedData, EnvironmentProblem, Exit, IncompleteRun
from ..folder.rundir import RunDirectory
from ..terminal.interrupt import ended_processes, rest_if_stopping

_FRUITLESS = 3  # sessions without a finished chunk, after which more of them will not help


@contextmanager
def ending_noted(folder: RunDirectory) -> Iterator[None]:
    """Note in the journal how a run ended that did not come to its end, for `status`."""

    def interrupted() -> None:
        folder.journal.write("interrupted")
        for place in (folder.path, folder.shards):
            remove_temporaries(place, ended_processes())

    try:
        with at_stop(interrupted):
            yield
    except (IncompleteRun, DamagedData):
        raise  # told to end, and noted so; or a folder that is not to be touched
    except Exception as error:
        rest_if_stopping()
        code = error.code if isinstance(error, CommandError) else Exit.BUG
        code = Exit.ENVIRONMENT if isinstance(error, OSError) else code
        with suppress(OSError):  # a full disk may be what ended it
            folder.journal.write("error", code=int(code), message=" ".join(f"{error}".split()))
        raise
    except BaseException:
        folder.journal.write("interrupted")
        raise


def told_to_drain(folder: RunDirectory, missing: list[tuple[int, int]]) -> CommandError:
    """What to raise after draining: incomplete, or hopeless where walltime is over before a chunk is."""
    folder.journal.write("drained")
    left = sum(stop - start for start, stop in missing)
    since = 0
    for event in folder.journal.events("chunk", "drained"):
        since = 0 if event["event"] == "chunk" else since + 1
    if since > _FRUITLESS:
        return EnvironmentProblem(
            f"{folder.path}: {since} times in a row no chunk was finished before walltime; give more of it, or a "
            "smaller --chunk"
        )
    to_go = counted(left, "draw")
    return IncompleteRun(f"{folder.path}: told to end, {to_go} to go; run the same command again to continue")
