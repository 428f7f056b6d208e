"""Servers that hand out a list, each in one of the ways in which servers do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.unit.api_server import Reply, Request, Site

from penstock.connectors.http import Cursor, LinkHeader, NextUrl, Offset, Page

Row = dict[str, Any]
Options = dict[str, Any]
Way = Callable[[Sequence[Row], int], tuple[Site, Options]]
"""Makes a site that hands out a list, so many at once, and the arguments with which it is read."""


def _start(request: Request, name: str) -> int:
    return int(request.query.get(name, 0))


def by_page(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        number = int(request.query["page"]) - 1
        return {"rows": rows[number * size : (number + 1) * size]}

    return site, {"records": "rows", "pages": Page()}


def by_page_with_total(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        number, most = int(request.query["p"]), int(request.query["n"])
        return Reply(list(rows[number * most : (number + 1) * most]), headers={"X-Total-Count": str(len(rows))})

    return site, {"pages": Page(number="p", size="n", per_page=size, start=0), "total_header": "X-Total-Count"}


def by_last_page(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    last = max(-(-len(rows) // size), 1)

    def site(request: Request) -> Any:
        number = int(request.query["page"]) - 1
        assert number < last, "a page behind the last one was asked for"
        return {"rows": rows[number * size : (number + 1) * size], "meta": {"last": last}}

    return site, {"records": "rows", "pages": Page(total_pages="meta.last")}


def by_offset(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start, most = _start(request, "offset"), min(int(request.query["limit"]), size)
        return {"rows": rows[start : start + most]}

    return site, {"records": "rows", "pages": Offset(per_page=size + 3)}


def by_offset_with_total(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start, most = _start(request, "offset"), int(request.query["limit"])
        return {"rows": rows[start : start + most], "total": str(len(rows))}

    return site, {"records": "rows", "pages": Offset(per_page=size), "total": "total"}


def by_cursor(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start = int(request.query.get("after", "c0").removeprefix("c"))
        after = start + size
        return {"rows": rows[start:after], "meta": {"next": f"c{after}"} if after < len(rows) else {}}

    return site, {"records": "rows", "pages": Cursor(parameter="after", path="meta.next")}


def by_cursor_in_a_body(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        assert request.method == "POST"
        asked = request.json
        assert asked["query"] == "{ rows }"
        start = asked["variables"].get("after", 0)
        return {"data": {"rows": rows[start : start + size], "end": start + size, "more": start + size < len(rows)}}

    paging = Cursor(parameter="variables.after", within="body", path="data.end", more="data.more")
    given: Options = {"method": "POST", "json": {"query": "{ rows }", "variables": {}}, "repeatable": True}
    return site, {**given, "records": "data.rows", "pages": paging}


def by_cursor_in_a_header(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start = _start(request, "cursor")
        more = {"X-Next": str(start + size)} if start + size < len(rows) else {}
        return Reply(list(rows[start : start + size]), headers=more)

    return site, {"pages": Cursor(header="X-Next")}


def by_last_record(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        after = int(request.query.get("after", "-1"))
        return [row for row in rows if row["id"] > after][:size]

    return site, {"pages": Cursor(parameter="after", path="[-1].id")}


def by_link(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start = _start(request, "from")
        more = (
            f'<{request.url}/orders?from={start + size}&x=a,b>; rel="next last", ' if start + size < len(rows) else ""
        )
        return Reply(list(rows[start : start + size]), headers={"Link": f'{more}</orders>; title="a, b"; rel=first'})

    return site, {"pages": LinkHeader()}


def by_url(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start = _start(request, "from")
        more = f"?from={start + size}" if start + size < len(rows) else None
        return {"rows": rows[start : start + size], "links": {"next": more}}

    return site, {"records": "rows", "pages": NextUrl("links.next")}


def by_csv_pages(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        start = _start(request, "offset")
        return Reply(csv_of(rows[start : start + size], list(rows[0]) if rows else []))

    return site, {"format": "csv", "pages": Offset(limit="")}


def by_lines(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        return Reply(lines_of(rows))

    return site, {"format": "ndjson"}


def by_csv(rows: Sequence[Row], size: int) -> tuple[Site, Options]:
    def site(request: Request) -> Any:
        return Reply(csv_of(rows, list(rows[0]) if rows else ["id"]))

    return site, {"format": "csv"}


def lines_of(rows: Sequence[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def csv_of(rows: Sequence[Row], names: list[str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    if names:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


PAGED: dict[str, Way] = {
    "page": by_page,
    "page with total": by_page_with_total,
    "last page": by_last_page,
    "offset": by_offset,
    "offset with total": by_offset_with_total,
    "cursor": by_cursor,
    "cursor in a body": by_cursor_in_a_body,
    "cursor in a header": by_cursor_in_a_header,
    "last record": by_last_record,
    "link": by_link,
    "url": by_url,
}

WAYS: dict[str, Way] = {**PAGED, "csv pages": by_csv_pages, "lines": by_lines, "csv": by_csv}
