"""Knowledge models in jobs: names in the cube, one design for all draws, the same bits however it is cut."""

from pathlib import Path

import crbatch.results.accessor
import numpy as np
import pytest
import xarray as xr
from crbatch import average_designs, evaluate_shared, sample
from crbatch.jobs.chunk.evaluate import evaluate
from crbatch.jobs.errors import DamagedData
from crbatch.jobs.finished import check
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.results.page import answers, quantile, warnings
from job_cases import crbatch, digests, run_tiny, tiny_job
from pydantic import ValidationError

DISC = {"kind": "disc", "centre_m": [-5, 20], "radius_m": 2}
DESIGN = {
    "schemes": ["fdb-wcrb", "cpa-wcrb", "apa"],
    "rho": [0.0, 0.5, 1.0],
    "knowledge": ["per-draw", "nominal", "average"],
    "training_draws": 8,
}
JOB = tiny_job(design=DESIGN, draws={"ue_position": DISC}, scenario={"tx_antennas": 8, "subcarriers": 16})
LABELS = [f"{s}{k}" for k in ("", "@nominal", "@average") for s in ("fdb-wcrb", "cpa-wcrb", "apa")]


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    return evaluate(JOB, 0, 6)


def test_names_say_what_the_beams_know(cube: xr.Dataset) -> None:
    assert cube["scheme"].values.tolist() == LABELS
    assert tiny_job(design=DESIGN | {"knowledge": "average"}).labels == tuple(DESIGN["schemes"])
    assert tiny_job().design.knowledge == ("per-draw",)


def test_less_knowledge_is_never_better(cube: xr.Dataset) -> None:
    genie = cube["objective"].sel(scheme="fdb-wcrb")
    for label in LABELS:
        assert (cube["objective"].sel(scheme=label) >= genie * (1.0 - 2e-6)).all()


def test_the_genies_numbers_do_not_depend_on_the_others(cube: xr.Dataset) -> None:
    alone = evaluate(
        JOB.model_copy(update={"design": JOB.design.model_copy(update={"knowledge": ("per-draw",)})}), 0, 6
    )
    kept = cube.sel(scheme=alone["scheme"].values)
    for name in ("crb_bp", "crb_ms", "gap", "status"):
        np.testing.assert_array_equal(kept[name].values, alone[name].values)


def test_one_design_serves_all_draws(cube: xr.Dataset) -> None:
    gaps = cube["gap"].sel(scheme=["fdb-wcrb@average", "cpa-wcrb@nominal"])
    assert (gaps <= 1e-6).all()
    assert (gaps == gaps.isel(draw=0)).all()


def test_draws_do_not_depend_on_the_chunks(tmp_path: Path) -> None:
    run_tiny(tmp_path / "a", JOB, chunk=6)
    run_tiny(tmp_path / "b", JOB, chunk=2)
    assert digests(tmp_path / "a")["cube.nc"] == digests(tmp_path / "b")["cube.nc"]
    result = verify(RunDirectory(tmp_path / "a"))
    assert result["designs_recomputed"] > 0


def test_training_draws_are_no_draws_of_the_run() -> None:
    job = tiny_job(design=DESIGN | {"knowledge": "average", "schemes": ["fdb-wcrb"]}, draws={"ue_position": DISC})
    assert job.draws.count < 2**62
    draws, training = (sample(job.scenario, job.draws, job.draws.seed, i, i + n) for i, n in ((0, 2), (2**62, 8)))
    shared = average_designs(job.scenario, training, ["fdb-wcrb"], job.design.rho)
    found = evaluate_shared(job.scenario, draws, shared)
    np.testing.assert_array_equal(evaluate(job, 0, 2)["crb_bp"], found.crb_bp)


def test_the_page_compares_them(cube: xr.Dataset) -> None:
    bounds = {metric: quantile(cube, metric, np.linspace(0, 1, 41)) for metric in ("crb_bp", "crb_ms")}
    words = " ".join(text for _, text in answers(cube, bounds, cube.crb.status()))
    assert "FDB-WCRB (nominal) over FDB-WCRB" in words
    assert "FDB-WCRB (average) over FDB-WCRB" in words
    assert any("draws are few" in text for text in warnings(cube, bounds))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"design": {"knowledge": "genie"}}, "per-draw"),
        ({"design": {"knowledge": []}}, "at least one"),
        ({"design": {"knowledge": "average"}, "output": {"keep": ["power"]}}, "kept of designs"),
        ({"design": {"knowledge": "nominal"}, "scenario": {"tx_antennas": 512}}, "tx_antennas <= 256"),
        ({"design": {"knowledge": "average", "training_draws": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        tiny_job(**changes)


@pytest.mark.parametrize("name", ["antennas", "knowledge", "narrowband", "power"])
def test_packaged_jobs_are_planned(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert crbatch(monkeypatch, "plan", name, "--workers", 1) == 0


@pytest.mark.parametrize("name", ["certified_mean_gap", "certified_gap"])
def test_verify_certifies_what_all_draws_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    job = JOB.model_copy(update={"design": JOB.design.model_copy(update={"knowledge": ("nominal", "average")})})
    run_tiny(tmp_path / "x", job)
    assert 0.0 < verify(RunDirectory(tmp_path / "x"))["largest_gap"] <= 1.01e-6
    value = 2e-6 if name == "certified_mean_gap" else np.array([2e-6])
    monkeypatch.setattr(check, name, lambda *_: value)
    word = "average" if name == "certified_mean_gap" else "nominal"
    with pytest.raises(DamagedData, match=f"{word} knowledge, rho = 0: the certificate does not hold"):
        verify(RunDirectory(tmp_path / "x"))
