"""Jobs with paths from a file: the same cube as without it, what takes part in a run, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from crbatch import Scenario, sample, write_paths
from crbatch.engine.draws import DrawModel
from crbatch.jobs.chunk.draws import check_draws, draws_of
from crbatch.jobs.errors import Exit, UsageProblem
from crbatch.jobs.finished.check import verify
from crbatch.jobs.finished.description import what
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.packaged import packaged_text
from crbatch.jobs.jobfile.schema import JobError, JobFile, load_job
from job_cases import crbatch, run_tiny
from world_nuisances import crowded_paths, own_paths, random_nuisances
from world_scenes import random_scene

HEAD = 'schema = 1\nname = "given"\n'
DESIGN = '[design]\nschemes = ["fdb-wcrb", "cpa-wbf", "apa"]\nrho = [0.0, 0.5, 1.0]\n'
SPACE = """[scenario]
bs_position_m = [0, 0, 8]
ue_position_m = [-5, 20, 1.5]
target_positions_m = [[-10, 15, 1], [5, 15, 2]]
tx_array = { kind = "upa", rows = 2, columns = 4 }
rx_array = { kind = "upa", rows = 2, columns = 4 }
ue_array = { kind = "upa", rows = 2, columns = 2 }
subcarriers = 32
"""
DRAWN_IN_SPACE = """count = 3
ue_position = { kind = "box", x_m = [-10, 10], y_m = [5, 20], z_m = [1, 2] }
ue_orientation = "uniform-3d"
rcs = "swerling1"
"""


def loaded(folder: Path, text: str) -> JobFile:
    path = folder / "given.toml"
    path.write_text(text)
    return load_job(path)


def variables(folder: Path) -> dict[str, np.ndarray]:
    with netCDF4.Dataset(folder / "cube.nc") as file:
        file.set_auto_mask(False)
        return {name: np.asarray(file[name][...]) for name in file.variables}


def exported(folder: Path, job: JobFile, name: str = "paths.csv") -> None:
    draws = draws_of(job, job.scenario, 0, job.draws.count)
    write_paths(folder / name, job.scenario, draws)


@pytest.mark.parametrize("suffix", ["csv", "nc"])
@pytest.mark.parametrize("where", ["drops", "space"])
def test_exported_draws_make_the_same_cube_bit_by_bit(tmp_path: Path, where: str, suffix: str) -> None:
    if where == "drops":
        head = packaged_text("drops").split("[draws]")[0]
        drawn = packaged_text("drops").split("[draws]")[1].split("[design]")[0].replace("count = 1000", "count = 4")
    else:
        head, drawn = HEAD + SPACE, DRAWN_IN_SPACE
    first = loaded(tmp_path, f"{head}[draws]\n{drawn}\n{DESIGN}")
    run_tiny(tmp_path / "first", first)
    exported(tmp_path, first, f"paths.{suffix}")
    second = loaded(tmp_path, f'{head}[draws]\npaths = "paths.{suffix}"\n{DESIGN}')
    assert second.draws.count == first.draws.count
    run_tiny(tmp_path / "second", second)
    one, other = variables(tmp_path / "first"), variables(tmp_path / "second")
    assert one.keys() == other.keys()
    assert len(one) > 20
    for name, values in one.items():
        if values.dtype == object:
            assert np.array_equal(values, other[name])
        elif not name.endswith("seconds"):
            assert values.tobytes() == other[name].tobytes(), name


def crowded_job(folder: Path, draws: str = "", more: str = "") -> JobFile:
    """A job whose file has nuisance paths."""
    base = loaded(folder, HEAD + SPACE)
    scenario = base.scenario
    scene = random_nuisances(3, random_scene(3, targets=2), 1, 1)
    plain = sample(scenario, DrawModel(), 1, 0, 3)
    given = replace(plain, paths=crowded_paths(plain, scene, own_paths(scenario, plain)))
    write_paths(folder / "paths.csv", scenario, given)
    return loaded(folder, f'{HEAD}{SPACE}[draws]\npaths = "paths.csv"\n{draws}\n{DESIGN}{more}')


def test_a_run_with_nuisance_paths_is_complete_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = crowded_job(tmp_path)
    run_tiny(tmp_path / "run", job, report=True)
    cube = variables(tmp_path / "run")
    assert np.isfinite(cube["crb_bp"]).all()
    assert (cube["gap"][:, :1] < 1e-6).all()
    (tmp_path / "paths.csv").unlink()  # the run has a copy
    assert crbatch(monkeypatch, "verify", tmp_path / "run") == Exit.DONE
    found = verify(RunDirectory(tmp_path / "run"))
    assert found
    plain = loaded(tmp_path, f"{HEAD}{SPACE}[draws]\ncount = 3\nseed = 1\n{DESIGN}")
    run_tiny(tmp_path / "plain", plain)
    assert cube["crb_bp"][0, 0, 2] >= variables(tmp_path / "plain")["crb_bp"][0, 0, 2]


def test_fewer_paths_on_demand_and_fewer_targets_by_a_sweep(tmp_path: Path) -> None:
    job = crowded_job(tmp_path, more="[sweep]\ntargets = [1, 2]\n")
    one = draws_of(job, job.sweep_points()[0][1], 1, 3)
    assert one.target_rcs.shape == (2, 1)
    assert one.nuisances == (1, 1)
    assert len(one.paths.departure[0]) == 4  # type: ignore[union-attr]


def test_the_file_is_part_of_the_identity(tmp_path: Path) -> None:
    key = crowded_job(tmp_path).key()
    path = tmp_path / "paths.csv"
    path.write_text(path.read_text() + "# more\n")
    assert load_job(tmp_path / "given.toml").key() != key
    assert json.loads(load_job(tmp_path / "given.toml").canonical())["draws"]["paths"] == "paths.csv"


REFUSED = [
    ('file = "paths.csv"', "", "draws.paths: file says where everything is, too"),
    ('ue_orientation = "uniform"', "", "draws.paths: they say what ue_orientation says, too"),
    ("count = 4", "", "draws.paths: .* has 3 draws, and 4 are asked for; lower draws.count to 3"),
    ('rcs = "swerling1"', "", "draws.paths: .* has echoes, of which draws.rcs speaks too"),
    ("strongest = 2", "", "draws.paths: .*: draw 0"),
    ("", "[sweep]\nclock_bias_s = [0.0, 1e-7]\n", "sweep.clock_bias_s: draws.paths would stay as they are"),
    ("", 'knowledge = "nominal"\n', "design.knowledge: paths are known draw by draw"),
    ("", '[output]\nkeep = ["errors"]\n', 'output.keep: "errors" takes an estimator'),
]


@pytest.mark.parametrize(("draws", "more", "reason"), REFUSED)
def test_refusals(tmp_path: Path, draws: str, more: str, reason: str) -> None:
    with pytest.raises((JobError, UsageProblem), match=reason) as caught:
        check_draws(crowded_job(tmp_path, draws, more))
    assert "\n" not in str(caught.value)


def test_the_report_says_that_paths_are_from_the_file(tmp_path: Path) -> None:
    job = crowded_job(tmp_path)
    run_tiny(tmp_path / "run", job)
    rows = dict(what(RunDirectory(tmp_path / "run"), job))
    assert rows["From paths.csv"] == "phases, UE position, target positions, UE orientation"
    assert rows["Random"] == "nothing"


def test_files_that_are_missing_or_none(tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"draws\.paths: no file .*lost\.csv"):
        loaded(tmp_path, f'{HEAD}[draws]\npaths = "lost.csv"\n')
    (tmp_path / "paths.csv").write_text("draw,link\n")
    with pytest.raises(JobError, match=r"draws\.paths: .*paths\.csv: column aod_rad is missing"):
        loaded(tmp_path, f'{HEAD}[draws]\npaths = "paths.csv"\n')
    with pytest.raises(JobError, match=r"draws\.strongest: there are no paths to choose from"):
        loaded(tmp_path, f"{HEAD}[draws]\nstrongest = 3\n")


def test_paths_of_another_dimension_are_refused(tmp_path: Path) -> None:
    crowded_job(tmp_path)
    job = loaded(tmp_path, f'{HEAD}[draws]\npaths = "paths.csv"\n')
    assert job.scenario == Scenario()
    with pytest.raises(UsageProblem, match="directions are those of space, the scenario is one of the plane"):
        check_draws(job)
