"""Why a link is unidentifiable: which of its parameters nobody can tell apart, from the null directions of its FIM."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .arrays import Complexes
from .beamforming.problem import Problem, build_problem
from .draws import Draws
from .fisher import channel_fim
from .kernels.linalg.smallmat import pivoted_cholesky
from .links import Link, bistatic_link, monostatic_link
from .scenario import Scenario

# Singular values this small beside the largest, or this close to the smallest, are those of null directions.
_NULL, _CLOSE = 1e-10, 10.0
_NOTABLE = 0.1  # share in a null direction of unit length
_PIVOT_TOLERANCE = 1e-15


@dataclass(frozen=True)
class Ambiguity:
    """What makes one link of one draw unidentifiable.

    Attributes
    ----------
    draw
        Index in the batch.
    link
        "bistatic" or "monostatic".
    parameters
        Names of the parameters that have a part in the null directions.
    """

    draw: int
    link: Literal["bistatic", "monostatic"]
    parameters: tuple[str, ...]

    def __str__(self) -> str:
        *most, last = self.parameters
        if not most:
            return f"{self.link}: {last} is not determined"
        return f"{self.link}: {', '.join(most)} and {last} cannot be told apart"


def ambiguities(scenario: Scenario, draws: Draws) -> list[Ambiguity]:
    """Name, for every unidentifiable link of every draw, the parameters that cannot be told apart.

    Parameters
    ----------
    scenario, draws
        What is fixed and what was drawn.

    Returns
    -------
    list of Ambiguity
        In the order of the draws; empty where all links are identifiable.
    """
    problem = build_problem(scenario, draws)
    found = []
    for draw in range(len(draws)):
        if not problem.bistatic.identifiable[draw]:
            link = bistatic_link(scenario, draws[draw : draw + 1])
            names = _null_parameters(link, _equal_powers(problem, draw), _bistatic_names(link.paths - 1))
            found.append(Ambiguity(draw, "bistatic", names))
        if not problem.monostatic.identifiable[draw]:
            link = monostatic_link(scenario, draws[draw : draw + 1])
            names = _null_parameters(link, _equal_powers(problem, draw), _monostatic_names(link.paths - 1))
            found.append(Ambiguity(draw, "monostatic", names))
    return found


def _equal_powers(problem: Problem, draw: int) -> Complexes:
    one = problem.draw(draw)
    v: Complexes = one.expand(one.covariance_of_powers(one.apa[:, None]))[0, 0]
    return v


def _gains(first: str, targets: int) -> list[str]:
    return [f"the gain of {path}" for path in (first, *(f"target {k + 1}" for k in range(targets)))]


def _bistatic_names(targets: int) -> list[str]:
    """What each of the 4K+6 parameters of BP belongs to."""
    places = [f"target {k + 1}" for k in range(targets) for _ in range(2)]
    return ["UE position"] * 2 + ["UE orientation", *places, "clock bias"] + _gains("the line of sight", targets) * 2


def _monostatic_names(targets: int) -> list[str]:
    """What each of the 4K+4 parameters of MS belongs to."""
    places = [f"target {k + 1}" for k in range(targets) for _ in range(2)]
    return ["UE position"] * 2 + places + _gains("the UE", targets) * 2


def _null_parameters(link: Link, covariance: Complexes, names: Sequence[str]) -> tuple[str, ...]:
    """Names of parameters with a notable part in the null directions of the position FIM, in order, each once."""
    information = channel_fim(link, covariance)[0]
    size = np.sqrt(np.diagonal(information))
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0.0)
    rows, rank = pivoted_cholesky(information * inverse[:, None] * inverse, len(size), _PIVOT_TOLERANCE)
    # root^T root is the position FIM, in columns of unit length; those of no information beside others in metres are 0.
    root = (rows[:rank] * size) @ link.jacobian[0]
    length = np.linalg.norm(root, axis=0)
    metres = np.array([name == "UE position" or name.startswith("target") for name in names])
    informed = length > np.where(metres, _NULL * length[metres].max(), 0.0)
    unit = root * np.divide(1.0, length, out=np.zeros_like(length), where=informed)
    values = np.zeros(unit.shape[1])
    _, found, vectors = np.linalg.svd(unit, full_matrices=True)
    values[: found.size] = found
    null = values <= max(_NULL * values.max(), _CLOSE * values.min())
    share = np.sqrt(np.sum(vectors[null] ** 2, axis=0))
    return tuple(dict.fromkeys(name for name, part in zip(names, share, strict=True) if part > _NOTABLE))
