"""Designs by what the BS knows: of every draw (the genie), of none (nominal), or of training draws (average)."""

from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
from crbatch.engine.beamforming.designs import Designs
from crbatch.engine.beamforming.evaluation import widened
from crbatch.engine.beamforming.knowledge import average_designs, nominal_designs
from crbatch.engine.beamforming.scheme import Scheme
from crbatch.engine.beamforming.schemes import design
from crbatch.engine.beamforming.shared import SharedDesigns, evaluate_shared
from crbatch.engine.draws import Draws
from crbatch.engine.scenario import Scenario
from numpy.typing import NDArray

from ..jobfile.schema import JobFile
from .beams import load_beams
from .draws import training_draws


def designs_of(job: JobFile, scenario: Scenario, draws: Draws, start: int) -> Designs:
    """Design draws from index `start` on of one point of the sweep with every knowledge that the job asks for.

    Result: schemes as `JobFile.labels` has them.
    """
    parts = []
    settings = _settings(job)
    for knowledge in job.design.knowledge:
        if knowledge == "per-draw":
            asked = job.design.schemes, job.design.rho
            parts.append(design(scenario, draws, *asked, custom=load_beams(job), first_draw=start, **settings))
        else:
            shared = shared_designs(job, scenario, knowledge)
            parts.append(evaluate_shared(scenario, draws, shared, gap_tolerance=job.design.gap_tolerance))
    return parts[0] if len(parts) == 1 else _joined(parts, job.labels)


def covariance_of(job: JobFile, scenario: Scenario, designs: Designs, label: str, rho: float) -> NDArray[np.complex128]:
    """V of one design for the first of the draws that `designs` has, (1, M_T, M_T), W."""
    scheme = Scheme.parse(label)
    # A plain name: the only knowledge, or the genie's.
    knowledge = scheme.knowledge or (job.design.knowledge[0] if len(job.design.knowledge) == 1 else "per-draw")
    if knowledge == "per-draw":
        return designs.beam_covariance(label, rho)[:1]
    shared = shared_designs(job, scenario, knowledge)  # all of V, also what the links of this draw do not see
    s, r = shared.schemes.index(str(scheme.known_from(None))), shared.rho.tolist().index(rho)
    return shared.covariance[s : s + 1, r]


def shared_designs(job: JobFile, scenario: Scenario, knowledge: str) -> SharedDesigns:
    """The one design for all draws of a point of the sweep, "nominal" or "average"."""
    return _shared(_Source.of(job), scenario, knowledge)


@dataclass(frozen=True)
class _Source:
    """A job as what shared designs depend on: the same for more draws."""

    text: str
    files: tuple[tuple[str, str], ...]
    job: JobFile = field(compare=False)

    @classmethod
    def of(cls, job: JobFile) -> "_Source":
        """Name the job by its text and the hashes of its files."""
        files = tuple((key, job.inputs.digest(key, path)) for key, path in job.files.items())
        return cls(job.canonical(counted=False), files, job)


@lru_cache(maxsize=16)
def _shared(source: _Source, scenario: Scenario, knowledge: str) -> SharedDesigns:
    """The one design of a point of the sweep: made once in a process, the same bits in each."""
    job = source.job
    settings = _settings(job)
    if knowledge == "nominal":
        return nominal_designs(scenario, job.design.schemes, job.design.rho, **settings)
    training = training_draws(job, scenario)
    return average_designs(scenario, training, job.design.schemes, job.design.rho, **settings)


def _settings(job: JobFile) -> dict[str, Any]:
    design, seed = job.design, job.draws.seed
    return {"gap_tolerance": design.gap_tolerance, "wbf_factor": design.wbf_factor, "seed": seed}


def _joined(parts: list[Designs], labels: tuple[str, ...]) -> Designs:
    """Several designs of the same draws along the axis of schemes."""
    width = max(part.factor.shape[-1] for part in parts)
    parts = [replace(part, factor=widened(part.factor, width)) for part in parts]
    arrays: dict[str, Any] = {
        one.name: np.concatenate([getattr(part, one.name) for part in parts], axis=1)
        for one in fields(Designs)
        if one.name not in ("problem", "schemes", "rho")
    }
    return replace(parts[0], schemes=labels, **arrays)
