"""Names and texts as SQL has them."""

from __future__ import annotations


def quoted(*names: str) -> str:
    """Names as SQL has them: `"public"."orders"`."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: str | None) -> str:
    """A text as SQL has it."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"
