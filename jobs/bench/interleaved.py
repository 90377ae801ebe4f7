"""Methods of `crbatch bench speed`, timed in turns on the same draws, and judged by one certificate."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from crbatch.engine.antennas import Upa
from crbatch.engine.beamforming import baselines, weighted
from crbatch.engine.beamforming.certificate import certified_gap
from crbatch.engine.beamforming.problem import Problem, build_problem
from crbatch.engine.beamforming.schemes import design
from crbatch.engine.beamforming.weighted import Solution
from crbatch.engine.draws import DrawModel, Draws, sample
from crbatch.engine.errors import DesignError
from crbatch.engine.scenario import Scenario
from numpy.typing import NDArray

from ..jobfile.schema import load_job
from ..terminal.progress import Progress
from .harness import TOLERANCE, on_one_core, timed

WEIGHTS = np.linspace(0.0, 1.0, 21)
WIDE = 1024
_WIDE_BATCH = 256
_TURNS = 4  # of ours in a round, whose laps are short: a machine's speed changes within seconds
_JUDGED_WIDE = 1  # eigenvalues of a V of 1,024 antennas take a second
_JUDGED_FRONTS = 128  # V of all weights of more draws would fill the memory
CONIC: Mapping[str, baselines.Baseline] = {
    "clarabel-full": baselines.clarabel_full,
    "clarabel-full-tuned": baselines.clarabel_full_tuned,
    "clarabel-reduced": baselines.clarabel_reduced,
    "scs-reduced": baselines.scs_reduced,
    "clarabel-direct": baselines.clarabel_direct,
}


# In space a design over all covariances of 64 antennas takes the others minutes.
_TOO_LARGE_IN_SPACE = ("clarabel-full", "clarabel-full-tuned")


@dataclass(frozen=True)
class Setting:
    """What is measured: antennas, targets, weight, draws of the others, draws of ours, rounds, seed, and where."""

    tx_antennas: int = 16
    targets: int = 3
    rho: float = 0.5
    draws: int = 4
    batch: int = 1024
    rounds: int = 5
    seed: int = 2025
    space: bool = False

    def scenario(self) -> Scenario:
        """The paper's scenario with these antennas and the first of its targets; in space with planar arrays."""
        whole = _in_space(math.isqrt(self.tx_antennas)) if self.space else Scenario(tx_antennas=self.tx_antennas)
        return whole.with_targets(self.targets)

    def conic(self) -> dict[str, baselines.Baseline]:
        """What others use, by method, as far as it can be waited for."""
        return {name: one for name, one in CONIC.items() if not (self.space and name in _TOO_LARGE_IN_SPACE)}


def _in_space(side: int) -> Scenario:
    """The paper's scene under a BS at a height of 10 m with side x side antennas; the UE has 2 x 4."""
    return Scenario(
        bs_position_m=(0.0, 0.0, 10.0),
        bs_downtilt_deg=10.0,
        ue_position_m=(-5.0, 20.0, 1.5),
        target_positions_m=((-10.0, 15.0, 1.0), (5.0, 15.0, 2.0), (0.0, 17.0, 4.0)),
        tx_array=Upa(rows=side, columns=side),
        rx_array=Upa(rows=8, columns=8),
        ue_array=Upa(rows=2, columns=4),
    )


@dataclass
class Lap:
    """One method, timed once on its draws: times per design, and the designs, to be judged afterwards."""

    seconds: NDArray[np.float64]  # (sample,)
    parts: NDArray[np.float64]  # of them, (sample, 3): build, compile, solve; for ours set-up, -, solve
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
        """Seconds of building, compiling or solving, per design, (round, sample)."""
        return np.array([lap.parts[:, index] for lap in self.laps])


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
        seconds=np.array([setup + seconds]) / designs,
        parts=np.array([[setup, 0.0, seconds]]) / designs,
        covariance=some.expand(np.ascontiguousarray(solution.covariance[:judged])),
        weights=rho,
        problem=some,
        own_gap=solution.gap if judged < len(draws) else None,
    )


def _alone(scenario: Scenario, draws: Draws, rho: NDArray[np.float64], problem: Problem) -> Lap:
    laps = [_ours(scenario, draws[i : i + 1], rho, weighted.solve_fdb, 1) for i in range(len(draws))]
    return Lap(
        np.concatenate([lap.seconds for lap in laps]),
        np.concatenate([lap.parts for lap in laps]),
        np.concatenate([lap.covariance for lap in laps]),
        rho,
        problem,
    )


def _conic(baseline: baselines.Baseline, problem: Problem, rho: float, count: int) -> Lap:
    runs = [timed(lambda i=i: baseline(problem, i, rho)) for i in range(count)]  # type: ignore[misc]
    return Lap(
        np.array([seconds for seconds, _ in runs]),
        np.array([(answer.build, answer.compile, answer.solve) for _, answer in runs]),
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
    for name, baseline in setting.conic().items():
        runs[name] = lambda n, b=baseline: _conic(b, problem, setting.rho, min(n, len(few)))  # type: ignore[misc]
    if wide:
        some = draws[: min(setting.batch, _WIDE_BATCH)]
        narrow = 16 if setting.space else setting.tx_antennas
        for name, antennas in (("narrow", narrow), ("wide", WIDE)):
            other = replace(setting, tx_antennas=antennas).scenario()
            runs[name] = lambda n, s=other: _ours(s, some[:n], rho, weighted.solve_fdb, min(n, _JUDGED_WIDE))  # type: ignore[misc]
    if setting.space:
        flat = Scenario().with_targets(setting.targets)
        there = sample(flat, model, setting.seed, 0, setting.batch)
        runs["plane"] = lambda n: _ours(flat, there[:n], rho, weighted.solve_fdb, n)
    return runs


def measure(setting: Setting, progress: Progress) -> dict[str, dict[str, Tally]]:
    """Time every method in each round on the same draws, ours several times, then judge all designs by one certificate.

    Result: by set of draws, then by method; ``narrow`` and ``wide`` (1,024 antennas) in the first set only.
    """
    models: dict[str, DrawModel] = {"phases": DrawModel()}
    if not setting.space:
        models["drops"] = load_job("drops").draws
    out: dict[str, dict[str, Tally]] = {}
    with on_one_core():
        for place, (name, model) in enumerate(models.items()):
            runs = _runs(setting, model, wide=place == 0)
            tallies = {method: Tally() for method in runs}
            slow, fast = [*setting.conic()], [method for method in runs if method not in CONIC]
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
    seconds = np.mean([lap.seconds for lap in laps], axis=0)
    return replace(laps[0], seconds=seconds, parts=np.mean([lap.parts for lap in laps], axis=0))


def _judge(setting: Setting, model: DrawModel, tallies: dict[str, Tally]) -> None:
    """Certify every design, and compare the objectives of the draws that all methods did."""
    for tally in tallies.values():
        tally.gaps = np.concatenate([_gaps(lap).ravel() for lap in tally.laps])
    draws = sample(setting.scenario(), model, setting.seed, 0, setting.draws)
    values = {
        method: np.array([_value(setting, draws[i : i + 1], tally, i) for i in range(setting.draws)])
        for method, tally in tallies.items()
        if method not in ("front", "narrow", "wide", "plane")
    }
    for method, objective in values.items():
        tallies[method].difference = objective / values["alone"] - 1.0


def _value(setting: Setting, draws: Draws, tally: Tally, draw: int) -> float:
    """Objective of a method's design of one draw, m2; NaN without a design."""
    kept = tally.laps[0].covariance
    with suppress(DesignError):
        if draw < len(kept):
            return float(design(setting.scenario(), draws, (), setting.rho, custom=kept[draw, 0]).objective[0, 0, 0])
    return float("nan")


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
    with suppress(DesignError):
        return float(certified_gap(problem, covariance, rho)[0])
    return float("inf")
