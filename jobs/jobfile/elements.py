"""Arrays by a file of their elements: `{ kind = "elements", file = "array.csv" }`."""

from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

from crbatch.engine.antennas import MOST_ANTENNAS
from crbatch.results.words import counted

from ..drops.table import NUMBER, cells_of, separator_of, text_of
from .kinds import is_file
from .mistakes import at_each

_ARRAYS = ("tx_array", "rx_array", "ue_array")
_LARGEST = 1_000_000
_HEADINGS = (["x", "y", "z"], ["x", "y"])


def with_elements(scenario: object, folder: Path) -> object:
    """A section [scenario] whose arrays have elements in place of files; `folder` is where relative paths start.

    Raises PydanticCustomError, naming the key, and the line of the file.
    """
    if not isinstance(scenario, dict):
        return scenario
    read, mistakes = {}, []
    for key in _ARRAYS:
        array = scenario.get(key)
        if isinstance(array, dict) and array.get("kind") == "elements" and "file" in array:
            try:
                read[key] = _read(array, folder)
            except ValueError as error:
                mistakes.append((f"{key}.file", str(error)))
    if mistakes:
        raise at_each(mistakes)
    return scenario | read


def _read(array: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same array with the positions that its file has; a refusal is a ValueError."""
    name = array["file"]
    if not isinstance(name, str) or not name:
        raise ValueError(f"{short(name)} is refused; it should be the path of a file of x, y, z in wavelengths")
    if "positions" in array:
        raise ValueError("positions say the same; leave out one of them")
    path = folder / name
    if not is_file(path):
        raise ValueError(f"no file {path}; the path starts at the job file's folder")
    try:
        positions = read_elements(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return {key: value for key, value in array.items() if key != "file"} | {"positions": positions}


def read_elements(path: Path) -> list[list[float]]:
    """Read a table of elements: x, y, z in wavelengths, or x, y in the plane, a line each; headings may say so.

    Raises OSError if the file cannot be read, ValueError naming the line if it is no such table.
    """
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"has more than {_LARGEST} bytes; give one of {MOST_ANTENNAS} elements at most")
    numbered = enumerate(text_of(path).splitlines(), 1)
    lines = [(number, line) for number, line in numbered if line.strip() and not line.lstrip().startswith("#")]
    rows = [(line[0], cells_of(line, separator_of(lines[0][1]))) for line in lines]
    if rows and not any(map(NUMBER.fullmatch, rows[0][1])):
        number, headings = rows.pop(0)
        if [name.lower() for name in headings] not in _HEADINGS:
            raise ValueError(f"line {number}: headings {short(headings)}; they should be x, y, z, in wavelengths")
    if not 1 <= len(rows) <= MOST_ANTENNAS:
        raise ValueError(f"{counted(len(rows), 'element')} in it; give 1 to {MOST_ANTENNAS}")
    columns = len(rows[0][1])
    for number, cells in rows:
        if len(cells) != columns or columns not in (2, 3):
            raise ValueError(f"line {number} has {counted(len(cells), 'cell')}; give x, y, z in each, or x, y in each")
        wrong = next((cell for cell in cells if not NUMBER.fullmatch(cell)), None)
        if wrong is not None:
            raise ValueError(f"line {number}: {short(wrong)} is refused; it should be a number")
    return [[float(cell) for cell in cells] for _, cells in rows]
