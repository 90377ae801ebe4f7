"""What is fixed in an experiment: arrays, OFDM grid, link budget and the nominal geometry.

Field names are the job file's keys and carry its units; the properties give SI values. Every default is the
reference paper's.
"""

import math
from collections.abc import Callable
from itertools import combinations
from reprlib import repr as short
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from .arguments import whole
from .checked import Checked
from .errors import ScenarioError

SPEED_OF_LIGHT = 299792458.0

# Closer than this, two entities count as one point: the inverse square of the distance is still finite.
ONE_POINT_M = 1e-9

# Numbers must be numbers: no "16", no true, no NaN. The bounds refuse the impossible and, being far outside
# any use, values in the wrong unit; they never stand in for judgement.
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
LARGEST_POSITIVE = 1e15
Positive = Annotated[Finite, Field(gt=0.0, le=LARGEST_POSITIVE)]
Decibel = Annotated[Finite, Field(ge=-300.0, le=300.0)]
LARGEST_DEG = 360.0
Degrees = Annotated[Finite, Field(ge=-LARGEST_DEG, le=LARGEST_DEG)]
LARGEST_M = 1e7
Metres = Annotated[Finite, Field(ge=-LARGEST_M, le=LARGEST_M)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**20)]
Antennas = Annotated[int, Field(strict=True, ge=1, le=4096)]


def two(wanted: str, reason: str = "") -> Callable[[object], object]:
    """Refuse what is no list of two: pydantic would count them "after validation"."""

    def check(value: object) -> object:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{short(value)} is refused; it should be {wanted} in m")
        if len(value) != 2:
            count = "1 number" if len(value) == 1 else f"{len(value)} numbers"
            raise ValueError(f"{short(value)} has {count}; give two, {wanted}{reason}")
        return value

    return check


Point = Annotated[tuple[Metres, Metres], BeforeValidator(two("[x, y]", ": this engine is two-dimensional"))]


def _one_or_each(value: object) -> str:
    return "each" if isinstance(value, (list, tuple)) else "one"


# Told apart before validation, so that a bad value is reported once and not once per alternative.
OneOrEach = Annotated[
    Annotated[Positive, Tag("one")] | Annotated[tuple[Positive, ...], Tag("each")],
    Discriminator(_one_or_each),
]


class Scenario(Checked):
    """One BS, one UE, K >= 0 passive targets and the OFDM pilots between them.

    Frozen, comparable and hashable. Building one checks it: types, signs, finite values, units as far as they
    show, lengths, and that no two entities stand at one point. Geometries that are merely unidentifiable
    (K = 0, a target on the array's axis or on the BS-UE segment, one transmit antenna) are accepted; their
    bounds come out infinite.

    Attributes
    ----------
    carrier_hz, bandwidth_hz
        Carrier frequency fc and bandwidth W.
    subcarriers, slots, pilots_per_slot
        M, L (the number of beams) and N.
    power_dbm, noise_figure_db, noise_psd_dbm_hz
        Total transmit power P, noise figure F and noise density N0.
    tx_antennas, rx_antennas, ue_antennas
        M_T and M_R at the BS, M_U at the UE.
    bs_position_m, bs_broadside_deg
        Place and broadside direction of both BS arrays.
    ue_position_m, ue_orientation_deg
        Place and orientation phi of the UE.
    ue_angle
        How phi is read: what of the UE's array points where. "broadside-at-minus-phi" and "broadside-at-phi" are about
        the direction that the array faces, "axis-at-minus-phi" and "axis-at-phi" about the line of its elements, and
        put the broadside 90 degrees counter-clockwise from it; on the other side no bound would differ.
    clock_bias_s
        dt, the UE's clock against that of the BS.
    target_positions_m, target_rcs_m2
        Places of the K targets and their RCS: K values, or one for all.
    ue_rcs_m2
        RCS of the UE, seen by the BS.
    gain_law
        "radar-equation" (sqrt of the RCS in the amplitude) or "as-printed" (the RCS itself).
    phase_centre
        Where the elements of a steering vector are counted from: "array-centre" or "first-element". The codebook's
        derivative codewords, and so CPA and APA, depend on it; bounds of a given V do not, since the phases of the
        paths' gains are those at the arrays' centres either way.

    Numbers and arrays may be NumPy's.

    Raises
    ------
    ScenarioError
        If a value is missing its sense; in one line, every field that is.
    """

    carrier_hz: Positive = 28e9
    bandwidth_hz: Positive = 120e6
    subcarriers: Count = 1024
    slots: Count = 16
    pilots_per_slot: Count = 100
    power_dbm: Decibel = -20.0
    noise_figure_db: Annotated[Decibel, Field(ge=0.0)] = 10.0
    # A thermal density is near -174; a value in W/Hz (4e-21) would pass for 0 dBm/Hz without the upper bound.
    noise_psd_dbm_hz: Annotated[Decibel, Field(le=-50.0)] = -173.855
    tx_antennas: Antennas = 16
    rx_antennas: Antennas = 16
    ue_antennas: Antennas = 16
    bs_position_m: Point = (0.0, 0.0)
    bs_broadside_deg: Degrees = 90.0
    ue_position_m: Point = (-5.0, 20.0)
    ue_orientation_deg: Degrees = 110.0
    ue_angle: Literal["broadside-at-minus-phi", "broadside-at-phi", "axis-at-minus-phi", "axis-at-phi"] = (
        "broadside-at-minus-phi"
    )
    # More would be no clock bias, and would cost the delays their digits.
    clock_bias_s: Annotated[Finite, Field(ge=-1e-3, le=1e-3)] = 1e-6
    target_positions_m: tuple[Point, ...] = ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0))
    target_rcs_m2: OneOrEach = 100.0
    ue_rcs_m2: Positive = 10.0
    gain_law: Literal["radar-equation", "as-printed"] = "radar-equation"
    phase_centre: Literal["array-centre", "first-element"] = "array-centre"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.bandwidth_hz >= self.carrier_hz:
            raise ValueError(
                f"bandwidth_hz {self.bandwidth_hz:g} is not below carrier_hz {self.carrier_hz:g}; give both in Hz"
            )
        rcs = self.target_rcs_m2
        if isinstance(rcs, tuple) and len(rcs) != self.targets:
            raise ValueError(
                f"target_rcs_m2 has {len(rcs)} values for {self.targets} targets; "
                f"give {self.targets} values, or one number for all"
            )
        places = {"bs_position_m": self.bs_position_m, "ue_position_m": self.ue_position_m}
        places |= {f"target_positions_m.{k}": place for k, place in enumerate(self.target_positions_m)}
        for (one, first), (other, second) in combinations(places.items(), 2):
            if math.dist(first, second) < ONE_POINT_M:
                raise ValueError(f"{one} and {other} are the same point {list(first)}; move one of them")
        return self

    @property
    def targets(self) -> int:
        """Number K of targets."""
        return len(self.target_positions_m)

    @property
    def target_rcs(self) -> tuple[float, ...]:
        """RCS of each target, K values in m2."""
        rcs = self.target_rcs_m2
        return rcs if isinstance(rcs, tuple) else (rcs,) * self.targets

    @property
    def wavelength_m(self) -> float:
        """Carrier wavelength."""
        return SPEED_OF_LIGHT / self.carrier_hz

    @property
    def subcarrier_spacing_hz(self) -> float:
        """Spacing df = W / M."""
        return self.bandwidth_hz / self.subcarriers

    @property
    def noise_power_w(self) -> float:
        """Noise power F N0 df in one subcarrier."""
        return _watts(self.noise_psd_dbm_hz + self.noise_figure_db) * self.subcarrier_spacing_hz

    @property
    def power_per_subcarrier_w(self) -> float:
        """Transmit power P_m = P / M of one subcarrier, over all L slots together."""
        return _watts(self.power_dbm) / self.subcarriers

    def with_targets(self, count: int) -> "Scenario":
        """Keep the first targets only.

        Parameters
        ----------
        count
            How many targets to keep, with their RCS.

        Returns
        -------
        Scenario
            With K = count.

        Raises
        ------
        ScenarioError
            If the scenario has fewer targets than that.
        """
        count = whole("targets", count, ScenarioError)
        if not 0 <= count <= self.targets:
            raise ScenarioError(f"targets = {count} is outside 0..{self.targets}, the targets of the scenario")
        rcs = self.target_rcs_m2
        return self.replace(
            target_positions_m=self.target_positions_m[:count],
            target_rcs_m2=rcs[:count] if isinstance(rcs, tuple) else rcs,
        )

    def replace(self, **changes: Any) -> "Scenario":
        """Change some fields and check the result like a new scenario.

        Parameters
        ----------
        **changes
            New values by field name.

        Returns
        -------
        Scenario
            The changed copy.

        Raises
        ------
        ScenarioError
            As when building one.
        """
        return Scenario(**(self.model_dump() | changes))


def _watts(dbm: float) -> float:
    """Power in W (or density in W/Hz) from dBm."""
    return float(10.0 ** (dbm / 10.0 - 3.0))
