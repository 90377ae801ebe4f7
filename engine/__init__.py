"""Cramer-Rao bounds and certified beam designs for joint bistatic positioning and monostatic sensing.

Arrays in, arrays out, batch axis first, SI units, angles in rad. Start with `Scenario`, `design` and the
`Designs` it returns; `bistatic_link`, `position_fim` and `bistatic_bounds` evaluate any covariance of one's own.
"""

from . import numbasettings as _first  # noqa: F401

# isort: split
from .beamforming.certificate import certified_gap, certified_mean_gap
from .beamforming.designs import Designs
from .beamforming.knowledge import average_designs, nominal_designs
from .beamforming.mixing import mix_beamformers, mix_covariances
from .beamforming.problem import Problem, build_problem
from .beamforming.schemes import CUSTOM, FACTOR_SCHEMES, SCHEMES, check_slots, design
from .beamforming.shared import SharedDesigns, evaluate_shared
from .channel import Channel, channel_of
from .crb import (
    BistaticBounds,
    MonostaticBounds,
    bistatic_bounds,
    equivalent_fim,
    link_bounds,
    monostatic_bounds,
)
from .derivatives import channel_matrix, derivative_tensor
from .draws import DrawModel, Draws, fixed_draw, sample
from .errors import DesignError, EngineError, ScenarioError
from .fisher import channel_fim, position_fim
from .identifiability import Ambiguity, ambiguities
from .links import Link, bistatic_link, monostatic_link
from .scenario import SPEED_OF_LIGHT, Scenario
from .status import Solver, Status

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
    "EngineError",
    "Link",
    "MonostaticBounds",
    "Problem",
    "Scenario",
    "ScenarioError",
    "SharedDesigns",
    "Solver",
    "Status",
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
    "position_fim",
    "sample",
]
