"""Words around numbers, for people."""


def noun(number: float, word: str) -> str:
    """A noun in the number that a number asks for: "chunk" for 1, else "chunks"."""
    return word if number == 1 else f"{word}s"


def counted(number: int, word: str) -> str:
    """A number with its noun, as in "1 chunk" and "2 chunks"."""
    return f"{number} {noun(number, word)}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: 0.4 s, 12 s, 3.5 min, 26 h."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2.0 * length:
            return f"{seconds / length:.3g} {unit}" if seconds < 1000.0 * length else f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10.0 else f"{seconds:.1g} s"


def size(count: float) -> str:
    """An amount of bytes in the unit that suits it: 812 bytes, 3.2 kB, 46 MB, 1.9 GB."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count:.0f} bytes"
