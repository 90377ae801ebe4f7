"""Whether memory has room for what a run is about to start, and what is said or done where it has not."""

from collections.abc import Callable

from crbatch.cluster.errors import ClusterError
from crbatch.cluster.needs import check_compiling, fitting_workers
from crbatch.engine.warm import is_compiled

from ..errors import EnvironmentProblem


def refuse_compiling() -> None:
    """Refuse to compile kernels where memory has no room for it.

    Raises
    ------
    EnvironmentProblem
        Saying how much it takes.
    """
    try:
        if not is_compiled():
            check_compiling()
    except ClusterError as error:
        raise EnvironmentProblem(str(error)) from None


def local_workers(wanted: int, by_default: bool, say: Callable[[str], None]) -> int:
    """Return how many local workers start; none, for work in this process, where nobody asked for one and none fits.

    Raises
    ------
    EnvironmentProblem
        If none fits that was asked for.
    """
    try:
        fit = fitting_workers(wanted)
    except ClusterError as error:
        if not by_default:
            raise EnvironmentProblem(str(error)) from None
        say(f"working in this process: {error}")
        return 0
    if fit < wanted:
        say(f"starting {fit} of {wanted} local workers, as more do not fit into memory")
    return fit
