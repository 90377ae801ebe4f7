"""TOML that somebody else wrote, in bounded time and memory."""

import re
import tomllib
from pathlib import Path
from typing import Any

#: Bytes that a job file may have: ten times what the longest lists that a job may hold take.
LARGEST = 4_000_000
_LARGEST_INTEGER = 2**63
# Its parser takes the square of their number.
_DEEP_KEY = re.compile(
    r"""(?<![\w-])(?:(?:"[^"\n]*+"|'[^'\n]*+'|[\w-]++)[ \t]*+\.[ \t]*+){32}""", re.ASCII
)  # longer than any name of ours, or of a file
_DEEP = "tables or lists are nested too deeply"


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, as `parse_toml` does.

    Raises OSError if it cannot be read; ValueError, `UnicodeDecodeError` if it is no text; `tomllib.TOMLDecodeError` if
    it is no TOML, or beyond what a job needs.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise tomllib.TOMLDecodeError(f"the file has more than {LARGEST} bytes")
    return parse_toml(content.decode("utf-8"))


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML.

    Raises tomllib.TOMLDecodeError if it is none, is nested deeply, or has an integer of more than 64 bits, which TOML
    has not.
    """
    if _DEEP_KEY.search(text):
        raise tomllib.TOMLDecodeError(_DEEP)
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise tomllib.TOMLDecodeError(_DEEP) from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # of int(), which takes 4,300 digits
        raise tomllib.TOMLDecodeError("an integer has more than 64 bits") from None
    _check_integers(document, "")
    return document


def _check_integers(value: object, key: str) -> None:
    if isinstance(value, dict):
        for name, one in value.items():
            _check_integers(one, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for one in value:
            _check_integers(one, key)
    elif isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        raise tomllib.TOMLDecodeError(f"{key}: an integer has more than 64 bits")
