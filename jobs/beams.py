"""One's own beams from a file: `[design] custom`."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from results.words import counted

from .errors import UsageProblem
from .jobfile import JobFile


def load_beams(job: JobFile) -> NDArray[np.complex128] | None:
    """Covariances V of the job's custom beams; None if it has none.

    Parameters
    ----------
    job
        Its file holds an array W, (M_T, L) or (rho, M_T, L), as ``.npy``; or an array named ``W`` or ``V``, V being
        (M_T, M_T) or (rho, M_T, M_T), as ``.npz``.

    Returns
    -------
    numpy.ndarray or None
        V = W W^H, (M_T, M_T) or (rho, M_T, M_T), in the file's unit: only its shape counts.

    Raises
    ------
    UsageProblem
        If the file is not such an array.
    """
    path = job.custom_path
    if path is None:
        return None
    try:
        array, is_covariance = _array(path)
    except (OSError, ValueError, EOFError, BadZipFile):
        raise UsageProblem(
            f"{path}: design.custom: not a NumPy file of numbers; save W with numpy.save, or V = W W^H with numpy.savez"
        ) from None
    return _covariance(path, array, is_covariance, job.scenario.slots)


def _array(path: Path) -> tuple[NDArray[np.generic], bool]:
    """Read the one array of the file, and whether it is V and not W."""
    with path.open("rb") as file:  # NumPy would leave a broken one open
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return loaded, False
        names = [name for name in ("W", "V") if name in loaded.files]
        if len(names) != 1:
            raise UsageProblem(
                f"{path}: design.custom: holds {', '.join(loaded.files) or 'nothing'}; save one array named W or V"
            )
        return loaded[names[0]], names[0] == "V"


def _covariance(path: Path, array: NDArray[np.generic], is_covariance: bool, slots: int) -> NDArray[np.complex128]:
    if array.ndim not in (2, 3) or array.dtype.kind not in "fciu":
        raise UsageProblem(
            f"{path}: design.custom: an array of shape {array.shape} and type {array.dtype}; "
            "give numbers of shape (tx, slot) or (rho, tx, slot)"
        )
    values = array.astype(np.complex128)
    if is_covariance:
        return values
    if values.shape[-1] > slots:
        raise UsageProblem(
            f"{path}: design.custom: W has {counted(values.shape[-1], 'column')} for {counted(slots, 'slot')}; "
            "give at most one a slot, or save V = W W^H under the name V with numpy.savez"
        )
    return values @ np.swapaxes(values.conj(), -1, -2)
