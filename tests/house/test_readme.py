"""What the README shows works as written."""

import re
from pathlib import Path

import pytest
import xarray as xr
from crbatch.cluster.profiles import load_profile
from crbatch.jobs.driver.session import run
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile, load_job
from crbatch.jobs.terminal.progress import Progress
from repository import ROOT

README = ROOT / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("number", [0, 1])
def test_library_snippets_run(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks("python")[number], f"README block {number}", "exec"), {})
    assert "BP" in capsys.readouterr().out


def test_library_snippet_is_short() -> None:
    lines = [line for line in blocks("python")[0].splitlines() if line.strip()]
    assert len(lines) < 10


def test_cluster_profile_is_valid(tmp_path: Path) -> None:
    (tmp_path / "slurm.toml").write_text(blocks("toml")[0])
    profile = load_profile(str(tmp_path / "slurm.toml"))
    assert (profile.kind, profile.workers) == ("slurm", 16)


def test_job_file_is_valid(tmp_path: Path) -> None:
    (tmp_path / "wide.toml").write_text(blocks("toml")[1])
    job = load_job(tmp_path / "wide.toml")
    assert job.name == "wide"
    assert len(job.sweep_points()) == 3


def test_cube_snippet_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    resolved = load_job("paper").resolved()
    resolved["draws"]["count"] = 2
    resolved["design"] |= {"schemes": ["fdb-wcrb", "apa"], "rho": [0.0, 1.0]}
    job = JobFile.model_validate(resolved)
    folder = RunDirectory(tmp_path / "out" / "paper")
    run(job, folder, cluster="none", workers=None, chunk=None, report=False, progress=Progress(quiet=True))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[2], "README cube block", "exec"), {})
    with xr.open_dataset(folder.cube) as cube:
        best = float((cube["crb_bp"] ** 0.5).sel(targets=3, scheme="fdb-wcrb", rho=1.0).median())
    assert f"{best:.6f}" in capsys.readouterr().out


def test_statistics_snippet_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resolved = load_job("paper").resolved()
    resolved["draws"]["count"] = 9
    resolved["design"] |= {"schemes": ["fdb-wcrb", "apa"], "rho": [0.0, 0.5, 1.0]}
    folder = RunDirectory(tmp_path / "out" / "paper")
    job = JobFile.model_validate(resolved)
    run(job, folder, cluster="none", workers=None, chunk=None, report=False, progress=Progress(quiet=True))
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[3], "README statistics block", "exec"), {})
    assert "APA wastes" in capsys.readouterr().out
    assert "bp_lower [m]" in (tmp_path / "front.csv").read_text()


def test_every_variable_of_the_cube_is_named() -> None:
    from crbatch.results.schema import VARIABLES

    text = README.read_text(encoding="utf-8")
    for name in VARIABLES:
        family = name.split("_")[0]
        assert f"`{name}`" in text or f"`{family}_*`" in text, name
