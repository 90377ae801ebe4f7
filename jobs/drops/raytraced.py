"""Paths as others export them: Sionna RT, DeepMIMO, and clustered delay lines as JSON. The files are read, no more.

All have the axes of the scene, z up, angles of arrival toward where a wave comes from, and no clock bias.

Sionna RT: arrays of `Paths`, saved by ``numpy.savez`` under their own names: `theta_t`, `phi_t`, `theta_r`, `phi_r`
(rad, theta from the zenith), `tau` (s) and `a`, complex or real and imaginary part (2, ...), with receivers first, then
transmitters, then paths, and one antenna at each end (https://nvlabs.github.io/sionna/rt/api/paths.html).

DeepMIMO: `aod_az`, `aod_el`, `aoa_az`, `aoa_el` (degrees, el from the pole), `power` (dB, at 0 dBW), `phase` (degrees)
and `delay` (s), (receiver, path), NaN for no path, in one .npz or .mat
(https://github.com/DeepMIMO/DeepMIMO, deepmimo/info.py).

Both may have the places of both ends, `rx_pos` or `targets` (receiver, 3) and `tx_pos` or `sources`: a receiver is a
draw. JSON: `AnglesAoD`, `AnglesZoD`, `AnglesAoA`, `AnglesZoA` (degrees), `PathDelays` (s), and `AveragePathGains` (dB)
or `PathGains` ([re, im] each), as properties of nrCDLChannel are named
(https://mathworks.com/help/5g/ref/nrcdlchannel-system-object.html); a list of such objects is a draw each, and
`ue_position_m` may be one of them.
"""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from crbatch.engine.rays import Rays
from crbatch.results.sizes import check_sizes
from numpy.typing import NDArray

from .found import Array
from .netcdf import reading
from .pathfile import PathFile
from .table import text_of

_SIONNA = ("theta_t", "phi_t", "theta_r", "phi_r", "tau", "a")
_DEEPMIMO = ("aod_az", "aod_el", "aoa_az", "aoa_el", "power", "phase", "delay")
_RECEIVERS, _TRANSMITTERS = ("rx_pos", "targets"), ("tx_pos", "sources")
_CDL = ("AnglesAoD", "AnglesZoD", "AnglesAoA", "AnglesZoA", "PathDelays")
_FLOATS = "fiuc"


def read_npz(path: Path) -> PathFile:
    """Read arrays that Sionna RT or DeepMIMO left; a ValueError says what is wrong with them."""
    with reading(".npz"), path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name]) for name in file.files}
    return _of_arrays(arrays)


def read_mat(path: Path) -> PathFile:
    """Read the variables that DeepMIMO left; a ValueError says what is wrong with them."""
    from scipy.io import loadmat, whosmat  # 0.1 s, which few need

    with reading("MATLAB", "; write it with save -v7"):
        sizes = {name: 8 * prod(shape) for name, shape, _ in whosmat(path)}
        check_sizes(path, sizes)
        found = loadmat(path)
    return _of_arrays({name: np.asarray(values) for name, values in found.items() if not name.startswith("__")})


def _of_arrays(arrays: Mapping[str, NDArray[Any]]) -> PathFile:
    for needed, read in ((_SIONNA, _sionna), (_DEEPMIMO, _deepmimo)):
        lost = [name for name in needed if name not in arrays]
        if len(lost) < len(needed) // 2:
            if lost:
                raise ValueError(f"{lost[0]} is missing; there have to be {', '.join(needed)}")
            wrong = next((name for name in needed if arrays[name].dtype.kind not in _FLOATS), None)
            if wrong is not None:
                raise ValueError(f"{wrong} is of type {arrays[wrong].dtype}; it should be numbers")
            return _with_ends(read(arrays), arrays)
    raise ValueError(f"has neither {', '.join(_SIONNA)} (Sionna RT) nor {', '.join(_DEEPMIMO)} (DeepMIMO)")


def _with_ends(bistatic: tuple[Rays, ...], arrays: Mapping[str, NDArray[Any]]) -> PathFile:
    """With the places of both ends, where they are said."""
    ue: dict[str, Array] = {}
    for name in _RECEIVERS:
        if name in arrays:
            ue["ue_position"] = np.ascontiguousarray(arrays[name], np.float64)
            if ue["ue_position"].shape != (len(bistatic), 3):
                raise ValueError(f"{name} is of shape {arrays[name].shape}; it should be ({len(bistatic)}, 3)")
    bs = next((np.ravel(arrays[name]).astype(np.float64) for name in _TRANSMITTERS if name in arrays), None)
    if bs is not None and bs.shape != (3,):
        raise ValueError(f"there are {bs.size // 3} transmitters; save one")
    return PathFile(bistatic, None, ue, True, bs)


def _sionna(arrays: Mapping[str, NDArray[Any]]) -> tuple[Rays, ...]:
    a = arrays["a"]
    if a.dtype.kind != "c":
        if a.shape[:1] != (2,):
            raise ValueError(
                f"a is real, of shape {a.shape}; it should be complex, or real and imaginary part (2, ...)"
            )
        a = a[0] + 1j * a[1]
    gain, tau = _of_one_pair("a", a), _of_one_pair("tau", arrays["tau"])
    angles = {name: _of_one_pair(name, arrays[name]) for name in _SIONNA[:4]}
    for name, values in {"tau": tau, **angles}.items():
        if values.shape != gain.shape:
            raise ValueError(f"{name} has receivers and paths {values.shape}, a {gain.shape}; give both the same")
    there = (tau >= 0.0) & (gain != 0.0)  # padding has a delay of -1 and no gain
    departure, arrival = (
        np.stack((angles[f"phi_{end}"], 0.5 * np.pi - angles[f"theta_{end}"]), axis=2) for end in ("t", "r")
    )
    return tuple(_rays(departure[i, k], arrival[i, k], tau[i, k], gain[i, k]) for i, k in enumerate(there))


def _of_one_pair(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """(receiver, path) of an array with one transmitter and one antenna at each end.

    With a batch of one in front, and for `a` a time step behind, as versions before 1.0 have it.
    """
    shape = values.shape
    if values.ndim == 7 and shape[0] == shape[-1] == 1:
        values = values[0, ..., 0]
    elif values.ndim in (4, 6) and shape[0] == 1:
        values = values[0]
    if values.ndim == 5:
        if values.shape[1] != 1 or values.shape[3] != 1:
            raise ValueError(f"{name} of shape {shape} has several antennas; trace with arrays of one antenna")
        values = values[:, 0, :, 0]
    if values.ndim != 3:
        raise ValueError(f"{name} is of shape {shape}; it should be (receivers, transmitters, paths)")
    if values.shape[1] != 1:
        raise ValueError(f"{name} has {values.shape[1]} transmitters; save one")
    return values[:, 0]


def _deepmimo(arrays: Mapping[str, NDArray[Any]]) -> tuple[Rays, ...]:
    found = {name: np.atleast_2d(arrays[name]).astype(np.float64) for name in _DEEPMIMO}
    shape = found["delay"].shape
    for name, values in found.items():
        if values.shape != shape:
            raise ValueError(f"{name} is of shape {values.shape}, delay of {shape}; give both the same")
    gain = 10.0 ** (found["power"] / 20.0) * np.exp(1j * np.radians(found["phase"]))
    departure, arrival = (
        np.radians(np.stack((found[f"{end}_az"], 90.0 - found[f"{end}_el"]), axis=2)) for end in ("aod", "aoa")
    )
    there = ~np.isnan(found["delay"]) & ~np.isnan(found["power"])
    return tuple(_rays(departure[i, k], arrival[i, k], found["delay"][i, k], gain[i, k]) for i, k in enumerate(there))


def _rays(departure: Array, arrival: Array, delay: Array, gain: NDArray[Any]) -> Rays:
    n = len(delay)
    return Rays(
        np.ascontiguousarray(departure, np.float64),
        np.ascontiguousarray(arrival, np.float64),
        np.asarray(delay, np.float64),
        np.asarray(gain, np.complex128),
        np.full((n, 3), np.nan),
        np.full(n, np.nan),
        np.full(n, np.nan),
    )


def read_json(path: Path) -> PathFile:
    """Read clustered delay lines; a ValueError says which draw lacks what."""
    try:
        document = json.loads(text_of(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno} is no JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError("is no such JSON: its lists are nested too deeply") from None
    entries = document if isinstance(document, list) else [document]
    if not entries:
        raise ValueError("no draws; give an object, or a list of them")
    rays, places = [], []
    for draw, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"draw {draw} is no object; give one with {', '.join(_CDL)}")
        rays.append(_delay_line(draw, entry))
        places.append(_numbers(draw, entry, "ue_position_m") if "ue_position_m" in entry else None)
    told = [place for place in places if place is not None]
    if told and (len(told) < len(places) or any(place.shape != (3,) for place in told)):
        raise ValueError("ue_position_m should be three numbers, in every draw or in none")
    return PathFile(tuple(rays), None, {"ue_position": np.array(told)} if told else {}, True)


def _delay_line(draw: int, entry: Mapping[str, Any]) -> Rays:
    """One draw; gains without a phase have that of no delay, which only differences of phases could tell."""
    found = {name: _numbers(draw, entry, name) for name in _CDL}
    if "PathGains" in entry:
        pairs = _numbers(draw, entry, "PathGains")
        if pairs.size != 2 * found["PathDelays"].size:
            raise ValueError(f"draw {draw}: PathGains should be [re, im] for every path; dB are AveragePathGains")
        gain = pairs[::2] + 1j * pairs[1::2]
    else:
        gain = 10.0 ** (_numbers(draw, entry, "AveragePathGains") / 20.0) + 0j
    for name, values in {**found, "AveragePathGains": gain}.items():
        if values.size != found["PathDelays"].size:
            raise ValueError(f"draw {draw}: {name} has {values.size} numbers, PathDelays {found['PathDelays'].size}")
    departure, arrival = (
        np.radians(np.stack((found[f"AnglesAo{end}"], 90.0 - found[f"AnglesZo{end}"]), axis=1)) for end in "DA"
    )
    return _rays(departure, arrival, found["PathDelays"], gain)


def _numbers(draw: int, entry: Mapping[str, Any], name: str) -> Array:
    if name not in entry:
        raise ValueError(f"draw {draw}: {name} is missing; there have to be {', '.join(_CDL)} and AveragePathGains")
    try:
        values = np.ravel(np.array(entry[name], np.float64))
    except (TypeError, ValueError):
        raise ValueError(f"draw {draw}: {name} is no list of numbers; give one for each path") from None
    if not np.isfinite(values).all():
        raise ValueError(f"draw {draw}: {name} has a number that is not finite; correct it")
    return values
