"""The kernels' compilation as a run begins: once, by whoever is first, wherever they can be kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from crbatch.engine import warm
from crbatch.engine.kernels.jit import kernelstore

PRETEND = """
import sys
import time
from pathlib import Path
from crbatch.engine import warm

def compile(kept):
    with Path("compiled").open("a") as file:
        file.write("once\\n")
    time.sleep(float(sys.argv[1]))

warm._compile, warm._run_through = compile, lambda: None
warm.load_kernels()
"""


def start(folder: Path, seconds: float = 1.0) -> "subprocess.Popen[str]":
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PRETEND, str(seconds)],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow("starts processes")
def test_of_eight_processes_one_compiles(tmp_path: Path) -> None:
    together = [start(tmp_path) for _ in range(8)]
    told = [process.communicate()[1] for process in together]
    assert [process.returncode for process in together] == [0] * 8
    assert (tmp_path / "compiled").read_text() == "once\n"
    waiting = [words for words in told if words]
    for words in waiting:
        assert words.startswith("crbatch: another process compiles the kernels into ")
        assert words.count("\n") == 1
    late = start(tmp_path)
    assert late.communicate()[1] == ""
    assert (tmp_path / "compiled").read_text() == "once\n"


@pytest.mark.slow("kills processes")
def test_one_that_is_killed_is_followed_by_another(tmp_path: Path) -> None:
    first = start(tmp_path, 300.0)
    while not (tmp_path / "compiled").exists():
        assert first.poll() is None
    second = start(tmp_path)
    assert second.stderr is not None
    assert "waiting for it" in second.stderr.readline()
    first.kill()
    first.communicate()
    assert second.communicate()[1] == ""
    assert second.returncode == 0
    assert (tmp_path / "compiled").read_text() == "once\nonce\n"


def test_without_a_place_to_keep_them_no_helper_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It could hand nothing over."""
    monkeypatch.setattr(warm, "_run_through", lambda: None)
    monkeypatch.setattr(subprocess, "Popen", None)
    monkeypatch.setattr(kernelstore, "_ROOM", 1 << 80)
    store = kernelstore.KernelStore(tmp_path / "a")
    with store.alone() as kept:
        assert not kept
        warm._compile(kept)
