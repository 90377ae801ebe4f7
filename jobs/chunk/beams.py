"""One's own beams from a file: `[design] custom`."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any
from warnings import catch_warnings
from zipfile import ZipFile, is_zipfile

import numpy as np
from crbatch.engine.covariances import covariance_of, of_unit_size
from crbatch.results.words import counted, in_short
from numpy.typing import NDArray

from ..errors import UsageProblem
from ..jobfile.schema import JobFile

_NAMED = 8  # arrays in a message


def load_beams(job: JobFile) -> NDArray[Any] | None:
    """Covariances V of the job's custom beams; None if it has none.

    `job`: its file holds an array W, (M_T, L) or (rho, M_T, L), as ``.npy``; or an array named ``W`` or ``V``, V being
    (M_T, M_T) or (rho, M_T, M_T), as ``.npz``. Result: V = W W^H, (M_T, M_T) or (rho, M_T, M_T), in any unit: only its
    shape counts. Raises UsageProblem if the file is not such an array.
    """
    if job.custom_path is None:
        return None
    return job.inputs.content("design.custom", job.custom_path, lambda path: _covariances(job, path))


def _covariances(job: JobFile, path: Path) -> NDArray[Any]:
    try:
        with _array_file(path) as (file, size, name):
            _refuse(path, _wrong_shape(job, name, *_claimed(file, size)))
            array = np.lib.format.read_array(file, allow_pickle=False)
    except UsageProblem:
        raise
    except Exception as error:  # bytes that are not theirs end in any exception of NumPy, zipfile and what they call
        raise UsageProblem(
            f"{path}: design.custom: not a NumPy file of numbers ({in_short(error)}); "
            "save W with numpy.save, or V = W W^H with numpy.savez"
        ) from None
    _refuse(path, _wrong_numbers(name, array))
    if name == "V":
        return array  # in its own precision, which says how far it may be from a covariance
    w = of_unit_size(array.astype(np.complex128))  # or its square might leave the range of numbers
    return covariance_of(w)


def _refuse(path: Path, reason: str | None) -> None:
    if reason:
        raise UsageProblem(f"{path}: design.custom: {reason}")


@contextmanager
def _array_file(path: Path) -> Iterator[tuple[IO[bytes], int, str]]:
    """Open the one array of the file as numpy.save writes it; its size in bytes, and whether it is W or V."""
    with path.open("rb") as file:
        if not is_zipfile(file):
            file.seek(0)
            yield file, path.stat().st_size, "W"
            return
        with ZipFile(file) as archive:
            there = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            names = [name for name in ("W", "V") if name in there]
            if len(names) != 1:
                held = ", ".join(list(there)[:_NAMED]) + (" and others" if len(there) > _NAMED else "")
                _refuse(path, f"holds {held or 'nothing'}; save one array named W or V")
            with archive.open(there[names[0]]) as member:
                yield member, there[names[0]].file_size, names[0]


def _claimed(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array by its header; of its numbers none are read, and the file is at its start again.

    Raises ValueError if the file is shorter than its header says.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with catch_warnings(action="ignore"):  # of headers that Python 2 wrote
        shape, _, dtype = read(file)
    if prod(shape) * dtype.itemsize > size:
        raise ValueError(f"its header says {prod(shape)} numbers, and it has {size} bytes")
    file.seek(0)
    return shape, dtype


def _wrong_shape(job: JobFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    """What keeps an array of this shape from being the job's W or V, if anything."""
    antennas, slots, weights = job.scenario.tx_antennas, job.scenario.slots, len(job.design.rho)
    each = f"{antennas}, {antennas}" if name == "V" else f"{antennas}, slots"
    wanted = f"({each}), or ({weights}, {each}) with one for each rho, for tx_antennas = {antennas}"
    if dtype.kind not in "fciu":
        return f"{name} is of type {dtype}; give numbers of shape {wanted}"
    rows_fit = len(shape) in (2, 3) and shape[-2] == antennas and shape[:-2] in ((), (weights,))
    if not rows_fit or (name == "V" and shape[-1] != antennas):
        hint = "; a beamformer W is saved under the name W" if rows_fit else ""
        return f"{name} must be {wanted}; got {shape}{hint}"
    if name == "W" and shape[-1] > slots:
        return (
            f"W has {counted(shape[-1], 'column')} for {counted(slots, 'slot')}; "
            "give at most one a slot, or save V = W W^H under the name V with numpy.savez"
        )
    return None


def _wrong_numbers(name: str, array: NDArray[np.generic]) -> str | None:
    """What keeps numbers from being W or V, if anything."""
    with np.errstate(over="ignore"):  # of numbers that have more than 64 bits
        finite = np.isfinite(array.astype(np.complex128)).all()
    if not finite:
        return f"{name} has entries that are not finite"
    if not (array != 0).any(axis=(-2, -1)).all():
        return f"{name} has no power" + (" for one of the rho" if array.ndim == 3 else "")
    return None
