"""Draws from a file: `[draws] file`. What the file holds takes the place of what would be drawn.

`table` reads text, `arrays` reads NetCDF and MATLAB files; `columns` knows the headings, `found` what comes of it all.
"""

from .found import Drops
from .read import read_drops

__all__ = ["Drops", "read_drops"]
