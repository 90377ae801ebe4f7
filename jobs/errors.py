"""Problems that end a command, each with its documented exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from crbatch.cluster.errors import ClusterError


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    BUG = 1
    USAGE = 2
    INCOMPLETE = 3
    SOME_UNCERTIFIED = 4
    ENVIRONMENT = 5
    DAMAGED = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """A problem whose message is one line for the user."""

    code = Exit.BUG


class UsageProblem(CommandError):
    """The command or the job file asks for something that cannot be."""

    code = Exit.USAGE


class IncompleteRun(CommandError):
    """There is work left; running the same command again continues it."""

    code = Exit.INCOMPLETE


class EnvironmentProblem(CommandError):
    """The machine or installation cannot do the work."""

    code = Exit.ENVIRONMENT


class DamagedData(CommandError):
    """Files of a run are damaged, or belong to something else."""

    code = Exit.DAMAGED


@contextmanager
def of_the_environment() -> Iterator[None]:
    """Let what goes wrong with a cluster or batch system end the command as a problem of the environment."""
    try:
        yield
    except ClusterError as error:
        raise EnvironmentProblem(str(error)) from error
