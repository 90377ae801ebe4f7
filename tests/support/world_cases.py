"""Scenes of the literal twin, `world`, as the project takes them."""

from typing import Any

import numpy as np
from crbatch import Draws, Scenario, fixed_draw
from world import Scene

Array = np.ndarray
KEYS = {
    "fc": "carrier_hz",
    "bw": "bandwidth_hz",
    "m": "subcarriers",
    "p_dbm": "power_dbm",
    "nf_db": "noise_figure_db",
    "n0_dbm": "noise_psd_dbm_hz",
    "pilots": "pilots_per_slot",
    "bs": "bs_position_m",
    "targets": "target_positions_m",
    "rcs": "target_rcs_m2",
    "rcs_ue": "ue_rcs_m2",
    "clock": "clock_bias_s",
    "los": "line_of_sight",
    "known": "known",
}
PRIORS = {"ue_position": "ue_position_m", "target_position": "target_position_m", "clock": "clock_s"}


def project_scene(scene: Scene) -> tuple[Scenario, Draws]:
    """A scene as a scenario and its one draw."""
    (ue,) = scene["ues"]
    given: dict[str, Any] = {name: scene[key] for key, name in KEYS.items()}
    for name, key in (("tx_array", "tx"), ("rx_array", "rx"), ("ue_array", "uea")):
        given[name] = {"kind": "elements", "positions": scene[key]}
    given |= {"ue_position_m": ue["pos"], "bs_broadside_deg": scene["bs_rot"][0], "ue_orientation_deg": ue["rot"][0]}
    if len(scene["bs"]) == 3:
        for end, (_, downtilt, slant) in (("bs", scene["bs_rot"]), ("ue", ue["rot"])):
            given |= {f"{end}_downtilt_deg": downtilt, f"{end}_slant_deg": slant}
    prior = {name: scene["prior"][key] for key, name in PRIORS.items() if key in scene["prior"]}
    if "orientation" in scene["prior"]:
        prior["orientation_deg"] = float(np.degrees(scene["prior"]["orientation"]))
    scenario = Scenario(**given, prior=prior)
    return scenario, fixed_draw(scenario, scene["phases_bistatic_rad"], scene["phases_monostatic_rad"])
