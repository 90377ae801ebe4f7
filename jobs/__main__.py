"""The command, from its first moment on; also ``python -m jobs``, where no script is on the path, as in batch jobs."""

from cluster.settings import shield
from results.settings import shield as shield_figures

from .interrupt import listen
from .streams import guard

shield()  # in workers as well: they import this file when they start


def main() -> None:
    """Listen to signals for good, make the streams safe, and only then load the command line."""
    listen()
    guard()
    shield_figures()
    from .cli import main as command

    command()


if __name__ == "__main__":
    main()
