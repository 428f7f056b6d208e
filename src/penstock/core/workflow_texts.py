"""Workflows as YAML and JSON: what is exported, is the same when it is imported, and exported again, to the letter."""

from __future__ import annotations

import functools
from typing import Any, Literal

import msgspec

from penstock.core.documents import json_value, yaml_value
from penstock.core.errors import BadWorkflow
from penstock.core.extras import require
from penstock.core.workflows import Check, WorkflowSpec, as_data, read

Format = Literal["yaml", "json"]
LARGEST = {"yaml": 256 * 1024, "json": 4 * 1024 * 1024}
"""Bytes. YAML takes long to read."""


def to_text(spec: WorkflowSpec, form: Format) -> str:
    """A workflow as a text, without what is as it would be anyway.

    Raises:
        MissingExtra: PyYAML is not installed.
    """
    data = as_data(spec)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"
    yaml = require("yaml", "server")
    text: str = yaml.dump(data, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=120)
    return text


@functools.cache
def _dumper() -> Any:
    """A writer of plain values. PyYAML leaves some characters as they are that it then reads as the end of a line."""
    yaml = require("yaml", "server")

    class Dumper(yaml.SafeDumper):  # type: ignore[misc,name-defined,unused-ignore]
        pass

    def text(dumper: Any, value: str) -> Any:
        style = None if value.replace("\n", "").isprintable() else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper


def of_text(text: str | bytes, form: Format, also: Check | None = None) -> WorkflowSpec:
    """A workflow that somebody wrote or exported.

    Args:
        text: the text.
        form: which of the two it is.
        also: what else is checked.

    Raises:
        BadWorkflow: it is too large, no such text, or no workflow; every mistake is told.
        MissingExtra: PyYAML is not installed.
    """
    return read(data_of(text, form), also)


def data_of(text: str | bytes, form: Format) -> Any:
    """What such a text holds, whether it is a workflow or not.

    Raises:
        BadWorkflow: it is too large, or no such text.
        MissingExtra: PyYAML is not installed.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > LARGEST[form]:
        raise BadWorkflow("", [("workflow", f"it is larger than {LARGEST[form] // 1024:,} KB")])
    try:
        decoded = data.decode("utf-8-sig")
        return json_value(decoded) if form == "json" else yaml_value(decoded, "server")
    except UnicodeDecodeError as error:
        raise BadWorkflow("", [("workflow", f"it is no UTF-8 text (byte {error.start})")]) from None
    except RecursionError:
        raise BadWorkflow("", [("workflow", "it is nested too deeply")]) from None
    except ValueError as error:
        raise BadWorkflow("", [("workflow", f"it is no {form.upper()}: {error}")]) from None
