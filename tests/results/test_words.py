"""Numbers agree with their nouns wherever one of a thing can be."""

import re
from pathlib import Path

import pytest
from crbatch.results.words import counted, noun
from job_cases import crbatch, run_tiny, tiny_job, write_job

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
    assert "1 chunk of up to 1 draw" in said[0]
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
