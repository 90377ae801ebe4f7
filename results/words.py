"""Words around numbers, for people."""


def noun(number: float, word: str) -> str:
    """A noun in the number that a number asks for: "chunk" for 1, else "chunks"."""
    return word if number == 1 else f"{word}s"


def counted(number: int, word: str) -> str:
    """A number with its noun, as in "1 chunk" and "2 chunks"."""
    return f"{number} {noun(number, word)}"


def said(value: object) -> str:
    """A swept value as it is printed: a number in short, a word as it is."""
    return value if isinstance(value, str) else f"{value:g}"


def duration_text(seconds: float) -> str:
    """Two or three digits in seconds, minutes, hours or days."""
    if seconds < 0.05:
        return "under 0.05 s" if seconds > 0.0 else "0 s"
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    for unit, length, most in (("s", 1.0, 120.0), ("min", 60.0, 120.0), ("h", 3600.0, 72.0)):
        if seconds < most * length:
            return f"{_three(seconds / length)} {unit}"
    return f"{_three(seconds / 86400.0)} days"


def size_text(count: float) -> str:
    """Bytes, in decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{_three(count)} {unit}"
        count /= 1000.0
    return f"{_three(count)} TB"


def _three(value: float) -> str:
    """Three digits, and all of those before the point."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def in_short(error: Exception) -> str:
    """What an exception says in one line that is not endless; its name if it says nothing."""
    return " ".join(str(error).split())[:100] or type(error).__name__
