"""What cannot fit, or cannot be opened, is refused with its size or name before anything is written."""

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from crbatch.jobs.driver.plan import check_size, make_plan
from crbatch.jobs.driver.refusals import check_place
from crbatch.jobs.errors import Exit, UsageProblem
from job_cases import crbatch, tiny_job, write_job

Captured = pytest.CaptureFixture[str]
KEPT = {"scenario": {"tx_antennas": 4096}, "output": {"keep": ["covariance"]}}


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_draw_that_fits_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, command: str
) -> None:
    job, out = write_job(tmp_path, **KEPT), tmp_path / "out"
    assert crbatch(monkeypatch, command, job, *(["-o", out] if command == "run" else [])) == Exit.USAGE
    assert capsys.readouterr().err == (
        "crbatch: output.keep: results take 3.22 GB a draw, 19.3 GB in all, and at most 500 MB a draw can be computed; "
        "keep less, or ask for fewer schemes, weights or points of the sweep\n"
    )
    assert not out.exists()


def test_large_draws_make_small_chunks() -> None:
    job = tiny_job(**KEPT, design={"schemes": ["apa"], "rho": [0.5]})
    assert make_plan(job).chunk == make_plan(job, chunk=6).chunk == 1
    assert check_size(job) == make_plan(job).bytes > 6 * 4096**2 * 16
    assert make_plan(tiny_job(), chunk=6).chunk == 6


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size, and not by what is free at the moment: that may change."""
    usage = namedtuple("usage", "total used free")
    needed = 2 * check_size(tiny_job())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(needed - 1, 0, needed))
    with pytest.raises(
        UsageProblem, match=r"draws.count: results take .* the disk of .*none/out has .* lower draws.count"
    ):
        check_place(tiny_job(), tmp_path / "none" / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(needed, 0, 0))
    check_place(tiny_job(), tmp_path / "none" / "out")


@pytest.mark.parametrize(
    ("name", "says"),
    [(b"lat\xe9", "is no UTF-8 name, which NetCDF files need"), (b"back\\slash", "has a backslash, which NetCDF")],
)
@pytest.mark.parametrize("below", [False, True])
def test_names_that_netcdf_cannot_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured, name: bytes, says: str, below: bool
) -> None:
    folder = tmp_path / os.fsdecode(name)
    out = folder / "out" if below else folder
    assert crbatch(monkeypatch, "run", write_job(tmp_path), "-o", out, "--cluster", "none") == Exit.USAGE
    said = capsys.readouterr().err
    assert says in said
    assert said[:-1].isprintable()
    assert not folder.exists()


def test_a_link_to_another_place_is_enough(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "back\\slash").symlink_to(tmp_path / "good")
    check_place(tiny_job(), tmp_path / "back\\slash")
