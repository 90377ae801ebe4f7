"""`crbatch bench antennas`: run time against the number of transmit antennas, ours and the paper's programs."""

import itertools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.beamforming import baselines, weighted
from crbatch.engine.beamforming.certificate import certified_gap
from crbatch.engine.beamforming.problem import Problem, build_problem
from crbatch.engine.beamforming.weighted import Solution
from crbatch.engine.draws import DrawModel, Draws, sample
from crbatch.engine.errors import DesignError
from crbatch.engine.fisher import channel_fim_at
from crbatch.engine.links import bistatic_link, monostatic_link
from crbatch.engine.scenario import Scenario
from crbatch.results.figures.bench import antennas_figure
from crbatch.results.figures.panels import save
from crbatch.results.statements.judge import judged_times
from crbatch.results.statements.verdicts import as_plain
from crbatch.results.words import counted
from numpy.typing import NDArray

from ..errors import DamagedData
from ..terminal.progress import Progress
from .harness import (
    FAILED,
    TOLERANCE,
    BenchFolder,
    circumstances,
    cube_attributes,
    fitted_slope,
    load_average,
    on_one_core,
    padded,
    quartiles,
    timed,
)

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
RHO = 0.5
PAPER_ORDER = 6  # (15), (18) and (19) by an interior-point method, Section III-C
_BATCH = 64  # draws that ours designs in one go
_SEED = 2025
_COLUMNS = 4  # of W in (18): no optimum has needed more; the paper's L = 16 would make its cone 4 times as large
_WARM_SIZE = 4
_SHORTEST = 0.02  # s; what is shorter is called several times for one sample
_MOST_CALLS = 2000
_LONG = 1.0  # s
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class Setting:
    """What is measured: largest size, seconds for each method and size, repeats."""

    max_antennas: int = 1024
    budget: float = 60.0
    repeats: int = 7

    def sizes(self) -> list[int]:
        """Antennas to measure at."""
        return [size for size in SIZES if size <= self.max_antennas] or [self.max_antennas]


@dataclass(frozen=True)
class Case:
    """The paper's scenario at one size, some draws of it, and the extreme designs that (16) to (19) mix."""

    scenario: Scenario
    draws: Draws
    problem: Problem
    extremes: NDArray[np.complex128]  # V at rho = 1 and 0 of the first draw, (2, M_T, M_T), W
    factors: NDArray[np.complex128]  # W of `_COLUMNS` columns, (2, M_T, L), W^0.5


@dataclass(frozen=True)
class Method:
    """What to time: a call that makes so many designs of a case; and the bytes it would need."""

    label: str
    call: Callable[[Case], Any]
    designs: int = 1
    bytes_needed: Callable[[int], float] = lambda size: 0.0


def _cold(case: Case, solve: Callable[..., Solution]) -> Solution:
    return solve(build_problem(case.scenario, case.draws), np.array([RHO]), TOLERANCE)


def _fim(case: Case, path: Any) -> None:
    for make in (bistatic_link, monostatic_link):
        channel_fim_at(make(case.scenario, case.draws[:1]), case.extremes[:1], path)


def _closed_forms(case: Case) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    """What `mix_beamformers` and `mix_covariances` compute, without the checks of what users give."""
    (w_bp, w_ms), (v_bp, v_ms) = case.factors, case.extremes
    xi = RHO * w_bp + (1.0 - RHO) * w_ms
    return np.sqrt(case.problem.power) * xi / np.linalg.norm(xi), RHO * v_bp + (1.0 - RHO) * v_ms


def _cone_bytes(size: float) -> float:
    """A Hermitian cone's block in Clarabel: real symmetric of twice the size, dense, and its factor."""
    return 16.0 * (size * (2.0 * size + 1.0)) ** 2


METHODS: dict[str, Method] = {
    "sdp-full": Method(
        "(15), full cone", lambda c: baselines.clarabel_full(c.problem, 0, RHO), bytes_needed=_cone_bytes
    ),
    "sdp-reduced": Method("(15), reduced cone", lambda c: baselines.clarabel_reduced(c.problem, 0, RHO)),
    "sdp-wbf": Method(
        "(18)",
        lambda c: _conic().beamformer_mismatch(*c.factors, RHO, c.problem.power),
        bytes_needed=lambda size: _cone_bytes(_COLUMNS * size + 1.0),
    ),
    "sdp-wvm": Method(
        "(19)", lambda c: _conic().covariance_mismatch(*c.extremes, RHO, c.problem.power), bytes_needed=_cone_bytes
    ),
    "closed": Method("closed forms of (18), (19)", _closed_forms),
    "cpa": Method("crbatch, CPA", lambda c: _cold(c, weighted.solve_cpa), _BATCH),
    "fdb": Method("crbatch, FDB", lambda c: _cold(c, weighted.solve_fdb), _BATCH),
    "fim-explicit": Method("FIM, every subcarrier", lambda c: _fim(c, "explicit")),
    "fim-separable": Method("FIM, separable", lambda c: _fim(c, "separable")),
}


def _conic() -> Any:
    from crbatch.engine.beamforming import conic  # CVXPY takes a second to import

    return conic


def make_case(size: int) -> Case:
    """The paper's scenario with so many antennas, random phases."""
    scenario = Scenario(tx_antennas=size)
    draws = sample(scenario, DrawModel(), _SEED, 0, _BATCH)
    problem = build_problem(scenario, draws[:1])
    reduced = weighted.solve_fdb(problem, np.array([1.0, 0.0]), TOLERANCE).covariance
    values, vectors = np.linalg.eigh(reduced[0])
    roots = vectors[:, :, -_COLUMNS:] * np.sqrt(np.maximum(values[:, None, -_COLUMNS:], 0.0))
    return Case(scenario, draws, problem, problem.expand(reduced)[0], problem.expand_factor(roots[None])[0])


def failed(case: Case, result: Any) -> bool:
    """Whether a method's result is no design, by the one certificate for all."""
    if isinstance(result, DesignError):
        return True
    try:
        if isinstance(result, baselines.Answer):
            return not certified_gap(case.problem, result.covariance, RHO)[0] <= FAILED
        if isinstance(result, Solution):
            v = case.problem.expand(np.ascontiguousarray(result.covariance[:1]))[0, 0]
            # Over powers the best covariance is no measure: there the design's own certificate has to do.
            gap = result.gap[0, 0] if result.powers is not None else certified_gap(case.problem, v, RHO)[0]
            return not (gap <= TOLERANCE and (result.gap <= TOLERANCE).all())
    except DesignError:
        return True
    return False


def predicted(sizes: list[int], seconds: list[float], size: int) -> float:
    """Seconds at the next size from the last two, on a line in logarithms that does not fall."""
    if not sizes:
        return 0.0
    slope = fitted_slope(sizes, seconds, upper=2)  # NaN of a single size
    return float(seconds[-1] * (size / sizes[-1]) ** np.fmax(slope, 0.0))


def why_not(method: Method, done: dict[int, float], size: int, budget: float) -> str:
    """Why a method is not started at a size; empty if it may be. `done` has its seconds per call so far."""
    expected = predicted(list(done), list(done.values()), size)
    if expected > budget:
        return f"about {expected:.3g} s expected at {counted(size, 'antenna')}, the budget is {budget:g} s"
    needed, free = method.bytes_needed(size), os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > _MEMORY_SHARE * free:
        return f"about {needed / 1e9:.3g} GB needed at {counted(size, 'antenna')}, {free / 1e9:.3g} GB are free"
    return ""


def measure(method: Method, case: Case, setting: Setting) -> dict[str, Any]:
    """Time one method at one size.

    Result: seconds: per call of each repeat that gave a design; failures: repeats that did not; call_seconds: of a
    call, failed or not; calls: how many make one repeat.
    """

    def once(calls: int) -> tuple[float, bool]:
        seconds, result = timed(lambda: [_attempt(method, case) for _ in range(calls)][-1])
        return seconds / calls, not failed(case, result)

    first = once(1)  # fills caches; a long call cannot be given away
    calls = int(min(max(_SHORTEST / first[0], 1.0), _MOST_CALLS))
    samples = [first] if first[0] > _LONG else []
    spent = first[0]
    while len(samples) < setting.repeats and not (samples and spent > setting.budget):
        samples.append(once(calls))
        spent += calls * samples[-1][0]
    return {
        "seconds": [seconds for seconds, good in samples if good],
        "failures": sum(not good for _, good in samples),
        "call_seconds": float(np.median([seconds for seconds, _ in samples])),
        "calls": calls,
    }


def _attempt(method: Method, case: Case) -> Any:
    """Return a call's result, or the refusal of a solver that has no point to give."""
    try:
        return method.call(case)
    except DesignError as refusal:
        return refusal


def measure_all(folder: BenchFolder, setting: Setting, progress: Progress) -> dict[str, dict[int, dict[str, Any]]]:
    """Measure what is still missing; each method and size is on disk as soon as it is measured.

    Result: by method, then by size: what `measure` returns, or the reason why it is missing.
    """
    found: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in METHODS}
    for event in folder.journal.events("measured"):
        if event.get("method") not in found:
            raise DamagedData(f"{folder.journal.path}: measures {event.get('method')!r}, which is no method")
        found[event["method"]][int(event["size"])] = event
    warm: set[str] = set()
    total = len(METHODS) * len(setting.sizes())
    measured = sum(size in sizes for sizes in found.values() for size in setting.sizes())
    with on_one_core(), progress.bar("antennas", total, measured) as advance:
        case = None
        for size, (name, method) in itertools.product(setting.sizes(), METHODS.items()):
            if size in found[name]:
                continue
            done = {s: f["call_seconds"] for s, f in found[name].items() if "call_seconds" in f}
            if reason := _missing(found[name]) or why_not(method, done, size, setting.budget):
                found[name][size] = {"missing": reason}
            else:
                if case is None or case.scenario.tx_antennas != size:
                    case = make_case(size)
                first = _warm_up(name, warm)
                facts = {"method": name, "size": size, "load": load_average(), **measure(method, case, setting)}
                folder.journal.write("measured", **facts, **first)
                found[name][size] = facts
            advance(1)
    return found


def _missing(found: dict[int, dict[str, Any]]) -> str:
    """Why a method was not measured at larger sizes; empty if it was."""
    return next((facts["missing"] for facts in found.values() if "missing" in facts), "")


def _warm_up(name: str, warm: set[str]) -> dict[str, float]:
    """Compile and load what a method needs, on a tiny case, once a process; the seconds it took."""
    if name in warm:
        return {}
    warm.add(name)
    tiny = make_case(_WARM_SIZE)
    return {"first_call_seconds": timed(lambda: _attempt(METHODS[name], tiny))[0]}


def make_cube(setting: Setting, found: dict[str, dict[int, dict[str, Any]]], before: list[float]) -> xr.Dataset:
    """The cube: seconds per design of every method, size and repeat, NaN where it was not measured."""
    sizes, methods = setting.sizes(), list(METHODS)
    samples = [
        np.array(found[name][size].get("seconds", [])) / METHODS[name].designs for name in methods for size in sizes
    ]
    seconds = padded(samples).reshape(len(methods), len(sizes), -1)
    middle = [[quartiles(cell)[1] for cell in row] for row in seconds]
    failures = [[float(found[name][size].get("failures", np.nan)) for size in sizes] for name in methods]
    dims = ("algorithm", "tx_antennas")
    return xr.Dataset(
        {
            "seconds": ((*dims, "repeat"), seconds, {"units": "s", "long_name": "time per design or FIM, one core"}),
            "failures": (dims, failures, {"units": "1", "long_name": "calls without a certified design"}),
            "slope": (
                "algorithm",
                [fitted_slope(sizes, row) for row in middle],
                {"units": "1", "long_name": "exponent of the growth over the upper four sizes measured"},
            ),
            "missing": (
                "algorithm",
                [_missing(found[name]) for name in methods],
                {"long_name": "why larger sizes were not measured"},
            ),
            "designs_per_call": ("algorithm", [METHODS[name].designs for name in methods], {"units": "1"}),
            "label": ("algorithm", [METHODS[name].label for name in methods]),
        },
        {
            "algorithm": methods,
            "tx_antennas": ("tx_antennas", sizes, {"units": "1", "long_name": "transmit antennas M_T"}),
        },
        cube_attributes("Run time against transmit antennas", asdict(setting), before)
        | {"paper_order": str(PAPER_ORDER)},
    )


def report_of(cube: xr.Dataset) -> dict[str, Any]:
    """What a study's cube says, fit for JSON.

    Result: sizes, rows, settings, machine, load average before and after, the paper's statement on run times.
    """
    rows = []
    for name in cube["algorithm"].values.tolist():
        one = cube.sel(algorithm=name)
        low, middle, high = zip(*map(quartiles, one["seconds"].values), strict=True)
        rows.append(
            {
                "method": name,
                "label": one["label"].item(),
                "seconds": list(middle),
                "seconds_quartiles": [list(pair) for pair in zip(low, high, strict=True)],
                "slope": one["slope"].item(),
                "failures": int(np.nansum(one["failures"])),
                "missing": one["missing"].item(),
            }
        )
    return {
        "sizes": cube["tx_antennas"].values.tolist(),
        "rows": rows,
        "paper_order": int(cube.attrs["paper_order"]),
        "statement": as_plain([judged_times(cube)])[0],
        **circumstances(cube),
    }


def run_antennas(folder: BenchFolder, setting: Setting, progress: Progress) -> dict[str, Any]:
    """Measure what is missing, write cube and figure, and return what the command prints.

    `folder`: where to; measurements of the same settings, machine and code in it are used. Result: that of `report_of`,
    and files. Raises UsageProblem, DamagedData if the folder cannot be written to, or holds something else.
    """
    folder.prepare("antennas", asdict(setting), resume=True)
    before = load_average()
    cube = make_cube(setting, measure_all(folder, setting, progress), before)
    folder.write_cube(cube)
    found = report_of(cube)
    figure = antennas_figure(found["sizes"], found["rows"], PAPER_ORDER, "sdp-full")
    return found | {"files": [str(folder.cube), *map(str, save(figure, folder.path, "antennas"))]}
