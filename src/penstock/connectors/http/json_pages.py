"""Pages of JSON: a whole answer, decoded at once, and where its records are."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.connectors.http.answers import Answer, cut, spoken
from penstock.connectors.http.paths import MISSING, Path, outline
from penstock.connectors.http.retries import Again
from penstock.core.errors import BadData, SourceUnavailable
from penstock.core.ports.data import Rejected

RAW_MOST = 10_000
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNICODE = ("utf-8-sig", "utf-32", "utf-32", "utf-16", "utf-16")
_TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class JsonPage:
    """A page that was read.

    Attributes:
        records: its records, in their order.
        rejected: what is among them and is no record.
        body: all that the answer says.
        content: its bytes.
        unchanged: the server says that it is what it was; nothing was sent.
        headers: of the answer.
        url: where it came from.
        size: bytes on the wire.
    """

    records: list[dict[str, Any]]
    rejected: list[Rejected]
    body: Any
    content: bytes
    unchanged: bool
    headers: Any
    url: str
    size: int


def read_page(answer: Answer, path: Path, encoding: str) -> JsonPage:
    """The page that an answer holds.

    Raises:
        Again: it broke off.
        BadData: it is no JSON, or has no records where they should be.
        SourceUnavailable: it is a web page.
    """
    content = b"" if answer.status == 304 else answer.content()
    if answer.status in (204, 304):
        return JsonPage([], [], None, b"", answer.status == 304, answer.headers, answer.url, answer.size)
    if not content.strip():
        raise Again("the answer is empty")
    body = decoded(answer, content, encoding)
    found = path.find(body)
    if found is None or (found is MISSING and path.optional):
        found = []
    if found is MISSING:
        raise BadData(
            f"{answer.name}: there is nothing at records={path.text!r}; the answer is {outline(body)}.",
            hint=f"name the path to the records; if it may be missing, say records={path.text + '?'!r}",
        )
    values = found if isinstance(found, list) else [found]
    records, rejected = sorted_out(values, answer.name)
    return JsonPage(records, rejected, body, content, False, answer.headers, answer.url, answer.size)


def sorted_out(values: list[Any], page: str) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """Records, and what is none."""
    if all(type(value) is dict for value in values):
        return values, []
    rejected = [
        Rejected(f"this is {outline(value)}, and a record is an object", f"{page}, record {place}", shown_raw(value))
        for place, value in enumerate(values, 1)
        if type(value) is not dict
    ]
    return [value for value in values if type(value) is dict], rejected


def shown_raw(value: Any) -> str:
    """A value as JSON, for the quarantine."""
    return json.dumps(value, ensure_ascii=True, default=str)[:RAW_MOST]


def decoded(answer: Answer, content: bytes, encoding: str) -> Any:
    """What a body says; of the charset that it has rather than the one it is said to have."""
    try:
        return msgspec.json.decode(content)
    except RecursionError:
        raise BadData(f"{answer.name}: the answer is nested too deeply to be read.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = str(error)
    text = transcoded(content, encoding or answer.charset)
    if text is not None:
        try:
            return json.loads(text)  # takes NaN and half surrogate pairs, which are dealt with record by record
        except RecursionError:
            raise BadData(f"{answer.name}: the answer is nested too deeply to be read.") from None
        except ValueError:
            pass
    refuse_web_page(answer, content)
    if _TRUNCATED in fault:
        raise Again("the answer ends in the middle")
    if text is None:
        raise BadData(
            f"{answer.name}: the answer is not UTF-8, nor what it says it is ({answer.charset or 'nothing'}).",
            hint="name the charset with encoding=",
        )
    more = "; if every line is a JSON value of its own, say format='ndjson'" if "trailing" in fault else ""
    raise BadData(f"{answer.name}: the answer is no JSON: {fault}.", hint=f"it begins: {cut(spoken(content))}{more}")


def transcoded(content: bytes, charset: str) -> str | None:
    """The text; None where it cannot be told."""
    marked = [name for mark, name in zip(_MARKS, _UNICODE, strict=True) if content.startswith(mark)]
    for name in (*marked[:1], "utf-8", charset):
        try:
            return content.decode(name) if name else None
        except (UnicodeDecodeError, LookupError):
            continue
    return None


def refuse_web_page(answer: Answer, head: bytes) -> None:
    """A page for people, where data should be, is mostly a login or an error that says 200.

    Raises:
        SourceUnavailable: it is one.
    """
    start = head.lstrip(codecs.BOM_UTF8).lstrip()[:15].lower()
    if answer.kind in ("text/html", "application/xhtml+xml") or start.startswith((b"<!doctype", b"<html")):
        raise SourceUnavailable(
            f"{answer.name}: the server answered {answer.status} with a web page, not with data: {cut(spoken(head))}.",
            hint="it may be a login: check auth= and the URL",
        )
