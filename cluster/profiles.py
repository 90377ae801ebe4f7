"""Cluster profiles: TOML files that say where a run's workers live."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from difflib import get_close_matches
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

import platformdirs
import tomli_w
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from .directives import check_pbs, check_slurm
from .errors import ClusterError
from .needs import job_bytes, parse_size, size

# What may reach a job script, where the shell or the batch system reads it: nothing with a meaning of its own.
_PLAIN = re.compile(r"[A-Za-z0-9_.,:=+@/-]*")
_PLACE = re.compile(r"(?!-)\$?[A-Za-z0-9_.+@/-]+")
_PROTOCOLS = ("tcp", "tls", "ws", "wss", "ucx")
_WALLTIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,5}):(\d\d):(\d\d)")
_MEMORY = re.compile(r"\d{1,7}(\.\d{1,3})? ?[KMGT]i?B", re.IGNORECASE)
#: More than any cluster has: a slip of the finger.
MOST_WORKERS = 10_000
_MOST_CORES = 1_024
_LARGEST_MEMORY = 10**15


def _checked(right: Callable[[str], object], wanted: str) -> AfterValidator:
    """Refuse a text that is not right, saying what is wanted."""

    def check(text: str) -> str:
        if not right(text):
            raise ValueError(wanted)
        return text

    return AfterValidator(check)


def _address(text: str) -> str:
    """Of a scheduler, as Dask takes it: [tcp|tls|ws|wss://]HOST:PORT, where an IPv6 address stands in brackets."""
    wanted = 'it should be as in "tls://node7:8786" or "tls://[2001:db8::7]:8786"'
    parts = urlsplit(text if "://" in text else f"tcp://{text}")  # a ValueError of its own where brackets do not close
    host = parts.netloc.rpartition(":")[0]
    if host.startswith("["):
        ip_address(parts.hostname or "")
    elif text.startswith("-") or not re.fullmatch(r"[A-Za-z0-9_.-]+", host) or host.startswith("-"):
        raise ValueError(wanted)
    if parts.scheme not in _PROTOCOLS or not parts.port or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(wanted)
    return text


def _walltime(text: str) -> str:
    match = _WALLTIME.fullmatch(text)
    if not match or int(match[3]) > 59 or int(match[4]) > 59:
        raise ValueError('it should be hours:minutes:seconds, as in "00:30:00", or days-hours:minutes:seconds')
    if not any(int(part or 0) for part in match.groups()):
        raise ValueError("it should be some time")
    return text


Plain = Annotated[
    str,
    _checked(lambda text: not text.startswith("-"), "it should not begin with -, or it is read as an option"),
    _checked(_PLAIN.fullmatch, "it should have letters, digits and _.,:=+@/- only"),
]
Place = Annotated[
    str, _checked(_PLACE.fullmatch, 'it should be a folder, or a variable with one, as in "$TMPDIR" or "/scratch/me"')
]
Line = Annotated[str, _checked(str.isprintable, "it should be one line")]
Address = Annotated[str, AfterValidator(_address)]
Memory = Annotated[
    str,
    _checked(
        lambda text: _MEMORY.fullmatch(text) and parse_size(text) <= _LARGEST_MEMORY,
        'it should be a number with a unit, as in "2GB"',
    ),
]
Workers = Annotated[int, Field(ge=1, le=MOST_WORKERS)]


class _Base(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoCluster(_Base):
    """The work is done in this process."""

    kind: Literal["none"] = "none"


class LocalProfile(_Base):
    """Worker processes on this machine, one thread each, reached over 127.0.0.1 alone."""

    kind: Literal["local"] = "local"
    workers: Workers | None = None
    shared_filesystem: bool = True


class AddressProfile(_Base):
    """A Dask scheduler that is there already, with its own workers."""

    kind: Literal["address"]
    address: Address
    tls_ca: Plain = ""
    tls_cert: Plain = ""
    tls_key: Plain = ""
    shared_filesystem: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name in ("tls_ca", "tls_cert", "tls_key") if getattr(self, name)}
        if given and len(given) < 3:
            raise ValueError(f"{', '.join(sorted(given))}: give all of tls_ca, tls_cert and tls_key, or none")
        return self


class SshProfile(_Base):
    """Workers started over ssh, the first host with the scheduler beside them."""

    kind: Literal["ssh"]
    hosts: Annotated[list[Plain], Field(min_length=1)]
    workers: Workers = 1
    python: Plain = ""
    shared_filesystem: bool = True


class _QueueProfile(_Base):
    workers: Workers
    cores: Annotated[int, Field(ge=1, le=_MOST_CORES)] = 1
    memory: Memory
    walltime: Annotated[str, AfterValidator(_walltime)]
    queue: Plain = ""
    account: Plain = ""
    interface: Plain = ""
    prologue: list[Line] = []
    directives: list[Line] = []
    scratch: Place = "$TMPDIR"
    shared_filesystem: bool = True

    @field_validator("memory")
    @classmethod
    def _enough(cls, memory: str, info: ValidationInfo) -> str:
        cores = info.data.get("cores", 1)
        if parse_size(memory) < job_bytes(cores):
            raise ValueError(
                f"a job of cores = {cores} takes {size(job_bytes(cores))}; give more memory or fewer cores"
            )
        return memory

    @property
    def walltime_seconds(self) -> int:
        """The walltime in seconds."""
        days, hours, minutes, seconds = (int(part or 0) for part in _WALLTIME.fullmatch(self.walltime).groups())  # type: ignore[union-attr]
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class SlurmProfile(_QueueProfile):
    """Workers as SLURM jobs."""

    kind: Literal["slurm"]
    directives: Annotated[list[Line], AfterValidator(check_slurm)] = []


class PbsProfile(_QueueProfile):
    """Workers as PBS jobs: scripts are printed, not submitted."""

    kind: Literal["pbs"]
    directives: Annotated[list[Line], AfterValidator(check_pbs)] = []


QueueProfile = SlurmProfile | PbsProfile
Profile = NoCluster | LocalProfile | AddressProfile | SshProfile | SlurmProfile | PbsProfile
_KINDS: dict[str, type[_Base]] = {get_args(one.model_fields["kind"].annotation)[0]: one for one in get_args(Profile)}
_COMPLETE = ("none", "local")  # the other packaged ones are starts, of which users make their own
_SHORT = Repr()  # of what may be endless
_SHORT.maxstring = _SHORT.maxother = 80
_ADAPTER: TypeAdapter[Profile] = TypeAdapter(Annotated[Profile, Field(discriminator="kind")])


def load_profile(name: str) -> Profile:
    """Read a profile.

    `name`: the path of a TOML file, or the name (without ``.toml``) of a packaged one or of one in the user's
    configuration folder for crbatch. What lies in the working folder is named by its path alone. Result: checked.
    Raises ClusterError, naming the file and the key, and what would be right.
    """
    path = Path(name)
    try:
        path = _find(name)
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # not only of its own: int() has a limit, and the stack
        raise ClusterError(f"{path}: not a readable TOML file: {error}") from None
    return parse_profile(document, str(path))


def parse_profile(document: dict[str, object], source: str) -> Profile:
    """Check a profile's table; `source` is named in errors.

    Raises ClusterError, naming the key, and what would be right.
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
    folder = files("crbatch.cluster") / "specs"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def _find(name: str) -> Path:
    as_path = Path(name)
    if as_path.suffix == ".toml" or "/" in name:
        if not as_path.is_file():
            raise ClusterError(f"{name}: no such profile file")
        return as_path
    users = users_folder() / f"{name}.toml"
    if name in packaged_profiles():
        if name not in _COMPLETE and users.is_file():
            raise ClusterError(
                f"{name!r} is a packaged profile, which {users} does not replace; rename it, or name it by its path"
            )
        return Path(str(files("crbatch.cluster") / "specs" / f"{name}.toml"))
    if users.is_file():
        return users
    here = f", or name {as_path}.toml by its path, ./{as_path}.toml" if Path(f"{name}.toml").is_file() else ""
    raise ClusterError(
        f"no cluster profile {name!r}; there are {', '.join(packaged_profiles())}, or write one as {users}{here}"
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
    key = ".".join(str(part) for part in error["loc"][1:])  # after the kind
    match error["type"]:
        case "union_tag_not_found":
            return f"kind: missing; give one of {', '.join(_KINDS)}"
        case "union_tag_invalid":
            return f"kind: {_SHORT.repr(document.get('kind'))} is refused; give one of {', '.join(_KINDS)}"
        case "extra_forbidden":
            keys = list(_KINDS[str(document["kind"])].model_fields)
            near = get_close_matches(key, keys, n=1)
            return f"{key}: unknown key; " + (f'did you mean "{near[0]}"?' if near else f"there are {', '.join(keys)}")
        case "missing":
            return f"{key}: missing; a queue has no safe default for it"
    wanted = error["msg"].removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{key}: {_SHORT.repr(error['input'])} is refused; {wanted}" if key else wanted
