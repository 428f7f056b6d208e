"""The parameters of a flow as JSON Schema (2020-12), from annotations, defaults and the docstring."""

from __future__ import annotations

import inspect
import json
import pathlib
import re
import sys
import types
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from penstock.authoring.parameters import annotations_of
from penstock.core import typed

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"
_SECTION = re.compile(r"^(Args|Arguments|Parameters):\s*$", re.MULTILINE)
_ENTRY = re.compile(r"^(\*{0,2}\w+)(?: *\([^)]*\))?: *(.*)$")


def parameters_schema(flow: Any) -> dict[str, Any]:
    """What may be given to a flow: a JSON Schema of an object with one property for each parameter.

    What JSON Schema cannot describe (a class of the user's own, say) has the empty schema, which allows anything.
    """
    annotations = annotations_of(flow.fn)
    described = described_parameters(inspect.getdoc(flow.fn) or "")
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    open_ended = False
    for p in flow.signature.parameters.values():
        if p.kind is p.VAR_KEYWORD:
            open_ended = True
            continue
        found = _schema(annotations.get(p.name, Any), definitions)
        if p.kind is p.VAR_POSITIONAL:
            found = {"type": "array", "items": found}
        elif p.default is p.empty:
            required.append(p.name)
        else:
            found = {**found, **_default(p.default)}
        if p.name in described and "description" not in found:
            found = {**found, "description": described[p.name]}
        properties[p.name] = found
    schema: dict[str, Any] = {
        "$schema": _DRAFT,
        "title": flow.name,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": open_ended,
    }
    if definitions:
        schema["$defs"] = definitions
    return schema


def type_schema(kind: Any) -> dict[str, Any]:
    """What JSON fits a type; {} (which allows anything) for what JSON Schema cannot describe."""
    definitions: dict[str, Any] = {}
    found = _schema(kind, definitions)
    found = {**found, "$defs": definitions} if definitions else found
    return found if _needs_pydantic(kind) else _closed(found)


def _closed(schema: Any) -> Any:
    """Classes take no fields but their own; pydantic's models say for themselves what they take."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {
        name: _closed(part) if name not in ("default", "enum", "const") else part for name, part in schema.items()
    }
    if schema.get("type") == "object" and "properties" in schema and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def described_parameters(doc: str) -> dict[str, str]:
    """The texts of a Google-style `Args:` section, by parameter."""
    found = _SECTION.search(doc)
    if found is None:
        return {}
    texts: dict[str, str] = {}
    name, margin = "", 0
    for line in doc[found.end() :].split("\n")[1:]:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text and indent == 0:
            break
        entry = _ENTRY.match(text)
        if entry is not None and (not name or indent <= margin):
            name, margin = entry[1].lstrip("*"), indent
            texts[name] = entry[2]
        elif text and name:
            texts[name] += f" {text}"
    return {name: text.strip() for name, text in texts.items() if text.strip()}


def _default(value: Any) -> dict[str, Any]:
    try:
        return {"default": msgspec.to_builtins(value, enc_hook=_plain, str_keys=True)}
    except (TypeError, NotImplementedError, ValueError, RecursionError):
        return {}


def as_json(value: Any) -> bytes:
    """A value of plain types, or of a dataclass, struct or pydantic model, as JSON.

    Raises:
        TypeError, ValueError: it cannot be written so.
    """
    return msgspec.json.encode(msgspec.to_builtins(value, enc_hook=_plain, str_keys=True))


def _plain(value: Any) -> Any:
    if isinstance(value, pathlib.PurePath):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no form in JSON; give plain values, a dataclass or a model")


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if _needs_pydantic(kind):
        return _pydantic_schema(kind, definitions)
    try:
        found, components = typed.json_schema(kind, _hook, _REF)
    except (TypeError, NotImplementedError, ValueError):
        return _without_msgspec(kind, definitions)
    return _adopted(found, components, definitions)


def _hook(kind: type) -> dict[str, Any]:
    """What msgspec is to say of a type that it does not know; with nothing, it goes by annotations, or refuses it."""
    return {"type": "string", "format": "path"} if issubclass(kind, pathlib.PurePath) else {}


def _without_msgspec(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """What msgspec refuses as a whole: taken apart as far as that goes."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _schema(args[0], definitions)
    if origin is Union or origin is types.UnionType:
        members = [_schema(member, definitions) for member in args]
        return {"anyOf": members} if all(members) else {}
    if origin in (list, set, frozenset) and args:
        return {"type": "array", "items": _schema(args[0], definitions)}
    if origin is dict and args and args[0] is str:
        return {"type": "object", "additionalProperties": _schema(args[1], definitions)}
    return {}


def _needs_pydantic(kind: Any) -> bool:
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:
        return False
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        return _needs_pydantic(inner) or any(
            type(extra).__module__.startswith(("pydantic", "annotated_types")) for extra in extras
        )
    if isinstance(kind, type) and hasattr(kind, "__pydantic_validator__"):
        return True
    return any(_needs_pydantic(member) for member in get_args(kind) if member is not Ellipsis)


def _pydantic_schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    pydantic = sys.modules["pydantic"]
    try:
        found: dict[str, Any] = pydantic.TypeAdapter(kind).json_schema(ref_template="#/$defs/{model}")
    except Exception:  # a model with a field that JSON Schema cannot describe
        return {}
    return _adopted(found, found.pop("$defs", {}), definitions)


def _adopted(found: dict[str, Any], components: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Move the definitions to the top; one that has the name of another gets a new name."""
    names: dict[str, str] = {}
    for name, body in components.items():
        fresh, number = name, 2
        while fresh in definitions and definitions[fresh] != body:
            fresh, number = f"{name}{number}", number + 1
        names[name] = fresh
    text = json.dumps([found, components])
    for name, fresh in names.items():
        old, new = json.dumps(_REF.format(name=name)), json.dumps(_REF.format(name=fresh))
        text = text.replace(f'"$ref": {old}', f'"$ref": {new}')
    schema: dict[str, Any]
    schema, bodies = json.loads(text)
    definitions.update({names[name]: body for name, body in bodies.items()})
    return schema
