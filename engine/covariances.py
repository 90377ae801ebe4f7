"""Covariances V and beamformers W: the one check of those that users give, V of W, and where V points."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import complexes
from .arrays import Complexes
from .errors import DesignError
from .kernels.linalg.smallmat import times_adjoint

# What a V in double precision may miss, relative to its trace: it may come from a solver or a file.
_DOUBLE = 1e-9
# Rounding of entries and of the sums behind them, in units of the last place.
_ROUNDINGS = 8.0
_HINT = "for a beamformer W give V = W W^H"


def tolerance_of(covariance: ArrayLike) -> float:
    """What a covariance may miss of being one, relative to its trace: by the precision that it is given in."""
    return max(_DOUBLE, _roundoff(np.asarray(covariance)))


def covariance_of(factors: Complexes) -> Complexes:
    """V = W W^H of every factor (..., M_T, L) -> (..., M_T, M_T); BLAS would have other bits on other machines."""
    flat = factors.reshape(-1, *factors.shape[-2:])
    return np.stack([times_adjoint(w, w) for w in flat]).reshape(*factors.shape[:-1], factors.shape[-2])


def checked_covariances(
    covariance: ArrayLike, antennas: int, name: str = "the covariance V", count: int = 0, each: str = ""
) -> Complexes:
    """Covariances as they are, or without the eigenvalues that their rounding could have made.

    `covariance`: V, (antennas, antennas), in single or double precision. `antennas`: M_T. `name`: what to call it in
    messages. `count`, `each`: where there may be several, (count, antennas, antennas), how many, and what they are of.
    Result: of the shape given, Hermitian and positive semidefinite within the rounding of double precision.

    Raises DesignError if V does not fit, is not finite, or not Hermitian and positive semidefinite within
    `tolerance_of` of its trace.
    """
    given = complexes(name, covariance, DesignError)
    square = (antennas, antennas)
    if given.shape != square and not (each and given.shape == (count, *square)):
        several = f", or {(count, *square)}, one for each {each}" if each else ""
        looks_like_w = given.ndim in (2, 3) and given.shape[-2] == antennas != given.shape[-1]
        hint = f"; {_HINT}" if looks_like_w else ""
        raise DesignError(f"{name} must be {square}{several}; got {given.shape}{hint}")
    if not np.isfinite(given).all():
        raise DesignError(f"{name} has entries that are not finite")
    v = np.ascontiguousarray(given, np.complex128)
    unit = of_unit_size(v)
    trace = np.trace(unit, axis1=-2, axis2=-1).real[..., None]
    tolerance = tolerance_of(given)
    if (np.abs(unit - np.swapaxes(unit.conj(), -1, -2)) > tolerance * np.abs(trace[..., None])).any():
        raise DesignError(f"{name} is not Hermitian; {_HINT}")
    if not _is_semidefinite(unit):
        eigenvalues = np.linalg.eigvalsh(unit)
        if (eigenvalues < -tolerance * np.abs(trace)).any():
            raise DesignError(f"{name} is not positive semidefinite; {_HINT}")
        v = _clipped(v, _roundoff(given))
    return 0.5 * v + 0.5 * np.swapaxes(v.conj(), -1, -2)


def checked_beamformers(name: str, beamformers: ArrayLike, shape: tuple[int | str, ...]) -> Complexes:
    """Finite numbers of this shape, in which a word stands for any size.

    Raises DesignError if they are not.
    """
    w = np.ascontiguousarray(complexes(name, beamformers, DesignError), np.complex128)
    if w.ndim != len(shape) or any(want not in (size, str(want)) for want, size in zip(shape, w.shape, strict=True)):
        raise DesignError(f"{name} must be ({', '.join(map(str, shape))}); got {w.shape}")
    if not np.isfinite(w).all():
        raise DesignError(f"{name} has entries that are not finite")
    return w


def of_unit_size(matrices: Complexes) -> Complexes:
    """Matrices (..., rows, columns) times powers of two, each with a largest entry from 1/2 to 1: no digit changes."""
    largest = np.maximum(np.abs(matrices.real), np.abs(matrices.imag)).max(axis=(-2, -1), keepdims=True, initial=0.0)
    exponent = np.frexp(largest)[1]
    out = np.empty_like(matrices)
    out.real, out.imag = np.ldexp(matrices.real, -exponent), np.ldexp(matrices.imag, -exponent)
    return out


def _roundoff(given: NDArray[Any]) -> float:
    kind = given.dtype if given.dtype.kind in "fc" else np.dtype(np.float64)
    return _ROUNDINGS * max(float(np.finfo(kind).eps), float(np.finfo(np.float64).eps))


def _is_semidefinite(unit: Complexes) -> bool:
    """Whether matrices are so but for rounding in double precision: a tenth of the time of their eigenvalues."""
    size = unit.shape[-1]
    shift = max(_ROUNDINGS, size) * np.finfo(np.float64).eps * np.trace(unit, axis1=-2, axis2=-1).real
    try:
        np.linalg.cholesky(unit + shift[..., None, None] * np.eye(size))
    except np.linalg.LinAlgError:
        return False
    return True


def _clipped(v: Complexes, rounding: float) -> Complexes:
    """Without the eigenvalues that rounding could have made, of either sign, relative to the trace."""
    values, vectors = np.linalg.eigh(v)
    kept = np.where(values > rounding * values.sum(axis=-1, keepdims=True), values, 0.0)
    return (vectors * kept[..., None, :]) @ np.swapaxes(vectors.conj(), -1, -2)  # type: ignore[no-any-return]
