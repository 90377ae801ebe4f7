"""The closed forms (16) and (19) for anyone's extremes."""

import numpy as np
import pytest
from crbatch import DesignError, EngineError, mix_beamformers, mix_covariances
from engine_cases import case_of


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_vanishing_mix_has_no_beamformer(scale: float) -> None:
    """Xi = 0 in (16), in any unit; and what is merely close is mixed."""
    w = scale * np.random.default_rng(1).standard_normal((6, 3)).astype(complex)
    for factor, rho in ((-1.0, 0.5), (-3.0, 0.75), (0.0, 0.0)):
        with pytest.raises(DesignError, match=rf"Xi = .* vanishes at rho = {rho:g}"):
            mix_beamformers(w, factor * w, rho, 1.0)
    assert np.linalg.norm(mix_beamformers(w, -w, 0.5 + 1e-6, 4.0)) == pytest.approx(2.0)


CASE = case_of("paper-k2", m=16)


def beamformer(columns: int, seed: int = 3) -> np.ndarray:
    """W of full power."""
    z = np.random.default_rng(seed).standard_normal((2, 16, columns))
    w = z[0] + 1j * z[1]
    return np.sqrt(CASE.power) * w / np.linalg.norm(w)


def test_beamformers_are_checked_too() -> None:
    w = beamformer(3)
    np.testing.assert_allclose(np.linalg.norm(mix_beamformers(w.tolist(), 2 * w, 0.5, 4.0)), 2.0)
    for changes, message in (
        ({"w_ms": w[:, :2]}, r"w_ms must be \(16, 3\); got \(16, 2\)"),
        ({"w_bp": w[:, 0]}, r"w_bp must be \(antennas, columns\); got \(16,\)"),
        ({"w_ms": w * np.nan}, "w_ms has entries that are not finite"),
        ({"rho": 1.5}, r"rho is a weight in \[0, 1\]; got 1.5"),
        ({"power": 0.0}, "power = 0.0 makes no sense; give a positive number"),
        ({"power": np.nan}, "give a positive number"),
    ):
        with pytest.raises(EngineError, match=message):
            mix_beamformers(**({"w_bp": w, "w_ms": w, "rho": 0.5, "power": 1.0} | changes))
    with pytest.raises(EngineError, match=r"v_ms must be \(3, 3\)"):
        mix_covariances(np.eye(3), np.eye(4), 0.5)
    with pytest.raises(EngineError, match="rho is a weight"):
        mix_covariances(np.eye(3), np.eye(3), -0.1)
    np.testing.assert_allclose(mix_covariances(np.eye(3), 3 * np.eye(3), 0.25), 2.5 * np.eye(3))
