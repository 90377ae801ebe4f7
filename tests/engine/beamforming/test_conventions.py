"""What the paper's print leaves open: each reading against the literal transcription, and as words of a sweep."""

from pathlib import Path
from typing import get_args

import naive
import naive_codebook
import numpy as np
import pytest
import xarray as xr
from crbatch import DrawModel, Scenario, Status, average_designs, build_problem, design, nominal_designs, sample
from crbatch.engine.beamforming import conic, weighted
from crbatch.engine.estimation import estimate
from crbatch.jobs.cli.app import app
from crbatch.jobs.finished.check import replay, verify
from crbatch.jobs.finished.report import write_report
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.results.accessor import open_cube
from engine_cases import case_at, drops
from job_cases import digests, run_tiny, tiny_job
from typer.testing import CliRunner

UE_ANGLES = get_args(Scenario.model_fields["ue_angle"].annotation)
RHO = (0.0, 0.4, 1.0)
CODEBOOK = ("cpa-wcrb", "cpa-wbf", "cpa-wvm", "apa")
FIRST = "first-element"


def codebook_of(case: naive.Case) -> np.ndarray:
    """U of the transcription in the engine's order: steering beams, then derivatives."""
    u = naive_codebook.codebook(case)
    return np.concatenate((u[:, ::2], u[:, 1::2]), axis=1)


@pytest.mark.parametrize("centre", ["array-centre", FIRST])
@pytest.mark.parametrize("angle", UE_ANGLES)
def test_bounds_are_those_of_the_transcription(angle: str, centre: str) -> None:
    """APA's and those of certified powers, by steering vectors that all count from the same element."""
    scenario, draws = drops(3, seed=4, ue_angle=angle, phase_centre=centre, tx_antennas=9)
    found = design(scenario, draws, ("cpa-wcrb", "apa"), RHO)
    for d in range(len(draws)):
        case = case_at(scenario, draws, d)
        u = codebook_of(case)
        for s, r in np.ndindex(2, 3):
            v = case.power * (u * found.powers[d, s, r]) @ u.conj().T
            for name, bound in (
                ("crb_bp", naive.crb_bistatic),
                ("crb_ms", naive.crb_monostatic),
                ("crb_orientation", naive.crb_orientation),
                ("crb_clock", naive.crb_clock),
            ):
                np.testing.assert_allclose(getattr(found, name)[d, s, r], bound(case, v), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("antennas", [2, 5, 16])
def test_powers_on_uncentred_codewords_are_certified_from_scratch(antennas: int) -> None:
    scenario, draws = drops(4, seed=6, phase_centre=FIRST, tx_antennas=antennas)
    found = design(scenario, draws, ("cpa-wcrb",), RHO)
    assert (found.status == Status.CERTIFIED).all()
    for d, r in np.ndindex(len(draws), len(RHO)):
        case = case_at(scenario, draws, d)
        interleaved = found.powers[d, 0, r].reshape(2, -1).T.ravel()
        assert naive_codebook.certified_gap_cpa(case, case.power * interleaved, RHO[r]) <= 1.1e-6


def test_mixes_on_uncentred_codewords_are_their_formulas() -> None:
    scenario, draws = drops(3, seed=9, phase_centre=FIRST)
    found = design(scenario, draws, CODEBOOK, RHO)
    power, w = found.problem.power, found.problem.expand_factor(found.factor[:, 1])
    p_ms, p_bp = found.powers[:, 0, 0], found.powers[:, 0, 2]
    for d, (r, rho) in ((d, at) for d in range(len(draws)) for at in enumerate(RHO)):
        u = codebook_of(case_at(scenario, draws, d))
        amplitude = rho * np.sqrt(p_bp[d]) + (1 - rho) * np.sqrt(p_ms[d])
        expected = {
            "cpa-wbf": amplitude**2 / np.sum(amplitude**2),
            "cpa-wvm": rho * p_bp[d] + (1 - rho) * p_ms[d],
            "apa": np.full(8, 0.125),
        }
        for scheme, p in expected.items():
            v = found.beam_covariance(scheme, rho)[d]
            np.testing.assert_allclose(v, power * (u * p) @ u.conj().T, rtol=0, atol=1e-6 * power, err_msg=scheme)
        v = found.beam_covariance("cpa-wbf", rho)[d]
        np.testing.assert_allclose(w[d, r] @ w[d, r].conj().T, v, atol=1e-12 * power)


def test_the_conic_program_has_the_same_optimum() -> None:
    scenario, draws = drops(2, seed=3, phase_centre=FIRST)
    problem = build_problem(scenario, draws)
    found = weighted.solve_cpa(problem, np.array([0.4]), 1e-8)
    for d in range(2):
        powers = conic.power_weighted_crb(problem, d, 0.4)
        assert powers is not None
        np.testing.assert_allclose(powers, found.powers[d, 0], atol=1e-3)


def test_designs_without_a_codebook_do_not_depend_on_the_phase_centre() -> None:
    scenario, draws = drops(3)
    schemes = ("fdb-wcrb", "fdb-wbf", "fdb-wvm")
    one, other = (design(at, draws, schemes, RHO) for at in (scenario, scenario.replace(phase_centre=FIRST)))
    np.testing.assert_array_equal(one.covariance, other.covariance)
    np.testing.assert_array_equal(one.crb_bp, other.crb_bp)


def test_readings_are_turns_of_the_user() -> None:
    """The paper's scene: two arrivals near end-fire by default, none in other readings; sensing is the same."""
    found = [
        design(at := Scenario(ue_angle=angle), sample(at, DrawModel(), 2025, 0, 9), ("apa",), 0.5)
        for angle in UE_ANGLES
    ]
    bp = [np.sqrt(np.median(one.crb_bp)) for one in found]
    np.testing.assert_allclose(bp, [0.111, 0.089, 0.088, 0.089], atol=5e-4)
    for one in found[1:]:
        np.testing.assert_array_equal(one.crb_ms, found[0].crb_ms)


@pytest.mark.parametrize("angle", UE_ANGLES)
def test_the_estimator_climbs_in_every_reading(angle: str) -> None:
    """It moves phi along the Jacobian: with the wrong sense no estimate would converge."""
    scenario = Scenario(subcarriers=12, power_dbm=0.0, ue_angle=angle).with_targets(2)
    draws = sample(scenario, DrawModel(), 9, 0, 3)
    one = design(scenario, draws, ("apa",), 0.5)
    values, vectors = np.linalg.eigh(one.beam_covariance("apa", 0.5))
    errors = estimate(scenario, draws, vectors * np.sqrt(np.maximum(values, 0.0))[:, None], 1, 0)
    assert np.isfinite(errors.bistatic).all()
    assert (errors.bistatic < 25 * one.crb_bp[:, 0, 0]).all()


def test_shared_powers_are_on_uncentred_codewords_too() -> None:
    scenario = Scenario(subcarriers=64, tx_antennas=8, phase_centre=FIRST)
    training = sample(scenario, DrawModel(), 3, 0, 4)
    u = codebook_of(case_at(scenario, training, 0))
    for shared in (
        average_designs(scenario, training, ("cpa-wcrb", "apa"), (0.4,)),
        nominal_designs(scenario, ("cpa-wcrb", "apa"), (0.4,)),
    ):
        assert shared.status[0, 0] == Status.CERTIFIED
        power = scenario.power_per_subcarrier_w
        np.testing.assert_allclose(shared.covariance[1, 0], 0.125 * power * u @ u.conj().T, atol=1e-9 * power)


@pytest.mark.slow("starts processes")
def test_a_sweep_of_words_runs_resumes_verifies_and_is_shown(tmp_path: Path) -> None:
    words = {
        "gain_law": ["radar-equation", "as-printed"],
        "ue_angle": ["axis-at-phi", "broadside-at-minus-phi"],
        "phase_centre": ["array-centre", FIRST],
    }
    job = tiny_job(sweep={**words, "targets": [1, 2]})
    run_tiny(tmp_path / "run", job)
    before = digests(tmp_path / "run")
    assert run_tiny(tmp_path / "run", job).nothing_left
    assert digests(tmp_path / "run") == before
    folder = RunDirectory(tmp_path / "run")
    assert verify(folder)["designs_recomputed"] > 0
    assert replay(folder, 1)["identical"]
    write_report(folder, job)
    page = (folder.path / "report/report.html").read_text()
    assert '"values": ["axis-at-phi", "broadside-at-minus-phi"]' in page.replace('","', '", "').replace('":[', '": [')
    assert "phase_centre = array-centre" in page
    with open_cube(folder.path) as cube:
        assert {key: cube[key].values.tolist() for key in words} == words
        assert "units" not in cube["ue_angle"].attrs
        assert "axis-at-phi, broadside-at-minus-phi" in repr(cube.crb)
        last = cube.sel(gain_law="as-printed", ue_angle="axis-at-phi", phase_centre=FIRST, targets=2).load()
    alone = tiny_job(
        scenario={"gain_law": "as-printed", "ue_angle": "axis-at-phi", "phase_centre": FIRST}, sweep={"targets": [2]}
    )
    run_tiny(tmp_path / "alone", alone)
    with open_cube(tmp_path / "alone") as cube:
        xr.testing.assert_identical(cube["crb_bp"].isel(targets=0, drop=True), last["crb_bp"].reset_coords(drop=True))
    shown = CliRunner().invoke(app, ["compare", str(folder.path), str(folder.path)])
    assert "gain_law = as-printed, ue_angle = axis-at-phi" in shown.output
