"""The jobs that come with crbatch, in `specs`."""

from importlib.resources import files

_SPECS = files("crbatch.jobs") / "specs"


def packaged_jobs() -> dict[str, str]:
    """List the jobs that come with crbatch: name and one line about each."""
    names = sorted(entry.name.removesuffix(".toml") for entry in _SPECS.iterdir())
    texts = {name: packaged_text(name) for name in names if name != "template"}
    return {name: text.splitlines()[0].removeprefix("# ") for name, text in texts.items()}


def packaged_text(name: str) -> str:
    """Return the text of a packaged job, or of "template", the commented job file to start from."""
    return (_SPECS / f"{name}.toml").read_text(encoding="utf-8")
