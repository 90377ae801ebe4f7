"""What was run, in words, for the head of a report."""

from collections.abc import Iterator

from crbatch.engine.antennas import AntennaArray, Upa
from crbatch.engine.scenario import Scenario
from crbatch.results.schemes import FACTOR_WORDS
from crbatch.results.words import counted, said

from ..folder.rundir import RunDirectory
from ..folder.until import last_look, precision_text
from ..jobfile.schema import JobFile
from .reasons import reasons

_KNOWLEDGE = {
    "per-draw": "every draw (the genie)",
    "nominal": "only the scenario's own geometry, with zero phases (@nominal)",
    "average": "training draws, of which they are best in the mean over APA (@average)",
}
_IN_FILE = {
    "phase_bistatic": "phases",
    "phase_monostatic": "phases",
    "ue_position": "UE position",
    "target_position": "target positions",
    "ue_orientation": "UE orientation",
    "ue_downtilt": "UE orientation",
    "ue_slant": "UE orientation",
    "target_rcs": "RCS",
    "ue_rcs": "RCS",
}


def what(folder: RunDirectory, job: JobFile) -> list[tuple[str, str]]:
    """What was run and what varied, in words; what cannot be told apart in it; why there are as many draws."""
    draws = job.draws
    varied = {
        "phases": draws.phases == "uniform",
        "UE position": draws.ue_position.kind != "fixed",
        "target positions": draws.target_positions.kind != "fixed",
        "UE orientation": draws.ue_orientation != "fixed",
        "RCS": draws.rcs != "fixed",
    }
    drops = job.drops()
    filed = [_IN_FILE[name] for name in drops.arrays] if drops else []
    if draws.paths is not None:
        filed = ["phases", "UE position", "target positions", "UE orientation"]
    yes, no = (
        [name for name, drawn in varied.items() if drawn is wanted and name not in filed] for wanted in (True, False)
    )
    lost = reasons(job, folder.cube)
    s = job.scenario
    return [
        ("Draws", f"{draws.count} from seed {draws.seed}"),
        *([(f"From {draws.file or draws.paths}", ", ".join(dict.fromkeys(filed)))] if filed else []),
        ("Random", ", ".join("RCS (Swerling 1)" if name == "RCS" else name for name in yes) or "nothing"),
        ("Fixed", ", ".join(no) or "nothing"),
        *((f"Swept {key}", ", ".join(map(said, values))) for key, values in job.sweep.items()),
        (
            "Scenario",
            f"{counted(s.targets, 'target')}, {counted(s.tx_antennas, 'transmit antenna')}, {s.power_dbm:g} dBm, "
            f"{s.bandwidth_hz / 1e6:g} MHz at {s.carrier_hz / 1e9:g} GHz, {counted(s.subcarriers, 'subcarrier')}",
        ),
        *_space_and_knowledge(s),
        ("Beams know", ", ".join(_KNOWLEDGE[word] for word in job.design.knowledge)),
        *([("FDB-WBF mixes", FACTOR_WORDS[job.design.wbf_factor])] if "fdb-wbf" in job.design.schemes else []),
        ("Designs", f"{counted(len(job.labels), 'scheme')} at {counted(len(job.design.rho), 'weight')} rho"),
        *([("Unidentifiable", "; ".join(lost))] if lost else []),
        *(("Precision", precision_text(look)) for look in last_look(folder, job).values()),
    ]


def _space_and_knowledge(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Rows on arrays, on the BS in space and on what is known, where there is anything to tell."""
    arrays = {"transmit": scenario.tx_array, "receive": scenario.rx_array, "UE's": scenario.ue_array}
    given = [f"{name} {_array_text(array)}" for name, array in arrays.items() if array is not None]
    if given:
        yield "Arrays", ", ".join(given)
    if scenario.dimensions == 3:
        height, downtilt = scenario.bs_position_m[2], scenario.bs_downtilt_deg
        yield "BS", f"at a height of {height:g} m, downtilt {downtilt:g} degrees"
    if not scenario.line_of_sight:
        yield "Line of sight", "blocked for the UE"
    if scenario.known:
        yield "Known to the UE", ", ".join(scenario.known)
    prior = scenario.prior.model_dump(exclude_none=True)
    if prior:
        yield "Prior", ", ".join(f"{name} = {said(value)}" for name, value in prior.items())


def _array_text(array: AntennaArray) -> str:
    """An array in a few words."""
    if isinstance(array, Upa):
        return f"{array.rows} x {array.columns}"
    shape = {"ula": "in a line", "uca": "on a circle"}.get(array.kind, "anywhere")
    return f"{counted(array.antennas, 'element')} {shape}"
