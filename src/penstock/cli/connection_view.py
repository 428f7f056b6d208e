"""Types of connections, and values of fields, as people see them."""

from __future__ import annotations

from typing import Any

from penstock.cli.connection_fields import described, option_of, options_of
from penstock.cli.console import Column, clean, text, write, write_table
from penstock.core.connections import Connection

_DIM = "bright_black"


def told_value(value: Any) -> str:
    """The value of a field that is no secret."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return clean(", ".join(value))
    if isinstance(value, dict):
        return clean(", ".join(f"{key}: {each}" for key, each in value.items()))
    return clean(f"{value:g}" if isinstance(value, float) else value)


def type_record(cls: type[Connection]) -> dict[str, Any]:
    """A type as JSON."""
    return {
        "type": cls.kind,
        "is": _summary(cls),
        "schemes": list(cls.schemes),
        "untested": cls.untested,
        "fields": [described(field) for field in cls.fields().values()],
    }


def _summary(cls: type[Connection]) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


def type_row(kind: str, cls: type[Connection]) -> list[Any]:
    """A type in the list of all."""
    told = _summary(cls) + (" Not tested with a real one." if cls.untested else "")
    return [kind, clean(told), f"{cls.schemes[0]}://..." if cls.schemes else ""]


def write_fields(cls: type[Connection]) -> None:
    """Write what can be given to create a connection of this type."""
    write(text((cls.kind, "bold"), f"  {clean(_summary(cls))}"))
    if cls.untested:
        write(text(("Not tested with a real one.", "yellow")))
    columns = [Column("option"), Column("default", least=8), Column("", least=30)]
    rows: list[list[Any]] = []
    for name, field in options_of(cls).items():
        if field.required:
            default = text(("required", "yellow"))
        else:
            default = text(("" if field.default is None else told_value(field.default), _DIM))
        choices = f" ({', '.join(field.choices)})" if field.choices else ""
        rows.append([option_of(name), default, clean(field.told + choices + (" Secret." if field.secret else ""))])
    write_table(columns, rows)
