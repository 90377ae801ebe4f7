"""Files with bytes flipped, cut off or put in: each reader takes them, or says in one line why not. Nothing else."""

import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.profiles import load_profile
from crbatch.jobs.chunk.beams import load_beams
from crbatch.jobs.drops.read import read_drops
from crbatch.jobs.errors import DamagedData, UsageProblem
from crbatch.jobs.finished.compare import compare_cubes
from crbatch.jobs.folder.journal import Journal
from crbatch.jobs.jobfile.packaged import packaged_text
from crbatch.jobs.jobfile.schema import JobError, load_job
from job_cases import run_tiny, tiny_job
from scipy.io import savemat

DRAWS = {
    "ue_position": np.array([[-5.0, 20.0], [3.0, 18.5], [1.0, 22.0]]),
    "ue_orientation": np.array([0.1, -0.2, 0.3]),
    "target_rcs": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
}
PROFILE = """kind = "slurm"
workers = 2
cores = 2
memory = "1GB"
walltime = "00:10:00"
interface = "lo"
account = "a"
directives = ["--qos=x"]
"""
FEW, MANY = 40, 2_000
_MEMORY = 6_000_000_000


def write_job(path: Path) -> None:
    path.write_text(packaged_text("template"))


def write_profile(path: Path) -> None:
    path.write_text(PROFILE)


def write_table(path: Path) -> None:
    rows = "\n".join(f"{k}, {k + 20.5}, {10 * k}, 1e2, 2e2" for k in range(5))
    path.write_text(f"ue_x_m, ue_y_m, ue_orientation_deg, target1_rcs_m2, target2_rcs_m2\n{rows}\n")


def write_netcdf(path: Path) -> None:
    xr.Dataset(
        {
            "ue_position": (("draw", "xy"), DRAWS["ue_position"]),
            "ue_orientation": (("draw",), DRAWS["ue_orientation"], {"units": "rad"}),
            "target_rcs": (("draw", "target"), DRAWS["target_rcs"]),
        }
    ).to_netcdf(path, engine="netcdf4", encoding={"ue_orientation": {"zlib": True}})


def write_classic(path: Path) -> None:
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("draw", 3)
        file.createVariable("ue_orientation", "f8", ("draw",))[:] = DRAWS["ue_orientation"]


def write_matlab(path: Path) -> None:
    savemat(path, DRAWS, do_compression=True)


def write_old_matlab(path: Path) -> None:
    savemat(path, DRAWS, format="4")


def write_npy(path: Path) -> None:
    np.save(path, np.ones((16, 3), complex))


def write_npz(path: Path) -> None:
    np.savez_compressed(path, V=np.eye(16, dtype=complex))


def write_journal(path: Path) -> None:
    journal = Journal(path)
    journal.write("start", cluster="none", chunks=2)
    journal.write("chunk", start=0, stop=2, sha256="0" * 64, uncertified=0)
    journal.write("jobs", system="slurm", role="workers", ids=["41", "42"])


def read_beams(path: Path) -> None:
    load_beams(tiny_job(design={"custom": str(path)}))


def read_journal(path: Path) -> None:
    journal = Journal(path)
    assert all(event["time"] is not None for event in journal.all())
    assert len(journal.damaged()) <= path.read_bytes().count(b"\n") + 1


Reader = tuple[str, Callable[[Path], None], Callable[[Path], object], tuple[type[Exception], ...]]
READERS: dict[str, Reader] = {
    "job": (".toml", write_job, load_job, (JobError,)),
    "profile": (".toml", write_profile, lambda path: load_profile(str(path)), (ClusterError,)),
    "table": (".csv", write_table, read_drops, (ValueError,)),
    "netcdf": (".nc", write_netcdf, read_drops, (ValueError,)),
    "classic": (".nc", write_classic, read_drops, (ValueError,)),
    "matlab": (".mat", write_matlab, read_drops, (ValueError,)),
    "matlab4": (".mat", write_old_matlab, read_drops, (ValueError,)),
    "npy": (".npy", write_npy, read_beams, (UsageProblem,)),
    "npz": (".npz", write_npz, read_beams, (UsageProblem,)),
    "journal": (".jsonl", write_journal, read_journal, ()),
}


def broken(whole: bytes, rng: random.Random) -> bytes:
    """Some bytes of a file other than they were."""
    data = bytearray(whole)
    at = rng.randrange(len(data))
    match rng.randrange(6):
        case 0:
            del data[at:]
        case 1:
            data[at : at + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, b"\x7f" * 8])
        case 2:
            data[at:at] = rng.randbytes(rng.randrange(1, 40))
        case 3:
            del data[at : at + rng.randrange(1, 40)]
        case _:
            for _ in range(rng.choice([1, 1, 2, 8, 64])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


@pytest.fixture
def bounded() -> Iterator[None]:
    """What asks for more memory than a small machine has does not get it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def refusal(read: Callable[[Path], object], path: Path, allowed: tuple[type[Exception], ...]) -> Exception | None:
    """What a reader says of a file, if it is what it may say."""
    try:
        read(path)
    except allowed as error:
        return error
    return None


def check(kind: str, folder: Path, times: int) -> None:
    suffix, write, read, allowed = READERS[kind]
    path = folder / f"whole{suffix}"
    write(path)
    read(path)
    whole = path.read_bytes()
    rng = random.Random(kind)
    for time in range(times):
        path = folder / f"{time}{suffix}"
        path.write_bytes(broken(whole, rng))
        error = refusal(read, path, allowed)
        assert error is None or type(error) in allowed, f"{path}: {error!r}"
        assert error is None or (str(path) in f"{error}" and len(f"{error}".splitlines()) == 1), f"{path}: {error}"
        path.unlink()


@pytest.mark.slow("many broken files")
@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("kind", READERS)
def test_broken_files(tmp_path: Path, kind: str) -> None:
    check(kind, tmp_path, FEW)


@pytest.mark.slow("2,000 broken files a format")
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("kind", READERS)
def test_many_broken_files(tmp_path: Path, kind: str) -> None:
    check(kind, tmp_path, MANY)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "run"
    run_tiny(folder, tiny_job(draws={"count": 2}, design={"schemes": ["apa"], "rho": [0.0, 1.0]}))
    return folder / "cube.nc"


def check_cubes(cube: Path, folder: Path, times: int) -> None:
    whole, rng = cube.read_bytes(), random.Random("cube")
    for time in range(times):
        path = folder / f"{time}.nc"
        path.write_bytes(broken(whole, rng))
        # Mostly first, so that the whole one need not be looked through once more.
        pair = (cube, path) if time % 4 == 0 else (path, cube)
        error = refusal(lambda _, pair=pair: compare_cubes(*pair), path, (UsageProblem, DamagedData))
        assert error is None or (str(path) in f"{error}" and len(f"{error}".splitlines()) == 1), f"{path}: {error}"
        path.unlink()


@pytest.mark.slow("many broken files")
@pytest.mark.usefixtures("bounded")
def test_broken_cubes(cube: Path, tmp_path: Path) -> None:
    check_cubes(cube, tmp_path, FEW)


@pytest.mark.slow("2,000 broken files a format")
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("bounded")
def test_many_broken_cubes(cube: Path, tmp_path: Path) -> None:
    check_cubes(cube, tmp_path, MANY)


@pytest.mark.parametrize("text", ["a = " + "[" * 2_000 + "]" * 2_000, "workers = " + "1" * 5_000, "a = \x1b", "\ud800"])
def test_profiles_that_are_hostile(tmp_path: Path, text: str) -> None:
    path = tmp_path / "profile.toml"
    path.write_bytes(f'kind = "slurm"\n{text}'.encode(errors="surrogatepass"))
    with pytest.raises(ClusterError, match=f"{path}: not a readable TOML file") as error:
        load_profile(str(path))
    assert len(str(error.value).splitlines()) == 1
