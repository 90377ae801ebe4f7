"""The timing studies: small runs of both commands, what they write, and that failures are shown. Nothing is timed."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from crbatch import DesignError, DrawModel, Scenario, build_problem, sample
from crbatch.engine.beamforming import baselines, conic, weighted
from crbatch.jobs.bench import antennas, harness, interleaved, speed
from crbatch.jobs.errors import Exit
from engine_cases import drops
from job_cases import crbatch, digests
from repository import ROOT

Captured = pytest.CaptureFixture[str]
SMALL = ("--draws", 2, "--batch", 2, "--rounds", 2, "--tx-antennas", 4, "--targets", 1)
MEASURE = antennas.measure
CORES = os.sched_getaffinity(0)  # before any test could have lost some
KINDS = (".pdf", ".png", ".svg")


def run_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, folder: Path, *words: object
) -> tuple[int, dict[str, Any]]:
    code = crbatch(monkeypatch, "bench", "speed", "-o", folder, *SMALL, *words, "--json")
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, json.loads(captured.out)


def test_speed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    problem = build_problem(*drops(1))
    monkeypatch.setitem(sys.modules, "scs", None)
    with pytest.raises(DesignError, match=r"SCS is not installed; pip install 'crbatch\[bench\]'$"):
        baselines.scs_reduced(problem, 0, 0.5)
    assert crbatch(monkeypatch, "bench", "speed", "-o", tmp_path / "out", *SMALL) == Exit.USAGE
    assert capsys.readouterr().err.strip().endswith("SCS is not installed; pip install 'crbatch[bench]'")
    assert not (tmp_path / "out").exists()


def test_speed_shows_failures_as_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """One baseline returns nothing, another a design that is none; ours and the rest stay certified."""
    right = baselines.clarabel_reduced

    def nothing(problem: Any, draw: int, rho: float) -> baselines.Answer:
        answer = right(problem, draw, rho)
        return baselines.Answer(answer.covariance * np.nan, answer.build, answer.compile, answer.solve)

    def poor(problem: Any, draw: int, rho: float) -> baselines.Answer:
        answer = right(problem, draw, rho)
        apa = problem.expand(problem.covariance_of_powers(problem.apa[:, None]))[draw, 0]
        return baselines.Answer(apa, answer.build, answer.compile, answer.solve)

    monkeypatch.setattr(
        interleaved, "CONIC", dict(interleaved.CONIC) | {"scs-reduced": nothing, "clarabel-full-tuned": poor}
    )
    monkeypatch.setattr(interleaved, "WIDE", 32)
    code, result = run_speed(monkeypatch, capsys, tmp_path / "out")
    assert code == Exit.DONE
    rows = {(row["set"], row["method"]): row for row in result["rows"]}
    assert {method for _, method in rows} == set(speed.LABELS) - {"plane"}
    assert len(rows) == 2 * len(speed.LABELS) - 2
    for (_, method), row in rows.items():
        bad = method in ("scs-reduced", "clarabel-full-tuned")
        assert row["judged"] == {"front": 2 * 2 * 21}.get(method, 2 * 2)
        assert row["failures"] == (row["judged"] if bad else 0)
        if method in speed.OURS:
            assert row["certified_share"] == 1.0
            assert row["worst_gap"] <= 1e-6
        if not bad:
            assert row["objective_difference"] < 1e-5
    assert rows["phases", "scs-reduced"]["worst_gap"] is None  # infinite
    with xr.open_dataset(tmp_path / "out" / "bench.nc") as cube:
        assert dict(cube.sizes)["algorithm"] == len(speed.LABELS) - 1
        assert cube["seconds"].attrs["units"] == "s"
        assert cube["failures"].sel(set="drops", algorithm="scs-reduced") == 4
        assert np.isfinite(cube["seconds"].sel(set="drops", algorithm="alone")).sum() == 4
        assert (cube["seconds"].fillna(1.0) > 0.0).all()
        assert {"cpu_model", "versions", "threads", "load_average_1_5_15_min"} <= set(cube.attrs)
    assert sorted(path.suffix for path in (tmp_path / "out").glob("speed.*")) == list(KINDS)
    ratios = {line["ratio"]: line for line in result["headlines"] if line["set"] == "phases"}
    assert len(ratios) == 6
    assert all(line["value"] > 0.0 for line in ratios.values())


def test_speed_in_space_is_held_against_the_plane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(interleaved, "WIDE", 25)
    words = ("-o", tmp_path / "out", "--space", "--targets", 1, "--draws", 1, "--batch", 2, "--rounds", 1)
    assert crbatch(monkeypatch, "bench", "speed", *words) == Exit.DONE
    said = capsys.readouterr().out
    assert "a cold design in space over one in the plane" in said
    assert "a batch of draws in the plane" in said
    assert "as printed" not in said
    assert "random drops" not in said


@pytest.mark.slow("times conic solvers")
def test_speed_in_text_and_in_the_same_folder_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(interleaved, "WIDE", 32)
    for seed in (1, 2):  # measured anew, whatever was asked for before
        words = ("-o", tmp_path / "out", *SMALL, "--rounds", 1, "--draws", 1, "--seed", seed)
        assert crbatch(monkeypatch, "bench", "speed", *words) == Exit.DONE
        captured = capsys.readouterr()
        labels = {method: label for method, label in speed.LABELS.items() if method != "plane"}
        assert all(label in captured.out for label in labels.values())
        assert "time per draw at M_T = 32 over M_T = 4" in captured.out
        assert ">= 2,000" in captured.out
        assert "drops: 20 of 20" not in captured.out
        assert "drops: " in captured.err
        assert "\x1b" not in captured.out
    with xr.open_dataset(tmp_path / "out" / "bench.nc") as cube:
        assert json.loads(cube.attrs["settings"])["seed"] == 2


def cells(text: str) -> list[list[str]]:
    """Rows of the first table in Markdown."""
    lines = text[text.index("|") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_table_of_the_readme_is_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(interleaved, "WIDE", 32)
    _, result = run_speed(monkeypatch, capsys, tmp_path, "--rounds", 1)
    assert crbatch(monkeypatch, "bench", "table", tmp_path) == Exit.DONE
    text = capsys.readouterr().out
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown, published = cells(text), cells(readme[readme.index("| | random phases | ratio |") :])
    assert shown[0] == published[0]
    assert [row[0] for row in shown[2:]] == [row[0] for row in published[2:]]
    seconds = {(row["set"], row["label"]): row["seconds"] for row in result["rows"]}
    for label, *own in shown[2:]:
        for cell, name in zip(own[::2], ("phases", "drops"), strict=True):
            value, unit = cell.split()
            assert float(value) * {"s": 1.0, "ms": 1e-3, "us": 1e-6}[unit] == pytest.approx(
                seconds[name, label], rel=6e-3
            )
    for line in result["headlines"]:
        assert f"{line['value']:,.4g}" in text
    assert f"{len(CORES)} cores" in text


def test_only_studies_have_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    assert crbatch(monkeypatch, "bench", "table", tmp_path) == Exit.USAGE
    assert "no folder of a finished study" in capsys.readouterr().err
    (tmp_path / "bench.json").write_text('{"study": "speed"}')
    (tmp_path / "bench.nc").write_text("no cube")
    assert crbatch(monkeypatch, "bench", "table", tmp_path) == Exit.DAMAGED


def test_uncertified_designs_of_ours_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A front that is off by its start is found out by the certificate, not by its own word."""
    solve = weighted.solve_fdb

    def off(problem: Any, rho: Any, tolerance: float) -> weighted.Solution:
        good = solve(problem, rho, tolerance)
        if rho.size == 1:
            return good
        apa = np.repeat(problem.covariance_of_powers(problem.apa[:, None]), rho.size, axis=1)
        return weighted.Solution(0.9 * good.covariance + 0.1 * apa, None, good.gap, good.iterations, good.solver)

    monkeypatch.setattr(weighted, "solve_fdb", off)
    monkeypatch.setattr(interleaved, "CONIC", dict.fromkeys(interleaved.CONIC, baselines.clarabel_direct))
    monkeypatch.setattr(interleaved, "WIDE", 32)
    code, result = run_speed(monkeypatch, capsys, tmp_path / "out", "--rounds", 1)
    assert code == Exit.SOME_UNCERTIFIED
    shares = {row["method"]: row["certified_share"] for row in result["rows"]}
    assert shares["front"] < 0.5
    assert shares["alone"] == shares["batch"] == 1.0


def test_unidentifiable_draws_are_no_failures() -> None:
    """A target on the BS array's axis: there is nothing to certify, and nothing to blame a solver for."""
    scenario = Scenario(tx_antennas=6, subcarriers=64, target_positions_m=((10.0, 0.0), (5.0, 15.0)))
    draws = sample(scenario, DrawModel(), 1, 0, 2)
    problem = build_problem(scenario, draws)
    v = problem.expand(problem.covariance_of_powers(problem.apa[:, None]))
    for covariance in (v, v * np.nan):
        lap = interleaved.Lap([1.0], [(0.0, 0.0, 1.0)], covariance, np.array([0.5]), problem)
        assert np.isnan(interleaved._gaps(lap)).all()


def test_one_bad_covariance_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = build_problem(*drops(3, tx_antennas=4, target_positions_m=[[-10, 15]]))
    v = problem.expand(weighted.solve_fdb(problem, np.array([0.5]), 1e-6).covariance)
    v[1] *= 2.0  # more than the power there is: it would pass for better than optimal
    gaps = interleaved._gaps(interleaved.Lap([1.0], [(0.0, 0.0, 1.0)], v, np.array([0.5]), problem))[:, 0]
    assert np.isinf(gaps[1])
    assert (gaps[[0, 2]] <= 1e-6).all()


class Stopped(Exception):
    """Whatever ends a study."""


class Counter:
    """Stands for the clock of one method and size: counts what is measured, and can stop in the middle."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.seen: list[tuple[str, int]] = []
        self.stop_after = stop_after

    def __call__(self, method: Any, case: Any, setting: Any) -> dict[str, Any]:
        if len(self.seen) == self.stop_after:
            raise Stopped
        self.seen.append((method.label, case.scenario.tx_antennas))
        return MEASURE(method, case, setting)


ANTENNAS = ("--max-antennas", 4, "--repeats", 2)


def few_methods(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(antennas, "METHODS", {name: antennas.METHODS[name] for name in names})


@pytest.mark.slow("times conic solvers")
def test_antennas_measures_every_method_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(antennas, "_BATCH", 2)
    monkeypatch.setattr(antennas, "_COLUMNS", 2)
    monkeypatch.setattr(antennas, "_SHORTEST", 1e-4)
    monkeypatch.setattr(antennas, "SIZES", (4, 6))
    words = ("bench", "antennas", "-o", out, "--max-antennas", 6, "--repeats", 2)
    first = Counter(stop_after=5)
    monkeypatch.setattr(antennas, "measure", first)
    with pytest.raises(Stopped):
        crbatch(monkeypatch, *words)
    capsys.readouterr()
    with (out / "measurements.jsonl").open("a") as file:
        file.write('{"event": "measured", "method": "cp')  # a crash cut the line short
    second = Counter()
    monkeypatch.setattr(antennas, "measure", second)
    assert crbatch(monkeypatch, *words) == Exit.DONE
    assert len(first.seen) == 5
    assert set(first.seen).isdisjoint(second.seen)
    every = {(method.label, size) for method in antennas.METHODS.values() for size in (4, 6)}
    assert {*first.seen, *second.seen} == every
    text = capsys.readouterr().out
    assert all(method.label in text for method in antennas.METHODS.values())
    third = Counter()
    monkeypatch.setattr(antennas, "measure", third)
    assert crbatch(monkeypatch, *words, "--json") == Exit.DONE
    assert third.seen == []
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["failures"] for row in rows] == [0] * len(rows)
    with xr.open_dataset(out / "bench.nc") as cube:
        assert cube["seconds"].dims == ("algorithm", "tx_antennas", "repeat")
        assert cube["tx_antennas"].values.tolist() == [4, 6]
        assert (cube["seconds"] > 0.0).all()
        assert cube["designs_per_call"].sel(algorithm="fdb") == antennas.METHODS["fdb"].designs
        assert cube.attrs["cpu_model"]
    assert sorted(path.suffix for path in out.glob("antennas.*")) == list(KINDS)
    assert crbatch(monkeypatch, "bench", "table", out) == Exit.DONE
    table = cells(capsys.readouterr().out)
    assert table[0] == ["method", "4", "6", "slope", "failed"]
    assert [row[0] for row in table[2:]] == [method.label for method in antennas.METHODS.values()]


def test_other_settings_or_foreign_folders_are_refused_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    few_methods(monkeypatch, "closed")
    out, foreign = tmp_path / "out", tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    assert crbatch(monkeypatch, "bench", "antennas", "-o", out, *ANTENNAS) == Exit.DONE
    before = digests(tmp_path)
    for words, says in (
        (("antennas", "-o", out, "--max-antennas", 4, "--repeats", 3), "repeats: 2 there, 3 here"),
        (("speed", "-o", out), "not a folder of bench speed"),
        (("antennas", "-o", foreign), "not a folder of bench antennas"),
        (("speed", "-o", foreign), "not a folder of bench speed"),
    ):
        capsys.readouterr()
        assert crbatch(monkeypatch, "bench", *words) == Exit.DAMAGED
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert says in captured.err
    monkeypatch.setattr(harness, "code_key", lambda: "edited")
    assert crbatch(monkeypatch, "bench", "antennas", "-o", out, *ANTENNAS) == Exit.DAMAGED
    assert crbatch(monkeypatch, "bench", "speed", "-o", foreign / "thesis.tex") == Exit.USAGE
    assert crbatch(monkeypatch, "bench", "speed", "-o", out, "--targets", 4) == Exit.USAGE
    assert digests(tmp_path) == before


def test_what_would_exceed_the_budget_is_not_started_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    few_methods(monkeypatch, "closed", "fim-separable", "sdp-wvm")
    monkeypatch.setattr(antennas, "SIZES", (4, 8, 16, 32))
    measured: list[tuple[str, int]] = []

    def made_up(method: Any, case: Any, setting: Any) -> dict[str, Any]:
        size = case.scenario.tx_antennas
        measured.append((method.label, size))
        power = 6 if method is antennas.METHODS["closed"] else 0
        if method is antennas.METHODS["sdp-wvm"]:
            return {"seconds": [], "calls": 1, "failures": 3, "call_seconds": 1e-3}
        return {"seconds": [1e-3 * (size / 4) ** power] * 2, "call_seconds": 1e-3 * (size / 4) ** power, "failures": 0}

    monkeypatch.setattr(antennas, "measure", made_up)
    words = ("bench", "antennas", "-o", tmp_path, "--max-antennas", 32, "--budget", 1.0, "--json")
    assert crbatch(monkeypatch, *words) == Exit.DONE
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    label = antennas.METHODS["closed"].label
    assert [size for name, size in measured if name == label] == [4, 8]
    assert rows["closed"]["seconds"] == [pytest.approx(1e-3), pytest.approx(0.064), None, None]
    assert rows["closed"]["missing"] == "about 4.1 s expected at 16 antennas, the budget is 1 s"
    assert rows["closed"]["slope"] == pytest.approx(6.0)
    assert rows["fim-separable"]["missing"] == ""
    assert rows["fim-separable"]["slope"] == pytest.approx(0.0, abs=1e-12)
    assert rows["sdp-wvm"]["failures"] == 12
    assert rows["sdp-wvm"]["slope"] is None


def test_failing_calls_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(antennas, "_BATCH", 2)
    case = antennas.make_case(4)

    def give_up(*_: object) -> None:
        raise DesignError("no point")

    monkeypatch.setattr(conic, "covariance_mismatch", give_up)
    setting = antennas.Setting(repeats=3)
    found = antennas.measure(antennas.METHODS["sdp-wvm"], case, setting)
    assert (found["seconds"], found["failures"]) == ([], 3)
    assert found["call_seconds"] > 0.0
    apa = case.problem.expand(case.problem.covariance_of_powers(case.problem.apa[:, None]))[0, 0]
    poor = antennas.Method("poor", lambda c: baselines.Answer(apa, 0.0, 0.0, 0.0))
    found = antennas.measure(poor, case, setting)
    assert (found["seconds"], found["failures"]) == ([], 3)


def test_what_does_not_fit_in_memory_is_not_started() -> None:
    method = antennas.METHODS["sdp-full"]
    assert antennas.why_not(method, {8: 0.1, 16: 0.1}, 32, 60.0) == ""
    assert "GB needed at 4096 antennas" in antennas.why_not(method, {8: 0.1, 16: 0.1}, 4096, 60.0)


def test_slope_of_made_up_times() -> None:
    sizes = 2 ** np.arange(3, 11)
    times = np.where(sizes < 64, 1.0, 1e-9 * sizes**3.0)
    assert harness.fitted_slope(sizes, times) == pytest.approx(3.0)
    times[-2:] = np.nan
    assert harness.fitted_slope(sizes, times, upper=3) == pytest.approx(3.0)
    assert np.isnan(harness.fitted_slope(sizes, np.where(sizes == 8, 1.0, np.nan)))
    assert harness.quartiles([1.0, np.nan, 2.0, 3.0]) == (1.5, 2.0, 2.5)


def test_the_core_is_given_back() -> None:
    seen: list[set[int]] = []

    def fail() -> None:
        with harness.on_one_core():
            seen.append(os.sched_getaffinity(0))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert len(seen[0]) == 1
    assert os.sched_getaffinity(0) == CORES
