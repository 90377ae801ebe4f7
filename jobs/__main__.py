"""The command, from its first moment on; also ``python -m jobs``, where no script is on the path, as in batch jobs."""

from .interrupt import listen
from .streams import guard


def main() -> None:
    """Listen to signals for good, make the streams safe, and only then load the command line."""
    listen()
    guard()
    from .cli import main as command

    command()


if __name__ == "__main__":
    main()
