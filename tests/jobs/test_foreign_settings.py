"""What users have set for other work changes no configuration, no job script, no figure, and ends nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import xarray as xr
from crbatch.cluster.settings import PRIVATE_SHELL, private_configuration
from crbatch.results.figures.panels import save
from crbatch.results.figures.tradeoff import tradeoff
from cube_cases import cube_of
from job_cases import write_job

QUEUE = """
jobqueue:
  slurm:
    queue: theirs
    account: theirs
    job-directives-skip: ["--mem"]
    worker-command: theirs
    log-directory: logs-of-theirs
distributed:
  worker: {preload: ["theirs.py"]}
  comm: {require-encryption: true}
"""
SAME = (".nc", ".png", ".pdf", ".svg", ".csv")
YAML = {"settings": QUEUE, "malformed": "a: [b", "no mapping": "- a", "no text": b"\xff\xfe"}
VARIABLES = {
    "DASK_DISTRIBUTED__WORKER__PRELOAD": "theirs.py",
    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
    "DASK_JOBQUEUE__SLURM__QUEUE": "theirs",
    "DASK_SCHEDULER_ADDRESS": "tcp://127.0.0.1:1",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".config" / "dask").mkdir(parents=True)
    return tmp_path


def theirs(home: Path, text: str | bytes = "", **variables: str) -> dict[str, str]:
    """An environment with a file of settings in a user's home, and variables."""
    if text:
        path = home / ".config" / "dask" / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DASK_")}
    return kept | {"HOME": str(home)} | variables


def run(environment: dict[str, str], *words: object, cwd: Path | None = None) -> str:
    command = [sys.executable, "-P", *map(str, words)]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


CONFIGURATION = """
import crbatch.__main__, json
import dask, distributed, dask_jobqueue
dask.config.refresh()
print(json.dumps(dask.config.config, sort_keys=True, default=str))
"""
CLUSTER = """
import crbatch.__main__, json
if __name__ == "__main__":
    import dask
    from crbatch.cluster.connect import connect
    with connect("local", 1) as client:
        found = client.run(dask.config.get, "distributed")
    print(json.dumps(list(found.values()), sort_keys=True, default=str))
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(theirs(tmp_path_factory.mktemp("nobody")), "-c", CONFIGURATION)


@pytest.mark.parametrize("kind", YAML)
def test_files_of_dask_do_not_matter(home: Path, undisturbed: str, kind: str) -> None:
    assert run(theirs(home, YAML[kind]), "-c", CONFIGURATION) == undisturbed
    assert os.listdir(home / ".config" / "dask") == ["mine.yaml"]  # nor is one left there


def test_variables_of_dask_do_not_matter(home: Path, undisturbed: str) -> None:
    (home / "more.yaml").write_text(QUEUE)
    environment = theirs(home, DASK_CONFIG=str(home / "more.yaml"), DASK_ROOT_CONFIG=str(home), **VARIABLES)
    assert run(environment, "-c", CONFIGURATION) == undisturbed


@pytest.mark.slow("starts clusters")
@pytest.mark.parametrize("kind", ["settings", "malformed"])
def test_workers_are_shielded_too(home: Path, kind: str) -> None:
    script = home / "script.py"
    script.write_text(CLUSTER)
    plain = json.loads(run(theirs(home), script))
    found = json.loads(run(theirs(home, YAML[kind], **VARIABLES), script))
    for configuration in (*plain, *found):
        configuration["nanny"].pop("pre-spawn-environ", None)
    assert found == plain
    assert found[0]["worker"]["preload"] == []


def test_users_own_configuration_is_back_after_a_cluster() -> None:
    import dask
    import distributed  # noqa: F401  (which adds its defaults)

    with dask.config.set({"distributed.comm.require-encryption": True, "mine": 1}):
        before = json.dumps(dask.config.config, default=str)
        with private_configuration():
            assert dask.config.get("mine", None) is None
            assert dask.config.get("distributed.comm.require-encryption") is None
        assert json.dumps(dask.config.config, default=str) == before


@pytest.mark.slow("starts processes")
def test_scripts_are_the_profiles_alone(home: Path) -> None:
    job = write_job(home)
    words = ("-m", "crbatch", "submit", job, "-o", "out", "--cluster", "slurm", "--dry-run")
    plain = run(theirs(home), *words, cwd=home)
    assert run(theirs(home, QUEUE, **VARIABLES), *words, cwd=home) == plain
    assert "theirs" not in plain
    assert not (home / "logs-of-theirs").exists()


def test_worker_of_a_batch_job_is_shielded() -> None:
    script = "\n".join(['scratch="/tmp/a b"', *PRIVATE_SHELL, 'echo "$HOME ${DASK_CONFIG-none} $OTHER"'])
    environment = {"DASK_CONFIG": "x", "DASK_A__B": "y", "OTHER": "kept"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "/tmp/a b none kept\n"


# ---- figures


@pytest.fixture
def cube() -> xr.Dataset:
    return cube_of([4.0, 9.0, 25.0], scheme=("fdb-wcrb", "cpa-wcrb"), rho=(0.0, 0.5, 1.0))


def drawn(cube: xr.Dataset, folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in save(tradeoff(cube), folder, "figure")}


def others(key: str, value: Any) -> Any:
    """Another value of a parameter, of its own kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    return {"text": "red", "mathtext.fontset": "cm"}.get(key, value)


def test_no_parameter_changes_a_byte(cube: xr.Dataset, tmp_path: Path) -> None:
    plain = drawn(cube, tmp_path / "plain")
    changed = {}
    for key, value in mpl.rcParamsDefault.items():
        try:
            mpl.RcParams({key: others(key, value)})
        except (ValueError, TypeError, RuntimeError):
            continue
        changed[key] = others(key, value)
    assert changed["text.usetex"] is True
    before = dict(mpl.rcParams)
    with mpl.rc_context(changed):
        assert drawn(cube, tmp_path / "theirs") == plain
    assert dict(mpl.rcParams) == before


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("text", [b"text.usetex: True\nno.such.key: 1\nlines.linewidth: x\n", b"a: \xff\n"])
def test_matplotlibs_file_ends_nothing(home: Path, text: bytes) -> None:
    """Neither the one in the working folder, nor the user's, nor one that a variable names."""
    folder = home / ".config" / "matplotlib"
    folder.mkdir()
    for path in (home / "matplotlibrc", folder / "matplotlibrc", home / "other"):
        path.write_bytes(text)
    code = (
        "from crbatch.jobs.shield import shield; shield(); import os; here = os.getcwd()\n"
        "import crbatch.results.figures.panels, matplotlib\n"
        "assert os.getcwd() == here and dict(matplotlib.rcParams) == dict(matplotlib.rcParamsDefault)"
    )
    environment = theirs(home, MATPLOTLIBRC=str(home / "other"), MPLBACKEND="nonsense")
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# ---- all at once


@pytest.mark.slow("starts clusters")
@pytest.mark.parametrize("cluster", ["none", "local"])
def test_a_run_is_the_same(home: Path, cluster: str) -> None:
    job = write_job(home)
    (home / "matplotlibrc").write_text("text.usetex: True\nlines.linewidth: 9\n")
    (home / ".numba_config.yaml").write_text("{ not: [yaml")
    words = ("-m", "crbatch", "run", job, "--cluster", cluster, "-o")
    run(theirs(home), *words, home / "plain")
    numba = {"NUMBA_DISABLE_JIT": "1", "NUMBA_OPT": "0"}
    everything = theirs(home, YAML["malformed"], MPLBACKEND="nonsense", **VARIABLES, **numba)
    run(everything, *words, home / "theirs", cwd=home)
    names = [path.relative_to(home / "plain") for path in (home / "plain").rglob("*.*") if path.suffix in SAME]
    assert len(names) > 10
    for name in names:
        assert (home / "theirs" / name).read_bytes() == (home / "plain" / name).read_bytes(), name


# ---- modules


def test_modules_of_the_same_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("jobs", "cluster", "results", "engine"):
        (tmp_path / f"{name}.py").write_text("print('theirs')")
    script = "from crbatch import Scenario, design, open_cube; from crbatch.__main__ import main; main()"
    environment = os.environ | {"PYTHONPATH": f":{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", script, "--version"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "theirs" not in done.stdout
