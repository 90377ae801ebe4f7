"""The report of a finished run: figures, the paper's statements judged, tables, and one page of all."""

import gc
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import xarray as xr
from crbatch.cluster.machine import cpu_model
from crbatch.engine.antennas import AntennaArray, Ula, Upa
from crbatch.engine.beamforming.designs import Designs
from crbatch.engine.beamforming.recovery import recover_all
from crbatch.engine.beamforming.scheme import Scheme
from crbatch.engine.beampatterns import beampattern
from crbatch.engine.channel import channel_of
from crbatch.engine.scenario import Scenario
from crbatch.results import statistics
from crbatch.results.accessor import write_csv
from crbatch.results.figures import beams as beamfigures
from crbatch.results.figures import draws as drawfigures
from crbatch.results.figures.estimator import estimator
from crbatch.results.figures.fusion import fusion
from crbatch.results.figures.panels import saving
from crbatch.results.figures.places import places
from crbatch.results.figures.tradeoff import tradeoff
from crbatch.results.files import file_hash, temporary_folder
from crbatch.results.page import METRICS, Picture, render
from crbatch.results.points import nearest_weights
from crbatch.results.schemes import wbf_schemes
from crbatch.results.statements import judge as statements
from crbatch.results.statements import text as statementtext
from crbatch.results.statements import verdicts
from crbatch.results.statements.text import Table
from crbatch.results.statements.verdicts import Statement
from crbatch.results.words import counted
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..chunk.evaluate import design_draws
from ..chunk.knowledge import covariance_of
from ..folder.rundir import RunDirectory
from ..folder.timings import overhead_text, timings
from ..identity import versions
from ..jobfile.design import DEFAULT_SCHEMES
from ..jobfile.schema import JobFile, load_job
from .description import what

_ANGLES_DEG = np.linspace(-90.0, 90.0, 721)
_ALL_AROUND_DEG = np.linspace(-180.0, 180.0, 1441)
_PATTERN_DRAW = 0
_TABLE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def write_report(folder: RunDirectory, job: JobFile) -> None:
    """Write figures (PNG, PDF, SVG), statements, a table (CSV) and the page of a complete run into its report folder.

    All of it is made aside, so that no file is ever seen half written; the journal notes what a whole report is.
    """
    gc.freeze()  # what is loaded by now stays: no need to look through it each time that figures leave garbage
    started = time.perf_counter()
    cube = folder.journal.events("cube")[-1]["sha256"]
    with temporary_folder(folder.path) as place:
        _make(folder, job, place)
        digests = {path.name: file_hash(path) for path in sorted(place.iterdir())}
        if folder.report.is_symlink():
            folder.report.unlink()
        folder.report.mkdir(exist_ok=True)
        for name in sorted(digests, key=lambda name: name == folder.page.name):  # the page comes last
            os.replace(place / name, folder.report / name)
    if not folder.report_is_current():
        seconds = round(time.perf_counter() - started, 3)
        folder.journal.write("report", seconds=seconds, cube=cube, files=digests)


def _make(folder: RunDirectory, job: JobFile, place: Path) -> None:
    """Make all files of a report in some place."""
    beams = beams_of(job, _PATTERN_DRAW)
    with xr.open_dataset(folder.cube, engine="netcdf4") as cube:
        made = _figures(cube, job, beams)
        with saving(made, place):
            page = _write_words(folder, job, cube, place, list(made))
    (place / folder.page.name).write_text(page, encoding="utf-8")


def _write_words(folder: RunDirectory, job: JobFile, cube: xr.Dataset, place: Path, stems: list[str]) -> str:
    """Write statements and tables; return the page, whose figures are there as SVG."""
    space = job.scenario.dimensions == 3
    judged, table = ([], None) if space else _claims(cube, place)
    words = _WORDS | ({"beampatterns": (_WORDS["beampatterns"][0], _CUT)} if space else {})
    for metric in [name for name in (*METRICS, "crb_bp_fused", "crb_ms_fused") if name in cube]:
        write_csv(statistics.quantile(cube, metric, _TABLE_LEVELS), place / f"quantiles-{metric}.csv")
    return render(
        cube,
        what=what(folder, job),
        pictures=[Picture(place / f"{stem}.svg", *words[stem]) for stem in stems],
        statements=judged,
        verdicts=table,
        tables={
            "Timings": _timings(folder),
            "Provenance": _provenance(folder, cube),
            "How to cite": _citation(cube),
        },
    )


def _claims(cube: xr.Dataset, place: Path) -> tuple[list[Statement], Table | None]:
    """Judge the paper's statements, which are about the plane, and write them down."""
    judged, table = statements.judged(cube), statementtext.verdict_table(cube)
    text = statementtext.as_text(judged)
    if table:
        text += f"\nAt each point of the sweep:\n{statementtext.table_text(table)}"
    (place / "claims.txt").write_text(text, encoding="utf-8")
    found_json = json.dumps(verdicts.as_plain(judged), indent=1)
    (place / "claims.json").write_text(f"{found_json}\n", encoding="utf-8")
    return judged, table


def _figures(cube: xr.Dataset, job: JobFile, beams: xr.Dataset) -> dict[str, Figure]:
    """All figures by the stems of their files; the paper's own only where the job is the paper's experiment."""
    made = {"estimator": estimator(cube)} if "error_bp" in cube and len(job.sweep) < 2 else {}
    if is_the_papers(job):
        made["fig2-beampatterns"] = beamfigures.paper_beampatterns(beams)
        made["fig3-tradeoff"] = tradeoff(cube.sel(scheme=list(DEFAULT_SCHEMES)))
    else:
        made["tradeoff"] = tradeoff(cube)
        if "crb_bp_fused" in cube:  # which older ones lack
            made["fusion"] = fusion(cube)
        if _are_places_drawn(job):
            scenario = job.sweep_points()[0][1]
            made["places"] = places(cube, scenario.bs_position_m, scenario.bs_broadside_deg)
    factors = wbf_schemes(job.labels, "fdb")
    if len(factors) > 1 and len(job.design.rho) > 2:
        bounds = [name for name in ("fdb-wcrb", "fdb-wvm") if name in job.labels]
        made["wbf-factors"] = tradeoff(cube.sel(scheme=[*bounds, *factors]))
    main = [name for name in job.labels if (scheme := Scheme.parse(name)).family != "apa" and scheme.factor is None]
    schemes = main or list(job.labels)
    angles = dict(zip(beams["path"].values.tolist(), beams["aod_deg"].values.tolist(), strict=True))
    made |= {
        "distributions": drawfigures.distributions(cube),
        "spread": drawfigures.spread(cube),
        "beampatterns": beamfigures.beampatterns(beams["total"].sel(scheme=schemes), angles),
        "certificates": drawfigures.certificates(cube, job.design.gap_tolerance),
    }
    return made


def _are_places_drawn(job: JobFile) -> bool:
    """Whether draws differ in where the UE or the targets are."""
    drops = job.drops()
    filed = drops.arrays if drops else {}
    fixed = job.draws.ue_position.kind == "fixed" and job.draws.target_positions.kind == "fixed"
    return not fixed or bool({"ue_position", "target_position"} & set(filed))


def is_the_papers(job: JobFile) -> bool:
    """Whether a job is the paper's experiment, whatever its name, its seed and how many draws it has."""
    paper = load_job("paper")
    same = job.scenario == paper.scenario and job.sweep == paper.sweep and job.design.knowledge == ("per-draw",)
    unseeded = {"count": 1, "seed": 0, "until": None}
    drawn = job.draws.model_copy(update=unseeded) == paper.draws.model_copy(update=unseeded)
    asked = set(DEFAULT_SCHEMES) <= set(job.design.schemes) and {0.0, 1.0} <= set(job.design.rho)
    return same and drawn and asked


_CUT = "Beampatterns of the first draw along the azimuth of the BS's array, at the UE's elevation there."
# Alternative text and caption of each figure.
_WORDS = {
    "estimator": (
        "Root-mean-square error of maximum-likelihood estimates against the root bounds, and their normalised error.",
        "Maximum likelihood on simulated observations, started at the truth, against the bounds. Shaded: where the "
        "mean of as many efficient estimates lies with 99 %.",
    ),
    "fig2-beampatterns": (
        "Beampatterns of fully digital beams, codebook powers and equal powers for positioning and for sensing.",
        "The paper's Fig. 2: beams for positioning (rho = 1, above) and for sensing (rho = 0), of the first draw, dB "
        "over uniform radiation. Dots: toward the paths. Thin: single slots, columns of W.",
    ),
    "fig3-tradeoff": (
        "Median root bound of positioning against that of sensing, one curve over rho for each scheme.",
        "The paper's Fig. 3: trade-off of the schemes, medians over the draws.",
    ),
    "tradeoff": (
        "Median root bound of positioning against that of sensing, one curve over rho for each scheme.",
        "Trade-off of the schemes: medians over the draws.",
    ),
    "fusion": (
        "Root bounds along rho of positioning alone, of sensing alone and of both observations together.",
        "What both observations tell together. The UE hears the BS, and the BS hears its echoes: with noise of their "
        "own, gains of their own and the same positions, their Fisher information adds up, and what is known "
        "beforehand counts once. Medians; shaded: 5 to 95 % of the draws. Beams are designed for the two bounds alone.",
    ),
    "places": (
        "Positions of the UE and of the targets seen from above, coloured by the root bound of each.",
        "The draws from above, and how well each position is found: the UE by itself (BP), targets by the BS (MS). "
        "Square and arrow: the BS and where it faces. Draws with infinite bounds are left out.",
    ),
    "wbf-factors": (
        "Trade-off of mixed beamformers, one curve for each factor of V, beside mixed covariances and optima.",
        "What the factor of V decides: mixed beamformers (WBF) for each factor that may be mixed, beside mixed "
        "covariances (WVM) and the optimum (WCRB). The paper leaves the factor open.",
    ),
    "distributions": (
        "Share of draws below each root bound, for positioning and sensing, one curve for each scheme.",
        "Distribution over the draws, with 95 % bands (Dvoretzky-Kiefer-Wolfowitz).",
    ),
    "spread": (
        "Median root bounds of positioning and sensing along rho, with the range of 5 to 95 % of the draws.",
        "Medians along rho; shaded: 5 to 95 % of the draws.",
    ),
    "beampatterns": (
        "Transmit beampattern of each scheme for rho near 0, 0.5 and 1, with the directions of UE and targets.",
        "Beampatterns of the first draw, dB relative to the strongest beam.",
    ),
    "certificates": (
        "Histogram of the certified relative gaps of all optimised designs, below the tolerance of the job.",
        "How far designs are from the optimum at most. No solver is trusted for this.",
    ),
}


def _timings(folder: RunDirectory) -> list[tuple[str, str]]:
    """Where the time of the run went, as its journal has it."""
    chunks = folder.journal.events("chunk")
    committed = sum(event.get("commit_seconds", 0.0) for event in chunks)
    found = timings(folder.journal.all())
    overhead = overhead_text(found)
    rows = {
        "start_up": ("Starting workers", ""),
        "evaluation": ("Evaluating draws and designs", f" of one core, in {counted(len(chunks), 'chunk')}"),
        "computing": ("First chunk sent to last shard written", overhead and f", {overhead}"),
        "consolidation": ("Consolidating the cube", ""),
    }
    return [
        *((title, f"{found[part]:.2f} s{more}") for part, (title, more) in rows.items() if part in found),
        ("Writing shards", f"{committed:.2f} s"),
        ("Page made on", cpu_model()),
    ]


def _provenance(folder: RunDirectory, cube: xr.Dataset) -> list[tuple[str, str]]:
    record = folder.journal.last("cube")
    made_by = json.loads(cube.attrs["versions"])
    return [
        ("Source", cube.attrs["source"]),
        ("Job's SHA-256", cube.attrs["job_sha256"]),
        *([("SHA-256 of the cube", record["sha256"])] if record else []),
        ("Computed with", ", ".join(f"{name} {version}" for name, version in made_by.items())),
        ("Page made with", f"crbatch {versions()['crbatch']}"),
        ("Job", cube.attrs["job"]),
    ]


def _citation(cube: xr.Dataset) -> list[tuple[str, str]]:
    return [
        ("Software", f"{cube.attrs['source']}; CITATION.cff in its sources has the entry"),
        ("Model and schemes", cube.attrs["references"]),
        ("Data", f"name the job's SHA-256, {cube.attrs['job_sha256'][:16]}..., and the seed, {cube.attrs['seed']}"),
    ]


def beams_of(job: JobFile, draw: int) -> xr.Dataset:
    """Where all beams of one draw point, at the last point of the sweep; in space at the UE's elevation.

    Result: gains over uniform radiation as `results.figures.beams.paper_beampatterns` takes them; ``slot`` only of the
    paper's experiment.
    """
    _, scenario = job.sweep_points()[-1]
    draws, designs = design_draws(job, scenario, draw, draw + 1)
    channel = channel_of(scenario, draws)
    aod, elevation = channel.aod[0], channel.aod_elevation[0]
    theta, power = np.radians(_angles_of(scenario.transmitter)), scenario.power_per_subcarrier_w
    both = np.concatenate((theta, aod)), np.concatenate((np.full_like(theta, elevation[0]), elevation))
    rho = designs.rho[nearest_weights(designs.rho)]

    def gains(label: str, weight: float) -> NDArray[np.float64]:
        covariance = covariance_of(job, scenario, designs, label, weight)
        found: NDArray[np.float64] = beampattern(covariance, scenario.transmitter, *both)[0] / power
        return found

    gain = np.array([[gains(label, weight) for weight in rho] for label in job.labels])
    over = ("scheme", "rho")
    beams = xr.Dataset(
        {
            "total": ((*over, "angle_deg"), gain[..., : theta.size]),
            "at_path": ((*over, "path"), gain[..., theta.size :]),
            "aod_deg": (("path",), np.degrees(aod)),
        },
        coords={
            "scheme": list(job.labels),
            "rho": rho,
            "angle_deg": _angles_of(scenario.transmitter),
            "path": ["UE", *(f"T{k}" for k in range(1, aod.size))],
        },
    )
    return beams.assign(slot=_slot_gains(job, scenario, designs)) if is_the_papers(job) else beams


def _angles_of(antennas: AntennaArray) -> NDArray[np.float64]:
    """Azimuths of a pattern: what is behind a line or a plane is what is before it."""
    return _ANGLES_DEG if isinstance(antennas, (Ula, Upa)) else _ALL_AROUND_DEG


def _slot_gains(job: JobFile, scenario: Scenario, designs: Designs) -> xr.DataArray:
    """Gain of every single slot, a column of W as the cube keeps it, for the paper's Fig. 2; of the first draw."""
    schemes, rho = list(beamfigures.PAPER_SCHEMES.values()), [0.0, 1.0]
    factors, _ = recover_all(designs, scenario.slots, job.design.recovery, job.draws.seed, _PATTERN_DRAW)
    places = np.array([[designs.index(scheme, weight) for weight in rho] for scheme in schemes])
    w = designs.problem.expand_factor(factors[:1])[0][places[..., 0], places[..., 1]] / math.sqrt(
        scenario.power_per_subcarrier_w
    )
    element = np.arange(scenario.tx_antennas) - 0.5 * (scenario.tx_antennas - 1)
    towards = np.exp(-1j * np.pi * np.sin(np.radians(_ANGLES_DEG))[:, None] * element)
    gains = np.moveaxis(np.abs(towards @ w) ** 2, -1, -2)
    coords = {"scheme": schemes, "rho": rho, "angle_deg": _ANGLES_DEG}
    return xr.DataArray(gains, dims=("scheme", "rho", "beam", "angle_deg"), coords=coords)
