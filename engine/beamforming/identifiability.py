"""What decides whether a link is identifiable: what equal powers on the columns of B, the APA point, tell about it."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from ..arrays import Flags, Reals, summed
from ..crb import LOST


def blur_of_sum(bounds: Reals, blur: Reals) -> Reals:
    """Relative rounding of sums of bounds, (batch,), from the bounds and their own, (batch, parameters)."""
    total, blurred = summed(bounds), summed(blur * bounds)
    return np.divide(blurred, total, out=np.full_like(total, np.inf), where=total < np.inf)


@dataclass(frozen=True)
class ApaReference:
    """What the APA point tells about one link, of every draw.

    Attributes
    ----------
    smallest_eigenvalue
        Of the unit-diagonal position FIM, (batch,); it says how elongated a cell is, and decides nothing.
    rounding
        Relative rounding error to expect in gaps, (batch,).
    bounds, blur
        Bounds of all position parameters at the APA point and their own relative rounding, (batch, parameters); m2,
        rad2, s2.
    bound_rows
        How many leading position parameters the CRB adds up.
    """

    smallest_eigenvalue: Reals
    rounding: Reals
    bounds: Reals
    blur: Reals
    bound_rows: int

    @cached_property
    def crb_blur(self) -> Reals:
        """Relative rounding of the link's CRB, (batch,)."""
        rows = slice(self.bound_rows)
        return blur_of_sum(self.bounds[:, rows], self.blur[:, rows])

    @property
    def identifiable(self) -> Flags:
        """Whether rounding leaves anything of the CRB, (batch,); comparisons are False for NaN."""
        return self.crb_blur < LOST

    @property
    def bounded(self) -> Flags:
        """Whether rounding leaves anything of each bound, (batch, parameters): others may where the CRB is lost."""
        wanted = np.arange(self.blur.shape[1]) < self.bound_rows
        return (self.blur < LOST) | (wanted & self.identifiable[:, None])

    def cut(self, part: slice) -> "ApaReference":
        """The same of some draws."""
        arrays = {field.name: getattr(self, field.name)[part] for field in fields(self) if field.name != "bound_rows"}
        return ApaReference(bound_rows=self.bound_rows, **arrays)
