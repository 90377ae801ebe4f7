"""Golden and naive cases as the engine's scenarios and draws, and the measures that several tests share."""

from dataclasses import replace
from typing import Any

import naive
import numpy as np
import pytest
from crbatch import DrawModel, Draws, Link, Scenario, bistatic_link, monostatic_link, sample
from crbatch.engine.kernels.descent import loop as descent
from crbatch.engine.kernels.interior import covariances as interior
from crbatch.engine.kernels.interior import powers as interiorpowers
from naive import Case
from repository import GOLDEN

Array = np.ndarray

SMALL = Scenario(subcarriers=64, tx_antennas=8)
MOVING = DrawModel.model_validate(
    {
        "ue_position": {"kind": "disc", "centre_m": [-5, 20], "radius_m": 3},
        "target_positions": {"kind": "box", "x_m": [-12, 12], "y_m": [8, 20]},
    }
)
OPTIMA = [(name, optimum) for name, entry in GOLDEN.items() for optimum in entry["optimum"]]

every_case = pytest.mark.parametrize("name", GOLDEN)
every_optimum = pytest.mark.parametrize(
    ("name", "optimum"), OPTIMA, ids=[f"{name}-{optimum['rho']}" for name, optimum in OPTIMA]
)

# User and targets anywhere in front of the BS, any orientation, fluctuating RCS: the geometries that stall solvers.
_BOX = {"kind": "box", "x_m": (-15.0, 15.0), "y_m": (5.0, 25.0)}
DROPS = DrawModel(ue_position=_BOX, target_positions=_BOX, ue_orientation="uniform", rcs="swerling1")


def case_of(name: str, **changes: object) -> Case:
    return replace(Case.from_golden(GOLDEN[name]["scenario"]), **changes)


def scenario_of(case: Case, **changes: object) -> Scenario:
    """The engine's scenario of a naive case."""
    fields: dict[str, Any] = {
        "carrier_hz": case.fc,
        "bandwidth_hz": case.bw,
        "subcarriers": case.m,
        "slots": case.slots,
        "pilots_per_slot": case.pilots,
        "power_dbm": case.p_dbm,
        "noise_figure_db": case.nf_db,
        "noise_psd_dbm_hz": case.n0_dbm,
        "tx_antennas": case.mt,
        "rx_antennas": case.mr,
        "ue_antennas": case.mu,
        "bs_position_m": tuple(case.bs),
        "bs_broadside_deg": float(np.degrees(case.bs_broadside)),
        "ue_position_m": tuple(case.ue),
        "clock_bias_s": case.clock,
        "target_positions_m": tuple(tuple(place) for place in case.targets),
        "target_rcs_m2": tuple(np.broadcast_to(np.asarray(case.rcs, float), case.k).tolist()),
        "ue_rcs_m2": case.rcs_ue,
        "gain_law": "as-printed" if case.literal else "radar-equation",
        "phase_centre": "array-centre" if case.centred else "first-element",
        "ue_angle": case.ue_angle,
    }
    return Scenario(**(fields | changes))


def draws_of(case: Case) -> Draws:
    """The naive case's one draw."""
    return Draws(
        phase_bistatic=np.array([case.phase_bp]),
        phase_monostatic=np.array([case.phase_ms]),
        ue_position=np.array([case.ue]),
        target_position=np.reshape(case.targets, (1, case.k, 2)),
        ue_orientation=np.array([case.phi]),
        target_rcs=np.broadcast_to(np.asarray(case.rcs, float), (1, case.k)),
        ue_rcs=np.array([case.rcs_ue]),
    )


def setup(case: Case) -> tuple[Scenario, Draws]:
    return scenario_of(case), draws_of(case)


def links_of(case: Case) -> tuple[tuple[Link, naive.Link], tuple[Link, naive.Link]]:
    """Both links of a case, each beside its naive twin."""
    scenario, draws = setup(case)
    return (bistatic_link(scenario, draws), naive.BISTATIC), (monostatic_link(scenario, draws), naive.MONOSTATIC)


def case_at(scenario: Scenario, draws: Draws, draw: int) -> Case:
    """One draw of a batch as a naive case."""
    return Case(
        bs=scenario.bs_position_m,
        bs_broadside=float(np.radians(scenario.bs_broadside_deg)),
        ue=draws.ue_position[draw],
        phi=float(draws.ue_orientation[draw]),
        clock=scenario.clock_bias_s,
        targets=draws.target_position[draw],
        mt=scenario.tx_antennas,
        mr=scenario.rx_antennas,
        mu=scenario.ue_antennas,
        fc=scenario.carrier_hz,
        bw=scenario.bandwidth_hz,
        m=scenario.subcarriers,
        p_dbm=scenario.power_dbm,
        nf_db=scenario.noise_figure_db,
        n0_dbm=scenario.noise_psd_dbm_hz,
        slots=scenario.slots,
        pilots=scenario.pilots_per_slot,
        rcs_ue=float(draws.ue_rcs[draw]),
        rcs=draws.target_rcs[draw],
        literal=scenario.gain_law == "as-printed",
        phase_bp=draws.phase_bistatic[draw],
        phase_ms=draws.phase_monostatic[draw],
        centred=scenario.phase_centre == "array-centre",
        ue_angle=scenario.ue_angle,
    )


def drops(count: int, seed: int = 2025, **scenario: Any) -> tuple[Scenario, Draws]:
    """Random geometries; few subcarriers, so that the naive transcription keeps up."""
    fixed = Scenario(**({"subcarriers": 64} | scenario))
    return fixed, sample(fixed, DROPS, seed, 0, count)


def drop_case(seed: int, **scenario: Any) -> Case:
    """One random geometry as a naive case."""
    return case_at(*drops(1, seed, **({"subcarriers": 24} | scenario)), 0)


def golden_covariance(case: Case) -> Array:
    """V of the golden file's test beamformer."""
    i, slot = np.ogrid[1 : case.mt + 1, 1 : case.slots + 1]
    w = np.exp(2j * np.pi * i**2 * slot / 17) + 0.25 * np.exp(2j * np.pi * i * slot**2 / 23)
    w = w * np.sqrt(case.power) / np.linalg.norm(w)
    return w @ w.conj().T


def random_covariance(case: Case, seed: int, rank: int | None = None) -> Array:
    """V of full power P_m."""
    normal = np.random.default_rng(seed).standard_normal((2, case.mt, rank or case.mt))
    w = normal[0] + 1j * normal[1]
    return case.power * (w @ w.conj().T) / np.linalg.norm(w) ** 2


def fim_error(fim: Array, reference: Array) -> float:
    """Largest entry of the difference, against sqrt(I_ii I_jj)."""
    scale = np.sqrt(np.diagonal(reference, axis1=-2, axis2=-1))
    return float(np.max(np.abs(fim - reference) / (scale[..., :, None] * scale[..., None, :])))


def lose_descent(monkeypatch: pytest.MonkeyPatch, draws: int) -> None:
    """Let the descent over a whole batch of `draws` end where it begins; alone, a draw is still solved."""
    native = descent.descend

    def stuck(arrays: Any, columns: int, start: np.ndarray, rho: np.ndarray, *rest: Any) -> Any:
        if len(start) != draws:
            return native(arrays, columns, start, rho, *rest)
        points = np.repeat(start[:, None], rho.size, axis=1)
        return points / np.linalg.norm(points, axis=2, keepdims=True), np.ones(points.shape[:2], np.int64)

    monkeypatch.setattr(descent, "descend", stuck)


def lose_interior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the interior-point methods find nothing."""
    for module, name in ((interior, "interior_designs"), (interiorpowers, "interior_powers")):
        native = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, native=native: tuple(0 * found for found in native(*args)))
