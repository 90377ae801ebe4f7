"""The work of a chunk: bits that depend on the draw alone, sweeps, kept designs, custom beams."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.chunk import evaluate as evaluate_module
from crbatch.jobs.chunk.beams import load_beams
from crbatch.jobs.chunk.evaluate import evaluate
from crbatch.jobs.driver.refusals import check_job
from crbatch.jobs.errors import UsageProblem
from crbatch.jobs.jobfile.schema import JobFile, load_job
from job_cases import DROPS, run_tiny, tiny_job
from repository import SUPPORT

KEEP = ["covariance", "beamformers", "power"]
POWER_W = 1e-5 / 64  # P_m of -20 dBm over 64 subcarriers
DRAWN = (
    "phase_bistatic", "phase_monostatic", "ue_position", "target_position", "ue_orientation", "target_rcs", "ue_rcs",
)  # fmt: skip


def complex_of(array: xr.DataArray) -> np.ndarray:
    return array.values[..., 0] + 1j * array.values[..., 1]


def assert_same_bits(one: xr.Dataset, two: xr.Dataset) -> None:
    assert list(one.data_vars) == list(two.data_vars)
    for name in one.data_vars:
        assert one[name].dims == two[name].dims, name
        assert one[name].values.tobytes() == two[name].values.tobytes(), name


@pytest.mark.parametrize("recovery", ["eigen", "randomization"])
def test_bits_do_not_depend_on_the_range_or_the_batch(recovery: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too few slots for some ranks, so that beams are recovered with a loss, at random or not."""
    job = tiny_job(
        draws=DROPS,
        scenario={"slots": 2},
        design={"schemes": ["fdb-wcrb", "cpa-wcrb", "fdb-wvm", "apa"], "recovery": recovery},
        output={"keep": KEEP},
        sweep={"targets": [1, 2]},
    )
    whole = evaluate(job, 0, 8)
    assert (whole["recovery_loss"] > 0).any()
    assert (whole["recovery_loss"] == 0).any()
    assert_same_bits(whole, xr.concat([evaluate(job, a, b) for a, b in ((0, 1), (1, 6), (6, 8))], "draw"))
    monkeypatch.setattr(evaluate_module, "_BATCH", 3)
    assert_same_bits(whole, evaluate(job, 0, 8))


def test_other_schemes_the_order_of_weights_and_kept_arrays_do_not_matter() -> None:
    whole = evaluate(tiny_job(draws=DROPS, output={"keep": KEEP}), 0, 4)
    part = evaluate(tiny_job(draws=DROPS, design={"schemes": ["apa", "fdb-wcrb"], "rho": [1.0, 0.4, 0.0]}), 0, 4)
    assert_same_bits(whole[list(part.data_vars)].sel(scheme=part["scheme"], rho=part["rho"]), part)


def test_other_weights_matter_within_the_tolerance() -> None:
    whole = evaluate(tiny_job(draws=DROPS), 0, 4)
    part = evaluate(tiny_job(draws=DROPS, design={"schemes": ["apa", "fdb-wcrb"], "rho": [1.0, 0.0]}), 0, 4)
    same = whole.sel(scheme=part["scheme"], rho=part["rho"])
    np.testing.assert_allclose(same["objective"], part["objective"], rtol=1e-6)
    for name in DRAWN:
        assert same[name].values.tobytes() == part[name].values.tobytes(), name


def test_points_of_a_sweep_are_single_jobs() -> None:
    """Values at a point are those of a job of its own, and every point has the same draws."""
    job = tiny_job(draws=DROPS, sweep={"tx_antennas": [4, 8], "power_dbm": [-20.0, -10.0]})
    swept = evaluate(job, 0, 3)
    assert swept["crb_bp"].dims == ("tx_antennas", "power_dbm", "draw", "scheme", "rho")
    for antennas in (4, 8):
        for power in (-20.0, -10.0):
            point = swept.sel(tx_antennas=antennas, power_dbm=power, drop=True)
            alone = evaluate(tiny_job(draws=DROPS, scenario={"tx_antennas": antennas, "power_dbm": power}), 0, 3)
            assert_same_bits(point, alone)
    for name in DRAWN:
        assert (swept[name] == swept[name][0, 0]).all(), name
    best = swept["objective"].sel(scheme="fdb-wcrb")
    assert (best.sel(tx_antennas=4) > best.sel(tx_antennas=8)).all()
    ratio = swept["crb_ms"].sel(power_dbm=-20.0) / swept["crb_ms"].sel(power_dbm=-10.0)
    np.testing.assert_allclose(ratio.sel(scheme="apa").values, 10.0, rtol=1e-9)


def test_fewer_targets_are_padded_and_see_the_same_draws() -> None:
    swept = evaluate(tiny_job(draws=DROPS, sweep={"targets": [1, 2]}, output={"keep": KEEP}), 0, 3)
    one, two = swept.sel(targets=1, drop=True), swept.sel(targets=2, drop=True)
    for name, dim in {
        "phase_bistatic": "path", "phase_monostatic": "path", "target_position": "target", "target_rcs": "target",
        "crb_ms_target": "path", "crb_map": "target",
    }.items():  # fmt: skip
        last = swept.sizes[dim] - 1
        assert one[name].isel({dim: last}).isnull().all(), name
        assert one[name].isel({dim: slice(last)}).notnull().all(), name
        assert two[name].notnull().all(), name
    for name in DRAWN:
        shared = {dim: slice(swept.sizes[dim] - 1) for dim in ("path", "target") if dim in swept[name].dims}
        assert one[name].isel(shared).equals(two[name].isel(shared)), name
    power = one["power"].sel(scheme="apa").values
    assert np.isnan(power[..., 4:]).all()
    np.testing.assert_allclose(power[..., :4], POWER_W / 4, rtol=1e-12)
    assert one["covariance"].notnull().all()


def test_kept_arrays_belong_together() -> None:
    """V has full power and is W W^H; codebook schemes have powers of the same sum, and no other scheme has."""
    schemes = ["fdb-wcrb", "fdb-wbf", "fdb-wvm", "cpa-wcrb", "cpa-wbf", "cpa-wvm", "apa", "fdb-wbf-aligned"]
    data = evaluate(tiny_job(draws=DROPS, design={"schemes": schemes}, output={"keep": KEEP}), 0, 2)
    v, w = complex_of(data["covariance"]), complex_of(data["beamformers"])
    np.testing.assert_allclose(np.trace(v, axis1=-2, axis2=-1), POWER_W, rtol=1e-12)
    np.testing.assert_allclose(v, np.swapaxes(v.conj(), -1, -2), rtol=0, atol=1e-15 * POWER_W)
    np.testing.assert_allclose(w @ np.swapaxes(w.conj(), -1, -2), v, rtol=0, atol=1e-9 * POWER_W)
    assert (np.linalg.matrix_rank(v, tol=1e-9 * POWER_W, hermitian=True) <= data["rank"].values).all()
    for scheme in schemes:
        power = data["power"].sel(scheme=scheme).values
        if scheme.startswith("fdb"):
            assert np.isnan(power).all(), scheme
        else:
            assert (power >= 0).all(), scheme
            np.testing.assert_allclose(power.sum(axis=-1), POWER_W, rtol=1e-12, err_msg=scheme)


def test_nothing_is_kept_unasked() -> None:
    assert not {*KEEP} & {*map(str, evaluate(tiny_job(), 0, 1).data_vars)}


@pytest.mark.parametrize("targets", [0, 1, 2])
def test_unidentifiable_is_infinite_and_flagged_where_it_weighs(targets: int) -> None:
    """Without targets, BP has 5 equations for 6 unknowns: only rho = 0 is left to design for."""
    places = tiny_job().scenario.target_positions_m[:targets]
    data = evaluate(tiny_job(scenario={"target_positions_m": [list(p) for p in places]}, output={"keep": KEEP}), 0, 2)
    best = data.sel(scheme="fdb-wcrb")
    assert best["status"].sel(rho=0.0).values.tolist() == [0, 0]
    assert np.isfinite(best["objective"].sel(rho=0.0)).all()
    if targets == 0:
        assert "target_rcs" not in data
        assert (best["status"].sel(rho=[0.4, 1.0]) == 2).all()
        assert np.isposinf(data["crb_bp"]).all()
        assert (best["rank"].sel(rho=[0.4, 1.0]) == -1).all()
        assert np.isnan(complex_of(best["covariance"].sel(rho=1.0))).all()
    else:
        assert (best["status"] == 0).all()
        assert np.isfinite(best["objective"]).all()


def custom_job(folder: Path, name: str, **design: Any) -> JobFile:
    document = tiny_job(draws={"count": 1}, design={"schemes": ["fdb-wcrb", "apa"], "custom": name, **design})
    (folder / "job.toml").write_text(document.to_toml())
    return load_job(folder / "job.toml")


def test_custom_beams_are_evaluated_as_they_are(tmp_path: Path) -> None:
    """W as .npy, W or V as .npz, one for all weights or one for each; the scheme stands where it is listed."""
    kept = evaluate(tiny_job(output={"keep": ["covariance", "beamformers"]}), 0, 1).sel(scheme="fdb-wcrb").isel(draw=0)
    w, v = complex_of(kept["beamformers"]), complex_of(kept["covariance"])
    np.save(tmp_path / "each.npy", w)
    np.savez(tmp_path / "each_w.npz", W=w)
    np.savez(tmp_path / "each_v.npz", V=v)
    np.save(tmp_path / "one.npy", w[1])
    np.savez(tmp_path / "one.npz", V=v[1])
    for name, scale in (("huge", 1e200), ("tiny", 1e-200)):  # only their shape counts
        np.save(tmp_path / f"each_{name}.npy", w * scale)
        np.savez(tmp_path / f"each_{name}.npz", V=v * scale)
    for name in (
        *("each.npy", "each_w.npz", "each_v.npz", "one.npy", "one.npz", "each_huge.npy", "each_tiny.npy"),
        *("each_huge.npz", "each_tiny.npz"),
    ):
        job = custom_job(tmp_path, name, schemes=["custom", "apa"])
        check_job(job, "job.toml")
        mine = evaluate(job, 0, 1).isel(draw=0).sel(scheme="custom")
        at = slice(1, 2) if name.startswith("one") else slice(None)
        for bound in ("crb_bp", "crb_ms", "objective"):
            np.testing.assert_allclose(mine[bound].values[at], kept[bound].values[at], rtol=1e-7, err_msg=name)
        np.testing.assert_allclose(mine["gap"].values[at], kept["gap"].values[at], atol=1e-8, err_msg=name)
        if name.startswith("one"):
            assert (mine["gap"][[0, 2]] > 1e-3).all()  # best for its own weight only


def test_custom_covariances_of_single_precision_are_taken_as_such(tmp_path: Path) -> None:
    z = np.random.default_rng(1).standard_normal((2, 16, 3))
    w = (z[0] + 1j * z[1]).astype(np.complex64)
    np.savez(tmp_path / "single.npz", V=w @ w.conj().T)
    np.save(tmp_path / "double.npy", w.astype(complex))
    found = []
    for name in ("single.npz", "double.npy"):
        job = custom_job(tmp_path, name, schemes=["custom"])
        check_job(job, "job.toml")
        found.append(evaluate(job, 0, 1)["objective"].values)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_one_custom_beam_is_no_failed_design(tmp_path: Path) -> None:
    np.save(tmp_path / "beam.npy", np.ones((16, 1)))
    run_tiny(tmp_path / "run", custom_job(tmp_path, "beam.npy"))
    with xr.open_dataset(tmp_path / "run" / "cube.nc") as cube:
        mine = cube.sel(scheme="custom")
        assert (mine["status"] == 4).all()
        assert np.isposinf(mine["crb_bp"]).all()
        assert np.isposinf(mine["gap"].sel(rho=[0.4, 1.0])).all()


def test_custom_beams_go_through_a_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "beams.npz", V=np.eye(16))
    job = custom_job(tmp_path, "beams.npz")
    run_tiny(tmp_path / "run", job)
    with xr.open_dataset(tmp_path / "run" / "cube.nc") as cube:
        assert cube["scheme"].values.tolist() == ["fdb-wcrb", "apa", "custom"]
        assert np.isfinite(cube["objective"].sel(scheme="custom")).all()
        assert '"custom":"custom.npz"' in cube.attrs["job"]  # no path of this machine
    (tmp_path / "beams.npz").unlink()
    assert load_beams(load_job(tmp_path / "run" / "job.toml")) is not None  # the run has its own copy


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.npy", np.full((16, 3), np.nan), "not finite"),
        ("a.npy", np.zeros((16, 3)), "no power"),
        ("a.npy", np.ones((3, 16, 3)) * np.array([1.0, 0.0, 1.0])[:, None, None], "no power for one of the rho"),
        ("a.npy", np.ones((15, 8)), r"W must be \(16, slots\), or \(3, 16, slots\) .*tx_antennas = 16; got \(15, 8\)$"),
        ("a.npy", np.ones((2, 16, 3)), "one for each rho"),
        ("a.npy", np.ones(16), r"W must be \(16, slots\).*; got \(16,\)$"),
        ("a.npy", np.ones((2, 3, 16, 3)), r"W must be \(16, slots\).*; got \(2, 3, 16, 3\)$"),
        ("a.npy", np.array([["x"]]), "give numbers"),
        ("a.npy", np.ones((16, 3), bool), "of type bool; give numbers"),
        ("a.npy", np.array([[{}]]), "of type object; give numbers"),
        ("a.npy", np.ones((16, 17)), "17 columns for 16 slots"),
        ("a.npz", {"X": np.ones((16, 3))}, "holds X; save one array named W or V"),
        ("a.npz", {"W": np.ones((16, 3)), "V": np.eye(16)}, "holds W, V"),
        (
            "a.npz",
            {"V": np.ones((16, 15))},
            r"V must be \(16, 16\).*got \(16, 15\); a beamformer W is saved under the name W",
        ),
        ("a.npz", {"V": np.ones((15, 15))}, r"V must be \(16, 16\).*got \(15, 15\)$"),
        ("a.npz", {"V": np.full((16, 16), np.inf)}, "V has entries that are not finite"),
        ("a.npz", {"V": np.triu(np.ones((16, 16)))}, "not Hermitian"),
        ("a.npz", {"V": np.diag([3.0] + 15 * [-0.1])}, "not positive semidefinite"),
        ("a.npz", {"V": np.array([[{}]])}, "is of type object"),
        ("a.npy", b"", "not a NumPy file of numbers"),
        ("a.npy", b"1 2 3", "not a NumPy file of numbers"),
        ("a.npz", b"PK\x03\x04 cut short", "not a NumPy file of numbers"),
    ],
)
def test_bad_custom_files_are_usage_problems(tmp_path: Path, name: str, content: Any, says: str) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif isinstance(content, dict):
        np.savez(tmp_path / name, **content)
    else:
        np.save(tmp_path / name, content)
    with pytest.raises(UsageProblem, match=says) as problem:
        check_job(custom_job(tmp_path, name), "job.toml")
    assert "design.custom" in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.slow("starts processes")
def test_several_draws_need_no_other_kernels_than_one() -> None:
    """An array in another order would compile a kernel again: ten seconds that a pilot takes for the draws' cost."""
    code = (
        "import gc, sys; sys.path.insert(0, sys.argv[1]); from job_cases import tiny_job\n"
        "from numba.core.registry import CPUDispatcher; from crbatch.jobs.chunk.evaluate import evaluate\n"
        "def found(): return {(d.py_func.__name__, s) for d in gc.get_objects() if isinstance(d, CPUDispatcher)"
        " for s in d.signatures}\n"
        "evaluate(tiny_job(), 0, 1); before = found(); evaluate(tiny_job(), 0, 6); print(found() - before or 'none')"
    )
    said = subprocess.run([sys.executable, "-P", "-c", code, SUPPORT], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "none"
