"""``python -m jobs``: the command line where no script is on the path, as in batch jobs."""

from .cli import main

main()
