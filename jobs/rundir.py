"""The folder of a run: job.toml, plan.json, journal.jsonl, shards/, cube.nc and report/."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results.errors import DamagedData as DamagedShard
from results.shards import Shard, count_uncertified, covering, file_hash, list_shards, shard_attrs, verify_shard
from results.words import counted

from .errors import DamagedData, IncompleteRun, UsageProblem
from .identity import code_key
from .jobfile import JobError, JobFile, load_job
from .journal import Journal
from .kinds import JOB_FILE, instead_of_run


@dataclass(frozen=True)
class RunDirectory:
    """Paths and state of one run."""

    path: Path

    @property
    def shards(self) -> Path:
        """Folder of the shards."""
        return self.path / "shards"

    @property
    def cube(self) -> Path:
        """The consolidated cube."""
        return self.path / "cube.nc"

    @property
    def report(self) -> Path:
        """Folder of figures and tables."""
        return self.path / "report"

    @property
    def page(self) -> Path:
        """The page of the report, which is written last."""
        return self.report / "report.html"

    @property
    def journal(self) -> Journal:
        """The run's journal."""
        return Journal(self.path / "journal.jsonl")

    def job(self) -> JobFile:
        """The job this folder belongs to.

        Raises
        ------
        UsageProblem
            If this is no folder.
        DamagedData
            If there is none that can be read.
        """
        wrong = instead_of_run(self.path)
        if wrong is not None:
            raise UsageProblem(f"{self.path}: {wrong}")
        if not (self.path / JOB_FILE).is_file():
            raise DamagedData(f"{self.path}: no folder of a run (it has no {JOB_FILE})")
        try:
            return load_job(self.path / JOB_FILE)
        except JobError as error:
            raise DamagedData(str(error)) from None

    def prepare(self, job: JobFile) -> None:
        """Make the folder this job's, or check that it is.

        Raises
        ------
        UsageProblem
            If it cannot be written to.
        DamagedData
            If it holds something else, or another job; nothing is touched then.
        """
        try:
            if not self.path.exists() or not any(self.path.iterdir()):
                self.path.mkdir(parents=True, exist_ok=True)
                self.write_job(job)  # first: whatever ends this process, the folder can be told for the job's
                self.shards.mkdir(exist_ok=True)
                return
        except NotADirectoryError:
            raise UsageProblem(f"{self.path}: not a folder; choose another with -o") from None
        except OSError as error:
            raise UsageProblem(
                f"{self.path}: cannot be written to ({error.strerror}); choose another with -o"
            ) from None
        if not (self.path / JOB_FILE).is_file():
            raise DamagedData(f"{self.path}: not empty and not a folder of a run; choose another with -o")
        mine = self.job()
        if mine.key() != job.key():
            differences = _difference(mine, job.beside())
            raise DamagedData(
                f"{self.path}: holds the run of another job ({differences}); choose another folder with -o"
            )
        if not os.access(self.path, os.W_OK):
            raise UsageProblem(f"{self.path}: cannot be written to; choose another with -o")
        if not _grown(mine, job.beside()):  # another name, or another number of draws
            self.write_job(job)
        self.shards.mkdir(exist_ok=True)

    def write_job(self, job: JobFile) -> None:
        """Write the resolved job, with the files that it names beside it."""
        own = job.beside()
        for key, path in job.files.items():
            table, _, word = key.partition(".")
            copy = self.path / own.resolved()[table][word]
            if path.resolve() != copy.resolve():
                shutil.copyfile(path, copy)
        replace_text(self.path / JOB_FILE, own.to_toml())

    def finished(self, job: JobFile) -> list[Shard]:
        """Shards that count: bytes as named, of this job and this code.

        Raises
        ------
        DamagedData
            If a shard belongs to another job or another version; damaged ones are passed over, to be redone.
        """
        good = []
        for shard in list_shards(self.shards):
            try:
                verify_shard(shard)
                attrs = shard_attrs(shard)
            except DamagedShard:
                continue
            if attrs.get("job_key") != job.key():
                raise DamagedData(f"{shard.path}: a shard of another job; move it away")
            if attrs.get("code_key") != code_key():
                raise DamagedData(
                    f"{shard.path}: made by another version ({attrs.get('versions')}); "
                    "use that version, or start in a new folder"
                )
            good.append(shard)
        return good

    def mend_journal(self, shards: list[Shard]) -> None:
        """Drop damaged lines, and write again what a lost journal would have said of the shards."""
        self.journal.mend()
        known = {(event["start"], event["stop"], event["sha256"]) for event in self.journal.events("chunk")}
        for shard in shards:
            if (shard.start, shard.stop, shard.sha256) not in known:
                size = shard.path.stat().st_size
                facts = {"start": shard.start, "stop": shard.stop, "sha256": shard.sha256, "bytes": size}
                self.journal.write("chunk", **facts, uncertified=count_uncertified(shard.path), rebuilt=True)

    def cube_is_current(self, job: JobFile) -> bool:
        """Whether the cube is that of this job and its bytes are those of the journal."""
        records = self.journal.events("cube")
        if not records or not self.cube.is_file() or records[-1]["job"] != job.canonical():
            return False
        return bool(records[-1]["sha256"] == file_hash(self.cube))

    def complete_cube(self) -> Path:
        """The cube of a finished run.

        Raises
        ------
        IncompleteRun
            If it is not finished, perhaps only since `draws.count` was raised.
        DamagedData
            If this is no run, or the cube's bytes are not those of the journal.
        """
        job = self.job()
        if self.cube_is_current(job):
            return self.cube
        _, missing = covering(list_shards(self.shards), job.draws.count)
        if missing or not self.cube.is_file():
            left = sum(stop - start for start, stop in missing)
            raise IncompleteRun(
                f"{self.path}: not finished, {counted(left, 'draw')} to go; run the job again to continue"
            )
        if self.journal.events("cube")[-1:] and self.journal.events("cube")[-1]["job"] != job.canonical():
            raise IncompleteRun(f"{self.path}: the cube is of another number of draws; run the job again to continue")
        raise DamagedData(f"{self.cube}: its bytes are not those that the journal records; run the job again")


def replace_text(path: Path, text: str) -> None:
    """Write a small file in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_plan(path: Path, summary: dict[str, Any]) -> None:
    """Write plan.json."""
    replace_text(path, json.dumps(summary, indent=1, sort_keys=True) + "\n")


def _grown(mine: JobFile, given: JobFile) -> bool:
    """Whether a folder's job is the one given, perhaps with the more draws that its precision took."""
    if mine.draws.until is None:
        return mine.canonical() == given.canonical()
    return mine.with_count(given.draws.count).canonical() == given.canonical() and mine.draws.count >= given.draws.count


def _difference(mine: JobFile, other: JobFile) -> str:
    """The keys in which two jobs differ, with both values."""
    left, right = flat(mine.resolved()), flat(other.resolved())
    rows = [
        f"{key}: {left.get(key, 'unset')} there, {right.get(key, 'unset')} here"
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key) and key not in ("name", "draws.count") and not key.startswith("draws.until.")
    ]
    return "; ".join(rows) or "other bytes of a file that the job names"


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A job with dotted keys in place of tables."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return out
