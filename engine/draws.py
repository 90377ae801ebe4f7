"""Random draws by address (`addresses`): each value is a function of (seed, purpose, path or target, draw) alone.

So chunks, workers and their order cannot matter, adding draws changes no earlier one, and with fewer targets the values
of those that stay are the same.
"""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BeforeValidator, Field, model_validator

from .addresses import DrawWords, Purpose
from .arguments import reals, whole
from .arrays import Reals
from .checked import Checked
from .errors import ScenarioError
from .scenario import LARGEST_DEG, LARGEST_M, LARGEST_POSITIVE, ONE_POINT_M, Finite, Metres, Point, Scenario, two

_Range = Annotated[tuple[Metres, Metres], BeforeValidator(two("[low, high]"))]


class FixedPosition(Checked):
    """The scenario's own position."""

    kind: Literal["fixed"] = "fixed"


class BoxPosition(Checked):
    """Uniform in a rectangle; each side is given as [low, high] in m."""

    kind: Literal["box"]
    x_m: _Range
    y_m: _Range

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, (low, high) in (("x_m", self.x_m), ("y_m", self.y_m)):
            if not low < high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] is empty; give [low, high] with low < high")
        return self


class DiscPosition(Checked):
    """Uniform by area in a disc."""

    kind: Literal["disc"]
    centre_m: Point
    radius_m: Annotated[Metres, Field(gt=0.0)]


Position = Annotated[FixedPosition | BoxPosition | DiscPosition, Field(discriminator="kind")]
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
        "fixed", or "uniform" over the full turn.
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
    ue_orientation: Literal["fixed", "uniform"] = "fixed"
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


@dataclass(frozen=True, eq=False)
class Draws:
    """A batch of B draws of a scenario with K targets: C-contiguous float64 arrays, batch axis first.

    Attributes
    ----------
    phase_bistatic, phase_monostatic
        Phases of the gains alpha_k and beta_k, (batch, K+1), rad.
    ue_position
        (batch, 2), m.
    target_position
        (batch, K, 2), m.
    ue_orientation
        phi, (batch,), rad.
    target_rcs
        (batch, K), m2.
    ue_rcs
        (batch,), m2.

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

    def __post_init__(self) -> None:
        for field in fields(self):
            # One layout only: a kernel is compiled anew for every other one.
            value = np.ascontiguousarray(reals(f"draws: {field.name}", getattr(self, field.name), ScenarioError))
            object.__setattr__(self, field.name, value)
        batch, targets = (*self.target_rcs.shape, 0, 0)[:2]
        expected = {
            "phase_bistatic": (batch, targets + 1),
            "phase_monostatic": (batch, targets + 1),
            "ue_position": (batch, 2),
            "target_position": (batch, targets, 2),
            "ue_orientation": (batch,),
            "target_rcs": (batch, targets),
            "ue_rcs": (batch,),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ScenarioError(
                    f"draws: {name} has shape {found}; with target_rcs of shape {self.target_rcs.shape} "
                    f"it should be {shape}"
                )
        for name in expected:
            _check_values(name, getattr(self, name))
        _check_apart(self.places, ("the UE", *(f"target {k + 1}" for k in range(targets))))

    def __len__(self) -> int:
        return len(self.ue_rcs)

    @property
    def places(self) -> Reals:
        """Positions of the UE, then the targets, (batch, K+1, 2), m."""
        return np.concatenate((self.ue_position[:, None], self.target_position), axis=1)

    def __getitem__(self, index: slice) -> "Draws":
        if not isinstance(index, slice):
            raise TypeError("draws are taken by slice, so that the batch axis stays: draws[i:i + 1]")
        return self.changed(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def changed(self, **arrays: Reals) -> "Draws":
        """A copy with other arrays that fit each other, unchecked: for parts of draws, and for estimates of them."""
        other = copy(self)
        for name, values in arrays.items():
            object.__setattr__(other, name, np.ascontiguousarray(values))
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
        return self.changed(
            phase_bistatic=self.phase_bistatic[:, : count + 1],
            phase_monostatic=self.phase_monostatic[:, : count + 1],
            target_position=self.target_position[:, :count],
            target_rcs=self.target_rcs[:, :count],
        )


def check_fit(scenario: Scenario, draws: Draws) -> None:
    """Refuse draws that cannot be of this scenario.

    Raises ScenarioError if their number of targets differs, or an entity is where the BS is.
    """
    if not isinstance(draws, Draws):
        raise ScenarioError(f"draws are {type(draws).__name__}; give Draws, as sample(scenario, ...) makes them")
    found = draws.target_rcs.shape[1]
    if found != scenario.targets:
        raise ScenarioError(
            f"the draws have {found} targets, the scenario {scenario.targets}; "
            "take with_targets(...) of the one that has more"
        )
    near = np.hypot(*np.moveaxis(draws.places - np.array(scenario.bs_position_m), 2, 0)) < ONE_POINT_M
    if near.any():
        draw, entity = np.argwhere(near)[0].tolist()
        name, array = (f"target {entity}", "target_position") if entity else ("the UE", "ue_position")
        raise ScenarioError(f"draws: the BS and {name} at the same point in draw {draw} ({array}); move one")


# The limits of a scenario, in the draws' units.
_LIMITS = {
    "ue_position": (-LARGEST_M, LARGEST_M, f"from {-LARGEST_M:g} to {LARGEST_M:g} m"),
    "ue_orientation": (-math.radians(LARGEST_DEG), math.radians(LARGEST_DEG), "from -2 pi to 2 pi rad"),
    "ue_rcs": (math.ulp(0.0), LARGEST_POSITIVE, f"above 0, up to {LARGEST_POSITIVE:g} m2"),
    "phase_bistatic": (-math.inf, math.inf, "a finite angle in rad"),
}
_LIMITS |= {
    "target_position": _LIMITS["ue_position"],
    "target_rcs": _LIMITS["ue_rcs"],
    "phase_monostatic": _LIMITS["phase_bistatic"],
}


def _check_values(name: str, values: Reals) -> None:
    """Refuse values that are not finite, or beyond the limits of a scenario."""
    low, high, wanted = _LIMITS[name]
    good = np.isfinite(values) & (values >= low) & (values <= high)
    if not good.all():
        draw, *place = np.argwhere(~good)[0].tolist()
        index = "".join(f", {i}" for i in place)
        raise ScenarioError(
            f"draws: {name}[{draw}{index}] is {values[(draw, *place)]:g} (draw {draw}); it should be {wanted}"
        )


def _check_apart(places: Reals, names: tuple[str, ...]) -> None:
    """Refuse draws in which two entities stand at one point; places (batch, entity, 2)."""
    first, second = np.triu_indices(len(names), 1)
    # An axis at a time: K = 20 makes 210 pairs.
    x, y = places[..., 0], places[..., 1]
    near = np.hypot(x[:, first] - x[:, second], y[:, first] - y[:, second]) < ONE_POINT_M
    if near.any():
        draw, pair = np.argwhere(near)[0].tolist()
        one, other = names[first[pair]], names[second[pair]]
        raise ScenarioError(f"draws: {one} and {other} at the same point in draw {draw} (target_position); move one")


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
    source = DrawWords(seed, start, stop - start)
    count = scenario.targets
    if model.ue_orientation == "uniform":
        orientation = _angle(source.uniform(Purpose.UE_ORIENTATION, 1)[:, 0, 0])
    else:
        orientation = np.full(source.batch, math.radians(scenario.ue_orientation_deg))
    ue_position = _positions(source, Purpose.UE_POSITION, model.ue_position, (scenario.ue_position_m,))
    return Draws(
        phase_bistatic=_phases(source, Purpose.PHASE_BISTATIC, model.phases_bistatic_rad, count + 1),
        phase_monostatic=_phases(source, Purpose.PHASE_MONOSTATIC, model.phases_monostatic_rad, count + 1),
        ue_position=ue_position[:, 0],
        target_position=_positions(
            source, Purpose.TARGET_POSITION, model.target_positions, scenario.target_positions_m
        ),
        ue_orientation=orientation,
        target_rcs=_rcs(source, Purpose.TARGET_RCS, model.rcs, scenario.target_rcs),
        ue_rcs=_rcs(source, Purpose.UE_RCS, model.rcs, (scenario.ue_rcs_m2,))[:, 0],
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


def _each(function: Callable[[float], float], values: Reals) -> Reals:
    """Apply a function of the math module: NumPy's own change bits with the CPU's vector units."""
    return np.array([function(value) for value in values.ravel().tolist()], np.float64).reshape(values.shape)


def _angle(unit: Reals) -> Reals:
    return 2.0 * math.pi * unit - math.pi


def _phases(source: DrawWords, purpose: Purpose, fixed: Phases | None, paths: int) -> Reals:
    if fixed is None:
        return _angle(source.uniform(purpose, paths)[:, :, 0])
    if len(fixed) < paths:
        raise ScenarioError(f"{len(fixed)} fixed phases for {paths} paths; give one per path, path 0 first")
    return np.tile(np.array(fixed[:paths], np.float64), (source.batch, 1))


def _positions(source: DrawWords, purpose: Purpose, model: Position, nominal: Sequence[Point]) -> Reals:
    """Positions of one kind of entity, (batch, entities, 2), m."""
    if isinstance(model, FixedPosition):
        return np.tile(np.array(nominal, np.float64).reshape(-1, 2), (source.batch, 1, 1))
    unit = source.uniform(purpose, len(nominal))
    if isinstance(model, BoxPosition):
        low, high = np.array((model.x_m, model.y_m), np.float64).T
        place: Reals = low + (high - low) * unit
        return place
    angle = 2.0 * math.pi * unit[:, :, 1]
    radius = model.radius_m * np.sqrt(unit[:, :, 0])[:, :, None]  # uniform by area
    place = model.centre_m + radius * np.stack((_each(math.cos, angle), _each(math.sin, angle)), axis=2)
    return place


def _rcs(source: DrawWords, purpose: Purpose, model: str, mean: Sequence[float]) -> Reals:
    """RCS of one kind of entity, (batch, entities), m2."""
    values = np.tile(np.array(mean, np.float64), (source.batch, 1))
    if model == "swerling1":
        values *= -_each(math.log1p, -source.uniform(purpose, len(mean))[:, :, 0])
    return values
