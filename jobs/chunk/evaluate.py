"""The work of one chunk: draws, designs, bounds, and the labelled dataset of them."""

from dataclasses import astuple, fields
from typing import Any

import numpy as np
import xarray as xr
from crbatch.engine.beamforming.designs import Designs
from crbatch.engine.beamforming.recovery import eigen_beamformer, recover_all, recovery_losses
from crbatch.engine.draws import Draws
from crbatch.engine.estimation import estimate
from crbatch.engine.scenario import Scenario
from crbatch.engine.status import Status
from crbatch.results.schema import DRAW_VARIABLES, VARIABLES, make_dataset, variables_of
from numpy.typing import NDArray

from ..jobfile.schema import JobFile
from .draws import draws_of
from .knowledge import designs_of
from .pathbounds import path_bounds_of

# Results of a design that the cube always has, by their names in both; all (draw, scheme, rho, ...).
_DESIGN_ARRAYS = [one.name for one in fields(Designs) if one.name in VARIABLES and VARIABLES[one.name].keep is None]
_DESIGN_ARRAYS += ["crb_bp_fused", "crb_ms_fused"]
# Draws that are designed together: their whitened problems stay in memory, about 0.2 MB a draw for three targets.
_BATCH = 128
# Draws that are observed together: their samples on every subcarrier and antenna stay in memory.
_OBSERVED = 16


def evaluate(job: JobFile, start: int, stop: int) -> xr.Dataset:
    """Compute draws start to stop - 1 of a job at every point of its sweep.

    Result: as `results.schema` has it; a draw's values do not depend on the range. Raises engine.DesignError if a
    scheme needs more slots than there are, or the custom beams do not fit.
    """
    shape = tuple(len(values) for values in job.sweep.values())
    tables = []
    for index, scenario in job.sweep_points():
        parts = []
        for low in range(start, stop, _BATCH):
            draws, designs = design_draws(job, scenario, low, min(low + _BATCH, stop))
            parts.append(_point_arrays(job, scenario.slots, draws, designs, low))
        tables.append((index, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}))
    arrays = {name: _assembled(shape, [(index, table[name]) for index, table in tables]) for name in tables[0][1]}
    return _labelled(job, arrays, start, stop)


def failed(job: JobFile, start: int, stop: int) -> xr.Dataset:
    """What stands in the cube for draws that could not be computed: NaN, with status "failed"."""
    sizes = {"draw": stop - start, **sizes_of(job)}
    shape = tuple(len(values) for values in job.sweep.values())
    arrays = {}
    for name, variable in variables_of(job.output.keep, job.scenario.dimensions).items():
        fill = np.nan if variable.dtype.startswith("f") else -1
        arrays[name] = np.full((*shape, *(sizes[dim] for dim in variable.dims)), fill, variable.dtype)
    arrays["status"][:] = int(Status.FAILED)
    return _labelled(job, arrays, start, stop)


def sizes_of(job: JobFile) -> dict[str, int]:
    """Lengths of the cube's dimensions for one draw, the swept ones apart."""
    scenarios = [scenario for _, scenario in job.sweep_points()]
    paths = max(scenario.targets for scenario in scenarios) + 1
    antennas = max(scenario.tx_antennas for scenario in scenarios)
    return {
        "scheme": len(job.labels),
        "rho": len(job.design.rho),
        "path": paths,
        "target": paths - 1,
        "xy": 2,
        "xyz": 3,
        "ri": 2,
        "tx": antennas,
        "tx_conj": antennas,
        "slot": max(scenario.slots for scenario in scenarios),
        "codeword": job.scenario.dimensions * paths,
    }


def _labelled(job: JobFile, arrays: dict[str, NDArray[Any]], start: int, stop: int) -> xr.Dataset:
    return make_dataset(
        arrays,
        scheme=list(job.labels),
        rho=list(job.design.rho),
        draw=np.arange(start, stop),
        sweep={key: list(values) for key, values in job.sweep.items()},
        attrs={},
    )


def design_draws(job: JobFile, scenario: Scenario, start: int, stop: int) -> tuple[Draws, Designs]:
    """Draw and design draws start to stop - 1 of one point of the sweep."""
    draws = draws_of(job, scenario, start, stop)
    return draws, designs_of(job, scenario, draws, start)


def _point_arrays(job: JobFile, slots: int, draws: Draws, designs: Designs, start: int) -> dict[str, NDArray[Any]]:
    """Everything the cube holds of one point of the sweep."""
    kept = variables_of(job.output.keep, job.scenario.dimensions)
    arrays = {name: getattr(draws, name) for name in DRAW_VARIABLES if name in kept}
    arrays |= {name: getattr(designs, name) for name in _DESIGN_ARRAYS}
    arrays["conditioning_bistatic"] = designs.problem.bistatic.smallest_eigenvalue
    arrays["rounding_bistatic"] = designs.problem.bistatic.rounding
    arrays["rounding_monostatic"] = designs.problem.monostatic.rounding
    arrays["conditioning_monostatic"] = designs.problem.monostatic.smallest_eigenvalue
    recovery, seed = job.design.recovery, job.draws.seed
    if "beamformers" in job.output.keep:
        factors, arrays["recovery_loss"] = recover_all(designs, slots, recovery, seed, start)
        arrays["beamformers"] = _parts(designs.problem.expand_factor(factors))
    else:
        arrays["recovery_loss"] = recovery_losses(designs, slots, recovery, seed, start)
    if "covariance" in job.output.keep:
        b, s, r, *inner = designs.covariance.shape
        v = designs.problem.expand(designs.covariance.reshape(b, s * r, *inner))
        arrays["covariance"] = _parts(v.reshape(b, s, r, *v.shape[2:]))
    if "errors" in job.output.keep:
        arrays |= _errors(job, draws, designs, start)
    if "paths" in job.output.keep:
        arrays |= path_bounds_of(designs)
    if "beam_gain" in job.output.keep:
        arrays["beam_gain"] = designs.beam_gain
    if "power" in job.output.keep:
        arrays["power"] = designs.problem.power * designs.powers
    return arrays


def _errors(job: JobFile, draws: Draws, designs: Designs, start: int) -> dict[str, NDArray[Any]]:
    """Errors of a maximum-likelihood estimator, of one observation for every draw and design."""
    problem = designs.problem
    out = {name: np.full(designs.status.shape, np.nan) for name in ("error_bp", "error_ms", "nees_bp", "nees_ms")}
    for s, r in np.ndindex(designs.status.shape[1:]):
        for low in range(0, len(draws), _OBSERVED):
            part = range(len(draws))[low : low + _OBSERVED]
            if (designs.rank[part, s, r] < 1).any():
                continue  # no design
            columns = int(designs.rank[part, s, r].max())
            reduced = [eigen_beamformer(problem, b, designs.covariance[b, s, r])[:, :columns] for b in part]
            factors = problem.expand_factor(np.stack(reduced), slice(low, part.stop))
            found = estimate(problem.scenario, draws[low : part.stop], factors, job.draws.seed, start + low)
            for name, values in zip(out, astuple(found), strict=True):
                out[name][part, s, r] = values
    return out


def _parts(values: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Real and imaginary parts on a trailing axis."""
    return np.stack((values.real, values.imag), axis=-1)


def _assembled(shape: tuple[int, ...], parts: list[tuple[tuple[int, ...], NDArray[Any]]]) -> NDArray[Any]:
    """Arrays of all points of the sweep in one, padded with NaN where a point has fewer paths or antennas."""
    if not shape:
        return parts[0][1]
    largest = tuple(max(sizes) for sizes in zip(*(part.shape for _, part in parts), strict=True))
    kind = parts[0][1].dtype
    out = np.full(shape + largest, np.nan if kind.kind == "f" else -1, dtype=kind)
    for index, part in parts:
        place: tuple[int | slice, ...] = (*index, *(slice(size) for size in part.shape))
        out[place] = part
    return out
