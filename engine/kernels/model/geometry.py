"""Angles, delays, gains and the Jacobians (7), (9) from the positions of base station, user and targets.

Twin: tests/engine/test_naive.py.
"""

import math
from typing import NamedTuple

import numpy as np

from ..jit.accelerate import kernel

_UNIT_ROUNDOFF = 2.0**-53


@kernel
def _wrap(angle):
    """Angle in (-pi, pi]."""
    wrapped = angle - 2.0 * math.pi * math.floor((angle + math.pi) / (2.0 * math.pi))
    return math.pi if wrapped == -math.pi else wrapped


class Transmitter(NamedTuple):
    """The base station and its carrier."""

    position: np.ndarray  # (2,), m
    broadside: float  # rad
    clock_bias: float  # s
    speed: float  # of light, m/s
    wavelength: float  # m


class Places(NamedTuple):
    """Where the user and the targets are."""

    ue: np.ndarray  # (batch, 2), m
    targets: np.ndarray  # (batch, K, 2), m
    ue_rotation: np.ndarray  # what to add to a direction to have the angle at the UE: (batch,), rad


class Reflections(NamedTuple):
    """Radar cross-sections and phases of the gains."""

    rcs_exponent: float  # in the amplitude: 0.5 by the radar equation, 1 as printed
    targets: np.ndarray  # (batch, K), m^2
    ue: np.ndarray  # (batch,), m^2
    phase_bistatic: np.ndarray  # (batch, K + 1), rad
    phase_monostatic: np.ndarray  # (batch, K + 1), rad


@kernel
def channel_parameters(transmitter, places, reflections):
    """AOD, AOA, bistatic and monostatic delays (batch, path) and complex gains of (3) and (5), (batch, path)."""
    bs, broadside, clock, speed, wavelength = transmitter
    ue, targets, rotation = places
    exponent, rcs, ue_rcs, phase_bp, phase_ms = reflections
    batch, count = phase_bp.shape
    aod = np.zeros((batch, count))
    aoa = np.zeros((batch, count))
    delay_bp = np.zeros((batch, count))
    delay_ms = np.zeros((batch, count))
    gain_bp = np.zeros((batch, count), np.complex128)
    gain_ms = np.zeros((batch, count), np.complex128)
    radar = wavelength / (4.0 * math.pi) ** 1.5
    for b in range(batch):
        for k in range(count):
            x = ue[b, 0] if k == 0 else targets[b, k - 1, 0]
            y = ue[b, 1] if k == 0 else targets[b, k - 1, 1]
            amplitude = (ue_rcs[b] if k == 0 else rcs[b, k - 1]) ** exponent
            reach = math.hypot(x - bs[0], y - bs[1])
            aod[b, k] = _wrap(math.atan2(y - bs[1], x - bs[0]) - broadside)
            delay_ms[b, k] = 2.0 * reach / speed
            beta = amplitude * radar / reach**2
            if k == 0:
                aoa[b, k] = _wrap(math.atan2(bs[1] - y, bs[0] - x) + rotation[b])
                delay_bp[b, k] = reach / speed + clock
                alpha = wavelength / (4.0 * math.pi * reach)
            else:
                hop = math.hypot(x - ue[b, 0], y - ue[b, 1])
                aoa[b, k] = _wrap(math.atan2(y - ue[b, 1], x - ue[b, 0]) + rotation[b])
                delay_bp[b, k] = (reach + hop) / speed + clock
                alpha = amplitude * radar / (hop * reach)
            gain_bp[b, k] = alpha * complex(math.cos(phase_bp[b, k]), math.sin(phase_bp[b, k]))
            gain_ms[b, k] = beta * complex(math.cos(phase_ms[b, k]), math.sin(phase_ms[b, k]))
    return aod, aoa, delay_bp, delay_ms, gain_bp, gain_ms


@kernel
def derivative_doubts(bs, ue, targets, aod, aoa):
    """Relative rounding of the derivatives with respect to the angles, (batch, 2, path): departure, then arrival.

    A derivative goes with the cosine of its angle, which near the axis of the array is as small as the angle's own
    rounding: that of atan2, and of positions that may be far from the origin.
    """
    batch, paths = aod.shape
    out = np.zeros((batch, 2, paths))
    for b in range(batch):
        for k in range(paths):
            x = ue[b, 0] if k == 0 else targets[b, k - 1, 0]
            y = ue[b, 1] if k == 0 else targets[b, k - 1, 1]
            out[b, 0, k] = _angle_rounding(bs[0], bs[1], x, y) / abs(math.cos(aod[b, k]))
            if k == 0:
                x, y = bs[0], bs[1]
            out[b, 1, k] = _angle_rounding(ue[b, 0], ue[b, 1], x, y) / abs(math.cos(aoa[b, k]))
    return out


@kernel
def _angle_rounding(x, y, u, v):
    """Rounding to expect of the direction from (x, y) to (u, v), rad."""
    size = max(abs(x), abs(y)) + max(abs(u), abs(v))
    return _UNIT_ROUNDOFF * (2.0 + size / math.hypot(u - x, v - y))


@kernel
def bistatic_jacobian(bs, speed, ue, targets, sense):
    """(7): d(theta_B, theta_U, tau, Re alpha, Im alpha) / d(p_U, phi, p_1..p_K, dt, Re alpha, Im alpha).

    bs (2,), ue (batch, 2), targets (batch, K, 2) -> (batch, 5 (K+1), 4K+6). sense is d theta_U / d phi, 1 or -1.
    """
    batch, n = targets.shape[:2]
    paths = n + 1
    out = np.zeros((batch, 5 * paths, 4 * n + 6))
    clock = 3 + 2 * n
    for b in range(batch):
        for k in range(paths):
            place = 0 if k == 0 else 1 + 2 * k
            x = ue[b, 0] if k == 0 else targets[b, k - 1, 0]
            y = ue[b, 1] if k == 0 else targets[b, k - 1, 1]
            dx = x - bs[0]
            dy = y - bs[1]
            reach = math.hypot(dx, dy)
            out[b, k, place] = -dy / reach**2
            out[b, k, place + 1] = dx / reach**2
            out[b, 2 * paths + k, place] = dx / (reach * speed)
            out[b, 2 * paths + k, place + 1] = dy / (reach * speed)
            # The last hop, seen from the UE: from the BS on the line of sight, else from the target.
            hx = (bs[0] if k == 0 else x) - ue[b, 0]
            hy = (bs[1] if k == 0 else y) - ue[b, 1]
            hop = math.hypot(hx, hy)
            out[b, paths + k, 0] = hy / hop**2
            out[b, paths + k, 1] = -hx / hop**2
            out[b, paths + k, 2] = sense
            if k > 0:
                out[b, paths + k, place] = -hy / hop**2
                out[b, paths + k, place + 1] = hx / hop**2
                out[b, 2 * paths + k, 0] = -hx / (hop * speed)
                out[b, 2 * paths + k, 1] = -hy / (hop * speed)
                out[b, 2 * paths + k, place] += hx / (hop * speed)
                out[b, 2 * paths + k, place + 1] += hy / (hop * speed)
            out[b, 2 * paths + k, clock] = 1.0
            out[b, 3 * paths + k, clock + 1 + k] = 1.0
            out[b, 4 * paths + k, clock + 1 + paths + k] = 1.0
    return out


@kernel
def monostatic_jacobian(bs, speed, ue, targets):
    """(9): d(theta_B, eps, Re beta, Im beta) / d(p_U, p_1..p_K, Re beta, Im beta), (batch, 4 (K+1), 4 (K+1))."""
    batch, n = targets.shape[:2]
    paths = n + 1
    out = np.zeros((batch, 4 * paths, 4 * paths))
    for b in range(batch):
        for k in range(paths):
            dx = (ue[b, 0] if k == 0 else targets[b, k - 1, 0]) - bs[0]
            dy = (ue[b, 1] if k == 0 else targets[b, k - 1, 1]) - bs[1]
            reach = math.hypot(dx, dy)
            out[b, k, 2 * k] = -dy / reach**2
            out[b, k, 2 * k + 1] = dx / reach**2
            out[b, paths + k, 2 * k] = 2.0 * dx / (reach * speed)
            out[b, paths + k, 2 * k + 1] = 2.0 * dy / (reach * speed)
            out[b, 2 * paths + k, 2 * paths + k] = 1.0
            out[b, 3 * paths + k, 3 * paths + k] = 1.0
    return out


@kernel
def bistatic_positions(bs, speed, ue, targets, sense):
    """The part of (7) that concerns angles and delays: (batch, 3 (K+1), 2K+4)."""
    n = targets.shape[1]
    return np.ascontiguousarray(bistatic_jacobian(bs, speed, ue, targets, sense)[:, : 3 * n + 3, : 2 * n + 4])


@kernel
def monostatic_positions(bs, ue, targets):
    """The part of (9) that concerns angles and delays, those in metres: a rotation of every path's axes.

    bs (2,), ue (batch, 2), targets (batch, K, 2) -> (batch, 2 (K+1), 2 (K+1)).
    """
    batch, n = targets.shape[:2]
    paths = n + 1
    out = np.zeros((batch, 2 * paths, 2 * paths))
    for b in range(batch):
        for k in range(paths):
            dx = (ue[b, 0] if k == 0 else targets[b, k - 1, 0]) - bs[0]
            dy = (ue[b, 1] if k == 0 else targets[b, k - 1, 1]) - bs[1]
            reach = math.hypot(dx, dy)
            out[b, k, 2 * k] = -dy / reach
            out[b, k, 2 * k + 1] = dx / reach
            out[b, paths + k, 2 * k] = dx / reach
            out[b, paths + k, 2 * k + 1] = dy / reach
    return out
