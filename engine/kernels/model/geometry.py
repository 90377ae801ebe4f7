"""Directions, delays, gains and the Jacobians (7), (9) from the positions of base station, user and targets.

Positions have D = 2 or 3 coordinates; the plane is differentiated along one tangent, space along two.

Twins: tests/engine/test_naive.py; tests/support/world.py.
"""

import math
from typing import NamedTuple

import numpy as np

from ..jit.accelerate import kernel, unmanaged

_UNIT_ROUNDOFF = 2.0**-53


@kernel
def _wrap(angle):
    """Angle in (-pi, pi]."""
    wrapped = angle - 2.0 * math.pi * math.floor((angle + math.pi) / (2.0 * math.pi))
    return math.pi if wrapped == -math.pi else wrapped


class Transmitter(NamedTuple):
    """The base station and its carrier."""

    position: np.ndarray  # (D,), m
    broadside: float  # rad; of use in the plane
    rotation: np.ndarray  # from its own axes to the scene's, (3, 3); of use in space
    clock_bias: float  # s
    speed: float  # of light, m/s
    wavelength: float  # m


class Places(NamedTuple):
    """Where the user and the targets are."""

    ue: np.ndarray  # (batch, D), m
    targets: np.ndarray  # (batch, K, D), m
    ue_bearing: np.ndarray  # what to add to a direction to have the angle at the UE: (batch,), rad; in the plane
    ue_rotation: np.ndarray  # from its own axes to the scene's, (batch, 3, 3); in space


class Reflections(NamedTuple):
    """Radar cross-sections and phases of the gains."""

    rcs_exponent: float  # in the amplitude: 0.5 by the radar equation, 1 as printed
    targets: np.ndarray  # (batch, K), m^2
    ue: np.ndarray  # (batch,), m^2
    phase_bistatic: np.ndarray  # (batch, K + 1), rad
    phase_monostatic: np.ndarray  # (batch, K + 1), rad


@kernel
def rotated(rotation, vector):
    """Rotations (batch, 3, 3), turned by rotation vectors (batch, 3), rad, in the axes of the scene (Rodrigues)."""
    out = np.zeros_like(rotation)
    turn = np.zeros((3, 3))
    for b in range(len(vector)):
        x, y, z = vector[b]
        angle = math.sqrt(x * x + y * y + z * z)
        first = math.sin(angle) / angle if angle > 0.0 else 1.0
        second = 2.0 * (math.sin(0.5 * angle) / angle) ** 2 if angle > 0.0 else 0.5
        turn[0] = 1.0 - second * (y * y + z * z), second * x * y - first * z, second * x * z + first * y
        turn[1] = second * x * y + first * z, 1.0 - second * (x * x + z * z), second * y * z - first * x
        turn[2] = second * x * z - first * y, second * y * z + first * x, 1.0 - second * (x * x + y * y)
        for i in range(3):
            for k in range(3):
                for j in range(3):
                    out[b, i, k] += turn[i, j] * rotation[b, j, k]
    return out


@kernel
def angles_of_rotation(rotation):
    """Bearing, downtilt and slant of rotations (batch, 3, 3): what `rotations` makes them of, (batch,) each."""
    batch = len(rotation)
    bearing, downtilt, slant = np.zeros(batch), np.zeros(batch), np.zeros(batch)
    for b in range(batch):
        level = math.hypot(rotation[b, 0, 0], rotation[b, 1, 0])
        bearing[b] = math.atan2(rotation[b, 1, 0], rotation[b, 0, 0])
        downtilt[b] = math.atan2(-rotation[b, 2, 0], level)
        slant[b] = math.atan2(rotation[b, 2, 1], rotation[b, 2, 2])
    return bearing, downtilt, slant


class Hops(NamedTuple):
    """Every path from the BS to where it is reflected, or to the UE, and the last hop as the UE sees it."""

    ahead: np.ndarray  # from the BS, (batch, path, D), m
    reach: np.ndarray  # its length
    back: np.ndarray  # from the UE, (batch, path, D), m: to the BS on the line of sight
    hop: np.ndarray  # its length


@unmanaged
def _length(vector):
    level = math.hypot(vector[0], vector[1])
    return level if vector.size == 2 else math.hypot(level, vector[2])


@kernel
def rotations(bearing, downtilt, slant):
    """Rz(bearing) Ry(downtilt) Rx(slant) of every draw, (batch, 3, 3), as 3GPP TR 38.901, 7.1 has it; angles (batch,).

    They take a vector in an array's own axes to those of the scene.
    """
    out = np.zeros((bearing.size, 3, 3))
    for i in range(bearing.size):
        ca, sa = math.cos(bearing[i]), math.sin(bearing[i])
        cb, sb = math.cos(downtilt[i]), math.sin(downtilt[i])
        cc, sc = math.cos(slant[i]), math.sin(slant[i])
        out[i, 0, 0], out[i, 0, 1], out[i, 0, 2] = ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc
        out[i, 1, 0], out[i, 1, 1], out[i, 1, 2] = sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc
        out[i, 2, 0], out[i, 2, 1], out[i, 2, 2] = -sb, cb * sc, cb * cc
    return out


@kernel
def hops_of(bs, ue, targets):
    """`Hops` of every draw; bs (D,), ue (batch, D), targets (batch, K, D)."""
    batch, k, dims = targets.shape
    ahead, back = np.zeros((batch, k + 1, dims)), np.zeros((batch, k + 1, dims))
    reach, hop = np.zeros((batch, k + 1)), np.zeros((batch, k + 1))
    for b in range(batch):
        for path in range(k + 1):
            for c in range(dims):
                place = ue[b, c] if path == 0 else targets[b, path - 1, c]
                ahead[b, path, c] = place - bs[c]
                back[b, path, c] = (bs[c] if path == 0 else place) - ue[b, c]
            reach[b, path] = _length(ahead[b, path])
            hop[b, path] = _length(back[b, path])
    return Hops(ahead, reach, back, hop)


@unmanaged
def _frame_of_angle(angle, out):
    """Unit vector and tangent (2, 3) of an angle in the plane."""
    c, s = math.cos(angle), math.sin(angle)
    out[0, 0], out[0, 1] = c, s
    out[1, 0], out[1, 1] = -s, c


@unmanaged
def frame_of_direction(azimuth, elevation, out):
    """Unit vector and tangents (3, 3) of a direction in space: of azimuth and of elevation, also at a pole."""
    c, s = math.cos(azimuth), math.sin(azimuth)
    level, height = math.cos(elevation), math.sin(elevation)
    out[0, 0], out[0, 1], out[0, 2] = level * c, level * s, height
    out[1, 0], out[1, 1], out[1, 2] = -s, c, 0.0
    out[2, 0], out[2, 1], out[2, 2] = -height * c, -height * s, level


@unmanaged
def _look(vector, rotation, angles):
    """Azimuth and elevation (2,) of a vector of the scene in an array's own axes."""
    x, y, z = 0.0, 0.0, 0.0
    for c in range(3):
        x += rotation[c, 0] * vector[c]
        y += rotation[c, 1] * vector[c]
        z += rotation[c, 2] * vector[c]
    angles[0] = math.atan2(y, x)
    angles[1] = math.atan2(z, math.hypot(x, y))


@kernel
def angles_of(transmitter, places, hops):
    """Departures and arrivals of every draw: azimuths and, in space, elevations, (batch, path, D - 1), rad."""
    batch, paths, dims = hops.ahead.shape
    departure, arrival = np.zeros((batch, paths, dims - 1)), np.zeros((batch, paths, dims - 1))
    for b in range(batch):
        for k in range(paths):
            ahead, back = hops.ahead[b, k], hops.back[b, k]
            if dims == 2:
                departure[b, k, 0] = _wrap(math.atan2(ahead[1], ahead[0]) - transmitter.broadside)
                arrival[b, k, 0] = _wrap(math.atan2(back[1], back[0]) + places.ue_bearing[b])
            else:
                _look(ahead, transmitter.rotation, departure[b, k])
                _look(back, places.ue_rotation[b], arrival[b, k])
    return departure, arrival


@kernel
def frames_of(angles):
    """Unit vectors and tangents (batch, path, D, 3) of directions given by angles (batch, path, D - 1)."""
    batch, paths, tangents = angles.shape
    out = np.zeros((batch, paths, tangents + 1, 3))
    for b in range(batch):
        for k in range(paths):
            if tangents == 1:
                _frame_of_angle(angles[b, k, 0], out[b, k])
            else:
                frame_of_direction(angles[b, k, 0], angles[b, k, 1], out[b, k])
    return out


@kernel
def delays_and_gains(transmitter, hops, reflections):
    """Bistatic and monostatic delays (batch, path), and complex gains of (3) and (5), (batch, path)."""
    exponent, rcs, ue_rcs, phase_bp, phase_ms = reflections
    speed, wavelength, clock = transmitter.speed, transmitter.wavelength, transmitter.clock_bias
    batch, count = phase_bp.shape
    delay_bp = np.zeros((batch, count))
    delay_ms = np.zeros((batch, count))
    gain_bp = np.zeros((batch, count), np.complex128)
    gain_ms = np.zeros((batch, count), np.complex128)
    radar = wavelength / (4.0 * math.pi) ** 1.5
    for b in range(batch):
        for k in range(count):
            amplitude = (ue_rcs[b] if k == 0 else rcs[b, k - 1]) ** exponent
            reach, hop = hops.reach[b, k], hops.hop[b, k]
            delay_ms[b, k] = 2.0 * reach / speed
            beta = amplitude * radar / reach**2
            if k == 0:
                delay_bp[b, k] = reach / speed + clock
                alpha = wavelength / (4.0 * math.pi * reach)
            else:
                delay_bp[b, k] = (reach + hop) / speed + clock
                alpha = amplitude * radar / (hop * reach)
            gain_bp[b, k] = alpha * complex(math.cos(phase_bp[b, k]), math.sin(phase_bp[b, k]))
            gain_ms[b, k] = beta * complex(math.cos(phase_ms[b, k]), math.sin(phase_ms[b, k]))
    return delay_bp, delay_ms, gain_bp, gain_ms


@kernel
def direction_rounding(bs, places, hops):
    """Rounding to expect of every direction, rad, (batch, 2, path): departure, then arrival.

    It is that of the arc tangent, and of positions that may be far from the origin.
    """
    batch, paths, dims = hops.ahead.shape
    out = np.zeros((batch, 2, paths))
    for b in range(batch):
        for k in range(paths):
            at_bs, at_ue, at_point, at_end = 0.0, 0.0, 0.0, 0.0
            for c in range(dims):
                point = places.ue[b, c] if k == 0 else places.targets[b, k - 1, c]
                at_bs = max(at_bs, abs(bs[c]))
                at_point = max(at_point, abs(point))
                at_ue = max(at_ue, abs(places.ue[b, c]))
                at_end = max(at_end, abs(bs[c] if k == 0 else point))
            out[b, 0, k] = _UNIT_ROUNDOFF * (2.0 + (at_bs + at_point) / hops.reach[b, k])
            out[b, 1, k] = _UNIT_ROUNDOFF * (2.0 + (at_ue + at_end) / hops.hop[b, k])
    return out


@unmanaged
def _across(vector, length, t, frame, rotation, out):
    """`length` times tangent t of a direction, in the axes of the scene, (D,)."""
    if vector.size == 2:
        out[0], out[1] = -vector[1], vector[0]
        return
    for c in range(3):
        out[c] = 0.0
        for i in range(3):
            out[c] += length * rotation[c, i] * frame[t + 1, i]


@kernel
def bistatic_jacobian(transmitter, places, hops, frames, sense):
    """(7): d(departures, arrivals, delays, Re gains, Im gains) / d(p_U, orientation, p_1..p_K, dt, Re and Im gains).

    A departure is as many parameters as there are tangents, D - 1, arrivals likewise; each goes for all paths.
    frames are those of departures and arrivals; sense is d arrival / d phi, 1 or -1. In space the orientation is a
    rotation vector in the axes of the scene. (batch, (2D + 1) (K+1), D (K+1) + o + 1 + 2 (K+1)), o = 1 or 3.
    """
    batch, paths, dims = hops.ahead.shape
    tangents = dims - 1
    turns = 1 if dims == 2 else 3
    clock = dims * paths + turns
    out = np.zeros((batch, (2 * dims + 1) * paths, clock + 1 + 2 * paths))
    across = np.zeros(dims)
    speed = transmitter.speed
    for b in range(batch):
        for k in range(paths):
            place = 0 if k == 0 else dims * k + turns
            ahead, reach, back, hop = hops.ahead[b, k], hops.reach[b, k], hops.back[b, k], hops.hop[b, k]
            delay = 2 * tangents * paths + k
            for t in range(tangents):
                _across(ahead, reach, t, frames[0][b, k], transmitter.rotation, across)
                for c in range(dims):
                    out[b, t * paths + k, place + c] = across[c] / reach**2
                row = (tangents + t) * paths + k
                _across(back, hop, t, frames[1][b, k], places.ue_rotation[b], across)
                for c in range(dims):
                    out[b, row, c] = -across[c] / hop**2
                    if k > 0:
                        out[b, row, place + c] = across[c] / hop**2
                if dims == 2:
                    out[b, row, dims] = sense
                else:
                    for c in range(3):
                        i, j = (c + 1) % 3, (c + 2) % 3
                        out[b, row, dims + c] = -(back[i] * across[j] - back[j] * across[i]) / hop**2
            for c in range(dims):
                out[b, delay, place + c] = ahead[c] / (reach * speed)
                if k > 0:
                    out[b, delay, c] = -back[c] / (hop * speed)
                    out[b, delay, place + c] += back[c] / (hop * speed)
            out[b, delay, clock] = 1.0
            out[b, delay + paths, clock + 1 + k] = 1.0
            out[b, delay + 2 * paths, clock + 1 + paths + k] = 1.0
    return out


@kernel
def monostatic_jacobian(transmitter, hops, frames):
    """(9): d(departures, eps, Re beta, Im beta) / d(p_U, p_1..p_K, Re beta, Im beta), frames those of departures.

    (batch, (D + 2) (K+1), (D + 2) (K+1)).
    """
    batch, paths, dims = hops.ahead.shape
    out = np.zeros((batch, (dims + 2) * paths, (dims + 2) * paths))
    across = np.zeros(dims)
    for b in range(batch):
        for k in range(paths):
            ahead, reach = hops.ahead[b, k], hops.reach[b, k]
            for t in range(dims - 1):
                _across(ahead, reach, t, frames[b, k], transmitter.rotation, across)
                for c in range(dims):
                    out[b, t * paths + k, dims * k + c] = across[c] / reach**2
            for c in range(dims):
                out[b, (dims - 1) * paths + k, dims * k + c] = 2.0 * ahead[c] / (reach * transmitter.speed)
            for i in range(dims * paths + k, (dims + 2) * paths, paths):
                out[b, i, i] = 1.0
    return out


@kernel
def monostatic_positions(transmitter, hops, frames):
    """The part of (9) that concerns angles and delays, those in metres: a rotation of every path's axes.

    (batch, D (K+1), D (K+1)).
    """
    batch, paths, dims = hops.ahead.shape
    out = np.zeros((batch, dims * paths, dims * paths))
    across = np.zeros(dims)
    for b in range(batch):
        for k in range(paths):
            ahead, reach = hops.ahead[b, k], hops.reach[b, k]
            for c in range(dims):
                out[b, (dims - 1) * paths + k, dims * k + c] = ahead[c] / reach
            for t in range(dims - 1):
                _across(ahead, reach, t, frames[b, k], transmitter.rotation, across)
                for c in range(dims):
                    out[b, t * paths + k, dims * k + c] = across[c] / reach
    return out
