"""Job files that are hostile or broken end in one line, in bounded time and memory."""

from pathlib import Path

import pytest
from crbatch.jobs.errors import Exit
from crbatch.jobs.jobfile.kinds import Kind, kind_of
from crbatch.jobs.jobfile.schema import JobError, load_job
from crbatch.jobs.jobfile.toml import LARGEST
from job_cases import crbatch

HEAD = 'schema = 1\nname = "x"\n'
DEEP = 2_000
NESTED = "not TOML: tables or lists are nested too deeply; correct that place"
INTEGER = "an integer has more than 64 bits; correct that place"
CASES = {
    "lists": ("a = " + "[" * DEEP + "]" * DEEP, NESTED),
    "inline tables": ("a = " + "{a=" * DEEP + "1" + "}" * DEEP, NESTED),
    "a table": (f"[{'.'.join(['a'] * 400_000)}]", NESTED),
    "a quoted table": ("[" + ".".join(['"a b"'] * 100_000) + "]", NESTED),
    "a key": (f"{' . '.join(['a'] * 400_000)} = 1", NESTED),
    "decimal": (f"[draws]\nseed = {'1' * 5_000}", f"not TOML: {INTEGER}"),
    "hexadecimal": (f"[draws]\nseed = 0x{'f' * 5_000}", f"not TOML: draws.seed: {INTEGER}"),
    "in a list": (f"[sweep]\npower_dbm = [0x{'f' * 5_000}]", f"not TOML: sweep.power_dbm: {INTEGER}"),
    "targets": (
        f"[scenario]\ntarget_positions_m = [{','.join(f'[{k}, 1]' for k in range(10_000))}]",
        "scenario.target_positions_m: 10000 targets are too many; 256 at most",
    ),
    "points": (
        f"[sweep]\npower_dbm = [{','.join(map(str, range(200_000)))}]",
        "sweep: 200000 points are too many; 10000 at most",
    ),
    "keys": ("".join(f"key{k} = 1\n" for k in range(50_000)), "more than 20 mistakes: (1) key0: unknown key; "),
    "swept keys": (
        "[sweep]\n" + "".join(f"key{k} = [1]\n" for k in range(50_000)),
        "more than 20 mistakes: (1) sweep.key0: unknown key; ",
    ),
    "a long key": ("k" * 500_000 + " = 1", f"{'k' * 80}...: unknown key; "),
    "a long path": (f'[draws]\nfile = "{"x" * 5_000}.csv"', "draws.file: no file "),
    "no path": ('[design]\ncustom = "a\\u0000b"', "design.custom: no file "),
    "large": ("#" * LARGEST, f"not TOML: the file has more than {LARGEST} bytes"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", CASES)
def test_each_ends_in_one_line(tmp_path: Path, case: str) -> None:
    text, reason = CASES[case]
    path = tmp_path / "job.toml"
    path.write_text(HEAD + text)
    with pytest.raises(JobError) as error:
        load_job(path)
    said = str(error.value)
    assert said.startswith(f"{path}: {reason}")
    assert "\n" not in said
    assert len(said) < 10_000


@pytest.mark.parametrize("case", ["lists", "hexadecimal", "large"])
def test_a_kind_is_found_of_it(tmp_path: Path, case: str) -> None:
    """As every command does that is given a path."""
    path = tmp_path / "job.toml"
    path.write_text(HEAD + CASES[case][0])
    assert kind_of(path) is Kind.FILE
    assert kind_of(tmp_path / ("x" * 5_000)) is Kind.NOTHING


def test_the_command_ends_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its control characters, in a key here, are spelled out."""
    path = tmp_path / "job.toml"
    path.write_text(HEAD + '"\\u001b[31m\\n" = 1')
    assert crbatch(monkeypatch, "plan", path) == Exit.USAGE
    said = capsys.readouterr().err
    assert said.startswith(f"crbatch: {path}: \\x1b[31m")
    assert said[:-1].isprintable()


def test_a_job_of_the_most_targets_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    places = ",".join(f"[{k}, 1]" for k in range(256))
    path.write_text(f'{HEAD}[scenario]\ntarget_positions_m = [{places}]\n[design]\nschemes = ["apa"]')
    assert load_job(path).scenario.targets == 256
