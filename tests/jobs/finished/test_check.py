"""Replay and verification: what is whole passes, and every kind of damage is noticed and named."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from crbatch.jobs.errors import DamagedData, Exit, IncompleteRun, UsageProblem
from crbatch.jobs.finished import check
from crbatch.jobs.finished.check import replay, verify
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.results.files import file_hash
from crbatch.results.shards import list_shards
from job_cases import DROPS, QUIET, crbatch, digests, run_tiny, tiny_job


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("reference") / "run"
    job = tiny_job(draws=DROPS, sweep={"targets": [1, 2]}, output={"keep": ["covariance"]})
    run_tiny(folder, job, chunk=3)
    return folder


@pytest.fixture
def copy(reference: Path, tmp_path: Path) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(reference, tmp_path / "run")))


def forge(run: RunDirectory, name: str, index: tuple[int, ...], change: Callable[[Any], Any]) -> None:
    """Change one number of the cube and vouch for it in the journal, as only a forger or a bug would."""
    with netCDF4.Dataset(run.cube, "a") as file:
        file.set_auto_mask(False)
        file[name][index] = change(file[name][index])
    run.journal.write("cube", sha256=file_hash(run.cube), job=run.job().canonical(), seconds=0.0)


def test_whole_run_passes_untouched(reference: Path) -> None:
    before = digests(reference)
    found = verify(RunDirectory(reference))
    assert (found["shards"], found["draws"], found["draws_replayed"]) == (3, 8, 4)
    assert found["designs_recomputed"] == 4 * 2 * 2 * 3  # draws, points, optimised schemes, weights
    assert 0 < found["largest_gap"] < 1e-6
    assert digests(reference) == before


@pytest.mark.parametrize("draw", [0, 4, 7])
def test_replay_gives_every_design_of_the_draw(reference: Path, draw: int) -> None:
    found = replay(RunDirectory(reference), draw)
    assert found["identical"]
    assert found["different"] == []
    assert len(found["designs"]) == 2 * 4 * 3
    first = found["designs"][0]
    assert (first["targets"], first["scheme"], first["rho"], first["status"]) == (1, "fdb-wcrb", 0.0, "certified")


@pytest.mark.parametrize("draw", [-1, 8])
def test_replay_of_no_draw_is_refused(reference: Path, draw: int) -> None:
    with pytest.raises(UsageProblem, match="there are 0 to 7"):
        replay(RunDirectory(reference), draw)


@pytest.mark.parametrize(
    ("name", "index", "change"),
    [
        ("crb_bp", (1, 2, 0, 1), lambda x: np.nextafter(x, 0)),
        ("status", (0, 2, 3, 0), lambda x: x + 1),
        ("covariance", (1, 2, 0, 1, 3, 4, 1), lambda x: -x),
        ("target_position", (1, 2, 0, 0), lambda x: x + 1e-9),
    ],
)
def test_one_changed_number_is_found(
    copy: RunDirectory, monkeypatch: pytest.MonkeyPatch, name: str, index: tuple[int, ...], change: Callable[[Any], Any]
) -> None:
    forge(copy, name, index, change)
    assert replay(copy, 2)["different"] == [name]
    assert replay(copy, 3)["identical"]
    with pytest.raises(DamagedData, match=rf"{name} of draws 0 to 7 is not that of its shards"):
        verify(copy)
    assert crbatch(monkeypatch, "replay", copy.path, "--draw", 2) == Exit.DAMAGED


def test_damage_has_exit_code_6_and_names_the_file(
    copy: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = copy.cube.read_bytes()
    copy.cube.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    for command in (("verify",), ("report",), ("replay", "--draw", 0)):
        assert crbatch(monkeypatch, command[0], copy.path, *command[1:]) == Exit.DAMAGED
        said = capsys.readouterr().err
        assert said.startswith(f"crbatch: {copy.cube}: its bytes")
        assert said.count("\n") == 1
    copy.cube.write_bytes(whole)
    victim = list_shards(copy.shards)[1].path
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    assert crbatch(monkeypatch, "verify", copy.path) == Exit.DAMAGED
    assert str(victim) in capsys.readouterr().err


def test_lost_shard_is_noticed_beside_its_cube(copy: RunDirectory) -> None:
    list_shards(copy.shards)[1].path.unlink()
    with pytest.raises(DamagedData, match=r"shards of draws \[\(3, 6\)\] are not"):
        verify(copy)


@pytest.mark.parametrize("lost", ["cube", "cube and shard", "draws added"])
def test_unfinished_is_not_called_damaged(copy: RunDirectory, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    left = {"cube": 0, "cube and shard": 3, "draws added": 4}[lost]
    if lost == "draws added":
        more = tiny_job(draws={**DROPS, "count": 12}, sweep={"targets": [1, 2]}, output={"keep": ["covariance"]})
        copy.prepare(more, QUIET)  # a run that was stopped right after
    else:
        copy.cube.unlink()
    if lost == "cube and shard":
        list_shards(copy.shards)[1].path.unlink()
    with pytest.raises(IncompleteRun, match=f"{left} draws to go; run the job again"):
        verify(copy)
    assert crbatch(monkeypatch, "verify", copy.path) == Exit.INCOMPLETE
    assert crbatch(monkeypatch, "report", copy.path) == Exit.INCOMPLETE


@pytest.mark.parametrize("gap", [2e-6, np.nan])
def test_certificate_that_does_not_hold_is_named(reference: Path, monkeypatch: pytest.MonkeyPatch, gap: float) -> None:
    monkeypatch.setattr(check, "certified_gap", lambda *_: np.array([gap]))
    with pytest.raises(DamagedData, match=r"draw 0, fdb-wcrb, rho = 0: the certificate does not hold"):
        verify(RunDirectory(reference))


@pytest.mark.parametrize("factor", [1 + 1e-5, np.nan])
def test_bound_that_the_explicit_sum_does_not_give_is_named(
    reference: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    slow = check.link_bounds

    def otherwise(*words: Any) -> Any:
        found = slow(*words)
        return replace(found, position=factor * found.position)

    monkeypatch.setattr(check, "link_bounds", otherwise)
    with pytest.raises(DamagedData, match=r"draw 0, fdb-wcrb, rho = 0: the explicit sum gives"):
        verify(RunDirectory(reference))


def test_run_without_targets_is_verified(tmp_path: Path) -> None:
    """Only rho = 0 is identifiable, and certified."""
    run_tiny(tmp_path / "run", tiny_job(scenario={"target_positions_m": []}, draws={"count": 2}))
    assert verify(RunDirectory(tmp_path / "run"))["designs_recomputed"] == 2 * 2
