"""What is in the body of a request: JSON, a form, text, or CloudEvents (cloudevents.io, version 1.0).

JSON is read strictly (RFC 8259): a name that is there twice in one object, NaN, numbers that are too large, and more
than 64 levels are refused, so that nobody can mean one thing here and another thing elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote

import msgspec

from penstock.control.webhooks.requests import Refused, Request, single

MOST_LEVELS = 64
_MOST_FIELDS = 1000
_STRINGS = re.compile(rb'"(?:[^"\\]+|\\.)*+"?', re.DOTALL)  # never looks at a byte twice
_LEVELS = re.compile(rb"[\[\]{}]")
_FORM = "application/x-www-form-urlencoded"
_EVENT, _EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,40}")


class Body(msgspec.Struct, frozen=True):
    """What is in a body.

    Attributes:
        kind: json, form, text, empty or cloudevent.
        value: what was read.
        cloudevent: the attributes of the event that the value is the data of.
    """

    kind: str
    value: Any = None
    cloudevent: dict[str, Any] | None = None


def bodies_of(request: Request) -> list[Body]:
    """What is in the body: one, or one for each event of a batch.

    Raises:
        Refused: it cannot be read.
    """
    kind = _content_type(request)
    if kind == _EVENTS:
        batch = json_of(request.body)
        if not isinstance(batch, list) or not batch:
            raise Refused("body", "A batch of CloudEvents is a JSON array with an event in it at least.")
        return [_structured(each, f"event {number} of the batch: ") for number, each in enumerate(batch, start=1)]
    if kind == _EVENT:
        return [_structured(json_of(request.body), "")]
    if request.values("ce-specversion"):
        return [_binary(request, _plain(kind, request.body))]
    return [_plain(kind, request.body)]


def _content_type(request: Request) -> str:
    full = request.header("Content-Type") or ""
    kind, _, options = full.partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", options, re.IGNORECASE)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Refused("content-type", f"The body is in {charset[1][:40]}; only UTF-8 is read.")
    return kind.strip().lower()


def _plain(kind: str, body: bytes) -> Body:
    if not body:
        return Body("empty")
    if kind == "application/json" or kind.endswith("+json"):
        return Body("json", json_of(body))
    if kind == _FORM:
        return Body("form", _form(body))
    if kind.startswith("text/") or kind == "application/xml" or kind.endswith("+xml"):
        return Body("text", _text(body))
    if not kind:
        return Body("json", json_of(body)) if body.lstrip()[:1] in (b"{", b"[") else Body("text", _text(body))
    raise Refused("content-type", f"A body of the type {kind[:80]} is not read: send JSON, a form or text.")


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("body", f"The body is not UTF-8 (byte {error.start:,}).") from None


def _form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            _text(body), keep_blank_values=True, strict_parsing=False, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise Refused("body", "The form holds what is not UTF-8.") from None
    except ValueError:
        raise Refused("body", f"The form has more than {_MOST_FIELDS:,} fields.") from None
    return single(pairs)


def json_of(body: bytes) -> Any:
    """A JSON document, read strictly.

    Raises:
        Refused: it is none; the place is told.
    """
    text = _text(body)
    if body.count(b"[") + body.count(b"{") > MOST_LEVELS:
        _check_levels(body)
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        told = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise Refused("body", f"The body is no JSON: {told}.") from None
    except UnicodeEncodeError:
        raise Refused("body", "The JSON holds half a surrogate pair, which is no character.") from None
    except (ValueError, RecursionError):
        raise Refused("body", "The JSON holds a number with too many digits.") from None
    return value


def _check_levels(body: bytes) -> None:
    depth = 0
    for sign in _LEVELS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if sign in b"[{" else -1
        if depth > MOST_LEVELS:
            raise Refused("body", f"The JSON has more than {MOST_LEVELS} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Refused("body", f"The JSON has the name {twice[:80]!r} twice in one object.")
    return found


def _constant(word: str) -> NoReturn:
    raise Refused("body", f"{word} is no JSON.")


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Refused("body", f"The number {text[:40]} is too large.")
    return number


def _structured(event: Any, where: str) -> Body:
    if not isinstance(event, Mapping):
        raise Refused("body", f"{where}a CloudEvent is a JSON object.")
    attributes = {name: value for name, value in event.items() if name not in ("data", "data_base64")}
    _check_event(attributes, where)
    if "data" in event and "data_base64" in event:
        raise Refused("body", f"{where}a CloudEvent has data or data_base64, and not both.")
    if "data_base64" not in event:
        return Body("cloudevent", event.get("data"), attributes)
    try:
        data = base64.b64decode(event["data_base64"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Refused("body", f"{where}data_base64 is no base64.") from None
    kind = str(attributes.get("datacontenttype") or "").partition(";")[0].strip().lower()
    return Body("cloudevent", _plain(kind or "text/plain", data).value, attributes)


def _binary(request: Request, data: Body) -> Body:
    names = dict.fromkeys(name.lower() for name, _ in request.headers if name.lower().startswith("ce-"))
    attributes = {name[3:]: unquote(request.header(name) or "", errors="replace") for name in names}
    _check_event(attributes, "")
    kind = request.header("Content-Type")
    if kind:
        attributes["datacontenttype"] = kind
    return Body("cloudevent", data.value, attributes)


def _check_event(attributes: Mapping[str, Any], where: str) -> None:
    for name in ("specversion", "id", "source", "type"):
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            raise Refused("body", f"{where}the CloudEvent has no {name}.")
    if attributes["specversion"] != "1.0":
        raise Refused("body", f"{where}CloudEvents of version {attributes['specversion'][:20]!r} are not read, 1.0 is.")
    for name, value in attributes.items():
        if not _ATTRIBUTE.fullmatch(name):
            raise Refused("body", f"{where}{name[:60]!r} cannot be an attribute of a CloudEvent.")
        if value is not None and not isinstance(value, (str, bool, int)):
            raise Refused("body", f"{where}the attribute {name} of the CloudEvent is neither text, number nor boolean.")
