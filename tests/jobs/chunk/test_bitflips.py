"""Forty flipped bits in the files of a finished run: `verify` notices each."""

import random
import shutil
from pathlib import Path

import pytest
from crbatch.jobs.errors import CommandError
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.rundir import RunDirectory
from job_cases import run_tiny


def test_forty_of_forty(tmp_path: Path) -> None:
    run_tiny(tmp_path / "run", chunk=2)
    rng = random.Random(40)
    files = ["cube.nc", "journal.jsonl", *(f"shards/{path.name}" for path in (tmp_path / "run" / "shards").iterdir())]
    for number in range(40):
        copy = Path(shutil.copytree(tmp_path / "run", tmp_path / str(number)))
        path = copy / files[number % len(files)]
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(CommandError):
            verify(RunDirectory(copy))
        shutil.rmtree(copy)
