"""Alerts for Slack (Block Kit), Discord (webhook embeds) and Teams (Adaptive Cards), within their limits."""

from __future__ import annotations

import re
from typing import Any

from penstock.core.model import Alert
from penstock.observability.messages.parts import cut, message, rows, safe_link, title, when

_SIGNS = {"info": "\N{INFORMATION SOURCE}", "warning": "\N{WARNING SIGN}", "error": "\N{CROSS MARK}"}
_COLOURS = {"info": 0x2F80ED, "warning": 0xF2C94C, "error": 0xEB5757}
_TEAMS_COLOURS = {"info": "Accent", "warning": "Warning", "error": "Attention"}
_MARKS = re.compile(r"([\\*_~`|>\[\]()#-])")


def slack(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The body of `chat.postMessage` or of an incoming webhook. No text in it can mention anybody.

    Args:
        alert: what is told.
        link: a page about it.
    """
    sign = _SIGNS.get(alert.level, "")
    head = f"{sign} {title(alert, 140)}".strip()
    fields = [
        {"type": "mrkdwn", "text": f"*{name}*\n{_for_slack(value, 1900)}"} for name, value in list(rows(alert))[:10]
    ]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": head, "emoji": True}}]
    if text := _for_slack(message(alert, 2900), 2900):
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}})
    blocks.append({"type": "section", "fields": fields})
    if page := safe_link(link):
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": cut(page, 3000)}
        blocks.append({"type": "actions", "elements": [button]})
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": f"{alert.level}, {when(alert)}"}]})
    return {"text": _for_slack(head, 300), "blocks": blocks}


def _for_slack(text: str, most: int) -> str:
    """With &, < and > written as Slack wants them; what is cut is cut before that, and between characters."""
    escaped = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    parts: list[str] = []
    for character in text:
        part = escaped.get(character, character)
        most -= len(part)
        if most < 3:
            return "".join(parts) + "..."
        parts.append(part)
    return "".join(parts)


def discord(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The body of a Discord webhook; see `slack`."""
    fields = [{"name": name, "value": _unmarked(value, 1024) or "-", "inline": True} for name, value in rows(alert)]
    embed: dict[str, Any] = {
        "title": _unmarked(title(alert, 256), 256),
        "description": _unmarked(message(alert, 3000), 3000),
        "color": _COLOURS.get(alert.level, _COLOURS["info"]),
        "fields": fields,
        "timestamp": when(alert),
    }
    if page := safe_link(link):
        embed["url"] = page
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def teams(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The body of a Teams workflow webhook: a message with an Adaptive Card; see `slack`."""
    colour = _TEAMS_COLOURS.get(alert.level, "Default")
    head = {"type": "TextBlock", "size": "Large", "weight": "Bolder", "color": colour, "wrap": True}
    facts = [{"title": name, "value": _unmarked(value, 1000)} for name, value in rows(alert)]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {**head, "text": _unmarked(title(alert, 200), 400)},
            {"type": "TextBlock", "text": _unmarked(message(alert, 5000), 8000), "wrap": True},
            {"type": "FactSet", "facts": [*facts, {"title": "at", "value": when(alert)}]},
        ],
    }
    if page := safe_link(link):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": page}]
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attached]}


def _unmarked(text: str, most: int) -> str:
    """With every sign of Markdown made plain, so that no text can be a link, a heading or a quote."""
    parts: list[str] = []
    for character in text:
        part = _MARKS.sub(r"\\\1", character)
        most -= len(part)
        if most < 3:
            return "".join(parts) + "..."
        parts.append(part)
    return "".join(parts)
