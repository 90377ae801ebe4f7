"""Read a file of paths, whatever its format."""

from functools import lru_cache
from pathlib import Path

from crbatch.engine.draws import DrawModel, Draws, sample
from crbatch.engine.errors import ScenarioError
from crbatch.engine.scenario import Scenario

from .pathcolumns import read_path_netcdf, read_path_table
from .pathfile import PathFile
from .raytraced import read_json, read_mat, read_npz

_READERS = {
    read_path_table: (".csv", ".tsv", ".txt", ".dat"),
    read_path_netcdf: (".nc", ".nc4", ".netcdf", ".cdf"),
    read_npz: (".npz",),
    read_mat: (".mat",),
    read_json: (".json",),
}


def read_path_file(path: Path) -> PathFile:
    """Read a file of paths.

    `path`: ``.csv`` or ``.nc`` as `write_paths` leaves them, or what others export (see `raytraced`). Result: in the
    file's order. Raises ValueError, in one line: what is wrong, and where.
    """
    try:
        stamp = path.stat()
        return _read(path, stamp.st_mtime_ns, stamp.st_size)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


@lru_cache(maxsize=4)
def _read(path: Path, _time: int, _size: int) -> PathFile:
    reader = next((reader for reader, names in _READERS.items() if path.suffix.lower() in names), None)
    if reader is None:
        raise ValueError("no format of a file of paths; give .csv, .nc, .npz, .mat or .json")
    return reader(path)


def read_paths(path: str | Path, scenario: Scenario, strongest: int | None = None, seed: int = 0) -> Draws:
    """Read a file of paths as draws of a scenario.

    Paths of one reflection make the targets, all others are nuisance paths, whose directions, delays and gains are
    unknowns of their own. A file without echoes has those of the scenario's RCS, with uniform phases.

    Parameters
    ----------
    path
        A file as `write_paths` leaves it, or as Sionna RT, DeepMIMO or a clustered delay line in JSON have it.
    scenario
        Its attitudes, its clock bias and, where the file does not say it, the UE's position.
    strongest
        How many paths of each link of each draw to keep; all if left out.
    seed
        Of the echoes' phases.

    Returns
    -------
    Draws
        As many as the file has.

    Raises
    ------
    ValueError
        If the file is none of paths; in one line, what is wrong, and where.
    ScenarioError
        If its paths are not those of the scenario; naming the draw, counted from 0.
    """
    found = read_path_file(Path(path)).strongest(strongest)
    base = sample(scenario, DrawModel(), seed, 0, len(found))
    try:
        return found.draws(scenario, base, 0)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from None
