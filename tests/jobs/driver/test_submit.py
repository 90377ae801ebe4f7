"""Runs handed to a batch system (a fake one here), poison draws, and workers that do not see the run's folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from crbatch import Status
from crbatch.cluster.profiles import SlurmProfile, load_profile, parse_profile
from crbatch.jobs.chunk.evaluate import evaluate, failed
from crbatch.jobs.driver.submit import scripts, submit, work
from crbatch.jobs.errors import EnvironmentProblem, Exit, UsageProblem
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.terminal.progress import Progress
from crbatch.results.shards import list_shards
from job_cases import QUIET, crbatch, digests, run_tiny, tiny_job, write_job

Captured = pytest.CaptureFixture[str]
PROFILE = 'kind = "slurm"\nworkers = 2\nmemory = "1GB"\nwalltime = "00:10:00"\ninterface = "lo"\n'


@pytest.fixture
def profile(tmp_path: Path) -> SlurmProfile:
    path = tmp_path / "queue.toml"
    path.write_text(PROFILE)
    found = load_profile(str(path))
    assert isinstance(found, SlurmProfile)
    return found


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A batch system that takes everything, and knows of the jobs in a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "sbatch": f"n=$(cat {folder}/count 2>/dev/null || echo 40); n=$((n + 1)); echo $n >{folder}/count\n"
        f'echo "$@" >>{folder}/handed; echo "$n $n PENDING" >>{folder}/jobs; echo $n',
        "squeue": f"cat {folder}/jobs 2>/dev/null || true",
        "scancel": f'echo "$@" >>{folder}/cancelled',
    }
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_submit_returns_with_the_driver_in_the_queue(queue: Path, profile: SlurmProfile, tmp_path: Path) -> None:
    folder = RunDirectory(tmp_path / "run")
    assert submit(tiny_job(), folder, profile, array=False) == ["41"]
    script = (folder.path / "logs" / "driver.sh").read_text()
    assert script == scripts(tiny_job(), folder.path, profile, array=False)["driver"]
    assert f"-P -m crbatch run {folder.path}/job.toml -o {folder.path} --cluster {folder.path}/cluster.toml &" in script
    assert load_profile(str(folder.path / "cluster.toml")) == profile
    assert [event["ids"] for event in folder.journal.events("jobs")] == [["41"]]


def test_array_and_the_job_that_waits_for_it(queue: Path, profile: SlurmProfile, tmp_path: Path) -> None:
    folder = RunDirectory(tmp_path / "run")
    assert submit(tiny_job(), folder, profile, array=True) == ["41", "42"]
    handed = (queue / "handed").read_text().splitlines()
    assert "--dependency=afterany:41" in handed[1]
    assert "#SBATCH --array=0-1" in (folder.path / "logs" / "array.sh").read_text()


def test_every_job_of_an_array_keeps_to_the_chunk_size(profile: SlurmProfile, tmp_path: Path) -> None:
    """That of the cube as well, which computes what a lost task left, cut where the others cut it."""
    made = scripts(tiny_job(), tmp_path / "run", profile, array=True, chunk=50)
    assert list(made) == ["array", "finish"]
    assert all("--chunk 50" in script for script in made.values())


def test_second_submission_is_refused_while_the_first_is_queued(
    queue: Path, profile: SlurmProfile, tmp_path: Path
) -> None:
    folder = RunDirectory(tmp_path / "run")
    submit(tiny_job(), folder, profile, array=False)
    with pytest.raises(EnvironmentProblem, match=r"its jobs 41 are still in the queue"):
        submit(tiny_job(), folder, profile, array=False)
    (queue / "jobs").write_text("41 41 COMPLETED\n")
    assert submit(tiny_job(), folder, profile, array=False) == ["42"]


def test_queue_that_refuses_leaves_no_half_of_an_array(queue: Path, profile: SlurmProfile, tmp_path: Path) -> None:
    (queue / "sbatch").write_text('#!/bin/sh\ncase "$*" in *dependency*) echo "no such" >&2; exit 1;; esac\necho 41\n')
    with pytest.raises(EnvironmentProblem, match="no such"):
        submit(tiny_job(), RunDirectory(tmp_path / "run"), profile, array=True)
    assert (queue / "cancelled").read_text() == "41\n"


def test_dry_run_prints_and_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    job = write_job(tmp_path)
    (tmp_path / "queue.toml").write_text(PROFILE)
    before = digests(tmp_path)
    words = ("submit", job, "-o", tmp_path / "run", "--cluster", tmp_path / "queue.toml", "--dry-run")
    assert crbatch(monkeypatch, *words) == 0
    out = capsys.readouterr().out
    assert out.count("#!/usr/bin/env bash") == 2
    assert "distributed.cli.dask_worker" in out
    assert crbatch(monkeypatch, *words, "--array", "--json") == 0
    assert json.loads(capsys.readouterr().out).keys() == {"array", "finish"}
    assert digests(tmp_path) == before
    assert not (tmp_path / "run").exists()


def test_what_has_no_queue_is_not_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    job = write_job(tmp_path)
    assert crbatch(monkeypatch, "submit", job, "-o", tmp_path / "run", "--cluster", "local") == Exit.USAGE
    assert "use run instead" in capsys.readouterr().err
    assert crbatch(monkeypatch, "submit", job, "-o", tmp_path / "run", "--cluster", "pbs") == Exit.USAGE
    assert "--dry-run" in capsys.readouterr().err
    assert crbatch(monkeypatch, "submit", job, "-o", tmp_path / "a b", "--cluster", "pbs", "--dry-run") == Exit.USAGE
    assert "choose another" in capsys.readouterr().err


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("of", [1, 2, 3])
def test_shares_are_the_whole_and_do_not_overlap(of: int, tmp_path: Path) -> None:
    folder = RunDirectory(tmp_path / "run")
    folder.claim()
    folder.prepare(tiny_job(), QUIET)
    done = [work(folder, share, of, Progress(quiet=True)) for share in range(of)]
    shards = list_shards(folder.shards)
    assert sum(done) == len(shards)
    assert [shard.start for shard in shards] == [0, *(shard.stop for shard in shards[:-1])]
    assert [work(folder, share, of, Progress(quiet=True)) for share in range(of)] == [0] * of
    run_tiny(folder.path)
    run_tiny(tmp_path / "fresh")
    assert (folder.path / "cube.nc").read_bytes() == (tmp_path / "fresh" / "cube.nc").read_bytes()


# ---- workers that do not see the folder


def test_driver_in_the_queue_has_to_see_the_folder(profile: SlurmProfile, tmp_path: Path) -> None:
    blind = profile.model_copy(update={"shared_filesystem": False})
    with pytest.raises(UsageProblem, match="use run instead"):
        submit(tiny_job(), RunDirectory(tmp_path / "run"), blind, array=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow("starts a cluster")
def test_driver_commits_where_no_file_system_is_shared(tmp_path: Path) -> None:
    unshared = parse_profile({"kind": "local", "workers": 2, "shared_filesystem": False}, "x")
    run_tiny(tmp_path / "unshared", cluster=unshared, chunk=2)
    run_tiny(tmp_path / "shared", chunk=2)
    shared, other = (
        {name: digest for name, digest in digests(tmp_path / run).items() if name.endswith(".nc")}
        for run in ("shared", "unshared")
    )
    assert shared == other


def test_custom_beams_have_to_be_seen(tmp_path: Path) -> None:
    np.save(tmp_path / "beams.npy", np.eye(16)[:, :4])
    unshared = parse_profile({"kind": "local", "shared_filesystem": False}, "x")
    job = tiny_job(design={"custom": str(tmp_path / "beams.npy")})
    with pytest.raises(UsageProblem, match=r"design.custom"):
        run_tiny(tmp_path / "run", job, cluster=unshared)


# ---- poison draws


def test_poison_draw_is_flagged_and_named_and_all_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_tiny(tmp_path / "good", chunk=3)

    def evaluate_but_four(job, start, stop):  # type: ignore[no-untyped-def]
        if start <= 4 < stop:
            raise ZeroDivisionError("of draw 4")
        return evaluate(job, start, stop)

    monkeypatch.setattr("crbatch.jobs.chunk.task.evaluate", evaluate_but_four)
    monkeypatch.setattr("crbatch.jobs.driver.session.pilot", lambda job, missing: 0.1)
    outcome = run_tiny(tmp_path / "run", chunk=3)
    assert outcome.exit == Exit.SOME_UNCERTIFIED
    assert outcome.summary["failed_draws"] == [4]
    assert outcome.summary["failed"] == 4 * 3
    reasons = [event["failed"] for event in RunDirectory(tmp_path / "run").journal.events("chunk") if "failed" in event]
    assert reasons == ["ZeroDivisionError: of draw 4"]
    with xr.open_dataset(tmp_path / "run" / "cube.nc") as cube, xr.open_dataset(tmp_path / "good" / "cube.nc") as good:
        assert (cube.status.sel(draw=4) == Status.FAILED).all()
        assert np.isnan(cube.crb_bp.sel(draw=4)).all()
        rest = [0, 1, 2, 3, 5]
        xr.testing.assert_identical(cube.sel(draw=rest).drop_attrs(), good.sel(draw=rest).drop_attrs())
    again = run_tiny(tmp_path / "run", chunk=3)  # a flagged draw is done, not missing
    assert again.nothing_left
    assert again.exit == Exit.SOME_UNCERTIFIED


@pytest.mark.parametrize("keep", [[], ["covariance", "beamformers", "power"]])
def test_flagged_draws_have_the_shape_of_others(keep: list[str]) -> None:
    job = tiny_job(output={"keep": keep}, sweep={"targets": [1, 2]} if not keep else {})
    blank, real = failed(job, 2, 4), evaluate(job, 2, 4)
    assert {name: (v.dims, v.shape, v.dtype) for name, v in blank.variables.items()} == {
        name: (v.dims, v.shape, v.dtype) for name, v in real.variables.items()
    }
