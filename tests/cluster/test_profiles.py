"""Cluster profiles: where they are found, and what a wrong one is told."""

from pathlib import Path

import platformdirs
import pytest
from crbatch.cluster.errors import ClusterError
from crbatch.cluster.profiles import SlurmProfile, load_profile, packaged_profiles, parse_profile, profile_toml

QUEUE = {"kind": "slurm", "workers": 2, "memory": "1GB", "walltime": "00:10:00"}


@pytest.mark.parametrize("name", packaged_profiles())
def test_packaged_profiles_are_valid_and_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    profile = load_profile(name)
    copy = tmp_path / "copy.toml"
    copy.write_text(profile_toml(profile))
    assert load_profile(str(copy)) == profile


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration folder; the working folder is another one, both empty."""
    folder, here = tmp_path / "config", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: folder)
    monkeypatch.chdir(here)
    return folder


EVIL = 'kind = "address"\naddress = "tls://evil:1"\n'


@pytest.mark.parametrize("name", packaged_profiles())
def test_working_folder_shadows_no_packaged_profile(name: str, users: Path) -> None:
    Path(f"{name}.toml").write_text(EVIL)
    assert load_profile(name).kind == name
    assert load_profile(f"./{name}.toml").kind == load_profile(f"{name}.toml").kind == "address"


@pytest.mark.parametrize("name", ["none", "local"])
def test_the_users_folder_does_not_replace_what_runs_without_a_wish(name: str, users: Path) -> None:
    (users / f"{name}.toml").write_text(EVIL)
    assert load_profile(name).kind == name


def test_a_packaged_start_of_the_users_own_name_is_not_taken_in_silence(users: Path) -> None:
    (users / "slurm.toml").write_text("")
    with pytest.raises(ClusterError, match=r"'slurm' is a packaged profile, which .*/slurm.toml does not replace; re"):
        load_profile("slurm")


def test_bare_names_are_of_the_users_folder_and_never_of_the_working_folder(users: Path) -> None:
    Path("mine.toml").write_text(EVIL)
    with pytest.raises(ClusterError, match=r"write one as .*config/mine.toml, or name mine.toml by its path"):
        load_profile("mine")
    (users / "mine.toml").write_text(profile_toml(parse_profile(QUEUE, "x")))
    assert load_profile("mine").kind == "slurm"


ADDRESS = {"kind": "address", "address": "tls://node7:8786"}
FILES = {name: f"/home/me/{name}.pem" for name in ("tls_ca", "tls_cert", "tls_key")}


@pytest.mark.parametrize("address", ["node7:8786", "tls://[2001:db8::7]:8786", "[::1]:1", "tls://[fe80::1%eth0]:1"])
def test_addresses_survive_a_round_trip_with_their_keys(address: str, tmp_path: Path) -> None:
    profile = parse_profile(ADDRESS | FILES | {"address": address}, "x")
    copy = tmp_path / "copy.toml"
    copy.write_text(profile_toml(profile))
    assert load_profile(str(copy)) == profile


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        *(
            ({"address": address}, f"address: .* is refused; .*{says}")
            for address, says in {
                "node7": "as in",
                "-x:1": "as in",
                "tls://[::1:8786": "IPv6",
                "tls://[zz]:1": "IPv",
                "file://x:1": "as in",
                "node7:99999": "out of range",
                "a b:1": "as in",
                "node7:1/x": "as in",
            }.items()
        ),
        ({"tls_key": "k.pem"}, "tls_key: give all of tls_ca, tls_cert and tls_key, or none"),
        ({"tls_ca": "k.pem", "tls_key": "k.pem"}, "tls_ca, tls_key: give all"),
        ({"tls_ca": "-k"}, "tls_ca: .* should not begin with -"),
    ],
)
def test_wrong_addresses_are_told_the_key(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ClusterError, match=f"^x.toml: {says}"):
        parse_profile(ADDRESS | changes, "x.toml")


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
        ({"scratch": "-p"}, "scratch: .* a folder"),
        ({"account": "-x"}, "account: '-x' is refused; it should not begin with -"),
        ({"queue": "--wrap=id"}, "queue: .* should not begin with -"),
        ({"interface": "-x"}, "interface: .* should not begin with -"),
        *(
            ({"directives": [line]}, "directives: .*not for a profile")
            for line in ("--wrap=id", "--wra id", "--nice -a0-9", "-Wx", "--output=/x", "--constraint=a --wrap='x y'")
        ),
        ({"directives": ["id"]}, "directives: .* should begin with an option"),
        ({"directives": ["--comment='x"]}, "directives: .* should be options"),
        ({"directives": [""]}, "directives: .* should begin with an option"),
        ({"kind": "pbs", "directives": ["-J 0-9"]}, "directives: .*not for a profile"),
        ({"kind": "pbs", "directives": ["-- /bin/id"]}, "directives: .*not for a profile"),
        ({"workers": 10**11}, "workers: 100000000000 is refused; it should be less than or equal to 10000"),
        ({"workers": 10**4000}, "workers: 10000.* is refused"),
        ({"cores": 10**11, "memory": "1TB"}, "cores: .* is refused"),
        ({"memory": "9999999TB"}, "memory: .* a number with a unit"),
        ({"memory": "0GB"}, r"memory: .* a job of cores = 1 takes 550\.0 MB; give more memory"),
        ({"cores": 6, "memory": "2GB"}, r"memory: '2GB' is refused; a job of cores = 6 takes 2\.0 GB; give more"),
        ({"walltime": "00:00:00"}, "walltime: .* some time"),
        ({"walltime": f"{10**12}:00:00"}, "walltime: .* is refused"),
    ],
)
def test_wrong_profiles_are_told_the_key_and_what_is_right(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ClusterError, match=f"^x.toml: {says}"):
        parse_profile(QUEUE | changes, "x.toml")


@pytest.mark.parametrize("key", ["workers", "memory", "walltime"])
def test_a_queue_has_no_silent_defaults(key: str) -> None:
    with pytest.raises(ClusterError, match=f"{key}: missing"):
        parse_profile({name: value for name, value in QUEUE.items() if name != key}, "x.toml")


@pytest.mark.parametrize("line", ["--constraint=zen4", "-C zen4", "--mem=0", "--mail-type=END --nice  # late"])
def test_directives_that_say_what_a_job_is_like_are_taken(line: str) -> None:
    assert parse_profile(QUEUE | {"directives": [line]}, "x").directives == [line]


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "workers = " + "1" * 5000, "\x00"])
def test_hostile_files_end_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.toml"
    path.write_text(text)
    with pytest.raises(ClusterError, match="not a readable TOML file"):
        load_profile(str(path))


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
