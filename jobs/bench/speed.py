"""`crbatch bench speed`: certified designs a second and core, ours beside what others use, interleaved in one run."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.beamforming import baselines
from crbatch.engine.errors import DesignError
from crbatch.results.figures.bench import speed_figure
from crbatch.results.figures.panels import save

from ..errors import UsageProblem
from ..terminal.progress import Progress
from . import interleaved
from .harness import FAILED, TOLERANCE, BenchFolder, circumstances, cube_attributes, load_average, padded, quartiles
from .interleaved import WEIGHTS, Setting, Tally, measure

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
    "plane": "crbatch, a batch of draws in the plane",
}
# Beside these, methods that are there in space alone, or for a ratio.
OURS = ("batch", "alone", "front")
_REDUCED = ("clarabel-reduced", "scs-reduced", "clarabel-direct")
_PARTS = ("build", "compile", "solve")


def labels_of(found: Mapping[str, Mapping[str, Tally]]) -> list[str]:
    """The methods that were measured and have a row of their own."""
    return [method for method in LABELS if all(method in tallies for tallies in found.values())]


def headlines_of(found: Mapping[str, Mapping[str, Tally]], antennas: int) -> list[dict[str, Any]]:
    """The ratios that the project promises, each with its spread over rounds and its targets."""
    out = []
    for name, tallies in found.items():
        ours = tallies["batch"]
        best = min(_REDUCED, key=lambda method: quartiles(tallies[method].seconds)[1])
        front = tallies["front"]
        if "clarabel-full" in tallies:
            printed, tuned = tallies["clarabel-full"], tallies["clarabel-full-tuned"]
            out.append(_ratio(name, "(15) as printed by CVXPY + Clarabel, over ours", printed, ours, 2000, 10_000))
            out.append(_ratio(name, "the same with tuned settings, over ours", tuned, ours))
        out += [
            _ratio(name, f"fastest on the reduced cone ({LABELS[best]}), over ours", tallies[best], ours, 300, 2000),
            _ratio(name, "front of 21 weights over one cold design", front, ours, -8, -5, WEIGHTS.size),
            _ratio(name, "the same, both without set-up", front, ours, scale=WEIGHTS.size, part=2),
        ]
        if "plane" in tallies:
            out.append(_ratio(name, "a cold design in space over one in the plane", ours, tallies["plane"], -5, -3))
            antennas = 16
        if "wide" in tallies:
            text = f"time per draw at M_T = {interleaved.WIDE} over M_T = {antennas}"
            out.append(_ratio(name, text, tallies["wide"], tallies["narrow"], -1.3, -1.05))
    return out


def _ratio(
    name: str, text: str, one: Tally, other: Tally, must: float = 0.0, aim: float = 0.0,
    scale: float = 1.0, part: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ratio of two methods' seconds round by round; a negative target is one to stay below."""
    x, y = (np.median(tally.seconds if part is None else tally.part(part), axis=1) for tally in (one, other))
    return {"set": name, "ratio": text, "quartiles": list(quartiles(scale * x / y)), "must": must, "aim": aim}


def make_cube(setting: Setting, found: Mapping[str, Mapping[str, Tally]], before: list[float]) -> xr.Dataset:
    """All timings and gaps as a labelled cube; NaN where a method has fewer samples or designs than another."""
    sets, methods = list(found), labels_of(found)
    tallies = [found[name][method] for name in sets for method in methods]
    shape = (len(sets), len(methods))

    def each(values: list[Any], units: str, text: str, *dims: str) -> Any:
        array = padded(values).reshape(*shape, *(-1 for _ in dims))
        return (("set", "algorithm", *dims), array, {"units": units, "long_name": text})

    data = {
        "seconds": each([t.seconds for t in tallies], "s", "time per design, by round and draw", "sample"),
        "gap": each([t.gaps for t in tallies], "1", "certified relative gap, infinite for a failure", "design"),
        "objective_difference": each(
            [t.difference for t in tallies], "1", "objective over that of crbatch alone, minus one", "draw"
        ),
        "first_call": each([t.first for t in tallies], "s", "first call on one draw: compiling and loading"),
        "failures": each([(t.gaps > FAILED).sum() for t in tallies], "1", "designs without a gap of 1e-4"),
        "unidentifiable": each([np.isnan(t.gaps).sum() for t in tallies], "1", "draws without a design"),
    }
    for i, part in enumerate(_PARTS):
        data[f"{part}_seconds"] = each([t.part(i) for t in tallies], "s", f"time per design: {part}", "sample")
    attrs = cube_attributes("Time per certified beam design", asdict(setting), before)
    cube = xr.Dataset(data, {"set": sets, "algorithm": methods}, attrs)
    cube["label"] = ("algorithm", [LABELS[method] for method in methods])
    headlines = headlines_of(found, setting.tx_antennas)
    for key in headlines[0]:
        values = np.array([line[key] for line in headlines])
        cube[f"headline_{key}"] = (("headline", "quartile")[: values.ndim], values)
    return cube


def rows_of(cube: xr.Dataset) -> list[dict[str, Any]]:
    """One row of the table for each set and method."""
    rows = []
    for name in cube["set"].values.tolist():
        reference = quartiles(cube["seconds"].sel(set=name, algorithm="batch"))[1]
        for method in cube["algorithm"].values.tolist():
            one = cube.sel(set=name, algorithm=method)
            low, middle, high = quartiles(one["seconds"])
            judged = one["gap"].values[~np.isnan(one["gap"].values)]
            rows.append(
                {
                    "set": name,
                    "method": method,
                    "label": one["label"].item(),
                    "designs_per_second": 1.0 / middle,
                    "seconds": middle,
                    "seconds_quartiles": [low, high],
                    "times_ours": middle / reference,
                    "first_call_seconds": one["first_call"].item(),
                    **{f"{part}_seconds": quartiles(one[f"{part}_seconds"])[1] for part in _PARTS},
                    "judged": int(judged.size),
                    "unidentifiable": int(one["unidentifiable"].item()),
                    "failures": int((~(judged <= FAILED)).sum()),
                    "certified_share": float((judged <= TOLERANCE).mean()) if judged.size else float("nan"),
                    "median_gap": float(np.median(judged)) if judged.size else float("nan"),
                    "worst_gap": float(judged.max(initial=0.0)),
                    "objective_difference": float(
                        np.fmax.reduce(np.abs(one["objective_difference"].values), initial=0.0)
                    ),
                }
            )
    return rows


def report_of(cube: xr.Dataset) -> dict[str, Any]:
    """What a study's cube says, fit for JSON.

    Result: rows, headlines, settings, machine, load average before and after.
    """
    headlines = []
    columns = (cube[f"headline_{key}"].values.tolist() for key in ("set", "ratio", "quartiles", "must", "aim"))
    for name, ratio, (low, middle, high), must, aim in zip(*columns, strict=True):
        reached = None if must == 0.0 else middle >= must if must > 0.0 else middle <= -must
        words = {"set": name, "ratio": ratio, "value": middle, "quartiles": [low, high]}
        targets = {"at_most": must < 0.0, "must": abs(must), "aim": abs(aim), "reached": reached}
        headlines.append(words | targets)
    return {"rows": rows_of(cube), "headlines": headlines, **circumstances(cube)}


def run_speed(folder: BenchFolder, setting: Setting, progress: Progress) -> dict[str, Any]:
    """Measure, write cube and figure, and return what the command prints.

    `folder`: where to; an earlier study of speed in it is replaced. Result: that of `report_of`, and files. Raises
    UsageProblem, DamagedData if the folder cannot be written to, or holds something else.
    """
    try:
        baselines.check_scs()
    except DesignError as error:
        raise UsageProblem(str(error)) from None
    folder.prepare("speed", asdict(setting), resume=False)
    before = load_average()
    cube = make_cube(setting, measure(setting, progress), before)
    folder.write_cube(cube)
    found = report_of(cube)
    labels = {row["method"]: row["label"] for row in found["rows"]}
    sets = {row["set"]: SETS[row["set"]] for row in found["rows"]}
    files = save(speed_figure(found["rows"], labels, sets), folder.path, "speed")
    return found | {"files": [str(folder.cube), *map(str, files)]}
