"""Scenes in the form of `golden/world.json` as the engine takes them."""

import numpy as np
from crbatch import Draws, Scenario
from crbatch.engine.draws import fixed_draw
from world import Array, Scene

PRIOR_KEYS = {
    "ue_position": "ue_position_m",
    "target_position": "target_position_m",
    "clock": "clock_s",
    "orientation": "orientation_deg",
}


def elements(places: Array) -> dict[str, object]:
    """An array by its elements."""
    return {"kind": "elements", "positions": np.asarray(places).tolist()}


def scenario_of(scene: Scene) -> Scenario:
    """The scenario of a scene; arrays are read element by element."""
    (ue,) = scene["ues"]
    tilts = {}
    if len(scene["bs"]) == 3:
        tilts = {f"{end}_{key}_deg": rot[i] for end, rot in (("bs", scene["bs_rot"]), ("ue", ue["rot"]))
                 for i, key in ((1, "downtilt"), (2, "slant"))}  # fmt: skip
    rcs = scene["rcs"]
    return Scenario(
        carrier_hz=scene["fc"],
        bandwidth_hz=scene["bw"],
        subcarriers=scene["m"],
        power_dbm=scene["p_dbm"],
        noise_figure_db=scene["nf_db"],
        noise_psd_dbm_hz=scene["n0_dbm"],
        pilots_per_slot=scene["pilots"],
        bs_position_m=scene["bs"],
        bs_broadside_deg=scene["bs_rot"][0],
        ue_position_m=ue["pos"],
        ue_orientation_deg=ue["rot"][0],
        target_positions_m=scene["targets"],
        target_rcs_m2=rcs if np.isscalar(rcs) or len(rcs) > 1 else (float(rcs[0]) if len(rcs) else 1.0),
        ue_rcs_m2=scene["rcs_ue"],
        clock_bias_s=scene["clock"],
        line_of_sight=scene["los"],
        known=scene["known"],
        prior={
            PRIOR_KEYS[key]: np.degrees(std) if key == "orientation" else std for key, std in scene["prior"].items()
        },
        tx_array=elements(scene["tx"]),
        rx_array=elements(scene["rx"]),
        ue_array=elements(scene["uea"]),
        **tilts,
    )


def engine_scene(scene: Scene) -> tuple[Scenario, Draws]:
    """Scenario of a scene, and its one draw."""
    scenario = scenario_of(scene)
    return scenario, fixed_draw(scenario, scene["phases_bistatic_rad"], scene["phases_monostatic_rad"])
