"""What is said of each design: its status and which solver made it."""

from enum import IntEnum


class Status(IntEnum):
    """Status of one design; a term of zero weight has no part in it."""

    NOT_COMPUTED = -1
    CERTIFIED = 0
    UNCERTIFIED = 1
    UNIDENTIFIABLE = 2
    FAILED = 3
    CLOSED_FORM = 4


class Solver(IntEnum):
    """The rung of the ladder that a design comes from."""

    NONE = 0
    LBFGS = 1
    CLARABEL = 3  # 2 is of a solver that is no more
    INTERIOR = 4
