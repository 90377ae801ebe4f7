"""The best points of an interior-point method so far, of eight problems: covariances or powers.

Test: tests/engine/beamforming/test_interior.py.
"""

from typing import NamedTuple

import numpy as np

from ..jit.accelerate import inlined, unmanaged
from ..jit.lanes import get, lane_zeros, put, where_less
from ..linalg.lanemat import copy_where

FIRST_GOAL = 1e-2  # gap from which on a best point is of use
APART = 100.0  # least ratio of the gaps of the best point and the one kept from before
STALE = 8.0  # evaluations without a better point, after which rounding does not allow one


class Record(NamedTuple):
    """Points are covariances (2 n, n, lane) or powers (n, 1, lane)."""

    best: np.ndarray  # where the gap was smallest
    recent: np.ndarray  # where the gap last fell to 1 / APART of that where it did so before
    before: np.ndarray  # what recent was until then
    gaps: np.ndarray  # of these three, inf where there is none: (3, 1)
    stale: np.ndarray  # evaluations since the best point: (1, 1)
    spent: np.ndarray  # evaluations: (1, 1)


@inlined
def new_record(rows, columns):
    """Room for points of so many rows and columns."""
    return Record(
        lane_zeros(rows, columns),
        lane_zeros(rows, columns),
        lane_zeros(rows, columns),
        lane_zeros(3, 1),
        lane_zeros(1, 1),
        lane_zeros(1, 1),
    )


@unmanaged
def clear(record):
    """Forget all points."""
    for i in range(3):
        put(record.gaps, np.inf, i, 0)
    put(record.stale, 0.0, 0, 0)
    put(record.spent, 0.0, 0, 0)


@unmanaged
def note(point, gap, better, apart, record):
    """Keep the point as best in the lanes in which it is better, as recent in those in which its gap is far apart."""
    recent = get(record.gaps, 1, 0)
    copy_where(apart, record.recent, record.before)
    copy_where(apart, point, record.recent)
    copy_where(better, point, record.best)
    put(record.gaps, where_less(0.0, apart, recent, get(record.gaps, 2, 0)), 2, 0)
    put(record.gaps, where_less(0.0, apart, gap, recent), 1, 0)
    put(record.gaps, where_less(0.0, better, gap, get(record.gaps, 0, 0)), 0, 0)
    put(record.stale, where_less(0.0, better, 0.0, get(record.stale, 0, 0) + 1.0), 0, 0)


@unmanaged
def unless_stale(below, going, record):
    """What goes on of the lanes, but for those of a gap below this one that find no better point any more."""
    stale = where_less(get(record.gaps, 0, 0), below, get(record.stale, 0, 0), 0.0)
    return where_less(STALE, stale, 0.0, going)
