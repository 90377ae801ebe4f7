"""Files that a job names stay what they were when a process first looked at them, or the process says so."""

from collections.abc import Callable
from pathlib import Path

import pytest
from crbatch.jobs.errors import EnvironmentProblem
from crbatch.jobs.jobfile.inputs import Inputs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("one")
    return tmp_path / "file"


def replaced(path: Path) -> None:
    path.unlink()
    path.write_text("two")


@pytest.mark.parametrize("change", [lambda path: path.write_text("two"), replaced], ids=["written to", "replaced"])
def test_change_between_hash_and_reading(path: Path, change: Callable[[Path], object]) -> None:
    inputs = Inputs()
    digest = inputs.digest("key", path)
    change(path)
    assert inputs.digest("key", path) == digest
    for read in (inputs.bytes_of, lambda key, path: inputs.content(key, path, Path.read_text)):
        with pytest.raises(EnvironmentProblem, match=rf"{path}: changed while the run was going on \(key\)"):
            read("key", path)


def test_change_while_it_is_read_and_back(path: Path) -> None:
    def read(path: Path) -> str:
        path.write_text("two")
        text = path.read_text()
        path.write_text("one")
        return text

    with pytest.raises(EnvironmentProblem, match="changed"):
        Inputs().content("key", path, read)


def test_what_was_read_is_kept(path: Path) -> None:
    inputs = Inputs()
    assert inputs.content("key", path, Path.read_text) == "one"
    path.write_text("two")
    assert inputs.content("key", path, Path.read_text) == "one"
