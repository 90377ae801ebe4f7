"""V, W and p as the cube keeps them, put into the independent dense computation."""

from pathlib import Path
from typing import Any

import naive
import naive_codebook
import numpy as np
import pytest
import xarray as xr
from crbatch.jobs.driver.refusals import check_job
from crbatch.jobs.driver.session import run
from crbatch.jobs.errors import DamagedData, IncompleteRun
from crbatch.jobs.finished.check import replay, verify
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile, load_job
from crbatch.jobs.terminal.progress import Progress

PHASES = {"phases_bistatic_rad": [0.3, -1.2, 2.0], "phases_monostatic_rad": [-0.4, 1.1, 0.6]}
JOB: dict[str, Any] = {
    "schema": 1,
    "name": "kept",
    "scenario": {"target_positions_m": [[-10, 15], [5, 15]], "subcarriers": 128, "tx_antennas": 12},
    "draws": {"count": 1, "phases": "fixed", **PHASES},
    "design": {"schemes": ["fdb-wcrb", "cpa-wcrb", "fdb-wbf", "fdb-wvm"], "rho": [0.0, 0.35, 1.0]},
    "output": {"keep": ["covariance", "beamformers", "power"]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    path = RunDirectory(tmp_path_factory.mktemp("kept") / "run")
    job = JobFile.model_validate(JOB)
    run(job, path, cluster="none", workers=None, chunk=None, report=False, progress=Progress(quiet=True))
    return path


@pytest.fixture(scope="module")
def cube(folder: RunDirectory) -> xr.Dataset:
    with xr.open_dataset(folder.cube) as data:
        return data.load()


@pytest.fixture(scope="module")
def case() -> naive.Case:
    return naive.Case(
        bs=(0.0, 0.0), bs_broadside=np.pi / 2, ue=(-5.0, 20.0), phi=np.radians(110.0), clock=1e-6,
        targets=((-10.0, 15.0), (5.0, 15.0)), mt=12, mr=16, mu=16, fc=28e9, bw=120e6, m=128, p_dbm=-20.0,
        nf_db=10.0, n0_dbm=-173.855, slots=16, pilots=100, rcs_ue=10.0, rcs=100.0, literal=False,
        phase_bp=PHASES["phases_bistatic_rad"], phase_ms=PHASES["phases_monostatic_rad"],
    )  # fmt: skip


def complex_of(array: xr.DataArray) -> np.ndarray:
    return array.values[..., 0] + 1j * array.values[..., 1]


@pytest.mark.parametrize("rho", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("scheme", ["fdb-wcrb", "cpa-wcrb", "fdb-wbf", "fdb-wvm"])
def test_covariance_gives_the_bounds_of_the_cube(cube: xr.Dataset, case: naive.Case, scheme: str, rho: float) -> None:
    one = cube.isel(draw=0).sel(scheme=scheme, rho=rho)
    v = complex_of(one["covariance"])
    assert np.trace(v).real == pytest.approx(case.power, rel=1e-12)
    assert naive.crb_bistatic(case, v) == pytest.approx(float(one["crb_bp"]), rel=1e-7)
    assert naive.crb_monostatic(case, v) == pytest.approx(float(one["crb_ms"]), rel=1e-7)
    if scheme == "fdb-wcrb":
        assert naive.certified_gap(case, v, rho) < 1e-6
        assert naive.certified_gap(case, v, rho) == pytest.approx(float(one["gap"]), abs=1e-9)


def test_beamformers_and_powers_make_the_covariance(cube: xr.Dataset, case: naive.Case) -> None:
    v, w = complex_of(cube["covariance"]), complex_of(cube["beamformers"])
    np.testing.assert_allclose(w @ np.swapaxes(w.conj(), -1, -2), v, atol=1e-9 * case.power)
    power = cube["power"].isel(draw=0).sel(scheme="cpa-wcrb").values
    np.testing.assert_allclose(power.sum(axis=-1), case.power, rtol=1e-12)
    interleaved = naive_codebook.codebook(case)
    codebook = np.concatenate((interleaved[:, ::2], interleaved[:, 1::2]), axis=1)
    cpa = complex_of(cube["covariance"].isel(draw=0).sel(scheme="cpa-wcrb"))
    np.testing.assert_allclose(
        np.einsum("ti,ri,ui->rtu", codebook, power, codebook.conj()), cpa, atol=1e-10 * case.power
    )


def test_replay_and_verify(folder: RunDirectory) -> None:
    assert replay(folder, 0)["identical"]
    found = verify(folder)
    assert found["designs_recomputed"] == 6
    assert found["largest_gap"] < 1e-6


def test_verify_notices_damage(folder: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(tmp_path / "copy")
    copy.shards.mkdir(parents=True)
    for path in folder.path.rglob("*"):
        if path.is_file():
            (copy.path / path.relative_to(folder.path)).write_bytes(path.read_bytes())
    data = bytearray(copy.cube.read_bytes())
    data[-9] ^= 4
    copy.cube.write_bytes(data)
    with pytest.raises(DamagedData, match="journal"):
        verify(copy)
    copy.cube.unlink()
    with pytest.raises(IncompleteRun, match="run the job again"):
        verify(copy)


def test_custom_beams_stand_beside_the_schemes(tmp_path: Path, cube: xr.Dataset) -> None:
    best = cube.isel(draw=0).sel(scheme="fdb-wcrb")
    np.save(tmp_path / "beams.npy", 7.0 * complex_of(best["beamformers"]))  # any scale: only the shape counts
    document = {**JOB, "design": {**JOB["design"], "schemes": ["fdb-wcrb"], "custom": "beams.npy"}, "output": {}}
    (tmp_path / "job.toml").write_text(JobFile.model_validate(document).to_toml())
    job = load_job(tmp_path / "job.toml")
    check_job(job, "job.toml")
    folder = RunDirectory(tmp_path / "run")
    options: dict[str, Any] = {"cluster": "none", "workers": None, "chunk": None, "report": False}
    run(job, folder, progress=Progress(quiet=True), **options)
    assert run(job, folder, progress=Progress(quiet=True), **options).nothing_left
    with xr.open_dataset(folder.cube) as data:
        assert data["scheme"].values.tolist() == ["fdb-wcrb", "custom"]
        for name in ("crb_bp", "crb_ms", "gap"):
            mine, theirs = (data[name].isel(draw=0).sel(scheme=s).values for s in ("custom", "fdb-wcrb"))
            np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-9)
