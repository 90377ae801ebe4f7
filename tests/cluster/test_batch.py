"""Job scripts as strings, and a batch system's programs: fakes of them stand first on the path."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from crbatch.cluster import batch
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.profiles import PbsProfile, SlurmProfile, parse_profile
from crbatch.cluster.threads import WORKER_ENVIRONMENT

WORDS = {
    "workers": 4,
    "cores": 2,
    "memory": "4GB",
    "walltime": "01:30:00",
    "queue": "main",
    "account": "radar",
    "prologue": ["module load python"],
    "directives": ["--constraint=zen4"],
}


def profile(kind: str, **changes: object) -> SlurmProfile | PbsProfile:
    made = parse_profile({"kind": kind} | WORDS | changes, "x.toml")
    assert isinstance(made, SlurmProfile | PbsProfile)
    return made


def directives(script: str) -> set[str]:
    return {line for line in script.splitlines() if line.startswith(("#SBATCH", "#PBS"))}


def test_slurm_driver_script(tmp_path: Path) -> None:
    script = batch.driver_script(profile("slurm"), "my run", tmp_path / "logs", ["crbatch", "run", "a b"])
    assert directives(script) == {
        "#SBATCH -J crbatch-my_run",
        "#SBATCH -p main",
        "#SBATCH -A radar",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=2",
        "#SBATCH --mem=4G",
        "#SBATCH -t 01:30:00",
        f"#SBATCH -o {tmp_path}/logs/%x-%j.out",
        f"#SBATCH -e {tmp_path}/logs/%x-%j.err",
        "#SBATCH --constraint=zen4",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
    }
    lines = script.splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert (
        lines.index("export PYTHONSAFEPATH=1") < lines.index("module load python") < lines.index("crbatch run 'a b' &")
    )
    assert {f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()} <= set(lines)
    assert "export CRBATCH_END=$(($(date +%s) + 5400))" in lines
    assert not (tmp_path / "logs").exists()  # a script is only a text


def test_pbs_array_script(tmp_path: Path) -> None:
    script = batch.array_script(profile("pbs", directives=[]), "run", tmp_path, ["crbatch", "work"], 10)
    assert directives(script) == {
        "#PBS -N crbatch-run",
        "#PBS -q main",
        "#PBS -A radar",
        "#PBS -l select=1:ncpus=2:mem=3815MB",
        "#PBS -l walltime=01:30:00",
        f"#PBS -o {tmp_path}/",
        f"#PBS -e {tmp_path}/",
        "#PBS -J 0-9",
        "#PBS -r y",
    }
    assert 'crbatch work "$PBS_ARRAY_INDEX" &' in script.splitlines()


def test_workers_start_safely(tmp_path: Path) -> None:
    script = batch.worker_script(profile("slurm"), "run", tmp_path, "tls://host:1")
    command = script.splitlines()[-1]
    assert command.startswith(f"{sys.executable} -P -m distributed.cli.dask_worker tls://host:1 ")
    assert '--local-directory "$scratch"' in command
    assert "--nworkers 2" in command
    assert "--nthreads 1" in command


@pytest.mark.parametrize(("kind", "array"), [("slurm", False), ("slurm", True), ("pbs", False), ("pbs", True)])
def test_scripts_are_bash(kind: str, array: bool, tmp_path: Path) -> None:
    if array:
        script = batch.array_script(profile(kind), "run", tmp_path, ["true"], 3)
    else:
        script = batch.driver_script(profile(kind), "run", tmp_path, ["true"])
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def run_script(script: str, folder: Path) -> tuple[int, list[str]]:
    """Run a job script here; its exit code, and the calls of `scontrol`."""
    calls = folder / "calls"
    program(folder, "scontrol", f'echo "$@" >>{calls}')
    done = subprocess.run(
        ["bash"],
        input=script.replace("module load python", "true"),
        text=True,
        check=False,
        env={"PATH": f"{folder}:/usr/bin:/bin", "SLURM_JOB_ID": "17", "TMPDIR": str(folder)},
    )
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


def program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("code", "calls"), [(0, []), (3, ["requeue 17"]), (4, []), (5, [])])
def test_only_unfinished_work_returns_to_the_queue(code: int, calls: list[str], tmp_path: Path) -> None:
    script = batch.driver_script(profile("slurm"), "run", tmp_path, ["sh", "-c", f"exit {code}"])
    assert run_script(script, tmp_path) == (code, calls)
    assert not list(tmp_path.glob("crbatch-*"))  # its scratch folder is gone


def test_notice_before_walltime_reaches_the_work(tmp_path: Path) -> None:
    work = "trap 'exit 3' USR1; kill -USR1 $PPID; while :; do sleep 0.05; done"
    script = batch.driver_script(profile("slurm"), "run", tmp_path, ["sh", "-c", work])
    assert run_script(script, tmp_path) == (3, ["requeue 17"])


@pytest.mark.parametrize("name", ["a b", "$HOME", "x;y", "a'b", "new\nline", "100%"])
def test_folders_that_a_script_cannot_hold_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="choose another"):
        batch.check_folder(tmp_path / name)


@pytest.mark.parametrize("name", ["a b", "x;rm -rf ~", "a\n#SBATCH --uid=0", "$(id)", "ü" * 80])
def test_job_names_are_harmless(name: str) -> None:
    made = batch.job_name(name)
    assert made.startswith("crbatch-")
    assert len(made) <= 40
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_submitted_job_is_known_by_its_number(programs: Path, tmp_path: Path) -> None:
    program(programs, "sbatch", f'echo "$@" >{tmp_path}/words; echo "123;cluster"')
    assert batch.submit(tmp_path / "x.sh", "--dependency=afterany:7") == "123"
    assert (tmp_path / "words").read_text().strip() == f"--parsable --dependency=afterany:7 {tmp_path}/x.sh"


def test_what_the_queue_says_is_passed_on(programs: Path, tmp_path: Path) -> None:
    program(programs, "sbatch", "echo 'error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1")
    with pytest.raises(ClusterError, match="QOSMaxSubmitJobPerUserLimit"):
        batch.submit(tmp_path / "x.sh")


def test_missing_program_is_named(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs))
    assert shutil.which("squeue") is None
    with pytest.raises(ClusterError, match="squeue: no such program"):
        batch.alive(["1"])


def test_alive_are_jobs_that_have_not_ended(programs: Path) -> None:
    states = "5 5 RUNNING\n6 6 COMPLETED\n7 7 PENDING\n9 8 RUNNING\n10 10 CANCELLED\n11 11 COMPLETING\n99 99 RUNNING"
    program(programs, "squeue", f"cat <<'X'\n{states}\nX")
    assert batch.alive(["5", "6", "7", "8", "10", "11", "12"]) == {"5", "7", "8", "11"}
    assert batch.alive([]) == set()


def test_cancel_names_jobs_only(programs: Path, tmp_path: Path) -> None:
    program(programs, "scancel", f'echo "$@" >>{tmp_path}/words')
    batch.cancel(["9", "10", "9"])
    batch.cancel([])
    assert (tmp_path / "words").read_text().splitlines() == ["10 9"]


def test_worker_scripts_are_private_on_their_way(tmp_path: Path) -> None:
    from crbatch.cluster.slurm import _cluster_class

    job = _cluster_class(True, tmp_path).job_cls(
        "tls://h:1", name="0", **batch.template(profile("slurm"), "run", tmp_path)
    )
    with job.job_file() as path:
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        assert Path(path).read_text() == job.job_script()
    assert not Path(path).exists()
