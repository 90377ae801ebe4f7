"""The folder of a run: job.toml, plan.json, journal.jsonl, shards/, cube.nc and report/."""

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from crbatch.results.errors import DamagedData as DamagedShard
from crbatch.results.files import file_hash, remove_leftovers, replace_file, replace_text, sync_folder
from crbatch.results.shards import (
    Shard,
    check_content,
    count_uncertified,
    covering,
    list_shards,
    shard_attrs,
    strangers,
)
from crbatch.results.words import counted

from ..errors import DamagedData, IncompleteRun, UsageProblem
from ..identity import code_key
from ..jobfile.kinds import JOB_FILE, instead_of_run
from ..jobfile.schema import JobError, JobFile, load_job, parse_job
from ..terminal.progress import Progress
from .journal import Journal

# What a run puts into its folder first, and what of it says that the folder is a run's even without job.toml.
_FIRST = re.compile(r"job\.toml|driver\.lock.*|\..*\.tmp")
_SIGNS = {"shards", "journal.jsonl"}


class RunDirectory:
    """Paths and state of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = Journal(path / "journal.jsonl")
        self.shards = path / "shards"
        self.cube = path / "cube.nc"
        self.report = path / "report"
        self.page = self.report / "report.html"  # which is written last

    def job(self) -> JobFile:
        """The job this folder belongs to; from the journal, where job.toml was damaged.

        Raises UsageProblem if this is no folder; DamagedData if there is none that can be read.
        """
        try:
            return self.written_job()
        except DamagedData:
            noted = self._noted_job()
            if noted is None:
                raise
            return noted

    def written_job(self) -> JobFile:
        """The job of job.toml.

        Raises UsageProblem if this is no folder; DamagedData if it cannot be read.
        """
        wrong = instead_of_run(self.path)
        if wrong is not None:
            raise UsageProblem(f"{self.path}: {wrong}")
        if not (self.path / JOB_FILE).is_file():
            raise DamagedData(f"{self.path}: no folder of a run (it has no {JOB_FILE})")
        try:
            return load_job(self.path / JOB_FILE)
        except JobError as error:
            raise DamagedData(f"{error}; run the job again with -o {self.path}, which writes it anew") from None

    def _noted_job(self) -> JobFile | None:
        """The job that the journal says was run here last."""
        for event in reversed(self.journal.events("start", "jobs")):
            if "job" in event:
                with suppress(JobError):
                    return parse_job(event["job"], self.path)
        return None

    def claim(self) -> None:
        """Make the folder, or refuse one that holds something else; nothing is touched then.

        Raises UsageProblem if it cannot be written to; DamagedData if it holds something else.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            names = set(os.listdir(self.path))
        except (FileExistsError, NotADirectoryError):
            raise UsageProblem(f"{self.path}: not a folder; choose another with -o") from None
        except OSError as error:
            raise UsageProblem(
                f"{self.path}: cannot be written to ({error.strerror}); choose another with -o"
            ) from None
        if JOB_FILE not in names and not names & _SIGNS and not all(map(_FIRST.fullmatch, names)):
            raise DamagedData(f"{self.path}: not empty and not a folder of a run; choose another with -o")
        if not os.access(self.path, os.W_OK):
            raise UsageProblem(f"{self.path}: cannot be written to; choose another with -o")

    def prepare(self, job: JobFile, progress: Progress) -> None:
        """Make the folder this job's, or check that it is; for the one driver that holds it.

        What a power cut or a full disk left of job.toml is written again, if what was computed here is this job's.

        Raises DamagedData if it holds another job; nothing is touched then.
        """
        try:
            mine = self.written_job()
        except DamagedData:
            mine = None
        if mine is None or mine.key() != job.key():
            found = self._keys_of_results()
            if found - {job.key()} or (mine is not None and not found):
                raise DamagedData(
                    f"{self.path}: holds the run of another job ({_difference(mine, job.beside())}); "
                    "choose another folder with -o"
                )
            if found or (self.path / JOB_FILE).exists():
                progress.note(f"{self.path / JOB_FILE} was damaged or missing; it is written again from the job given")
            self.write_job(job)
        elif not _grown(mine, job.beside()):  # another name, or another number of draws
            self.write_job(job)
        _make_folder(self.shards)
        for place in (self.path, self.shards):
            remove_leftovers(place)

    def _keys_of_results(self) -> set[str]:
        """Keys of the jobs of which there are whole shards; without any, of what the journal says was begun."""
        keys = set()
        for shard in list_shards(self.shards):
            with suppress(DamagedShard):
                keys.add(str(shard_attrs(shard).get("job_key")))
        begun = self.journal.last("start") or {}
        return keys or ({str(begun["job_key"])} if "job_key" in begun else set())

    def write_job(self, job: JobFile) -> None:
        """Write the resolved job, with the files that it names beside it."""
        own = job.beside()
        replace_text(self.path / JOB_FILE, own.to_toml())
        for key, path in job.files.items():
            table, _, word = key.partition(".")
            copy = self.path / own.resolved()[table][word]
            if path.resolve() != copy.resolve():
                replace_file(copy, job.inputs.bytes_of(key, path))

    def write_plan(self, job: JobFile, summary: dict[str, Any]) -> None:
        """Write plan.json: a plan's figures, and of which job and code it is."""
        facts = {**summary, "job_key": job.key(), "code_key": code_key()}
        replace_text(self.path / "plan.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")

    def finished(self, job: JobFile, progress: Progress) -> list[Shard]:
        """Shards that count: bytes and draws as named, of this job and this code, and as the journal has them.

        The others are moved aside and will be computed again.

        Raises DamagedData if a shard belongs to another job or another version.
        """
        good = []
        noted: dict[tuple[int, int], set[str]] = {}
        for event in self.journal.events("chunk"):
            noted.setdefault((event["start"], event["stop"]), set()).add(event["sha256"])
        bad = {path: f"{path}: no file, for all its name" for path in strangers(self.shards)}
        for shard in list_shards(self.shards):
            try:
                _check_shard(shard, job, noted.get((shard.start, shard.stop)))
                good.append(shard)
            except DamagedShard as error:
                bad[shard.path] = str(error)
        for path, reason in bad.items():
            os.replace(path, path.with_name(f"{path.name}.damaged"))
            progress.note(f"{reason}; moved aside, its draws are computed again")
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
        record = self.journal.last("cube")
        if record is None or not self.cube.is_file() or record["job"] != job.canonical():
            return False
        return bool(record["sha256"] == file_hash(self.cube))

    def report_is_current(self) -> bool:
        """Whether the report is whole, and of the cube that is there."""
        record, cube = self.journal.last("report"), self.journal.last("cube")
        if record is None or cube is None or "files" not in record or record["cube"] != cube["sha256"]:
            return False
        places = {self.report / name: digest for name, digest in record["files"].items()}
        return all(path.is_file() and file_hash(path) == digest for path, digest in places.items())

    def complete_cube(self) -> Path:
        """The cube of a finished run.

        Raises IncompleteRun if it is not finished, perhaps only since `draws.count` was raised; DamagedData if this is
        no run, or the cube's bytes are not those of the journal.
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
        record = self.journal.last("cube")
        if record and record["job"] != job.canonical():
            raise IncompleteRun(f"{self.path}: the cube is of another number of draws; run the job again to continue")
        raise DamagedData(f"{self.cube}: its bytes are not those that the journal records; run the job again")


def _make_folder(path: Path) -> None:
    """Make a folder whose name lasts; what else has that name is moved aside."""
    if path.exists() and not path.is_dir():
        os.replace(path, path.with_name(f"{path.name}.damaged"))
    if not path.is_dir():
        path.mkdir()
        sync_folder(path.parent)


def _check_shard(shard: Shard, job: JobFile, noted: set[str] | None) -> None:
    """Refuse a shard of another job or version, and tell one that is not what it should be.

    What the journal notes of these draws decides; where it notes nothing, what the shard says of itself.

    Raises DamagedData if it is whole, and another's; DamagedShard if it is to be computed again.
    """
    attrs = shard_attrs(shard)
    if attrs.get("job_key") != job.key():
        raise DamagedData(f"{shard.path}: a shard of another job; move it away")
    if attrs.get("code_key") != code_key():
        raise DamagedData(
            f"{shard.path}: made by another version ({attrs.get('versions')}); "
            "use that version, or start in a new folder"
        )
    if noted is None:
        check_content(shard, job.coordinates())
    elif shard.sha256 not in noted:
        raise DamagedShard(f"{shard.path}: not what the journal says was written")


def _grown(mine: JobFile, given: JobFile) -> bool:
    """Whether a folder's job is the one given, perhaps with the more draws that its precision took."""
    if mine.draws.until is None:
        return mine.canonical() == given.canonical()
    return mine.with_count(given.draws.count).canonical() == given.canonical() and mine.draws.count >= given.draws.count


def _difference(mine: JobFile | None, other: JobFile) -> str:
    """The keys in which two jobs differ, with both values."""
    if mine is None:
        return f"its shards are not of this one, and its {JOB_FILE} cannot be read"
    rows = [
        f"{key}: {'unset' if there is None else there} there, {'unset' if here is None else here} here"
        for key, (there, here) in differences(flat(mine.resolved()), flat(other.resolved())).items()
        if key not in ("name", "draws.count") and not key.startswith("draws.until.")
    ]
    return "; ".join(rows) or "other bytes of a file that the job names"


def differences(left: dict[str, Any], right: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys in which two jobs, as `flat` has them, differ, with both values; None where a job lacks the key."""
    keys = sorted(left.keys() | right.keys())
    return {key: (left.get(key), right.get(key)) for key in keys if left.get(key) != right.get(key)}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A job with dotted keys in place of tables."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return out
