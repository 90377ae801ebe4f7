"""The job file: what to compute, in TOML, checked before anything runs.

A mistake ends in a `JobError`: one line with the file, the key, what is wrong and what would be right.
"""

import hashlib
import json
import re
import tomllib
from itertools import product
from pathlib import Path
from reprlib import repr as short
from typing import Annotated, Any, Literal, Self

import tomli_w
from crbatch.engine.beamforming.scheme import Scheme
from crbatch.engine.scenario import Scenario
from crbatch.results.words import counted
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..drops import Drops, PathFile, read_drops, read_path_file
from .design import DesignSection, OutputSection
from .draws import DrawsSection, Section
from .elements import with_elements
from .inputs import Inputs
from .keys import keys_of
from .kinds import instead_of_job, is_file
from .mistakes import at, at_each, in_one_line, mistakes_of
from .packaged import packaged_jobs, packaged_text
from .sweeps import TRANSMIT_SIZES, flat_sweep, scenarios_of, typed_sweep
from .toml import parse_toml, read_toml

_MAX_TARGETS = 256
_MOST_SHARED_ANTENNAS = 256  # whose covariances are held for every scheme and weight


class JobError(ValueError):
    """A job file cannot be used; the message is one line for the user."""


def _few_targets(scenario: object) -> object:
    """Refuse what would take minutes to be looked through."""
    targets = scenario.get("target_positions_m") if isinstance(scenario, dict) else None
    if isinstance(targets, list) and len(targets) > _MAX_TARGETS:
        raise at("target_positions_m", f"{len(targets)} targets are too many; {_MAX_TARGETS} at most")
    return scenario


def _read_elements(scenario: object, info: ValidationInfo) -> object:
    """Read the files of arrays: a checked job has elements in their place."""
    return with_elements(scenario, (info.context or {}).get("folder", Path()))


def _safe_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            f"{short(name)} is no safe name; use up to 64 letters, digits, . _ -, the first a letter or digit"
        )
    return name


class JobFile(Section):
    """A checked job, every default filled in: one attribute for each section of the file."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, AfterValidator(_safe_name)]
    scenario: Annotated[Scenario, BeforeValidator(_read_elements), BeforeValidator(_few_targets)] = Scenario()
    draws: DrawsSection = DrawsSection()
    design: DesignSection = DesignSection()
    sweep: dict[str, tuple[int | float | str, ...]] = Field(default_factory=dict)
    output: OutputSection = OutputSection()
    # Where relative paths start from.
    _folder: Path = PrivateAttr(default=Path())
    _inputs: Inputs = PrivateAttr(default_factory=Inputs)

    @field_validator("sweep", mode="before")
    @classmethod
    def _check_sweep(cls, sweep: Any, info: ValidationInfo) -> Any:
        """Refuse unknown keys and impossible points; give each value the type that the scenario gives it."""
        if not isinstance(sweep, dict):
            return sweep
        return typed_sweep(flat_sweep(sweep), info.data.get("scenario"), _KEYS)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if "custom" in self.design.schemes and self.design.custom is None:
            reason = '"custom" has no beams; add custom = "beams.npy", the file of them'
            raise at("design.schemes", reason)
        paths = self.scenario.targets + 1
        self._check_knowledge()
        for name in ("phases_bistatic_rad", "phases_monostatic_rad"):
            phases = getattr(self.draws, name)
            if phases is not None and len(phases) != paths:
                reason = f"{counted(len(phases), 'phase')} for {counted(paths, 'path')}; give {paths}, path 0 first"
                raise at(f"draws.{name}", reason)
        for key, word, sizes in (
            ("output.keep", "covariance", TRANSMIT_SIZES),
            ("output.keep", "beamformers", (*TRANSMIT_SIZES, "slots")),
            ("design.schemes", "custom", TRANSMIT_SIZES),
        ):
            swept = next((size for size in sizes if size in self.sweep), None)
            if word in (*self.output.keep, *self.design.schemes) and swept is not None:
                raise at(key, f'"{word}" has one size, which a sweep of {swept} changes; leave out one of them')
        self._check_paths()
        misfits = self.draws.misfits(self.scenario.dimensions)
        if misfits:
            raise at_each([(f"draws.{key}", reason) for key, reason in misfits])
        return self

    def _check_paths(self) -> None:
        """Refuse what would need paths elsewhere than where they are given."""
        if self.draws.paths is None:
            return
        if self.design.knowledge != ("per-draw",):
            raise at("design.knowledge", 'paths are known draw by draw; use "per-draw"')
        if "errors" in self.output.keep:
            raise at(
                "output.keep", '"errors" takes an estimator, which draws.paths would not follow; leave out one of them'
            )
        moved = next((key for key in self.sweep if key in _MOVING), None)
        if moved is not None:
            raise at(f"sweep.{moved}", "draws.paths would stay as they are; leave out one of them")

    def _check_knowledge(self) -> None:
        """Refuse what one design for all draws cannot have."""
        if self.design.knowledge == ("per-draw",):
            return
        refused = [word for word in self.output.keep if word != "beam_gain"]
        if refused:
            reason = f'"{refused[0]}" is kept of designs for each draw; leave it out, or knowledge'
            raise at("output.keep", reason)
        if "custom" in self.design.schemes:
            raise at("design.knowledge", "custom beams know nothing; leave out one of them")
        largest = max(scenario.tx_antennas for _, scenario in self.sweep_points())
        if largest > _MOST_SHARED_ANTENNAS:
            reason = f"one design for all draws takes tx_antennas <= {_MOST_SHARED_ANTENNAS}, and there are {largest}"
            raise at("design.knowledge", f'{reason}; use "per-draw"')

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the designs in the cube: the schemes, and which knowledge if there are several.

        As in fdb-wcrb, fdb-wcrb@nominal, fdb-wcrb@average: "per-draw" keeps the plain names.
        """
        if len(self.design.knowledge) == 1:
            return self.design.schemes
        return tuple(
            scheme if knowledge == "per-draw" else str(Scheme.parse(scheme).known_from(knowledge))
            for knowledge in self.design.knowledge
            for scheme in self.design.schemes
        )

    def coordinates(self) -> dict[str, list[Any]]:
        """Coordinates of the cube by name, the draw apart."""
        swept = {key: list(values) for key, values in self.sweep.items()}
        return {"scheme": list(self.labels), "rho": list(self.design.rho), **swept}

    @property
    def trained(self) -> int:
        """Draws of the file, if any, that designs train on."""
        return self.design.training_draws if "average" in self.design.knowledge else 0

    @property
    def custom_path(self) -> Path | None:
        """File of the custom beams, if any."""
        return None if self.design.custom is None else self._folder / self.design.custom

    @property
    def drops_path(self) -> Path | None:
        """File of the draws, if any."""
        return None if self.draws.file is None else self._folder / self.draws.file

    def drops(self) -> Drops | None:
        """Draws of the job's file, if any.

        Raises ValueError, in one line: what is wrong with the file, and where.
        """
        if self.drops_path is None:
            return None
        ignored = self.draws.ignore_columns or ()
        return self._inputs.content("draws.file", self.drops_path, lambda path: read_drops(path, ignored))

    @property
    def paths_path(self) -> Path | None:
        """File of the draws' paths, if any."""
        return None if self.draws.paths is None else self._folder / self.draws.paths

    def path_file(self) -> PathFile | None:
        """Paths of the job's file, if any, those that are kept of them.

        Raises ValueError, in one line: what is wrong with the file, and where.
        """
        if self.paths_path is None:
            return None
        return self._inputs.content("draws.paths", self.paths_path, read_path_file).strongest(self.draws.strongest)

    @property
    def inputs(self) -> Inputs:
        """What was read of the files that the job names."""
        return self._inputs

    @property
    def files(self) -> dict[str, Path]:
        """Files that the job names, by their keys."""
        named = {"design.custom": self.custom_path, "draws.file": self.drops_path, "draws.paths": self.paths_path}
        return {key: path for key, path in named.items() if path is not None}

    def beside(self) -> "JobFile":
        """Return the same job with its files under the names that they have in a run's folder."""
        custom, drops, paths = self.custom_path, self.drops_path, self.paths_path
        files = {"file": drops and f"draws{drops.suffix}", "paths": paths and f"paths{paths.suffix}"}
        return self.model_copy(
            update={
                "design": self.design.model_copy(update={"custom": custom and f"custom{custom.suffix}"}),
                "draws": self.draws.model_copy(update=files),
            }
        )

    def with_count(self, count: int) -> "JobFile":
        """Return the same job with another number of draws."""
        return self.model_copy(update={"draws": self.draws.model_copy(update={"count": count})})

    def resolved(self) -> dict[str, Any]:
        """Return the job with every default, as plain values fit for JSON and TOML."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def canonical(self, counted: bool = True) -> str:
        """Return the resolved job as compact JSON with sorted keys.

        Only those of `sweep` keep their order, which is that of the cube's dimensions. `counted` is whether to say
        the job's name and how many draws there are.
        """
        return _canonical(self.resolved() if counted else self._uncounted())

    def _uncounted(self) -> dict[str, Any]:
        job = self.resolved()
        del job["name"], job["draws"]["count"]
        job["draws"].pop("until", None)
        return job

    def to_toml(self) -> str:
        """Return the resolved job as a job file that reads as the same job."""
        return tomli_w.dumps(self.resolved())

    def key(self) -> str:
        """Return the identity of the job's results.

        Result: SHA-256 of the canonical job without its name and what says how many draws there are, and with the hash
        of each file's bytes in place of its path.
        """
        job = self._uncounted()
        for key, path in self.files.items():
            table, _, word = key.partition(".")
            job[table][word] = self._inputs.digest(key, path)
        return hashlib.sha256(_canonical(job).encode()).hexdigest()

    def sweep_points(self) -> list[tuple[tuple[int, ...], Scenario]]:
        """List the points of the sweep, the last key running fastest; one point without a sweep.

        Each is the index along every swept key, in file order, and the scenario there.
        """
        indices = product(*(range(len(values)) for values in self.sweep.values()))
        return list(zip(indices, scenarios_of(self.sweep, self.scenario, _KEYS), strict=True))


# Keys of the scenario on which directions, delays or gains of paths depend.
_MOVING = (
    "bs_broadside_deg",
    "bs_downtilt_deg",
    "bs_slant_deg",
    "ue_orientation_deg",
    "ue_downtilt_deg",
    "ue_slant_deg",
    "ue_angle",
    "clock_bias_s",
    "carrier_hz",
    "gain_law",
    "ue_rcs_m2",
)


def load_job(path_or_name: str | Path) -> JobFile:
    """Read and check a job.

    `path_or_name`: name of a packaged job, or else the path of a job file; a `Path` is no name. Result: the checked
    job. Raises JobError if there is no such file, or it is no valid job.
    """
    source = str(path_or_name)
    path = Path(path_or_name)
    packaged = isinstance(path_or_name, str) and source in packaged_jobs()
    wrong = None if packaged else instead_of_job(path)
    if wrong is not None:
        raise JobError(f"{source}: {wrong}")
    try:
        document = parse_toml(packaged_text(source)) if packaged else read_toml(path)
        job = JobFile.model_validate(document, context={"folder": path.parent})
    except FileNotFoundError:
        reason = f"no such file; give a job file's path or a packaged job ({', '.join(packaged_jobs())})"
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); give a job file"
    except UnicodeDecodeError:
        reason = "no UTF-8 text, and so no job file; give one (TOML) or a packaged job: see crbatch jobs"
    except tomllib.TOMLDecodeError as error:
        reason = f"not TOML: {error}; correct that place"
        if path.suffix != ".toml":
            reason = f"no job file, which would be TOML ({error}); give one or a packaged job: see crbatch jobs"
    except ValidationError as error:
        reason = in_one_line(mistakes_of(error, document, _KEYS))
    else:
        job._folder = path.parent
        lost = next(((key, file) for key, file in job.files.items() if not is_file(file)), None)
        if lost is None:
            return _counted(job, source)
        reason = f"{lost[0]}: no file {lost[1]}; the path starts at the job file's folder"
    raise JobError(" ".join(f"{source}: {reason}".split()))


def parse_job(canonical: str, folder: Path) -> JobFile:
    """Read a job as `JobFile.canonical` wrote it; `folder` is where its files are.

    Raises JobError if it is no valid job, or one of its files is missing.
    """
    try:
        job = JobFile.model_validate(json.loads(canonical))
    except ValueError as error:
        raise JobError(f"no valid job: {error}") from None
    job._folder = folder
    if not all(path.is_file() for path in job.files.values()):
        raise JobError(f"{folder}: a file that its job names is missing")
    return job


def _counted(job: JobFile, source: str) -> JobFile:
    """Take all draws of a file where the job does not say how many."""
    if "count" in job.draws.model_fields_set or job.draws.until is not None:
        return job
    for key, read in (("file", job.drops), ("paths", job.path_file)):
        try:
            found = read()
        except ValueError as error:
            raise JobError(" ".join(f"{source}: draws.{key}: {error}".split())) from None
        if found is not None:
            return job.with_count(max(1, len(found) - job.trained))
    return job


def _canonical(job: dict[str, Any]) -> str:
    # A dict keeps its order where sort_keys is off, so sections are sorted one by one and `sweep` is not.
    parts = (
        f"{json.dumps(key)}:{json.dumps(job[key], sort_keys=key != 'sweep', separators=(',', ':'))}"
        for key in sorted(job)
    )
    return "{" + ",".join(parts) + "}"


_KEYS = keys_of(JobFile)
