"""What is in an artifact, as text and as a page that can do nothing but be looked at."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec
from markdown_it import MarkdownIt

from penstock.core.model import Artifact
from penstock.engine.artifacts.tables import titles_and_rows

HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src http: https: data:; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Whatever is in it: no script of it runs, and it is no page of the server's origin."""

_MOST_ROWS = 1_000
_IMAGES = ("http://", "https://", "data:image/")


def content_of(found: Artifact) -> Any:
    """The content as it was given."""
    return msgspec.json.decode(found.data) if found.data else None


def as_text(found: Artifact) -> str:
    """A text as it is, anything else as JSON."""
    content = content_of(found)
    return content if isinstance(content, str) else msgspec.json.format(found.data or b"null").decode()


def as_page(found: Artifact) -> str:
    """A page in HTML; text of the artifact's own is nothing but text on it."""
    title = escape(found.key or found.kind)
    return f"<!doctype html><meta charset=utf-8><title>{title}</title>\n{_inside(found)}\n"


def _inside(found: Artifact) -> str:
    content = content_of(found)
    if found.kind in ("markdown", "link") and isinstance(content, str):
        plain = MarkdownIt("commonmark", {"html": False})
        return str(plain.enable(["strikethrough", "table"]).render(content))
    if found.kind == "table" and isinstance(content, (list, dict)):
        return _table(content)
    if found.kind == "image" and isinstance(content, str) and content.lower().startswith(_IMAGES):
        return f'<img alt="" src="{escape(content)}">'
    if found.kind == "progress" and isinstance(content, (int, float)):
        return f'<progress max="100" value="{content:g}"></progress> {content:g} %'
    return f"<pre>{escape(as_text(found))}</pre>"


def _table(content: Any) -> str:
    titles, rows = titles_and_rows(content)
    head = "".join(f"<th>{escape(str(title))}</th>" for title in titles)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:_MOST_ROWS])
    more = f"<p>{len(rows) - _MOST_ROWS:,} more rows</p>" if len(rows) > _MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    told = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return f"<td>{escape(told)}</td>"
