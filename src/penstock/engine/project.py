"""The project's pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.core.errors import ConfigurationError


def project_file(start: Path) -> Path | None:
    """The nearest pyproject.toml."""
    return next((f / "pyproject.toml" for f in (start, *start.parents) if (f / "pyproject.toml").is_file()), None)


def penstock_table(file: Path) -> dict[str, Any]:
    """`[tool.penstock]` of a pyproject.toml; what reads TOML is imported only where there is such a table.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.", hint="check the path") from None
    if "tool.penstock" not in text:
        return {}
    import tomllib

    try:
        table = tomllib.loads(text).get("tool", {}).get("penstock", {})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from None
    return table if isinstance(table, dict) else {}
