"""What arrays hold, as types, and the sum of them that is the same on every machine."""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Wholes = NDArray[np.int64]
Flags = NDArray[np.bool_]


def summed(values: Reals) -> Reals:
    """Sum over the last axis, in order: NumPy's own may depend on the machine and on the memory layout."""
    total = np.zeros(values.shape[:-1])
    for i in range(values.shape[-1]):
        total = total + values[..., i]
    return total
