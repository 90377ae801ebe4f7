"""`crbatch bench speed`: certified designs a second and core, ours beside what others use, interleaved in one run."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.beamforming import baselines, weighted
from crbatch.engine.beamforming.certificate import certified_gap
from crbatch.engine.beamforming.problem import Problem, build_problem
from crbatch.engine.beamforming.schemes import design
from crbatch.engine.beamforming.weighted import Solution
from crbatch.engine.draws import DrawModel, Draws, sample
from crbatch.engine.errors import DesignError
from crbatch.engine.scenario import Scenario
from crbatch.results.figures.bench import speed_figure
from crbatch.results.figures.figures import save
from numpy.typing import NDArray

from ..errors import UsageProblem
from ..jobfile.schema import load_job
from ..terminal.progress import Progress
from .harness import BenchFolder, cube_attributes, load_average, machine, on_one_core, padded, quartiles, timed

TOLERANCE = 1e-6  # what ours is held to
FAILED = 1e-4  # a gap above this is no design
WEIGHTS = np.linspace(0.0, 1.0, 21)
_WIDE = 1024
_WIDE_BATCH = 256
_TURNS = 4  # of ours in a round, whose laps are short: a machine's speed changes within seconds
_JUDGED_WIDE = 1  # eigenvalues of a V of 1,024 antennas take a second
_JUDGED_FRONTS = 128  # V of all weights of more draws would fill the memory

SETS = {"phases": "random phases at the paper's geometry", "drops": "random drops: geometry, orientation, RCS"}
LABELS = {
    "batch": "crbatch, a batch of draws",
    "alone": "crbatch, one draw at a time",
    "front": "crbatch, fronts of 21 weights",
    "clarabel-full": "CVXPY + Clarabel, (15) as printed",
    "clarabel-full-tuned": "the same, tuned settings",
    "clarabel-reduced": "CVXPY + Clarabel, reduced cone",
    "scs-reduced": "CVXPY + SCS, reduced cone",
    "clarabel-direct": "Clarabel alone, reduced cone",
}
CONIC: Mapping[str, baselines.Baseline] = {
    "clarabel-full": baselines.clarabel_full,
    "clarabel-full-tuned": baselines.clarabel_full_tuned,
    "clarabel-reduced": baselines.clarabel_reduced,
    "scs-reduced": baselines.scs_reduced,
    "clarabel-direct": baselines.clarabel_direct,
}
OURS = ("batch", "alone", "front")
_REDUCED = ("clarabel-reduced", "scs-reduced", "clarabel-direct")
_PARTS = ("build", "compile", "solve")


@dataclass(frozen=True)
class Setting:
    """What is measured: antennas, targets, weight, draws of the others, draws of ours, rounds, seed."""

    tx_antennas: int = 16
    targets: int = 3
    rho: float = 0.5
    draws: int = 4
    batch: int = 1024
    rounds: int = 5
    seed: int = 2025

    def scenario(self) -> Scenario:
        """The paper's scenario with these antennas and the first of its targets."""
        return Scenario(tx_antennas=self.tx_antennas).with_targets(self.targets)


@dataclass
class Lap:
    """One method, timed once on its draws: times per design, and the designs, to be judged afterwards."""

    seconds: list[float]
    parts: list[tuple[float, float, float]]  # build, compile, solve; for ours set-up, -, solve
    covariance: NDArray[np.complex128]  # of the first draws, (draw, weight, M_T, M_T), W
    weights: NDArray[np.float64]
    problem: Problem  # those draws
    own_gap: NDArray[np.float64] | None = None  # where there are too many antennas to judge every V


@dataclass
class Tally:
    """All laps of one method on one set of draws."""

    laps: list[Lap] = field(default_factory=list)
    first: float = float("nan")  # the first call, compiling and loading included, s
    gaps: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    difference: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Seconds per design, (round, sample)."""
        return np.array([lap.seconds for lap in self.laps])

    def part(self, index: int) -> NDArray[np.float64]:
        """Seconds of building, compiling or solving, per design, over all samples."""
        return np.array([part[index] for lap in self.laps for part in lap.parts])


Run = Callable[[int], Lap]


def _ours(
    scenario: Scenario, draws: Draws, rho: NDArray[np.float64], solve: Callable[..., Solution], judged: int
) -> Lap:
    """Design a batch from nothing; the first `judged` draws' covariances are kept."""
    setup, problem = timed(lambda: build_problem(scenario, draws))
    seconds, solution = timed(lambda: solve(problem, rho, TOLERANCE))
    designs = len(draws) * rho.size
    some = problem if judged >= len(draws) else build_problem(scenario, draws[:judged])
    return Lap(
        seconds=[(setup + seconds) / designs],
        parts=[(setup / designs, 0.0, seconds / designs)],
        covariance=some.expand(np.ascontiguousarray(solution.covariance[:judged])),
        weights=rho,
        problem=some,
        own_gap=solution.gap if judged < len(draws) else None,
    )


def _alone(scenario: Scenario, draws: Draws, rho: NDArray[np.float64], problem: Problem) -> Lap:
    laps = [_ours(scenario, draws[i : i + 1], rho, weighted.solve_fdb, 1) for i in range(len(draws))]
    return Lap(
        [lap.seconds[0] for lap in laps],
        [lap.parts[0] for lap in laps],
        np.concatenate([lap.covariance for lap in laps]),
        rho,
        problem,
    )


def _conic(baseline: baselines.Baseline, problem: Problem, rho: float, count: int) -> Lap:
    runs = [timed(lambda i=i: baseline(problem, i, rho)) for i in range(count)]  # type: ignore[misc]
    return Lap(
        [seconds for seconds, _ in runs],
        [(answer.build, answer.compile, answer.solve) for _, answer in runs],
        np.stack([answer.covariance for _, answer in runs])[:, None],
        np.array([rho]),
        problem,
    )


def _runs(setting: Setting, model: DrawModel, wide: bool) -> dict[str, Run]:
    """Every method on one set of draws, as a function of how many of them to take at most."""
    scenario, rho = setting.scenario(), np.array([setting.rho])
    draws = sample(scenario, model, setting.seed, 0, max(setting.batch, setting.draws))
    few = draws[: setting.draws]
    problem = build_problem(scenario, few)
    batch = draws[: setting.batch]
    runs: dict[str, Run] = {
        "batch": lambda n: _ours(scenario, batch[:n], rho, weighted.solve_fdb, n),
        "alone": lambda n: _alone(scenario, few[:n], rho, build_problem(scenario, few[:n])),
        "front": lambda n: _ours(scenario, batch[:n], WEIGHTS, weighted.solve_fdb, min(n, _JUDGED_FRONTS)),
    }
    for name, baseline in CONIC.items():
        runs[name] = lambda n, b=baseline: _conic(b, problem, setting.rho, min(n, len(few)))  # type: ignore[misc]
    if wide:
        some = draws[: min(setting.batch, _WIDE_BATCH)]
        for name, antennas in (("narrow", setting.tx_antennas), ("wide", _WIDE)):
            other = scenario.replace(tx_antennas=antennas)
            runs[name] = lambda n, s=other: _ours(s, some[:n], rho, weighted.solve_fdb, min(n, _JUDGED_WIDE))  # type: ignore[misc]
    return runs


def measure(setting: Setting, progress: Progress) -> dict[str, dict[str, Tally]]:
    """Time every method in each round on the same draws, ours several times, then judge all designs by one certificate.

    Parameters
    ----------
    setting
        What to measure.
    progress
        Told of every lap.

    Returns
    -------
    dict
        By set of draws, then by method; ``narrow`` and ``wide`` (1,024 antennas) in the first set only.
    """
    models: dict[str, DrawModel] = {"phases": DrawModel(), "drops": load_job("drops").draws}
    out: dict[str, dict[str, Tally]] = {}
    with on_one_core():
        for place, (name, model) in enumerate(models.items()):
            runs = _runs(setting, model, wide=place == 0)
            tallies = {method: Tally() for method in runs}
            slow, fast = [*CONIC], [method for method in runs if method not in CONIC]
            total = len(runs) + setting.rounds * (len(slow) + _TURNS * len(fast))
            with progress.bar(name, total=total) as advance:
                for method, run in runs.items():
                    tallies[method].first = timed(lambda r=run: r(1))[0]  # type: ignore[misc]
                    advance(1)
                for turn in range(setting.rounds):
                    for method in _rotated(slow, turn):
                        tallies[method].laps.append(runs[method](setting.batch + setting.draws))
                        advance(1)
                    turns: dict[str, list[Lap]] = {method: [] for method in fast}
                    for again in range(_TURNS):
                        for method in _rotated(fast, turn + again):
                            turns[method].append(runs[method](setting.batch + setting.draws))
                            advance(1)
                    for method, laps in turns.items():
                        tallies[method].laps.append(_mean(laps))
            _judge(setting, model, tallies)
            out[name] = tallies
    return out


def _rotated(methods: list[str], turn: int) -> list[str]:
    """The same in another order each turn: nobody always goes first."""
    first = turn % len(methods)
    return methods[first:] + methods[:first]


def _mean(laps: list[Lap]) -> Lap:
    """The same designs, timed several times, as one lap.

    Means, not medians: of a machine that changes between two speeds they see as much on one side as on the other.
    """
    parts = np.mean([lap.parts for lap in laps], axis=0)
    return replace(
        laps[0],
        seconds=[float(value) for value in np.mean([lap.seconds for lap in laps], axis=0)],
        parts=[(float(build), float(compiling), float(solving)) for build, compiling, solving in parts],
    )


def _judge(setting: Setting, model: DrawModel, tallies: dict[str, Tally]) -> None:
    """Certify every design, and compare the objectives of the draws that all methods did."""
    for tally in tallies.values():
        tally.gaps = np.concatenate([_gaps(lap).ravel() for lap in tally.laps])
    draws = sample(setting.scenario(), model, setting.seed, 0, setting.draws)
    values = {
        method: np.array([_value(setting, draws[i : i + 1], tally, i) for i in range(setting.draws)])
        for method, tally in tallies.items()
        if method not in ("front", "narrow", "wide")
    }
    for method, objective in values.items():
        tallies[method].difference = objective / values["alone"] - 1.0


def _value(setting: Setting, draws: Draws, tally: Tally, draw: int) -> float:
    """Objective of a method's design of one draw, m2; NaN without a design."""
    if draw >= len(tally.laps[0].covariance):
        return float("nan")
    covariance = tally.laps[0].covariance[draw, 0]
    try:
        found = design(setting.scenario(), draws, (), setting.rho, custom=covariance)
    except DesignError:
        return float("nan")
    return float(found.objective[0, 0, 0])


def _gaps(lap: Lap) -> NDArray[np.float64]:
    """Certified gaps of a lap's designs, (draw, weight): infinite for a failure, NaN for an unidentifiable draw."""
    columns = []
    for place, rho in enumerate(lap.weights):
        v = lap.covariance[:, place]
        try:
            gap = certified_gap(lap.problem, v, float(rho))
        except DesignError:  # one V is none: judge each on its own
            gap = np.array([_gap_of_one(lap.problem.draw(i), v[i], float(rho)) for i in range(len(v))])
        columns.append(np.where(lap.problem.exists(rho)[:, 0], gap, np.nan))
    gaps = np.stack(columns, axis=1)
    if lap.own_gap is not None:  # the rest by the solver's own word, which is the same certificate
        gaps = np.concatenate((gaps, np.where(np.isnan(lap.own_gap[len(gaps) :]), np.inf, lap.own_gap[len(gaps) :])))
    return gaps


def _gap_of_one(problem: Problem, covariance: NDArray[np.complex128], rho: float) -> float:
    try:
        return float(certified_gap(problem, covariance, rho)[0])
    except DesignError:
        return float("inf")


def rows_of(found: Mapping[str, Mapping[str, Tally]]) -> list[dict[str, Any]]:
    """One row of the table for each set and method."""
    rows = []
    for name, tallies in found.items():
        reference = quartiles(tallies["batch"].seconds)[1]
        for method in LABELS:
            tally = tallies[method]
            low, middle, high = quartiles(tally.seconds)
            judged = tally.gaps[~np.isnan(tally.gaps)]
            rows.append(
                {
                    "set": name,
                    "method": method,
                    "designs_per_second": 1.0 / middle,
                    "seconds": middle,
                    "seconds_quartiles": [low, high],
                    "times_ours": middle / reference,
                    "first_call_seconds": tally.first,
                    **{f"{part}_seconds": quartiles(tally.part(i))[1] for i, part in enumerate(_PARTS)},
                    "judged": int(judged.size),
                    "unidentifiable": int(tally.gaps.size - judged.size),
                    "failures": int((~(judged <= FAILED)).sum()),
                    "certified_share": float((judged <= TOLERANCE).mean()) if judged.size else float("nan"),
                    "median_gap": float(np.median(judged)) if judged.size else float("nan"),
                    "worst_gap": float(judged.max(initial=0.0)),
                    "objective_difference": float(np.max(np.abs(tally.difference), initial=0.0)),
                }
            )
    return rows


def headlines_of(found: Mapping[str, Mapping[str, Tally]], antennas: int) -> list[dict[str, Any]]:
    """The ratios that the project promises, each with its spread over rounds and its targets."""
    out = []
    for name, tallies in found.items():
        ours = tallies["batch"]
        printed, tuned = tallies["clarabel-full"], tallies["clarabel-full-tuned"]
        best = min(_REDUCED, key=lambda method: quartiles(tallies[method].seconds)[1])
        front = tallies["front"]
        out += [
            _ratio(name, "(15) as printed by CVXPY + Clarabel, over ours", printed, ours, 2000, 10_000),
            _ratio(name, "the same with tuned settings, over ours", tuned, ours),
            _ratio(name, f"fastest on the reduced cone ({LABELS[best]}), over ours", tallies[best], ours, 300, 2000),
            _ratio(name, "front of 21 weights over one cold design", front, ours, -8, -5, WEIGHTS.size),
            _ratio(name, "the same, both without set-up", front, ours, scale=WEIGHTS.size, part=2),
        ]
        if "wide" in tallies:
            out.append(
                _ratio(
                    name,
                    f"time per draw at M_T = {_WIDE} over M_T = {antennas}",
                    tallies["wide"],
                    tallies["narrow"],
                    -1.3,
                    -1.05,
                )
            )
    return out


def _ratio(
    name: str, text: str, one: Tally, other: Tally, must: float = 0.0, aim: float = 0.0,
    scale: float = 1.0, part: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ratio of two methods' seconds round by round; a negative target is one to stay below."""

    def medians(tally: Tally) -> NDArray[np.float64]:
        if part is None:
            return np.median(tally.seconds, axis=1)
        return np.array([np.median([parts[part] for parts in lap.parts]) for lap in tally.laps])

    low, middle, high = quartiles(scale * medians(one) / medians(other))
    reached = None if must == 0.0 else bool(middle >= must if must > 0.0 else middle <= -must)
    return {
        "set": name, "ratio": text, "value": middle, "quartiles": [low, high], "at_most": must < 0.0,
        "must": abs(must), "aim": abs(aim), "reached": reached,
    }  # fmt: skip


def make_cube(setting: Setting, found: Mapping[str, Mapping[str, Tally]], load: list[float]) -> xr.Dataset:
    """All timings and gaps as a labelled cube; NaN where a method has fewer samples or designs than another."""
    sets, methods = list(found), list(LABELS)
    tallies = [found[name][method] for name in sets for method in methods]
    shape = (len(sets), len(methods))

    def table(dim: str, rows: list[NDArray[np.float64]], units: str, text: str) -> Any:
        return (("set", "algorithm", dim), padded(rows).reshape(*shape, -1), {"units": units, "long_name": text})

    def flat(values: list[float], units: str, text: str) -> Any:
        return (("set", "algorithm"), np.array(values).reshape(shape), {"units": units, "long_name": text})

    data = {
        "seconds": table("sample", [t.seconds for t in tallies], "s", "time per design, by round and draw"),
        "gap": table("design", [t.gaps for t in tallies], "1", "certified relative gap, infinite for a failure"),
        "objective_difference": table(
            "draw", [t.difference for t in tallies], "1", "objective over that of crbatch alone, minus one"
        ),
        "first_call": flat([t.first for t in tallies], "s", "first call on one draw: compiling and loading"),
        "failures": flat([float((t.gaps > FAILED).sum()) for t in tallies], "1", "designs without a gap of 1e-4"),
    }
    for i, part in enumerate(_PARTS):
        data[f"{part}_seconds"] = table("sample", [t.part(i) for t in tallies], "s", f"time per design: {part}")
    attrs = cube_attributes("Time per certified beam design", asdict(setting), load)
    cube = xr.Dataset(data, {"set": sets, "algorithm": methods}, attrs)
    cube["label"] = ("algorithm", [LABELS[method] for method in methods])
    return cube


def run_speed(folder: BenchFolder, setting: Setting, progress: Progress) -> dict[str, Any]:
    """Measure, write cube and figure, and return what the command prints.

    Parameters
    ----------
    folder
        Where to; an earlier study of speed in it is replaced.
    setting
        What to measure.
    progress
        Told of every lap.

    Returns
    -------
    dict
        rows, headlines, machine, load average before and after, files.

    Raises
    ------
    UsageProblem, DamagedData
        If the folder cannot be written to, or holds something else.
    """
    try:
        baselines.check_scs()
    except DesignError as error:
        raise UsageProblem(str(error)) from None
    folder.prepare("speed", asdict(setting), resume=False)
    before = load_average()
    found = measure(setting, progress)
    rows = rows_of(found)
    folder.write_cube(make_cube(setting, found, load_average()))
    files = save(speed_figure(rows, LABELS, SETS), folder.path, "speed")
    return {
        "settings": asdict(setting),
        "rows": rows,
        "headlines": headlines_of(found, setting.tx_antennas),
        "machine": machine(),
        "load_average": {"before": before, "after": load_average()},
        "files": [str(folder.cube), *map(str, files)],
    }
