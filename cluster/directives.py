"""Options of a batch system that a profile may not set: they would change what runs, or where it is looked for."""

import shlex
from collections.abc import Iterator

# By long and short name; what sbatch takes for one of them by its beginning is refused as well.
_SLURM = {
    "array": "a",
    "clusters": "M",
    "error": "e",
    "help": "h",
    "input": "i",
    "job-name": "J",
    "output": "o",
    "quiet": "Q",
    "version": "V",
    "wait": "W",
    **dict.fromkeys(("batch", "ignore-pbs", "no-requeue", "open-mode", "parsable"), ""),
    **dict.fromkeys(("requeue", "signal", "test-only", "usage", "wrap"), ""),
}
_PBS = "oeNJrICzXh"
_LEAST = 3  # letters of a long option that say which is meant


def check_slurm(lines: list[str]) -> list[str]:
    """Refuse lines that are not options, or that have options which a run sets itself or cannot live with.

    Raises ValueError, saying what it should be.
    """
    for word in _options(lines):
        name = word.lstrip("-").partition("=")[0]
        if word.startswith("--"):
            found = next((one for one in _SLURM if len(name) >= _LEAST and one.startswith(name)), None)
        else:
            found = next((one for one, short in _SLURM.items() if short and short == name[:1]), None)
        if found:
            raise _refused(f"--{found}")
    return lines


def check_pbs(lines: list[str]) -> list[str]:
    """Refuse what `check_slurm` does, of PBS.

    Raises ValueError, saying what it should be.
    """
    for word in _options(lines):
        if word == "--" or word[1:2] in _PBS:
            raise _refused(word)
    return lines


def _refused(option: str) -> ValueError:
    return ValueError(f"{option} is not for a profile: it would change what runs, or where it is looked for")


def _options(lines: list[str]) -> Iterator[str]:
    """Those words of the lines that begin with a dash."""
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:  # quotes that do not close
            raise ValueError(f"it should be options: {error}") from None
        if not words or not words[0].startswith("-") or words[0] == "-":
            raise ValueError('it should begin with an option, as in "--constraint=zen4"')
        yield from (word for word in words if word.startswith("-"))
