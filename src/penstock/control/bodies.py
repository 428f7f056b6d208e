"""Bodies of requests: read within their limits, and checked so that every mistake is told with its place."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from penstock.control.problems import Problem
from penstock.core.documents import json_mistakes, json_value

Model = TypeVar("Model", bound=BaseModel)
_REFERENCE = "#/components/schemas/{model}"


async def read_body(request: Request) -> bytes:
    """The body of a request.

    Raises:
        Problem: it is too large, or did not come in time.
    """
    settings = request.app.state.control.settings
    parts: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(settings.body_seconds):
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "The request ended before its body did.")
                part, more = message.get("body", b""), message.get("more_body", False)
                size += len(part)
                if size > settings.max_body_bytes:
                    raise Problem(413, f"A request has at most {settings.max_body_bytes:,} bytes.")
                parts.append(part)
    except TimeoutError:
        raise Problem(408, f"The body did not come within {settings.body_seconds:g} seconds.") from None
    return b"".join(parts)


Raw = Annotated[bytes, Depends(read_body)]


def parsed(model: type[Model], raw: bytes) -> Model:
    """A body as its model wants it; an empty one is an empty object.

    Raises:
        Problem: it is no JSON, or has mistakes.
    """
    try:
        data = json_value(raw.decode("utf-8-sig")) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        told = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is no JSON: {error}"
        raise Problem(400, f"The body cannot be read: {told}.") from None
    if mistakes := list(json_mistakes(data, "body")):
        raise Problem(422, "The body has values that cannot be.", mistakes)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        fields = [(_place(each["loc"]), str(each["msg"])) for each in found]
        raise Problem(422, "The body has fields that cannot be.", fields) from None


def _place(path: tuple[int | str, ...]) -> str:
    told = ""
    for part in path:
        told += f"[{part}]" if isinstance(part, int) else f".{part}" if told else part
    return told or "body"


class Bodies:
    """What the routes say of the bodies they take; FastAPI cannot know, for they read them themselves."""

    def __init__(self) -> None:
        self._models: dict[str, type[BaseModel]] = {}

    def of(self, model: type[BaseModel], example: Any, *, yaml: bool = False, needed: bool = True) -> dict[str, Any]:
        """What the description of a route says of its body (`openapi_extra`)."""
        self._models[model.__name__] = model
        content: dict[str, Any] = {
            "application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}, "example": example}
        }
        if yaml:
            content["application/yaml"] = {"schema": {"type": "string"}}
        return {"requestBody": {"required": needed, "content": content}}

    def schemas(self) -> dict[str, Any]:
        """The schemas that these refer to."""
        found: dict[str, Any] = {}
        for name, model in self._models.items():
            schema = model.model_json_schema(ref_template=_REFERENCE)
            found |= schema.pop("$defs", {})
            found[name] = schema
        return found


BODIES = Bodies()
