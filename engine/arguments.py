"""What the library's functions accept as arguments: each refusal is one line that names the argument."""

from collections.abc import Sequence
from reprlib import repr as short
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import Reals
from .checked import plain
from .errors import EngineError


def one_of(name: str, value: object, words: Any, error: type[EngineError] = EngineError) -> None:
    """Refuse what is none of the words of a Literal."""
    known = get_args(words)
    if not isinstance(value, str) or value not in known:
        raise error(f"unknown {name} {short(value)}; there are {', '.join(known)}")


def names_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several, as several."""
    return (value,) if isinstance(value, str) else tuple(value)


def whole(name: str, value: object, error: type[EngineError] = EngineError) -> int:
    """A whole number, Python's or NumPy's; no truth value, no text."""
    number = plain(value)
    if type(number) is not int:
        raise error(f"{name} = {short(number)} is refused; it should be a whole number")
    return number


def within(name: str, value: object, low: int, high: int, error: type[EngineError] = EngineError) -> int:
    """A whole number from low to high."""
    number = whole(name, value, error)
    if not low <= number <= high:
        raise error(f"{name} = {number} is refused; it should be from {low} to {high}")
    return number


def reals(name: str, values: ArrayLike, error: type[EngineError] = EngineError) -> Reals:
    """Real numbers as an array; no truth values, no text, no complex numbers."""
    return np.asarray(_numbers(name, values, "fiu", "real numbers", error), np.float64)


def complexes(name: str, values: ArrayLike, error: type[EngineError] = EngineError) -> NDArray[np.inexact[Any]]:
    """Real or complex numbers as an array of their own precision, whole ones in double precision."""
    array = _numbers(name, values, "fciu", "numbers", error)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def _numbers(name: str, values: ArrayLike, kinds: str, wanted: str, error: type[EngineError]) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:
        raise error(f"{name}: its rows differ in length; give an array of {wanted}") from None
    if array.size and array.dtype.kind not in kinds:
        raise error(f"{name} is of type {array.dtype}; give {wanted}")
    return array if array.dtype.kind in kinds else array.astype(np.float64)


def weights_in(name: str, values: ArrayLike, error: type[EngineError] = EngineError) -> Reals:
    """One weight or several, each in [0, 1], as a list."""
    array = np.atleast_1d(reals(name, values, error))
    if array.ndim != 1 or array.size == 0 or not ((array >= 0.0) & (array <= 1.0)).all():
        raise error(f"{name} must be one or more weights in [0, 1]; got {short(plain(array))}")
    return array


def weight(name: str, value: float, error: type[EngineError] = EngineError) -> float:
    """One weight in [0, 1]."""
    array = reals(name, value, error)
    if array.size != 1 or not 0.0 <= array.item() <= 1.0:
        raise error(f"{name} is a weight in [0, 1]; got {short(plain(array))}")
    return float(array.item())


def positive(name: str, value: float, error: type[EngineError] = EngineError) -> float:
    """One positive number."""
    array = reals(name, value, error)
    if array.size != 1 or not 0.0 < array.item() < np.inf:
        raise error(f"{name} = {short(plain(array))} makes no sense; give a positive number")
    return float(array.item())
