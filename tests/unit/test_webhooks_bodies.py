"""Bodies: JSON read strictly, forms, text, and CloudEvents."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.control.webhooks.bodies import MOST_LEVELS, Body, bodies_of, json_of
from penstock.control.webhooks.requests import Refused, Request

EVENT = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "order.paid"}
REFUSED_THOUGH_JSON = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}
"""One name twice in an object: allowed by RFC 8259, which warns of it."""


def read(body: bytes, kind: str | None = "application/json", **headers: str) -> list[Body]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {**({"Content-Type": kind} if kind is not None else {}), **named}
    return bodies_of(Request(headers=tuple(given.items()), body=body))


def refusal(body: bytes, kind: str | None = "application/json", **headers: str) -> Refused:
    with pytest.raises(Refused) as found:
        read(body, kind, **headers)
    return found.value


def test_the_json_test_suite(test_data: Path) -> None:
    files = sorted((test_data / "JSONTestSuite").rglob("*.json"))
    files = [file for file in files if file.name[:2] in ("y_", "n_", "i_")]
    assert len(files) > 250
    wrong = []
    for file in files:
        try:
            json_of(file.read_bytes())
            accepted = True
        except Refused:
            accepted = False
        expected = {"y": file.name not in REFUSED_THOUGH_JSON, "n": False}.get(file.name[0], accepted)
        if accepted != expected:
            wrong.append(file.name)
    assert wrong == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"a": 1, "b": 2, "a": 1}', "the name 'a' twice"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b"[-Infinity]", "-Infinity is no JSON"),
        (b"[1e999]", "1e999 is too large"),
        (b"1" * 5000, "too many digits"),
        (b'["\\ud800"]', "half a surrogate pair"),
        (b'{"a":\n  tru}', "line 2, column 3"),
        (b"\xff", "not UTF-8 (byte 0)"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b"[" * (MOST_LEVELS + 1), "more than 64 levels"),
        (b'{"a":' * 100_000, "more than 64 levels"),
        (b'"\\"' * 200_000 + b"[" * 70, "levels|no JSON"),
    ],
    ids=range(12),
)
def test_json_that_is_refused(body: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told.replace("(", "\\(").replace(")", "\\)")):
        json_of(body)


def test_json_that_is_read() -> None:
    deep = b"[" * MOST_LEVELS + b"]" * MOST_LEVELS
    assert json.dumps(json_of(deep)).encode() == deep
    brackets = json.dumps({"a": "[" * 500 + '\\"{'}).encode()
    assert json_of(brackets) == json.loads(brackets)
    assert read(b' {"a": [1, 2.5, null, "\\u00e9\\ud83e\\udd89"]}')[0].value == {"a": [1, 2.5, None, "é\N{OWL}"]}
    assert read(b"{}", "application/vnd.shop+json; charset=UTF-8") == [Body("json", {})]


def test_forms_text_and_nothing() -> None:
    form = "application/x-www-form-urlencoded"
    assert read(b"a=1&b=%C3%A9+x&a=2&c=", form) == [Body("form", {"a": ["1", "2"], "b": "é x", "c": ""})]
    assert read("für".encode(), "text/plain; charset=utf-8") == [Body("text", "für")]
    assert read(b"<a/>", "application/xml") == [Body("text", "<a/>")]
    assert read(b"", None) == read(b"") == [Body("empty")]
    assert read(b' {"a": 1}', None) == [Body("json", {"a": 1})]
    assert read(b"hello", None) == [Body("text", "hello")]
    for kind in ("image/png", "multipart/form-data; boundary=x", "text/plain;charset=latin-1"):
        assert refusal(b"a", kind).reason == "content-type"
    assert "1,000 fields" in refusal(b"a&" * 1001, form).message
    assert refusal(b"a=%ff", form).reason == "body"


def test_structured_cloudevents() -> None:
    kind = "application/cloudevents+json"
    whole = {**EVENT, "data": {"order": 7}, "subject": "x", "sequence": 3}
    (found,) = read(json.dumps(whole).encode(), kind)
    assert found == Body("cloudevent", {"order": 7}, {**EVENT, "subject": "x", "sequence": 3})
    packed = {**EVENT, "data_base64": base64.b64encode(b'{"a": 1}').decode(), "datacontenttype": "application/json"}
    assert read(json.dumps(packed).encode(), kind)[0].value == {"a": 1}
    several = read(json.dumps([whole, {**EVENT, "id": "e2"}]).encode(), "application/cloudevents-batch+json")
    assert [(each.value, (each.cloudevent or {})["id"]) for each in several] == [({"order": 7}, "e1"), (None, "e2")]


def test_binary_cloudevents() -> None:
    headers = {f"ce-{name}": value for name, value in EVENT.items()} | {"ce-subject": "Euro%20%E2%82%AC"}
    given = tuple({**headers, "Content-Type": "application/json"}.items())
    (found,) = bodies_of(Request(headers=given, body=b'{"a": 1}'))
    attributes = {**EVENT, "subject": "Euro €", "datacontenttype": "application/json"}
    assert found == Body("cloudevent", {"a": 1}, attributes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": None}, "no id"),
        ({"id": ""}, "no id"),
        ({"source": 7}, "no source"),
        ({"specversion": "0.3"}, "version '0.3'"),
        ({"Bad-Name": "x"}, "cannot be an attribute"),
        ({"more": {}}, "neither text"),
        ({"data": 1, "data_base64": "AA=="}, "not both"),
        ({"data_base64": "%%"}, "no base64"),
        ({"data_base64": 5}, "no base64"),
    ],
    ids=range(9),
)
def test_cloudevents_that_are_refused(change: dict[str, Any], told: str) -> None:
    body = json.dumps({**EVENT, **change}).encode()
    assert told in refusal(body, "application/cloudevents+json").message
    batch = json.dumps([EVENT, {**EVENT, **change}]).encode()
    assert refusal(batch, "application/cloudevents-batch+json").message.startswith("event 2 of the batch: ")


def test_batches_that_are_none() -> None:
    for body in (b"[]", b"{}", b"[1]", b"nonsense"):
        assert refusal(body, "application/cloudevents-batch+json").reason == "body"
    assert refusal(b"[]", "application/cloudevents+json").reason == "body"


KINDS = ["application/json", "application/x-www-form-urlencoded", "text/plain", "application/cloudevents+json", None]
ANY_BYTES = st.binary(max_size=300) | st.text(alphabet='[]{}",:\\ue0 \n', max_size=60).map(str.encode)


@settings(max_examples=300, deadline=None)
@given(ANY_BYTES, st.sampled_from(KINDS))
def test_whatever_bytes_come_they_are_read_or_refused(body: bytes, kind: str | None) -> None:
    found: list[Body] = []
    with suppress(Refused):
        found = read(body, kind)
    json.dumps([each.value for each in found], allow_nan=False, ensure_ascii=False).encode()


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    )
)  # fmt: skip
def test_json_is_read_as_it_was_written(value: Any) -> None:
    for ascii_only in (True, False):
        assert json_of(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
