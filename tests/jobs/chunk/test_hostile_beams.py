"""Files of beams that are hostile or broken end in one line, and take no memory for what they only claim."""

import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crbatch.jobs.chunk.beams import load_beams
from crbatch.jobs.errors import UsageProblem
from job_cases import tiny_job


def header(shape: str, descr: str = "'<c16'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x02\0" + struct.pack("<I", len(text)) + text


def archive(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        out.writestr("W.npy", content)
    return file.getvalue()


def whole() -> bytes:
    file = BytesIO()
    np.save(file, np.random.default_rng(1).normal(size=(16, 3)))
    return file.getvalue()


def changed(content: bytes, at: int, value: int, central: int = -1) -> bytes:
    """An archive with a byte of its member's header changed, and the same one of its directory."""
    data = bytearray(content)
    data[at] = value
    if central >= 0:
        data[data.rindex(b"PK\x01\x02") + central] = value
    return bytes(data)


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "233 TiB.npy": (lambda: header(f"(16, {2**40})"), "its header says .* numbers, and it has"),
    "more than there is.npy": (lambda: header(f"({2**62}, {2**62})"), "its header says .* numbers, and it has"),
    "fewer than none.npy": (lambda: header("(16, -5)") + bytes(99), "not a NumPy file of numbers"),
    "deep.npy": (lambda: header("(" * 3_000 + ")" * 3_000), "not a NumPy file of numbers"),
    "no Python.npy": (lambda: header("(16, 3")[:-3], "not a NumPy file of numbers"),
    "long text.npy": (lambda: header("(16, 3)", "'<U1000000000'"), "not a NumPy file of numbers"),
    "objects.npy": (lambda: header("(16, 3)", "'|O'") + b"cos\nsystem\n" * 40, "W is of type object"),
    "parts.npy": (lambda: header("(16, 3)", "[('a', '<f8', (1000000, 1000000))]"), "not a NumPy file of numbers"),
    "bomb.npz": (lambda: archive(header(f"(16, {2**20})") + bytes(2**28)), f"W has {2**20} columns for 16 slots"),
    "claims.npz": (lambda: archive(header("(16, 3)")), "its header says 48 numbers, and it has"),
    "deflate.npz": (lambda: changed(archive(whole()), 60, 0xFF), "not a NumPy file of numbers"),
    "checksum.npz": (lambda: changed(archive(whole(), zipfile.ZIP_STORED), 300, 0xFF), "Bad CRC-32"),
    "method.npz": (lambda: changed(archive(whole()), 8, 99, central=10), "not a NumPy file of numbers"),
    "encrypted.npz": (lambda: changed(archive(whole()), 6, 1, central=8), "not a NumPy file of numbers"),
    "within.npz": (lambda: archive(archive(whole()), zipfile.ZIP_LZMA), "not a NumPy file of numbers"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CASES)
def test_each_ends_in_one_line(tmp_path: Path, name: str) -> None:
    make, says = CASES[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(UsageProblem, match=says) as error:
        load_beams(tiny_job(design={"custom": str(path)}))
    assert len(str(error.value).splitlines()) == 1
    assert str(error.value).startswith(f"{path}: design.custom: ")


@pytest.mark.parametrize("name", ["233 TiB.npy", "bomb.npz"])
def test_no_number_is_read_of_what_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("numbers are read")

    monkeypatch.setattr(np.lib.format, "read_array", refuse)
    test_each_ends_in_one_line(tmp_path, name)


def test_many_names_are_not_all_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as out:
        for n in range(1_000):
            out.writestr(f"a{n}.npy", b"")
    with pytest.raises(UsageProblem, match="holds a0, a1, a2, a3, a4, a5, a6, a7 and others; save one array"):
        load_beams(tiny_job(design={"custom": str(tmp_path / "many.npz")}))


def test_numbers_beyond_the_range_of_doubles(tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", np.full((16, 3), np.longdouble("1e4000")))
    with pytest.raises(UsageProblem, match="W has entries that are not finite"):
        load_beams(tiny_job(design={"custom": str(tmp_path / "large.npy")}))
