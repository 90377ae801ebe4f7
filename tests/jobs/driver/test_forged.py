"""No way leads to exit 0 and another cube: shards renamed, copied, swapped or made up, inputs changed, jobs at once."""

import itertools
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crbatch.jobs.chunk.task
import crbatch.jobs.driver.chunks
import crbatch.jobs.driver.consolidation
import netCDF4
import numpy as np
import pytest
from crbatch.jobs.driver.session import run
from crbatch.jobs.errors import CommandError, DamagedData, Exit
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.rundir import RunDirectory
from crbatch.jobs.jobfile.schema import JobFile, load_job
from crbatch.results.files import file_hash
from crbatch.results.shards import Shard, _content_hash, list_shards
from job_cases import QUIET, exit_code, forked, run_tiny, tiny_job

FEW, MANY = 12, 200
JOB = tiny_job(draws={"count": 12}, design={"schemes": ["fdb-wcrb", "cpa-wcrb"], "rho": [0.0, 0.5]})


def attempts(few: int = FEW) -> Any:
    """Seeds: some in every test run, all of them in the slow one."""
    return pytest.mark.parametrize(
        "seeds", [range(few), pytest.param(range(few, MANY), marks=pytest.mark.slow("many forgeries"))], ids=len
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("reference") / "run"
    run_tiny(folder, JOB, chunk=3)
    return folder


def right_in_the_end(folder: Path, reference: Path, job: JobFile = JOB) -> None:
    """Whoever says it is done has the right cube, and verify does not vouch for another; the end is the right one."""
    right = (reference / "cube.nc").read_bytes()
    for _ in range(3):
        try:
            outcome = run_tiny(folder, job)
        except DamagedData:
            continue
        assert outcome.exit is Exit.DONE
        assert (folder / "cube.nc").read_bytes() == right
        verify(RunDirectory(folder))
        return
    raise AssertionError("the same command does not go on")


# ---- shards that are not what they are called


def named(shard: Shard, start: int, stop: int, sha256: str | None = None) -> Path:
    return shard.path.with_name(f"draws-{start:08d}-{stop:08d}-{sha256 or shard.sha256}.nc")


def rename(rng: random.Random, shards: list[Shard]) -> None:
    shard = rng.choice(shards)
    start = rng.randrange(12)
    shard.path.rename(named(shard, start, rng.randrange(start + 1, 14)))


def copy_to_other_draws(rng: random.Random, shards: list[Shard]) -> None:
    shard, other = rng.sample(shards, 2)
    if rng.random() < 0.5:
        other.path.unlink()
    shutil.copy(shard.path, named(shard, other.start, other.stop))


def swap(rng: random.Random, shards: list[Shard]) -> None:
    one, other = rng.sample(shards, 2)
    one.path.rename(named(one, other.start, other.stop))
    other.path.rename(named(other, one.start, one.stop))


def make_up(rng: random.Random, shards: list[Shard]) -> None:
    """With a name that suits its bytes."""
    shard = rng.choice(shards)
    with netCDF4.Dataset(shard.path, "a") as file:
        if rng.random() < 0.5:
            file["crb_bp"][rng.randrange(shard.stop - shard.start), 0, 1] *= 0.5
        else:
            file["scheme"][:] = file["scheme"][::-1]
    shard.path.rename(named(shard, shard.start, shard.stop, file_hash(shard.path)))


def shift_labels(rng: random.Random, shards: list[Shard]) -> None:
    """Draws under other numbers, in a shard whose name says the same."""
    shard = rng.choice(shards)
    start = rng.choice([start for start in (0, 1, 3, 6, 9) if start != shard.start])
    with netCDF4.Dataset(shard.path, "a") as file:
        file["draw"][:] = np.arange(start, start + 3)
    shard.path.rename(named(shard, start, start + 3, file_hash(shard.path)))


@pytest.mark.slow("many forgeries")
@attempts()
def test_shards_that_are_not_what_they_are_called(reference: Path, tmp_path: Path, seeds: range) -> None:
    ways: list[Callable[[random.Random, list[Shard]], None]] = [
        rename,
        copy_to_other_draws,
        swap,
        make_up,
        shift_labels,
    ]
    for seed in seeds:
        folder = Path(shutil.copytree(reference, tmp_path / str(seed)))
        rng = random.Random(seed)
        ways[seed % len(ways)](rng, list_shards(folder / "shards"))
        if rng.random() < 0.7:
            (folder / "cube.nc").unlink()
        right_in_the_end(folder, reference)
        shutil.rmtree(folder)


def test_number_that_was_changed_where_the_journal_knows_nothing(reference: Path, tmp_path: Path) -> None:
    """Under a name that suits the bytes; labels and keys are right."""
    folder = Path(shutil.copytree(reference, tmp_path / "run"))
    shard = list_shards(folder / "shards")[1]
    with netCDF4.Dataset(shard.path, "a") as file:
        file["crb_bp"][1, 0, 1] *= 0.5
    shard.path.rename(named(shard, shard.start, shard.stop, file_hash(shard.path)))
    for name in ("journal.jsonl", "cube.nc"):
        (folder / name).unlink()
    right_in_the_end(folder, reference)


@pytest.mark.slow("many forgeries")
@attempts()
def test_bit_that_flips_after_the_commit(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: range
) -> None:
    """Between the first look at a shard, or its commit, and consolidation."""
    whole = crbatch.jobs.driver.consolidation.write_cube
    for seed in seeds:
        folder, rng = tmp_path / str(seed), random.Random(seed)
        if seed % 4:  # the shards of an earlier run, which this one has looked at
            shutil.copytree(reference, folder)
            (folder / "cube.nc").unlink()

        def flip_first(*words: Any, folder: Path = folder, rng: random.Random = rng) -> str:
            path = rng.choice(list_shards(folder / "shards")).path
            data = bytearray(path.read_bytes())
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(data)
            return whole(*words)

        with monkeypatch.context() as patch:
            patch.setattr(crbatch.jobs.driver.consolidation, "write_cube", flip_first)
            with pytest.raises(DamagedData, match="run the same command again"):
                run_tiny(folder, JOB, chunk=rng.choice([1, 2, 3]))
        assert not (folder / "cube.nc").exists()
        right_in_the_end(folder, reference)
        shutil.rmtree(folder)


@attempts(3)
def test_every_draw_replayed_finds_what_a_sample_does_not(reference: Path, tmp_path: Path, seeds: range) -> None:
    """A forger who knows the project: shard, cube and journal agree with each other, and are wrong."""
    for seed in itertools.islice(seeds, 40):
        folder = RunDirectory(Path(shutil.copytree(reference, tmp_path / str(seed))))
        shard = list_shards(folder.shards)[seed % 4]
        with netCDF4.Dataset(shard.path, "a") as file:
            file.set_auto_maskandscale(False)
            file["crb_bp"][1, 0, 1] *= 0.5
            arrays = ((name, np.asarray(one[...])) for name, one in file.variables.items())
            file.setncattr("content_sha256", _content_hash(arrays))
        shard.path.rename(named(shard, shard.start, shard.stop, file_hash(shard.path)))
        for name in ("journal.jsonl", "cube.nc"):
            (folder.path / name).unlink()
        run_tiny(folder.path, JOB)
        with pytest.raises(DamagedData, match=rf"draw {shard.start + 1} comes out otherwise"):
            verify(folder, every=True)


# ---- two jobs at once


@pytest.mark.slow("many forgeries")
@attempts()
def test_two_jobs_at_once_in_one_folder(tmp_path: Path, seeds: range) -> None:
    jobs_at_once = [tiny_job(draws={"count": 2, "seed": seed}, design={"schemes": ["apa"]}) for seed in (1, 2)]
    right = []
    for n, job in enumerate(jobs_at_once):
        run_tiny(tmp_path / f"right-{n}", job)
        right.append((tmp_path / f"right-{n}" / "cube.nc").read_bytes())
    for seed in seeds:
        folder = tmp_path / str(seed)
        children = [forked(folder, job) for job in jobs_at_once]
        codes = [exit_code(pid) for pid in children]
        assert sorted(codes) in ([0, Exit.ENVIRONMENT], [0, Exit.DAMAGED])
        assert (folder / "cube.nc").read_bytes() == right[codes.index(0)]
        assert load_job(folder / "job.toml").key() == jobs_at_once[codes.index(0)].key()
        shutil.rmtree(folder)


# ---- inputs that change while the run goes on


@pytest.mark.slow("many forgeries")
@attempts(4)
def test_draws_that_change_while_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: range) -> None:
    """Every chunk in what could be another process: nothing is remembered of the file."""
    rows = [f"{-5 - n / 10},{20 + n / 7}" for n in range(8)]
    (tmp_path / "mine.csv").write_text("\n".join(["ue_x_m,ue_y_m", *rows]))
    words: dict[str, Any] = {"draws": {"count": 8, "file": str(tmp_path / "mine.csv")}, "design": {"schemes": ["apa"]}}
    run_tiny(tmp_path / "right", tiny_job(**words))
    original = crbatch.jobs.driver.chunks.compute
    for seed in seeds:
        folder, rng = tmp_path / str(seed), random.Random(seed)
        late, moment = iter(range(100)), rng.randrange(1, 8)

        def compute_elsewhere(
            chunk: Any, folder: Path = folder, rng: random.Random = rng, late: Any = late, moment: int = moment
        ) -> Any:
            if next(late) == moment:
                lines = (folder / "draws.csv").read_text().splitlines()
                lines[rng.randrange(1, 9)] = "-6.5,21.25"
                (folder / "draws.csv").write_text("\n".join(lines))
            crbatch.jobs.chunk.task._job.cache_clear()
            return original(chunk)

        with monkeypatch.context() as patch:
            patch.setattr(crbatch.jobs.driver.chunks, "compute", compute_elsewhere)
            with pytest.raises(CommandError):
                run(
                    tiny_job(**words),
                    RunDirectory(folder),
                    cluster="none",
                    workers=None,
                    chunk=1,
                    report=False,
                    progress=QUIET,
                )
        right_in_the_end(folder, tmp_path / "right", tiny_job(**words))
