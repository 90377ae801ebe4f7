"""File systems without locks, where HDF5's own would end every reading: the library does without them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from job_cases import run_tiny, tiny_job

READ = "import sys; from crbatch import open_cube; print(open_cube(sys.argv[1]).crb.status()['certified'])"


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("locks") / "run"
    run_tiny(folder, tiny_job(draws={"count": 1}, design={"schemes": ["fdb-wcrb"], "rho": [0.0, 0.5]}))
    return folder / "cube.nc"


def read(cube: Path, *before: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "HDF5_USE_FILE_LOCKING"} | variables
    words = [*before, sys.executable, "-P", "-c", READ, cube]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.system
def test_cube_is_opened_where_there_are_no_locks(cube: Path) -> None:
    assert shutil.which("strace")
    without = ("strace", "-f", "-o", "/dev/null", "-e", "inject=flock:error=ENOLCK")
    assert read(cube, *without).stdout == "2\n"
    assert read(cube, *without, HDF5_USE_FILE_LOCKING="TRUE").returncode != 0  # whoever insists on them


def test_who_cannot_write_is_told_what_else_it_may_be(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from crbatch.results.shards import not_written\n"
        "print(not_written(Path('x'), OSError('y')))"
    )
    for value, says in (("FALSE", "is the disk full?\n"), ("TRUE", "Then set HDF5_USE_FILE_LOCKING=FALSE\n")):
        environment = os.environ | {"HDF5_USE_FILE_LOCKING": value}
        done = subprocess.run(
            [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith(says)
