"""Why a link is unidentifiable: which of its parameters nobody can tell apart, from the null directions of its FIM."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .arrays import Complexes
from .beamforming.problem import build_problem
from .draws import Draws
from .fisher import channel_fim
from .kernels.linalg.smallmat import pivoted_cholesky
from .links import Link, bistatic_link, monostatic_link
from .scenario import Scenario
from .unknowns import bistatic_paths, monostatic_paths

# Singular values this small beside the largest, or this close to the smallest, are those of null directions.
_NULL, _CLOSE = 1e-10, 10.0
_NOTABLE = 0.1  # share in a null direction of unit length
_PIVOT_TOLERANCE = 1e-15

_Link = Literal["bistatic", "monostatic"]
_LINKS: tuple[_Link, _Link] = ("bistatic", "monostatic")


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
    link: _Link
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
    for draw, side in np.argwhere(~problem.identifiable).tolist():
        link = (bistatic_link, monostatic_link)[side](scenario, draws[draw : draw + 1])
        one = problem.draw(draw)
        equal_powers = one.expand(one.covariance_of_powers(one.apa[:, None]))[0, 0]
        found.append(Ambiguity(draw, _LINKS[side], _null_parameters(link, equal_powers, _names(scenario, draws, link))))
    return found


def _names(scenario: Scenario, draws: Draws, link: Link) -> list[str]:
    """What each column of a link's Jacobian belongs to: the unknowns, then the gains, Re and Im."""
    located, first = scenario.targets + 1, "the line of sight" if link.is_bistatic else "the UE"
    paths = (bistatic_paths if link.is_bistatic else monostatic_paths)(scenario, draws.nuisances)
    free = [path for path in paths if path >= located]
    path_names = {path: f"nuisance path {n}" for n, path in enumerate(free, 1)}
    path_names |= {path: f"target {path}" if path else first for path in range(located)}
    whose: dict[str, Callable[[int], str]] = {
        "ue_position": lambda _: "UE position",
        "orientation": lambda _: "UE orientation",
        "targets": lambda i: f"target {i // scenario.dimensions + 1}",
        "clock": lambda _: "clock bias",
        "nuisance": lambda i: f"nuisance path {i % max(len(free), 1) + 1}",
    }
    groups = link.unknowns.groups
    names = [whose[group](groups[:i].count(group)) for i, group in enumerate(groups)]
    return [names[i] for i in link.unknowns.kept] + [f"the gain of {path_names[path]}" for path in paths] * 2


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
