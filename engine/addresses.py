"""Random numbers by address: what they are for, and in which draw, decides them, and nothing else.

They are the raw 64-bit words of Philox, a counter-based generator: the key holds the seed and the purpose, the counter
the draw and a place in it.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .arrays import Reals


class Purpose(IntEnum):
    """What a random number is for. Part of every address: never renumber."""

    PHASE_BISTATIC = 0
    PHASE_MONOSTATIC = 1
    UE_POSITION = 2
    TARGET_POSITION = 3
    UE_ORIENTATION = 4
    TARGET_RCS = 5
    UE_RCS = 6
    NOISE_BISTATIC = 7
    NOISE_MONOSTATIC = 8
    FACTOR_PHASE = 9
    FACTOR_CANDIDATE = 10
    RECOVERY_CANDIDATE = 11
    PRIOR_BISTATIC = 12
    PRIOR_MONOSTATIC = 13


@dataclass(frozen=True)
class DrawWords:
    """The random numbers of a range of draws."""

    seed: int
    start: int
    batch: int

    def uniform(self, purpose: Purpose, paths: int, count: int = 2) -> Reals:
        """Up to four uniform numbers in the open interval (0, 1) for every draw and path, (batch, paths, count).

        The first ones are the same for every count.
        """
        words = np.empty((self.batch, paths, count), np.uint64)
        key = np.array([self.seed, purpose], np.uint64)
        for path in range(paths):
            counter = np.array([self.start, path, 0, 0], np.uint64)
            # A draw is one step of the counter, which yields four words.
            raw = np.random.Philox(counter=counter, key=key).random_raw(4 * self.batch)
            words[:, path] = raw.reshape(self.batch, 4)[:, :count]
        # 52 bits and a half: exact, and never 0 or 1, so that no RCS vanishes.
        return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def pairs_of_words(seed: int, purpose: Purpose, draw: int, count: int, place: int = 0) -> NDArray[np.uint64]:
    """Words for something that takes many in one draw: (count, 2) of 64 bits, the first ones the same for every count.

    `place` tells apart what has the same purpose in one draw.
    """
    counter = np.array([0, place, draw, 0], np.uint64)
    source = np.random.Philox(counter=counter, key=np.array([seed, purpose], np.uint64))
    return source.random_raw(2 * count).reshape(count, 2)
