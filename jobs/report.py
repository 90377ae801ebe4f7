"""The report of a finished run: the paper's figures and the check of its trade-off claims."""

import json

import numpy as np
import xarray as xr

from results import claims, figures

from .beams import load_beams
from .evaluate import design_draws
from .jobfile import JobFile
from .rundir import RunDirectory, replace_text

_ANGLES_DEG = np.linspace(-90.0, 90.0, 721)
_PATTERN_DRAW = 0
# Not in the paper's Fig. 2; drawn only where a job has nothing else.
_SIDE_SCHEMES = ("apa", "fdb-wbf-aligned")


def write_report(folder: RunDirectory, job: JobFile) -> None:
    """Write figures (PNG, PDF, SVG) and claims of a complete run into its report folder."""
    folder.report.mkdir(exist_ok=True)
    pattern, paths = beampatterns(job, _PATTERN_DRAW)
    figures.save(figures.beampatterns(pattern, paths), folder.report, "fig2-beampatterns")
    with xr.open_dataset(folder.cube) as cube:
        figures.save(figures.tradeoff(cube), folder.report, "fig3-tradeoff")
        found = claims.section_claims(cube)
    figures.save(figures.claims_figure(found), folder.report, "claims")
    replace_text(folder.report / "claims.txt", claims.claims_text(found))
    replace_text(folder.report / "claims.json", json.dumps(claims.claims_json(found), indent=1) + "\n")


def beampatterns(job: JobFile, draw: int) -> tuple[xr.DataArray, dict[str, float]]:
    """Beampatterns of one draw at the last point of the sweep, and the angle of each path.

    Returns
    -------
    tuple
        Power (scheme, rho, angle_deg), W, and degrees from broadside by path: UE, T1, T2, ...
    """
    _, scenario = job.sweep_points()[-1]
    draws, designs = design_draws(job, scenario, draw, draw + 1, load_beams(job))
    theta = np.radians(_ANGLES_DEG)
    schemes = [scheme for scheme in designs.schemes if scheme not in _SIDE_SCHEMES] or list(designs.schemes)
    power = [[designs.beampattern(scheme, rho, theta)[0] for rho in designs.rho] for scheme in schemes]
    pattern = xr.DataArray(
        np.array(power),
        dims=("scheme", "rho", "angle_deg"),
        coords={"scheme": schemes, "rho": designs.rho, "angle_deg": _ANGLES_DEG},
        attrs={"units": "W"},
    )
    from engine import channel_of

    aod = np.degrees(channel_of(scenario, draws).aod[0])
    return pattern, {("UE" if k == 0 else f"T{k}"): float(angle) for k, angle in enumerate(aod)}
