"""The journal: every damaged line is noticed, and what is lost is written again from the shards."""

import json
import random
import zlib
from pathlib import Path

import pytest
from crbatch.jobs.errors import DamagedData, Exit
from crbatch.jobs.finished.check import verify
from crbatch.jobs.folder.journal import Journal
from crbatch.jobs.folder.rundir import RunDirectory
from job_cases import crbatch, run_tiny, tiny_job


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    folder = RunDirectory(tmp_path_factory.mktemp("journal") / "run")
    run_tiny(folder.path, chunk=2)
    return folder


@pytest.fixture
def run(reference: RunDirectory, tmp_path: Path) -> RunDirectory:
    import shutil

    return RunDirectory(Path(shutil.copytree(reference.path, tmp_path / "run")))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("note", chunk=3, text='a "quoted"\nline ü')
    journal.write("end")
    assert [event["event"] for event in journal.all()] == ["note", "end"]
    assert journal.events("note")[0]["text"] == 'a "quoted"\nline ü'
    assert journal.damaged() == []
    for line in journal.path.read_text().splitlines():
        json.loads(line)


def test_no_journal_has_no_events(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none").all() == []
    Journal(tmp_path / "none").mend()
    assert not (tmp_path / "none").exists()


def test_any_flipped_bit_costs_its_lines_and_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for n in range(20):
        journal.write("note", start=n, seconds=0.25 * n)
    whole = journal.path.read_bytes()
    events = journal.all()
    rng = random.Random(7)
    for _ in range(300):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        journal.path.write_bytes(data)
        intact = journal.all()
        assert journal.damaged()
        assert all(event in events for event in intact)
        assert len(intact) >= 18  # a line, or two where its end was hit


def test_line_cut_short_by_a_crash_is_dropped_by_the_next_run(run: RunDirectory) -> None:
    whole = run.journal.all()
    data = run.journal.path.read_bytes()
    run.journal.path.write_bytes(data[:-20])
    assert run.journal.all() == whole[:-1]
    run_tiny(run.path)
    assert run.journal.damaged() == []
    assert (run.path / "journal.damaged.jsonl").read_bytes() == data[:-20]


def checksummed(text: str) -> bytes:
    return f'{text[:-1]}, "~crc": "{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def hostile_lines() -> list[bytes]:
    """Lines that nobody wrote, most of them with a checksum that holds."""
    deep = "[" * 2_000 + "]" * 2_000
    events = [
        {},
        {"event": "chunk"},
        {"event": "cube", "time": 1.0},
        {"event": ["chunk"], "time": 1.0},
        {"event": "chunk", "time": "now", "start": 0, "stop": 1, "sha256": "0", "uncertified": 0},
        {"event": "chunk", "time": 1.0, "start": "0", "stop": 1, "sha256": "0", "uncertified": 0},
        {"event": "chunk", "time": 1.0, "start": 0, "stop": 1, "sha256": [], "uncertified": 0},
        {"event": "start", "time": 1.0, "cluster": "none", "chunks": None},
        {"event": "connected", "time": 1.0, "seconds": 1.0, "workers": "2"},
        {"event": "jobs", "time": 1.0, "role": "workers", "ids": [[]]},
        {"event": "jobs", "time": 1.0, "role": "workers", "ids": ["--user=root"]},
        {"event": "error", "time": 1.0},
        {"event": "precision", "time": 1.0, "draws": 6, "relative_error": "0", "at": {}, "reached": True},
    ]
    texts = [json.dumps(event, sort_keys=True) for event in events]
    texts += [f'{{"a": {deep}, "event": "x", "time": 1.0}}', '{"event": "x", "time": ' + "1" * 5_000 + "}"]
    return [*map(checksummed, texts), f"{deep}\n".encode(), b"1" * 5_000 + b"\n", b"[]\n", b"null\n", b"\xff\xfe\0\n"]


@pytest.mark.slow("many damaged journals")
def test_lines_that_nobody_wrote_are_damaged(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever their checksum says; every command goes on with the others."""
    whole = run.journal.all()
    hostile = hostile_lines()
    run.journal.path.write_bytes(b"".join(hostile) + run.journal.path.read_bytes())
    assert run.journal.all() == whole
    assert run.journal.damaged() == list(range(1, len(hostile) + 1))
    for command in ("status", "report"):
        assert crbatch(monkeypatch, command, run.path) == 0
    assert crbatch(monkeypatch, "verify", run.path) == Exit.DAMAGED
    capsys.readouterr()
    run_tiny(run.path)
    assert run.journal.damaged() == []


@pytest.mark.parametrize("loss", ["all", "half"])
def test_lost_journal_is_written_again_from_the_shards(run: RunDirectory, loss: str) -> None:
    def chunks() -> list[tuple[object, ...]]:
        keys = ("start", "stop", "sha256", "bytes", "uncertified")
        return sorted(tuple(event[key] for key in keys) for event in run.journal.events("chunk"))

    before, cube = chunks(), run.cube.read_bytes()
    lines = run.journal.path.read_bytes().splitlines(keepends=True)
    run.journal.path.write_bytes(b"".join(lines[: len(lines) // 2 if loss == "half" else 0]))
    assert chunks() != before
    run_tiny(run.path)
    assert chunks() == before
    assert run.cube.read_bytes() == cube
    verify(run)


def test_verify_names_damaged_lines_and_every_damaged_shard(run: RunDirectory) -> None:
    for path in [*sorted(run.shards.glob("*.nc"))[:2], run.journal.path]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2 if path.suffix == ".nc" else 30] ^= 4
        path.write_bytes(data)
    with pytest.raises(DamagedData, match=r"draws-00000000.*draws-00000002.*journal.jsonl: line 1 is not") as error:
        verify(run)
    assert "\n" not in str(error.value)


def test_receipts_count_what_is_uncertified(tmp_path: Path) -> None:
    near_the_line_of_sight = {"target_positions_m": [[-2.49, 10], [5, 15]]}
    job = tiny_job(scenario=near_the_line_of_sight, design={"gap_tolerance": 1e-9}, draws={"count": 3})
    outcome = run_tiny(tmp_path / "run", job, chunk=2)
    counts = [event["uncertified"] for event in RunDirectory(tmp_path / "run").journal.events("chunk")]
    assert sum(counts) == outcome.summary["uncertified"] > 0
