"""Doubts about a scenario's units: values that are possible each, with ratios that no system has."""

import math
from collections.abc import Iterator

from crbatch.engine.scenario import Scenario

from .schema import JobFile

_SPACINGS_HZ = (250.0, 50e6)  # from broadcasting (279 Hz) to what few pilots over a wide band may be
_THERMAL_DBM_HZ = -173.98  # at 290 K
_NOISE_DB = (-10.0, 40.0)  # colder than a cooled receiver sees, louder than man-made noise
_WAVELENGTHS = 3.0
_LEAST_SPACING = 0.05  # in wavelengths


def doubts(job: JobFile) -> list[str]:
    """Look for units that were mixed up, at the first point of the sweep that shows it.

    `job`: a checked job. Result: one line for each doubt: the key, what it amounts to, and which unit it may be in.
    """
    for _, scenario in job.sweep_points():
        found = list(_doubts(scenario))
        if found:
            return found
    return []


def _doubts(scenario: Scenario) -> Iterator[str]:
    spacing, (low, high) = scenario.subcarrier_spacing_hz, _SPACINGS_HZ
    if not low <= spacing <= high:
        advice = "is it in MHz or GHz?" if spacing < low else "are there as few subcarriers?"
        yield (
            f"scenario.bandwidth_hz = {scenario.bandwidth_hz:g} leaves {spacing:.3g} Hz between "
            f"{scenario.subcarriers} subcarriers, and real systems have {low:g} Hz to {high / 1e6:g} MHz; {advice}"
        )
    places = (scenario.ue_position_m, *scenario.target_positions_m)
    farthest = max(math.dist(scenario.bs_position_m, place) for place in places)
    if farthest < _WAVELENGTHS * scenario.wavelength_m:
        yield (
            f"scenario.carrier_hz = {scenario.carrier_hz:g} has waves of {scenario.wavelength_m:.3g} m, and nothing is "
            f"farther than {farthest:.3g} m from the BS; is it in GHz, or are positions in km?"
        )
    for name in ("tx_array", "rx_array", "ue_array"):
        for key in ("spacing", "row_spacing", "column_spacing", "radius"):
            length = getattr(getattr(scenario, name), key, 1.0)
            if length < _LEAST_SPACING:
                yield (
                    f"scenario.{name}.{key} = {length:g} is a small part of a wavelength, and elements are near half "
                    "of one apart; is it in m?"
                )
    noise = scenario.noise_psd_dbm_hz - _THERMAL_DBM_HZ
    if not _NOISE_DB[0] <= noise <= _NOISE_DB[1]:
        yield (
            f"scenario.noise_psd_dbm_hz = {scenario.noise_psd_dbm_hz:g} is {abs(noise):.0f} dB "
            f"{'below' if noise < 0.0 else 'above'} thermal noise (-174); is it in dBW, or for another bandwidth?"
        )
