"""Alerts for Slack (Block Kit), Discord (webhook embeds) and Teams (Adaptive Cards), within their limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core.model import Alert
from penstock.observability.messages.parts import cut, log, message, rows, safe_link, sign, title, when, word

_COLOURS = {"info": 0x2F80ED, "warning": 0xF2C94C, "error": 0xEB5757, "resolved": 0x27AE60}
_TEAMS_COLOURS = {"info": "Accent", "warning": "Warning", "error": "Attention", "resolved": "Good"}
_MOST_FIELDS = 10
_LONGEST_CARD = 27_000
_MARKS = re.compile(r"([\\*_~`|>\[\]()#-])")


def slack(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The body of `chat.postMessage` or of an incoming webhook. No text in it can mention anybody.

    Args:
        alert: what is told.
        link: a page about it.
    """
    head = f"{sign(alert)} {title(alert, 140)}".strip()
    fields = [
        {"type": "mrkdwn", "text": f"*{_for_slack(name, 80)}*\n{_for_slack(value, 1900)}"}
        for name, value in rows(alert)
    ]
    blocks: list[dict[str, Any]] = [{"type": "header", "text": {"type": "plain_text", "text": head, "emoji": True}}]
    if text := _for_slack(message(alert, 2900), 2900):
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}})
    for first in range(0, len(fields), _MOST_FIELDS):
        blocks.append({"type": "section", "fields": fields[first : first + _MOST_FIELDS]})
    if lines := _for_slack(log(alert, 2000), 2800):
        logged = f"```\n{lines}\n```"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": logged, "verbatim": True}})
    if page := safe_link(link):
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": cut(page, 3000)}
        blocks.append({"type": "actions", "elements": [button]})
    blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": f"{word(alert)}, {when(alert)}"}]})
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
    most = 2000 if alert.log else 3000
    told = _unmarked(message(alert, most), most)
    if lines := log(alert, 900):
        told += f"\n```\n{lines}\n```"
    fields = list(_discord_fields(alert, 6000 - 256 - 30 - len(told)))  # the limit of all of it together
    embed: dict[str, Any] = {
        "title": _unmarked(title(alert, 256), 256),
        "description": told,
        "color": _COLOURS.get(word(alert), _COLOURS["info"]),
        "fields": fields,
        "timestamp": when(alert),
    }
    if page := safe_link(link):
        embed["url"] = page
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _discord_fields(alert: Alert, room: int) -> Iterator[dict[str, Any]]:
    for name, value in list(rows(alert))[:25]:
        field = {"name": _unmarked(name, 250), "value": _unmarked(value, 1024) or "-", "inline": True}
        room -= len(str(field["name"])) + len(str(field["value"]))
        if room < 0:
            return
        yield field


def teams(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The body of a Teams workflow webhook: a message with an Adaptive Card; see `slack`."""
    for share in (1, 4, 16):
        card = _card(alert, link, share)
        if len(msgspec.json.encode(card)) <= _LONGEST_CARD:
            break
    attached = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attached]}


def _card(alert: Alert, link: str | None, share: int) -> dict[str, Any]:
    """An Adaptive Card, with its longer texts cut to one in `share` of what they may be."""
    colour = _TEAMS_COLOURS.get(word(alert), "Default")
    head = {"type": "TextBlock", "size": "Large", "weight": "Bolder", "color": colour, "wrap": True}
    facts = [
        {"title": _unmarked(name, 80), "value": _unmarked(value, 1000 // share)}
        for name, value in list(rows(alert))[:40]
    ]
    lines = log(alert, 3000 // share)
    logged = {"type": "TextBlock", "text": _unmarked(lines, 6000), "wrap": True, "fontType": "Monospace"}
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {**head, "text": _unmarked(title(alert, 200), 400)},
            {"type": "TextBlock", "text": _unmarked(message(alert, 5000 // share), 8000 // share), "wrap": True},
            {"type": "FactSet", "facts": [*facts, {"title": "at", "value": when(alert)}]},
            *([logged] if lines else []),
        ],
    }
    if page := safe_link(link):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": page}]
    return card


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
