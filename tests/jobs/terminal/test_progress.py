"""Progress bars that tell the truth about a run that is continued, and what its summary says."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from crbatch.jobs.driver.session import Outcome
from crbatch.jobs.driver.summary import run_text
from crbatch.jobs.errors import Exit
from crbatch.jobs.folder.timings import timings_text
from crbatch.jobs.terminal import progress
from crbatch.jobs.terminal.progress import Progress
from crbatch.results.shards import list_shards
from job_cases import crbatch, run_tiny, tiny_job, write_job

Captured = pytest.CaptureFixture[str]


def test_lines_start_where_the_run_stands(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """60 of 100 were done before; 20 more in 40 s leave 40 s for the last 20."""
    clock = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with Progress().bar("draws", 100, 60) as advance:
        for _ in range(2):
            clock[0] += 20.0
            advance(10)
    assert capsys.readouterr().err == "draws: 80 of 100, 40 s, 40 s left\n"


def _all_that_was_written(master: int) -> str:
    """What a closed terminal was told: one read may return a part of it; its end is an error of the device."""
    parts = []
    with os.fdopen(master, "rb", buffering=0) as terminal, suppress(OSError):
        while part := terminal.read(65536):
            parts.append(part)
    return b"".join(parts).decode()


def test_bar_starts_where_the_run_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        shown = Progress()
        assert shown.animated
        with shown.bar("draws", 100, 60) as advance:
            advance(1)
    said = _all_that_was_written(master)
    assert "60/100" in said or "61/100" in said
    assert "  0/100" not in said


@pytest.mark.slow("starts a cluster")
@pytest.mark.parametrize("cluster", ["none", "local"])
def test_a_run_goes_on_from_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, cluster: str
) -> None:
    run_tiny(tmp_path / "run", chunk=1)
    for shard in list_shards(tmp_path / "run" / "shards")[4:]:
        shard.path.unlink()
    bars: list[tuple[str, int, int]] = []
    whole = Progress.bar

    def bar(self: Progress, label: str, total: int, done: int = 0) -> Any:
        bars.append((label, total, done))
        return whole(self, label, total, done)

    monkeypatch.setattr(Progress, "bar", bar)
    run_tiny(tmp_path / "run", chunk=1, cluster=cluster, workers=1)
    assert bars == [("draws", 6, 4), ("consolidating", 6, 0)]


SUMMARY = {
    "folder": "out", "seconds": 8000.0, "designs": 4, "certified": 2, "closed_form": 1, "uncertified": 0,
    "unidentifiable": 1, "failed": 0, "largest_gap": 1e-7, "solvers": {"lbfgs": 2}, "failed_draws": [], "timings": {},
    "reasons": [], "vague_mixes": 0, "largest_mix_error": 0.0,
}  # fmt: skip


def said(**changes: Any) -> list[str]:
    return run_text(Outcome(Exit.DONE, False, SUMMARY | changes)).splitlines()


def test_summary_names_what_there_was() -> None:
    assert said()[0] == "out: done in 2.22 h"
    assert "  optimised by lbfgs 2" in said()
    assert not any("optimised by" in line for line in said(solvers={}))
    reason = "bistatic: UE position and clock bias cannot be told apart (1 draw, first draw 0)"
    assert f"  unidentifiable: {reason}" in said(reasons=[reason])


def test_nothing_identifiable_is_the_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """No target: BP has no bound whatever the beams; at rho = 0, where it has no weight, there is something left."""
    words = {"scenario": {"target_positions_m": []}, "design": {"schemes": ["fdb-wcrb", "apa"], "rho": [0.5, 1.0]}}
    run = ("run", write_job(tmp_path, **words), "-o", tmp_path / "out", "--cluster", "none", "--no-report")
    assert crbatch(monkeypatch, *run) == Exit.SOME_UNCERTIFIED
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{tmp_path / 'out'}: NO DRAW IS IDENTIFIABLE, every bound that has a weight is infinite"
    )
    assert crbatch(monkeypatch, *run, "--json") == Exit.SOME_UNCERTIFIED  # also where nothing was left to do
    assert json.loads(capsys.readouterr().out)["unidentifiable"] == 24
    some = tiny_job(scenario={"target_positions_m": []})  # with rho = 0
    outcome = run_tiny(tmp_path / "some", some)
    assert outcome.exit is Exit.DONE
    assert "IDENTIFIABLE" not in run_text(outcome)


def test_only_solvers_that_made_designs_are_named(tmp_path: Path) -> None:
    assert run_tiny(tmp_path / "run").summary["solvers"] == {"lbfgs": 36}
    assert run_tiny(tmp_path / "apa", tiny_job(design={"schemes": ["apa"]})).summary["solvers"] == {}


def test_long_runs_are_told_in_hours() -> None:
    assert timings_text({"start_up": 3.0, "computing": 40_000.0}) == "start-up 3.0 s, computing 11.1 h"
