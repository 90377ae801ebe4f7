"""The jobs that come with crbatch, in `specs`."""

from importlib.resources import files

_PACKAGED = (
    "antennas",
    "conventions",
    "drops",
    "estimator",
    "knowledge",
    "narrowband",
    "paper",
    "phases",
    "power",
    "smoke",
)


def packaged_jobs() -> dict[str, str]:
    """List the jobs that come with crbatch: name and one line about each."""
    texts = {name: packaged_text(name) for name in _PACKAGED}
    return {name: text.splitlines()[0].removeprefix("# ") for name, text in texts.items()}


def packaged_text(name: str) -> str:
    """Return the text of a packaged job, or of "template", the commented job file to start from."""
    return (files("crbatch.jobs") / "specs" / f"{name}.toml").read_text(encoding="utf-8")
