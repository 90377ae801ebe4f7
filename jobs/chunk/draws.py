"""The draws of a job: sampled, or from its file."""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np
from crbatch.engine.draws import Draws, sample
from crbatch.engine.errors import ScenarioError
from crbatch.engine.scenario import ONE_POINT_M, Scenario
from crbatch.results.words import counted

from ..drops import Drops, PathFile
from ..errors import UsageProblem
from ..jobfile.schema import JobFile

# Training draws have indices that no run reaches: designs are evaluated on fresh ones.
_TRAINING = 2**62
# Keys of [draws] that say the same as a variable of the file, and the words that leave it to the file.
_RIVALS = {
    "phase_bistatic": ("phases", ("uniform",)),
    "phase_monostatic": ("phases", ("uniform",)),
    "ue_position": ("ue_position", ("fixed",)),
    "target_position": ("target_positions", ("fixed",)),
    "ue_orientation": ("ue_orientation", ("fixed",)),
    "ue_downtilt": ("ue_orientation", ("fixed", "uniform")),
    "ue_slant": ("ue_orientation", ("fixed", "uniform")),
    "target_rcs": ("rcs", ("fixed",)),
    "ue_rcs": ("rcs", ("fixed",)),
}
_SWEPT = {
    "ue_orientation_deg": "ue_orientation",
    "ue_downtilt_deg": "ue_downtilt",
    "ue_slant_deg": "ue_slant",
    "ue_rcs_m2": "ue_rcs",
}


def draws_of(job: JobFile, scenario: Scenario, start: int, stop: int) -> Draws:
    """Draws start to stop - 1 of one point of the sweep; what a file of draws does not hold is sampled."""
    if job.paths_path is not None:
        return _with_paths(job, scenario, start, stop)
    return _with_file(job, sample(scenario, job.draws, job.draws.seed, start, stop), start)


def training_draws(job: JobFile, scenario: Scenario) -> Draws:
    """Draws that designs are made for, none of which they are evaluated on: the last ones of a file."""
    count = job.design.training_draws
    drawn = sample(scenario, job.draws, job.draws.seed, _TRAINING, _TRAINING + count)
    return drawn if job.drops_path is None else _with_file(job, drawn, len(_drops(job)) - count)


def check_draws(job: JobFile) -> None:
    """Refuse a file of draws that does not fit its job.

    Raises UsageProblem, naming the file and what is wrong in it.
    """
    if job.paths_path is not None:
        _check_paths(job)
    if job.drops_path is None:
        return
    drops = _drops(job)
    _check_count(job, len(drops), _problem)
    _check_dimensions(job, drops)
    targets = job.scenario.targets
    for name, values in drops.arrays.items():
        entities = {"target": targets, "phase": targets + 1}.get(name.partition("_")[0])
        if entities is not None and values.shape[1] != entities:
            found = counted(values.shape[1], "target" if name.startswith("target") else "path")
            raise _problem(job, f"has {found} (in {drops.heading(name)} ...); the scenario has {entities}")
        key, free = _RIVALS[name]
        said = getattr(job.draws, key)
        if getattr(said, "kind", said) not in free:
            raise _problem(job, f"has {drops.heading(name)}, which draws.{key} says too; leave out one of them")
    for key, name in _SWEPT.items():
        if key in job.sweep and name in drops.arrays:
            heading = drops.heading(name)
            raise _problem(job, f"has {heading}, which a sweep of {key} would not change; leave out one of them")
    _check_places(job, drops)


def _check_count(job: JobFile, rows: int, problem: Callable[[JobFile, str], UsageProblem]) -> None:
    """Refuse a file with fewer draws than are asked for; what training takes comes first."""
    trained, until = job.trained, job.draws.until
    asked = until.max if until else job.draws.count
    if rows >= asked + trained:
        return
    key = "draws.until.max" if until else "draws.count"
    training = f" and {counted(trained, 'training draw')}" if trained else ""
    advice = f"lower {key} to {rows - trained}"
    if trained >= rows:
        advice = f"lower design.training_draws (to {rows - 1} at most)" if rows > 1 else "give more, or no training"
    raise problem(job, f"has {counted(rows, 'draw')}, and {asked}{training} are asked for; {advice}")


def _check_dimensions(job: JobFile, drops: Drops) -> None:
    """Refuse a file in space for a scenario in the plane, and the reverse."""
    dimensions = job.scenario.dimensions
    for name, values in drops.arrays.items():
        if name.endswith("_position") and values.shape[-1] != dimensions:
            found = f"{values.shape[-1]} numbers (in {drops.heading(name)} ...)"
            raise _problem(job, f"has positions of {found}, the scenario of {dimensions}; give both the same count")
        if name in ("ue_downtilt", "ue_slant") and dimensions == 2:
            raise _problem(job, f"has {drops.heading(name)}, which needs positions of three numbers; leave it out")


def _check_places(job: JobFile, drops: Drops) -> None:
    """Refuse draws in which two of BS, UE and targets stand at the same point."""
    # Not as `Draws`, which would refuse them by their index, and not by the line of the file.
    drawn = sample(job.scenario, job.draws, job.draws.seed, 0, len(drops))
    ue, targets = (drops.arrays.get(name, getattr(drawn, name)) for name in ("ue_position", "target_position"))
    bs = np.broadcast_to(np.array(job.scenario.bs_position_m), (len(drops), 1, ue.shape[1]))
    places = np.concatenate((bs, ue[:, None], targets), axis=1)
    for first, second in combinations(range(places.shape[1]), 2):
        near = reduce(np.hypot, (places[:, first] - places[:, second]).T) < ONE_POINT_M
        if near.any():
            names = ["the BS", "the UE", *(f"target {k + 1}" for k in range(job.scenario.targets))]
            where = drops.row(int(np.flatnonzero(near)[0]))
            raise _problem(job, f"has {names[first]} and {names[second]} at the same point in {where}; move one")


def _drops(job: JobFile) -> Drops:
    try:
        drops = job.drops()
    except ValueError as error:
        raise UsageProblem(" ".join(f"draws.file: {error}".split())) from None
    assert drops is not None
    return drops


def _problem(job: JobFile, reason: str) -> UsageProblem:
    return UsageProblem(f"draws.file: {job.drops_path} {reason}")


def _check_paths(job: JobFile) -> None:
    """Refuse a file of paths that does not fit its job."""
    found = _path_file(job)
    _check_count(job, len(found), _path_problem)
    if job.draws.rcs != "fixed" and found.monostatic is not None:
        raise _path_problem(job, "has echoes, of which draws.rcs speaks too; leave out one of them")
    _with_paths(job, job.scenario, 0, len(found))  # all at once: draws have to have the same number of paths


def _path_file(job: JobFile) -> PathFile:
    try:
        found = job.path_file()
    except ValueError as error:
        raise UsageProblem(" ".join(f"draws.paths: {error}".split())) from None
    assert found is not None
    return found


def _path_problem(job: JobFile, reason: str) -> UsageProblem:
    return UsageProblem(f"draws.paths: {job.paths_path} {reason}")


def _with_paths(job: JobFile, scenario: Scenario, start: int, stop: int) -> Draws:
    """Draws start to stop - 1 of a file of paths, of as many targets as there are at a point of the sweep."""
    whole = job.scenario  # with all targets, by which paths are told apart
    drawn = sample(whole, job.draws, job.draws.seed, start, stop)
    try:
        return _path_file(job).draws(whole, drawn, start).with_targets(scenario.targets)
    except ScenarioError as error:
        raise UsageProblem(f"draws.paths: {job.paths_path}: {error}") from None


def _with_file(job: JobFile, drawn: Draws, first: int) -> Draws:
    """Put what the file holds, from its row `first` on, in the place of what was drawn."""
    if job.drops_path is None:
        return drawn
    paths = drawn.phase_bistatic.shape[1]
    given: dict[str, Any] = {}
    for name, values in _drops(job).arrays.items():
        rows = values[first : first + len(drawn)]
        kept = {"target": paths - 1, "phase": paths}.get(name.partition("_")[0])
        given[name] = rows if kept is None else rows[:, :kept]
    try:
        return replace(drawn, **given)
    except ScenarioError as error:
        raise UsageProblem(f"draws.file: {job.drops_path}: {error}") from None
