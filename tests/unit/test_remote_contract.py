"""The client and the API say the same: every route has its operation, and every field its place."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from penstock.app import Penstock, load_settings
from penstock.control.app import create_app
from penstock.remote.calls import Call, _Method
from penstock.remote.client import Client

LEFT_OUT = {
    "POST /hooks/{}": "is for those who send webhooks, and every one of them signs in a way of its own",
    "GET /metrics": "is for Prometheus",
    "GET /api/v1/auth/oidc/authorize": "is for browsers: `penstock login` has them go there",
    "GET /api/v1/auth/oidc/callback": "is for browsers that the OpenID provider sends back",
    "POST /api/v1/auth/token": "is what `Identity` asks by itself",
    "POST /api/v1/auth/revoke": "takes a token, which the client keeps to itself: `logout` ends its session",
}
"""Routes that the client does not have, each with the reason."""


class Operation(NamedTuple):
    """An operation of the client, and the call it makes of sample arguments."""

    name: str
    call: Call[Any]


def operations() -> Iterator[Operation]:
    with Client("http://127.0.0.1:1") as client:
        for name, resource in vars(client).items():
            for each, method in vars(type(resource)).items():
                if isinstance(method, _Method):
                    yield Operation(f"{name}.{each}", method.make(resource, **_arguments(method.make)))


def _arguments(make: Any) -> dict[str, Any]:
    """A value for every parameter without a default."""
    hints = typing.get_type_hints(make)
    needed = [
        each
        for each in inspect.signature(make).parameters.values()
        if each.default is each.empty and each.name != "self"
    ]
    return {each.name: _sample(each.name, hints[each.name]) for each in needed}


def _sample(name: str, kind: Any) -> Any:
    if kind is int:
        return 7
    if kind is bool:
        return True
    if kind is Path:
        return Path(__file__)
    if kind is str or (isinstance(kind, types.UnionType) and str in kind.__args__):
        return f"<{name}>"
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    return {}


OPERATIONS = list(operations())


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("project")
        patch.chdir(folder)
        patch.setenv("PENSTOCK_HOME", str(folder))
        penstock = Penstock(load_settings())
        try:
            found: dict[str, Any] = create_app(penstock).openapi()
            return found
        finally:
            penstock.close()


def template(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)


def routes(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the API describes, by method and path."""
    return {
        f"{method.upper()} {template(path)}": told for path, methods in described["paths"].items()
        for method, told in methods.items()
    }  # fmt: skip


def route_of(call: Call[Any], known: dict[str, Any]) -> str:
    """The route that a call goes to: the one with the most fixed parts that fits."""
    parts = [str(part) for part in (call.path if call.root else ("api", "v1", *call.path))]
    fitting = []
    for route in known:
        method, _, path = route.partition(" ")
        pieces = path.strip("/").split("/")
        if method == call.method and len(pieces) == len(parts):
            pairs = list(zip(pieces, parts, strict=True))
            if all(
                piece in ("{}", part) and (piece != "{}" or part[:1] == "<" or part == "7") for piece, part in pairs
            ):
                fitting.append((sum(piece != "{}" for piece in pieces), route))
    assert fitting, f"no route for {call.method} {'/'.join(parts)}"
    return max(fitting)[1]


def test_every_route_has_its_operation(described: dict[str, Any]) -> None:
    known = routes(described)
    reached = {route_of(each.call, known) for each in OPERATIONS}
    assert set(known) - reached == set(LEFT_OUT)
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.name for each in OPERATIONS])
def test_what_is_asked_is_described(described: dict[str, Any], operation: Operation) -> None:
    known = routes(described)
    told = known[route_of(operation.call, known)]
    there = {each["name"] for each in told.get("parameters", ()) if each["in"] == "query"}
    assert set(operation.call.query) <= there
    takes_key = any(each["name"].lower() == "idempotency-key" for each in told.get("parameters", ()))
    assert operation.call.creates == takes_key, "what is made with a key is made once"


@pytest.mark.parametrize("operation", OPERATIONS, ids=[each.name for each in OPERATIONS])
def test_what_is_answered_has_its_place(described: dict[str, Any], operation: Operation) -> None:
    known = routes(described)
    told = known[route_of(operation.call, known)]
    good = next(answer for status, answer in told["responses"].items() if status.startswith("2"))
    schema = good.get("content", {}).get("application/json", {}).get("schema")
    if operation.call.answer is None or schema is None or operation.call.answer is bytes:
        return
    _compare(operation.name, schema, msgspec.json.schema(operation.call.answer), described, set())


def _compare(where: str, told: Any, ours: Any, described: dict[str, Any], seen: set[str]) -> None:
    """Every field that is described has a field of ours."""
    kept = ours.get("$defs", {})
    told, ours = _resolved(told, described["components"]["schemas"]), _resolved(ours, kept)
    if "$defs" not in ours:
        ours = {**ours, "$defs": kept}
    title = str(told.get("title"))
    if title in seen or ours == {"$defs": kept}:
        return
    seen.add(title)
    if told.get("type") == "array":
        _compare(f"{where}[]", told["items"], {**ours.get("items", {}), "$defs": kept}, described, seen)
    if told.get("properties") and "properties" not in ours:
        assert ours.get("type") == "object", f"{where}: {title} is no {ours.get('type')}"
        return
    for name, field in told.get("properties", {}).items():
        assert name in ours["properties"], f"{where}: {title}.{name} has no field"
        _compare(f"{where}.{name}", field, {**ours["properties"][name], "$defs": kept}, described, seen)


def _resolved(schema: Any, definitions: dict[str, Any]) -> Any:
    while True:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        elif "anyOf" in schema:
            schema = next((each for each in schema["anyOf"] if each.get("type") != "null"), {})
        else:
            return schema
