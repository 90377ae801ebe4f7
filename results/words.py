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
