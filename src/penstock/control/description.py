"""How the API describes itself, beyond what FastAPI knows of it."""

from __future__ import annotations

from typing import Any

from penstock.control.bodies import BODIES
from penstock.control.problems import MEDIA_TYPE

_PROBLEM = {"$ref": "#/components/schemas/ProblemOut"}
_ASSUMED = ("HTTPValidationError", "ValidationError")
"""What FastAPI takes for granted that wrong parameters are answered with."""

_TOKENS = {"tokenUrl": "/api/v1/auth/token", "scopes": {}}
_SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "an API key, or a token"},
    "token": {
        "type": "oauth2",
        "flows": {"password": {**_TOKENS, "refreshUrl": _TOKENS["tokenUrl"]}, "clientCredentials": _TOKENS},
    },
}
_OPEN = ("/health/", "/hooks/")


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Have a description tell of the bodies that routes read themselves, and of problems as they are answered."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(BODIES.schemas())
    for name in _ASSUMED:
        schemas.pop(name, None)
    schema["components"]["securitySchemes"] = _SCHEMES
    schema["security"] = [{name: []} for name in _SCHEMES]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _tell_problems(operation["responses"])
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])
            if path.startswith(_OPEN):
                operation["security"] = []
    return schema


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What a parameter can be: it is there or not, and nothing in an address or a header says null."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **kinds[0]}


def _tell_problems(responses: dict[str, Any]) -> None:
    assumed = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if assumed.get("$ref", "").endswith(_ASSUMED):
        del responses["422"]
    for response in responses.values():
        content = response.get("content", {})
        if content.get("application/json", {}).get("schema") == _PROBLEM:
            content.clear()
            content[MEDIA_TYPE] = {"schema": _PROBLEM}
