"""One's own beams from a file: `[design] custom`."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from engine.covariances import of_unit_size
from engine.kernels.smallmat import times_adjoint
from results.words import counted

from .errors import UsageProblem
from .jobfile import JobFile


def load_beams(job: JobFile) -> NDArray[Any] | None:
    """Covariances V of the job's custom beams; None if it has none.

    Parameters
    ----------
    job
        Its file holds an array W, (M_T, L) or (rho, M_T, L), as ``.npy``; or an array named ``W`` or ``V``, V being
        (M_T, M_T) or (rho, M_T, M_T), as ``.npz``.

    Returns
    -------
    numpy.ndarray or None
        V = W W^H, (M_T, M_T) or (rho, M_T, M_T), in any unit: only its shape counts.

    Raises
    ------
    UsageProblem
        If the file is not such an array.
    """
    return None if job.custom_path is None else job.content("design.custom", lambda path: _covariances(job, path))


def _covariances(job: JobFile, path: Path) -> NDArray[Any]:
    try:
        array, is_covariance = _array(path)
    except (OSError, ValueError, EOFError, BadZipFile):
        raise UsageProblem(
            f"{path}: design.custom: not a NumPy file of numbers; save W with numpy.save, or V = W W^H with numpy.savez"
        ) from None
    refusal = _refusal(job, "V" if is_covariance else "W", array)
    if refusal:
        raise UsageProblem(f"{path}: design.custom: {refusal}")
    if is_covariance:
        return array  # in its own precision, which says how far it may be from a covariance
    w = of_unit_size(array.astype(np.complex128))  # or its square might leave the range of numbers
    each = [times_adjoint(one, one) for one in w.reshape(-1, *w.shape[-2:])]  # BLAS has other bits on other machines
    return np.stack(each).reshape(*w.shape[:-1], w.shape[-2])


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


def _refusal(job: JobFile, name: str, array: NDArray[np.generic]) -> str | None:
    """What keeps an array from being the job's W or V, if anything."""
    antennas, slots, weights = job.scenario.tx_antennas, job.scenario.slots, len(job.design.rho)
    each = f"{antennas}, {antennas}" if name == "V" else f"{antennas}, slots"
    wanted = f"({each}), or ({weights}, {each}) with one for each rho, for tx_antennas = {antennas}"
    if array.dtype.kind not in "fciu":
        return f"{name} is of type {array.dtype}; give numbers of shape {wanted}"
    rows_fit = array.ndim in (2, 3) and array.shape[-2] == antennas and array.shape[:-2] in ((), (weights,))
    if not rows_fit or (name == "V" and array.shape[-1] != antennas):
        hint = "; a beamformer W is saved under the name W" if rows_fit else ""
        return f"{name} must be {wanted}; got {array.shape}{hint}"
    if not np.isfinite(array).all():
        return f"{name} has entries that are not finite"
    if not (array != 0).any(axis=(-2, -1)).all():
        return f"{name} has no power" + (" for one of the rho" if array.ndim == 3 else "")
    if name == "W" and array.shape[-1] > slots:
        return (
            f"W has {counted(array.shape[-1], 'column')} for {counted(slots, 'slot')}; "
            "give at most one a slot, or save V = W W^H under the name V with numpy.savez"
        )
    return None
