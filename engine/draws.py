"""Random draws by address (`addresses`): each value is a function of (seed, purpose, path or target, draw) alone.

So chunks, workers and their order cannot matter, adding draws changes no earlier one, and with fewer targets the values
of those that stay are the same.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import Field, dataclass, fields
from functools import reduce
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import model_validator

from .addresses import DrawWords, Purpose
from .arguments import reals, whole
from .arrays import Reals
from .checked import Checked
from .drawlimits import check_apart, check_values
from .errors import ScenarioError
from .paths import Paths
from .positions import FixedPosition, Position, each, misfit, placed
from .quantities import NUMERALS, Finite
from .scenario import ONE_POINT_M, Scenario

Phases = tuple[Finite, ...]


class DrawModel(Checked):
    """What varies from draw to draw, and how.

    Attributes
    ----------
    phases
        "uniform": every path's phase on its own; "fixed": the two lists below.
    phases_bistatic_rad, phases_monostatic_rad
        At least K+1 phases each, path 0 first; only with fixed phases.
    ue_position, target_positions
        Where the UE and each target (on its own) stand.
    ue_orientation
        "fixed", or "uniform" over the full turn; "uniform-3d" is over all rotations, in space only.
    rcs
        "fixed", or "swerling1": exponential with the scenario's values as means, targets and UE alike.

    Raises
    ------
    ScenarioError
        If a value is missing its sense; in one line, every field that is.
    """

    phases: Literal["uniform", "fixed"] = "uniform"
    phases_bistatic_rad: Phases | None = None
    phases_monostatic_rad: Phases | None = None
    ue_position: Position = FixedPosition()
    target_positions: Position = FixedPosition()
    ue_orientation: Literal["fixed", "uniform", "uniform-3d"] = "fixed"
    rcs: Literal["fixed", "swerling1"] = "fixed"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("phases_bistatic_rad", "phases_monostatic_rad"):
            given = getattr(self, name) is not None
            if self.phases == "fixed" and not given:
                raise ValueError(f'phases = "fixed" needs {name}; give one phase per path, path 0 first')
            if self.phases == "uniform" and given:
                raise ValueError(f'{name} has no use with phases = "uniform"; set phases = "fixed" or leave it out')
        return self

    def misfits(self, dimensions: int) -> list[tuple[str, str]]:
        """Keys that do not fit positions of two or three numbers, and what would be right."""
        found = []
        for name in ("ue_position", "target_positions"):
            wrong = misfit(getattr(self, name), dimensions)
            if wrong is not None:
                found.append((f"{name}.{wrong[0]}", wrong[1]))
        if self.ue_orientation == "uniform-3d" and dimensions == 2:
            found.append(("ue_orientation", '"uniform-3d" needs positions of three numbers; give "uniform"'))
        return found


# Of a UE that stands upright: zeros.
_UPRIGHT: Any = None


@dataclass(frozen=True, eq=False)
class Draws:
    """A batch of B draws of a scenario with K targets: C-contiguous float64 arrays, batch axis first.

    Attributes
    ----------
    phase_bistatic, phase_monostatic
        Phases of the gains alpha_k and beta_k, (batch, K+1), rad.
    ue_position
        (batch, 2) in the plane, (batch, 3) in space, m.
    target_position
        (batch, K, 2) or (batch, K, 3), m.
    ue_orientation
        phi, (batch,), rad.
    target_rcs
        (batch, K), m2.
    ue_rcs
        (batch,), m2.
    ue_downtilt, ue_slant
        (batch,), rad; zeros in the plane, and if left out.
    paths
        Paths as they are, whose directions, delays and gains take the place of those that positions, phases and RCS
        would give; positions stay the unknowns.

    Raises
    ------
    ScenarioError
        If the arrays' shapes do not fit each other, a value is not finite or beyond the limits of a `Scenario`, or two
        entities of a draw are at one point; naming the array and the draw, counted from 0.
    """

    phase_bistatic: Reals
    phase_monostatic: Reals
    ue_position: Reals
    target_position: Reals
    ue_orientation: Reals
    target_rcs: Reals
    ue_rcs: Reals
    ue_downtilt: Reals = _UPRIGHT
    ue_slant: Reals = _UPRIGHT
    paths: Paths | None = None

    def __post_init__(self) -> None:
        for name in ("ue_downtilt", "ue_slant"):
            if getattr(self, name) is _UPRIGHT:
                object.__setattr__(self, name, np.zeros(np.shape(self.ue_orientation)))
        for field in _arrays():
            # One layout only: a kernel is compiled anew for every other one.
            value = np.ascontiguousarray(reals(f"draws: {field.name}", getattr(self, field.name), ScenarioError))
            object.__setattr__(self, field.name, value)
        batch, targets = (*self.target_rcs.shape, 0, 0)[:2]
        expected = {
            "phase_bistatic": (batch, targets + 1),
            "phase_monostatic": (batch, targets + 1),
            "ue_position": (batch, self.dimensions),
            "target_position": (batch, targets, self.dimensions),
            "ue_orientation": (batch,),
            "target_rcs": (batch, targets),
            "ue_rcs": (batch,),
            "ue_downtilt": (batch,),
            "ue_slant": (batch,),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ScenarioError(
                    f"draws: {name} has shape {found}; with target_rcs of shape {self.target_rcs.shape} "
                    f"it should be {shape}"
                )
        for name in expected:
            check_values(name, getattr(self, name), self.dimensions)
        if self.paths is not None:
            found, right = self.paths.departure.shape, (batch, targets + 1 + sum(self.nuisances), self.dimensions - 1)
            if found != right:
                raise ScenarioError(f"draws: paths have directions of shape {found}; it should be {right}")
        check_apart(self.places, ("the UE", *(f"target {k + 1}" for k in range(targets))))

    def __len__(self) -> int:
        return len(self.ue_rcs)

    @property
    def dimensions(self) -> int:
        """2 in the plane, 3 in space."""
        return 3 if self.ue_position.shape[-1:] == (3,) else 2

    @property
    def nuisances(self) -> tuple[int, int]:
        """How many nuisance paths BP has, and MS."""
        return (0, 0) if self.paths is None else self.paths.nuisances

    @property
    def places(self) -> Reals:
        """Positions of the UE, then the targets, (batch, K+1, 2 or 3), m."""
        return np.concatenate((self.ue_position[:, None], self.target_position), axis=1)

    def __getitem__(self, index: slice) -> "Draws":
        if not isinstance(index, slice):
            raise TypeError("draws are taken by slice, so that the batch axis stays: draws[i:i + 1]")
        arrays = {field.name: getattr(self, field.name)[index] for field in _arrays()}
        return self._with(arrays, None if self.paths is None else self.paths[index])

    def changed(self, **arrays: Reals) -> "Draws":
        """A copy with other arrays that fit each other, unchecked: for estimates.

        Raises ScenarioError if the draws bring their paths, which no position moves.
        """
        if self.paths is not None:
            raise ScenarioError("draws that bring their paths have no other positions or gains; leave out their paths")
        return self._with(arrays, None)

    def _with(self, arrays: Mapping[str, Reals], paths: Paths | None) -> "Draws":
        """A copy with other arrays and paths that fit each other."""
        other = copy(self)
        for name, values in arrays.items():
            object.__setattr__(other, name, np.ascontiguousarray(values))
        object.__setattr__(other, "paths", paths)
        return other

    def with_targets(self, count: int) -> "Draws":
        """Keep the first targets only.

        Parameters
        ----------
        count
            How many targets to keep.

        Returns
        -------
        Draws
            With K = count.

        Raises
        ------
        ScenarioError
            If the draws have fewer targets than that.
        """
        count = whole("targets", count, ScenarioError)
        if not 0 <= count <= self.target_rcs.shape[1]:
            raise ScenarioError(f"targets = {count} is outside 0..{self.target_rcs.shape[1]}, those of the draws")
        arrays = {
            "phase_bistatic": self.phase_bistatic[:, : count + 1],
            "phase_monostatic": self.phase_monostatic[:, : count + 1],
            "target_position": self.target_position[:, :count],
            "target_rcs": self.target_rcs[:, :count],
        }
        return self._with(arrays, None if self.paths is None else self.paths.with_targets(count))


def _arrays() -> list[Field[Any]]:
    return [field for field in fields(Draws) if field.name != "paths"]


def check_fit(scenario: Scenario, draws: Draws) -> None:
    """Refuse draws that cannot be of this scenario.

    Raises ScenarioError if their number of targets or of dimensions differs, or an entity is where the BS is.
    """
    if not isinstance(draws, Draws):
        raise ScenarioError(f"draws are {type(draws).__name__}; give Draws, as sample(scenario, ...) makes them")
    found = draws.target_rcs.shape[1]
    if found != scenario.targets:
        raise ScenarioError(
            f"the draws have {found} targets, the scenario {scenario.targets}; "
            "take with_targets(...) of the one that has more"
        )
    if draws.dimensions != scenario.dimensions:
        raise ScenarioError(
            f"positions have {NUMERALS[draws.dimensions]} numbers in the draws, "
            f"{NUMERALS[scenario.dimensions]} in the scenario; give both the same count"
        )
    near = reduce(np.hypot, np.moveaxis(draws.places - np.array(scenario.bs_position_m), 2, 0)) < ONE_POINT_M
    if near.any():
        draw, entity = np.argwhere(near)[0].tolist()
        name, array = (f"target {entity}", "target_position") if entity else ("the UE", "ue_position")
        raise ScenarioError(f"draws: the BS and {name} at the same point in draw {draw} ({array}); move one")


def sample(scenario: Scenario, model: DrawModel, seed: int, start: int, stop: int) -> Draws:
    """Draws start to stop - 1 of a seed.

    Parameters
    ----------
    scenario
        Nominal values: fixed positions and orientation, mean RCS, number of targets.
    model
        What varies, and how.
    seed
        0 to 2^63 - 1.
    start, stop
        Range of draw indices, 0 <= start <= stop < 2^63.

    Returns
    -------
    Draws
        stop - start of them.

    Raises
    ------
    ScenarioError
        If the seed or the range is out of bounds, or there are fewer fixed phases than paths.
    """
    seed, start, stop = (whole(*one, ScenarioError) for one in (("seed", seed), ("start", start), ("stop", stop)))
    if not 0 <= seed < 2**63:
        raise ScenarioError(f"seed {seed} is out of range; give one from 0 to 2^63 - 1")
    if not 0 <= start <= stop < 2**63:
        raise ScenarioError(f"draws {start} to {stop} are no range; give 0 <= start <= stop")
    for key, reason in model.misfits(scenario.dimensions):
        raise ScenarioError(f"{key}: {reason}")
    source = DrawWords(seed, start, stop - start)
    count, dimensions = scenario.targets, scenario.dimensions
    nominal = scenario.target_positions_m
    bearing, downtilt, slant = _attitude(source, model.ue_orientation, scenario)
    ue_position = placed(source, Purpose.UE_POSITION, model.ue_position, (scenario.ue_position_m,), dimensions)
    return Draws(
        phase_bistatic=_phases(source, Purpose.PHASE_BISTATIC, model.phases_bistatic_rad, count + 1),
        phase_monostatic=_phases(source, Purpose.PHASE_MONOSTATIC, model.phases_monostatic_rad, count + 1),
        ue_position=ue_position[:, 0],
        target_position=placed(source, Purpose.TARGET_POSITION, model.target_positions, nominal, dimensions),
        ue_orientation=bearing,
        target_rcs=_rcs(source, Purpose.TARGET_RCS, model.rcs, scenario.target_rcs),
        ue_rcs=_rcs(source, Purpose.UE_RCS, model.rcs, (scenario.ue_rcs_m2,))[:, 0],
        ue_downtilt=downtilt,
        ue_slant=slant,
    )


def fixed_draw(
    scenario: Scenario,
    phase_bistatic: ArrayLike | None = None,
    phase_monostatic: ArrayLike | None = None,
) -> Draws:
    """One draw with the scenario's own values and given phases.

    Parameters
    ----------
    scenario
        Gives positions, orientation and RCS.
    phase_bistatic, phase_monostatic
        At least K+1 phases, path 0 first, rad; zeros if left out.

    Returns
    -------
    Draws
        A batch of one.

    Raises
    ------
    ScenarioError
        If there are fewer phases than paths, or they are not finite numbers.
    """
    zeros = (0.0,) * (scenario.targets + 1)
    model = DrawModel(
        phases="fixed",
        phases_bistatic_rad=zeros if phase_bistatic is None else phase_bistatic,
        phases_monostatic_rad=zeros if phase_monostatic is None else phase_monostatic,
    )
    return sample(scenario, model, seed=0, start=0, stop=1)


def _angle(unit: Reals) -> Reals:
    return 2.0 * math.pi * unit - math.pi


def _attitude(source: DrawWords, model: str, scenario: Scenario) -> tuple[Reals, Reals, Reals]:
    """phi, downtilt and slant of the UE, (batch,) each, rad."""
    given = (scenario.ue_orientation_deg, scenario.ue_downtilt_deg, scenario.ue_slant_deg)
    phi, downtilt, slant = (np.full(source.batch, math.radians(angle)) for angle in given)
    if model == "fixed":
        return phi, downtilt, slant
    unit = source.uniform(Purpose.UE_ORIENTATION, 1, 3)[:, 0]
    phi = _angle(unit[:, 0])
    if model == "uniform-3d":  # broadside on the sphere by area, any turn about it
        downtilt, slant = each(math.asin, 2.0 * unit[:, 1] - 1.0), _angle(unit[:, 2])
    return phi, downtilt, slant


def _phases(source: DrawWords, purpose: Purpose, fixed: Phases | None, paths: int) -> Reals:
    if fixed is None:
        return _angle(source.uniform(purpose, paths)[:, :, 0])
    if len(fixed) < paths:
        raise ScenarioError(f"{len(fixed)} fixed phases for {paths} paths; give one per path, path 0 first")
    return np.tile(np.array(fixed[:paths], np.float64), (source.batch, 1))


def _rcs(source: DrawWords, purpose: Purpose, model: str, mean: Sequence[float]) -> Reals:
    """RCS of one kind of entity, (batch, entities), m2."""
    values = np.tile(np.array(mean, np.float64), (source.batch, 1))
    if model == "swerling1":
        values *= -each(math.log1p, -source.uniform(purpose, len(mean))[:, :, 0])
    return values
