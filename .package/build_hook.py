"""Where the two files of the package itself come from; the four folders are mapped in pyproject.toml."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FACE = {"public.py": "__init__.py", "public.pyi": "__init__.pyi", "command.py": "__main__.py"}


class FaceHook(BuildHookInterface):
    """Puts them into wheels; an editable installation finds them as links beside this file."""

    def initialize(self, version, build_data):
        """Add them to what is built."""
        if version == "standard":
            build_data["force_include"] |= {f"jobs/{source}": f"crbatch/{name}" for source, name in FACE.items()}
