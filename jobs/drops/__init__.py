"""Draws from a file: `[draws] file`. What the file holds takes the place of what would be drawn.

`table` reads text, `arrays` reads NetCDF and MATLAB files; `columns` knows the headings, `found` what comes of it all.
The same for paths, `[draws] paths`: `pathcolumns` has a form of our own, `raytraced` reads those of others.
"""

from .found import Drops
from .pathcolumns import write_paths
from .pathfile import PathFile
from .read import read_drops
from .readpaths import read_path_file, read_paths

__all__ = ["Drops", "PathFile", "read_drops", "read_path_file", "read_paths", "write_paths"]
