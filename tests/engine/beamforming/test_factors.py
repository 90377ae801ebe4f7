"""The factor of V that WBF mixes: against a slow twin in NumPy, in the mean, and by address."""

from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest
import xarray as xr
from crbatch import (
    CUSTOM,
    FACTOR_SCHEMES,
    SCHEMES,
    DesignError,
    Designs,
    DrawModel,
    Scenario,
    average_designs,
    bistatic_bounds,
    bistatic_link,
    check_slots,
    design,
    evaluate_shared,
    monostatic_bounds,
    monostatic_link,
    nominal_designs,
    position_fim,
    sample,
)
from crbatch.engine.addresses import Purpose, pairs_of_words
from crbatch.engine.beamforming.factors import TRIALS, gaussians
from crbatch.engine.beamforming.recovery import recover, recover_all
from crbatch.engine.beamforming.scheme import SchemeName
from crbatch.jobs.chunk.evaluate import evaluate
from crbatch.jobs.driver.plan import make_plan
from crbatch.jobs.jobfile.schema import JobError, JobFile, load_job
from job_cases import run_tiny, tiny_job
from numpy.typing import NDArray

RHO = [0.0, 0.3, 0.8, 1.0]
SEED, FIRST = 9, 40
SCENARIO = Scenario(tx_antennas=8, slots=10, subcarriers=64).with_targets(2)
DRAWS = sample(SCENARIO, DrawModel(), SEED, FIRST, FIRST + 3)
RANDOM = ("fdb-wbf:svd", "fdb-wbf:randomization")


def designed(schemes: Any, part: slice = slice(None), **options: Any) -> Designs:
    start = FIRST + (part.start or 0)
    return design(SCENARIO, DRAWS[part], schemes, RHO, seed=SEED, first_draw=start, **options)


def uniforms(purpose: int, place: int, draw: int, count: int) -> NDArray[np.float64]:
    """Uniform numbers (count, 2) by address, from NumPy's own Philox."""
    raw = np.random.Philox(counter=[0, place, draw, 0], key=[SEED, purpose]).random_raw(2 * count)
    return (((raw >> 12) + 0.5) * 2.0**-52).reshape(count, 2)


def square_root(v: NDArray[np.complex128]) -> NDArray[np.complex128]:
    values, vectors = np.linalg.eigh(v)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T


def singular_factor(v: NDArray[np.complex128], place: int, draw: int) -> NDArray[np.complex128]:
    """Singular vectors times root singular values, the first entry of each turned to a random phase."""
    vectors, values, _ = np.linalg.svd(v)
    kept = values > 1e-9 * values.sum()
    vectors = vectors[:, kept] * np.conj(vectors[0, kept]) / np.abs(vectors[0, kept])
    phases = 2.0 * np.pi * uniforms(9, place, draw, int(kept.sum()))[:, 0]
    return vectors * np.exp(1j * phases) * np.sqrt(values[kept])


def gaussian_factor(v: NDArray[np.complex128], basis: NDArray[np.complex128], place: int, draw: int) -> Any:
    """The best of 100 Gaussian candidates by the extreme's own bound, from the explicit FIM of every subcarrier."""
    n, slots, power = basis.shape[1], SCENARIO.slots, SCENARIO.power_per_subcarrier_w
    unit = uniforms(10, place, draw, TRIALS * n * slots)
    normal = np.sqrt(-np.log(unit[:, 0])) * np.exp(2j * np.pi * unit[:, 1])
    w = square_root(v) @ basis @ normal.reshape(TRIALS, n, slots)
    w *= np.sqrt(power) / np.linalg.norm(w, axis=(1, 2), keepdims=True)
    link, bounds = ((bistatic_link, bistatic_bounds), (monostatic_link, monostatic_bounds))[place]
    one = link(SCENARIO, DRAWS[draw - FIRST : draw - FIRST + 1])
    values = [bounds(position_fim(one, each @ each.conj().T, path="explicit")).position[0] for each in w]
    return w[int(np.argmax(np.array(values) <= min(values) * (1.0 + 1e-6)))]  # of rank 1 all are alike


def test_the_slow_twin_mixes_the_same() -> None:
    found = designed(["fdb-wcrb", *RANDOM])
    basis, power = found.problem.basis, SCENARIO.power_per_subcarrier_w
    for d in range(len(DRAWS)):
        extremes = [found.beam_covariance("fdb-wcrb", rho)[d] for rho in (1.0, 0.0)]
        for scheme in RANDOM:
            w_bp, w_ms = (
                singular_factor(v, side, FIRST + d)
                if scheme == "fdb-wbf:svd"
                else gaussian_factor(v, basis[d], side, FIRST + d)
                for side, v in enumerate(extremes)
            )
            width = max(w_bp.shape[1], w_ms.shape[1])
            w_bp, w_ms = (np.pad(w, ((0, 0), (0, width - w.shape[1]))) for w in (w_bp, w_ms))
            for rho in RHO:
                xi = rho * w_bp + (1.0 - rho) * w_ms
                v = power * xi @ xi.conj().T / np.linalg.norm(xi) ** 2
                np.testing.assert_allclose(found.beam_covariance(scheme, rho)[d], v, rtol=0, atol=2e-6 * power)


def test_gaussian_candidates_make_v_in_the_mean() -> None:
    """Over 10,000 candidates; an entry of W W^H has variance V_ii V_kk / L around V_ik."""
    found = designed("fdb-wcrb")
    w = recover_all(found, SCENARIO.slots, "eigen", SEED, FIRST)[0][0, 0, 1]
    v = w @ w.conj().T
    candidates = w @ gaussians(SCENARIO.slots, SCENARIO.slots, 10_000, SEED, FIRST)
    products = candidates @ candidates.conj().swapaxes(1, 2)
    spread = np.sqrt(np.outer(np.diag(v).real, np.diag(v).real) / SCENARIO.slots / 10_000)
    assert (np.abs(products.mean(axis=0) - v) < 5.0 * spread + 1e-15).all()
    measured = np.sqrt((np.abs(products - v) ** 2).mean(axis=0) / 10_000)
    np.testing.assert_allclose(measured[spread > 1e-9], spread[spread > 1e-9], rtol=0.1)


def test_the_first_candidates_do_not_depend_on_how_many_follow() -> None:
    assert TRIALS == 100
    np.testing.assert_array_equal(gaussians(4, 6, 3, 1, 2), gaussians(4, 6, 50, 1, 2)[:3])
    others = [gaussians(4, 6, 3, *address) for address in ((1, 2), (2, 2), (1, 3), (1, 2, 1))]
    others.append(gaussians(4, 6, 3, 1, 2, purpose=Purpose.RECOVERY_CANDIDATE))
    assert all(not (one == other).any() for one, other in pairwise(others))
    assert not (pairs_of_words(1, Purpose.FACTOR_PHASE, 2, 4) == pairs_of_words(1, Purpose.FACTOR_PHASE, 2, 4, 1)).any()


@pytest.mark.parametrize("scheme", RANDOM)
def test_bits_depend_on_seed_and_draw_alone(scheme: str) -> None:
    whole = designed([scheme, "apa", "fdb-wbf:eigen"]).covariance[:, 0]
    np.testing.assert_array_equal(designed(scheme).covariance[:, 0], whole)
    np.testing.assert_array_equal(designed("fdb-wbf", wbf_factor=scheme[8:]).covariance[:, 0], whole)
    for d in range(3):
        np.testing.assert_array_equal(designed(["cpa-wvm", scheme], slice(d, d + 1)).covariance[0, 1], whole[d])
    other = design(SCENARIO, DRAWS, scheme, RHO, seed=SEED + 1, first_draw=FIRST)
    assert not np.allclose(other.covariance[:, 0, 1], whole[:, 1])
    moved = design(SCENARIO, DRAWS, scheme, RHO, seed=SEED, first_draw=FIRST + 1)
    assert not np.allclose(moved.covariance[:, 0, 1], whole[:, 1])


def test_a_job_has_the_same_bits_in_chunks_of_any_size() -> None:
    schemes = ["fdb-wbf", *FACTOR_SCHEMES]
    job = tiny_job(draws={"count": 5}, design={"schemes": schemes}, output={"keep": ["covariance"]})
    whole = evaluate(job, 0, 5)
    parts = xr.concat([evaluate(job, 3, 5), evaluate(job, 0, 1), evaluate(job, 1, 3)], "draw").sortby("draw")
    for name in ("covariance", "objective", "mix_error", "status"):
        np.testing.assert_array_equal(parts[name].values, whole[name].values)
    plain = tiny_job(draws={"count": 5}, design={"schemes": ["fdb-wbf"], "wbf_factor": "svd"})
    np.testing.assert_array_equal(
        evaluate(plain, 2, 4)["objective"].values[:, 0], whole["objective"].values[2:4, schemes.index("fdb-wbf:svd")]
    )


@pytest.mark.parametrize("knowledge", ["per-draw", "nominal"])
def test_a_jobs_seed_decides_where_the_draws_are_all_alike(knowledge: str) -> None:
    zeros = [0.0, 0.0, 0.0]
    fixed = {"phases": "fixed", "phases_bistatic_rad": zeros, "phases_monostatic_rad": zeros}
    schemes = ["fdb-wvm", *RANDOM]
    one, other = (
        evaluate(
            tiny_job(
                draws=fixed | {"seed": seed, "count": 2},
                design={"schemes": schemes, "rho": [0.5], "knowledge": knowledge},
                scenario={"target_positions_m": [[-10, 15], [5, 15]], "target_rcs_m2": 100},
            ),
            0,
            2,
        )["objective"].values[:, :, 0]
        for seed in (1, 2)
    )
    np.testing.assert_array_equal(one[:, 0], other[:, 0])
    assert (one[:, 1:] != other[:, 1:]).all()
    assert (one[0, 1:] == one[1, 1:]).all() == (knowledge == "nominal")  # shared beams have no draw of their own


def test_w_is_kept_without_loss_and_has_as_many_columns_as_there_are_slots() -> None:
    schemes = ["fdb-wbf", "fdb-wcrb", *FACTOR_SCHEMES]
    found = designed(schemes)
    w, loss = recover_all(found, SCENARIO.slots, "eigen", SEED, FIRST)
    assert w.shape[-1] == SCENARIO.slots
    np.testing.assert_array_equal(loss, 0.0)
    np.testing.assert_allclose(w @ w.conj().swapaxes(-1, -2), found.covariance, atol=1e-12)
    random = w[:, schemes.index("fdb-wbf:randomization"), 1]
    assert (np.abs(random).max(axis=1) > 0.0).all()  # every slot sends something


def test_a_candidate_is_no_optimum_and_says_so() -> None:
    found = designed(["fdb-wcrb", *RANDOM])
    best, svd, random = (found.objective[:, s] for s in range(3))
    assert np.isnan(found.gap[:, 2]).all()
    assert (random > best * (1.0 - 1e-9)).all()
    assert (random[:, 1:] > best[:, 1:] * (1.0 + 1e-6)).all()  # of rank 1, as here at rho = 0, all candidates are alike
    np.testing.assert_allclose(svd[:, [0, -1]], best[:, [0, -1]], rtol=1e-6)
    assert np.isfinite(found.mix_error[:, 1:]).all()
    assert (found.status[:, 1:] == 4).all()


def test_errors_of_mixes_bound_what_looser_extremes_do() -> None:
    tight, loose = (designed(RANDOM, gap_tolerance=tolerance) for tolerance in (1e-9, 1e-4))
    change = np.abs(loose.objective / tight.objective - 1.0)
    assert (change <= tight.mix_error + loose.mix_error + 1e-9).all()


def test_recovered_beams_are_the_best_of_candidates_and_of_the_strongest() -> None:
    found = designed("fdb-wvm")
    for d in range(3):
        x = found.covariance[d, 0, 2]
        eigen, random = (recover(found.problem, d, x, 0.8, 2, how, (SEED, d, 7)) for how in ("eigen", "randomization"))
        assert random.loss <= eigen.loss
        assert np.linalg.norm(random.factor) == pytest.approx(1.0, abs=1e-12)
        again = recover(found.problem, d, x, 0.8, 2, "randomization", (SEED, d, 7))
        np.testing.assert_array_equal(again.factor, random.factor)


@pytest.mark.slow("trains many designs")
def test_shared_designs_mix_them_too() -> None:
    schemes = ["fdb-wvm", *RANDOM]
    nominal = nominal_designs(SCENARIO, schemes, RHO, seed=3)
    np.testing.assert_array_equal(nominal.covariance[1:], nominal_designs(SCENARIO, RANDOM, RHO, seed=3).covariance)
    assert not np.allclose(nominal_designs(SCENARIO, RANDOM, RHO, seed=4).covariance[:, 1], nominal.covariance[1:, 1])
    mean = average_designs(SCENARIO, sample(SCENARIO, DrawModel(), 1, 0, 8), ["fdb-wcrb", *RANDOM], RHO, seed=3)
    power = SCENARIO.power_per_subcarrier_w
    for v in mean.covariance[1:].reshape(-1, 8, 8):
        assert np.trace(v).real == pytest.approx(power)
        assert np.linalg.eigvalsh(v).min() > -1e-12 * power
    np.testing.assert_allclose(mean.covariance[1, [0, -1]], mean.covariance[0, [0, -1]], atol=1e-6 * power)
    assert np.isnan(mean.gap[2]).all()
    seen = evaluate_shared(SCENARIO, DRAWS, mean)
    assert (seen.objective[:, 2] > seen.objective[:, 0] * 0.99).all()


def test_slots_limit_all_factors_but_the_random_one() -> None:
    few = SCENARIO.replace(slots=4)
    for scheme in ("fdb-wbf", "fdb-wbf:svd", "fdb-wbf:sqrt", "fdb-wbf-aligned"):
        with pytest.raises(DesignError, match=f"{scheme} mixes beamformers of 6 columns"):
            check_slots(few, scheme)
    check_slots(few, "fdb-wbf:randomization")
    check_slots(few, "fdb-wbf", "randomization")
    found = design(few, DRAWS, ["fdb-wbf:randomization", "fdb-wvm"], RHO)
    assert found.rank[:, 0].max() <= 4
    assert recover_all(found, 4, "eigen", 0, 0)[0].shape[-1] == 4


def test_a_job_names_several_and_refuses_others(tmp_path: Any) -> None:
    labels = ("fdb-wcrb", "fdb-wbf:svd", "fdb-wbf:randomization")
    job = tiny_job(draws={"count": 3}, design={"schemes": labels, "knowledge": ["per-draw", "nominal"]})
    run_tiny(tmp_path / "run", job)
    with xr.open_dataset(tmp_path / "run" / "cube.nc") as cube:
        assert cube["scheme"].values.tolist() == [*labels, *(f"{label}@nominal" for label in labels)]
        assert (cube["status"].values == 4)[:, [1, 2, 4, 5]].all()
    document = tiny_job().resolved()
    document["design"]["schemes"] = ["fdb-wbf:svg"]
    with pytest.raises(ValueError, match="fdb-wbf:svg"):
        JobFile.model_validate(document)


def test_jobs_know_the_engines_names_and_name_the_nearest(tmp_path: Any) -> None:
    assert get_args(SchemeName) == (*SCHEMES, *FACTOR_SCHEMES, CUSTOM)
    (tmp_path / "job.toml").write_text('schema = 1\nname = "x"\n[design]\nschemes = ["fdb-wbf-svd"]\n')
    with pytest.raises(JobError, match=r"'fdb-wbf-svd' is refused; .* \(did you mean 'fdb-wbf:svd'\?\)$"):
        load_job(tmp_path / "job.toml")


@pytest.mark.parametrize("address", [{"seed": -1}, {"seed": 2**63}, {"first_draw": -1}, {"first_draw": 2**63}])
def test_addresses_out_of_range_are_refused(address: dict[str, int]) -> None:
    (name,) = address
    with pytest.raises(DesignError, match=f"{name} = .* is refused; it should be from 0 to {2**63 - 1}"):
        design(SCENARIO, DRAWS, "apa", RHO, **address)
    if name == "seed":
        for make in (
            lambda: nominal_designs(SCENARIO, "apa", RHO, **address),
            lambda: average_designs(SCENARIO, DRAWS, "apa", RHO, **address),
        ):
            with pytest.raises(DesignError, match="seed = "):
                make()


def test_the_average_candidate_is_the_best_in_the_mean() -> None:
    """At rho = 1 and 0 V is the candidate's: rebuilt from its address, judged by bounds of all training draws."""
    training = sample(SCENARIO, DrawModel(), 1, 0, 4)
    made = average_designs(SCENARIO, training, ["fdb-wcrb", "fdb-wbf:randomization"], [1.0, 0.0], seed=SEED)
    basis, power = design(SCENARIO, training, "apa").problem.basis[0], SCENARIO.power_per_subcarrier_w
    apa = design(SCENARIO, training, "apa").beam_covariance("apa", 0.5)
    for side, (link, bounds) in enumerate(((bistatic_link, bistatic_bounds), (monostatic_link, monostatic_bounds))):
        unit = uniforms(10, side, 0, TRIALS * basis.shape[1] * SCENARIO.slots)
        normal = np.sqrt(-np.log(unit[:, 0])) * np.exp(2j * np.pi * unit[:, 1])
        w = square_root(made.covariance[0, side]) @ basis @ normal.reshape(TRIALS, -1, SCENARIO.slots)
        w *= np.sqrt(power) / np.linalg.norm(w, axis=(1, 2), keepdims=True)
        every = w @ w.conj().swapaxes(1, 2)
        means = np.zeros(TRIALS)
        for d in range(len(training)):
            one = link(SCENARIO, training[d : d + 1])
            reference = bounds(position_fim(one, apa[d])).position[0]
            means += [bounds(position_fim(one, v)).position[0] / reference for v in every]
        best = int(np.argmax(means <= means.min() * (1.0 + 1e-6)))
        np.testing.assert_allclose(made.covariance[1, side], every[best], rtol=0, atol=1e-5 * power)


def test_plans_count_the_candidates() -> None:
    def seconds(scheme: str, **options: Any) -> Any:
        return make_plan(tiny_job(design={"schemes": [scheme], **options}))

    plain, random = seconds("fdb-wbf"), seconds("fdb-wbf:randomization")
    assert random.draw_seconds > 3.0 * plain.draw_seconds
    assert seconds("fdb-wbf", wbf_factor="randomization").draw_seconds == random.draw_seconds
    assert seconds("fdb-wvm", wbf_factor="randomization").draw_seconds <= plain.draw_seconds
    trained = [seconds(one, knowledge="average").training_seconds for one in ("fdb-wbf", "fdb-wbf:randomization")]
    assert trained[1] > trained[0]


@pytest.mark.parametrize(("targets", "antennas"), [(0, 8), (2, 1), (2, 3)])
def test_small_scenes_have_them_where_the_extremes_exist(targets: int, antennas: int) -> None:
    """No target, one antenna, fewer antennas than codewords: nothing where there is nothing, full power elsewhere."""
    scene = SCENARIO.with_targets(targets).replace(tx_antennas=antennas)
    found = design(scene, None, ["fdb-wbf", *RANDOM], RHO)
    np.testing.assert_array_equal(found.rank[:, 1:] > 0, np.repeat(found.rank[:, :1] > 0, 2, axis=1))
    traces = np.trace(found.covariance, axis1=-2, axis2=-1).real
    np.testing.assert_allclose(traces[found.rank > 0], 1.0, rtol=1e-12)
    np.testing.assert_array_equal(found.status[:, 2] == 2, found.status[:, 0] == 2)
