"""The hash of the code that makes a shard: it changes with every file that a chunk's work imports."""

import ast
import shutil
from itertools import accumulate
from pathlib import Path

import pytest
from crbatch.jobs import identity
from repository import ROOT

SOURCES = identity.sources(ROOT)


def imported(path: Path) -> set[str]:
    """What a file imports of ours, by Python's own parser, with the packages on the way, as files."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = ("crbatch", *path.relative_to(ROOT).parts)[: -node.level] if node.level else ()
            module = ".".join((*parts, *([node.module] if node.module else [])))
            modules = [module, *(f"{module}.{name.name}" for name in node.names)]
        else:
            continue
        for module in modules:
            for place in accumulate(module.removeprefix("crbatch.").split("."), lambda a, b: f"{a}/{b}"):
                found |= {file for file in (f"{place}.py", f"{place}/__init__.py") if module.startswith("crbatch.")}
    return {file for file in found if (ROOT / file).is_file()}


def test_sources_are_all_that_a_chunk_imports() -> None:
    waiting, found = {f"jobs/chunk/{path.name}" for path in (ROOT / "jobs" / "chunk").glob("*.py")}, set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= imported(ROOT / name) - found
    assert found <= set(SOURCES)
    assert set(SOURCES) - found <= {"__init__.py", "jobs/__init__.py", "jobs/chunk/__init__.py"}


@pytest.mark.parametrize(
    "name",
    [
        "jobs/chunk/beams.py", "jobs/chunk/task.py", "jobs/jobfile/schema.py", "jobs/drops/table.py",
        "results/schema.py", "results/shards.py", "engine/scenario.py", "engine/beamforming/schemes.py",
        "engine/kernels/model/geometry.py", "engine/kernels/jit/lanes.py",
    ],
)  # fmt: skip
def test_what_decides_a_shard_is_among_them(name: str) -> None:
    assert name in SOURCES


@pytest.mark.parametrize("name", ["jobs/cli/app.py", "results/page.py", "cluster/slurm.py"])
def test_what_only_shows_or_carries_is_not(name: str) -> None:
    assert name not in SOURCES


def test_touching_any_of_them_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(identity, "_HOME", tmp_path)
    monkeypatch.setattr(identity, "versions", lambda: {})
    monkeypatch.setattr(identity, "sources", lambda home: SOURCES)

    def key() -> str:
        identity.code_key.cache_clear()
        return identity.code_key()

    keys = [key()]
    for name in SOURCES:
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(before + "# touched\n")
        keys.append(key())
        (tmp_path / name).write_text(before)
    assert len(set(keys)) == len(SOURCES) + 1
    assert key() == keys[0]
    identity.code_key.cache_clear()
