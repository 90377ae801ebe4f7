"""The extremes that are mixed: settled to the last digits, and solved only where something needs them."""

from typing import Any

import numpy as np
import pytest
from crbatch import Draws, Scenario, Status, build_problem, design, sample
from crbatch.engine.beamforming import extremes
from crbatch.engine.kernels.designs import extremes as kernels
from engine_cases import DROPS


def drops(count: int, seed: int = 3, **changes: Any) -> tuple[Scenario, Draws]:
    scenario = Scenario(subcarriers=64, **changes)
    return scenario, sample(scenario, DROPS, seed, 0, count)


def test_extremes_have_no_slack_in_use() -> None:
    """At an optimum a codeword has power or slack; the powers solve the equations of the optimum to the last digits."""
    problem = build_problem(*drops(128))
    found = extremes.cpa_extremes(problem, 1e-6)
    slopes = kernels.power_slopes(problem.arrays, np.array([1.0, 0.0]), found.settled, found.known)
    fine = np.isfinite(slopes).all(axis=2) & (found.gap < 1e-11)
    assert fine.mean() > 0.95
    used = found.settled > 0.0
    assert np.abs(slopes - 1.0)[fine[..., None] & used].max() < 1e-10
    assert slopes[fine[..., None] & ~used].max() < 1.0


def test_one_weight_and_no_mix_solves_no_extreme(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("an extreme was solved")

    monkeypatch.setattr("crbatch.engine.beamforming.mixes.fdb_extremes", refuse)
    monkeypatch.setattr("crbatch.engine.beamforming.mixes.cpa_extremes", refuse)
    scenario, draws = drops(2)
    assert (design(scenario, draws, ["fdb-wcrb", "cpa-wcrb", "apa"], 0.5).status != Status.FAILED).all()
