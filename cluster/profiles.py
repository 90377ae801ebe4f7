"""Cluster profiles: TOML files that say where a run's workers live."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from cluster.errors import ClusterError

# What may reach a job script, where the shell or the batch system reads it: nothing with a meaning of its own.
_PLAIN = re.compile(r"[A-Za-z0-9_.,:=+@/-]*")
_PLACE = re.compile(r"\$?[A-Za-z0-9_.+@/-]+")
_WALLTIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
_MEMORY = re.compile(r"\d+(\.\d+)? ?[KMGT]i?B", re.IGNORECASE)


def _plain(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ValueError("it should have letters, digits and _.,:=+@/- only")
    return text


def _place(text: str) -> str:
    if not _PLACE.fullmatch(text):
        raise ValueError('it should be a folder, or a variable with one, as in "$TMPDIR" or "/scratch/me"')
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it should be one line")
    return text


def _memory(text: str) -> str:
    if not _MEMORY.fullmatch(text):
        raise ValueError('it should be a number with a unit, as in "2GB"')
    return text


def _walltime(text: str) -> str:
    match = _WALLTIME.fullmatch(text)
    if not match or int(match[3]) > 59 or int(match[4]) > 59:
        raise ValueError('it should be hours:minutes:seconds, as in "00:30:00", or days-hours:minutes:seconds')
    return text


Plain = Annotated[str, AfterValidator(_plain)]
Place = Annotated[str, AfterValidator(_place)]
Line = Annotated[str, AfterValidator(_one_line)]
Workers = Annotated[int, Field(ge=1)]


class _Base(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @property
    def leaves_this_machine(self) -> bool:
        """Whether workers may be elsewhere."""
        return True


class NoCluster(_Base):
    """The work is done in this process."""

    kind: Literal["none"] = "none"

    @property
    def leaves_this_machine(self) -> bool:
        """Whether workers may be elsewhere."""
        return False


class LocalProfile(_Base):
    """Worker processes on this machine, one thread each, reached over 127.0.0.1 alone."""

    kind: Literal["local"] = "local"
    workers: Workers | None = None
    shared_filesystem: bool = True

    @property
    def leaves_this_machine(self) -> bool:
        """Whether workers may be elsewhere."""
        return False


class AddressProfile(_Base):
    """A Dask scheduler that is there already, with its own workers."""

    kind: Literal["address"]
    address: Plain
    tls_ca: Plain = ""
    tls_cert: Plain = ""
    tls_key: Plain = ""
    shared_filesystem: bool = True


class SshProfile(_Base):
    """Workers started over ssh, the first host with the scheduler beside them."""

    kind: Literal["ssh"]
    hosts: Annotated[list[Plain], Field(min_length=1)]
    workers: Workers = 1
    python: Plain = ""
    shared_filesystem: bool = True


class _QueueProfile(_Base):
    workers: Workers
    cores: Annotated[int, Field(ge=1)] = 1
    memory: Annotated[str, AfterValidator(_memory)]
    walltime: Annotated[str, AfterValidator(_walltime)]
    queue: Plain = ""
    account: Plain = ""
    interface: Plain = ""
    prologue: list[Line] = []
    directives: list[Line] = []
    scratch: Place = "$TMPDIR"
    shared_filesystem: bool = True

    @property
    def walltime_seconds(self) -> int:
        """The walltime in seconds."""
        days, hours, minutes, seconds = (int(part or 0) for part in _WALLTIME.fullmatch(self.walltime).groups())  # type: ignore[union-attr]
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class SlurmProfile(_QueueProfile):
    """Workers as SLURM jobs."""

    kind: Literal["slurm"]


class PbsProfile(_QueueProfile):
    """Workers as PBS jobs: scripts are printed, not submitted."""

    kind: Literal["pbs"]


QueueProfile = SlurmProfile | PbsProfile
Profile = NoCluster | LocalProfile | AddressProfile | SshProfile | SlurmProfile | PbsProfile
_KINDS: dict[str, type[BaseModel]] = {
    "none": NoCluster,
    "local": LocalProfile,
    "address": AddressProfile,
    "ssh": SshProfile,
    "slurm": SlurmProfile,
    "pbs": PbsProfile,
}
_ADAPTER: TypeAdapter[Profile] = TypeAdapter(Annotated[Profile, Field(discriminator="kind")])


def load_profile(name: str) -> Profile:
    """Read a profile.

    Parameters
    ----------
    name
        The path of a TOML file, or the name of one (without ``.toml``) in the working folder, the user's
        configuration folder for crbatch, or among the packaged ones.

    Returns
    -------
    Profile
        Checked.

    Raises
    ------
    ClusterError
        Naming the file and the key, and what would be right.
    """
    path = _find(name)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ClusterError(f"{path}: not a readable TOML file: {error}") from None
    return parse_profile(document, str(path))


def parse_profile(document: dict[str, object], source: str) -> Profile:
    """Check a profile's table; `source` is named in errors.

    Raises
    ------
    ClusterError
        Naming the key, and what would be right.
    """
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        raise ClusterError(f"{source}: {_explain(error, document)}") from None


def profile_toml(profile: Profile) -> str:
    """A profile as the text of a file that `load_profile` reads."""
    return tomli_w.dumps(profile.model_dump(exclude_none=True))


def packaged_profiles() -> list[str]:
    """Names of the packaged profiles."""
    folder = files("cluster") / "specs"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _find(name: str) -> Path:
    as_path = Path(name)
    if as_path.suffix == ".toml" or "/" in name:
        if not as_path.is_file():
            raise ClusterError(f"{name}: no such profile file")
        return as_path
    folders = _folders()
    for folder in folders:
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    places = ", ".join(f"{folder}/{name}.toml" for folder in folders[:2])
    raise ClusterError(
        f"no cluster profile {name!r}; there are {', '.join(packaged_profiles())}, or write one as {places}"
    )


def _folders() -> Sequence[Path]:
    return (
        Path(),
        users_folder(),
        Path(str(files("cluster") / "specs")),
    )


def users_folder() -> Path:
    """The folder of the user's own profiles, as people write it where the user has no home."""
    try:
        return platformdirs.user_config_path("crbatch")
    except RuntimeError:
        return Path("~/.config/crbatch")


def _explain(error: ValidationError, document: dict[str, object]) -> str:
    """Say of every key what is wrong and what would be right; unknown keys come first."""
    found = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    said = [_reason(one, document) for one in found]
    if len(said) == 1:
        return said[0]
    return f"{len(said)} mistakes: {' '.join(f'({n}) {words}' for n, words in enumerate(said, 1))}"


def _reason(error: ErrorDetails, document: dict[str, object]) -> str:
    key = ".".join(str(part) for part in error["loc"] if part not in _KINDS)
    match error["type"]:
        case "union_tag_not_found":
            return f"kind: missing; give one of {', '.join(_KINDS)}"
        case "union_tag_invalid":
            return f"kind: {document.get('kind')!r} is refused; give one of {', '.join(_KINDS)}"
        case "extra_forbidden":
            keys = list(_KINDS[str(document["kind"])].model_fields)
            near = get_close_matches(key, keys, n=1)
            return f"{key}: unknown key; " + (f'did you mean "{near[0]}"?' if near else f"there are {', '.join(keys)}")
        case "missing":
            return f"{key}: missing; a queue has no safe default for it"
    wanted = error["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{key}: {error['input']!r} is refused; {wanted}"
