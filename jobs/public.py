"""Cramer-Rao bounds and certified beam designs for joint bistatic positioning and monostatic sensing.

Start with `Scenario`, `design` and the `Designs` it returns; `bistatic_link`, `position_fim` and `bistatic_bounds`
evaluate any covariance of one's own; `open_cube` reads what a run leaves. Arrays have their batch axis first, SI units,
angles in rad.

Installed as ``crbatch/__init__.py``, beside its stub, which says where each name is defined. A name is imported when
it is first used: the command line listens to signals before anything heavy is imported.
"""

from functools import cache
from typing import Any


@cache
def _homes() -> dict[str, str]:
    import ast
    from pathlib import Path

    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        name.name: str(node.module) for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names
    }


def __dir__() -> list[str]:
    return sorted(_homes())


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__all__":
        return __dir__()
    if name.startswith("__") or name not in _homes():
        raise AttributeError(f"module 'crbatch' has no attribute {name!r}")
    return getattr(import_module(_homes()[name]), name)
