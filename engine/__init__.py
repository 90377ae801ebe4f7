"""Cramer-Rao bounds and certified beam designs for joint bistatic positioning and monostatic sensing.

Arrays in, arrays out, batch axis first, SI units, angles in rad. What is meant for users is in `crbatch` itself.
"""

from .kernels.jit import numbasettings as _first  # noqa: F401
