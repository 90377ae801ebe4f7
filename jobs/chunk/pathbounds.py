"""Bounds of every path's angles and delay at the designs of a chunk."""

from typing import Any

import numpy as np
from crbatch.engine.beamforming.designs import Designs
from crbatch.engine.crb import path_bounds
from crbatch.engine.links import bistatic_link, monostatic_link
from crbatch.engine.unknowns import bistatic_paths, monostatic_paths
from numpy.typing import NDArray


def path_bounds_of(designs: Designs) -> dict[str, NDArray[Any]]:
    """The cube's arrays of them, (draw, scheme, rho, path); NaN where there is no design, or no such path.

    Nuisance paths are free like all others, and have no place in the cube.
    """
    problem = designs.problem
    given = problem.scenario, problem.draws, problem.channel
    nuisances, located = problem.channel.nuisances, problem.scenario.targets + 1
    names = ("crb_aod", "crb_aoa", "crb_delay_bistatic", "crb_aod_monostatic", "crb_delay_monostatic")
    out = {name: np.full((*designs.status.shape, located), np.nan) for name in names}
    links = (
        (bistatic_link(*given), bistatic_paths(problem.scenario, nuisances), names[:3]),
        (monostatic_link(*given), monostatic_paths(problem.scenario, nuisances), (names[3], None, names[4])),
    )
    for s, r in np.ndindex(designs.status.shape[1:]):
        there = designs.rank[:, s, r] > 0
        if not there.any():
            continue
        reduced = np.where(there[:, None, None], designs.covariance[:, s, r], 0.0)
        v = problem.expand(np.ascontiguousarray(reduced[:, None]))[:, 0]
        for link, own, asked in links:
            found = path_bounds(link, v)
            kept = [path for path in own if path < located]
            for name, values in zip(asked, (found.aod, found.aoa, found.delay), strict=True):
                if name is not None and values is not None:
                    out[name][:, s, r, kept] = np.where(there[:, None], values[:, : len(kept)], np.nan)
    return out
