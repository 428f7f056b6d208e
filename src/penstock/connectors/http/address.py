"""`https://api.example/orders` as the address of a source."""

from __future__ import annotations

from typing import Any

from penstock.connectors.http.following import Cursor, LinkHeader, NextUrl
from penstock.connectors.http.incremental import Incremental
from penstock.connectors.http.pages import Offset, Page, Pages
from penstock.connectors.http.source import HttpApi
from penstock.core.addresses import Address, several
from penstock.core.errors import ConfigurationError

_PLAIN = ("records", "format", "encoding", "delimiter", "nested", "total", "total_header", "connection")
_PAGING = ("page", "size", "offset", "limit", "per_page", "cursor", "cursor_parameter", "next", "link")
_SINCE = ("since", "column", "start", "key")
_WAYS = ("page", "offset", "cursor", "next", "link")


def at(address: Address) -> HttpApi:
    """The API at an address.

    Options: `records`, `format`, `encoding`, `delimiter`, `nested`, `total`, `total_header` and `connection` (a name)
    as `HttpApi` has them; `per_second`; `again=true`. One way of paging: `page=NAME` (with `size=NAME`, `per_page=N`),
    `offset=NAME` (with `limit=NAME`, `per_page=N`), `cursor=PATH` (with `cursor_parameter=NAME`), `next=PATH` or
    `link=next`. What has changed: `since=PARAMETER`, `column=PATH`, with `start` and `key`.

    Raises:
        ConfigurationError: an option cannot be.
    """
    given = address.taken(*_PLAIN, *_PAGING, *_SINCE, "per_second", "again")
    options: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    if "per_second" in given:
        options["per_second"] = _number("per_second", given["per_second"], float)
    if "again" in given:
        options["again"] = given["again"].lower() in ("true", "yes", "1")
    return HttpApi(address.url, pages=_pages(given), since=_since(given), **options)


def _pages(given: dict[str, str]) -> Pages | None:
    ways = [way for way in _WAYS if way in given]
    helpers = [name for name in _PAGING if name in given and name not in _WAYS]
    if len(ways) > 1 or (helpers and not ways):
        raise ConfigurationError(
            f"{' and '.join(ways or helpers)} do not tell how the list is paged.",
            hint=f"choose one of {', '.join(f'{way}=...' for way in _WAYS)}",
        )
    if not ways:
        return None
    most = _number("per_page", given["per_page"], int) if "per_page" in given else None
    if ways == ["page"]:
        return Page(number=given["page"], size=given.get("size", ""), per_page=most)
    if ways == ["offset"]:
        limit = given.get("limit", "limit" if most else "")
        return Offset(offset=given["offset"], limit=limit, **({"per_page": most} if most else {}))
    if ways == ["cursor"]:
        return Cursor(path=given["cursor"], parameter=given.get("cursor_parameter", "cursor"))
    return NextUrl(given["next"]) if ways == ["next"] else LinkHeader(rel=given["link"])


def _since(given: dict[str, str]) -> Incremental | None:
    if "since" not in given:
        if lost := [name for name in _SINCE if name in given]:
            raise ConfigurationError(f"{lost[0]} goes with since=PARAMETER.", hint="which parameter takes the value?")
        return None
    start: Any = given.get("start")
    if start is not None and start.lstrip("-").isdigit():
        start = int(start)
    keys = tuple(several(given.get("key", "")))
    return Incremental(parameter=given["since"], column=given.get("column", ""), start=start, key=keys)


def _number(name: str, text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ConfigurationError(f"{name} is a number, not {text!r}.") from None
