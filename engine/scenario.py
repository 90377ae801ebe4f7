"""What is fixed in an experiment: arrays, OFDM grid, link budget and the nominal geometry.

Field names are the job file's keys and carry its units; the properties give SI values. Every default is the
reference paper's.
"""

import math
from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from .antennas import AntennaArray, Antennas, Ula
from .arguments import whole
from .checked import Checked
from .errors import ScenarioError
from .quantities import LARGEST_POSITIVE, NUMERALS, Count, Decibel, Degrees, Finite, OneOrEach, Point, Positive

SPEED_OF_LIGHT = 299792458.0
# Closer than this, two entities count as one point: the inverse square of the distance is still finite.
ONE_POINT_M = 1e-9


def _above_zero(value: float) -> float:
    if value <= 0.0:
        raise ValueError(f"{value:g} is refused; a standard deviation is above 0; for what is known exactly use known")
    return value


_Deviation = Annotated[Finite, Field(le=LARGEST_POSITIVE), AfterValidator(_above_zero)]
Known = Literal["clock", "orientation", "targets"]


def _sorted(words: tuple[str, ...]) -> tuple[str, ...]:
    """The same knowledge is one, however it is listed."""
    return tuple(sorted(set(words)))


class Prior(Checked):
    """Standard deviations of what is roughly known before anything is received; None: nothing is.

    Attributes
    ----------
    ue_position_m, target_position_m
        Of each coordinate of the UE, and of every target.
    orientation_deg
        Of the UE's orientation, in space about each axis.
    clock_s
        Of the UE's clock bias.
    """

    ue_position_m: _Deviation | None = None
    target_position_m: _Deviation | None = None
    orientation_deg: _Deviation | None = None
    clock_s: _Deviation | None = None


# Keys of a prior on what may be known.
_PRIORS: dict[Known, str] = {"clock": "clock_s", "orientation": "orientation_deg", "targets": "target_position_m"}
# Each array, and how many elements it has.
_ENDS = {"tx_array": "tx_antennas", "rx_array": "rx_antennas", "ue_array": "ue_antennas"}
_TILTS = ("bs_downtilt_deg", "bs_slant_deg", "ue_downtilt_deg", "ue_slant_deg")
# Not in dumps unless they say something: the identity of a job, a hash of its dump, is older than they are.
_LATER = (*_TILTS, *_ENDS, "line_of_sight", "known", "prior")


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
        M_T and M_R at the BS, M_U at the UE: of half-wavelength linear arrays, or else of the arrays below.
    tx_array, rx_array, ue_array
        Other arrays: `Ula`, `Upa`, `Uca` or `Elements`.
    bs_position_m, bs_broadside_deg
        Place and broadside direction of both BS arrays. Positions have two numbers, in the plane, or three, z up.
    bs_downtilt_deg, bs_slant_deg
        How far both BS arrays look down, and are turned about their broadside. Global directions are
        Rz(broadside) Ry(downtilt) Rx(slant) of those in the arrays' own frame.
    ue_position_m, ue_orientation_deg
        Place and orientation phi of the UE.
    ue_downtilt_deg, ue_slant_deg
        As those of the BS.
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
    line_of_sight
        Whether the UE receives along the direct path; the BS sees the UE either way.
    known
        What positioning knows exactly: any of "clock", "orientation", "targets".
    prior
        What is roughly known: a `Prior`.
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
    # Before the numbers of their elements, which follow from them.
    tx_array: AntennaArray | None = None
    rx_array: AntennaArray | None = None
    ue_array: AntennaArray | None = None
    tx_antennas: Annotated[Antennas, Field(validate_default=True)] = 16
    rx_antennas: Annotated[Antennas, Field(validate_default=True)] = 16
    ue_antennas: Annotated[Antennas, Field(validate_default=True)] = 16
    bs_position_m: Point = (0.0, 0.0)
    bs_broadside_deg: Degrees = 90.0
    bs_downtilt_deg: Degrees = 0.0
    bs_slant_deg: Degrees = 0.0
    ue_position_m: Point = (-5.0, 20.0)
    ue_orientation_deg: Degrees = 110.0
    ue_downtilt_deg: Degrees = 0.0
    ue_slant_deg: Degrees = 0.0
    ue_angle: Literal["broadside-at-minus-phi", "broadside-at-phi", "axis-at-minus-phi", "axis-at-phi"] = (
        "broadside-at-minus-phi"
    )
    # More would be no clock bias, and would cost the delays their digits.
    clock_bias_s: Annotated[Finite, Field(ge=-1e-3, le=1e-3)] = 1e-6
    target_positions_m: tuple[Point, ...] = ((-10.0, 15.0), (5.0, 15.0), (0.0, 17.0))
    target_rcs_m2: OneOrEach = 100.0
    ue_rcs_m2: Positive = 10.0
    line_of_sight: Annotated[bool, Field(strict=True)] = True
    known: Annotated[tuple[Known, ...], AfterValidator(_sorted)] = ()
    prior: Prior = Prior()
    gain_law: Literal["radar-equation", "as-printed"] = "radar-equation"
    phase_centre: Literal["array-centre", "first-element"] = "array-centre"

    @field_validator(*_ENDS.values())
    @classmethod
    def _count(cls, count: int, info: ValidationInfo) -> int:
        """Count the elements of an array that is given."""
        end = (info.field_name or "").partition("_")[0]
        array = info.data.get(f"{end}_array")
        return count if array is None else int(array.antennas)

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
        self._check_places()
        self._check_arrays()
        for known in self.known:
            if getattr(self.prior, _PRIORS[known]) is not None:
                raise ValueError(f"prior.{_PRIORS[known]} has no use where known has {known!r}; leave out one of them")
        return self

    def _check_places(self) -> None:
        """Refuse positions that are not all in the plane or all in space, and two at one point."""
        places = {"bs_position_m": self.bs_position_m, "ue_position_m": self.ue_position_m}
        places |= {f"target_positions_m.{k}": place for k, place in enumerate(self.target_positions_m)}
        for name, place in places.items():
            if len(place) != self.dimensions:
                raise ValueError(
                    f"bs_position_m has {NUMERALS[self.dimensions]} numbers, {name} {NUMERALS[len(place)]}; "
                    "give all positions of a job the same count"
                )
        for (one, first), (other, second) in combinations(places.items(), 2):
            if math.dist(first, second) < ONE_POINT_M:
                raise ValueError(f"{one} and {other} are the same point {list(first)}; move one of them")

    def _check_arrays(self) -> None:
        """Refuse arrays that are given twice or leave the plane, and counting from an end where there is none."""
        for name, count in _ENDS.items():
            array = getattr(self, name)
            if array is None:
                continue
            if count in self.model_fields_set:
                raise ValueError(f"{count} and {name} both say how many elements there are; leave out one of them")
            if self.dimensions == 2 and array.positions[:, 2].any():
                raise ValueError(f"{name}: an array with height needs positions of three numbers")
            if self.phase_centre == "first-element" and not isinstance(array, Ula):
                raise ValueError(
                    f'phase_centre = "first-element" is of linear arrays, and {name} has kind = "{array.kind}"; '
                    'give "array-centre"'
                )
        tilted = [name for name in _TILTS if getattr(self, name) != 0.0]
        if self.dimensions == 2 and tilted:
            raise ValueError(f"{tilted[0]} needs positions of three numbers; give those, or leave it out")

    @model_serializer(mode="wrap")
    def _dump(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not said, and counts that follow from an array."""
        fields = type(self).model_fields
        unsaid = {name for name in _LATER if getattr(self, name) == fields[name].default}
        unsaid |= {count for name, count in _ENDS.items() if getattr(self, name) is not None}
        return {name: value for name, value in handler(self).items() if name not in unsaid}

    @property
    def dimensions(self) -> int:
        """2 in the plane, 3 in space."""
        return len(self.bs_position_m)

    @property
    def transmitter(self) -> AntennaArray:
        """Transmit array of the BS."""
        return self.tx_array or Ula(antennas=self.tx_antennas)

    @property
    def receiver(self) -> AntennaArray:
        """Receive array of the BS."""
        return self.rx_array or Ula(antennas=self.rx_antennas)

    @property
    def user_array(self) -> AntennaArray:
        """Array of the UE."""
        return self.ue_array or Ula(antennas=self.ue_antennas)

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
        return Scenario(**self.changed(changes))

    def changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Fields with some changed, unchecked; an array takes the place of a number of antennas, and the reverse."""
        fields = dict(self)
        for array, count in _ENDS.items():
            if array in changes or count in changes:
                del fields[array], fields[count]
            else:
                del fields[count if fields[array] is not None else array]
        return fields | dict(changes)


def _watts(dbm: float) -> float:
    """Power in W (or density in W/Hz) from dBm."""
    return float(10.0 ** (dbm / 10.0 - 3.0))
