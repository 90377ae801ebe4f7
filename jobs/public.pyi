"""The public names, and where each is defined (read by `public`, and by type checkers)."""

from crbatch.engine.ambiguities import Ambiguity, ambiguities
from crbatch.engine.antennas import Elements, Uca, Ula, Upa
from crbatch.engine.beamforming.certificate import certified_gap, certified_mean_gap
from crbatch.engine.beamforming.designs import Designs
from crbatch.engine.beamforming.knowledge import average_designs, nominal_designs
from crbatch.engine.beamforming.mismatch import mix_beamformers, mix_covariances
from crbatch.engine.beamforming.problem import Problem, build_problem
from crbatch.engine.beamforming.scheme import CUSTOM, FACTOR_SCHEMES, SCHEMES
from crbatch.engine.beamforming.schemes import check_slots, design
from crbatch.engine.beamforming.shared import SharedDesigns, evaluate_shared
from crbatch.engine.channel import Channel, channel_of
from crbatch.engine.crb import (
    BistaticBounds,
    MonostaticBounds,
    PathBounds,
    bistatic_bounds,
    equivalent_fim,
    link_bounds,
    monostatic_bounds,
    path_bounds,
)
from crbatch.engine.derivatives import channel_matrix, derivative_tensor
from crbatch.engine.draws import DrawModel, Draws, fixed_draw, sample
from crbatch.engine.errors import DesignError, EngineError, ScenarioError
from crbatch.engine.fisher import channel_fim, position_fim
from crbatch.engine.links import Link, bistatic_link, monostatic_link
from crbatch.engine.paths import Paths
from crbatch.engine.scenario import SPEED_OF_LIGHT, Prior, Scenario
from crbatch.engine.status import Solver, Status
from crbatch.jobs.drops import read_paths, write_paths
from crbatch.results.accessor import open_cube, write_csv

__all__ = [
    "CUSTOM",
    "FACTOR_SCHEMES",
    "SCHEMES",
    "SPEED_OF_LIGHT",
    "Ambiguity",
    "BistaticBounds",
    "Channel",
    "DesignError",
    "Designs",
    "DrawModel",
    "Draws",
    "Elements",
    "EngineError",
    "Link",
    "MonostaticBounds",
    "PathBounds",
    "Paths",
    "Prior",
    "Problem",
    "Scenario",
    "ScenarioError",
    "SharedDesigns",
    "Solver",
    "Status",
    "Uca",
    "Ula",
    "Upa",
    "ambiguities",
    "average_designs",
    "bistatic_bounds",
    "bistatic_link",
    "build_problem",
    "certified_gap",
    "certified_mean_gap",
    "channel_fim",
    "channel_matrix",
    "channel_of",
    "check_slots",
    "derivative_tensor",
    "design",
    "equivalent_fim",
    "evaluate_shared",
    "fixed_draw",
    "link_bounds",
    "mix_beamformers",
    "mix_covariances",
    "monostatic_bounds",
    "monostatic_link",
    "nominal_designs",
    "open_cube",
    "path_bounds",
    "position_fim",
    "read_paths",
    "sample",
    "write_csv",
    "write_paths",
]
