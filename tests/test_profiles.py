"""Cluster profiles: where they are found, and what a wrong one is told."""

from pathlib import Path

import platformdirs
import pytest

from cluster.errors import ClusterError
from cluster.profiles import SlurmProfile, load_profile, packaged_profiles, parse_profile, profile_toml

QUEUE = {"kind": "slurm", "workers": 2, "memory": "1GB", "walltime": "00:10:00"}


@pytest.mark.parametrize("name", packaged_profiles())
def test_packaged_profiles_are_valid_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    copy = tmp_path / "copy.toml"
    copy.write_text(profile_toml(profile))
    assert load_profile(str(copy)) == profile


def test_own_folder_comes_before_the_users_and_that_before_the_packaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, here = tmp_path / "config", tmp_path / "here"
    for folder, workers in ((users, 7), (here, 3)):
        folder.mkdir()
        (folder / "slurm.toml").write_text(f'kind = "slurm"\nworkers = {workers}\nmemory = "1GB"\nwalltime = "1:00:00"')
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: users)
    monkeypatch.chdir(tmp_path)
    assert load_profile("slurm").workers == 7
    monkeypatch.chdir(here)
    assert load_profile("slurm").workers == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "slrum"}, "kind: 'slrum' is refused; give one of none, local, address, ssh, slurm, pbs"),
        ({"wrokers": 2}, 'wrokers: unknown key; did you mean "workers"?'),
        ({"foo": 2}, "foo: unknown key; there are workers, cores, memory, "),
        ({"workers": 0}, "workers: 0 is refused"),
        (
            {"workers": 0, "wrokers": 2, "memory": "2"},
            r"3 mistakes: \(1\) wrokers: .* \(2\) workers: 0 is refused.* \(3\) memory: .2. is refused",
        ),
        ({"workers": "2"}, "workers: '2' is refused"),
        ({"memory": "2"}, 'memory: .2. is refused; it should be a number with a unit, as in "2GB"'),
        ({"walltime": "30"}, "walltime: '30' is refused"),
        ({"walltime": "00:61:00"}, "walltime"),
        ({"queue": "main; rm -rf /"}, "queue: .* letters, digits"),
        ({"account": "a b"}, "account: .* letters, digits"),
        ({"directives": ["--x\n#SBATCH --y"]}, r"directives.0: .* one line"),
        ({"prologue": ["a\nb"]}, r"prologue.0: .* one line"),
        ({"scratch": "$(touch x)"}, "scratch: .* a folder"),
    ],
)
def test_wrong_profiles_are_told_the_key_and_what_is_right(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ClusterError, match=f"^x.toml: {says}"):
        parse_profile(QUEUE | changes, "x.toml")


@pytest.mark.parametrize("key", ["workers", "memory", "walltime"])
def test_a_queue_has_no_silent_defaults(key: str) -> None:
    with pytest.raises(ClusterError, match=f"{key}: missing"):
        parse_profile({name: value for name, value in QUEUE.items() if name != key}, "x.toml")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("kind = ")
    with pytest.raises(ClusterError, match=r"broken.toml: not a readable TOML file"):
        load_profile(str(broken))
    with pytest.raises(ClusterError, match="no such profile file"):
        load_profile(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(("text", "seconds"), [("00:30:00", 1800), ("1-02:03:04", 93784), ("100:00:00", 360000)])
def test_walltime_in_seconds(text: str, seconds: int) -> None:
    profile = parse_profile(QUEUE | {"walltime": text}, "x")
    assert isinstance(profile, SlurmProfile)
    assert profile.walltime_seconds == seconds
