"""Compiled kernels on disk: damaged, raced for, or written by others, they never give a wrong number."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

KERNEL = """
from crbatch.engine.kernels.jit.accelerate import kernel

@kernel
def twice(x):
    return 2.0 * x

@kernel
def run(x):
    total = 0.0
    for n in range(x.size):
        total += twice(x[n])
    return total
"""
USE = """
import sys
import numpy as np
import tiny_kernel
value = tiny_kernel.run(np.arange(10.0))
tiny_kernel.run(np.arange(10.0)[::2])
hits = sum(tiny_kernel.run.stats.cache_hits.values())
print(value, hits)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tiny_kernel.py").write_text(KERNEL)
    (tmp_path / "cache").mkdir(mode=0o700)
    (tmp_path / "tmp").mkdir(mode=0o700)
    return tmp_path


def start(home: Path, variable: str = "", before: str = "") -> "subprocess.Popen[str]":
    environment = {
        "NUMBA_CACHE_DIR": str(home / "cache"),
        "TMPDIR": str(home / "tmp"),
        "PYTHONPATH": str(home),
        **dict([variable.split("=")] if variable else ()),
    }
    return subprocess.Popen(
        [sys.executable, "-c", before + USE],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def use(home: Path, variable: str = "", before: str = "") -> tuple[float, int]:
    """Run the kernel in a process of its own; its value, and how many signatures came from the disk."""
    process = start(home, variable, before)
    out, err = process.communicate()
    assert process.returncode == 0, err
    value, hits = out.split()
    return float(value), int(hits)


def files(home: Path) -> list[Path]:
    found = sorted((home / "cache").rglob("*tiny_kernel*/*.nbc")) or sorted((home / "cache").rglob("*.nbc"))
    assert found
    return found


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path, random.Random], None]] = {
    "bit": flip,
    "torn": lambda path, rng: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) and None,
    "empty": lambda path, rng: path.write_bytes(b"") and None,
    "short": lambda path, rng: path.write_bytes(b"\x80\x04") and None,
}


def test_what_is_kept_is_used(home: Path) -> None:
    assert use(home) == (90.0, 0)
    assert use(home) == (90.0, 2)


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_compiled_again(home: Path, kind: str) -> None:
    use(home)
    rng = random.Random(5)
    for path in files(home):
        DAMAGE[kind](path, rng)
    assert use(home) == (90.0, 0)
    assert use(home) == (90.0, 2)


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("corrupt", [False, True])
def test_eight_processes_together(home: Path, corrupt: bool) -> None:
    """Cold, or on damaged files, all get it right, and no entry is lost to those who come after."""
    if corrupt:
        use(home)
        for path in files(home):
            flip(path, random.Random(9))
    together = [start(home) for _ in range(8)]
    for process in together:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert float(out.split()[0]) == 90.0
    assert use(home) == (90.0, 2)
    assert not list((home / "cache").rglob("*.tmp"))


@pytest.mark.slow("starts processes")
def test_folder_that_others_may_write_to_is_not_used(home: Path) -> None:
    use(home)
    for folder in [path for path in (home / "cache").rglob("crbatch-*") if path.is_dir()]:
        folder.chmod(0o777)
    assert use(home) == (90.0, 0)


@pytest.mark.slow("starts processes")
def test_changed_source_is_compiled_again(home: Path) -> None:
    use(home)
    (home / "tiny_kernel.py").write_text(KERNEL.replace("2.0 * x", "3.0 * x  # changed"))
    assert use(home)[0] == 135.0


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("variable", ["NUMBA_OPT=0", "NUMBA_DISABLE_JIT=1", "NUMBA_BOUNDSCHECK=1", "NUMBA_OPT=fast"])
def test_numbas_variables_do_not_matter(home: Path, variable: str) -> None:
    assert use(home, variable) == (90.0, 0)
    assert use(home) == (90.0, 2)


@pytest.mark.slow("starts processes")
@pytest.mark.parametrize("text", ["opt: 0\ndisable_jit: 1\n", "{ not: [yaml", "- a\n"])
def test_numbas_file_does_not_matter(home: Path, text: str) -> None:
    (home / ".numba_config.yaml").write_text(text)
    assert use(home) == (90.0, 0)
    (home / ".numba_config.yaml").unlink()
    assert use(home) == (90.0, 2)


@pytest.mark.slow("starts processes")
def test_settings_of_a_process_that_had_loaded_numba_do_not_matter(home: Path) -> None:
    assert use(home, before="import numba; numba.config.BOUNDSCHECK = 1\n") == (90.0, 0)
    assert use(home) == (90.0, 2)


def test_kernels_cannot_be_had_without_compiling(home: Path) -> None:
    process = start(home, before="import os; os.environ['NUMBA_DISABLE_JIT'] = '1'; import numba\n")
    assert "ImportError: Numba was loaded with NUMBA_DISABLE_JIT=1" in process.communicate()[1]


def test_trouble_with_the_folder_is_one_line(home: Path) -> None:
    (home / "cache").chmod(0o777)
    process = start(home)
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "90.0 0\n")
    assert err.startswith(f"crbatch: warning: kernel cache {home / 'cache'}")
    assert err.count("\n") == 1
    assert not list((home / "tmp").iterdir())
