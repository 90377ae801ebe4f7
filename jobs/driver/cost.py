"""What a job will roughly cost on one core of a current machine: for the plan alone, within a factor of about 3.

Each part is a power law in the number of paths, K + 1, fitted to measurements at K = 0 to 12 and 4 to 1,024 antennas,
in units of what it takes at the paper's three targets.
"""

from crbatch.engine.beamforming.scheme import Scheme
from crbatch.engine.scenario import Scenario

from ..jobfile.schema import JobFile

_PAPER_PATHS = 4
# Seconds for a draw at the paper's size, and how they grow: (seconds, power).
_SETUP = (2e-5, 2.3)
_BOUND = (5e-6, 2.3)  # a design's bounds, rank and status
_SOLVED = {"fdb": (6e-5, 4.0), "cpa": (2.5e-5, 4.0)}
_CROWDED = (1.5e-4, 5.0)  # more for FDB at 1,024 antennas, in proportion to them
_EXTREMES = {"fdb": (5e-4, 5.0), "cpa": (1.5e-4, 4.0)}  # rho = 1 and 0, to the last digits
# The 100 Gaussian candidates of both extremes: at 16 slots and in proportion to them, and their products and bounds.
_CANDIDATES, _JUDGED = (1.1e-3, 1.2), (2.5e-4, 2.8)
_MOST_FINISHED = 12  # targets up to which an interior-point method has a part in those of FDB
_EDGE = (2.2e-4, 5.5)  # more for average FDB beams at rho = 1, on an edge of the cone; the paths no more than antennas
_NEXT = 0.4  # of a weight's time, for each further one: they start from their neighbours
_ESTIMATE = (4e-3, 1.5e-5)  # a maximum-likelihood estimate on both links; and for each subcarrier
_ANY = 2e-5  # whatever the size
# A training draw: in the reduced space, and more in that of all antennas, at 16 of them, where the geometry moves.
_TRAINED = (1.2e-4, 3.0)
_MOVING = {"fdb": (9e-4, 3.3), "cpa": (2.2e-4, 1.5)}  # with the power of the antennas
_JUDGED_IN_MEAN, _JUDGED_MOVING = (7e-4, 1.8), (2.8e-3, 0.5)  # candidates by one training draw


def draw_seconds(job: JobFile) -> float:
    """Seconds of one core for one draw, at all points of the sweep."""
    return sum(_at_point(job, scenario) for _, scenario in job.sweep_points())


def training_seconds(job: JobFile) -> float:
    """Seconds that each process takes for the designs that all draws share, before its first draw."""
    if "average" not in job.design.knowledge:
        return 0.0
    return job.design.training_draws * sum(_training(job, scenario) for _, scenario in job.sweep_points())


def solved_weights(job: JobFile, family: str) -> set[float]:
    """Weights at which a family's problem is solved for each draw: those asked for, and both extremes for mixes."""
    rules = {scheme.rule for scheme in map(Scheme.parse, job.design.schemes) if scheme.family == family}
    if not rules:
        return set()
    return set(job.design.rho) | ({0.0, 1.0} if rules - {"wcrb"} else set())


def _at_point(job: JobFile, scenario: Scenario) -> float:
    paths = scenario.targets + 1
    designs = len(job.design.rho) * len(job.labels)
    seconds = _ANY + _scaled(_SETUP, paths) * len(job.design.knowledge) + _scaled(_BOUND, paths) * designs
    if "per-draw" in job.design.knowledge:
        seconds += sum(_solving(family, solved_weights(job, family), scenario) for family in _SOLVED)
        one = _scaled(_CANDIDATES, paths) * scenario.slots / 16 + _scaled(_JUDGED, paths)
        seconds += one * _randomized(job)
    if "errors" in job.output.keep:
        seconds += (_ESTIMATE[0] + _ESTIMATE[1] * scenario.subcarriers) * designs
    return seconds


def _randomized(job: JobFile) -> int:
    """How many schemes mix Gaussian candidates."""
    return sum(Scheme.parse(name, job.design.wbf_factor).randomized for name in job.design.schemes)


def _solving(family: str, weights: set[float], scenario: Scenario) -> float:
    paths, antennas = scenario.targets + 1, scenario.tx_antennas
    first = _scaled(_SOLVED[family], paths)
    if family == "fdb":
        first += _scaled(_CROWDED, paths) * antennas / 1024
    inside = {rho for rho in weights if 0.0 < rho < 1.0}
    seconds = first * _weights(inside) if inside else 0.0
    if inside == weights:
        return seconds
    base, power = _EXTREMES[family]
    return seconds + _scaled((base, power if scenario.targets <= _MOST_FINISHED else 4.0), paths)


def _training(job: JobFile, scenario: Scenario) -> float:
    """Seconds for one training draw; both extremes are always solved."""
    paths, antennas = scenario.targets + 1, scenario.tx_antennas / 16
    weights = {0.0, 1.0, *job.design.rho}
    draws = job.draws
    moving = draws.ue_position.kind != "fixed" or draws.target_positions.kind != "fixed" or draws.file is not None
    seconds = 0.0
    for family, (one, power) in _MOVING.items():
        if solved_weights(job, family):
            more = _scaled((one, 2.5), paths) * antennas**power if moving else 0.0
            edge = _scaled(_EDGE, min(paths, scenario.tx_antennas)) if family == "fdb" else 0.0
            seconds += (_scaled(_TRAINED, paths) + more) * _weights(weights) + edge
    more = _scaled(_JUDGED_MOVING, paths) * antennas**2 if moving else 0.0
    return seconds + (_scaled(_JUDGED_IN_MEAN, paths) + more) * _randomized(job)


def _weights(weights: set[float]) -> float:
    return 1.0 + _NEXT * (len(weights) - 1)


def _scaled(law: tuple[float, float], paths: int) -> float:
    seconds, power = law
    return float(seconds * (paths / _PAPER_PATHS) ** power)
