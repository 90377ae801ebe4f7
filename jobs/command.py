"""The command from its first moment on; installed as ``crbatch/__main__.py``, which ``python -m crbatch`` runs too."""

from crbatch.jobs.shield import shield
from crbatch.jobs.terminal.interrupt import listen
from crbatch.jobs.terminal.streams import guard

shield()  # in workers as well: they import this file when they start


def main() -> None:
    """Listen to signals for good, make the streams safe, and only then load the command line."""
    listen()
    guard()
    from crbatch.jobs.cli.app import main as command

    command()


if __name__ == "__main__":
    # Workers import this file, too: by its path, as multiprocessing leaves out what is called __main__.
    globals()["__spec__"] = None
    main()
