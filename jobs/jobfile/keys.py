"""The keys of every table of a job file, for suggestions: what a model's fields are called there."""

from crbatch.engine.antennas import Elements, Uca, Ula, Upa
from crbatch.engine.positions import BoxPosition, DiscPosition
from crbatch.engine.scenario import Prior, Scenario
from pydantic import BaseModel

from .design import DesignSection, OutputSection, RhoRange
from .draws import DrawsSection, Until
from .sweeps import SWEEPABLE

_ENDS = ("tx", "rx", "ue")
_TABLES: dict[str, list[type[BaseModel]]] = {
    "scenario": [Scenario],
    **{f"scenario.{end}_array": [Ula, Upa, Uca, Elements] for end in _ENDS},
    "scenario.prior": [Prior],
    "draws": [DrawsSection],
    "draws.until": [Until],
    "draws.ue_position": [BoxPosition, DiscPosition],
    "draws.target_positions": [BoxPosition, DiscPosition],
    "design": [DesignSection],
    "design.rho": [RhoRange],
    "output": [OutputSection],
}


def keys_of(whole: type[BaseModel]) -> dict[str, list[str]]:
    """Keys by table; those of the file itself, under "", are of `whole`."""
    keys = {
        table: list(
            dict.fromkeys(field.alias or name for model in models for name, field in model.model_fields.items())
        )
        for table, models in {"": [whole], **_TABLES}.items()
    } | {"sweep": list(SWEEPABLE)}
    for end in _ENDS:
        keys[f"scenario.{end}_array"].append("file")
    return keys
