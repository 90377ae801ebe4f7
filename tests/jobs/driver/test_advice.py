"""Advice never leads in a circle: every command that a message names is given as it is named, and works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crbatch.jobs.errors import Exit
from crbatch.results.shards import list_shards
from job_cases import crbatch, run_tiny, tiny_job, write_job

Captured = pytest.CaptureFixture[str]
_COMMAND = re.compile(r"crbatch ((?:run|status|stop|jobs|plan)(?: [^ ,;`)]+)?)")
HOLDER = """
import sys, time
from pathlib import Path
from crbatch.jobs.folder.lock import hold
from crbatch.jobs.terminal.progress import Progress
with hold(Path(sys.argv[1]), Progress(quiet=True)):
    print("held", flush=True)
    time.sleep(600)
"""


class Place:
    """A folder with a job file, the folder of its run, and what was said last."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        monkeypatch.chdir(path)
        self.job = write_job(path, draws={"count": 2}, design={"schemes": ["apa"]})
        self.run = path / "run"
        run_tiny(self.run, tiny_job(draws={"count": 2}, design={"schemes": ["apa"]}), chunk=1)
        self.right = (self.run / "cube.nc").read_bytes()
        capsys.readouterr()

    def give(self, *words: object) -> int:
        code = crbatch(self._monkeypatch, *words)
        heard = self._capsys.readouterr()
        self.said = heard.err + heard.out
        return code

    def follow(self) -> list[str]:
        """Give every command that was named."""
        named = [words.rstrip(":") for words in _COMMAND.findall(self.said)]
        assert named, self.said
        for words in named:
            assert self.give(*words.split()) == Exit.DONE, f"crbatch {words}: {self.said}"
        return named

    def continues(self) -> None:
        assert self.give("run", self.job, "-o", self.run, "--no-report") == Exit.DONE
        assert self.give("verify", self.run) == Exit.DONE
        assert (self.run / "cube.nc").read_bytes() == self.right


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Place:
    return Place(tmp_path, monkeypatch, capsys)


def test_second_driver(place: Place) -> None:
    words = [sys.executable, "-P", "-c", HOLDER, place.run]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert place.give("run", place.job, "-o", place.run) == Exit.ENVIRONMENT
        assert len(place.follow()) == 2
        assert holder.wait(10.0) != 0
    place.continues()


def test_folder_in_place_of_a_job(place: Place) -> None:
    assert place.give("run", place.run) == Exit.USAGE
    words = re.search(r"give (\S+ -o \S+) to continue", place.said)
    assert words is not None
    assert place.give("run", *words[1].split(), "--no-report") == Exit.DONE


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("words", ["status tiny.toml", "verify smoke", "run none.toml --json", "init mine.toml"])
def test_named_commands(place: Place, words: str) -> None:
    code = place.give(*words.split())
    assert code == (Exit.DONE if words.startswith("init") else Exit.USAGE)
    if words.startswith("run"):
        assert "a packaged job (" in place.said  # lists them
        return
    place.follow()


def test_no_job_file_at_all(place: Place) -> None:
    Path("picture.png").write_bytes(b"\x89PNG\xff")
    assert place.give("run", "picture.png") == Exit.USAGE
    assert place.follow() == ["jobs"]


def test_run_without_a_cube(place: Place) -> None:
    (place.run / "cube.nc").unlink()
    assert place.give("compare", place.run, place.run) == Exit.USAGE
    place.follow()
    assert place.give("verify", place.run) == Exit.INCOMPLETE
    assert "run the job again to continue" in place.said
    place.continues()


def test_damaged_job_and_lost_journal(place: Place) -> None:
    (place.run / "job.toml").write_bytes(b"")
    (place.run / "journal.jsonl").unlink()
    for command in ("status", "verify", "report", "stop"):
        assert place.give(command, place.run) == Exit.DAMAGED
        assert f"run the job again with -o {place.run}" in place.said
    place.continues()


def test_damaged_shard_and_journal(place: Place) -> None:
    victim = list_shards(place.run / "shards")[0].path
    victim.write_bytes(victim.read_bytes()[:-9])
    with (place.run / "journal.jsonl").open("a") as journal:
        journal.write("torn")
    assert place.give("verify", place.run) == Exit.DAMAGED
    assert f"{victim}: its bytes do not have the hash in its name; delete it" in place.said
    assert "then run the job again" in place.said
    place.continues()  # whether it was deleted or not


def test_damaged_cube(place: Place) -> None:
    cube = place.run / "cube.nc"
    cube.write_bytes(cube.read_bytes()[:-9])
    for command in ("verify", "report"):
        assert place.give(command, place.run) == Exit.DAMAGED
        assert "run the job again" in place.said
    place.continues()


def test_foreign_shard_is_moved_away(place: Place, tmp_path: Path) -> None:
    run_tiny(tmp_path / "other", tiny_job(draws={"count": 2, "seed": 9}, design={"schemes": ["apa"]}), chunk=2)
    (stranger,) = list_shards(tmp_path / "other" / "shards")
    shutil.copy(stranger.path, place.run / "shards")
    assert place.give("run", place.job, "-o", place.run) == Exit.DAMAGED
    assert "a shard of another job; move it away" in place.said
    (place.run / "shards" / stranger.path.name).rename(tmp_path / stranger.path.name)
    place.continues()
