"""The cube's schema: one registry of every variable, used to build, annotate and check datasets.

Every variable has the swept keys as leading dimensions, then those listed here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .errors import ResultsError

STATUS_FLAGS = {
    -1: "not_computed",
    0: "certified",
    1: "uncertified",
    2: "unidentifiable",
    3: "failed",
    4: "closed_form",
}
STATUS = {word: value for value, word in STATUS_FLAGS.items()}
SOLVER_FLAGS = {0: "none", 1: "lbfgs", 2: "barrier", 3: "clarabel", 4: "interior"}

_DESIGN = ("draw", "scheme", "rho")


@dataclass(frozen=True)
class Variable:
    """One variable of the cube; units and long_name are CF attributes."""

    dims: tuple[str, ...]  # after the swept ones
    units: str
    long_name: str
    equation: str = ""  # of the reference paper, where the quantity is defined; or how it is to be read
    dtype: str = "f8"  # on disk
    flags: Mapping[int, str] | None = None  # meaning of each value of a flag
    keep: str | None = None  # the word of ``[output] keep`` that asks for it; None if always there


VARIABLES: dict[str, Variable] = {
    "crb_bp": Variable(_DESIGN, "m2", "Cramer-Rao bound of the UE position", "(8)"),
    "crb_ms": Variable(_DESIGN, "m2", "Cramer-Rao bound of all sensed positions, summed", "(10)"),
    "objective": Variable(_DESIGN, "m2", "weighted bound rho crb_bp + (1 - rho) crb_ms", "(12), zero weights left out"),
    "crb_orientation": Variable(_DESIGN, "rad2", "Cramer-Rao bound of the UE orientation", "inverse of (7)"),
    "crb_clock": Variable(_DESIGN, "s2", "Cramer-Rao bound of the UE clock bias", "inverse of (7)"),
    "crb_ms_target": Variable(
        (*_DESIGN, "path"), "m2", "monostatic bound of each position; path 0 is the UE", "blocks of (10)"
    ),
    "crb_map": Variable(
        (*_DESIGN, "target"), "m2", "bistatic bound of each target position, seen by the UE", "inverse of (7)"
    ),
    "crb_bp_fused": Variable(
        _DESIGN, "m2", "Cramer-Rao bound of the UE position from both observations together", "(8), (10) of their sum"
    ),
    "crb_ms_fused": Variable(
        _DESIGN, "m2", "Cramer-Rao bound of all positions, summed, from both observations together"
    ),
    "gap": Variable(
        _DESIGN,
        "1",
        "certified relative gap of the objective to the optimum",
        "P lambda_max(-grad f(V)) / f(V) - 1; NaN where nothing is optimised",
    ),
    "status": Variable(_DESIGN, "1", "status of the design", dtype="i1", flags=STATUS_FLAGS),
    "rank": Variable(_DESIGN, "1", "rank of the covariance V", "-1 where there is none", "i4"),
    "iterations": Variable(
        _DESIGN, "1", "evaluations and steps of the solvers", "-1 where nothing was optimised", "i4"
    ),
    "solver": Variable(_DESIGN, "1", "solver that the design comes from", dtype="i1", flags=SOLVER_FLAGS),
    "recovery_loss": Variable(_DESIGN, "1", "relative loss of the recovered beamformer W", "f(W W^H) / f(V) - 1"),
    "mix_error": Variable(
        _DESIGN,
        "1",
        "upper bound on the relative error that the extremes leave in a mix's objective",
        "of (16), (19); at rho = 0 and 1 the gap of the extreme itself; NaN for what is no mix",
    ),
    "phase_bistatic": Variable(("draw", "path"), "rad", "phase of the bistatic path gain", "(3)"),
    "phase_monostatic": Variable(("draw", "path"), "rad", "phase of the monostatic path gain", "(5)"),
    "ue_position": Variable(("draw", "xy"), "m", "position of the UE"),
    "target_position": Variable(("draw", "target", "xy"), "m", "position of the targets"),
    "ue_orientation": Variable(("draw",), "rad", "orientation phi of the UE, whose broadside is -phi"),
    "ue_downtilt": Variable(("draw",), "rad", "how far the UE's array looks down"),
    "ue_slant": Variable(("draw",), "rad", "turn of the UE's array about its broadside"),
    "target_rcs": Variable(("draw", "target"), "m2", "radar cross section of the targets"),
    "ue_rcs": Variable(("draw",), "m2", "radar cross section of the UE"),
    **{
        f"conditioning_{link}": Variable(
            ("draw",), "1", f"smallest eigenvalue of the unit-diagonal {link} position FIM under APA"
        )
        for link in ("bistatic", "monostatic")
    },
    **{
        f"rounding_{link}": Variable(
            ("draw",),
            "1",
            f"relative rounding error to expect in {link} bounds and gaps",
            "above the tolerance, a design is uncertified",
        )
        for link in ("bistatic", "monostatic")
    },
    "covariance": Variable(
        (*_DESIGN, "tx", "tx_conj", "ri"), "W", "covariance V per subcarrier", "(11)", keep="covariance"
    ),
    "beamformers": Variable(
        (*_DESIGN, "tx", "slot", "ri"), "W^0.5", "beamformers W per subcarrier", "(1)", keep="beamformers"
    ),
    "power": Variable(
        (*_DESIGN, "codeword"),
        "W",
        "power of each codeword per subcarrier: steering beams of the paths, then their derivatives",
        "V = U diag(p) U^H",
        keep="power",
    ),
    "beam_gain": Variable(
        (*_DESIGN, "path"),
        "1",
        "power sent towards each path over that of uniform radiation; path 0 is the UE",
        "a^H V a / P_m",
        keep="beam_gain",
    ),
}

for _link, _words in (("bp", "the UE position"), ("ms", "all sensed positions, summed")):
    VARIABLES[f"error_{_link}"] = Variable(
        _DESIGN,
        "m2",
        f"squared error of a maximum-likelihood estimate of {_words}",
        "simulated (2), (4); started at the truth; NaN where it did not converge",
        keep="errors",
    )
    VARIABLES[f"nees_{_link}"] = Variable(
        _DESIGN, "1", f"normalised estimation error squared of {_words}", "e^T C^-1 e / d", keep="errors"
    )

for _name, _unit, _words in (
    ("crb_aod", "rad2", "direction at the BS"),
    ("crb_aoa", "rad2", "direction at the UE"),
    ("crb_delay_bistatic", "s2", "delay"),
    ("crb_aod_monostatic", "rad2", "direction at the BS, from echoes"),
    ("crb_delay_monostatic", "s2", "delay of the echo"),
):
    VARIABLES[_name] = Variable(
        (*_DESIGN, "path"),
        _unit,
        f"Cramer-Rao bound of each path's {_words}",
        "inverse of (6), all angles, delays and gains free; in space summed over both tangents",
        keep="paths",
    )

# What a draw is.
DRAW_VARIABLES = (
    "phase_bistatic",
    "phase_monostatic",
    "ue_position",
    "target_position",
    "ue_orientation",
    "ue_downtilt",
    "ue_slant",
    "target_rcs",
    "ue_rcs",
)
_TILTS = ("ue_downtilt", "ue_slant")

#: Coordinates of every cube, then keys of the scenario that a sweep may vary: units as UDUNITS has them (none for
#: words), and what they are.
_COORDINATES: Mapping[str, tuple[str, str]] = {
    "scheme": ("", "beamforming scheme"),
    "rho": ("1", "weight of positioning against sensing"),
    "draw": ("1", "index of the random draw"),
}
SWEPT: Mapping[str, tuple[str, str]] = {
    "carrier_hz": ("Hz", "carrier frequency"),
    "bandwidth_hz": ("Hz", "bandwidth"),
    "subcarriers": ("1", "number of subcarriers"),
    "slots": ("1", "number of slots"),
    "pilots_per_slot": ("1", "number of pilots in a slot"),
    "power_dbm": ("dBm", "transmit power, all subcarriers together"),
    "noise_figure_db": ("0.1 lg(re 1)", "noise figure in dB"),
    "noise_psd_dbm_hz": ("0.1 lg(re 1 mW/Hz)", "noise power spectral density in dBm/Hz"),
    "tx_antennas": ("1", "number of transmit antennas"),
    "rx_antennas": ("1", "number of receive antennas of the BS"),
    "ue_antennas": ("1", "number of antennas of the UE"),
    "bs_broadside_deg": ("degree", "direction of the BS's broadside"),
    "ue_orientation_deg": ("degree", "orientation phi of the UE, whose broadside is -phi"),
    "clock_bias_s": ("s", "clock bias of the UE"),
    "target_rcs_m2": ("m2", "radar cross section of the targets"),
    "ue_rcs_m2": ("m2", "radar cross section of the UE"),
    "gain_law": ("", "how amplitudes go with the radar cross section"),
    "ue_angle": ("", "reading of the UE's orientation phi"),
    "phase_centre": ("", "where the elements of steering vectors are counted from"),
    "targets": ("1", "number of targets"),
    "bs_downtilt_deg": ("degree", "how far the BS's arrays look down"),
    "bs_slant_deg": ("degree", "turn of the BS's arrays about their broadside"),
    "ue_downtilt_deg": ("degree", "how far the UE's array looks down"),
    "ue_slant_deg": ("degree", "turn of the UE's array about its broadside"),
    **{
        f"{end}_array.{size}": ("1", f"{words} of the {array} array")
        for end, array in (("tx", "transmit"), ("rx", "receive"), ("ue", "UE's"))
        for size, words in (
            ("antennas", "number of elements"),
            ("spacing", "spacing in wavelengths"),
            ("rows", "number of rows"),
            ("columns", "number of columns"),
            ("row_spacing", "spacing of rows in wavelengths"),
            ("column_spacing", "spacing of columns in wavelengths"),
            ("radius", "radius in wavelengths"),
        )
    },
    "prior.ue_position_m": ("m", "prior standard deviation of each coordinate of the UE"),
    "prior.target_position_m": ("m", "prior standard deviation of each coordinate of the targets"),
    "prior.orientation_deg": ("degree", "prior standard deviation of the UE's orientation"),
    "prior.clock_s": ("s", "prior standard deviation of the UE's clock bias"),
}


def variables_of(keep: Collection[str], dimensions: int) -> dict[str, Variable]:
    """Variables of a cube of positions of so many numbers; `keep`: words of ``[output] keep``."""
    return {
        name: replace(variable, dims=_dims(variable, dimensions))
        for name, variable in VARIABLES.items()
        if (variable.keep is None or variable.keep in keep) and (dimensions == 3 or name not in _TILTS)
    }


def _dims(variable: Variable, last: int) -> tuple[str, ...]:
    """Dimensions after the swept ones, from the size of the last: positions have two numbers, or three."""
    placed = variable.dims[-1] == "xy" and last == 3
    return (*variable.dims[:-1], "xyz") if placed else variable.dims


def make_dataset(
    arrays: Mapping[str, NDArray[Any]],
    *,
    scheme: Sequence[str],
    rho: Sequence[float],
    draw: Sequence[int] | NDArray[np.int64],
    sweep: Mapping[str, Sequence[float | str]],
    attrs: Mapping[str, str],
) -> xr.Dataset:
    """Label, annotate and check arrays.

    `arrays`: by name; the axes of the sweep first, then those of the registry. `sweep`: swept keys and their values, in
    order. `attrs`: global attributes. Result: variables in the registry's order, without those that are empty because
    there are no targets. Raises ResultsError, naming the variable that does not fit.
    """
    unknown = sorted(set(arrays) - set(VARIABLES))
    if unknown:
        raise ResultsError(f"{unknown[0]}: no variable of the cube")
    coords = {}
    for key, values in sweep.items():
        coords[key] = _coordinate(key, np.asarray(values, dtype=object if isinstance(values[0], str) else None))
    coords["draw"] = _coordinate("draw", np.asarray(draw, np.int64))
    coords["scheme"] = _coordinate("scheme", np.asarray(scheme, dtype=object))
    coords["rho"] = _coordinate("rho", np.asarray(rho, np.float64))
    sizes = {name: values.size for name, values in coords.items()}
    data = {}
    for name, variable in VARIABLES.items():
        if name in arrays:
            dims = (*sweep, *_dims(variable, arrays[name].shape[-1]))
            _check_shape(name, dims, arrays[name], sizes)
            if sizes["draw"] > 0 and arrays[name].size == 0:
                continue  # without targets: NetCDF would make the empty dimension an unlimited one
            array = np.ascontiguousarray(arrays[name], dtype=variable.dtype)
            data[name] = _variable(dims, array, attributes(variable))
    dataset = xr.Dataset(data, coords=coords, attrs=dict(attrs))
    validate(dataset)
    return dataset


def is_words(values: NDArray[Any]) -> bool:
    """Whether a coordinate is of words, not numbers."""
    return values.dtype.kind in "OUT"


def _coordinate(name: str, values: NDArray[Any]) -> xr.Variable:
    units, words = {**_COORDINATES, **SWEPT}[name]
    return _variable((name,), values, {"long_name": words} | ({"units": units} if units else {}))


def _variable(dims: tuple[str, ...], array: NDArray[Any], attrs: dict[str, Any]) -> xr.Variable:
    """Label an array as it is; to look at what it might be else, xarray would first load Dask's arrays: 0.3 s."""
    return xr.Variable(dims, array, attrs, fastpath=True)


def _check_shape(name: str, dims: tuple[str, ...], array: NDArray[Any], sizes: dict[str, int]) -> None:
    """Compare an array with the dimensions known so far; dimensions without a coordinate are learnt."""
    if array.ndim != len(dims):
        raise ResultsError(f"{name}: {array.ndim} axes; it should have {', '.join(dims)}")
    for dim, size in zip(dims, array.shape, strict=True):
        if sizes.setdefault(dim, size) != size:
            raise ResultsError(f"{name}: {size} entries along {dim}; it should have {sizes[dim]}")


def attributes(variable: Variable) -> dict[str, Any]:
    """CF attributes of a variable."""
    attrs: dict[str, Any] = {"long_name": variable.long_name, "units": variable.units}
    if variable.equation:
        attrs["comment"] = variable.equation
    if variable.flags is not None:
        attrs["flag_values"] = np.array(list(variable.flags), dtype=variable.dtype)
        attrs["flag_meanings"] = " ".join(variable.flags.values())
    return attrs


def validate(dataset: xr.Dataset) -> None:
    """Check types, dimensions, units and flags against the registry.

    Raises ResultsError, naming the variable that does not fit.
    """
    sweep = tuple(dim for dim in dataset.coords if dim not in _COORDINATES)
    for name, array in dataset.data_vars.items():
        variable = VARIABLES.get(str(name))
        if variable is None:
            raise ResultsError(f"{name}: no variable of the cube")
        dims = (*sweep, *_dims(variable, (0, *array.shape)[-1]))
        if array.dims != dims:
            raise ResultsError(f"{name}: dimensions {array.dims}; they should be {dims}")
        if array.dtype != np.dtype(variable.dtype):
            raise ResultsError(f"{name}: type {array.dtype}; it should be {np.dtype(variable.dtype)}")
        if array.attrs.get("units") != variable.units:
            raise ResultsError(f"{name}: units {array.attrs.get('units')!r}; they should be {variable.units!r}")
    for name in _COORDINATES:
        if name not in dataset.coords:
            raise ResultsError(f"{name}: the coordinate is missing")
