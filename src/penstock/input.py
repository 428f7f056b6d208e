"""What a run can ask for, under Prefect's module name."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, Self, dataclass_transform

from penstock.core.errors import BadWait

__all__ = ["RunInput"]

_MUTABLE = (list, dict, set)


@dataclass_transform(kw_only_default=True)
class RunInput:
    """A base class for what people are asked for; its fields are annotations, and every subclass is a dataclass.

    Example:
        class Shipment(RunInput):
            crates: int
            remarks: str = ""

        shipment = wait_for_input(Shipment)
    """

    _description = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in inspect.get_annotations(cls):
            default = cls.__dict__.get(name)
            if isinstance(default, _MUTABLE):  # as pydantic does, every object gets a copy
                setattr(cls, name, dataclasses.field(default_factory=default.copy))
        dataclasses.dataclass(kw_only=True)(cls)

    @classmethod
    def with_initial_data(cls, description: str | None = None, **initial: Any) -> type[Self]:
        """The same, with other defaults, and with a text for whoever is asked.

        Raises:
            BadWait: it has no such fields.
        """
        fields: dict[str, Any] = {each.name: each for each in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = [name for name in initial if name not in fields]
        if unknown:
            raise BadWait(
                f"{cls.__name__} has no field {', '.join(unknown)}.", hint=f"its fields are: {', '.join(fields)}"
            )
        kinds = {name: fields[name].type for name in initial}
        body = {"__annotations__": kinds, "__module__": cls.__module__, "_description": description, **initial}
        made: type[Self] = type(cls.__name__, (cls,), body)
        return made
