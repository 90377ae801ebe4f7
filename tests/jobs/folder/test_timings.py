"""Where the time of a run went: parts that do not overlap, and what is lost between the chunks."""

from typing import Any

import pytest
from crbatch.jobs.folder.timings import timings, timings_text


def session(at: float, cluster: str = "local") -> list[dict[str, Any]]:
    """Two workers from `at` + 3 s on, which finish 8 s of work within 4.4 s."""
    return [
        {"event": "start", "time": at + 1.0, "cluster": cluster},
        {"event": "connected", "time": at + 3.0, "seconds": 1.5, "workers": 2},
        {"event": "chunk", "time": at + 5.0, "evaluate_seconds": 2.0},
        {"event": "chunk", "time": at + 7.0, "evaluate_seconds": 4.0},
        {"event": "chunk", "time": at + 7.4, "evaluate_seconds": 2.0},
    ]


WRITING = [
    {"event": "cube", "time": 108.0, "seconds": 0.5},
    {"event": "report", "time": 110.0, "seconds": 2.0},
]


def test_parts_of_a_session() -> None:
    found = timings([*session(20.0), *session(100.0), *WRITING], since=100.0)
    parts = {"start_up": 3.0, "computing": 4.4, "evaluation": 8.0, "overhead": 1.1, "consolidation": 0.5, "report": 2.0}
    assert found == pytest.approx(parts)
    assert timings_text(found) == (
        "start-up 3.0 s, computing 4.4 s (1.10 of the evaluation alone), consolidation 0.5 s, report 2.0 s"
    )


def test_all_sessions_without_the_time_between_them() -> None:
    found = timings([*session(20.0), *session(100.0)])
    assert found == pytest.approx({"start_up": 3.0, "computing": 8.8, "evaluation": 16.0, "overhead": 1.1})


def test_no_overhead_where_workers_come_and_go() -> None:
    assert "overhead" not in timings(session(20.0, "slurm"))


def test_draws_that_failed_have_no_time_of_evaluation() -> None:
    events = session(20.0)[:2]
    found = timings([*events, {"event": "chunk", "time": 25.0, "failed": "the worker died"}])
    assert found == pytest.approx({"start_up": 1.5, "computing": 2.0, "evaluation": 0.0})
    assert timings_text(found) == "start-up 1.5 s, computing 2.0 s"


def test_a_short_run_tells_nothing_of_overhead() -> None:
    short = [*session(20.0)[:2], {"event": "chunk", "time": 23.1, "evaluate_seconds": 0.05}]
    assert timings(short)["overhead"] == pytest.approx(4.0)
    assert timings_text(timings(short)) == "start-up 1.5 s, computing 0.1 s"


def test_nothing_done_takes_no_time() -> None:
    assert timings([]) == {}
    assert timings_text({}) == ""
