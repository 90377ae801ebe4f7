"""What can go wrong between a task and the place it runs in."""


class ClusterError(RuntimeError):
    """A cluster that could not be started, or that could not finish its work."""


def in_one_line(error: BaseException) -> str:
    """An exception's name and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split())
