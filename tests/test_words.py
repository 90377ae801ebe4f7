"""Numbers agree with their nouns wherever one of a thing can be."""

import re
from pathlib import Path

import pytest
from job_cases import crbatch, run_tiny, tiny_job, write_job

from results.words import counted, duration, noun, size

ONE = {"draws": {"count": 1}, "design": {"schemes": ["apa"], "rho": [0.5]}}
WRONG = re.compile(r"(?<![\d.,-])1 (?!is\b|was\b|has\b|does\b)[a-z]+s\b")


def test_nouns() -> None:
    assert [counted(n, "chunk") for n in (0, 1, 2)] == ["0 chunks", "1 chunk", "2 chunks"]
    assert (noun(1.0, "worker"), noun(0.5, "worker")) == ("worker", "workers")


def test_one_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    job, out = write_job(tmp_path, **ONE), tmp_path / "out"
    commands = (
        ("plan", job, "--workers", 1),
        ("run", job, "-o", out, "--cluster", "none"),
        ("status", out),
        ("verify", out),
        ("compare", out, out),
        ("report", out),
    )
    said = []
    for words in commands:
        assert crbatch(monkeypatch, *words) == 0
        said.append(capsys.readouterr().out)
    assert "1 chunk of 1 draw, about" in said[0]
    assert "1 of 1 chunk, 1 of 1 draw, 0 designs uncertified" in said[2]
    assert "1 shard and the cube are intact, 1 draw complete" in said[3]
    page = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", (out / "report" / "report.html").read_text(), flags=re.S)
    for text in (*said, page):
        assert not WRONG.search(text), WRONG.search(text)


def test_one_draw_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run_tiny(tmp_path / "out", tiny_job(**ONE))
    text = (tmp_path / "out" / "job.toml").read_text().replace("count = 1", "count = 2")
    (tmp_path / "out" / "job.toml").write_text(text)
    assert crbatch(monkeypatch, "verify", tmp_path / "out") == 3
    assert "not finished, 1 draw to go" in capsys.readouterr().err


def test_times_and_amounts_have_units_that_suit_them() -> None:
    assert [duration(x) for x in (0.04, 1.2, 59.0, 119.0, 120.0, 6600.0, 7200.0, 36e5, 36e6)] == [
        "0.04 s",
        "1 s",
        "59 s",
        "119 s",
        "2 min",
        "110 min",
        "2 h",
        "1000 h",
        "10000 h",
    ]
    assert [size(x) for x in (0, 999, 1000, 4.41e6, 1.93e9, 2e12)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "4.41 MB",
        "1.93 GB",
        "2 TB",
    ]
