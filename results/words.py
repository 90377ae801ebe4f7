"""Words around numbers, for people."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 chunk", "2 chunks", "2 indices" with its own plural."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
