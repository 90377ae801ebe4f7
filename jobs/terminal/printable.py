"""Text that others wrote, as it may be shown: what a terminal would obey, or what cannot be encoded, is spelled out."""

import re

# C0 and C1, line and paragraph separators, what reorders text, and lone surrogates (bytes of names that are no UTF-8).
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: object) -> str:
    """Spell out control characters, as Python's `repr` does."""
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], str(text))


def lines(text: str) -> str:
    """The same for text of several lines, which keeps them."""
    return "\n".join(map(one_line, text.split("\n")))
